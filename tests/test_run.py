"""The run folder: made once, claimed by one process, with tables that survive being cut."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.run import EPISODE_COLUMNS, Run, Table, last_episodes

EXPERIMENT = load_experiment("qube_swingup", ["agent=td3", "pins.mass=1.1"])


def rows_of(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_a_run_reads_back_what_it_was_made_of(tmp_path: Path) -> None:
    made = Run.create(tmp_path / "new" / "run", EXPERIMENT, seed=2**32 - 1)
    run = Run.open(made.path)
    assert run.experiment() == EXPERIMENT
    assert run.seed == 2**32 - 1
    assert {"python", "simreal", "mujoco", "torch"} <= set(run.facts().versions)
    with run.changing_facts() as facts:
        facts.steps = 7
    assert (run.facts().steps, run.seed) == (7, 2**32 - 1)


def test_sections_of_agents_that_a_run_is_not_of_may_be_of_another_version(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, seed=7)
    config = run.path / "config.yaml"
    data = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump(data | {"rma": {"of_old": 1}, "sac": {"of_old": 1}}))
    read = run.experiment()
    assert (read.agent, read.agent_config) == (EXPERIMENT.agent, EXPERIMENT.agent_config)


def test_a_name_is_chosen_where_none_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = Run.create(None, EXPERIMENT, seed=5)
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith("qube_swingup_td3_")
    assert run.path.name.endswith("_seed5")


def test_a_task_that_fits_any_robot_names_no_folder_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    of_mast = EXPERIMENT.model_copy(update={"task": "posture", "robot": "mast"})
    assert Run.create(None, of_mast, seed=5).path.name.startswith("mast_posture_td3_")


def test_what_stands_there_already_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    for path in (tmp_path, tmp_path / "note.txt"):
        with pytest.raises(UserError, match="exists already"):
            Run.create(path, EXPERIMENT, 0)
    assert [each.name for each in tmp_path.iterdir()] == ["note.txt"]
    (tmp_path / "empty").mkdir()
    assert Run.create(tmp_path / "empty", EXPERIMENT, 0).seed == 0


@pytest.mark.parametrize("before", ["nothing", "folder", "link"])
def test_what_is_taken_away_is_the_run_and_not_the_folder_that_stood_there(
    before: str, tmp_path: Path
) -> None:
    path, place = tmp_path / "run", tmp_path / "elsewhere"
    if before == "folder":
        path.mkdir()
    elif before == "link":
        place.mkdir()
        path.symlink_to(place)
    run = Run.create(path, EXPERIMENT, seed=0)
    with run.lock():
        for _ in range(2):  # who takes away what is gone is told nothing
            run.take_away()
    assert path.exists() == (before != "nothing")
    assert path.is_symlink() == (before == "link")
    assert not path.exists() or not list(path.iterdir())
    Run.create(path, EXPERIMENT, seed=0)


@pytest.mark.parametrize(
    ("kept", "error"), [(True, KeyError), (False, KeyError), (False, KeyboardInterrupt)]
)
def test_a_new_run_of_which_nothing_came_is_taken_away(
    kept: bool, error: type[BaseException], tmp_path: Path
) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, seed=0)
    with pytest.raises(error), run.taken_away_on_failure(lambda: kept):
        raise error
    assert run.path.exists() == (kept or error is KeyboardInterrupt)  # who interrupts may go on
    if run.path.exists():
        with pytest.raises(error), run.taken_away_on_failure():
            raise error
        assert run.path.exists() == (error is KeyboardInterrupt)


def test_who_holds_a_folder_may_claim_it_again(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, seed=0)
    with run.lock():
        with run.lock():
            pass
        with pytest.raises(UserError, match="another process"), Run(run.path).lock():
            pass
    with Run(run.path).lock():
        pass


def test_a_folder_that_cannot_be_made_is_a_readable_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Run.create(tmp_path / "file" / "run", EXPERIMENT, 0)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        *(f'{{"seed": {each}}}' for each in ('"x"', -1, 2**32, "true")),
    ],
)
def test_a_damaged_folder_is_a_readable_error(content: str, tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, 0)
    (run.path / "run.json").write_text(content)
    with pytest.raises(UserError, match=r"run\.json: cannot be read"):
        assert Run.open(run.path).seed == 0


def test_other_folders_and_files_are_no_runs(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path(__file__)):
        with pytest.raises(UserError, match=r"not a run folder \(no config.yaml and run.json in it\)$"):
            Run.open(path)


def test_the_nearest_run_is_named_and_an_exported_policy_is_known(tmp_path: Path) -> None:
    Run.create(tmp_path / "qube", EXPERIMENT, seed=0)
    with pytest.raises(UserError, match=r"not a run folder .*; beside it: did you mean 'qube'"):
        Run.open(tmp_path / "qub")
    with pytest.raises(UserError, match="an exported policy: give the folder of its run"):
        Run.open(tmp_path / "qube.onnx")


def test_a_contract_that_is_missing_or_damaged_is_a_readable_error(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, 0)
    with pytest.raises(UserError, match=r"contract\.json"):
        run.contract()
    (run.path / "contract.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(UserError, match=r"contract\.json"):
        run.contract()


def test_the_latest_checkpoint_is_the_one_of_most_steps(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, 0)
    with pytest.raises(UserError, match="no checkpoint"):
        run.latest_checkpoint()
    for steps in (999, 1000, 20, 3_000_000_000):
        run.checkpoint_path(steps).write_text("")
    (run.checkpoints / "step_x.pt").write_text("")
    (run.checkpoints / ".step_9999999999999.pt.17.partial").write_text("")
    assert run.latest_checkpoint() == run.checkpoint_path(3_000_000_000)
    (run.checkpoints / "step_x.pt").unlink()
    run.prune_checkpoints(keep=2)
    left = {path.name for path in run.checkpoints.glob("step*")}
    assert left == {run.checkpoint_path(3_000_000_000).name, run.checkpoint_path(1000).name}


def test_one_process_at_a_time_trains_in_a_folder(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", EXPERIMENT, 0)
    program = (
        "import pathlib, sys, simreal.run as r\n"
        "with r.Run(pathlib.Path(sys.argv[1])).lock():\n"
        "    print('locked', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(run.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None
    assert other.stdout.readline() == "locked\n"
    with pytest.raises(UserError, match="another process is training here"), run.lock():
        pass
    other.kill()  # a killed process holds nothing
    other.communicate()
    with run.lock(), pytest.raises(UserError, match="another process"), Run.open(run.path).lock():
        pass
    with run.lock():
        pass


tables = st.lists(
    st.tuples(st.integers(0, 50), st.floats(allow_nan=False), st.text(max_size=5)), max_size=12
)


@given(before=tables, after=tables, cut=st.integers(0, 50))
def test_a_table_goes_on_after_a_step_with_no_row_lost_or_twice(
    before: list[tuple[int, float, str]],
    after: list[tuple[int, float, str]],
    cut: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.getbasetemp() / "table.csv"
    first = Table(path, ["number", "text"])
    for step, number, text in before:
        first.add(step, [repr(number), text])
    first.close()
    second = Table(path, ["number", "text"], after_step=cut)
    # A kill from here on costs none of the rows that are kept.
    kept = [[str(step), repr(number), text] for step, number, text in before if step <= cut]
    assert rows_of(path) == [["step", "number", "text"], *kept]
    for step, number, text in after:
        second.add(step, [repr(number), text])
    second.close()
    found = rows_of(path)
    assert found[1:] == kept + [[str(step), repr(number), text] for step, number, text in after]
    assert [float(row[1]) for row in found[1 + len(kept) :]] == [number for _, number, _ in after]


@given(rows=st.integers(1, 5), cut=st.integers(1, 200))
def test_a_table_that_was_cut_in_a_row_loses_that_row_alone(
    rows: int, cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "cut.csv"
    table = Table(path, ["number", "text"])
    for step in range(rows):
        table.add(step, [0.5 + step, "x"])
    table.close()
    whole = path.read_bytes()
    path.write_bytes(whole[:-cut] if cut < len(whole) else b"")
    complete = path.read_bytes().count(b"\r\n") - 1
    Table(path, ["number", "text"], after_step=complete - 1).close()
    expected = [[str(step), str(0.5 + step), "x"] for step in range(complete)]
    assert rows_of(path) == [["step", "number", "text"], *expected]


@pytest.mark.parametrize(
    "row", [b"soon,1,2.0,3,0.5,1,limit", b"7,1,much,3,0.5,1,limit", b"7,1,2.0,3,0.5,1,\xff"]
)
def test_damaged_episodes_are_told_and_left_as_they_are(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "episodes.csv"
    path.write_bytes(",".join(["step", *EPISODE_COLUMNS]).encode() + b"\r\n" + row + b"\r\n")
    with pytest.raises(UserError, match=r"episodes\.csv: damaged: .*goes on with a new one"):
        Table(path, list(EPISODE_COLUMNS), after_step=9).close()
        last_episodes(path, 5)
    assert path.read_bytes().endswith(row + b"\r\n")


def test_a_table_begins_anew_unless_it_goes_on(tmp_path: Path) -> None:
    for _ in range(2):
        table = Table(tmp_path / "t.csv", ["x"])
        table.add(3, [1])
        table.close()
    assert rows_of(tmp_path / "t.csv") == [["step", "x"], ["3", "1"]]
