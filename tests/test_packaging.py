"""What a wheel installs: base dependencies alone can inspect and deploy, with `[train]` it can train."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
TRAINING = ("torch", "stable_baselines3", "gymnasium", "matplotlib", "onnx", "onnxscript", "tensorboard")

pytestmark = pytest.mark.long


def run(*command: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(each) for each in command],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        env=environment,
    )
    assert done.returncode == status, (command, done.stdout[-3000:], done.stderr[-3000:])
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel that was built from the tracked and new files of the checkout, not from its caches."""
    source, made = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    listed = run("git", "-C", CHECKOUT, "ls-files", "--cached", "--others", "--exclude-standard", "-z")
    for name in filter(None, listed.stdout.split("\0")):
        if (CHECKOUT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((CHECKOUT / name).read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", made, source)
    (path,) = made.glob("simreal-*.whl")
    return path


def clean_environment(folder: Path, requirement: object) -> Path:
    """The `bin` folder of a new virtual environment in which nothing but a requirement is installed."""
    run(sys.executable, "-m", "venv", folder)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", requirement)
    return folder / "bin"


@pytest.fixture(scope="module")
def robot_computer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and its base dependencies."""
    return clean_environment(tmp_path_factory.mktemp("base"), wheel)


@pytest.fixture(scope="module")
def training_computer(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what its extra `train` brings."""
    return clean_environment(tmp_path_factory.mktemp("train"), f"{wheel}[train]")


@pytest.fixture
def policy(run_and_policy: tuple[Path, Path]) -> Path:
    return run_and_policy[1]


def test_a_wheel_holds_code_and_data_below_one_package(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    needed = ["py.typed", "motion.js", "robots/qube/robot.yaml", "robots/qube/model.xml"]
    needed += ["robots/qube/README.md", "configs/qube_swingup.yaml", "deploy/loop.py"]
    assert {f"simreal/{name}" for name in needed} <= names
    assert {name.partition("/")[0] for name in names} == {
        "simreal",
        next(name.partition("/")[0] for name in names if ".dist-info/" in name),
    }
    sources = {
        f"{'' if folder == 'simreal' else 'simreal/'}{path.relative_to(CHECKOUT).as_posix()}"
        for folder in ("simreal", "robots", "randomization", "deploy", "configs")
        for path in (CHECKOUT / folder).rglob("*.py")
    }
    assert {name for name in names if name.endswith(".py")} == sources


def test_base_dependencies_bring_no_training_library(robot_computer: Path) -> None:
    program = (
        "import importlib.util as u, json\n"
        f"print(json.dumps([n for n in {TRAINING!r} if u.find_spec(n) is not None]))"
    )
    assert json.loads(run(robot_computer / "python", "-c", program).stdout) == []


def test_a_robot_computer_inspects_and_lists(robot_computer: Path, policy: Path) -> None:
    simreal = robot_computer / "simreal"
    contract = json.loads(run(simreal, "inspect", policy, "--json").stdout)
    assert contract["robot"]["name"] == "qube"
    assert "reproduced on this machine" in run(simreal, "inspect", policy).stdout
    assert "qube_swingup" in json.loads(run(simreal, "list", "--json").stdout)["experiments"]


def test_a_robot_computer_deploys_and_logs(robot_computer: Path, policy: Path, tmp_path: Path) -> None:
    log = tmp_path / "flight.mcap"
    done = run(
        robot_computer / "simreal", "deploy", policy, "--driver", "sim:mass=1.2,action_latency_ms=8",
        "--duration", 2, "--log", log, "--json",
    )  # fmt: skip
    outcome = json.loads(done.stdout)
    assert outcome["ended_by"] == "duration"
    assert outcome["cycles"] > 100
    assert log.stat().st_size > 10_000


def test_a_robot_computer_evaluates_a_policy(robot_computer: Path, policy: Path) -> None:
    done = run(robot_computer / "simreal", "evaluate", policy, "--episodes", 4, "--json")
    assert json.loads(done.stdout)["episodes"] == 4


@pytest.mark.parametrize(
    "arguments",
    [["train", "qube_swingup"], ["demo"], ["bench", "solve"], ["export", "/nowhere"]],
    ids=" ".join,
)
def test_a_missing_extra_is_one_line_that_names_it(robot_computer: Path, arguments: list[str]) -> None:
    done = run(robot_computer / "simreal", *arguments, status=2)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install 'simreal[train]'" in done.stderr


def test_a_training_computer_trains_evaluates_exports_and_inspects(
    training_computer: Path, tmp_path: Path
) -> None:
    simreal, trained, exported = (
        training_computer / "simreal",
        tmp_path / "run",
        tmp_path / "policy.onnx",
    )
    tiny = ["train.total_steps=2048", "ppo.simulations=16", "ppo.rollout_steps=32", "ppo.batch_size=128"]
    overrides = [part for each in tiny for part in ("-o", each)]
    done = run(simreal, "train", "qube_swingup", *overrides, "--seed", 3, "--run", trained)
    assert f"simreal export {trained} -o {trained.name}.onnx" in done.stdout
    assert json.loads((trained / "run.json").read_text())["steps"] == 2048
    report = tmp_path / "report.html"
    of_run = json.loads(
        run(simreal, "evaluate", trained, "--episodes", 4, "--report", report, "--json").stdout
    )
    assert of_run["episodes"] == 4
    assert report.read_text().startswith("<!doctype html>")
    assert "graph and agent differ" in run(simreal, "export", trained, "-o", exported).stdout
    of_policy = json.loads(run(simreal, "evaluate", exported, "--episodes", 4, "--json").stdout)
    mean_returns = [found["mean_return"]["value"] for found in (of_run, of_policy)]
    assert mean_returns[0] == pytest.approx(mean_returns[1], rel=0.01)
    assert "reproduced on this machine" in run(simreal, "inspect", exported).stdout
    contract = json.loads(run(simreal, "inspect", exported, "--json").stdout)
    assert contract["provenance"]["seed"] == 3


def test_a_training_computer_takes_simreal_from_the_wheel(training_computer: Path) -> None:
    program = "import simreal.train; print(simreal.train.__file__)"
    found = Path(run(training_computer / "python", "-c", program).stdout.strip())
    assert training_computer.parent in found.parents


def test_the_package_is_typed_where_it_is_installed(robot_computer: Path) -> None:
    program = (
        "import simreal, pathlib; p = pathlib.Path(simreal.__file__); print(p.with_name('py.typed'))"
    )
    found = Path(run(robot_computer / "python", "-c", program).stdout.strip())
    assert found.is_file()
    assert CHECKOUT not in found.parents
