"""What ``run.json`` says, of this version, of others, and as somebody may have sent it."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.run import Run
from simreal.run_facts import Adapted, RunFacts, read_facts, write_facts

WORDS = st.text("abc_é", min_size=1, max_size=4)
NUMBERS = st.floats(allow_nan=False) | st.integers(-5, 5)
COUNTS = st.integers(0, 2**40)
NEW = st.recursive(
    st.none() | st.booleans() | COUNTS | WORDS, lambda below: st.lists(below, max_size=2), max_leaves=3
)
UNKNOWN = st.dictionaries(WORDS.map("new_{}".format), NEW, max_size=2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a run, and not a neighbour of other tests' folders, among which runs are looked for."""
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


def section(**entries: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Some of these entries, and some that this version does not know."""
    some = st.fixed_dictionaries({}, optional=entries)
    return st.tuples(some, UNKNOWN).map(lambda both: both[0] | both[1])


FILE = section(file=WORDS, sha256=WORDS)
ROBOT = section(
    seconds=NUMBERS,
    episodes=COUNTS,
    falls=COUNTS,
    width=NUMBERS,
    drivers=st.lists(WORDS, max_size=2),
    better=st.booleans(),
    trial=WORDS,
)
ADAPTED = section(
    method=WORDS,
    base=WORDS,
    base_sha256=WORDS,
    base_steps=COUNTS,
    identified=section(file=WORDS, sha256=WORDS, logs=st.lists(FILE, max_size=2)),
    old_share=NUMBERS,
    residual=st.none() | FILE,
    config=UNKNOWN,
    seed=COUNTS,
    logs=st.lists(section(name=WORDS, sha256=WORDS), max_size=2),
    transitions=COUNTS,
    coverage=st.dictionaries(WORDS, st.lists(NUMBERS, min_size=2, max_size=2), max_size=2),
    robot=ROBOT,
)
FACTS = section(
    versions=st.dictionaries(WORDS, WORDS, max_size=2),
    adapted=ADAPTED,
    total_steps=COUNTS,
    steps=COUNTS,
    finished=st.booleans(),
    stopped=WORDS,
    kept_back=st.lists(WORDS, max_size=2),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=FACTS, seed=st.integers(0, 2**32 - 1), steps=COUNTS)
def test_what_is_known_and_what_is_not_comes_through_a_change(
    content: dict[str, Any], seed: int, steps: int, folder: Path
) -> None:
    path = folder / "run.json"
    path.write_text(json.dumps(content | {"seed": seed}), "utf-8")
    facts = read_facts(path)
    write_facts(path, facts)
    assert json.loads(path.read_text("utf-8")) == content | {"seed": seed}
    assert read_facts(path) == facts
    with Run(folder).changing_facts() as changing:
        changing.steps = steps
    assert json.loads(path.read_text("utf-8")) == content | {"seed": seed, "steps": steps}


def test_what_a_file_does_not_say_has_a_default(folder: Path) -> None:
    (folder / "run.json").write_text('{"seed": 0, "adapted": {"robot": {}}}')
    facts = Run(folder).facts()
    assert (facts.finished, facts.kept_back, facts.versions) == (None, None, {})
    assert facts.adapted is not None and facts.adapted.robot is not None
    assert (facts.adapted.method, facts.adapted.robot.better) == ("", False)


@pytest.mark.parametrize(
    ("content", "key"),
    [
        ({}, "seed"),
        ({"seed": 0.5}, "seed"),
        ({"seed": 0, "total_steps": "x"}, "total_steps"),
        ({"seed": 0, "finished": "no"}, "finished"),
        ({"seed": 0, "versions": {"torch": 2}}, "versions.torch"),
        ({"seed": 0, "kept_back": "it fell"}, "kept_back"),
        ({"seed": 0, "adapted": ["finetune"]}, "adapted"),
        ({"seed": 0, "adapted": {"robot": {"better": "yes"}}}, "adapted.robot.better"),
        ({"seed": 0, "adapted": {"coverage": {"amount": [1]}}}, "adapted.coverage.amount"),
    ],
)
def test_a_value_of_another_type_is_refused_by_file_and_key(
    content: dict[str, Any], key: str, folder: Path
) -> None:
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(UserError) as caught:
        Run(folder).facts()
    assert str(caught.value).startswith(f"{folder / 'run.json'}: cannot be read: {key}")


def test_nothing_is_written_where_a_change_fails(folder: Path) -> None:
    write_facts(folder / "run.json", RunFacts(seed=3))
    with pytest.raises(KeyError), Run(folder).changing_facts() as facts:
        facts.steps = 7
        raise KeyError
    assert json.loads((folder / "run.json").read_text()) == {"seed": 3}
    with pytest.raises(ValueError, match="method"):
        Adapted().method = 3  # type: ignore[assignment]
