"""Arms that meet the robot: half trained, identified, and then trained on for what was found."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from simreal.adapt.finetune import finetune, start_finetuning
from simreal.adapt.finetune_online import finetune_online
from simreal.adapt.online_session import OnRobot
from simreal.adapt.residual_fit import fit_residual, known_robot
from simreal.adapt.robot_budget import Budget
from simreal.adapt.worlds import robot_experiment
from simreal.callbacks import Tell
from simreal.commands import Commands
from simreal.evaluate import load_candidate
from simreal.files import write_atomically
from simreal.identification.fitting import Cutting
from simreal.identification.identify import Identification, identify
from simreal.identification.identify import posterior as posterior_of
from simreal.identification.recording import Recording
from simreal.randomization.posterior import (
    Posterior,
    is_uncovered,
    read_posterior,
    sources_of,
    write_posterior,
)
from simreal.randomization.residual import read_residual, write_residual
from simreal.robots import load_robot
from simreal.run import Run
from simreal.tasks import find_task
from simreal.train import train
from simreal.transfer_bench.flights import excite, fly
from simreal.transfer_bench.hidden_robot import HiddenRobot
from simreal.transfer_bench.job import Job, Made
from simreal.transfer_bench.meetings import find_meeting
from simreal.transfer_bench.stepped_robot import SteppedRobot
from simreal.transfer_bench.targets import base_experiment
from simreal.transfer_bench.trainings import begun, finish, has_steps, tenths, trained

EXCITATION_SECONDS = 10.0
FLIGHT_SECONDS = 6.0
SHORTEST = 1.0
"""s, of a recording that tells something."""
BASE_SHARE = 0.5
"""Of the steps, that an adapted arm trains before it meets the robot. There its training is broken off,
and the rest follows with the learning rate that it had: all arms have one schedule."""
LOGS = "logs.npz"
AS_IT_IS = "as_it_is.txt"
"""Stands in place of a posterior where identification offers the robot's model as it is."""
ROBOT_SECONDS = 300.0
"""s with the robot, of the arm that learns on it: excitations, flights and all."""
ON_ROBOT_SEED = 70_000
"""Of the first episode there."""


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


def half_trained(job: Job, tell: Tell) -> Run:
    """The training of `uniform`, broken off: a seed's policy to go on from, whatever the target."""
    path = job.folder / job.robot / "base" / f"seed{job.seed}"
    until = round(BASE_SHARE * job.steps)
    return trained(job.seed, path, base_experiment(job.robot), job.steps, tell, until=until)


def gone_on(job: Job, tell: Tell, begin: Callable[[int, Path], Run]) -> Run:
    """A half-trained policy, trained on for the rest of the steps; one that was interrupted goes on.

    Args:
        job: of an arm.
        tell: hears of it.
        begin: makes the folder of a run that has not begun, given its steps and its path.
    """
    path, steps = job.path / "run", job.steps - round(BASE_SHARE * job.steps)
    run = begun(path)
    if run is None:
        tell(f"{path} goes on from a half-trained policy")
        run = begin(steps, path)
        finish(run, finetune(run, tenths(tell)))
    elif not has_steps(run, steps):
        tell(f"{path} goes on")
        finish(run, train(run, resume=True, listen=tenths(tell)))
    return run


def adaptation(job: Job, tell: Tell) -> Adaptation:
    """Train a base policy, meet the robot, identify it; each is done once for all arms of a seed."""
    shared = job.folder / job.robot / job.target / "shared" / f"seed{job.seed}"
    base = half_trained(job, tell)
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
            write_posterior(identified, posterior_of(found, sources_of([shared / LOGS])))
    return Adaptation(base, recordings, None if as_it_is.is_file() else identified, **facts)


def _meet(job: Job, base: Run, path: Path) -> None:
    """Excite the robot, and fly the base policy on it."""
    candidate = load_candidate(base.path)
    experiment = robot_experiment(candidate.experiment)
    contract = candidate.contract
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


def _adapted(
    job: Job, tell: Tell, go_on: Callable[[Adaptation, Path], Made], if_covered: bool = False
) -> Made:
    """Meet the robot and go on from there, with what that took.

    Args:
        job: of an arm.
        tell: hears of it.
        go_on: from what is shared and the posterior's file; nothing else was done with the robot.
        if_covered: whether nothing is made of robots that cover too little of what was held out.
    """
    shared = adaptation(job, tell)
    useless = _useless(shared, if_covered)
    if useless is not None or shared.identified is None:
        # What identify and finetune advise then is to train without it: the uniform arm.
        path = replace(job, arm="uniform").target_free
        run = trained(job.seed, path, base_experiment(job.robot), job.steps, tell)
        made = Made(run, notes=(f"{useless}: the policy is that of the uniform arm",))
    else:
        job.path.mkdir(parents=True, exist_ok=True)
        made = go_on(shared, shared.identified)
    fell = (f"{shared.falls} flights ended before their time",) if shared.falls else ()
    return Made(made.run, shared.seconds, shared.resets, shared.violations, (*fell, *made.notes))


def _useless(shared: Adaptation, if_covered: bool) -> str | None:
    """Why nothing is to be made of what was identified; None if something is."""
    if shared.identified is None:
        return "the model as it is was offered"
    coverage = read_posterior(shared.identified).coverage
    if if_covered and is_uncovered(coverage):
        return f"{100 * coverage:.0f} % of what was held out were covered"
    return None


def _finetuned(
    job: Job,
    shared: Adaptation,
    randomization: Path,
    tell: Tell,
    residual_model: Path | None = None,
    old_share: float | None = None,
) -> Run:
    """The base policy, trained on in what was identified."""

    def begin(steps: int, path: Path) -> Run:
        start = start_finetuning(
            shared.base, randomization, old_share, steps, path, (), job.seed, residual_model
        )
        return start.run

    return gone_on(job, tell, begin)


def point(job: Job, tell: Tell) -> Made:
    """Train on at the mean of what was identified."""

    def go_on(shared: Adaptation, identified: Path) -> Made:
        file = job.path / "point.yaml"
        write_posterior(file, _point_of(read_posterior(identified)))
        return Made(_finetuned(job, shared, file, tell, old_share=0.0))

    return _adapted(job, tell, go_on)


def _point_of(identified: Posterior) -> Posterior:
    """The mean of a posterior, as its only sample."""
    samples, weights = identified.weighted_samples()
    mean = np.average(samples, axis=0, weights=weights)
    update = {
        "samples": (tuple(map(float, mean)),),
        "weights": None,
        "coverage": None,  # one sample does not cover what all of them do
        "provenance": f"mean of: {identified.provenance}",
    }
    return identified.model_copy(update=update)


def posterior(job: Job, tell: Tell) -> Made:
    """Train on in all that was identified."""

    def go_on(shared: Adaptation, identified: Path) -> Made:
        return Made(_finetuned(job, shared, identified, tell))

    return _adapted(job, tell, go_on, if_covered=True)


def residual(job: Job, tell: Tell) -> Made:
    """Train on in all that was identified, and with what it does not explain."""

    def go_on(shared: Adaptation, identified: Path) -> Made:
        file = job.path / "residual.npz"
        if not file.is_file():
            known = known_robot(load_robot(job.robot), find_meeting(job.robot).held, identified)
            rate = base_experiment(job.robot).control_rate
            model = fit_residual(known, shared.recordings, 1.0 / rate, False, tell, job.seed)
            write_residual(file, model)
        told = f"residual strength {read_residual(file).strength:g}"
        return Made(_finetuned(job, shared, identified, tell, file), notes=(told,))

    return _adapted(job, tell, go_on)


def tuned(job: Job, tell: Tell) -> Made:
    """Go on from the identified posterior on the robot itself, for the rest of five minutes."""
    found = posterior(replace(job, arm="posterior"), tell)
    rate = base_experiment(job.robot).control_rate
    begun(job.path / "run")  # or it would be refused where nothing was learned yet
    robot = SteppedRobot(job.robot, job.target, rate, ON_ROBOT_SEED + 1000 * job.seed)
    tell(f"learning on the robot for {ROBOT_SECONDS - found.robot_seconds:.0f} s")
    try:
        session = finetune_online(
            found.run,
            OnRobot(robot, f"hidden:{job.target}", starts_anew=True),
            Budget(ROBOT_SECONDS - found.robot_seconds),
            (),
            job.path / "run",
            seed=job.seed,
        )
    finally:
        robot.close()
    finish(session.run, session.stopped != "interrupted")
    ledger = session.ledger
    beyond = sum(each.beyond_limits + each.beyond_range for each in ledger.episodes)
    return Made(
        session.run,
        found.robot_seconds + ledger.seconds,
        found.resets + ledger.resets,
        found.violations + beyond,
        (*found.notes, f"{ledger.falls} falls on the robot", str(session.trial), session.stopped),
    )
