"""Faults of an experiment that have nothing to do with its randomization: rate, names, actions."""

import math
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from simreal.agents.config import DQNConfig, OffPolicyConfig
from simreal.commands import described_commands
from simreal.contract import Actuator, Contract
from simreal.errors import UserError, nearest
from simreal.experiment_contract import action_numbers, make_contract
from simreal.lint.finding import Finding, refused
from simreal.lint.subject import Subject
from simreal.observation import owners
from simreal.tasks import find_task

LARGEST_REPLAY = 0.5
"""Share of a computer's memory that images which are remembered may take."""
QUICKEST = 0.5
"""s, that a robot takes at least to do what is newly asked of it."""
LEAST_USED_ACTION = 0.5
"""Share of the actions between -1 and 1 that an actuator must not cut off."""


def check_experiment(subject: Subject) -> Iterator[Finding]:
    """All of them."""
    yield from _control_rate(subject)
    told = [*_observed_joints(subject), *_action_sizes(subject)]
    yield from told
    yield from _action_range(subject)
    yield from _replay_memory(subject)
    yield from _idle_numbers(subject)
    if not told:
        yield from _contract(subject)
    with suppress(UserError):  # of the task, which the contract has told
        yield from _time_for_success(subject)
        yield from _nothing_to_learn(subject)


def _idle_numbers(subject: Subject) -> Iterator[Finding]:
    """What somebody says of an agent that its switches make no use of."""
    name, config = subject.experiment.agent, subject.experiment.agent_config
    said = subject.document.data.get(name)
    if not isinstance(config, DQNConfig) or not isinstance(said, Mapping):
        return
    for key, switch in config.idle().items():
        if key in said:
            where = subject.document.where((name, key))
            yield Finding(
                "warning", "idle", where, f"{name}.{key} has no effect with {switch}", "leave it out"
            )


def _control_rate(subject: Subject) -> Iterator[Finding]:
    rate, timestep = subject.experiment.control_rate, subject.model.spec.option.timestep
    ratio = 1.0 / (rate * timestep)
    steps = max(1, round(ratio))
    if abs(ratio - steps) > 1e-6:
        what = (
            f"control_rate {rate:g} Hz: a control period of {ratio:g} physics steps of "
            f"{1e3 * timestep:g} ms, not a whole number"
        )
        where = subject.document.where(("control_rate",))
        yield Finding("error", "control-rate", where, what, f"nearest: {1.0 / (timestep * steps):g} Hz")


def _observed_joints(subject: Subject) -> Iterator[Finding]:
    valid = subject.robot.description.joint_names
    for index, term in enumerate(subject.experiment.observation):
        for joint in term.joints or ():
            if joint not in valid:
                where = subject.document.where(("observation", index, "joints"))
                what = f"observation {term.source}: robot {subject.robot.name} has no joint {joint!r}"
                yield Finding("error", "name", where, what, nearest(joint, valid))


def _action_sizes(subject: Subject) -> Iterator[Finding]:
    actuators = len(subject.robot.description.actuators)
    for name in ("scale", "offset"):
        numbers = len(action_numbers(subject.experiment.action, subject.robot.description, name))
        if numbers != actuators:
            where = subject.document.where(("action", name))
            what = f"action.{name}: {numbers} numbers for {actuators} actuators"
            yield Finding("error", "control-range", where, what, "one number stands for all actuators")


def _action_range(subject: Subject) -> Iterator[Finding]:
    """Actions that an actuator's limits cut off."""
    robot, config = subject.robot.description, subject.experiment.action
    scales, offsets = (action_numbers(config, robot, name) for name in ("scale", "offset"))
    for actuator, scale, offset in zip(robot.actuators, scales, offsets, strict=False):
        low, high = offset - abs(scale), offset + abs(scale)
        used = min(high, actuator.upper) - max(low, actuator.lower)
        if used < LEAST_USED_ACTION * (high - low):
            where = subject.document.where(("action", "scale"))
            steps = config.relative_to == "previous_target"
            what = (
                f"actions mean {'steps of ' * steps}{low:g} to {high:g} {actuator.unit}, but "
                f"{actuator.name} goes from {actuator.lower:g} to {actuator.upper:g}: most of them are "
                "cut off"
            )
            mend = f"scale {0.5 * (actuator.upper - actuator.lower):g}"
            if steps:
                mend = _step_scale(subject, actuator)
            yield Finding("warning", "control-range", where, what, mend)


def _step_scale(subject: Subject, actuator: Actuator) -> str:
    """What an action may add to the previous target: as much as the joint moves until the next."""
    rate = subject.experiment.control_rate
    joints = {joint.name: joint for joint in subject.robot.description.joints}
    limit = joints[actuator.joint].velocity_limit
    if limit is None:
        return f"the scale of a step: {actuator.unit} that the joint moves in {1e3 / rate:g} ms"
    return f"scale {limit / rate:.3g}, velocity_limit over control_rate"


def _time_for_success(subject: Subject) -> Iterator[Finding]:
    """Commands that change so late that hardly any time is left for following them."""
    experiment = subject.experiment
    interval, length = experiment.command_interval, experiment.episode_length
    task = find_task(experiment.task, subject.robot.name)
    if interval is None or not task.commands:
        return
    late = [each * interval for each in range(1, math.ceil(length / interval))]
    late = [time for time in late if time >= 0.5 * length - 1e-9]
    lost = sum(min(QUICKEST, interval, length - time) for time in late)
    spared = (1.0 - task.success_share) * 0.5 * length
    if lost > spared + 1e-9:
        times = ", ".join(f"{time:g}" for time in late[:3]) + ", ..." * (len(late) > 3)
        what = (
            f"command_interval {interval:g} s: commands change at {times} s, in the second half of the "
            f"episode, of which success spares {spared:g} s in all"
        )
        mend = "leave it out, since each episode draws its own; or a longer interval and episode"
        where = subject.document.where(("command_interval",))
        yield Finding("warning", "success", where, what, mend)


def _nothing_to_learn(subject: Subject) -> Iterator[Finding]:
    """Weights of rewards that leave every policy as good as any other."""
    experiment = subject.experiment
    offered = find_task(experiment.task, subject.robot.name).rewards
    if not offered or experiment.teacher is not None or any(experiment.rewards.values()):
        return
    what = "rewards: no term has a weight, so that no policy is better than another"
    where = subject.document.where(("rewards",))
    mend = f"{experiment.task} has {', '.join(offered)}"
    yield Finding("warning", "no-effect", where, what, mend)


def _replay_memory(subject: Subject) -> Iterator[Finding]:
    """Images that are to be remembered, and do not fit in."""
    experiment, config = subject.experiment, subject.experiment.agent_config
    step = sum(camera.channels * camera.height * camera.width for camera in experiment.cameras)
    if not step or not isinstance(config, OffPolicyConfig):
        return
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if config.replay_size * step > LARGEST_REPLAY * memory:
        what = (
            f"{experiment.agent}.replay_size {config.replay_size:,}: its images take "
            f"{config.replay_size * step / 1e9:.1f} GB of the {memory / 1e9:.1f} GB of this computer"
        )
        where = subject.document.where((experiment.agent, "replay_size"))
        mend = f"replay_size {int(LARGEST_REPLAY * memory / step):,}, or smaller images"
        yield Finding("warning", "replay-memory", where, what, mend)


def _contract(subject: Subject) -> Iterator[Finding]:
    """What else a contract refuses: sources that the robot or task has not."""
    experiment, robot = subject.experiment, subject.robot.description
    task = find_task(experiment.task, robot.name)
    try:
        described_commands(experiment, task)
    except UserError as error:
        mend = "a range within that, or leave it out for the task's own"
        yield refused("name", subject.document.where(("commands",)), str(error), mend)
        return
    try:
        make_contract(experiment, robot, task)
    except UserError as error:
        where = subject.document.where(("observation",))
        yield refused("name", where, str(error), "docs/concepts.md: observation sources")


def widths(contract: Contract) -> NDArray[np.int64]:
    """(terms,) numbers that each term contributes to an observation."""
    return np.array([term.history * len(owners(term, contract)) for term in contract.observation])
