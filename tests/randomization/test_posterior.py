import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from simreal.errors import UserError
from simreal.randomization.posterior import (
    Posterior,
    is_uncovered,
    read_posterior,
    refuse_twice,
    sources_of,
    write_posterior,
)

GOOD = """\
format: simreal-posterior
version: 1
robot: qube
parameters:
- {name: 'mass[arm]', unit: '1', operation: scale, low: 0.5, high: 2.0}
- {name: action_latency_ms, unit: ms, operation: absolute, low: 0, high: 30}
samples:
- [1.08, 11.2]
- [1.11, 12.9]
- [0.97, 1e1]
weights: [0.4, 0.6, 0]
sources:
- {file: a.mcap, sha256: SHA}
provenance: three windows of 1 s
""".replace("SHA", "0123456789abcdef" * 4)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def posteriors(draw: st.DrawFn) -> Posterior:
    names = draw(st.lists(st.text(min_size=1), min_size=1, max_size=4, unique=True))
    row = st.tuples(*[NUMBERS] * len(names))
    samples = draw(st.lists(row, min_size=1, max_size=6))
    weights = st.lists(st.floats(0, 1e300), min_size=len(samples), max_size=len(samples)).filter(any)
    columns = list(zip(*samples, strict=True))
    parameters = [
        {
            "name": name,
            "unit": draw(st.text()),
            "operation": draw(st.sampled_from(["absolute", "scale", "add"])),
            "low": min(column),
            "high": max(column),
        }
        for name, column in zip(names, columns, strict=True)
    ]
    source = st.fixed_dictionaries(
        {"file": st.text(), "sha256": st.text("0123456789abcdef", min_size=64, max_size=64)}
    )
    return Posterior.model_validate(
        {
            "robot": draw(st.text() | st.sampled_from(["1e5", "no", "~", "0x10", "1_0", ".inf"])),
            "parameters": parameters,
            "samples": samples,
            "weights": draw(st.none() | weights),
            "sources": draw(st.lists(source, max_size=2)),
            "provenance": draw(st.text()),
        }
    )


@settings(max_examples=50)
@given(posteriors())
def test_what_is_written_reads_back_to_the_bit(
    tmp_path_factory: pytest.TempPathFactory, posterior: Posterior
) -> None:
    path = tmp_path_factory.mktemp("round") / "identified.yaml"
    write_posterior(path, posterior)
    assert read_posterior(path) == posterior
    assert yaml.safe_load(path.read_text()).keys() >= {"format", "version", "robot", "samples"}


def test_a_file_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    path.write_text(GOOD)
    posterior = read_posterior(path)
    assert posterior.names == ["mass[arm]", "action_latency_ms"]
    assert posterior.parameters[1].unit == "ms"
    assert posterior.parameters[1].operation == "absolute"
    samples, weights = posterior.weighted_samples()
    assert samples.tolist() == [[1.08, 11.2], [1.11, 12.9]]  # the third weighs nothing
    assert weights.tolist() == [0.4, 0.6]
    assert posterior.sources[0].file == "a.mcap"


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("format: simreal-posterior\n", "", None, "not a posterior file"),
        ("simreal-posterior", "rosbag", None, "not a posterior file"),
        ("version: 1", "version: 2", 2, "version 2 of the format, this simreal reads version 1"),
        ("version: 1\n", "", None, "this simreal reads version 1"),
        ("robot: qube\n", "", None, "robot: Field required"),
        ("robot: qube", "robto: qube", 3, "did you mean 'robot'"),
        ("operation: scale", "operation: times", 5, "scale"),
        ("low: 0.5, high: 2.0", "low: 2.0, high: 0.5", 5, "low 2 is above high 0.5"),
        ("action_latency_ms", "'mass[arm]'", 4, "mass[arm] stands here twice"),
        ("- [1.11, 12.9]", "- [1.11]", 9, "1 numbers for 2 parameters"),
        ("- [1.11, 12.9]", "- [1.11, 12.9, 3]", 9, "3 numbers for 2 parameters"),
        ("- [1.11, 12.9]", "- [1.11, .nan]", 9, "finite"),
        ("- [1.11, 12.9]", "- [-.inf, 12.9]", 9, "finite"),
        ("- [1.11, 12.9]", "- [1.11, fast]", 9, "number"),
        ("- [1.11, 12.9]", "- 1.11", 9, "expected a list"),
        ("- [1.11, 12.9]", "- [2.5, 12.9]", 9, "mass[arm] is 2.5, outside 0.5 to 2"),
        ("- [1.08, 11.2]\n- [1.11, 12.9]\n- [0.97, 1e1]", "  []", 7, "needs at least one"),
        ("[0.4, 0.6, 0]", "[0.4, 0.6]", 11, "2 weights for 3 samples"),
        ("[0.4, 0.6, 0]", "[0.4, -0.6, 0]", 11, "greater than or equal to 0"),
        ("[0.4, 0.6, 0]", "[0, 0, 0]", 11, "all are zero"),
        ("sha256: 0123", "sha256: 012", 13, "sha256"),
        ("- {file: a.mcap, ", "- {file: a.mcap, size: 3, ", 13, "unknown key 'size'"),
        ("provenance: ", "provenance: !!python/object/apply:os.getcwd []", 14, "not valid YAML"),
        ("provenance", "robot", 14, "twice"),
    ],
)
def test_a_fault_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, line: int | None, reason: str
) -> None:
    path = tmp_path / "identified.yaml"
    assert GOOD.count(old) >= 1
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as error:
        read_posterior(path)
    message = str(error.value)
    assert reason in message
    assert message.startswith(f"{path}:{line}: " if line else f"{path}: ")
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("content", [b"", b"\x89PNG\xff", b"- 1\n", b"samples: [[1,"])
def test_what_is_not_a_posterior_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "identified.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match=str(path)):
        read_posterior(path)


def test_a_missing_file_says_where_relative_paths_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as relative:
        read_posterior(Path("identified.yaml"))
    assert str(relative.value) == f"identified.yaml: no such file (relative paths start at {tmp_path})"
    with pytest.raises(UserError, match=r"no such file$"):
        read_posterior(tmp_path / "identified.yaml")


def test_a_relative_path_means_the_file_of_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files are read once, but not one for another."""
    for robot in ("qube", "cube"):
        (tmp_path / robot).mkdir()
        path = tmp_path / robot / "identified.yaml"
        path.write_text(GOOD.replace("qube", robot))
        os.utime(path, (0, 0))  # alike in age and size
    for robot in ("qube", "cube"):
        monkeypatch.chdir(tmp_path / robot)
        assert read_posterior(Path("identified.yaml")).robot == robot


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    path.write_text(GOOD)
    first = read_posterior(path)
    assert read_posterior(path) is first
    write_posterior(path, first.model_copy(update={"robot": "cube"}))  # as long as before
    assert read_posterior(path).robot == "cube"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_a_user_error(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    path.write_text(GOOD)
    posterior = read_posterior(path)
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="cannot be written"):
        write_posterior(path, posterior)


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "identified.yaml"
    path.write_text(GOOD)
    posterior = read_posterior(path)
    folder = tmp_path / "identified.yaml" / "below.yaml"
    with pytest.raises(UserError, match="cannot be written"):
        write_posterior(folder, posterior)
    assert path.read_text() == GOOD
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "changes", [{"samples": [[1.0]]}, {"samples": []}, {"weights": [1.0]}, {"parameters": []}]
)
def test_a_posterior_made_in_python_is_checked_too(changes: dict[str, Any]) -> None:
    data = yaml.safe_load(GOOD.replace("1e1", "1.0"))
    Posterior.model_validate(data)
    with pytest.raises(ValidationError):
        Posterior.model_validate(data | changes)


def test_logs_of_the_same_content_are_both_named(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.mcap", "b.mcap", "copy.mcap")]
    for path, content in zip(paths, ("one", "two", "one"), strict=True):
        path.write_text(content)
    refuse_twice(paths[:2], sources_of(paths[:2]), "why")
    for twice in (paths, [paths[0], paths[0]]):
        with pytest.raises(UserError) as raised:
            refuse_twice(twice, sources_of(twice), "why")
        assert str(raised.value).startswith(f"{twice[-1]}: the same content as {paths[0]}, and why:")


@pytest.mark.parametrize(
    ("coverage", "uncovered"), [(None, False), (0.0, True), (0.5, True), (0.501, False), (1.0, False)]
)
def test_robots_that_cover_half_or_less_are_uncovered(coverage: float | None, uncovered: bool) -> None:
    assert is_uncovered(coverage) == uncovered
