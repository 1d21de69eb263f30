"""Finds a robot's folder and reads what stands in it.

Robots stand in folders of folders, each `NAME/robot.yaml`. Of two robots of the same name, the first
found is meant, in this order: those of simreal, so that a shipped name always means the shipped robot;
those of installed packages (entry points of the group `simreal.robots`, each naming a package that has
a folder for each robot); the folders in `SIMREAL_ROBOTS`; `./robots`; the user's own.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from simreal.config import Config, Location, parse, read_document, refusal
from simreal.contract import Contract, RobotDescription
from simreal.errors import UserError, nearest
from simreal.robots.can_wire import CanConfig
from simreal.robots.safety import BY_ACTUATOR, BY_JOINT, SafetyConfig

ROBOTS = Path(__file__).resolve().parent
"""Resolved: an editable installation links to the files that people know and edit."""
ENTRY_POINTS = "simreal.robots"
FOLDERS_VARIABLE = "SIMREAL_ROBOTS"
DESCRIPTION = "robot.yaml"


class ImuConfig(Config):
    """Names of the model's sensors that stand for an IMU's readings, all on one site."""

    orientation: str
    """Of type framequat."""
    angular_velocity: str
    """Of type gyro."""
    linear_acceleration: str
    """Of type accelerometer."""


class SensingConfig(Config):
    """What the robot's own electronics do to its joint measurements."""

    encoder_resolution: float = Field(default=0.0, ge=0)
    """rad or m per count; 0 for a continuous reading."""
    velocity_filter: float | None = Field(default=None, gt=0)
    """rad/s, corner w of a derivative filter w s / (s + w) on the position; absent for a direct
    velocity reading."""
    imu: ImuConfig | None = None
    """Absent for a robot without one."""


class WireConfig(Config):
    """How the robot's own electronics number what the contract orders."""

    motor_index: tuple[Annotated[int, Field(ge=0)], ...] | None = None
    """Of each actuator, in contract order: the number of its motor on the wire; from 0 if absent."""
    can: CanConfig | None = None
    """Its CAN motors; absent for a robot without."""


class MirrorConfig(Config):
    """How a robot looks in the mirror of the plane of x and z, y pointing left.

    A joint in no pair is its own image.
    """

    pairs: tuple[tuple[str, str], ...] = ()
    """Joints of the left and of the right that are each other's image."""
    reversed: tuple[str, ...] = ()
    """Joints whose coordinate has the opposite sign in the mirror; of a pair, both."""

    def images(self, joints: Sequence[str]) -> tuple[list[int], list[float]]:
        """Of each joint, the place of its image among the names, and the sign."""
        image = {name: name for name in joints}
        for left, right in self.pairs:
            image[left], image[right] = right, left
        places = [joints.index(image[name]) for name in joints]
        return places, [-1.0 if name in self.reversed else 1.0 for name in joints]


class RobotConfig(Config):
    """The content of a `robot.yaml`."""

    description: RobotDescription
    """What a policy knows of the robot, and what deployment holds against it."""
    sensing: SensingConfig = SensingConfig()
    """What its electronics do to measurements."""
    safety: SafetyConfig = SafetyConfig()
    """When deployment switches it off."""
    wire: WireConfig | None = None
    """Absent where the motors are numbered from 0 in contract order."""

    mirror: MirrorConfig | None = None
    """Absent for a robot whose left is not its right."""

    @property
    def motor_index(self) -> tuple[int, ...]:
        """Of each actuator, in contract order: the number of its motor on the wire."""
        given = None if self.wire is None else self.wire.motor_index
        return tuple(range(len(self.description.actuators))) if given is None else given

    @model_validator(mode="after")
    def _mirror_names_joints(self) -> Self:
        mirror, joints = self.mirror or MirrorConfig(), self.description.joint_names
        paired = [name for pair in mirror.pairs for name in pair]
        _refuse_unknown(
            {
                ("mirror", "pairs", row, side): name
                for row, pair in enumerate(mirror.pairs)
                for side, name in enumerate(pair)
            }
            | {("mirror", "reversed", row): name for row, name in enumerate(mirror.reversed)},
            joints,
            "joint",
        )
        if len(set(paired)) != len(paired):
            raise ValueError("mirror.pairs: a joint stands twice")
        for left, right in mirror.pairs:
            if (left in mirror.reversed) != (right in mirror.reversed):
                raise ValueError(f"mirror.reversed names only one of {left} and {right}")
        return self

    @model_validator(mode="after")
    def _wire_numbers_every_motor(self) -> Self:
        if self.wire is None or self.wire.motor_index is None:
            return self
        indices, count = self.wire.motor_index, len(self.description.actuators)
        if len(indices) != count or len(set(indices)) != count:
            raise ValueError(f"wire.motor_index needs {count} different numbers, one for each actuator")
        return self

    @model_validator(mode="after")
    def _wire_has_every_can_motor(self) -> Self:
        if self.wire is None or self.wire.can is None:
            return self
        named, actuators = self.wire.can.motors, self.description.actuator_names
        _refuse_unknown({("wire", "can", "motors", name): name for name in named}, actuators, "actuator")
        missing = [name for name in actuators if name not in named]
        if missing:
            raise ValueError(f"wire.can.motors: nothing drives {', '.join(missing)}")
        return self

    @model_validator(mode="after")
    def _imu_is_described(self) -> Self:
        if self.description.imu != (self.sensing.imu is not None):
            raise ValueError("description.imu must be true where sensing.imu names its sensors")
        return self

    @model_validator(mode="after")
    def _safety_names_joints(self) -> Self:
        for keys, known, kind in (
            (BY_JOINT, self.description.joint_names, "joint"),
            (BY_ACTUATOR, self.description.actuator_names, "actuator"),
        ):
            named: dict[Location, str] = {
                ("safety", key, name): name for key in keys for name in getattr(self.safety, key)
            }
            _refuse_unknown(named, known, kind)
        return self


def _refuse_unknown(names: Mapping[Location, str], known: Sequence[str], kind: str) -> None:
    """Refuse names that stand at some places of a `robot.yaml` and are not known."""
    unknown = {
        place: f"no {kind} {name!r}: {nearest(name, known)}"
        for place, name in names.items()
        if name not in known
    }
    if unknown:
        raise refusal(unknown)


@dataclass(frozen=True, slots=True)
class Robot:
    """A robot as its folder describes it."""

    config: RobotConfig
    model_path: Path

    @property
    def name(self) -> str:
        """The robot's name, which is its folder's."""
        return self.config.description.name

    @property
    def description(self) -> RobotDescription:
        """Joints and actuators."""
        return self.config.description

    @property
    def sha256(self) -> str:
        """Of the model and of what `robot.yaml` says, comments aside."""
        content = self.model_path.read_bytes() + self.config.model_dump_json().encode()
        return hashlib.sha256(content).hexdigest()


def robot_has_changed(contract: Contract) -> bool:
    """Whether the robot's folder says something else now than when a policy's training began.

    Raises:
        UserError: no such robot is installed.
    """
    known = contract.provenance.robot_sha256
    return bool(known) and load_robot(contract.robot.name).sha256 != known


CHANGED = "the robot's model or robot.yaml has changed since this policy was trained"


@dataclass(frozen=True, slots=True)
class RobotFolder:
    """Where a robot stands.

    Attributes:
        path: its folder.
        origin: who keeps it there, for people.
    """

    path: Path
    origin: str


def robot_folders() -> dict[str, RobotFolder]:
    """Every robot's name and folder, sorted by name.

    Raises:
        UserError: an installed package names robots that are not there.
    """
    found: dict[str, RobotFolder] = {}
    for folder in _all_folders():
        found.setdefault(folder.path.name, folder)
    return dict(sorted(found.items()))


def robot_names() -> list[str]:
    """Names of the robots that can be found."""
    return list(robot_folders())


def own_folder() -> Path:
    """Where new robots are written: the first of `SIMREAL_ROBOTS`, else a folder of the user's data.

    That is `$XDG_DATA_HOME/simreal/robots`, by default `~/.local/share/simreal/robots`.
    """
    return next(iter(_folders_in_environment()), _user_folder())


def where_robots_are() -> str:
    """A line on where robots of the user's own are looked for, for whoever misses one."""
    folders = [f"{path}{'' if path.is_dir() else ' (not there)'}" for path in _own_folders()]
    return f"  looked for in {', '.join(folders)}; {FOLDERS_VARIABLE} may name more folders"


def robot_experiments() -> dict[str, Path]:
    """Names and files of the experiments that stand in robots' folders."""
    return {name: path for name, path in robot_files("*.yaml").items() if path.name != DESCRIPTION}


def robot_files(pattern: str) -> dict[str, Path]:
    """Stems and paths of what stands in robots' folders; of two of a name, the first robot's."""
    found: dict[str, Path] = {}
    for folder in robot_folders().values():
        for path in sorted(folder.path.glob(pattern)):
            found.setdefault(path.stem, path)
    return found


def load_robot(name: str) -> Robot:
    """Read a robot.

    Raises:
        UserError: no robot of that name, or a fault in its `robot.yaml`.
    """
    folder = next((each for each in _all_folders() if each.path.name == name), None)
    if folder is None:
        raise UserError(f"no robot {name!r}: {nearest(name, robot_names())}\n{where_robots_are()}")
    return read_robot(folder.path)


def read_robot(folder: Path) -> Robot:
    """Read the robot in a folder.

    Raises:
        UserError: a fault in its `robot.yaml`.
    """
    document = read_document(folder / DESCRIPTION)
    config = parse(RobotConfig, document.data, document)
    if config.description.name != folder.name:
        where = document.where(("description", "name"))
        raise UserError(
            f"{where}: name {config.description.name!r} must be its folder's, {folder.name!r}"
        )
    return Robot(config, folder / "model.xml")


def _all_folders() -> Iterator[RobotFolder]:
    """Robots in the order in which they are looked for; lazily, so that a package's fault is its own."""
    yield from _robots_in(ROBOTS, "simreal")
    for each in sorted(entry_points(group=ENTRY_POINTS)):
        for path in _package_folders(each):
            yield from _robots_in(path, f"package {each.value}")
    for path in _own_folders():
        yield from _robots_in(path, str(path))


def _own_folders() -> list[Path]:
    return [*_folders_in_environment(), Path("robots"), _user_folder()]


def _robots_in(folder: Path, origin: str) -> Iterator[RobotFolder]:
    for path in sorted(folder.absolute().glob(f"*/{DESCRIPTION}")):
        yield RobotFolder(path.parent, origin)


def _package_folders(entry: EntryPoint) -> list[Path]:
    """Folders of the package that an entry point names; the package itself is not imported."""
    try:
        spec = find_spec(entry.module)
    except ImportError:
        spec = None
    if spec is None or not spec.submodule_search_locations:
        owner = entry.dist.name if entry.dist else "a package"
        raise UserError(
            f"{owner} names robots in {entry.value!r} (entry point {ENTRY_POINTS}), which is no "
            f"package that is installed"
        )
    return [Path(location) for location in spec.submodule_search_locations]


def _folders_in_environment() -> list[Path]:
    listed = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    return [Path(each).expanduser() for each in listed if each]


def _user_folder() -> Path:
    data = os.environ.get("XDG_DATA_HOME", "")
    # The XDG base directory specification has relative paths ignored.
    root = Path(data) if Path(data).is_absolute() else Path("~/.local/share").expanduser()
    return root / "simreal" / "robots"
