"""The contract: everything that a policy believes about its robot, in one JSON document.

Training makes it, export embeds it, deployment refuses to start where the robot differs from it.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from simreal.config import Config
from simreal.errors import UserError, nearest

ObservationSource = Literal[
    "joint_position",
    "joint_offset",
    "joint_position_sin",
    "joint_position_cos",
    "joint_velocity",
    "angular_velocity",
    "linear_acceleration",
    "projected_gravity",
    "command",
    "object_position",
    "object_orientation",
    "object_to_command",
    "tool_position",
    "tool_to_command",
    "tool_to_object",
    "following_error",
    "previous_action",
    "task",
]
"""Places are in the frame of the robot's base; `A_to_B` is the way from one place to another, and a
command is a place by what of it is called x, y, z. `following_error` is what each position servo was
last told, less where its joint is measured. `task` is what a simulated task computes by itself, as
those of dm_control; no robot measures it. `SOURCES` in observation.py has a row for each."""
Sources = frozenset[ObservationSource]

JOINT_SOURCES: Sources = frozenset(
    {"joint_position", "joint_offset", "joint_position_sin", "joint_position_cos", "joint_velocity"}
)
"""Those that may name joints. Below: those that need an IMU, objects, a tool, or commands."""
IMU_SOURCES: Sources = frozenset({"angular_velocity", "linear_acceleration", "projected_gravity"})
OBJECT_SOURCES: Sources = frozenset(
    {"object_position", "object_orientation", "object_to_command", "tool_to_object"}
)
TOOL_SOURCES: Sources = frozenset({"tool_position", "tool_to_command", "tool_to_object"})
COMMAND_SOURCES: Sources = frozenset({"command", "object_to_command", "tool_to_command"})
AXES = ("x", "y", "z")


class Joint(Config):
    """One joint as the policy sees it. `None` for a limit means that there is none."""

    name: str
    """As in the model."""
    unit: Literal["rad", "m"] = "rad"
    """rad for a joint that turns, m for one that slides."""
    lower: float | None = None
    """rad or m; the range of the model's joint, where that is limited."""
    upper: float | None = None
    """rad or m."""
    velocity_limit: float | None = Field(default=None, gt=0)
    """rad/s or m/s."""
    default_position: float = 0.0
    """rad or m, of the posture that actions and rewards may refer to."""


class Actuator(Config):
    """One actuator and the command that it takes."""

    name: str
    """As in the model."""
    joint: str
    """Name of the joint that it drives."""
    command: Literal["voltage", "effort", "position"]
    """What it is told: a motor's voltage, a torque or force, or where a servo shall go."""
    unit: Literal["V", "N·m", "N", "rad", "m"]
    """Of the command: V for a voltage; N·m for an effort on a joint that turns, N on one that slides;
    rad or m for a position."""
    lower: float
    """Smallest command, in its unit."""
    upper: float
    """Largest command."""
    stiffness: float | None = Field(default=None, gt=0)
    """N·m/rad or N/m, of a position servo."""
    damping: float | None = Field(default=None, ge=0)
    """N·m·s/rad or N·s/m, likewise."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.lower < self.upper:
            raise ValueError(f"lower {self.lower} is not below upper {self.upper}")
        if self.command != "position" and (self.stiffness, self.damping) != (None, None):
            raise ValueError(f"actuator {self.name}: only a position servo has stiffness and damping")
        return self


class Command(Config):
    """One number that somebody asks of a policy while it runs, such as a velocity."""

    name: str
    unit: str
    low: float
    high: float

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"command {self.name}: low {self.low} is above high {self.high}")
        return self

    @property
    def is_velocity(self) -> bool:
        """Whether it says how fast something shall move."""
        return self.unit in ("m/s", "rad/s")


class Link(Config):
    """One step of the chain to a tool: a displacement, a turn, and the joint that follows them."""

    position: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """m, of this link's frame in that of the link before; of the first, in the base's."""
    orientation: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 0.0)
    """Quaternion w, x, y, z of any length but 0, likewise, where the joint is at zero."""
    joint: str | None = None
    """What moves this link; absent for one that is fixed to the link before."""
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    """Of the joint, in this link's frame."""

    @model_validator(mode="after")
    def _has_directions(self) -> Self:
        if not any(self.orientation) or not any(self.axis):
            raise ValueError("orientation and axis must not be all zeros")
        return self


class Tool(Config):
    """A point of the robot that is to come to some place, and the chain that leads to it."""

    name: str
    """Of the model's site."""
    chain: tuple[Link, ...] = Field(min_length=1)
    """From the base outwards."""


class RobotDescription(Config):
    """What a robot is to a policy: its joints and actuators, in order, and whether it has an IMU."""

    name: str
    """The name of the robot's folder."""
    joints: tuple[Joint, ...] = Field(min_length=1)
    """In the order of every array of joints."""
    actuators: tuple[Actuator, ...] = Field(min_length=1)
    """In the order of every command and action."""
    imu: bool = False
    """Whether it has an IMU; `sensing.imu` then names the model's sensors."""
    tools: tuple[Tool, ...] = ()
    """What policies may ask the place of."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        joints = self.joint_names
        for names in (joints, self.actuator_names):
            if len(set(names)) != len(names):
                raise ValueError(f"a name stands twice in {', '.join(names)}")
        for actuator in self.actuators:
            if actuator.joint not in joints:
                hint = nearest(actuator.joint, joints)
                raise ValueError(f"actuator {actuator.name} drives {actuator.joint!r}: {hint}")
        for tool in self.tools:
            for link in tool.chain:
                if link.joint is not None and link.joint not in joints:
                    hint = nearest(link.joint, joints)
                    raise ValueError(f"tool {tool.name} moves with {link.joint!r}: {hint}")
        return self

    @property
    def joint_names(self) -> tuple[str, ...]:
        """Names in the order of every joint array."""
        return tuple(joint.name for joint in self.joints)

    @property
    def default_position(self) -> tuple[float, ...]:
        """Of each joint, rad or m."""
        return tuple(joint.default_position for joint in self.joints)

    @property
    def actuator_names(self) -> tuple[str, ...]:
        """Names in the order of every command and action array."""
        return tuple(actuator.name for actuator in self.actuators)


class ObservationTerm(Config):
    """One slice of the observation: a source, which joints of it, and what is done to it.

    A term is ``clip(scale * source)``, stacked over `history` control steps, newest first. Frames
    from before the episode are filled with its first frame, or with zeros.
    """

    source: ObservationSource
    """What it shows."""
    joints: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Names, in this order; every joint if absent. For joint quantities only."""
    tool: str | None = None
    """Which of the robot's tools, for `tool_...` alone."""
    scale: float = 1.0
    """Times the quantity."""
    clip: float | None = Field(default=None, gt=0)
    """Bound of what comes out, either way."""
    history: int = Field(default=1, ge=1, le=1000)
    """Control steps that are stacked, newest first."""
    fill: Literal["first", "zero"] = "first"
    """What stands for the time before the episode: its first frame, or zeros."""

    @model_validator(mode="after")
    def _names_belong_to_their_sources(self) -> Self:
        if self.joints is not None and self.source not in JOINT_SOURCES:
            raise ValueError(f"{self.source} has no joints")
        if (self.tool is not None) != (self.source in TOOL_SOURCES):
            raise ValueError(f"{self.source}: " + ("no tool" if self.tool else "which tool?"))
        return self


class CameraMount(Config):
    """Where a camera that the model does not have is fixed, and how much it sees."""

    body: str = "world"
    """Of the model, that carries it."""
    position: tuple[float, float, float]
    """m, in the frame of the body."""
    look_at: tuple[float, float, float]
    """m, likewise, a place in the middle of the image; upright is along the body's z axis, or along its
    x axis where it looks along z."""
    field_of_view: float = Field(gt=0.01, lt=3.1)
    """rad, the vertical angle that it sees."""

    @model_validator(mode="after")
    def _looks_somewhere(self) -> Self:
        if self.position == self.look_at:
            raise ValueError("a camera cannot look at its own place")
        return self


class CameraTerm(Config):
    """What a policy sees through a camera: its last frames, as whole numbers from 0 to 255.

    The policy takes ``(frame / 255 - mean) / deviation``.
    """

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*$")
    """Of the model's camera, and of the robot's."""
    mount: CameraMount | None = None
    """Where it is fixed, if the model does not say it."""
    width: int = Field(gt=0, le=1024)
    """Pixels of what the policy sees: a real camera has more, and its middle is taken and shrunk."""
    height: int = Field(gt=0, le=1024)
    """Pixels."""
    native_width: int = Field(default=640, gt=0)
    """Pixels of the frames that the real camera takes, and compresses: see `image_jpeg_quality`."""
    native_height: int = Field(default=480, gt=0)
    """Pixels."""
    kind: Literal["colour", "grey", "depth"] = "colour"
    """Three channels, or one: grey is 0.299 red + 0.587 green + 0.114 blue."""
    near: float = Field(default=0.05, ge=0)
    """m, the depth of 0."""
    far: float = Field(default=2.0, gt=0)
    """m, the depth of 255, as of all beyond."""
    stack: int = Field(default=1, ge=1, le=16)
    """How many frames the policy sees, the newest first."""
    rate: float | None = Field(default=None, gt=0)
    """Hz; one frame for each control step if absent."""
    latency_ms: float = Field(default=0.0, ge=0, le=1000)
    """From when a frame is taken until a policy can see it, without what randomization adds."""
    mean: float = 0.5
    """In units of 255."""
    deviation: float = Field(default=0.5, gt=0)
    """Likewise."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.near >= self.far:
            raise ValueError(f"camera {self.name}: near {self.near} is not below far {self.far}")
        if self.width > self.native_width or self.height > self.native_height:
            raise ValueError(
                f"camera {self.name}: takes {self.native_width} x {self.native_height} pixels, of which "
                f"no policy can see {self.width} x {self.height}: give native_width and native_height, "
                f"or fewer pixels"
            )
        return self

    @property
    def channels(self) -> int:
        """Of one frame."""
        return 3 if self.kind == "colour" else 1

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels of all frames, height, width."""
        return self.stack * self.channels, self.height, self.width


class Choice(Config):
    """One of the actions among which a policy chooses."""

    name: str
    action: tuple[Annotated[float, Field(ge=-1, le=1)], ...]
    """One number for each actuator."""


class ActionMapping(Config):
    """How an action in [-1, 1] becomes a command: ``offset + scale * clip(action, -1, 1)``.

    Both are in the actuators' units, one number each per actuator.
    """

    scale: tuple[float, ...]
    offset: tuple[float, ...]
    choices: tuple[Choice, ...] = ()
    """The only actions of a policy that chooses, in the order in which it numbers them."""
    relative_to: Literal["zero", "previous_target"] = "zero"
    """`previous_target`: what comes out is added to what the actuator was last told, and at first to
    where its joint is measured. For position servos alone."""


class HiddenState(Config):
    """What a recurrent policy carries from one control step to the next; zero when an episode begins.

    The graph takes it as input `hidden.NAME` and gives it as output `next_hidden.NAME`, both float32 of
    shape (n, *shape).
    """

    name: str
    shape: tuple[Annotated[int, Field(gt=0, le=1_000_000)], ...]


class TrainedRange(Config):
    """One randomized quantity and the range that the policy was trained under."""

    name: str
    unit: str
    operation: Literal["absolute", "scale", "add"]
    low: float
    high: float


class Provenance(Config):
    """Where a policy comes from: enough to make it again, and no path of the machine it was made on."""

    task: str
    agent: str
    seed: int
    training_steps: int = Field(ge=0)
    versions: dict[str, str]
    robot_sha256: str = ""
    """Of the robot's model and `robot.yaml` when the training began; empty of a policy of before."""


class Contract(Config):
    """Everything a policy believes about its robot."""

    version: Literal[1] = 1
    robot: RobotDescription
    control_rate: float = Field(gt=0, le=10_000)
    """Hz."""
    observation: tuple[ObservationTerm, ...] = Field(min_length=1)
    cameras: tuple[CameraTerm, ...] = ()
    """What a policy sees beside the observation."""
    action: ActionMapping
    commands: tuple[Command, ...] = ()
    """What is asked of the policy, in order, and the ranges that it was trained for."""
    objects: tuple[str, ...] = ()
    """Things around the robot whose poses a tracker must report, in order."""
    hidden_states: tuple[HiddenState, ...] = ()
    """What a recurrent policy carries; none of one that sees its past in the observation's history."""
    trained_ranges: tuple[TrainedRange, ...] = ()
    provenance: Provenance

    @property
    def needed_sensors(self) -> tuple[str, ...]:
        """What the policy sees with beside its joints' encoders: ``IMU``, ``tracker`` (of objects)."""
        seen = {term.source for term in self.observation}
        kinds = {"IMU": IMU_SOURCES, "tracker": OBJECT_SOURCES}
        return tuple(name for name, sources in kinds.items() if seen & sources)

    @model_validator(mode="before")
    @classmethod
    def _version_first(cls, data: Any) -> Any:
        """Of all that is wrong with a contract of another version, its version is what to say."""
        if isinstance(data, Mapping) and data.get("version", 1) != 1:
            raise PydanticCustomError(
                "contract_version",
                "contract version {version}, this simreal reads version 1: use the simreal that "
                "wrote it or export again",
                {"version": repr(data["version"])},
            )
        return data

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        cameras = [camera.name for camera in self.cameras]
        if len(set(cameras)) != len(cameras):
            raise ValueError(f"a camera stands twice in {', '.join(cameras)}")
        for term in self.observation:
            for joint in term.joints or ():
                if joint not in self.robot.joint_names:
                    hint = nearest(joint, self.robot.joint_names)
                    raise ValueError(f"observation {term.source}: no joint {joint!r}: {hint}")
            if term.source in IMU_SOURCES and not self.robot.imu:
                raise ValueError(f"observation {term.source}: robot {self.robot.name} has no IMU")
            if term.source in COMMAND_SOURCES and not self.commands:
                raise ValueError(f"observation {term.source}: nothing is asked of this policy")
            if term.source.endswith("_to_command") and not self.commanded_axes:
                raise ValueError(f"observation {term.source}: no command is called x, y or z")
            tools = [tool.name for tool in self.robot.tools]
            if term.tool is not None and term.tool not in tools:
                hint = nearest(term.tool, tools)
                raise ValueError(f"observation {term.source}: no tool {term.tool!r}: {hint}")
            if term.source in OBJECT_SOURCES and not self.objects:
                raise ValueError(f"observation {term.source}: there is no object around the robot")
            if term.source == "following_error":
                self._refuse_other_than_servos("observation following_error")
        if self.action.relative_to == "previous_target":
            self._refuse_other_than_servos("action.relative_to previous_target")
        actuators = len(self.robot.actuators)
        if len(self.action.scale) != actuators or len(self.action.offset) != actuators:
            raise ValueError(f"action: scale and offset need {actuators} numbers each")
        for choice in self.action.choices:
            if len(choice.action) != actuators:
                raise ValueError(f"action {choice.name}: {len(choice.action)} numbers, not {actuators}")
        return self

    @property
    def commanded_axes(self) -> tuple[str, ...]:
        """Which of x, y, z are asked of the policy."""
        names = [command.name for command in self.commands]
        return tuple(axis for axis in AXES if axis in names)

    def _refuse_other_than_servos(self, what: str) -> None:
        for actuator in self.robot.actuators:
            if actuator.command != "position":
                raise ValueError(
                    f"{what}: actuator {actuator.name} takes {actuator.command}, not a position"
                )

    def to_json(self) -> str:
        """The contract as JSON; floats keep every bit."""
        return self.model_dump_json()

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "contract") -> "Contract":
        """Read a contract back.

        Raises:
            UserError: not JSON, of another version, or inconsistent.
        """
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            if first["type"] == "contract_version":
                raise UserError(f"{source}: {first['msg']}") from None
            where = ".".join(str(part) for part in first["loc"])
            fault = f"{where}: {first['msg']}" if where else first["msg"]
            raise UserError(f"{source}: not a contract: {fault}") from None
