"""How a learner meets each robot: how it is moved, and what is looked for in what it did.

Chosen by what people know of such robots, with no look at the hidden ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from simreal.errors import UserError, nearest
from simreal.identification.nested_models import nested_models
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import Asked, read_asked
from simreal.robots import load_robot


@dataclass(frozen=True, slots=True)
class Meeting:
    """What is done with a robot, and what is to be found out.

    Attributes:
        amplitude: of an excitation, in rad, or as a share of the range of motors under voltage.
        frequencies: Hz, of its sines.
        centre: joint to rad about which it is moved, where that is not its default position.
        held: whether it hangs on a stand meanwhile.
        excitations: how many, of 10 s each.
        flights: how many, of 6 s each, of a policy that was half trained.
        window: s, of what identification predicts.
        nested: parameters to find, each row added to those before; the usual ones if absent.
    """

    amplitude: float
    frequencies: tuple[float, ...] = (0.4, 0.9, 1.7, 2.9, 4.3)
    centre: Mapping[str, float] = field(default_factory=dict)
    held: bool = False
    excitations: int = 6
    flights: int = 6
    window: float = 0.5
    nested: tuple[tuple[str, ...], ...] = ()

    def setup(self, robot: str) -> Setup:
        """How it stands while it is excited."""
        return Setup(load_robot(robot), fixed_base=self.held)

    def asked(self, robot: str) -> list[list[Asked]]:
        """The parameters to find."""
        if not self.nested:
            return nested_models(self.setup(robot).world(1, {}))
        return [[read_asked(name) for name in row] for row in self.nested]


FRICTION_AND_MOTORS = tuple(
    f"{name}[*_{part}{of}]"
    for name, of in (
        ("joint_damping", "_joint"),
        ("joint_frictionloss", "_joint"),
        ("motor_strength", ""),
    )
    for part in ("hip", "thigh", "calf")
)
"""Of a Go2: its joints and actuators differ by name."""
MEETINGS = {
    "qube": Meeting(amplitude=0.25),
    "so101": Meeting(
        amplitude=0.12,
        # Below a tenth of its 25 Hz: a start is read off three samples before and after.
        frequencies=(0.2, 0.45, 0.9, 1.4, 2.1),
        # Raised, since an arm that sags more than its model would come down on the table.
        centre={"shoulder_lift": -0.7, "wrist_flex": 1.2},
        window=1.0,
        # Servos of one kind have one friction; strength and zero are each one's own.
        nested=(
            ("joint_damping[*]", "joint_frictionloss[*]", "motor_strength", "action_latency_ms=0:100"),
            ("encoder_bias", "joint_armature[*]", "payload_mass[gripper]"),
            ("stribeck_friction[*]", "load_friction[*]"),
        ),
    ),
    "go2": Meeting(
        amplitude=0.2,
        # With feet on the ground, the base has no measured state to start a prediction from.
        held=True,
        flights=0,
        # Legs alike, as their motors are.
        nested=(
            ("action_latency_ms=0:60", *FRICTION_AND_MOTORS),
            ("joint_armature[*]",),
            ("stribeck_friction[*]", "load_friction[*]"),
        ),
    ),
}
"""By robot."""


def find_meeting(robot: str) -> Meeting:
    """How a robot is met.

    Raises:
        UserError: nobody has said how.
    """
    if robot not in MEETINGS:
        raise UserError(f"robot {robot!r} is not in the benchmark: {nearest(robot, MEETINGS)}")
    return MEETINGS[robot]
