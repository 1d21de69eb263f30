"""A robot's MJCF file, as written and as compiled, with the line on which each element stands."""

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from xml.parsers import expat

import mujoco

from simreal.errors import nearest
from simreal.lint.finding import Finding

_LINE = re.compile(r"\b[Ll]ine(?: number=)? ?(\d+)")
_LOST = re.compile(r"(?:transmission target|unrecognized name) '([^']+)'")
_MENDS = {
    "moving bodies must be larger": "give a body that moves a mass and an inertia",
    "A + B >= C": "no masses have such an inertia: take it anew, in kg·m² about the centre of mass",
    "inertia": "give an inertia that masses can have, in kg·m² about the centre of mass",
}


class Element(Protocol):
    """Any element of a `mujoco.MjSpec`."""

    name: str
    info: str


@dataclass(frozen=True, slots=True)
class ModelFile:
    """An MJCF file that can be read.

    Attributes:
        path: the file.
        spec: its elements with the values that are written there, defaults applied.
        compiled: None where it does not compile.
        is_urdf: whether it is a URDF, which has no settings of a compiler.
    """

    path: Path
    spec: mujoco.MjSpec
    compiled: mujoco.MjModel | None
    is_urdf: bool = False

    def where(self, element: Element | Any) -> str:
        """``file:line`` of an element, also in an included file if it has a name."""
        line = _line(element.info)
        if line:
            return f"{self.path}:{line}"
        return _named_elements(self.path).get((kind_of(element), element.name), str(self.path))


def kind_of(element: Element | Any) -> str:
    """Such as ``joint`` or ``actuator``."""
    return type(element).__name__.removeprefix("Mjs").lower()


def read_model(path: Path) -> tuple[ModelFile | None, list[Finding]]:
    """Read and compile an MJCF file; what is in the way comes back as findings."""
    if not path.is_file():
        what = f"no {path.name} in {path.parent}"
        return None, [Finding("error", "model", str(path), what, "put the robot's MJCF there")]
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        return None, [_failure(path, str(error))]
    try:
        return ModelFile(path, spec, spec.compile()), []
    except ValueError as error:
        # What has failed to compile cannot be walked through any more.
        return ModelFile(path, mujoco.MjSpec.from_file(str(path)), None), [_failure(path, str(error))]


def _failure(path: Path, message: str) -> Finding:
    text = " ".join(message.split())
    known = [mend for pattern, mend in _MENDS.items() if pattern in text]
    check = "inertia" if known else "model"
    line = _line(message)
    return Finding(
        "error",
        check,
        f"{path}:{line}" if line else str(path),
        f"MuJoCo does not take this model: {text}",
        known[0] if known else _meant(path, text) or "see this element in MuJoCo's XML reference",
    )


def _meant(path: Path, message: str) -> str:
    """Which elements an actuator or sensor may name, where MuJoCo does not find what it does."""
    lost = _LOST.search(message)
    if lost is None:
        return ""
    written = written_elements(path)
    kinds = {key for each in written for key, value in each.attributes.items() if value == lost[1]}
    names = [each.attributes.get("name", "") for each in written if each.kind in kinds]
    return nearest(lost[1], filter(None, names)) if any(names) else ""


def _line(text: str) -> int:
    """The line number in a message of MuJoCo; 0 for none."""
    found = _LINE.search(text)
    return int(found.group(1)) if found else 0


@dataclass(frozen=True, slots=True)
class Written:
    """An element as it stands in the file, or in one that is included.

    Attributes:
        kind: its tag, but ``actuator`` and ``sensor`` for all kinds of them.
        attributes: as written.
        where: ``file:line``.
    """

    kind: str
    attributes: dict[str, str]
    where: str


def written_elements(path: Path, folder: Path | None = None) -> list[Written]:
    """All elements of a file, and of what it includes, as far as they are XML."""
    if not path.is_file():
        return []
    found: list[Written] = []
    root = folder or path.parent  # includes are relative to the first file's folder
    parser, parents = expat.ParserCreate(), [""]

    def start(tag: str, attributes: dict[str, str]) -> None:
        kind = parents[-1] if parents[-1] in ("actuator", "sensor") else tag
        kind = "body" if kind == "link" else kind  # of a URDF
        parents.append(tag)
        if tag == "include":
            found.extend(written_elements(root / attributes.get("file", ""), root))
        else:
            found.append(Written(kind, attributes, f"{path}:{parser.CurrentLineNumber}"))

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _tag: parents.pop()
    with suppress(expat.ExpatError):  # MuJoCo's own parser takes some that this one does not
        parser.Parse(path.read_bytes(), True)
    return found


def _named_elements(path: Path) -> dict[tuple[str, str], str]:
    """Kind and name to ``file:line`` of all named elements: MuJoCo forgets lines of included files."""
    return {
        (each.kind, each.attributes["name"]): each.where
        for each in written_elements(path)
        if each.attributes.get("name")
    }
