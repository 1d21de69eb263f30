"""Mapping files: which column of a CSV or npz file is which channel of a log, in which unit.

Of a ROS bag, whose topics say that by themselves, which topics and joints are read.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from simreal.config import Config, Document, parse, read_document
from simreal.configs import log_mappings
from simreal.errors import UserError, nearest
from simreal.logs.robot_log import UNITS, units_of
from simreal.logs.units import CONVERSIONS, to_si

Sign = Literal[-1, 1]


def _relative(file: str) -> str:
    if Path(file).is_absolute():
        raise ValueError(f"{file} is an absolute path: name a file beside the log")
    return file


def _expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


FileBeside = Annotated[str, AfterValidator(_relative)]
RegularExpression = Annotated[str, AfterValidator(_expression)]


class TimeSource(Config):
    """Where the time stamps of rows come from: one of `array`, `column` and `step`."""

    array: str | None = None
    """Key of an npz array, (n,)."""
    column: str | None = None
    """Column of a CSV file."""
    step: float | str | None = None
    """Time between two rows, if no stamps were kept; a number, or the key of an npz array of one."""
    file: FileBeside | None = None
    """Another CSV file whose column this is; the channel's own if absent."""
    unit: Literal["s", "ms", "us", "ns"] = "s"
    """Of all three."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum(source is not None for source in (self.array, self.column, self.step)) != 1:
            raise ValueError("time needs exactly one of array, column, step")
        if isinstance(self.step, float) and self.step <= 0:
            raise ValueError("step must be above 0")
        return self


class ChannelSource(Config):
    """Where the columns of one channel come from, and what makes them SI.

    A value in the log is ``sign * scale * value``, converted from `unit`. A number or word counts
    for all columns, a list has one for each.
    """

    array: str | None = None
    """Key of an npz array, (n,) or (n, columns)."""
    file: FileBeside | None = None
    """Another CSV file beside the one that is read, in which the columns stand."""
    columns: tuple[int | str, ...] | None = Field(default=None, min_length=1)
    """Numbers of columns from 0, or their names in a CSV file; all of an npz array if absent."""
    names: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Of the columns in the log: joints for measurements, actuators for commands; all if absent."""
    unit: str | tuple[str, ...] | None = None
    """As recorded, such as deg or rpm; the channel's own unit if absent."""
    scale: float | tuple[float, ...] = 1.0
    """From the unit's SI to the channel's, where they are of other kinds: N·m of each A of a motor."""
    sign: Sign | tuple[Sign, ...] = 1
    time: TimeSource | None = None
    """The mapping's if absent."""
    optional: bool = False
    """Whether a run without it is whole."""


class LogMapping(Config):
    """How to read one kind of CSV or npz file.

    ``{run}`` in a file name or in the key of an array stands for any text: a file may hold many runs.
    """

    robot: str | None = None
    joints: tuple[str, ...] = Field(min_length=1)
    """Names in the order of the columns, as in the robot's `robot.yaml` if there is one."""
    actuators: dict[str, str] | None = None
    """Actuator to joint, in the order of the columns of commands; named like the joints if absent."""
    file: str | None = None
    """Pattern of the file's name, with ``*`` and ``{run}``, if channels come from several files."""
    time: TimeSource
    channels: dict[str, ChannelSource] = Field(min_length=1)
    provenance: dict[str, str] = Field(default_factory=dict)
    """What is known of every run."""
    provenance_from_name: RegularExpression | None = None
    """Regular expression that is searched in ``file:run``; its named groups are provenance, too."""

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        for names in (self.joints, *(source.names or () for source in self.channels.values())):
            twice = [name for name in names if names.count(name) > 1]
            if twice:
                raise ValueError(f"{twice[0]!r} is named {len(twice)} times in {list(names)}")
        return self

    @model_validator(mode="after")
    def _actuators_drive_joints(self) -> Self:
        for actuator, joint in (self.actuators or {}).items():
            if joint not in self.joints:
                raise ValueError(f"actuator {actuator} drives {joint!r}: {nearest(joint, self.joints)}")
        return self

    @property
    def actuator_joints(self) -> dict[str, str]:
        """Actuator to joint."""
        return self.actuators or {joint: joint for joint in self.joints}

    def names_of(self, channel: str) -> tuple[str, ...] | None:
        """Names of a channel's columns, or None where nothing says them."""
        source = self.channels[channel]
        if source.names is not None:
            return source.names
        if channel.startswith("joint_"):
            return self.joints
        return tuple(self.actuator_joints) if channel.startswith(("commanded_", "applied_")) else None


class BagMapping(Config):
    """What of a ROS bag is read, and what it is, where names do not tell."""

    topics: tuple[str, ...] | None = Field(default=None, min_length=1)
    """Of joint states and IMUs, any other is left out; all if absent."""
    commands: tuple[str, ...] | None = None
    """Which topics of joint states are what was asked; if absent, their names tell."""
    joints: dict[str, str] | None = Field(default=None, min_length=1)
    """Joint as messages name it, and its name in the log; any other is left out. All if absent."""
    robot: str | None = None

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        names = list((self.joints or {}).values())
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise ValueError(f"joints: {len(twice)} of them are named {twice[0]!r}")
        return self


def read_bag_mapping(name: str | Path) -> BagMapping:
    """Read a mapping file of a bag.

    Raises:
        UserError: no such file, one for columns, or a fault in it, with file and line.
    """
    document = _read(name)
    if "channels" in document.data:
        raise UserError(
            f"{document.source}: is for columns; of a ROS bag, a mapping names topics, as in "
            "topics: [/joint_states]"
        )
    return parse(BagMapping, document.data, document)


def read_mapping(name: str | Path) -> LogMapping:
    """Read a mapping file, or one that ships with simreal, by its name.

    Raises:
        UserError: no such file, or a fault in it, with file and line.
    """
    return mapping_of(_read(name))


def _read(name: str | Path) -> Document:
    path = Path(name)
    shipped = log_mappings.shipped_mappings()
    if not path.exists() and path.suffix == "":
        if str(name) not in shipped:
            raise UserError(f"no mapping {str(name)!r}: {nearest(str(name), shipped)}, or a file")
        path = log_mappings.FOLDER / f"{name}.yaml"
    return read_document(path)


def mapping_of(document: Document) -> LogMapping:
    """Validate a document; units and the widths of lists are checked, too."""
    mapping = parse(LogMapping, document.data, document)
    for channel, source in mapping.channels.items():
        where = f"{document.where(('channels', channel))}: channels.{channel}"
        for unit in [source.unit] if isinstance(source.unit, str) else source.unit or ():
            _refuse_other_kind(channel, source, unit, where)
        names = mapping.names_of(channel)
        if source.columns is not None and names is not None and len(names) != len(source.columns):
            raise UserError(
                f"{where}: {len(source.columns)} columns, but {len(names)} names: {list(names)}"
            )
        if (width := source.columns or names) is not None:
            refuse_other_widths(source, len(width), where)
        if channel not in UNITS and source.unit is None:
            raise UserError(
                f"{where}: no channel of this name: {nearest(channel, UNITS)} One of your own needs its "
                'unit, "" if it has none'
            )
    return mapping


def refuse_other_widths(source: ChannelSource, width: int, where: str) -> None:
    """A list of units, scales or signs has one for each column.

    Raises:
        UserError: a list of another length; `where` says of which channel.
    """
    for key, given in (("unit", source.unit), ("scale", source.scale), ("sign", source.sign)):
        if isinstance(given, tuple) and len(given) != width:
            raise UserError(f"{where}: {width} columns, but {len(given)} {key}: {list(given)}")


def _refuse_other_kind(channel: str, source: ChannelSource, unit: str, where: str) -> None:
    """A standard channel is recorded in a unit of its own kind, or a scale leads there.

    Raises:
        UserError: no such unit, or one of another kind.
    """
    found, _ = to_si(unit, where)
    if channel not in UNITS or source.scale != 1.0:
        return
    fitting = units_of(channel)
    if found not in fitting:
        fits = [each for each, (kind, _) in CONVERSIONS.items() if kind in fitting and each]
        raise UserError(
            f"{where}: {unit} is no unit of it, but {', '.join(fits) or 'no unit'}; "
            "if a constant leads from one to the other, give it as scale"
        )
