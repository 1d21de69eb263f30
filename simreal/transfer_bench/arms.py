"""The arms: what each makes of a simulator and, some of them, of minutes with the robot."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.adapt.finetune_online import finetune_online
from simreal.adapt.online_session import OnRobot
from simreal.adapt.residual_data import SMOOTHING
from simreal.adapt.residual_fit import fit_residual, known_robot
from simreal.adapt.robot_budget import Budget
from simreal.adapt.transitions import reward_not_in_logs
from simreal.adapt.worlds import robot_experiment
from simreal.commands import Commands
from simreal.configs import shipped_experiments
from simreal.errors import UserError, nearest
from simreal.evaluate import LARGEST_BULLET_BATCH, load_candidate
from simreal.experiment import BaseExperiment, ExperimentConfig, load_experiment, parse_experiment
from simreal.files import write_atomically
from simreal.identification.fitting import Cutting
from simreal.identification.identify import Identification, identify, posterior
from simreal.identification.recording import Recording
from simreal.make_environment import make_environment
from simreal.randomization.posterior import Posterior, read_posterior, write_posterior
from simreal.randomization.residual import read_residual, write_residual
from simreal.robots import load_robot
from simreal.run import Run
from simreal.tasks import find_task
from simreal.teacher import find_teacher
from simreal.train import StatusListener, TrainingStatus, start_run, train
from simreal.transfer_bench.flights import excite, fly
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.meetings import find_meeting
from simreal.transfer_bench.results import Key
from simreal.transfer_bench.stepped_robot import SteppedRobot
from simreal.transfer_bench.targets import BASES, find_target, target_experiment

Tell = Callable[[str], None]

EXCITATION_SECONDS = 10.0
FLIGHT_SECONDS = 6.0
SHORTEST = 1.0
"""s, of a recording that tells something."""
BASE_SHARE = 0.5
"""Of the steps, that an adapted arm trains before it meets the robot; the rest follows."""
LOGS = "logs.npz"
AS_IT_IS = "as_it_is.txt"
"""Stands in place of a posterior where identification offers the robot's model as it is."""
ROBOT_SECONDS = 300.0
"""s with the robot, of the arm that learns on it: excitations, flights and all."""
ON_ROBOT_SEED = 70_000
"""Of the first episode there."""


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
    def key(self) -> Key:
        """What its result is of."""
        return self.robot, self.target, self.arm, self.seed

    @property
    def path(self) -> Path:
        """Folder of this job."""
        return self.folder / self.robot / self.target / self.arm / f"seed{self.seed}"

    @property
    def target_free(self) -> Path:
        """Run of an arm that meets no target: one policy for all of them."""
        return self.folder / self.robot / "trained" / self.arm / f"seed{self.seed}"


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
        UserError: no such arm, or none that this robot can have.
    """
    if job.arm not in ARMS:
        raise UserError(f"no arm {job.arm!r}: {nearest(job.arm, ARMS)}")
    if (why := missing(job.robot, job.arm)) is not None:
        raise UserError(f"{job.robot} has no arm {job.arm}: {why}")
    return ARMS[job.arm].make(job, tell)


def trained(
    seed: int,
    path: Path,
    experiment: BaseExperiment,
    steps: int,
    tell: Tell,
    beside: BaseCallback | None = None,
) -> Run:
    """A run of an experiment, begun or gone on with until it has its steps; `beside` as of `train`."""
    run = _begun(path)
    if run is None:
        config = experiment.model_copy(
            update={"train": experiment.train.model_copy(update={"total_steps": steps})}
        )
        run = start_run(config, seed, path)
    elif _has_steps(run, steps):
        return run
    tell(f"training {path} to {steps} steps")
    listen = _tenths(tell)
    _finish(run, train(run, True, listen=listen, find_teacher=find_teacher, beside=beside))
    return run


def _begun(path: Path) -> Run | None:
    """The run that a job goes on with; one that was killed before its first checkpoint is removed.

    Raises:
        UserError: another process is about to train there.
    """
    run = Run(path)
    if (path / "run.json").is_file() and run.has_checkpoint:
        return run
    if path.is_dir():
        with run.lock():
            shutil.rmtree(path)
    return None


def _has_steps(run: Run, steps: int) -> bool:
    """Whether its training is over."""
    return bool(run.facts().get("finished")) and run.steps_kept() >= steps


def _tenths(tell: Tell) -> StatusListener:
    """Tells of each tenth of a training."""
    told = 0

    def listen(status: TrainingStatus) -> None:
        nonlocal told
        tenth = 10 * status.steps // status.total
        if tenth > told:
            told = tenth
            tell(
                f"{10 * tenth} %, {status.steps_per_second:.0f} steps/s, return {status.mean_return:.1f}"
            )

    return listen


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
    return Made(trained(job.seed, job.target_free, experiment, job.steps, tell))


def _uniform(job: Job, tell: Tell) -> Made:
    return Made(trained(job.seed, job.target_free, base_experiment(job.robot), job.steps, tell))


def _automatic(job: Job, tell: Tell) -> Made:
    experiment = load_experiment(_moving(job.robot))
    return Made(trained(job.seed, job.target_free, experiment, job.steps, tell))


def _moving(robot: str) -> str:
    """The experiment with ranges that move."""
    return f"{BASES[robot]}_adr"


def missing(robot: str, arm: str) -> str | None:
    """Why a robot cannot have an arm, if it cannot."""
    if arm == "automatic" and _moving(robot) not in shipped_experiments():
        return f"no experiment {_moving(robot)}"
    rate = base_experiment(robot).control_rate
    if arm == "residual" and rate * SMOOTHING < 1.0:
        return f"its logs have {rate:g} Hz, and at least {1.0 / SMOOTHING:.0f} tell accelerations"
    if arm == "tuned" and (reward := reward_not_in_logs(base_experiment(robot))) is not None:
        return f"its reward {reward} looks at more than joints, actions and commands: no log tells it"
    return None


def _online(job: Job, tell: Tell) -> Made:
    experiment = _changed(job.robot, adaptation="rma")
    return Made(trained(job.seed, job.target_free, experiment, job.steps, tell))


def _recurrent(job: Job, tell: Tell) -> Made:
    # PPO's settings, but for the shape of its rollouts; a recurrent critic sees the observation alone.
    base = base_experiment(job.robot)
    shape = {"simulations", "rollout_steps", "symmetric"}
    settings = base.recurrent_ppo.model_dump() | base.ppo.model_dump(exclude=shape)
    experiment = _changed(job.robot, agent="recurrent_ppo", recurrent_ppo=settings, critic=())
    return Made(trained(job.seed, job.target_free, experiment, job.steps, tell))


def _oracle(job: Job, tell: Tell) -> Made:
    experiment = target_experiment(job.robot, find_target(job.robot, job.target))
    if experiment.engine == "bullet":
        # Each simulation takes 30 MB: fewer of them, with rollouts of the same size.
        few, config = LARGEST_BULLET_BATCH, experiment.ppo
        longer = config.rollout_steps * max(1, config.simulations // few)
        update = {"simulations": min(few, config.simulations), "rollout_steps": longer}
        experiment = experiment.model_copy(update={"ppo": config.model_copy(update=update)})
    return Made(trained(job.seed, job.path / "run", experiment, job.steps, tell))


@dataclass(frozen=True, slots=True)
class Adaptation:
    """What the adapted arms share for one target and seed: a policy, logs, and what they say.

    Attributes:
        base: half trained, under uniform randomization.
        recordings: of the hidden robot.
        identified: posterior file; None if no model predicts the robot better than the one as it is.
        seconds: s that the robot was moved.
        resets: how often it was put back.
        violations: control steps beyond its limits.
        falls: flights that ended before their time.
    """

    base: Run
    recordings: list[Recording]
    identified: Path | None
    seconds: float
    resets: int
    violations: int
    falls: int


def adaptation(job: Job, tell: Tell) -> Adaptation:
    """Train a base policy, meet the robot, identify it; each is done once for all arms of a seed."""
    shared = job.folder / job.robot / job.target / "shared" / f"seed{job.seed}"
    # The base policy is one of the seed, whatever the target.
    path = job.folder / job.robot / "base" / f"seed{job.seed}"
    steps = round(BASE_SHARE * job.steps)
    base = trained(job.seed, path, base_experiment(job.robot), steps, tell)
    if not (shared / LOGS).is_file():
        tell("meeting the robot")
        _meet(job, base, shared / LOGS)
    recordings, facts = _read_logs(shared / LOGS)
    identified, as_it_is = shared / "identified.yaml", shared / AS_IT_IS
    if not identified.is_file() and not as_it_is.is_file():
        tell(f"identifying from {len(recordings)} logs")
        found = _identify(job.robot, recordings, tell)
        if found.nominal_suffices:
            as_it_is.write_text("no model predicts held-out logs better than the one as it is\n")
        else:
            write_posterior(identified, posterior(found, [shared / LOGS]))
    return Adaptation(base, recordings, None if as_it_is.is_file() else identified, **facts)


def _meet(job: Job, base: Run, path: Path) -> None:
    """Excite the robot, and fly the base policy on it."""
    candidate = load_candidate(base.path)
    experiment = robot_experiment(candidate.experiment)
    contract = make_environment(experiment.from_start(), 1, threads=1).contract
    commands = Commands(experiment, find_task(experiment.task, experiment.robot))
    meeting, rate, first = find_meeting(job.robot), contract.control_rate, 1000 * job.seed
    robot = HiddenRobot(job.robot, job.target, rate, meeting.held)
    seeds = range(first, first + meeting.excitations)
    later = range(seeds.stop, seeds.stop + meeting.flights)
    with robot:
        flights = [excite(robot, contract, meeting, EXCITATION_SECONDS, seed) for seed in seeds]
        flights += [
            fly(robot, candidate.act, contract, commands, FLIGHT_SECONDS, seed) for seed in later
        ]
    facts = {
        "seconds": robot.seconds,
        "resets": robot.resets,
        "violations": sum(each.violations for each in flights),
        "falls": sum(each.fell for each in flights),
    }
    arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts))}
    long_enough = [
        each.recording for each in flights if len(each.recording.time) > SHORTEST * contract.control_rate
    ]
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


def _identify(robot: str, recordings: Sequence[Recording], tell: Tell) -> Identification:
    meeting = find_meeting(robot)
    hold_out = ("policy",) if any(each.group == "policy" for each in recordings) else ()
    nested, cutting = meeting.asked(robot), Cutting(meeting.window)
    return identify(meeting.setup(robot), recordings, nested, cutting, hold_out, tell)


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
    residual, share, notes = None, 0.3, []
    if shared.falls:
        notes.append(f"{shared.falls} flights ended before their time")
    if shared.identified is None:
        # What `simreal identify` advises then: to train without it. That is the uniform arm.
        notes.append("the model as it is was offered: the policy is that of the uniform arm")
        run = _uniform(replace(job, arm="uniform"), tell).run
        return Made(run, shared.seconds, shared.resets, shared.violations, tuple(notes))
    file = shared.identified
    job.path.mkdir(parents=True, exist_ok=True)
    if kind == "point":
        file, share = job.path / "point.yaml", 0.0
        write_posterior(file, _point_of(read_posterior(shared.identified)))
    if kind == "residual":
        residual = job.path / "residual.npz"
        if not residual.is_file():
            known = known_robot(load_robot(job.robot), find_meeting(job.robot).held, shared.identified)
            rate = base_experiment(job.robot).control_rate
            model = fit_residual(known, shared.recordings, 1.0 / rate, False, tell, job.seed)
            write_residual(residual, model)
        notes.append(f"residual strength {read_residual(residual).strength:g}")
    run = _finetuned(job, shared, file, share, residual, tell)
    return Made(run, shared.seconds, shared.resets, shared.violations, tuple(notes))


def _finetuned(
    job: Job, shared: Adaptation, file: Path, share: float, residual: Path | None, tell: Tell
) -> Run:
    path = job.path / "run"
    steps = job.steps - round(BASE_SHARE * job.steps)
    run = _begun(path)
    if run is not None:
        if not _has_steps(run, steps):
            tell(f"finetuning goes on in {path}")
            _finish(run, train(run, resume=True, listen=_tenths(tell)))
        return run
    tell(f"finetuning to {path}")
    made = start_finetuning(shared.base, file, share, steps, path, (), job.seed, residual)
    _finish(made.run, finetune(made.run, _tenths(tell)))
    return made.run


def _tuned(job: Job, tell: Tell) -> Made:
    """Go on from the identified posterior on the robot itself, for the rest of five minutes."""
    simulated = replace(job, arm="posterior")
    found = _adapted(simulated, tell, "posterior")
    rate = base_experiment(job.robot).control_rate
    _begun(job.path / "run")  # or it would be refused where nothing was learned yet
    robot = SteppedRobot(job.robot, job.target, rate, ON_ROBOT_SEED + 1000 * job.seed)
    tell(f"learning on the robot for {ROBOT_SECONDS - found.robot_seconds:.0f} s")
    try:
        tuned = finetune_online(
            found.run,
            OnRobot(robot, f"hidden:{job.target}", starts_anew=True),
            Budget(ROBOT_SECONDS - found.robot_seconds),
            (),
            job.path / "run",
            seed=job.seed,
        )
    finally:
        robot.close()
    _finish(tuned.run, tuned.stopped != "interrupted")
    ledger = tuned.ledger
    beyond = sum(each.beyond_limits + each.beyond_range for each in ledger.episodes)
    return Made(
        tuned.run,
        found.robot_seconds + ledger.seconds,
        found.resets + ledger.resets,
        found.violations + beyond,
        (*found.notes, f"{ledger.falls} falls on the robot", str(tuned.trial), tuned.stopped),
    )


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
    "tuned": Arm(
        "identified posterior, and then learning on the robot, five minutes with it in all", _tuned
    ),
    "oracle": Arm("trained on the target itself", _oracle),
}
ADAPTED = ("point", "posterior", "residual", "tuned")
"""Arms that meet the robot, half trained."""
TARGET_FREE = ("none", "uniform", "automatic", "online", "recurrent")
"""Arms that meet no target, and are trained once for all of them."""
