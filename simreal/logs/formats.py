"""Which reader a file needs, and which writer a name asks for."""

import struct
from collections.abc import Sequence
from pathlib import Path

from mcap.exceptions import McapError
from mcap.stream_reader import StreamReader

from simreal.errors import UserError, nearest
from simreal.files import describe, refuse_taken
from simreal.logs.messages import PROFILE
from simreal.logs.robot_log import RobotLog

TABLES = (".npz", ".csv", ".csv.gz")
READ = ".mcap, a rosbag2 folder, .db3, .bag, a LeRobot folder, .parquet, .npz, .csv"
WRITTEN = ".mcap, .parquet, or a folder (a name without a suffix) as a LeRobot dataset"


def read_logs(path: Path, mapping: str | Path | None = None) -> list[RobotLog]:
    """Read all runs or episodes of a file or folder, whatever its format.

    Args:
        path: file or folder.
        mapping: name of a mapping that ships, or a mapping file; which CSV and npz need, with which
            Parquet tables and LeRobot datasets of others are read by column, and which chooses among
            the topics and joints of a bag.

    Raises:
        UserError: no such log, of no known format, or a faulty one; says what and where.
    """
    if not path.exists():
        raise UserError(f"{path}: no such log")
    if mapping is not None:
        return _read_mapped(path, mapping)
    if path.name.endswith(TABLES):
        raise UserError(
            f"{path}: which column is which? A mapping tells (docs/logs.md), "
            "which commands that read logs of others take as --mapping"
        )
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".parquet":
        from simreal.logs.parquet import read_parquet

        return [read_parquet(path)]
    if _is_bag(path):
        from simreal.logs.ros_log import read_ros

        return [read_ros(path)]
    if describe(path) == "an MCAP log":
        from simreal.logs.mcap_log import read_mcap

        return [read_mcap(path)]
    raise UserError(f"{path}: {describe(path)}; logs are {READ}")


def _read_folder(path: Path) -> list[RobotLog]:
    from simreal.logs.lerobot import is_lerobot, read_lerobot

    if is_lerobot(path):
        return read_lerobot(path)
    if _is_bag(path):
        from simreal.logs.ros_log import read_ros

        return [read_ros(path)]
    raise UserError(
        f"{path}: a folder with neither metadata.yaml (rosbag2) nor meta/info.json (LeRobot)"
    )


def _read_mapped(path: Path, mapping: str | Path) -> list[RobotLog]:
    from simreal.logs.mapping import read_bag_mapping, read_mapping
    from simreal.logs.tables import read_arrays, read_tables

    if _is_bag(path):
        from simreal.logs.ros_log import read_ros

        return [read_ros(path, read_bag_mapping(mapping))]
    read = read_mapping(mapping)
    if path.is_dir():
        from simreal.logs.lerobot import read_lerobot_arrays

        return read_arrays(path, read_lerobot_arrays(path), read)
    if path.suffix == ".parquet":
        from simreal.logs.parquet import read_parquet_arrays

        return read_arrays(path, read_parquet_arrays(path), read)
    if not path.name.endswith(TABLES):
        raise UserError(
            f"{path}: a mapping is for {', '.join(TABLES)}, .parquet, LeRobot folders and bags"
        )
    return read_tables(path, read)


def _is_bag(path: Path) -> bool:
    """Whether this is of ROS: a folder of rosbag2, or a file that may stand alone."""
    if path.is_dir():
        return (path / "metadata.yaml").is_file()
    return path.suffix in (".db3", ".bag") or (describe(path) == "an MCAP log" and not _is_ours(path))


def _is_ours(path: Path) -> bool:
    """Whether an MCAP file has our profile; a file that is cut off before it counts as ours."""
    try:
        with path.open("rb") as file:
            header = next(iter(StreamReader(file).records), None)
    except (McapError, EOFError, ValueError, OSError, struct.error):
        return True
    return getattr(header, "profile", PROFILE) == PROFILE


def select_runs(logs: Sequence[RobotLog], run: str | None, target: Path) -> list[RobotLog]:
    """The runs to write: the named one, or all where the target holds several.

    Raises:
        UserError: no such run, or several for a target that holds one.
    """
    names = {log.source.partition(":")[2] or log.source: log for log in logs}
    if run is not None:
        if run not in names:
            raise UserError(f"no run {run!r}: {nearest(run, names)}")
        return [names[run]]
    if len(logs) > 1 and target.suffix:
        raise UserError(f"{len(logs)} runs, but {target.name} holds one: --run {nearest('', names)}")
    return list(logs)


def write_logs(logs: Sequence[RobotLog], path: Path) -> list[str]:
    """Write logs in the format that the name asks for.

    Returns:
        What the format cannot hold of them.

    Raises:
        UserError: no such format, or the file exists.
    """
    refuse_taken(path, "name")
    if path.suffix == ".mcap":
        from simreal.logs.mcap_log import write_mcap

        return write_mcap(logs[0], path)
    if path.suffix == ".parquet":
        from simreal.logs.parquet import write_parquet

        return write_parquet(logs[0], path)
    if path.suffix == "":
        from simreal.logs.lerobot import write_lerobot

        return write_lerobot(logs, path)
    raise UserError(f"{path}: logs are written as {WRITTEN}")
