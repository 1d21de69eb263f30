"""LeRobot datasets, version 3.0: a folder with `meta/info.json`, and frames of all episodes in Parquet.

The layout is that of huggingface/lerobot, `docs/source/lerobot-dataset-v3.mdx`. A frame has one nominal
time, frame_index / fps. So each channel is written as a float64 feature of its own besides the float32
``observation.state`` and ``action`` that policies are trained on, measured times are a feature, too, and
what else the format has no place for stands in ``info.json`` under `HEADER`.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from simreal.errors import UserError
from simreal.files import write_folder_atomically, write_text
from simreal.logs.header import HEADER, from_header, header_of, same_times
from simreal.logs.parquet import arrays_of_table, pyarrow
from simreal.logs.robot_log import APPLIED_CHANNELS, COMMAND_CHANNELS, ROBOT_TYPE, Channel, RobotLog
from simreal.state import FloatArray

VERSION = "v3.0"
INFO = Path("meta/info.json")
DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
PREFIX, TIME, LOGGED = "observation.log.", "observation.log_time", "observation.log_logged"
SUFFIXES = {"joint_position": "pos", "joint_velocity": "vel", "joint_effort": "effort"}
QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


def is_lerobot(path: Path) -> bool:
    """Whether a folder is a LeRobot dataset."""
    return (path / INFO).is_file()


def write_lerobot(logs: Sequence[RobotLog], path: Path) -> list[str]:
    """Write logs as the episodes of a new dataset.

    Returns:
        What the format cannot hold of them.

    Raises:
        UserError: the logs are not of one kind, or the disk refuses.
    """
    arrow = pyarrow()
    losses: list[str] = []
    logs = [_on_frames(log, losses) for log in logs]
    frames = [_frames(log) for log in logs]
    kinds = {name: column.shape[1] for name, column in frames[0].items()}
    for log, each in zip(logs, frames, strict=True):
        if {name: column.shape[1] for name, column in each.items()} != kinds:
            other = sorted(set(each) ^ set(kinds)) or "their widths"
            raise UserError(
                f"{log.source} and {logs[0].source} differ in {other}: no one dataset holds both"
            )
    fps = _frames_per_second(logs[0])
    lengths = [len(each[TIME]) for each in frames]
    tasks = [log.provenance.get("excitation", "log") for log in logs]
    known = list(dict.fromkeys(tasks))
    table = {name: np.concatenate([each[name] for each in frames]) for name in kinds}
    numbers = _index(lengths, [known.index(task) for task in tasks], fps)
    features = {name: _feature(name, column, logs[0]) for name, column in table.items()}
    features |= {
        name: {"dtype": str(column.dtype), "shape": [1], "names": None}
        for name, column in numbers.items()
    }
    arrays = {name: _fixed_lists(column, arrow) for name, column in table.items()}
    arrays |= {name: arrow.array(column) for name, column in numbers.items()}
    info = {
        "codebase_version": VERSION,
        "robot_type": logs[0].robot or logs[0].provenance.get(ROBOT_TYPE),
        "total_episodes": len(logs),
        "total_frames": sum(lengths),
        "total_tasks": len(known),
        "chunks_size": 1000,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": {"train": f"0:{len(logs)}"},
        "data_path": DATA,
        "video_path": None,
        "features": features,
        HEADER: [header_of(log) for log in logs],
    }

    def write(folder: Path) -> None:
        _write_table(folder / DATA.format(chunk_index=0, file_index=0), arrow.table(arrays), arrow)
        _write_table(folder / "meta/tasks.parquet", _tasks(known, arrow), arrow)
        _write_episodes(folder, table | numbers, lengths, tasks, arrow)
        write_text(folder / "meta/stats.json", json.dumps(_statistics(table | numbers), indent=1))
        write_text(folder / INFO, json.dumps(info, indent=1))

    write_folder_atomically(path, write)
    return list(dict.fromkeys(losses))


def _on_frames(log: RobotLog, losses: list[str]) -> RobotLog:
    """The log as frames hold it, one for each joint position; what is lost is added to `losses`.

    A channel of the same clock keeps its rows, though fewer; any other gets a row for each frame.
    """
    rows = len(log["joint_position"]) if "joint_position" in log else 0
    if rows < 2:
        raise UserError(
            f"{log.source}: {rows} rows of joint_position, of which a LeRobot dataset needs two and more"
        )
    clock = log["joint_position"]
    channels = {}
    for name, table in log.channels.items():
        if len(table) == 0:
            losses.append(f"{name}: empty")
        elif len(table) <= rows and same_times(table.time, clock.time[: len(table)]):
            if not same_times(table.logged, clock.rows(slice(len(table))).logged):
                losses.append(f"{name}: when its rows were logged")
            channels[name] = table
        else:
            losses.append(f"{name}: its own times; each frame holds its last value before")
            held = log.at(name, clock.time, hold=True)
            channels[name] = replace(table, time=clock.time, values=held, logged=clock.logged)
    return replace(log, channels=channels)


def _frames(log: RobotLog) -> dict[str, FloatArray]:
    """(n, width) columns of one episode, a row for each joint position."""
    clock = log["joint_position"]
    columns: dict[str, FloatArray] = {TIME: clock.time[:, None]}
    if clock.logged is not None:
        columns[LOGGED] = clock.logged[:, None]
    for name, table in log.channels.items():
        held = np.repeat(table.values[-1:], len(clock) - len(table), axis=0)
        columns[PREFIX + name] = np.concatenate([table.values, held])
    state = [columns[PREFIX + name] for name in SUFFIXES if PREFIX + name in columns]
    columns["observation.state"] = np.concatenate(state, axis=1).astype(np.float32)
    command = _command(log)
    if command is not None:
        columns["action"] = columns[PREFIX + command].astype(np.float32)
    return columns


def _command(log: RobotLog) -> str | None:
    return log.first((*COMMAND_CHANNELS, *APPLIED_CHANNELS))


def _frames_per_second(log: RobotLog) -> int:
    step = float(np.median(np.diff(log["joint_position"].time)))
    if step <= 0:
        raise UserError(f"{log.source}: the time of joint_position does not grow")
    return max(1, round(1 / step))


def _index(lengths: Sequence[int], tasks: Sequence[int], fps: int) -> dict[str, Any]:
    """The columns that every dataset has, of episodes of these lengths and numbers of tasks."""
    frame = np.concatenate([np.arange(length) for length in lengths])
    return {
        "timestamp": (frame / fps).astype(np.float32),
        "frame_index": frame.astype(np.int64),
        "episode_index": np.repeat(np.arange(len(lengths)), lengths).astype(np.int64),
        "index": np.arange(len(frame), dtype=np.int64),
        "task_index": np.repeat(tasks, lengths).astype(np.int64),
    }


def _feature(name: str, column: FloatArray, log: RobotLog) -> dict[str, Any]:
    if name == "observation.state":
        channels = [(each, suffix) for each, suffix in SUFFIXES.items() if each in log]
        names = [f"{joint}.{suffix}" for each, suffix in channels for joint in log[each].names]
    elif name == "action":
        names = list(log[str(_command(log))].names)
    elif name in (TIME, LOGGED):
        names = ["s"]
    else:
        names = list(log[name.removeprefix(PREFIX)].names)
    return {"dtype": str(column.dtype), "shape": [column.shape[1]], "names": names}


def _fixed_lists(column: FloatArray, arrow: Any) -> Any:
    """A column of lists of one length, or of numbers where that is 1, as the format wants it."""
    flat = arrow.array(np.ascontiguousarray(column).reshape(-1))
    return flat if column.shape[1] == 1 else arrow.FixedSizeListArray.from_arrays(flat, column.shape[1])


def _tasks(texts: Sequence[str], arrow: Any) -> Any:
    """Numbers of tasks in a table whose index, as pandas reads it, is their texts."""
    numbers = arrow.array(np.arange(len(texts)), arrow.int64())
    table = arrow.table({"task_index": numbers, "task": arrow.array(texts)})
    kinds = {"task_index": "int64", "task": "object"}
    columns = [
        {
            "name": name,
            "field_name": name,
            "pandas_type": of,
            "numpy_type": kinds[name],
            "metadata": None,
        }
        for name, of in (("task_index", "int64"), ("task", "unicode"))
    ]
    index = {"index_columns": ["task"], "column_indexes": [], "columns": columns}
    return table.replace_schema_metadata({"pandas": json.dumps(index)})


def _write_table(path: Path, table: Any, arrow: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow.parquet.write_table(table, path, compression="snappy")


def _write_episodes(
    path: Path, table: dict[str, Any], lengths: Sequence[int], tasks: Sequence[str], arrow: Any
) -> None:
    ends = np.cumsum(lengths)
    count = len(lengths)
    rows: dict[str, list[Any]] = {
        "episode_index": list(range(count)),
        "tasks": [[task] for task in tasks],
        "length": list(map(int, lengths)),
        "dataset_from_index": [int(end - length) for end, length in zip(ends, lengths, strict=True)],
        "dataset_to_index": [int(end) for end in ends],
    }
    for place in ("data", "meta/episodes"):
        rows |= {f"{place}/chunk_index": [0] * count, f"{place}/file_index": [0] * count}
    for end, length in zip(ends, lengths, strict=True):
        part = {name: column[end - length : end] for name, column in table.items()}
        for name, statistics in _statistics(part).items():
            for kind, values in statistics.items():
                rows.setdefault(f"stats/{name}/{kind}", []).append(values)
    _write_table(path / "meta/episodes/chunk-000/file-000.parquet", arrow.table(rows), arrow)


def _statistics(table: dict[str, Any]) -> dict[str, dict[str, list[float]]]:
    result = {}
    for name, column in table.items():
        values = np.asarray(column, dtype=np.float64).reshape(len(column), -1)
        kinds = {
            "min": values.min(axis=0),
            "max": values.max(axis=0),
            "mean": values.mean(axis=0),
            "std": values.std(axis=0),
        }
        kinds |= {f"q{round(100 * q):02d}": np.quantile(values, q, axis=0) for q in QUANTILES}
        result[name] = {kind: each.tolist() for kind, each in kinds.items()} | {"count": [len(values)]}
    return result


def read_lerobot(path: Path) -> list[RobotLog]:
    """Read each episode of a dataset as a log.

    One that simreal wrote comes back as it was; of another one, ``observation.state`` and ``action`` are
    read by the names of their columns, as they stand: the format knows no units.

    Raises:
        UserError: no dataset of version 3.0, or a damaged one.
    """
    info, episodes = _read(path)
    headers = info.get(HEADER)
    if isinstance(headers, list) and len(headers) == len(episodes):
        return [_own(header, arrays, path) for header, arrays in zip(headers, episodes, strict=True)]
    return [_foreign(info, arrays, f"{path.name}:{n}") for n, arrays in enumerate(episodes)]


def read_lerobot_arrays(path: Path) -> dict[str, FloatArray]:
    """All features under ``episode/feature``, for a mapping."""
    return {
        f"{number:06d}/{name}": column
        for number, arrays in enumerate(_read(path)[1])
        for name, column in arrays.items()
    }


def _read(path: Path) -> tuple[dict[str, Any], list[dict[str, FloatArray]]]:
    arrow = pyarrow()
    try:
        info = json.loads((path / INFO).read_text("utf-8"))
        version = info["codebase_version"]
        info["features"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path / INFO}: no description of a LeRobot dataset") from None
    if version != VERSION:
        raise UserError(
            f"{path / INFO}: LeRobot dataset {version}; {VERSION} is read (lerobot converts)"
        )
    files = sorted((path / "data").glob("chunk-*/file-*.parquet"))
    if not files:
        raise UserError(f"{path}: no frames in data/chunk-*/file-*.parquet")
    tables = []
    for file in files:
        try:
            tables.append(arrow.parquet.read_table(file))
        except (arrow.ArrowException, OSError) as error:
            raise UserError(f"{file}: cut off or damaged: {str(error).splitlines()[0]}") from None
    arrays = arrays_of_table(arrow.concat_tables(tables, promote_options="default"))
    if "episode_index" not in arrays:
        raise UserError(f"{path}: frames without episode_index")
    number = arrays["episode_index"]
    episodes = [{n: a[number == each] for n, a in arrays.items()} for each in np.unique(number)]
    return info, episodes


def _own(header: str, arrays: dict[str, FloatArray], path: Path) -> RobotLog:
    log, channels = from_header(header, str(path / INFO))
    time, logged = arrays[TIME].reshape(-1), arrays.get(LOGGED)
    for name, description in channels.items():
        values = arrays.get(PREFIX + name)
        if values is None:
            continue  # was empty
        width = len(description["names"])
        rows = description["rows"]
        log.channels[name] = Channel(
            time[:rows],
            values.reshape(len(time), width)[:rows],
            tuple(description["names"]),
            tuple(description["units"]),
            None if logged is None else logged.reshape(-1)[:rows],
        )
    return log


def _foreign(info: dict[str, Any], arrays: dict[str, FloatArray], source: str) -> RobotLog:
    for feature in ("observation.state", "action"):
        if feature in info["features"] and feature not in arrays:
            raise UserError(
                f"{source}: {feature} is not made of numbers, as many in each frame; give a --mapping"
            )
    time = _nominal_times(info, arrays, source)
    log = RobotLog(source)
    log.provenance = {
        "times": "nominal: frame_index / fps",
        "units": "as recorded: the format names none",
    }
    if info.get("robot_type"):  # what somebody calls it, such as so101_follower: no name that we gave
        log.provenance[ROBOT_TYPE] = str(info["robot_type"])
    names = _column_names(info, "observation.state", arrays)
    for channel, suffix in SUFFIXES.items():
        columns = [n for n, name in enumerate(names) if name.rpartition(".")[2] == suffix]
        if channel == "joint_position" and not columns:
            columns = [n for n, name in enumerate(names) if "." not in name]
        if columns:
            joints = tuple(names[n].rpartition(".")[0] or names[n] for n in columns)
            values = arrays["observation.state"].reshape(len(time), -1)[:, columns]
            log.channels[channel] = Channel(time, values, joints, ("",) * len(joints))
    log.joint_names = log.channels["joint_position"].names if "joint_position" in log else ()
    actions = _column_names(info, "action", arrays)
    if actions:
        plain = tuple(name.removesuffix(".pos") for name in actions)
        values = arrays["action"].reshape(len(time), -1)
        log.channels["commanded_position"] = Channel(time, values, plain, ("",) * len(plain))
        log.actuator_joints = {name: name for name in plain}
    if not log.channels:
        raise UserError(f"{source}: no observation.state or action; give it a --mapping")
    return log


def _nominal_times(info: dict[str, Any], arrays: dict[str, FloatArray], source: str) -> FloatArray:
    if "timestamp" in arrays:
        return arrays["timestamp"]
    fps = info.get("fps")
    if not isinstance(fps, int | float) or not fps > 0:
        raise UserError(f"{source}: frames without timestamp, and no fps in {INFO}: when were they?")
    return np.asarray(np.arange(len(arrays["episode_index"])) / fps)


def _column_names(info: dict[str, Any], feature: str, arrays: dict[str, FloatArray]) -> list[str]:
    if feature not in arrays:
        return []
    described = info["features"].get(feature)
    named = _flat(described.get("names")) if isinstance(described, dict) else []
    width = arrays[feature].reshape(len(arrays[feature]), -1).shape[1]
    if named and len(named) == len(set(named)) == width:
        return named
    return [f"joint{n}" for n in range(width)]


def _flat(named: Any) -> list[str]:
    """Names in their order; some writers group them, ``{"motors": [...]}``, or nest them as arrays."""
    if isinstance(named, str):
        return [named]
    inner = named.values() if isinstance(named, dict) else named if isinstance(named, list) else ()
    return [name for each in inner for name in _flat(each)]
