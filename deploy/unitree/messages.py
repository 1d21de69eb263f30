"""The low-level messages of Unitree's robots, and what their fields mean.

Facts of the vendor's IDL, as published with unitree_sdk2 and unitree_sdk2_python; written anew.
"""

from dataclasses import dataclass

from simreal.deploy.unitree.layout import Field, Struct

COMMAND_TOPIC, STATE_TOPIC = "rt/lowcmd", "rt/lowstate"
HEAD = (0xFE, 0xEF)
LOW_LEVEL = 0xFF
"""level_flag of a command that goes to the motors."""
STATE_PERIOD = 2e-3
"""s between two states."""
STOP, SERVO = 0, 1
"""Modes of a motor."""
POSITION_STOP, VELOCITY_STOP = 2.146e9, 16000.0
"""Position and velocity that mean: do not control it; sent with stiffness and damping 0."""
SERIAL = 0
"""mode_pr: ankles and waist are told pitch and roll, not the two motors behind them."""


def _struct(
    package: str, name: str, *fields: tuple[str, str | Struct] | tuple[str, str | Struct, int]
) -> Struct:
    return Struct(f"{package}.msg.dds_.{name}", tuple(Field(*each) for each in fields))


def _motor_command(package: str, *reserve: str | int) -> Struct:
    numbers = ((name, "f4") for name in ("q", "dq", "tau", "kp", "kd"))
    return _struct(package, "MotorCmd_", ("mode", "u1"), *numbers, ("reserve", *reserve))  # type: ignore[arg-type]


def _imu_state(package: str, temperature: str) -> Struct:
    return _struct(
        package,
        "IMUState_",
        ("quaternion", "f4", 4),
        ("gyroscope", "f4", 3),
        ("accelerometer", "f4", 3),
        ("rpy", "f4", 3),
        ("temperature", temperature),
    )


_PREAMBLE = (
    ("head", "u1", 2),
    ("level_flag", "u1"),
    ("frame_reserve", "u1"),
    ("sn", "u4", 2),
    ("version", "u4", 2),
    ("bandwidth", "u2"),
)

GO_COMMAND = _struct(
    "unitree_go",
    "LowCmd_",
    *_PREAMBLE,
    ("motor_cmd", _motor_command("unitree_go", "u4", 3), 20),
    ("bms_cmd", _struct("unitree_go", "BmsCmd_", ("off", "u1"), ("reserve", "u1", 3))),
    ("wireless_remote", "u1", 40),
    ("led", "u1", 12),
    ("fan", "u1", 2),
    ("gpio", "u1"),
    ("reserve", "u4"),
    ("crc", "u4"),
)
_GO_MOTOR_STATE = _struct(
    "unitree_go",
    "MotorState_",
    ("mode", "u1"),
    ("q", "f4"),
    ("dq", "f4"),
    ("ddq", "f4"),
    ("tau_est", "f4"),
    ("q_raw", "f4"),
    ("dq_raw", "f4"),
    ("ddq_raw", "f4"),
    ("temperature", "u1"),
    ("lost", "u4"),
    ("reserve", "u4", 2),
)
_GO_BATTERY = _struct(
    "unitree_go",
    "BmsState_",
    ("version_high", "u1"),
    ("version_low", "u1"),
    ("status", "u1"),
    ("soc", "u1"),
    ("current", "i4"),
    ("cycle", "u2"),
    ("bq_ntc", "u1", 2),
    ("mcu_ntc", "u1", 2),
    ("cell_vol", "u2", 15),
)
GO_STATE = _struct(
    "unitree_go",
    "LowState_",
    *_PREAMBLE,
    ("imu_state", _imu_state("unitree_go", "u1")),
    ("motor_state", _GO_MOTOR_STATE, 20),
    ("bms_state", _GO_BATTERY),
    ("foot_force", "i2", 4),
    ("foot_force_est", "i2", 4),
    ("tick", "u4"),
    ("wireless_remote", "u1", 40),
    ("bit_flag", "u1"),
    ("adc_reel", "f4"),
    ("temperature_ntc1", "u1"),
    ("temperature_ntc2", "u1"),
    ("power_v", "f4"),
    ("power_a", "f4"),
    ("fan_frequency", "u2", 4),
    ("reserve", "u4"),
    ("crc", "u4"),
)
HG_COMMAND = _struct(
    "unitree_hg",
    "LowCmd_",
    ("mode_pr", "u1"),
    ("mode_machine", "u1"),
    ("motor_cmd", _motor_command("unitree_hg", "u4"), 35),
    ("reserve", "u4", 4),
    ("crc", "u4"),
)
_HG_MOTOR_STATE = _struct(
    "unitree_hg",
    "MotorState_",
    ("mode", "u1"),
    ("q", "f4"),
    ("dq", "f4"),
    ("ddq", "f4"),
    ("tau_est", "f4"),
    ("temperature", "i2", 2),
    ("vol", "f4"),
    ("sensor", "u4", 2),
    ("motorstate", "u4"),
    ("reserve", "u4", 4),
)
HG_STATE = _struct(
    "unitree_hg",
    "LowState_",
    ("version", "u4", 2),
    ("mode_pr", "u1"),
    ("mode_machine", "u1"),
    ("tick", "u4"),
    ("imu_state", _imu_state("unitree_hg", "i2")),
    ("motor_state", _HG_MOTOR_STATE, 35),
    ("wireless_remote", "u1", 40),
    ("reserve", "u4", 4),
    ("crc", "u4"),
)


@dataclass(frozen=True, slots=True)
class Messages:
    """What a family of robots speaks.

    Attributes:
        command: told to it.
        state: told by it.
        motors: places for motors in both, of which a robot uses some.
    """

    command: Struct
    state: Struct
    motors: int


MESSAGES = {"go": Messages(GO_COMMAND, GO_STATE, 20), "hg": Messages(HG_COMMAND, HG_STATE, 35)}
"""By the name of their IDL package: Go2, B2 and H1 speak ``go``, G1 and H1-2 ``hg``."""
