"""The wire between `SimDriver` and the simulated robot: packets on a Unix SEQPACKET socket.

First the robot sends one JSON hello; then it sends states and the driver commands, little-endian:
state    u64 sequence, i64 time (ns, monotonic clock of this machine), u8 number of tracked objects,
         then positions, velocities (f64),
         and of a robot with an IMU orientation (4), angular velocity (3), linear acceleration (3) (f64),
         and the pose (7) of each object around it that a tracker sees (f64)
command  u64 sequence, u8 mode, f64 authority, then targets (f64), which only the mode FOLLOW heeds;
         of the mode PUSH, which is no command but somebody's hand, efforts on the joints instead
"""

import json
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.state import IMU_WIDTHS, POSE, FloatArray, RobotState

STATE_HEADER = struct.Struct("<QqB")
COMMAND_HEADER = struct.Struct("<QBd")
LARGEST_PACKET = 65536


class Mode(IntEnum):
    """What the motors shall do."""

    OFF = 0
    FOLLOW = 1
    HOLD = 2
    DAMP = 3
    PUSH = 4


class WireError(Exception):
    """A packet that is not what it should be."""


@dataclass(frozen=True, slots=True)
class StatePacket:
    """A measurement, of one robot; the state's own time is when the packet says it was sent."""

    sequence: int
    time_ns: int
    state: RobotState

    def encode(self) -> bytes:
        """As bytes."""
        objects = 0 if self.state.object_pose is None else len(self.state.object_pose)
        header = STATE_HEADER.pack(self.sequence, self.time_ns, objects)
        return header + b"".join(part.astype("<f8").tobytes() for part in _parts(self.state))

    @classmethod
    def decode(cls, data: bytes, joints: int, imu: bool = False) -> "StatePacket":
        """From bytes."""
        sizes = [joints, joints, *(IMU_WIDTHS.values() if imu else ())]
        objects = data[STATE_HEADER.size - 1] if len(data) >= STATE_HEADER.size else 0
        if len(data) != STATE_HEADER.size + 8 * (sum(sizes) + POSE * objects):
            raise WireError(f"state packet of {len(data)} bytes for {joints} joints")
        sequence, time_ns, _ = STATE_HEADER.unpack_from(data)
        values = np.frombuffer(data, "<f8", offset=STATE_HEADER.size)
        position, velocity, *inertial, poses = np.split(values, np.cumsum(sizes))
        state = RobotState(time_ns * 1e-9, position, velocity)
        for name, reading in zip(IMU_WIDTHS, inertial, strict=False):
            setattr(state, name, reading)
        if objects:
            state.object_pose = poses.reshape(objects, POSE)
        return cls(sequence, time_ns, state)


def _parts(state: RobotState) -> list[FloatArray]:
    """What a state consists of, in the order of the wire."""
    poses = [] if state.object_pose is None else [state.object_pose]
    return [state.joint_position, state.joint_velocity, *state.inertial().values(), *poses]


@dataclass(frozen=True, slots=True)
class CommandPacket:
    """A command; the target is (actuators,) float64, the authority a share of gains or effort.

    With the mode PUSH, the target is (joints,) N·m or N from outside.
    """

    sequence: int
    mode: Mode
    target: NDArray[np.float64]
    authority: float = 1.0

    def encode(self) -> bytes:
        """As bytes."""
        header = COMMAND_HEADER.pack(self.sequence, self.mode, self.authority)
        return header + self.target.astype("<f8").tobytes()

    @classmethod
    def decode(cls, data: bytes, actuators: int, joints: int = 0) -> "CommandPacket":
        """From bytes."""
        if len(data) < COMMAND_HEADER.size:
            raise WireError(f"command packet of {len(data)} bytes")
        sequence, mode, authority = COMMAND_HEADER.unpack_from(data)
        if mode not in tuple(Mode):
            raise WireError(f"command packet with mode {mode}")
        numbers = joints if mode == Mode.PUSH else actuators
        if len(data) != COMMAND_HEADER.size + 8 * numbers:
            raise WireError(f"command packet of {len(data)} bytes for {numbers} numbers")
        if not 0.0 <= authority <= 1.0:
            raise WireError(f"command packet with authority {authority}")
        target = np.frombuffer(data, "<f8", offset=COMMAND_HEADER.size)
        return cls(sequence, Mode(mode), target, authority)


def encode_hello(robot: dict[str, Any] | None, error: str | None = None) -> bytes:
    """The robot's description, or why there is no robot."""
    return json.dumps({"robot": robot, "error": error}).encode()


def decode_hello(data: bytes) -> tuple[dict[str, Any] | None, str | None]:
    """Description and error of a hello."""
    try:
        hello = json.loads(data)
        return hello["robot"], hello["error"]
    except (ValueError, KeyError, TypeError):
        raise WireError("the first packet is no hello") from None
