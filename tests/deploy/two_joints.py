"""A robot of two joints, for tests of what watches over one."""

import numpy as np

from simreal.contract import Actuator, Joint, RobotDescription
from simreal.robots.safety import SafetyConfig
from simreal.state import RobotState

NOW = 100.0
MOTORS = RobotDescription(
    name="two",
    joints=(Joint(name="shoulder"), Joint(name="elbow")),
    actuators=(
        Actuator(name="upper", joint="shoulder", command="effort", unit="N·m", lower=-2.0, upper=1.0),
        Actuator(name="fore", joint="elbow", command="effort", unit="N·m", lower=-0.5, upper=3.0),
    ),
)
SERVOS = RobotDescription(
    name="two",
    joints=(Joint(name="shoulder", default_position=0.5), Joint(name="elbow", default_position=-0.5)),
    actuators=tuple(
        Actuator(
            name=name,
            joint=joint,
            command="position",
            unit="rad",
            lower=-1.0,
            upper=1.5,
            stiffness=20.0,
            damping=1.0,
        )
        for name, joint in (("upper", "shoulder"), ("fore", "elbow"))
    ),
)
SAFETY = SafetyConfig(
    joint_position={"elbow": (-1.0, 0.5)},
    joint_velocity={"shoulder": 4.0},
    joint_effort={"elbow": 9.0},
    angular_velocity=5.0,
    tilt=1.0,
    temperature=70.0,
    supply_voltage=(10.0, 14.0),
    command_rate={"upper": 30.0, "fore": 20.0},
    command_effort={"upper": 5.0},
    command_jump={"fore": 2.0},
    saturated_action_s=0.5,
    stall={"upper": 0.4},
    stall_s=0.3,
    stale_state_ms=50.0,
    frozen_state_ms=100.0,
    position_mismatch={"shoulder": 0.3},
    deadline_misses=0.1,
    authority_start=0.2,
    authority_ramp_s=0.5,
    rise_speed=1.0,
    rise_tolerance=0.3,
    reaction="damp",
    reactions={"tilt": "off", "stall": "hold", "end": "off"},
)


def state(
    position: tuple[float, float] = (0.0, 0.0),
    velocity: tuple[float, float] = (0.0, 0.0),
    time: float = NOW,
) -> RobotState:
    """A measurement of now."""
    return RobotState(time, np.array(position), np.array(velocity))
