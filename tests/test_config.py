import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from simreal import config
from simreal.config import Config, Document, override, parse, read_document
from simreal.errors import UserError
from simreal.experiment import load_experiment


@pytest.fixture(autouse=True, scope="module", params=["libyaml", "python"])
def loader(request: pytest.FixtureRequest) -> Iterator[None]:
    """PyYAML has libyaml, or has not."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "python":
            patch.setattr(yaml, "__with_libyaml__", False)
            patch.setattr(config, "_Loader", runpy.run_path(config.__file__)["_Loader"])
        yield


class Square(Config):
    type: Literal["square"]
    side: float


class Circle(Config):
    type: Literal["circle"]
    radius: float = Field(gt=0)


class Learning(Config):
    learning_rate: float = 1e-3
    epochs: int = 5
    layers: tuple[int, ...] = (64, 64)
    activation: Literal["tanh", "relu"] | None = None
    normalize: bool = True
    weights: dict[str, float] = {}


class Experiment(Config):
    robot: str
    control_rate: float = Field(default=100.0, gt=0)
    learning: Learning = Learning()
    shapes: dict[str, Annotated[Square | Circle, Field(discriminator="type")]] = {}


TEXT = """\
robot: qube
control_rate: 50.0

learning:
  # a comment
  learning_rate: 3e-4
  layers: [32, 16]
shapes:
  wheel:
    type: circle
    radius: 0.1
"""


def read(text: str) -> Experiment:
    document = Document(text, "experiment.yaml")
    return parse(Experiment, document.data, document)


def fault(text: str) -> str:
    with pytest.raises(UserError) as caught:
        read(text)
    return str(caught.value)


def test_a_right_document_is_read() -> None:
    experiment = read(TEXT)
    assert experiment.robot == "qube"
    assert experiment.learning == Learning(learning_rate=3e-4, layers=(32, 16))
    assert experiment.shapes["wheel"] == Circle(type="circle", radius=0.1)


@pytest.mark.parametrize(
    ("line", "wrong", "expected"),
    [
        (2, "control_rte: 50.0", "control_rte: unknown key 'control_rte': did you mean 'control_rate'?"),
        (4, "learnin:", "learnin: unknown key 'learnin': did you mean 'learning'?"),
        (6, "  learningrate: 3e-4", "did you mean 'learning_rate'?"),
        (11, "    radus: 0.1", "did you mean 'radius'?"),
    ],
)
def test_an_unknown_key_names_file_line_and_the_nearest_valid_key(
    line: int, wrong: str, expected: str
) -> None:
    lines = TEXT.splitlines()
    lines[line - 1] = wrong
    message = fault("\n".join(lines))
    assert message.startswith(f"experiment.yaml:{line}: ")
    assert expected in message


def test_a_wrong_value_is_shown_with_its_line() -> None:
    message = fault(TEXT.replace("radius: 0.1", "radius: wide"))
    assert message.startswith("experiment.yaml:11: ")
    assert "'wide'" in message


def test_a_wrong_member_of_a_list_is_found_on_its_own_line() -> None:
    message = fault("robot: qube\nlearning:\n  layers:\n    - 64\n    - many\n")
    assert message.startswith("experiment.yaml:5: learning.layers.1: ")


def test_a_missing_key_is_named() -> None:
    message = fault("control_rate: 3\n")
    assert "robot" in message
    assert "required" in message


def test_all_faults_are_told_at_once() -> None:
    message = fault("robot: 3\ncontrol_rate: -1\nlearning:\n  epochs: 1.5\n")
    assert [line.split(": ")[:2] for line in message.splitlines()] == [
        ["experiment.yaml:1", "robot"],
        ["experiment.yaml:2", "control_rate"],
        ["experiment.yaml:4", "learning.epochs"],
    ]


@pytest.mark.parametrize("number", [".nan", ".inf", "-.inf", "1e400"])
def test_numbers_are_finite(number: str) -> None:
    assert "finite" in fault(f"robot: q\ncontrol_rate: {number}\n")


@pytest.mark.parametrize(
    ("number", "why", "mend"),
    [
        ("010", "in base 8, as 8", "a number without a leading zero"),
        ("-007", "in base 8, as -7", "a number without a leading zero"),
        ("12:30", "in sixties, as 750", "750"),
        ("1:30.5", "in sixties, as 90.5", "90.5"),
    ],
)
def test_numbers_that_yaml_reads_as_others_are_refused(number: str, why: str, mend: str) -> None:
    said = f"YAML reads {number} {why}: put a text in quotes, '{number}', or write {mend}"
    with pytest.raises(UserError, match=re.escape(f"bad.yaml:2: not valid YAML: {said}")):
        Document(f"a: 1\nb: {number}\n", "bad.yaml")
    with pytest.raises(
        UserError, match=re.escape(f"override 'b={number}': the value is not valid YAML: {said}")
    ):
        override({}, [f"b={number}"])
    assert Document(f"b: '{number}'\n", "good.yaml").data == {"b": number}


def test_numbers_in_other_notations_are_read() -> None:
    text = "a: 0\nb: 0x10\nc: 1_000\nd: 0.5\ne: '010'\nf: 00.5\n"
    expected = {"a": 0, "b": 16, "c": 1000, "d": 0.5, "e": "010", "f": 0.5}
    assert Document(text, "good.yaml").data == expected


@pytest.mark.parametrize("truth", ["true", "false", "yes", "Off"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("learning.learning_rate", "learning:\n  learning_rate: {}\n"),
        ("learning.epochs", "learning:\n  epochs: {}\n"),
        ("learning.layers.1", "learning:\n  layers: [3, {}]\n"),
        ("learning.weights.a", "learning:\n  weights: {{b: 1, a: {}}}\n"),
        ("shapes.wheel.square.side", "shapes:\n  wheel: {{type: square, side: {}}}\n"),
    ],
)
def test_true_and_false_are_no_numbers(name: str, text: str, truth: str) -> None:
    meant = "true" if truth in ("true", "yes") else "false"
    said = fault("robot: q\n" + text.format(truth))
    assert said == f"experiment.yaml:3: {name}: expected a number, not {meant}"


def test_true_and_false_are_read_where_they_are_meant() -> None:
    for truth in (True, False):
        assert read(f"robot: q\nlearning: {{normalize: {truth}}}").learning.normalize is truth
    made = read("robot: q\ncontrol_rate: 1\nlearning: {epochs: 1, layers: [1, 0], weights: {a: 0}}")
    assert made.control_rate == 1.0
    assert made.learning == Learning(epochs=1, layers=(1, 0), weights={"a": 0.0})
    assert (
        Experiment.model_validate(made) == Experiment.model_validate_json(made.model_dump_json()) == made
    )


def test_true_is_no_number_in_python_and_json_either() -> None:
    with pytest.raises(ValidationError, match="expected a number, not true"):
        Learning(epochs=True)
    with pytest.raises(ValidationError, match="expected a number, not true"):
        Learning.model_validate_json('{"layers": [2, true]}')


def test_a_word_out_of_a_list_gets_the_nearest_one() -> None:
    said = fault("robot: q\nlearning:\n  activation: tahn\n")
    assert said == "experiment.yaml:3: learning.activation: no 'tahn': did you mean 'tanh'?"
    said = fault("robot: q\nlearning:\n  activation: 7\n")
    assert said == "experiment.yaml:3: learning.activation: no 7: valid: relu, tanh"


def test_a_kind_that_does_not_exist_gets_the_nearest_one() -> None:
    spoilt = TEXT.replace("type: circle", "type: cicle")
    assert fault(spoilt) == "experiment.yaml:10: shapes.wheel.type: no 'cicle': did you mean 'circle'?"
    spoilt = TEXT.replace("type: circle", "type: 3")
    assert fault(spoilt) == "experiment.yaml:10: shapes.wheel.type: no '3': valid: circle, square"


def test_a_kind_that_is_missing_is_named() -> None:
    spoilt = TEXT.replace("    type: circle\n", "")
    assert fault(spoilt) == "experiment.yaml:9: shapes.wheel.type: Field required"


def test_all_unknown_keys_are_told_each_on_its_line() -> None:
    said = fault("robot: q\nlearning:\n  epoch: 3\n  layer: [3]\n")
    assert [line.partition(": did")[0] for line in said.splitlines()] == [
        "experiment.yaml:3: learning.epoch: unknown key 'epoch'",
        "experiment.yaml:4: learning.layer: unknown key 'layer'",
    ]


def test_a_key_that_is_no_word_is_an_unknown_key() -> None:
    assert "experiment.yaml:2: 7: unknown key '7'" in fault("robot: q\n7: 3\n")
    assert "unknown key '{robot}'" in fault("robot: q\n'{robot}': 3\n")


def test_without_a_document_the_key_alone_is_told() -> None:
    with pytest.raises(UserError, match=r"^learning\.epoch: unknown key 'epoch'.*'epochs'"):
        parse(Experiment, {"robot": "q", "learning": {"epoch": 3}})


def test_a_configuration_cannot_be_changed() -> None:
    experiment = read(TEXT)
    with pytest.raises(ValidationError):
        experiment.robot = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", 3),
        ("a: 1\n\tb: 2\n", 2),
        ("a: 1\nb: 2\na: 3\n", 3),
        ("a:\n  b: 1\n  b: 2\n", 3),
        ("a: 1\nb: *nothing\n", 2),
        ("a: 1\nb: !!python/name:os.system x\n", 2),
        ("a: 1\nb: 2001-99-99\n", 2),
        ("a: 1\nb: 0x_\n", 2),
        ("a: 1\n? [b, c]\n: 2\n", 2),
        ("a: 1\n---\nb: 2\n", 2),
    ],
)
def test_bad_yaml_is_told_with_file_and_line(text: str, line: int) -> None:
    with pytest.raises(UserError, match=rf"^bad\.yaml:{line}: not valid YAML: "):
        Document(text, "bad.yaml")


@pytest.mark.parametrize("text", ["", "- 1\n- 2\n", "just words", "3"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^bad\.yaml: expected keys with values"):
        Document(text, "bad.yaml")


NESTED = "nested too deeply (more than 100 levels), or within itself"


@pytest.mark.parametrize(
    "text",
    [
        "&x {b: *x}",
        "&x [*x]",
        "[&x {b: [*x]}]",
        "[" * 101 + "]" * 101,
        "{b: " * 101 + "}" * 101,
        "[" * 100_000,
        "{b: " * 100_000,
        "[ " * 100_000,
        "[&a0 []" + "".join(f", &a{level} [*a{level - 1}]" for level in range(1, 100)) + "]",
    ],
    ids=lambda text: f"{text[:12]}{len(text)}",
)
def test_deep_and_endless_nesting_is_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        Document(f"a: {text}", "bad.yaml")
    assert str(caught.value) == f"bad.yaml: {NESTED}"
    with pytest.raises(UserError) as caught:
        override({}, [f"a={text}"])
    assert str(caught.value).startswith(f"override 'a={text[:78]}")
    assert str(caught.value).endswith(f": {NESTED}")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("text", ["[" * 99 + "]" * 99, "{b: " * 99 + "}" * 99, "[&x [], *x]"])
def test_nesting_up_to_there_is_read(text: str) -> None:
    assert Document(f"a: {text}", "good.yaml").data == override({}, [f"a={text}"])


def test_an_alias_to_nothing_is_named() -> None:
    with pytest.raises(UserError, match=r"^bad\.yaml:2: .*undefined alias 'nothing'"):
        Document("a: 1\nb: *nothing\n", "bad.yaml")


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UserError, match=r"^bad\.yaml"):
        Document("a: \udcff", "bad.yaml")
    with pytest.raises(UserError):
        override({}, ["key=a: \udcff"])


YAML_LIKE = st.text(alphabet="ab01.:-_{}[]?&*!|>%@'\"#,\n \t<=~eExo+", max_size=60)


@settings(max_examples=400)
@given(YAML_LIKE | st.text(max_size=40) | YAML_LIKE.map(lambda text: f"a: {text}"))
def test_no_text_does_worse_than_a_user_error(text: str) -> None:
    try:
        document = Document(text, "any.yaml")
    except UserError as error:
        assert str(error).startswith("any.yaml")
    else:
        assert isinstance(document.data, dict)


NUMBERS = st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
WORDS = st.text(alphabet=st.characters(max_codepoint=0xD7FF), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_every_json_document_reads_the_same_as_yaml(data: dict[str, Any]) -> None:
    # Written out again, numbers that differ in one bit, or 1.0 and 1, would differ.
    assert json.dumps(Document(json.dumps(data), "any.json").data) == json.dumps(data)


@pytest.mark.parametrize("text", ["1e-3", "1E-3", "1.0e-3", "0.001", "+1e-3", ".001"])
def test_exponents_are_numbers_with_or_without_a_point(text: str) -> None:
    assert Document(f"a: {text}", "any.yaml").data == {"a": 0.001}


def test_files_that_cannot_be_read_are_told_by_name(tmp_path: Path) -> None:
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, reason in [
        (tmp_path / "none.yaml", "no such file"),
        (tmp_path, "directory"),
        (binary, "not a text file"),
    ]:
        with pytest.raises(UserError) as caught:
            read_document(path)
        assert str(path) in str(caught.value)
        assert reason in str(caught.value)


def test_a_file_is_read_with_its_name_in_the_faults(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("robot: qube # Ω\nlearning: {epoch: 3}\n", encoding="utf-8")
    document = read_document(path)
    with pytest.raises(UserError, match=r"mine\.yaml:2: learning\.epoch: .*'epochs'"):
        parse(Experiment, document.data, document)


KEYS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4)


def at(data: Any, keys: list[str]) -> Any:
    for key in keys:
        data = data[key]
    return data


@given(KEYS, VALUES)
def test_an_override_sets_what_it_names_and_nothing_else(keys: list[str], value: Any) -> None:
    data: dict[str, Any] = {"z": {"y": [1, 2]}, "x": 3}
    changed = override(data, [f"{'.'.join(keys)}={json.dumps(value)}"])
    assert json.dumps(at(changed, keys)) == json.dumps(value)
    assert {key: changed[key] for key in data} == data == {"z": {"y": [1, 2]}, "x": 3}


@given(KEYS, VALUES, VALUES)
def test_the_last_override_wins_and_the_mapping_given_stays(
    keys: list[str], first: Any, second: Any
) -> None:
    before = override({}, [f"{'.'.join(keys)}={json.dumps(first)}"])
    kept = json.dumps(before)
    after = override(before, [f"{'.'.join(keys)}={json.dumps(second)}"])
    assert json.dumps(at(after, keys)) == json.dumps(second)
    assert json.dumps(before) == kept


def test_an_override_replaces_one_key_of_a_section() -> None:
    document = Document(TEXT, "experiment.yaml")
    data = override(document.data, ["learning.epochs=2", "shapes.wheel.radius=0.2", "robot='7'"])
    experiment = parse(Experiment, data, document)
    assert experiment.learning == Learning(learning_rate=3e-4, epochs=2, layers=(32, 16))
    assert experiment.shapes["wheel"] == Circle(type="circle", radius=0.2)
    assert experiment.robot == "7"


def test_an_unknown_key_in_an_override_gets_the_nearest_one() -> None:
    document = Document(TEXT, "experiment.yaml")
    with pytest.raises(UserError, match=r"learning\.epoch: unknown key 'epoch': did you mean 'epochs'"):
        parse(Experiment, override(document.data, ["learning.epoch=2"]), document)


@pytest.mark.parametrize(
    ("assignment", "place"),
    [
        ("learning.epochs=1.5", "learning.epochs"),
        ("learning={epochs: 1.5}", "learning.epochs"),
        ("learning.epoch=2", "learning.epoch"),
        ("shapes.wheel.radius=wide", "shapes.wheel.circle.radius"),
        ("shapes.wheel={type: circle}", "shapes.wheel.circle.radius"),
        ("shapes.gear.radius=3", "shapes.gear.type"),
        ("gears.big.radius=3", "gears"),
    ],
)
def test_a_fault_of_an_override_is_said_to_be_its(assignment: str, place: str) -> None:
    document = Document(TEXT, "experiment.yaml")
    data = document.override(["robot=pendulum", assignment, "control_rate=40"])
    with pytest.raises(UserError) as caught:
        parse(Experiment, data, document)
    assert str(caught.value).startswith(f"override {assignment!r}: {place}: ")


def test_a_fault_beside_an_override_keeps_its_line() -> None:
    document = Document(TEXT.replace("[32, 16]", "[32, many]"), "experiment.yaml")
    data = document.override(["learning.epochs=3", "shapes.gear={type: circle, radius: 1}"])
    with pytest.raises(UserError, match=r"^experiment\.yaml:7: learning\.layers\.1: "):
        parse(Experiment, data, document)


@pytest.mark.parametrize("assignment", ["a", "=3", "a..b=3", ".a=3", "a.=3", ""])
def test_an_assignment_of_another_form_is_refused(assignment: str) -> None:
    with pytest.raises(UserError, match="expected key=value"):
        override({}, [assignment])


def test_an_override_does_not_go_below_a_value() -> None:
    with pytest.raises(UserError, match="robot is a value, not a section"):
        override({"robot": "qube"}, ["robot.name=3"])


@pytest.mark.parametrize("value", ["[1", "{", "2001-99-99", "!!python/name:os.system"])
def test_an_override_that_is_no_yaml_is_refused(value: str) -> None:
    with pytest.raises(UserError, match="the value is not valid YAML"):
        override({}, [f"a={value}"])


def test_a_document_over_another_says_what_it_says_and_keeps_the_rest() -> None:
    base = Document("a: 1\nb:\n  c: 2\n  d: {type: x, e: 3}\nf: [1, 2]\ng: 5\n", "base.yaml")
    above = Document("b:\n  c: 4\n  d: {type: y}\nf: [3]\ng: null\n", "above.yaml")
    above.over(base)
    assert above.data == {"a": 1, "b": {"c": 4, "d": {"type": "y"}}, "f": [3]}
    assert base.data["b"]["c"] == 2
    assert above.where(("a",)) == "base.yaml:1"
    assert above.where(("b", "c")) == "above.yaml:2"


def test_a_dot_within_brackets_belongs_to_a_name() -> None:
    assert override({}, ["pins.gravity[z]=1", "pins.centre_of_mass[arm.x]=2", "a.b=3"]) == {
        "pins": {"gravity[z]": 1, "centre_of_mass[arm.x]": 2},
        "a": {"b": 3},
    }


def test_aliases_to_aliases_are_refused_before_they_fill_the_machine() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 12)]
    with pytest.raises(
        UserError, match=r"^bad\.yaml: more than 300,000 entries, aliases counted in full"
    ):
        Document("\n".join(lines), "bad.yaml")
    assert Document("a: &a [1, 2]\nb: *a", "good.yaml").data == {"a": [1, 2], "b": [1, 2]}


def test_a_key_outside_of_its_section_is_told_where_it_belongs() -> None:
    with pytest.raises(UserError, match=r"unknown key 'total_steps': .* section: ppo\.total_steps, .*"):
        load_experiment("qube_swingup", ["total_steps=1000"])
    with pytest.raises(UserError, match="did you mean 'task'"):
        load_experiment("qube_swingup", ["tsk=qube_swingup"])
