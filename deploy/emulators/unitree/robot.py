"""A Unitree robot that is not there: its firmware, its own controller and its services, before a body.

What is known of the real ones is in the messages. What follows is ours, since nobody documents it: a
watchdog that brakes the motors after `watchdog_ms` without a sound command, and that commands are not
heard while the robot's own controller is active (a real robot may obey both, and shake).
"""

import json
import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from simreal.callbacks import Tell
from simreal.deploy.emulators.body import Body
from simreal.deploy.emulators.faults import Faults
from simreal.deploy.emulators.unitree.codec import Codec, HgCodec, NoCommandError, Shown
from simreal.state import FloatArray, RobotState

Number = TypeVar("Number", np.int64, np.float64)
BRAKING = 8.0
"""N·m·s/rad, with which the watchdog brakes."""
STOP_MARKS = 2.146e9, 16000.0
"""Position and velocity of a motor that is not to be controlled by them."""
LYING = (0.0, 1.36, -2.65)
"""rad of hip, thigh and calf of a Go2 that has lain down."""
LIE_DOWN_TIME = 2.0
HOTEL_POWER = 40.0
"""W that a robot draws at rest. An assumption."""
NOT_IMPLEMENTED, BAD_PARAMETER = 3203, 3204


class UnitreeRobot:
    """Firmware and body of one robot. Time passes only in `advance`.

    Attributes:
        body: what it drives.
        time: s since it was switched on.
        controller: name of its own controller that is active; empty if none is.
        braked: whether its watchdog has found its time over.
        obeyed: commands that were.
        pulled: whether the last one of them drew a joint to somewhere.
        ignored: commands that were not, by the reason.
        beyond: the furthest that an obeyed position lay outside of a joint's limits, rad.
    """

    def __init__(
        self,
        body: Body,
        codec: Codec,
        motor_index: Sequence[int],
        watchdog_ms: float = 100.0,
        controller: str = "",
        tell: Tell = lambda text: None,
    ) -> None:
        """Switch a robot on; it stands until it is told something.

        Args:
            body: its body.
            codec: of the messages that it speaks.
            motor_index: of each actuator, the number of its motor.
            watchdog_ms: without a sound command, after the first, until it brakes.
            controller: of its own that is active at first, such as "normal".
            tell: hears what happens, for people.
        """
        self.body, self._codec, self._motor = body, codec, np.array(motor_index)
        self.controller, self._tell = controller, tell
        self._watchdog = 1e-3 * watchdog_ms
        self._told_at: float | None = None
        self._steps = 0
        self.braked, self.obeyed, self.beyond = False, 0, 0.0
        self.pulled = False
        self.ignored: dict[str, int] = {}
        count = len(body.joints)
        self._modes = np.ones(count, np.int64)
        self._lost = np.zeros(count, np.int64)
        self._lies_down: tuple[float, FloatArray] | None = None
        self._lower = np.array([each.lower for each in body.description.actuators])
        self._upper = np.array([each.upper for each in body.description.actuators])
        self._shown = self._measured(body.advance())

    @property
    def time(self) -> float:
        """S since it was switched on."""
        return self._steps / self.body.rate

    @property
    def names(self) -> list[str]:
        """Of its drives, which faults may befall."""
        return list(self.body.description.actuator_names)

    def obey(self, payload: bytes) -> bool:
        """Take a command; whether it was obeyed."""
        try:
            if self.controller:
                raise NoCommandError(f"the controller {self.controller!r} is active")
            self._follow(payload)
        except NoCommandError as reason:
            self.ignored[str(reason)] = self.ignored.get(str(reason), 0) + 1
            if self.ignored[str(reason)] == 1:
                self._tell(f"a command is not obeyed: {reason}")
            return False
        self.obeyed += 1
        if self.braked or self._told_at is None:
            self._tell("obeys commands")
        self._told_at, self.braked = self.time, False
        return True

    def _follow(self, payload: bytes) -> None:
        told, motor = self._codec.command(payload), self._motor
        if told.mode_machine is not None and told.mode_machine != self._shown.mode_machine:
            raise NoCommandError(f"mode_machine {told.mode_machine} is not this robot's")
        mode = told.mode[motor]
        if not np.isin(mode, (0, 1)).all():
            raise NoCommandError("a mode of a motor that is neither 0 nor 1")
        position, velocity = told.position[motor], told.velocity[motor]
        stiffness, damping = told.stiffness[motor], told.damping[motor]
        numbers = position, velocity, stiffness, damping, told.feedforward[motor]
        if not np.isfinite(numbers).all() or min(stiffness.min(), damping.min()) < 0.0:
            raise NoCommandError("numbers that are none, or gains below zero")
        runs = mode == 1
        pulls = runs & (position != np.float32(STOP_MARKS[0])) & (stiffness > 0.0)
        brakes = runs & (velocity != np.float32(STOP_MARKS[1]))
        outside = np.maximum(self._lower - position, position - self._upper)
        # A float32 of a limit may lie beyond it by its rounding.
        self.beyond = max(self.beyond, float(np.where(pulls, outside, 0.0).max()) - 1e-6)
        self._modes, self.pulled = mode, bool(pulls.any())
        self.body.command(
            slice(None),
            np.where(pulls, position, self.body.position),
            velocity=np.where(brakes, velocity, 0.0),
            stiffness=np.where(pulls, stiffness, 0.0),
            damping=np.where(brakes, damping, 0.0),
            feedforward=np.where(runs, told.feedforward[motor], 0.0),
        )

    def advance(self, faults: Faults | None = None) -> None:
        """Let one physics step pass."""
        self._steps += 1
        if faults is not None and faults.befall(self.body, self.names, self.time) and not self.braked:
            self._brake("the watchdog is made to find its time over")
        silent = self._told_at is not None and self.time - self._told_at > self._watchdog
        if silent and not self.braked and not self.controller:
            self._brake(f"no command for {1e3 * self._watchdog:g} ms")
        if self._lies_down is not None:
            self._lie_down(*self._lies_down)
        shown = self._measured(self.body.advance())
        if faults is not None and faults.announced:
            self._lose(shown, faults)
        self._shown = shown

    def _brake(self, reason: str) -> None:
        self.braked = True
        self._modes[:] = 1
        self.body.damp(damping=BRAKING)
        self._tell(f"{reason}: the motors brake")

    def _lie_down(self, began: float, start: FloatArray) -> None:
        share = min(1.0, (self.time - began) / LIE_DOWN_TIME)
        self.body.command(slice(None), start + share * (np.resize(LYING, len(start)) - start))

    def _lose(self, shown: Shown, faults: Faults) -> None:
        """Messages of motors that the robot's own computer misses: it repeats what it had."""
        for place, (name, motor) in enumerate(zip(self.names, self._motor, strict=True)):
            if any(each.device == name for each in faults.holding("drop", self.time)) and not (
                faults.frames(b"", name, self.time)
            ):
                self._lost[place] += 1
                shown.lost[motor] = self._lost[place]
                for now, before in (
                    (shown.position, self._shown.position),
                    (shown.velocity, self._shown.velocity),
                    (shown.effort, self._shown.effort),
                ):
                    now[motor] = before[motor]

    def state(self) -> bytes:
        """The state that it sends now."""
        return self._codec.state(self._shown)

    def _measured(self, state: RobotState) -> Shown:
        body, joints = self.body, self.body.joints
        assert state.orientation is not None and state.joint_effort is not None
        assert state.angular_velocity is not None and state.linear_acceleration is not None
        watts = HOTEL_POWER + abs(float(body.effort @ body.velocity))
        return Shown(
            round(1e3 * self.time) % 2**32,
            self._of_motors(self._modes),
            self._of_motors(state.joint_position[joints]),
            self._of_motors(state.joint_velocity[joints]),
            self._of_motors(state.joint_effort[joints]),
            self._of_motors(body.temperature),
            self._of_motors(self._lost),
            state.orientation.tolist(),
            state.angular_velocity.tolist(),
            state.linear_acceleration.tolist(),
            _roll_pitch_yaw(state.orientation),
            body.supply_voltage,
            watts / max(body.supply_voltage, 1.0),
            foot_force=self._foot_force(),
        )

    def _of_motors(self, values: NDArray[Number]) -> NDArray[Number]:
        spread = np.zeros(self._codec.motors, values.dtype)
        spread[self._motor] = values
        return spread

    def _foot_force(self) -> list[int]:
        """N at the feet FR, FL, RR, RL; the real number has no unit that is known."""
        if isinstance(self._codec, HgCodec):
            return [0, 0, 0, 0]
        feet = (f"{leg}_foot_contact" for leg in ("FR", "FL", "RR", "RL"))
        return [min(round(float(self.body.physics.sensor(name)[0, 0])), 32767) for name in feet]

    def call(self, service: str, api: int, parameter: str) -> tuple[int, str]:
        """Serve a call: a code, 0 if it went well, and data as JSON."""
        match service, api:
            case ("motion_switcher", 1001):
                return 0, json.dumps({"form": "0", "name": self.controller})
            case ("motion_switcher", 1002):
                name = _name(parameter)
                if not name:
                    return BAD_PARAMETER, ""
                self.controller = name
                self._told_at, self._lies_down = None, None
                self.body.hold()
            case ("motion_switcher", 1003):
                if self.controller:
                    self._tell(f"the controller {self.controller!r} lets go of the motors")
                    self.body.off()
                    self._modes[:] = 0
                self.controller, self._lies_down = "", None
            case ("sport", 1005) if self.controller:
                self._lies_down = self.time, self.body.position
            case _:
                return NOT_IMPLEMENTED, ""
        return 0, ""


def _name(parameter: str) -> str:
    """What a parameter in JSON names; empty if nothing."""
    try:
        said = json.loads(parameter)
    except ValueError:
        return ""
    name = said.get("name") if isinstance(said, dict) else None
    return name if isinstance(name, str) else ""


def _roll_pitch_yaw(orientation: FloatArray) -> tuple[float, float, float]:
    """rad, of a quaternion w, x, y, z."""
    w, x, y, z = orientation.tolist()
    return (
        math.atan2(2.0 * (w * x + y * z), 1.0 - 2.0 * (x * x + y * y)),
        math.asin(max(-1.0, min(1.0, 2.0 * (w * y - z * x)))),
        math.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)),
    )
