"""Strict configuration: unknown keys are errors that name the nearest valid one, with file and line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from simreal.errors import UserError, nearest

if yaml.__with_libyaml__:
    from yaml import CSafeLoader as SafeLoader  # some ten times as fast
else:
    from yaml import SafeLoader  # type: ignore[assignment]

Location = tuple[str | int, ...]
MOST_ENTRIES = 300_000
"""Of a document, aliases counted in full: a few hundred bytes of aliases to aliases are billions."""

MOST_LEVELS = 100
"""Of lists and keys below each other, aliases followed: what reads them goes down level by level."""

MOST_SHOWN = 80
"""Letters of an override that a message shows."""


class Config(BaseModel):
    """Base of every configuration and contract model: immutable, finite numbers, no unknown key."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        given = map(str, data) if isinstance(data, Mapping) else ()
        unknown: dict[Location, str] = {
            (key,): f"unknown key {key!r}: {cls._mend(key)}"
            for key in given
            if key not in cls.model_fields
        }
        if unknown:
            raise refusal(unknown)
        return data

    @classmethod
    def _mend(cls, key: str) -> str:
        """Sections that have a key which is none of this level, or what is spelt most like it."""
        sections = [
            f"{name}.{key}"
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type)
            and issubclass(field.annotation, Config)
            and key in field.annotation.model_fields
        ]
        if sections:
            return f"it belongs to a section: {', '.join(sections)}"
        return nearest(key, cls.model_fields)

    @model_validator(mode="wrap")
    @classmethod
    def _refuse_truth_for_a_number(cls, data: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """YAML's `true` and `yes` would count as 1."""
        made = read(data)
        found = dict(_truths_read_as_numbers(data, vars(made)))
        if found:
            raise refusal(found)
        return made


def refusal(faults: Mapping[Location, str]) -> ValidationError:
    """What a validator raises to say what is wrong at places below that which it validates."""
    return ValidationError.from_exception_data(
        "refusal",
        [
            {"type": PydanticCustomError("refused", "{what}", {"what": what}), "loc": at, "input": None}
            for at, what in faults.items()
        ],
    )


def _truths_read_as_numbers(given: Any, read: Any, at: Location = ()) -> Iterator[tuple[Location, str]]:
    if isinstance(given, bool) and not isinstance(read, bool):
        yield at, f"expected a number, not {str(given).lower()}"
    elif isinstance(given, Mapping) and isinstance(read, Mapping):
        for key in filter(read.__contains__, given):
            yield from _truths_read_as_numbers(given[key], read[key], (*at, key))
    elif isinstance(given, list | tuple) and isinstance(read, list | tuple):
        for index, (mine, its) in enumerate(zip(given, read, strict=False)):
            yield from _truths_read_as_numbers(mine, its, (*at, index))


ConfigT = TypeVar("ConfigT", bound=Config)


class _Loader(SafeLoader):
    """SafeLoader that also reads ``1e-3`` as a number and refuses a repeated key."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key must be a plain word", key_node.start_mark
                )
            if key_node.value in seen and key_node.value != "<<":
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key_node.value!r} stands here twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ValueError, AttributeError):  # PyYAML's own, of a 13th month or a bad number
            raise yaml.constructor.ConstructorError(
                None, None, f"{node.value!r} cannot be read", node.start_mark
            ) from None


def _plain_number(loader: _Loader, node: yaml.ScalarNode) -> int | float:
    """YAML 1.1 reads 010 as 8 and 1:30 as 90, which hardly anybody means who writes that."""
    whole = node.tag.endswith("int")
    read: int | float = (loader.construct_yaml_int if whole else loader.construct_yaml_float)(node)
    if ":" in node.value:
        why, mend = "in sixties", str(read)
    elif whole and re.match(r"[-+]?0[0-9_]", node.value):
        why, mend = "in base 8", "a number without a leading zero"
    else:
        return read
    told = f"YAML reads {node.value} {why}, as {read}: put a text in quotes, '{node.value}'"
    raise yaml.constructor.ConstructorError(None, None, f"{told}, or write {mend}", node.start_mark)


for _tag in ("int", "float"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _plain_number)

_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]+)$"),
    list("-+0123456789"),
)


class FileAssignment(str):
    """An assignment ``section={...}`` that was made of a file, which messages name for what it brings.

    Attributes:
        file: its path.
        brings: keys of the section that come from there; the others keep their places.
    """

    file: str
    brings: tuple[str, ...]

    def __new__(cls, text: str, file: str, brings: tuple[str, ...]) -> Self:
        """Take an assignment as it would be typed."""
        made = super().__new__(cls, text)
        made.file, made.brings = file, brings
        return made


class _NestingError(Exception):
    """Of a document that nests too deeply, or within itself."""

    def __init__(self) -> None:
        super().__init__(f"nested too deeply (more than {MOST_LEVELS} levels), or within itself")


def _refuse_nesting(text: str) -> None:
    """Refuse such a text by its events: what makes nodes of them goes down in C, until it crashes."""
    below = [0]  # levels so far, below each of what is open
    anchors: list[str | None] = []  # of what is open
    known: dict[str | None, int] = {}  # levels of what has an anchor
    try:
        for event in yaml.parse(text, _Loader):
            if isinstance(event, yaml.CollectionStartEvent):
                anchors.append(event.anchor)
                below.append(0)
            elif isinstance(event, yaml.CollectionEndEvent):
                known[anchors.pop()] = levels = below.pop() + 1
                below[-1] = max(below[-1], levels)
            elif isinstance(event, yaml.ScalarEvent):
                known[event.anchor] = 0
            elif isinstance(event, yaml.AliasEvent):
                if event.anchor in anchors:
                    raise _NestingError
                if event.anchor not in known:  # libyaml does not say which
                    raise yaml.MarkedYAMLError(
                        problem=f"found undefined alias {event.anchor!r}",
                        problem_mark=event.start_mark,  # type: ignore[arg-type]  # libyaml's own Mark
                    )
                below[-1] = max(below[-1], known[event.anchor])
            if len(anchors) + below[-1] > MOST_LEVELS:
                raise _NestingError
    except yaml.MarkedYAMLError as error:
        # libyaml may look ahead 1000 levels, from where on version 0.2.6 refuses by itself.
        if "nesting depth" in str(error.problem):
            raise _NestingError from None
        raise


def _read(text: str) -> tuple[yaml.Node | None, Any]:
    """A document's nodes, which know their lines, and what they say."""
    try:
        _refuse_nesting(text)
    except UnicodeEncodeError as error:  # bytes of a command line that are no text
        raise yaml.YAMLError(error.reason) from None
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    finally:
        loader.dispose()


def _kind(data: Any) -> str:
    """What a document is that is no mapping."""
    if data is None:
        return "nothing"
    return "a list" if isinstance(data, list) else f"{str(data)[:40]!r} alone"


class Document:
    """Parsed YAML and the line on which each key stands.

    Attributes:
        source: what error messages call the document, a path as a rule.
        data: the parsed mapping.
    """

    def __init__(self, text: str, source: str) -> None:
        self.source = source
        self._places: dict[Location, str] = {}
        try:
            node, data = _read(text)
            self._collect(node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            where = f"{source}:{mark.line + 1}" if mark else source
            raise UserError(f"{where}: not valid YAML: {error.problem}") from None
        except yaml.YAMLError as error:
            raise UserError(f"{source}: not valid YAML: {error}") from None
        except _NestingError as error:
            raise UserError(f"{source}: {error}") from None
        if not isinstance(data, dict):
            raise UserError(f"{source}: expected keys with values, found {_kind(data)}")
        self.data: dict[str, Any] = data

    def _collect(self, node: yaml.Node | None, at: Location) -> None:
        if len(self._places) > MOST_ENTRIES:
            raise UserError(
                f"{self.source}: more than {MOST_ENTRIES:,} entries, aliases counted in full"
            )
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._places[(*at, key.value)] = f"{self.source}:{key.start_mark.line + 1}"
                self._collect(value, (*at, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._places[(*at, index)] = f"{self.source}:{value.start_mark.line + 1}"
                self._collect(value, (*at, index))

    def override(self, assignments: Sequence[str]) -> dict[str, Any]:
        """The data under ``a.b=value`` assignments; faults in them are said to be theirs."""
        for assignment in assignments:
            path = tuple(_keys(assignment.partition("=")[0]))
            if isinstance(assignment, FileAssignment):
                for key in assignment.brings:
                    self._note((*path, key), assignment.file)
            else:
                self._note(path, _shown(assignment))
        return override(self.data, assignments)

    def _note(self, path: tuple[str, ...], place: str) -> None:
        """From now on the path stands somewhere else, and so does a section made for its sake."""
        self._places = {at: line for at, line in self._places.items() if at[: len(path)] != path}
        for depth in range(1, len(path) + 1):
            self._places.setdefault(path[:depth], place)

    def over(self, base: "Document") -> Self:
        """Take from another document what this one does not say, section by section."""
        self.data = _merged(base.data, self.data)
        self._places = base._places | self._places
        return self

    def where(self, location: Location) -> str:
        """``file:line`` of the deepest known part of a location, or the override that set it."""
        known: Location = ()
        for part in location:
            # pydantic also puts the chosen kind of a union into locations, which no file contains.
            known = (*known, part) if (*known, part) in self._places else known
        return self._places.get(known, self.source)


def read_document(path: Path) -> Document:
    """Read a YAML file; every way this can fail is a `UserError` that names the file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file, expected YAML") from None
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    return Document(text, str(path))


def _keys(path: str) -> list[str]:
    """The keys of ``a.b.c[d.e]``: dots within brackets belong to a name."""
    return re.split(r"\.(?![^\[\]]*\])", path.strip())


def _shown(assignment: str) -> str:
    """An override in a message, without the rest of a long value."""
    cut = assignment if len(assignment) <= MOST_SHOWN else f"{assignment[:MOST_SHOWN]}..."
    return f"override {cut!r}"


def override(data: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` assignments to a nested mapping; values are read as YAML.

    Returns:
        A new mapping; the one given is left as it was.

    Raises:
        UserError: an assignment without ``=``, or one that goes below a plain value.
    """
    result = _copy(data)
    for assignment in assignments:
        path, separator, text = assignment.partition("=")
        keys = _keys(path)
        if not separator or not all(keys):
            raise UserError(
                f"{_shown(assignment)}: expected key=value or section.key=value "
                "(here -o changes the configuration)"
            )
        level = result
        for depth, key in enumerate(keys[:-1]):
            child = level.setdefault(key, {})
            if not isinstance(child, dict):
                parent = ".".join(keys[: depth + 1])
                raise UserError(f"{_shown(assignment)}: {parent} is a value, not a section")
            level = child
        try:
            level[keys[-1]] = _read(text)[1]
        except _NestingError as error:
            raise UserError(f"{_shown(assignment)}: {error}") from None
        except yaml.YAMLError as error:
            problem = getattr(error, "problem", None) or error
            raise UserError(f"{_shown(assignment)}: the value is not valid YAML: {problem}") from None
    return result


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Mappings are merged key by key; of anything else, the upper one stands. A null removes."""
    result = _copy(below)
    for key, value in above.items():
        known = result.get(key)
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(known, dict) and "type" not in value:
            result[key] = _merged(known, value)
        else:
            result[key] = value
    return result


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, dict) else value for key, value in data.items()}


def parse(model: type[ConfigT], data: Mapping[str, Any], document: Document | None = None) -> ConfigT:
    """Validate data; raise one `UserError` that lists each fault with where it stands and a mend."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        lines = [f"{where}: {what}" if where else what for where, what in faults(error, data, document)]
        raise UserError("\n".join(lines)) from None


def faults(
    error: ValidationError, data: Mapping[str, Any], document: Document | None = None
) -> list[tuple[str, str]]:
    """Where each fault stands, empty without a document, and what is wrong, with a mend.

    Args:
        error: of pydantic.
        data: that was validated.
        document: which knows where what stands.
    """
    found = _of_one_form([dict(details) for details in error.errors()], data)
    told = [each for each in found if not _follows(each, found)]
    return list(dict.fromkeys(_fault(each, document) for each in told))


_FORM = re.compile(r"(float|int|constrained-\w+|tuple\[.*\]|literal\[.*\])")
"""What pydantic calls a form of a value that may have several, such as a number or a list of them."""
_OTHER_FORM = ("float_type", "int_type", "tuple_type")


def _of_one_form(found: list[dict[str, Any]], data: Any) -> list[dict[str, Any]]:
    """Of a value that may have several forms, the faults of the one that was meant.

    pydantic tells a fault of each form, and names the form as if it were a key.
    """
    told: dict[tuple[bool, Location], list[dict[str, Any]]] = {}
    for fault in found:
        place: Location = fault["loc"]
        forms = _forms(place, data)
        value = place[: forms[0]] if forms else place
        without = tuple(part for at, part in enumerate(place) if at not in forms)
        told.setdefault((bool(forms), value), []).append(fault | {"loc": without})
    return [
        fault
        for (several, value), group in told.items()
        for fault in (_meant(group, value) if several else group)
    ]


def _forms(place: Location, data: Any) -> list[int]:
    """Which parts of a place name a form: those that are no key of the data, as one named int may be."""
    found = []
    for at, part in enumerate(place):
        listed = isinstance(data, list | tuple) and isinstance(part, int) and part < len(data)
        if listed or (isinstance(data, Mapping) and part in data):
            data = data[part]
        elif at and _FORM.fullmatch(str(part)):
            found.append(at)
    return found


def _meant(found: list[dict[str, Any]], value: Location) -> list[dict[str, Any]]:
    """Those of the form that the value has: a word out of some, the items of a list, or a number."""
    words = [
        each for each in found if each["type"] == "literal_error" and isinstance(each["input"], str)
    ]
    items = [each for each in found if len(each["loc"]) > len(value)]
    fitting = [each for each in found if each["type"] not in (*_OTHER_FORM, "literal_error")]
    return words or items or fitting or found[:1]


def _follows(fault: dict[str, Any], others: list[dict[str, Any]]) -> bool:
    """Whether a list is only too short because of faults in its items, which pydantic leaves out."""
    place: Location = fault["loc"]
    below = (each["loc"] for each in others if len(each["loc"]) > len(place))
    return fault["type"] == "too_short" and any(other[: len(place)] == place for other in below)


def _fault(details: dict[str, Any], document: Document | None) -> tuple[str, str]:
    location: Location = details["loc"]
    if details["type"].startswith("union_tag"):
        location = (*location, details["ctx"]["discriminator"].strip("'"))
    name = ".".join(str(part) for part in location)
    where = document.where(location) if document else ""
    return where, f"{name}: {_message(details)}" if name else _message(details)


def _message(details: dict[str, Any]) -> str:
    given, context = details["input"], details.get("ctx", {})
    match details["type"]:
        case "literal_error" if names := _quoted(context["expected"]):
            return f"no {given!r}: {nearest(str(given), names)}"
        case "union_tag_invalid":
            return f"no {context['tag']!r}: {nearest(context['tag'], _quoted(context['expected_tags']))}"
        case "union_tag_not_found":
            return "Field required"
        case "int_parsing" | "int_type" | "int_from_float":
            return f"expected a whole number, not {given!r}"
        case "float_parsing" | "float_type":
            return f"expected a number, not {given!r}"
        case "tuple_type":
            return f"expected a list, not {given!r}"
        case "dict_type" | "model_type":
            return f"expected a section, not {given!r}"
    message = str(details["msg"]).removeprefix("Value error, ")
    shown = "" if isinstance(given, dict | list | Config) or given is None else f" (given: {given!r})"
    return f"{message}{shown}"


def _quoted(text: str) -> list[str]:
    """The names in pydantic's list of them: ``'ppo', 'sac' or 'td3'``."""
    return re.findall(r"'([^']*)'", text)
