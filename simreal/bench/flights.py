"""What a policy is worth on emulated hardware, over the wire, against training's own evaluation.

Each flight is a run of the control loop in real time on a robot in another process. It has a seed, by
which the robot's start is drawn, and asks something else of the policy, drawn as in training. It is a
success as an evaluated episode is: no fault, no fall, and the task's goal held in its second half.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simreal.bench.can import emulated_leg
from simreal.bench.servo import emulated_arm
from simreal.bench.terminal import longest_wait
from simreal.callbacks import Tell
from simreal.contract import Contract
from simreal.deploy.command_source import FixedSource, asked_values
from simreal.deploy.drivers import DriverError, open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.loop_options import LoopOptions
from simreal.deploy.policy import Policy, load_policy
from simreal.deploy.realtime import RealTime
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError, missing_extra
from simreal.evaluate import evaluate, load_candidate
from simreal.experiment import ExperimentConfig
from simreal.goal_in_log import goal_share_of_log
from simreal.logs.messages import read_messages
from simreal.robots.policies import find_policy
from simreal.tasks import Task, find_task

PRIORITY = 40
"""SCHED_FIFO of the control loop, where it is allowed."""
AS_DEPLOYED = LoopOptions(real_time=RealTime(PRIORITY))
EVALUATED = 200
"""Episodes in simulation, against which flights are held."""
EVALUATION_SEED = 100
LONGEST_SIMULATED = 3.0
"""s, for which a flight that ended by a fault is repeated without the wire."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One flight.

    Attributes:
        contract: of the policy.
        task: that it was trained for.
        seed: of the robot's start and of what is asked.
        parameters: true ones of the robot, where they differ from the model's.
        asked: of the policy, by name.
        duration: s.
    """

    contract: Contract
    task: Task
    seed: int
    parameters: Mapping[str, float]
    asked: Mapping[str, float]
    duration: float

    @property
    def options(self) -> list[str]:
        """Of `simreal emulate`."""
        settings = [f"--set={name}={value}" for name, value in self.parameters.items()]
        return ["--seed", str(self.seed), "--task", self.task.name, *settings]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What became of a flight: share of the second half in which the goal held, and more to tell."""

    goal_share: float
    fell: bool
    more: Mapping[str, Any]


Emulation = tuple[str, Callable[[Path], Judgement]]
"""The driver by which a robot is reached, and what judges the flight, given its log."""


@contextmanager
def _arm(kind: str, plan: Plan) -> Iterator[Emulation]:
    with emulated_arm(kind, plan.options) as arm:
        yield f"{kind}:port={arm.port},calibration={arm.calibration}", lambda log: _by_log(plan, log)


@contextmanager
def _leg(plan: Plan) -> Iterator[Emulation]:
    with emulated_leg(plan.contract.robot.name, plan.options) as port:
        yield f"can:interface=slcan,channel={port},clear_faults=1", lambda log: _by_log(plan, log)


def _by_log(plan: Plan, log: Path) -> Judgement:
    """By the measured joints, where the goal is one of joints."""
    steps = round(plan.duration * plan.contract.control_rate)
    share = goal_share_of_log(read_messages(log), plan.task.name, steps)
    if np.isnan(share):
        raise UserError(f"{plan.task.name}: its goal is not to be seen in a log of this driver")
    return Judgement(share, False, {})


@contextmanager
def _go2(plan: Plan) -> Iterator[Emulation]:
    """Its velocity is not in the log: the emulator, which knows it, judges."""
    try:
        from simreal.bench.unitree import Walk, emulated_go2
    except ModuleNotFoundError as error:
        raise missing_extra(str(error.name), "dds") from None
    walk = Walk(plan.task.name, list(plan.asked.values()), plan.contract.control_rate)
    with emulated_go2(plan.parameters, plan.seed, walk) as (domain, end):

        def judge(log: Path) -> Judgement:
            walked = end()
            rows = walked.rows[: len(walked.rows) - _halting(log, list(plan.asked.values()))]
            second = rows[len(rows) // 2 :].mean(0)
            more = dict(zip(plan.task.metrics, second[1:].round(3).tolist(), strict=True))
            counts = {"commands_obeyed": walked.obeyed, "commands_not_obeyed": walked.ignored}
            return Judgement(float(second[0]), walked.fell, more | counts)

        yield f"unitree:domain={domain}", judge


def _halting(log: Path, asked: Sequence[float]) -> int:
    """Cycles in which the loop asked for something else, as when it brings a robot to a stand."""
    recorded = read_messages(log)
    if "/asked" not in recorded.messages:
        return 0
    acted = np.isin(recorded.times["/asked"], recorded.times.get("/action", []))
    rows = recorded.array("/asked")[acted]
    return int((np.abs(rows - asked) > 1e-6).any(axis=1).sum())


EMULATIONS: Mapping[str, tuple[str, Callable[[Plan], AbstractContextManager[Emulation]]]] = {
    "feetech": ("so101", lambda plan: _arm("feetech", plan)),
    "dynamixel": ("so101", lambda plan: _arm("dynamixel", plan)),
    "can": ("can_leg", _leg),
    "unitree": ("go2", _go2),
}
"""By driver: the robot that is emulated, and its emulation."""


def flights(
    path: Path,
    driver: str,
    number: int,
    duration: float | None,
    seed: int,
    parameters: Mapping[str, float],
    tell: Tell,
) -> dict[str, Any]:
    """Let a policy run again and again on an emulated robot.

    Args:
        path: of an exported policy, or its name.
        driver: a key of `EMULATIONS`.
        number: of flights.
        duration: s of a flight; that of an episode if None.
        seed: of the first flight.
        parameters: true parameters of the robot where they differ from the model's.
        tell: hears of each flight.

    Returns:
        Success here and in training's evaluation, under its randomization, and each flight; with it, how
        long a byte took at most through a pseudo-terminal of its own meanwhile.

    Raises:
        UserError: the policy is none for this robot, or an emulator does not start.
    """
    robot, emulate = EMULATIONS[driver]
    candidate = load_candidate(path)
    experiment = candidate.experiment
    if not isinstance(experiment, ExperimentConfig) or experiment.robot != robot:
        raise UserError(
            f"{path}: with driver {driver} a {robot} is emulated, the policy is for another robot"
        )
    loaded, task = load_policy(find_policy(path)), find_task(experiment.task, robot)
    trained = evaluate(candidate, EVALUATED, EVALUATION_SEED).summary.success.value
    rows = []
    for each in range(seed, seed + number):
        asked = _asked(loaded.contract, task, each)
        plan = Plan(
            loaded.contract, task, each, parameters, asked, duration or experiment.episode_length
        )
        with emulate(plan) as emulation, longest_wait(PRIORITY) as end:
            row = _fly(loaded, plan, *emulation)
            row["terminal_ms"] = round(1e3 * end(), 1)
        if row["fault"]:
            row["fault_without_the_wire"] = _simulated(loaded, plan)
        rows.append(row)
        tell(f"flight {len(rows)}: {row}")
    success = float(np.mean([row["success"] for row in rows]))
    return {
        "driver": driver,
        "parameters": dict(parameters),
        "flights": rows,
        "falls": sum(row["fell"] for row in rows),
        "faults": sum(row["fault"] is not None for row in rows),
        "success": success,
        "success_in_evaluation": trained,
        "ratio": success / trained if trained else None,
    }


def _fly(
    loaded: Policy, plan: Plan, specification: str, judge: Callable[[Path], Judgement]
) -> dict[str, Any]:
    """One flight, and what became of it."""
    source = FixedSource(asked_values(plan.contract, plan.asked))
    row: dict[str, Any] = {"seed": plan.seed, "asked": dict(plan.asked), "fault": None, "overruns": 0}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder, "flight.mcap")
        try:
            driver = open_driver(specification, plan.contract.robot.name, plan.task.name)
            outcome = deploy(loaded, driver, plan.duration, log, source, AS_DEPLOYED)
        except DriverError as error:
            return row | {"fault": str(error), "fell": False, "goal_share": 0.0, "success": False}
        judged = judge(log)
    row |= {"fault": outcome.fault, "overruns": outcome.overruns, "fell": judged.fell}
    row["real_time"] = outcome.real_time
    enough = judged.goal_share >= plan.task.success_share
    row["goal_share"] = round(judged.goal_share, 3)
    row["success"] = enough and not judged.fell and outcome.fault is None
    return {**row, **judged.more}


def _simulated(loaded: Policy, plan: Plan) -> str | None:
    """What fault the same flight ends with at its beginning, where no wire is in between."""
    given = {**plan.parameters, "seed": plan.seed}
    text = ",".join(f"{name}={value}" for name, value in given.items())
    driver = open_driver(f"sim:{text}", plan.contract.robot.name, plan.task.name)
    source = FixedSource(asked_values(plan.contract, plan.asked))
    return deploy(loaded, driver, min(plan.duration, LONGEST_SIMULATED), None, source).fault


def _asked(contract: Contract, task: Task, seed: int) -> dict[str, float]:
    """What is asked of the policy, drawn as in training."""
    if not contract.commands:
        return {}
    ends = ([getattr(each, end) for each in contract.commands] for end in ("low", "high"))
    low, high = (np.array(each) for each in ends)
    random = EpisodeRandom(episode_seed(seed, np.array([0])))
    drawn = np.clip(task.draw_command(random, low, high, np.array([0]))[0], low, high)
    return {each.name: float(value) for each, value in zip(contract.commands, drawn, strict=True)}
