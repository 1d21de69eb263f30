"""The `safety` section of a `robot.yaml`: bounds on the real machine, and what is done beyond each."""

from typing import Literal, get_args

from pydantic import Field

from simreal.config import Config

Reaction = Literal["hold", "damp", "off"]
"""What the motors are told: keep the posture, brake motion, or be passive. A driver whose motors cannot
hold brakes instead; one whose motors cannot brake makes them passive."""
Check = Literal[
    "joint_position",
    "joint_velocity",
    "joint_effort",
    "angular_velocity",
    "tilt",
    "temperature",
    "supply_voltage",
    "motor_fault",
    "not_a_number",
    "stale_state",
    "frozen_state",
    "inconsistent_state",
    "stall",
    "policy_output",
    "saturated_action",
    "command_jump",
    "rise",
    "overrun",
    "deadline_misses",
    "gap",
    "lost_driver",
    "emergency_stop",
    "end",
]
"""What the supervisor watches; `end` is no fault but the orderly end of a run. In deploy/, bounds.py has
those of single measurements, up to `stale_state`; persistence.py has `frozen_state`,
`inconsistent_state`, `stall` and `saturated_action`; control_loop.py tells of `overrun`,
`lost_driver`, and of a camera's `stale_state`; supervisor.py has the rest."""
CHECKS: tuple[Check, ...] = get_args(Check)
BY_JOINT = ("joint_position", "joint_velocity", "joint_effort", "position_mismatch")
BY_ACTUATOR = ("command_rate", "command_effort", "command_jump", "stall")
"""Keys of the section whose entries are named after joints, and after actuators."""


class SafetyConfig(Config):
    """Bounds that the supervisor enforces on the real machine. What is absent is not checked."""

    joint_position: dict[str, tuple[float, float]] = {}
    """Joint name to lower and upper bound, rad or m."""
    joint_velocity: dict[str, float] = {}
    """Joint name to the largest speed, rad/s or m/s."""
    joint_effort: dict[str, float] = {}
    """Joint name to the largest effort that its drive may report, N·m or N."""
    angular_velocity: float | None = Field(default=None, gt=0)
    """rad/s, of a body with an IMU."""
    tilt: float | None = Field(default=None, gt=0, le=3.1416)
    """rad between the body's upward axis and the vertical."""
    temperature: float | None = None
    """°C, of the hottest place that a drive reports."""
    supply_voltage: tuple[float, float] | None = None
    """V, lowest and highest."""

    command_rate: dict[str, float] = {}
    """Actuator name to the fastest change of its command, in its unit per s; a command that changes
    faster is slowed down. No fault."""
    command_effort: dict[str, float] = {}
    """Position servo to the largest effort, N·m or N, that its stiffness and damping may ask for; a
    target further away is brought nearer. No fault."""
    command_jump: dict[str, float] = {}
    """Actuator name to the largest step from one of the policy's commands to the next, in its unit."""
    saturated_action_s: float | None = Field(default=None, gt=0)
    """s for which an action may stay at -1 or 1."""
    stall: dict[str, float] = {}
    """Actuator name to the command (V, N·m, N), or of a servo the distance to its target (rad, m), that
    must move its joint."""
    stall_speed: float = Field(default=0.02, gt=0)
    """rad/s or m/s below which a joint counts as standing still."""
    stall_s: float = Field(default=1.0, gt=0)
    """s for which it may stand still all the same."""

    stale_state_ms: float = Field(default=100.0, gt=0)
    """The oldest measurement that may be acted upon; of parts that arrive one by one, of each joint."""
    frozen_state_ms: float | None = Field(default=None, gt=0)
    """For so long, a commanded robot may report the same to the last bit."""
    position_mismatch: dict[str, float] = {}
    """Joint name to the largest difference, rad or m, between how far it has come by its positions and
    by its velocities within some `mismatch_s`."""
    mismatch_s: float = Field(default=0.2, gt=0)
    """s after which such a difference is forgotten."""
    deadline_misses: float | None = Field(default=0.5, gt=0, le=1)
    """Share of the periods of about one second that may be skipped."""
    watchdog_ms: float = Field(default=100.0, gt=0)
    """Without a command for this long, the robot itself brakes or goes passive."""

    authority_start: float = Field(default=0.2, ge=0, le=1)
    """Share of gains, or of effort, at the first command after the motors were passive."""
    authority_ramp_s: float = Field(default=1.0, ge=0)
    """s until it is 1."""
    rise_speed: float = Field(default=0.5, gt=0)
    """rad/s or m/s, the fastest that a servo's target moves on the way to the default posture."""
    rise_tolerance: float | None = Field(default=None, gt=0)
    """rad or m, how near to the default posture a servo must come on that way."""

    reaction: Reaction = "damp"
    """To every check that `reactions` does not name."""
    reactions: dict[Check, Reaction] = {}
    """By check; `end` is the orderly end of a run."""
    halt_s: float = Field(default=1.0, ge=0, le=60)
    """s for which a policy that follows velocities is asked for none before the reaction to `end`."""
    settle_s: float = Field(default=1.0, ge=0, le=60)
    """s for which the reaction lasts at the end, before the motors are made passive."""

    def reaction_to(self, check: Check) -> Reaction:
        """What is done when a check fails."""
        return self.reactions.get(check, self.reaction)
