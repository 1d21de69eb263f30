"""The arms: what each makes of a simulator and, some of them, of minutes with the robot."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from simreal.adapt.adapted_run import start_from
from simreal.adapt.residual_data import SMOOTHING
from simreal.adapt.transitions import reward_not_in_logs
from simreal.callbacks import Tell
from simreal.configs import shipped_experiments
from simreal.errors import UserError, nearest
from simreal.evaluate import LARGEST_BULLET_BATCH
from simreal.experiment import ExperimentConfig, load_experiment, parse_experiment
from simreal.run import Run
from simreal.transfer_bench.adapted_arms import (
    gone_on,
    half_trained,
    point,
    posterior,
    residual,
    tuned,
)
from simreal.transfer_bench.job import Job, Made
from simreal.transfer_bench.targets import BASES, base_experiment, find_target, target_experiment
from simreal.transfer_bench.trainings import trained
from simreal.transfer_bench.tried_arm import tried


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
    def begin(steps: int, path: Path) -> Run:
        experiment = target_experiment(job.robot, find_target(job.robot, job.target))
        if experiment.engine == "bullet":
            # Each simulation takes 30 MB: fewer of them, with rollouts of the same size.
            few, config = LARGEST_BULLET_BATCH, experiment.ppo
            longer = config.rollout_steps * max(1, config.simulations // few)
            update = {"simulations": min(few, config.simulations), "rollout_steps": longer}
            experiment = experiment.model_copy(update={"ppo": config.model_copy(update=update)})
        return start_from(half_trained(job, tell), experiment, steps, path, seed=job.seed)

    return Made(gone_on(job, tell, begin))


@dataclass(frozen=True, slots=True)
class Arm:
    """A way from simulation to the robot.

    Attributes:
        description: one line for people.
        learns_of: what it gets to know of the target: nothing, so that it is trained once for all of
            them; what the robot measures; or all, as no learner can. Half trained it gets to know it.
        make: does it.
    """

    description: str
    learns_of: Literal["nothing", "measurements", "everything"]
    make: Callable[[Job, Tell], Made]


ARMS: dict[str, Arm] = {
    "none": Arm("no randomization", "nothing", _none),
    "uniform": Arm("the shipped randomization", "nothing", _uniform),
    "automatic": Arm("automatic domain randomization", "nothing", _automatic),
    "online": Arm(
        "the shipped randomization, and an estimate of the world from history", "nothing", _online
    ),
    "recurrent": Arm("the shipped randomization, and a policy with a memory", "nothing", _recurrent),
    "point": Arm("identified point", "measurements", point),
    "posterior": Arm("identified posterior", "measurements", posterior),
    "residual": Arm("identified posterior and a residual model", "measurements", residual),
    "tried": Arm(
        "identified posterior, or the policy it began from: what does better on the robot, five minutes "
        "with it in all",
        "measurements",
        tried,
    ),
    "tuned": Arm(
        "identified posterior, and then learning on the robot, five minutes with it in all",
        "measurements",
        tuned,
    ),
    "oracle": Arm(
        "half trained under randomization, and then on the target itself", "everything", _oracle
    ),
}


GO_ON_ON_ROBOT = ("tuned", "tried")
"""Arms that go on from `posterior` with the robot, for what is left of five minutes."""


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


def missing(robot: str, arm: str) -> str | None:
    """Why a robot cannot have an arm, if it cannot."""
    if arm == "automatic" and _moving(robot) not in shipped_experiments():
        return f"no experiment {_moving(robot)}"
    rate = base_experiment(robot).control_rate
    if arm == "residual" and rate * SMOOTHING < 1.0:
        return f"its logs have {rate:g} Hz, and at least {1.0 / SMOOTHING:.0f} tell accelerations"
    if arm in GO_ON_ON_ROBOT and (reward := reward_not_in_logs(base_experiment(robot))) is not None:
        return f"its reward {reward} looks at more than joints, actions and commands: no log tells it"
    return None
