"""The command line: what it prints, and that a user's mistake is one message and exit status 2."""

import csv
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import torch

from simreal import __version__
from simreal.cli.main import cli, main
from simreal.contract import Contract
from simreal.experiment import load_experiment
from simreal.train import start_run, train

torch.set_num_threads(1)  # tests run beside each other: more threads would only wait for a core

SIMREAL = Path(sys.executable).with_name("simreal")
TINY = [
    "ppo.simulations=8",
    "ppo.rollout_steps=16",
    "ppo.batch_size=32",
    "episode_length=0.3",
    "train.total_steps=128",
    # A picture for each of all parameters would take matplotlib seconds.
    "randomization={mass: {distribution: {type: uniform, low: 0.8, high: 1.2}}, "
    "motor_strength: {distribution: {type: uniform, low: 0.8, high: 1.2}}}",
]
OPTIONS = [part for each in TINY for part in ("-o", each)]
GOOD_YAML = """\
robot: qube
task: qube_swingup
control_rate: 100
episode_length: 1
rewards: {upright: 1}
observation:
  - {source: joint_position}
action: {scale: 4}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def simreal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process: exit status, output, errors."""

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["simreal", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 0 if stop.code is None else 1
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def mistake(simreal: Run) -> Callable[..., str]:
    """Run a command that is a mistake, and give its one message."""

    def run(*arguments: object) -> str:
        status, output, errors = simreal(*arguments)
        assert status == 2, (output, errors)
        assert "Traceback" not in errors
        assert output == ""
        messages = [line for line in errors.splitlines() if line.lower().startswith("error: ")]
        assert len(messages) == 1, errors
        return errors

    return run


def commands(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*above, name)
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


@pytest.mark.parametrize("command", [(), *commands(cli)], ids=" ".join)
def test_every_command_has_help(command: tuple[str, ...], simreal: Run) -> None:
    for option in ("--help", "-h"):
        status, output, errors = simreal(*command, option)
        assert (status, errors) == (0, "")
        assert output.startswith(f"Usage: simreal {' '.join(command)}".rstrip())
        summary = output.split("\n\n")[1]
        assert len(summary.strip()) > 20


def test_the_version_is_the_packages(simreal: Run) -> None:
    assert simreal("--version") == (0, f"simreal, version {__version__}\n", "")


def test_options_mean_the_same_everywhere() -> None:
    """`-o` changes a configuration, or where there is none names the file that a verb makes."""
    for name, command in cli.commands.items():
        options = [each for each in command.params if isinstance(each, click.Option)]
        short = [max(each.opts, key=len) for each in options if "-o" in each.opts]
        assert short in ([], ["--override"], ["--output"]), name
        pages = [each for each in options if "--report" in each.opts]
        assert all("HTML" in (each.help or "") for each in pages), name


def test_list_names_all_that_can_be_named(simreal: Run) -> None:
    status, output, errors = simreal("list", "--json")
    assert (status, errors) == (0, "")
    found = json.loads(output)
    assert {"qube", "go2", "so101"} <= set(found["robots"])
    assert "qube_swingup" in found["experiments"]
    assert found["agents"] == ["ppo", "recurrent_ppo", "sac", "td3", "dqn", "rainbow", "qrdqn"]
    assert "sim" in found["drivers"]
    assert "mass" in found["parameters of bodies"]
    assert "action_latency_ms" in found["parameters of actuators"]
    assert "encoder_noise" in found["parameters of sensors"]
    status, output, errors = simreal("list")
    assert (status, errors) == (0, "")
    folded = [name for name in found["tasks"] if name.startswith("dm_control/")]
    for names in found.values():
        assert all(name in output for name in names if name not in folded)
    assert "simreal list dm_control" in output
    assert sum(name in output for name in folded) < 3 < len(folded)  # some experiments are of them
    assert len(output.splitlines()) < 200


@pytest.mark.parametrize(
    ("kind", "has", "has_not"),
    [
        ("robots", "so101", "so101_reach"),
        ("tasks", "posture", "dm_control/cartpole-swingup"),
        ("dm_control", "dm_control/cartpole-swingup", "posture"),
        ("parameters", "mass of a body, its inertia in", "feetech"),
        ("drivers", "feetech", "ppo"),
    ],
)
def test_list_tells_of_one_kind(simreal: Run, kind: str, has: str, has_not: str) -> None:
    status, output, errors = simreal("list", kind)
    assert (status, errors) == (0, "")
    assert has in output
    assert has_not not in output


def test_train_export_inspect_evaluate_follow_each_other(simreal: Run, tmp_path: Path) -> None:
    run, policy = tmp_path / "run", tmp_path / "policy.onnx"
    status, output, errors = simreal(
        "train",
        "qube_swingup",
        *OPTIONS,
        "-o",
        "train.total_steps=512",
        "--seed",
        7,
        "--pin",
        "mass[arm]=1.25",
        "--run",
        run,
    )
    assert (status, errors) == (0, "")
    assert f"simreal export {run} -o {run.name}.onnx" in output
    with (run / "episodes.csv").open() as file:
        assert {row["mass[arm]"] for row in csv.DictReader(file)} == {"1.25"}
    status, output, errors = simreal("export", run, "-o", policy)
    assert status == 0 and errors == f"{run}: making the graph, and comparing it with the agent\n"
    assert f"simreal inspect {policy}" in output
    status, output, errors = simreal("inspect", policy, "--json")
    assert (status, errors) == (0, "")
    contract = Contract.from_json(output)
    assert contract.provenance.seed == 7
    status, output, errors = simreal("inspect", policy)
    assert (status, errors) == (0, "")
    assert "reproduced on this machine" in output
    assert all(word in output for word in ("qube", "pendulum", "motor", "mass[arm]", "100 Hz"))
    status, output, errors = simreal("train", "--resume", "--run", run, "-o", "train.total_steps=640")
    assert (status, errors) == (0, "")
    # Of 30 steps each, no episode has ended since the resumption 16 steps ago: those before count.
    assert re.search(r"return [\d.]+, success \d+ % exploring", output)
    assert "nan" not in output
    assert output.count("100 %:") == 1
    assert re.search(
        r"Without exploration, from the task's own start, 64 episodes: success 0.0 %", output
    )
    assert json.loads((run / "run.json").read_text())["steps"] == 640


@pytest.mark.long
def test_evaluate_prints_numbers_for_people_and_programs(
    run_and_policy: tuple[Path, Path],
    simreal: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simreal.cli.progress.SECONDS_APART", math.inf)  # however slow this machine is
    report = tmp_path / "report.html"
    numbers = ["--episodes", 5, "--seed", 2, "--pin", "mass=1.1", "--vary", "motor_strength=0.8:1.2:2"]
    found = []
    for path in run_and_policy:
        status, output, errors = simreal("evaluate", path, *numbers, "--json")
        assert (status, errors) == (0, "")
        found.append(json.loads(output))
    of_run, of_policy = found
    assert of_run["pins"] == {"mass": 1.1}
    assert of_run["episodes"] == 5
    assert [point["value"] for point in of_run["curves"]["motor_strength"]] == [0.8, 1.2]
    assert of_run["mean_return"]["value"] == pytest.approx(of_policy["mean_return"]["value"], rel=0.01)
    status, output, errors = simreal("evaluate", run_and_policy[1], *numbers, "--report", report)
    assert (status, errors) == (0, "")
    assert f"report: {report}\n" in output
    assert report.read_text().startswith("<!doctype html>")
    assert all(word in output for word in ("success", "return", "motor_strength", "time_limit"))
    status, output, errors = simreal(
        "evaluate", run_and_policy[1], "--episodes", 2, "--pin", "mass[arm]=5", "--json"
    )
    assert (status, errors) == (0, "note: mass[arm]=5 is outside the trained range 0.8 to 1.2\n")
    assert json.loads(output)["pins"] == {"mass[arm]": 5.0}


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["evaluat"], "did you mean 'evaluate'"),
        (["bench", "evn"], "'env'"),
        (["evaluate"], "Missing argument"),
        (["train"], "which experiment?"),
        (["train", "qube_swinup"], "did you mean 'qube_swingup'"),
        (["train", "quanser"], "qube_swingup"),
        (["train", "qube_swingup", "-o", "ppo.simulatons=8"], "did you mean 'simulations'?"),
        (["train", "qube_swingup", "-o", "pppo.simulations=8"], "did you mean 'ppo'"),
        (["train", "qube_swingup", "-o", "agent=sacc"], "agent: no 'sacc': did you mean 'sac'?"),
        (
            ["train", "qube_swingup", "-o", "randomization.mass.distribution={type: unifrom}"],
            "'uniform'",
        ),
        (
            ["train", "qube_swingup", "-o", "randomization.masss.distribution.low=0.5"],
            "override 'randomization.masss.distribution.low=0.5': "
            "randomization.masss: no parameter 'masss': did you mean 'mass'?",
        ),
        (["train", "qube_swingup", "-o", "ppo.epochs=true"], "ppo.epochs: expected a number, not true"),
        (["train", "qube_swingup", "--pin", "mass=yes"], "pins.mass: expected a number, not true"),
        (["train", "qube_swingup", "-o", "task=qube_swinup"], "task: no task 'qube_swinup'"),
        (["train", "qube_swingup", "-o", "initial_states.anywere=1"], "did you mean 'anywhere'"),
        (["train", "qube_swingup", "-o", "ppo.simulations=many"], "ppo.simulations"),
        (["train", "qube_swingup", "-o", "ppo.simulations=-1"], "greater than 0"),
        (["train", "qube_swingup", "-o", "ppo"], "expected key=value"),
        (["train", "qube_swingup", "-o", "agent.x=1"], "agent is a value, not a section"),
        (["train", "qube_swingup", "-o", "rewards.uprihgt=1"], "did you mean 'upright'"),
        (["train", "qube_swingup", "-o", "robot=qubee"], "qube"),
        (["train", "qube_swingup", "-o", "control_rate=99"], "nearest: 100 Hz"),
        (["train", "qube_swingup", "--pin", "masss=1"], "did you mean 'mass'"),
        (["train", "qube_swingup", "--pin", "mass"], "key=value"),
        (["train", "qube_swingup", "--seed", "-1"], "--seed"),
        (["train", "qube_swingup", "--seed", str(2**32)], "seed 4294967296: at most 4294967295"),
        (["train", "qube_swingup", "--sed", "1"], "--seed"),
        (
            ["train", "qube_swingup", "-o", "ppo.hidden_layers=[100000, 100000]"],
            "ppo: hidden_layers: 10,000,100,000 weights between 100000 and 100000; at most 67,108,864",
        ),
        (["train", "--resume"], "--resume needs --run"),
        (["train", "--resume", "--run", "nowhere"], "nowhere: not a run folder"),
        (["train", "none.yaml"], "none.yaml: no such file"),
        (["evaluate", "none.onnx"], "none.onnx: no such run folder"),
        (["inspect", "none.onnx"], "none.onnx: no such file"),
        (["export", "nowhere"], "nowhere: not a run folder"),
        (["deploy", "none.onnx"], "none.onnx: no such file"),
        (["bench", "env", "--experiment", "qube_swinup"], "did you mean 'qube_swingup'"),
        (["bench", "solve", "--agent", "pp"], "'ppo'"),
        (["list", "--jsn"], "--json"),
        (["design", "qube", "--parameters", " , "], "--parameters ' , ': no name in it, such as"),
        (
            ["design", "qube", "--parameters", "mass", "--rate", "4"],
            "too slow for sines of 5 Hz: at least 10",
        ),
        (["identify", "qube", "--log", "x.npz", "--parameters", "kp=a:b"], "kp=a:b: expected bounds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_answered_with_what_is_meant(
    arguments: list[str],
    hint: str,
    mistake: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert hint in mistake(*arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "overrides",
    [
        ["-o", "ppo.simulations=2147483647"],
        ["-o", "agent=sac", "-o", "sac.replay_size=1000000000000000"],
        ["-o", "agent=recurrent_ppo", "-o", "recurrent_ppo.memory=100000000000000"],
    ],
    ids=["simulations", "replay", "networks"],
)
def test_what_takes_more_memory_than_there_is_is_told_in_one_line(
    overrides: list[str], simreal: Run, tmp_path: Path
) -> None:
    status, _, told = simreal("train", "qube_swingup", *overrides, "--run", tmp_path / "run")
    assert status == 2
    assert told.startswith("error: not enough memory: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "override", ["train=5", "agent=sac", "train.checkpoint_every=5", "train.total_steps=-5"]
)
def test_a_resumed_run_keeps_its_configuration(
    override: str, run_and_policy: tuple[Path, Path], mistake: Callable[..., str]
) -> None:
    message = mistake("train", "--resume", "--run", run_and_policy[0], "-o", override)
    assert "total_steps" in message
    for extra in (["--pin", "mass=1"], ["--seed", "5"], ["qube_swingup"]):
        assert "as it is" in mistake("train", *extra, "--resume", "--run", run_and_policy[0])


def test_a_run_does_not_end_before_where_it_is(
    run_and_policy: tuple[Path, Path], mistake: Callable[..., str]
) -> None:
    message = mistake("train", "--resume", "--run", run_and_policy[0], "-o", "train.total_steps=599")
    assert "has trained 640 steps already; it can end there or later" in message


def test_a_run_that_was_stopped_may_end_there(simreal: Run, tmp_path: Path) -> None:
    run = start_run(
        load_experiment("qube_swingup", [*TINY, "train.total_steps=600"]), 0, tmp_path / "run"
    )
    train(run, stop_early=lambda agent: agent.num_timesteps >= 256)
    with run.changing_facts() as facts:
        facts.finished = False  # as Ctrl-C leaves it
    kept = run.steps_kept()
    assert run.unfinished and 0 < kept < 600
    status, output, _ = simreal(
        "train", "--resume", "--run", run.path, "-o", f"train.total_steps={kept}"
    )
    assert status == 0 and "done." in output
    assert run.unfinished is None and run.steps_kept() == run.total_steps == kept


def test_a_training_says_that_it_explores_and_what_it_rounds(simreal: Run, tmp_path: Path) -> None:
    steps = ["-o", "train.total_steps=130"]
    status, output, errors = simreal(
        "train", "qube_swingup", *OPTIONS, *steps, "--run", tmp_path / "run"
    )
    assert (status, errors) == (0, "")
    assert "256 steps (130 rounded up to whole rollouts)" in output
    assert "Training explores" in output
    assert output.count("100 %:") == 1


def test_a_folder_that_is_there_is_refused(
    run_and_policy: tuple[Path, Path], mistake: Callable[..., str]
) -> None:
    before = sorted(run_and_policy[0].rglob("*"))
    assert "exists already" in mistake("train", "qube_swingup", *OPTIONS, "--run", run_and_policy[0])
    assert sorted(run_and_policy[0].rglob("*")) == before


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("rewards: {upright: 1}", "rewards: {upright: 1", 6, "not valid YAML"),
        ("episode_length", "episode_lenght", 4, "did you mean 'episode_length'"),
        ("{upright: 1}", "{upright: high}", 5, "number"),
        ("{upright: 1}", "{upright: true}", 5, "number"),
        ("{upright: 1}", "\n  uprihgt: 1", 6, "did you mean 'upright'"),
        ("task: qube_swingup", "task: qube_swinup", 2, "did you mean 'qube_swingup'"),
        (
            "control_rate: 100",
            "randomization:\n  mas: {distribution: {low: 1}}",
            4,
            "did you mean 'mass'",
        ),
        ("control_rate: 100", "control_rate: 100\nagent: ppoo", 4, "did you mean 'ppo'"),
        ("source: joint_position", "source: joint_postion", 7, "joint_position"),
        ("source: joint_position", "sorce: joint_position", 7, "did you mean 'source'"),
        ("control_rate: 100", "control_rate: 100\ncontrol_rate: 50", 4, "twice"),
        ("control_rate: 100", "\tcontrol_rate: 100", 3, "not valid YAML"),
        ("control_rate: 100", "control_rate: -100", 3, "greater than 0"),
    ],
)
def test_bad_yaml_is_named_with_file_and_line(
    old: str, new: str, line: int, message: str, mistake: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD_YAML.replace(old, new))
    found = mistake("train", path, "--run", tmp_path / "run")
    assert f"{path}:{line}: " in found
    assert message in found
    assert not (tmp_path / "run").exists()


def test_all_faults_of_a_file_are_told_at_once(mistake: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        GOOD_YAML.replace("episode_length: 1", "episode_length: 0").replace("scale", "skale")
    )
    found = mistake("train", path)
    assert f"{path}:4: " in found
    assert f"{path}:8: " in found


def test_an_own_file_trains(simreal: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(GOOD_YAML)
    status, _, errors = simreal("train", tmp_path / "mine.yaml", *OPTIONS, "--run", tmp_path / "run")
    assert (status, errors) == (0, "")


def test_a_folder_of_the_same_name_does_not_hide_an_experiment(
    simreal: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "qube_swingup").mkdir()
    status, _, errors = simreal("train", "qube_swingup", *OPTIONS, "--run", "qube_swingup")
    assert (status, errors) == (0, "")


WRONG_FILES = {
    "picture.png": (b"\x89PNG\r\n\x1a\n\0\0", "a PNG picture"),
    "flight.mcap": (b"\x89MCAP0\r\n\0", "an MCAP log"),
    "model.zip": (b"PK\x03\x04\0", "a zip file"),
    "page.html": (b"<html>", "an XML or HTML file"),
    "data.json": (b'{"a": 1}', "a JSON file"),
    "empty.onnx": (b"", "an empty file"),
    "broken.onnx": (b"\x08\x08\x12\x00\xff\xfe\x00", "ONNX file"),
    "notes.txt": (b"hello", "a text file"),
    "mine.yaml": (GOOD_YAML.encode(), "YAML"),
}


@pytest.mark.parametrize("name", sorted(WRONG_FILES))
def test_the_wrong_kind_of_file_is_named(name: str, mistake: Callable[..., str], tmp_path: Path) -> None:
    path = tmp_path / name
    content, kind = WRONG_FILES[name]
    path.write_bytes(content)
    for verb in ("inspect", "evaluate", "deploy"):
        message = mistake(verb, path)
        assert f"{path}: {kind}" in message or (str(path) in message and kind in message)
    assert f"{path}: not a run folder" in mistake("export", path)
    assert "not a run folder" in mistake("train", "--resume", "--run", path)


def test_another_wrong_thing_is_named(
    run_and_policy: tuple[Path, Path], mistake: Callable[..., str], tmp_path: Path
) -> None:
    run, policy = run_and_policy
    assert "simreal export" in mistake("inspect", run)
    assert "not a run folder" in mistake("evaluate", tmp_path)
    assert "not a run folder" in mistake("export", policy)
    assert "policy.onnx" in mistake("train", policy)
    assert "mass=heavy" in mistake("evaluate", policy, "--pin", "mass=heavy")
    assert "did you mean 'mass'" in mistake("evaluate", policy, "--pin", "mas=1")
    assert "low:high:count" in mistake("evaluate", policy, "--vary", "mass=1")
    assert "did you mean 'mass'" in mistake("evaluate", policy, "--vary", "mas=0.8:1.2:2")
    assert "--episodes" in mistake("evaluate", policy, "--episodes", 0)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in mistake("train", "qube_swingup", "--run", tmp_path / "file" / "run")


def test_names_with_brackets_are_printed_as_they_are(
    mistake: Callable[..., str], tmp_path: Path
) -> None:
    path = tmp_path / "[bold]x[/red].onnx"
    assert str(path) in mistake("inspect", path)


@pytest.mark.long
def test_a_missing_extra_is_one_line_that_names_it() -> None:
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('torch', 'stable_baselines3', 'gymnasium', 'matplotlib', 'onnx'):\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from simreal.cli.main import main\n"
        "main()"
    )
    for arguments in (["train", "qube_swingup"], ["demo"]):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert re.fullmatch(r"error: this needs \w+: pip install 'simreal\[train\]'\n", done.stderr)
        assert done.stdout == ""


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [SIMREAL, "list", "--json"], stdout=write_end, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write_end)
    assert "Traceback" not in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_full_disk_behind_the_output_is_told_in_one_line(options: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [SIMREAL, "list", *options], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 2
    assert done.stderr == "error: the output, or another file: No space left on device\n"


def test_lint_tells_faults_with_their_lines_and_by_its_exit_status(simreal: Run, tmp_path: Path) -> None:
    assert simreal("lint", "qube_swingup", *OPTIONS) == (0, "nothing found\n", "")
    path = tmp_path / "mine.yaml"
    warned = (
        "randomization:\n"
        "  encoder_noise: {distribution: {type: uniform, low: 0, high: 0}}\n"
        "  mass: {target: pendulum, distribution: {type: uniform, low: 0.8, high: 1.2}}\n"
    )
    path.write_text(GOOD_YAML + warned)
    status, output, errors = simreal("lint", path)
    assert (status, errors) == (0, "")
    assert f"{path}:10: warning [no-effect]\n" in output
    assert "0 errors, 1 warning" in output
    path.write_text(GOOD_YAML + warned.replace("pendulum", "pendolum"))
    status, output, errors = simreal("lint", path)
    assert (status, errors) == (1, "")
    assert f"{path}:11: error [name]\n" in output
    assert "mend: did you mean 'pendulum'?" in output
    status, output, errors = simreal("lint", path, "--json")
    assert (status, errors) == (1, "")
    found = json.loads(output)
    assert [each["severity"] for each in found] == ["error", "warning"]
    assert set(found[0]) == {"severity", "check", "where", "what", "mend"}


def test_a_training_is_refused_for_errors_and_warns_of_the_rest(
    simreal: Run, mistake: Callable[..., str], tmp_path: Path
) -> None:
    without_air = "randomization={wind: {distribution: {type: uniform, low: -1, high: 1}}}"
    run = tmp_path / "run"
    message = mistake("train", "qube_swingup", *OPTIONS, "-o", without_air, "--run", run)
    assert "wind does nothing without air_density or air_viscosity" in message
    assert not run.exists()
    of_nothing = "randomization={mass: {distribution: {type: constant, value: 1}}}"
    status, _, errors = simreal("train", "qube_swingup", *OPTIONS, "-o", of_nothing, "--run", run)
    assert status == 0
    assert errors.count("warning [no-effect]: scale 1 leaves mass as it is") == 1
