"""What the control loop runs while a policy learns on a robot: base, residual, bounds, recovery, filter.

Nothing learns here. Each action is the base policy's, moved by the residual within the bounds that hold;
near the end of a joint's range the base acts alone; and of what the residual adds, a filter takes back
what leads beyond a limit by the robot's model. Behind all this stands the supervisor, as ever.
"""

import hashlib

import numpy as np
import torch

from simreal.adapt.action_bounds import ActionBounds
from simreal.adapt.action_filter import ActionFilter, FilterConfig, MujocoDynamics
from simreal.adapt.limit_monitor import MonitoredDriver, joint_limits
from simreal.adapt.online_learner import FrozenPolicy
from simreal.agents.residual_policy import ResidualPolicy
from simreal.contract import Contract
from simreal.deploy.policy import GoldenMismatch
from simreal.errors import UserError
from simreal.images import NO_IMAGES, Images
from simreal.latencies import JOINT_LATENCY, OF_ACTIONS, OF_ALL_SENSORS
from simreal.observation import Float32Array, ObservationPipeline
from simreal.robots import load_robot
from simreal.state import FloatArray

WARM_UP_RUNS = 20
USED_SHARE = 0.25
"""Of the width, that an action must leave the base's by, or it says nothing of how safe the width is."""


def longest_delay_s(contract: Contract) -> float:
    """S from a motion until a command acts that knows of it, the longest that was drawn in training."""
    delays = (*OF_ACTIONS, *OF_ALL_SENSORS, JOINT_LATENCY)
    return 1e-3 * sum(max(each.high, 0.0) for each in contract.trained_ranges if each.name in delays)


class CommandFilter:
    """The filter of commands, for actions of a contract whose commands do not depend on earlier ones.

    Attributes:
        changes: actions that it has changed.
    """

    def __init__(self, contract: Contract, config: FilterConfig) -> None:
        """Take the model of the contract's robot.

        Raises:
            UserError: it has no model that a filter can use, no limits, or actions are steps.
        """
        if contract.action.relative_to != "zero":
            raise UserError("actions are steps from the last target, which a filter does not know")
        robot = load_robot(contract.robot.name)
        self._filter = ActionFilter(
            contract.robot,
            MujocoDynamics(robot),
            1.0 / contract.control_rate,
            longest_delay_s(contract),
            config,
        )
        self._scale, self._offset = (
            np.array(getattr(contract.action, name)) for name in ("scale", "offset")
        )
        self.changes = 0

    def __call__(
        self, action: FloatArray, base: FloatArray, position: FloatArray, velocity: FloatArray
    ) -> FloatArray:
        """The nearest action that keeps the limits by the model, or breaks none that the base keeps."""
        if not all(np.isfinite(each).all() for each in (action, base, position, velocity)):
            return action  # a fault, which the supervisor tells and ends
        wanted, trusted = (self._offset + self._scale * each for each in (action, base))
        found = self._filter(position, velocity, wanted, trusted)
        if not found.changed:
            return action
        self.changes += 1
        within: FloatArray = np.clip((found.command - self._offset) / self._scale, -1.0, 1.0)
        return within


class Noise:
    """Exploration of a residual: normal noise in shares of its width, which lasts.

    A motor and its load answer to what lasts for some tens of ms; noise that is another in each control
    step mostly cancels out, and the little that it does is hard to credit to any one action.
    """

    def __init__(self, actuators: int, deviation: float, steps: float, seed: int) -> None:
        """Draw from a seed.

        Args:
            actuators: how many.
            deviation: standard deviation, in shares of the width.
            steps: control steps after which 37 % of it is left; 0 for none.
            seed: of the noise.
        """
        self._deviation, self._keep = deviation, float(np.exp(-1.0 / steps)) if steps > 0.0 else 0.0
        self._random = torch.Generator().manual_seed(seed)
        self._now = torch.randn((1, actuators), generator=self._random)

    def __call__(self) -> torch.Tensor:
        """(1, actuators) of the next control step."""
        fresh = torch.randn(self._now.shape, generator=self._random)
        self._now = self._keep * self._now + (1.0 - self._keep**2) ** 0.5 * fresh
        return self._deviation * self._now


class Explorer:
    """A `Runnable` and what acts for it, for one episode.

    Attributes:
        contract: of the policy.
        digest: SHA-256 of base and residual as they are; a log names by it what ran.
        recovered: control steps in which the base acted alone since a joint was near a limit.
        explored: control steps whose action used the width, and was not filtered.
        furthest: largest distance of an action from the base's, before the filter.
    """

    def __init__(
        self,
        contract: Contract,
        base: FrozenPolicy,
        base_digest: str,
        residual: ResidualPolicy | None,
        bounds: ActionBounds,
        witness: MonitoredDriver,
        keeps: CommandFilter | None,
        recover_beyond: float,
        noise: Noise | None,
    ) -> None:
        """Prepare an episode.

        Args:
            contract: of the policy.
            base: that does not learn.
            base_digest: SHA-256 of its checkpoint.
            residual: what was learned; without one the base acts alone.
            bounds: of the residual.
            witness: that has just read the state on which an action is asked.
            keeps: filters actions, or None.
            recover_beyond: share of half a joint's range beyond which the base acts alone.
            noise: of the exploration; without any, there is none.
        """
        self.contract, self._base, self._residual = contract, base, residual
        self._bounds, self._witness, self._keeps = bounds, witness, keeps
        lowest, highest, _ = joint_limits(contract.robot)
        with np.errstate(invalid="ignore"):
            self._middle = np.nan_to_num(0.5 * (lowest + highest), posinf=0.0, neginf=0.0)
        reach = recover_beyond * np.minimum(highest - self._middle, self._middle - lowest)
        self._reach = np.nan_to_num(reach, nan=np.inf)
        self._noise = noise
        self.digest = _digest(base_digest, residual)
        self.recovered, self.explored, self.furthest = 0, 0, 0.0

    def golden_mismatch(self) -> GoldenMismatch | None:
        """None: it is no file that was made elsewhere."""
        return None

    def warmed_up(self) -> "Explorer":
        """Itself, after some runs: the first ones allocate."""
        for _ in range(WARM_UP_RUNS):
            self._actions(np.zeros(ObservationPipeline(self.contract).size, np.float32))
        return self

    def begin(self) -> None:
        """It carries nothing from step to step."""

    def __call__(self, observation: Float32Array, images: Images = NO_IMAGES) -> Float32Array:
        """(size,) observation to (actuators,) action in [-1, 1]."""
        base, wanted = self._actions(observation)
        state = self._witness.newest
        assert state is not None
        near = bool((np.abs(state.joint_position - self._middle) > self._reach).any())
        self.recovered += near and self._residual is not None
        action = base if near else self._bounds(base, wanted)
        left_by = float(np.abs(action - base).max())
        self.furthest = max(self.furthest, left_by)
        sent = action
        if self._keeps is not None and self._residual is not None and not near:
            sent = self._keeps(action, base, state.joint_position, state.joint_velocity)
        width = self._bounds.state.width
        self.explored += left_by > 0.0 and left_by >= USED_SHARE * width and bool((sent == action).all())
        return sent.astype(np.float32)

    def _actions(self, observation: Float32Array) -> tuple[FloatArray, FloatArray]:
        """(actuators,) the base's, and what exploration wants."""
        seen = self._base.features(torch.from_numpy(observation[None]))
        base = self._base.act(seen)
        wanted = base
        if self._residual is not None:
            with torch.no_grad():
                unit = self._residual.unit(seen, base)
                if self._noise is not None:
                    unit = (unit + self._noise()).clamp(-1.0, 1.0)
                wanted = self._residual.around(base, unit)
        return base[0].double().numpy(), wanted[0].double().numpy()


def _digest(base: str, residual: ResidualPolicy | None) -> str:
    found = hashlib.sha256(base.encode())
    for name, values in ({} if residual is None else residual.state_dict()).items():
        found.update(name.encode() + values.numpy().tobytes())
    return found.hexdigest()
