"""The arms: what each makes of a simulator and, some of them, of minutes with the robot."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.adapt.fitting import Cutting
from simreal.adapt.identify import identify, posterior
from simreal.adapt.models import nested_models
from simreal.adapt.recording import Recording
from simreal.adapt.residual_fit import fit_residual, known_robot
from simreal.adapt.simulator import Setup
from simreal.errors import UserError, nearest
from simreal.evaluate import load_candidate
from simreal.experiment import BaseExperiment, ExperimentConfig, load_experiment, parse_experiment
from simreal.files import write_atomically
from simreal.make_environment import make_environment
from simreal.randomization.posterior import Posterior, read_posterior, write_posterior
from simreal.randomization.residual import write_residual
from simreal.robots import load_robot
from simreal.run import Run
from simreal.train import start_run, train
from simreal.transfer_bench.flights import Flight, excite, fly
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.targets import BASES, find_target, target_experiment

Tell = Callable[[str], None]

EXCITATIONS = 6
EXCITATION_SECONDS = 10.0
FLIGHTS = 6
FLIGHT_SECONDS = 6.0
BASE_SHARE = 0.5
"""Of the steps, that an adapted arm trains before it meets the robot; the rest follows."""
LOGS = "logs.npz"


@dataclass(frozen=True, slots=True)
class Job:
    """One arm, target and seed.

    Attributes:
        robot: its name.
        target: which of its hidden ones.
        arm: of `ARMS`.
        seed: of training and of everything else.
        steps: environment steps of training, the same for every arm.
        folder: of the benchmark.
    """

    robot: str
    target: str
    arm: str
    seed: int
    steps: int
    folder: Path

    @property
    def path(self) -> Path:
        """Folder of this job."""
        return self.folder / self.robot / self.target / self.arm / f"seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Made:
    """What an arm made.

    Attributes:
        run: with the policy.
        robot_seconds: s that the robot was moved.
        resets: how often it was put back.
        violations: control steps beyond its limits meanwhile.
        notes: what else is worth telling.
    """

    run: Run
    robot_seconds: float = 0.0
    resets: int = 0
    violations: int = 0
    notes: tuple[str, ...] = ()


def make(job: Job, tell: Tell) -> Made:
    """Do what an arm does; training that was interrupted goes on.

    Raises:
        UserError: no such arm.
    """
    if job.arm not in ARMS:
        raise UserError(f"no arm {job.arm!r}: {nearest(job.arm, ARMS)}")
    return ARMS[job.arm].make(job, tell)


def trained(job: Job, path: Path, experiment: BaseExperiment, steps: int, tell: Tell) -> Run:
    """A run of an experiment, begun or gone on with until it has its steps."""
    if (path / "run.json").is_file() and Run.open(path).steps_kept():
        run = Run.open(path)
        if run.facts().get("finished") and run.steps_kept() >= steps:
            return run
        resume = True
    else:
        config = experiment.model_copy(
            update={"train": experiment.train.model_copy(update={"total_steps": steps})}
        )
        run, resume = start_run(config, job.seed, path), False
    tell(f"training {path} to {steps} steps")
    _finish(run, train(run, resume=resume))
    return run


def _finish(run: Run, finished: bool) -> None:
    if not finished:
        raise KeyboardInterrupt(f"{run.path}: interrupted; the same command goes on")


def base_experiment(robot: str) -> ExperimentConfig:
    """The shipped experiment of a robot."""
    return load_experiment(BASES[robot])


def _changed(robot: str, **changes: Any) -> ExperimentConfig:
    return parse_experiment(base_experiment(robot).model_dump(mode="json") | changes)


def _none(job: Job, tell: Tell) -> Made:
    experiment = _changed(job.robot, randomization={}, pins={})
    return Made(trained(job, job.path / "run", experiment, job.steps, tell))


def _uniform(job: Job, tell: Tell) -> Made:
    return Made(trained(job, job.path / "run", base_experiment(job.robot), job.steps, tell))


def _automatic(job: Job, tell: Tell) -> Made:
    name = f"{BASES[job.robot]}_adr"
    return Made(trained(job, job.path / "run", load_experiment(name), job.steps, tell))


def _online(job: Job, tell: Tell) -> Made:
    experiment = _changed(job.robot, adaptation="rma")
    return Made(trained(job, job.path / "run", experiment, job.steps, tell))


def _recurrent(job: Job, tell: Tell) -> Made:
    # PPO's settings, but for the shape of its rollouts; a recurrent critic sees the observation alone.
    base = base_experiment(job.robot)
    shape = {"simulations", "rollout_steps", "symmetric"}
    settings = base.recurrent_ppo.model_dump() | base.ppo.model_dump(exclude=shape)
    experiment = _changed(job.robot, agent="recurrent_ppo", recurrent_ppo=settings, critic=())
    return Made(trained(job, job.path / "run", experiment, job.steps, tell))


def _oracle(job: Job, tell: Tell) -> Made:
    experiment = target_experiment(job.robot, find_target(job.robot, job.target))
    return Made(trained(job, job.path / "run", experiment, job.steps, tell))


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What the adapted arms share for one target and seed: a policy, logs, and what they say.

    Attributes:
        base: half trained, under uniform randomization.
        recordings: of the hidden robot.
        identified: posterior file.
        seconds: s that the robot was moved.
        resets: how often it was put back.
        violations: control steps beyond its limits.
    """

    base: Run
    recordings: list[Recording]
    identified: Path
    seconds: float
    resets: int
    violations: int


def adaptation(job: Job, tell: Tell) -> Adaptation:
    """Train a base policy, meet the robot, identify it; each is done once for all arms of a seed."""
    shared = job.folder / job.robot / job.target / "shared" / f"seed{job.seed}"
    # The base policy is one of the seed, whatever the target.
    path = job.folder / job.robot / "base" / f"seed{job.seed}"
    steps = round(BASE_SHARE * job.steps)
    base = trained(job, path, base_experiment(job.robot), steps, tell)
    if not (shared / LOGS).is_file():
        tell("meeting the robot")
        _meet(job, base, shared / LOGS)
    recordings, facts = _read_logs(shared / LOGS)
    identified = shared / "identified.yaml"
    if not identified.is_file():
        tell(f"identifying from {len(recordings)} logs")
        write_posterior(identified, _identify(job.robot, recordings, shared / LOGS, tell))
    return Adaptation(base, recordings, identified, **facts)


def _meet(job: Job, base: Run, path: Path) -> None:
    """Excite the robot, and fly the base policy on it."""
    candidate = load_candidate(base.path)
    contract = make_environment(candidate.experiment.from_start(), 1, threads=1).contract
    robot = HiddenRobot(job.robot, job.target, contract.control_rate)
    flights: list[Flight] = []
    with robot:
        for number in range(EXCITATIONS):
            seed = 1000 * job.seed + number
            flights.append(
                excite(robot, contract.robot, contract.control_rate, EXCITATION_SECONDS, seed)
            )
        for number in range(FLIGHTS):
            seed = 1000 * job.seed + EXCITATIONS + number
            flights.append(fly(robot, candidate.act, contract, FLIGHT_SECONDS, seed))
    facts = {
        "seconds": robot.seconds,
        "resets": robot.resets,
        "violations": sum(each.violations for each in flights),
    }
    arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts))}
    long_enough = [each.recording for each in flights if len(each.recording.time) > 100]
    for number, each in enumerate(long_enough):
        named = {"time": each.time, "command": each.command, "position": each.position}
        arrays |= {f"{number:02d}/{each.group}/{name}": values for name, values in named.items()}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez(file, **arrays)

    write_atomically(path, write)


def _read_logs(path: Path) -> tuple[list[Recording], dict[str, Any]]:
    with np.load(path, allow_pickle=False) as file:
        facts: dict[str, Any] = json.loads(str(file["facts"]))
        found = []
        for key in sorted({name.rpartition("/")[0] for name in file.files} - {""}):
            time, command, position = (file[f"{key}/{name}"] for name in ("time", "command", "position"))
            group = key.partition("/")[2]
            found.append(Recording(key, group, time, command, time, position, None))
    return found, facts


def _identify(robot: str, recordings: Sequence[Recording], path: Path, tell: Tell) -> Posterior:
    setup = Setup(load_robot(robot))
    nested = nested_models(setup.world(1, {}))
    found = identify(setup, recordings, nested, Cutting(0.5), ("policy",), tell)
    return posterior(found, [path])


def _point_of(identified: Posterior) -> Posterior:
    """The mean of a posterior, as its only sample."""
    samples, weights = identified.weighted_samples()
    mean = np.average(samples, axis=0, weights=weights)
    update = {
        "samples": (tuple(map(float, mean)),),
        "weights": None,
        "provenance": f"mean of: {identified.provenance}",
    }
    return identified.model_copy(update=update)


def _adapted(job: Job, tell: Tell, kind: str) -> Made:
    """Finetune for the rest of the steps: at a point, in a posterior, or with a residual in it."""
    shared = adaptation(job, tell)
    file, residual, share, notes = shared.identified, None, 0.3, []
    job.path.mkdir(parents=True, exist_ok=True)
    if kind == "point":
        file, share = job.path / "point.yaml", 0.0
        write_posterior(file, _point_of(read_posterior(shared.identified)))
    if kind == "residual":
        residual = job.path / "residual.npz"
        if not residual.is_file():
            known = known_robot(load_robot(job.robot), False, shared.identified)
            rate = base_experiment(job.robot).control_rate
            model = fit_residual(known, shared.recordings, 1.0 / rate, False, tell, job.seed)
            write_residual(residual, model)
            notes.append(f"residual strength {model.strength:g}")
    run = _finetuned(job, shared, file, share, residual, tell)
    return Made(run, shared.seconds, shared.resets, shared.violations, tuple(notes))


def _finetuned(
    job: Job, shared: Adaptation, file: Path, share: float, residual: Path | None, tell: Tell
) -> Run:
    path = job.path / "run"
    steps = job.steps - round(BASE_SHARE * job.steps)
    if (path / "run.json").is_file() and Run.open(path).steps_kept():
        run = Run.open(path)
        if not (run.facts().get("finished") and run.steps_kept() >= steps):
            _finish(run, train(run, resume=True))
        return run
    tell(f"finetuning to {path}")
    made = start_finetuning(shared.base, file, share, steps, path, (), job.seed, residual)
    _finish(made.run, finetune(made.run))
    return made.run


@dataclass(frozen=True, slots=True)
class Arm:
    """A way from simulation to the robot.

    Attributes:
        description: one line for people.
        make: does it.
    """

    description: str
    make: Callable[[Job, Tell], Made]


ARMS: dict[str, Arm] = {
    "none": Arm("no randomization", _none),
    "uniform": Arm("the shipped randomization", _uniform),
    "automatic": Arm("automatic domain randomization", _automatic),
    "online": Arm("the shipped randomization, and an estimate of the world from history", _online),
    "recurrent": Arm("the shipped randomization, and a policy with a memory", _recurrent),
    "point": Arm("identified point", lambda job, tell: _adapted(job, tell, "point")),
    "posterior": Arm("identified posterior", lambda job, tell: _adapted(job, tell, "posterior")),
    "residual": Arm(
        "identified posterior and a residual model", lambda job, tell: _adapted(job, tell, "residual")
    ),
    "oracle": Arm("trained on the target itself", _oracle),
}
NOT_BUILT = ("fine-tuned on the robot's data",)
"""Arms of the plan that this benchmark does not have yet."""
