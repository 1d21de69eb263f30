import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mcap.writer
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from simreal.check_log.subject import make_subject
from simreal.contract import Contract
from simreal.deploy.cycle import Event
from simreal.errors import UserError
from simreal.logs.formats import read_logs, select_runs, write_logs
from simreal.logs.header import from_header, header_of
from simreal.logs.messages import SHADOW
from simreal.logs.robot_log import Channel, LogEvent, RobotLog

from .flights import cycle, qube_contract, write_flight

NAMES = st.text(string.ascii_lowercase + "_", min_size=1, max_size=8)


@st.composite
def channels(draw: st.DrawFn, time: Any, names: tuple[str, ...], infinite: bool) -> Channel:
    floats = st.floats(allow_nan=True, allow_infinity=infinite)
    values = draw(hnp.arrays(np.float64, (len(time), len(names)), elements=floats))
    logged = draw(st.none() | st.just(time + 0.001))
    return Channel(
        time, values, names, tuple(draw(st.sampled_from(["rad", "V", ""])) for _ in names), logged
    )


@st.composite
def robot_logs(draw: st.DrawFn, infinite: bool = True) -> RobotLog:
    """Logs with several clocks, missing values, events, and any finite times."""
    joints = tuple(draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)))
    log = RobotLog("made.npz:run", joint_names=joints, actuator_joints={"motor": joints[0]})
    finite = st.floats(-1e6, 1e6)
    for name in ("joint_position", "joint_velocity", "commanded_voltage", "own"):
        length = draw(st.integers(0 if name != "joint_position" else 2, 6))
        time = draw(hnp.arrays(np.float64, length, elements=finite))
        if name == "joint_velocity" and draw(st.booleans()):
            time = log["joint_position"].time
        names = joints if name.startswith("joint_") else ("motor",)
        log.channels[name] = draw(channels(time, names, infinite))
    log.start_ns = draw(st.integers(0, 2**60))
    log.provenance = draw(st.dictionaries(NAMES, NAMES, max_size=2))
    log.events = [
        LogEvent(0.5, "phase", text, draw(st.none() | st.just("tilt")))
        for text in draw(st.lists(NAMES, max_size=2))
    ]
    log.robot = draw(st.none() | st.just("qube"))
    log.contract = qube_contract() if draw(st.booleans()) else None
    log.complete = draw(st.booleans())
    return log


def assert_same(one: RobotLog, other: RobotLog, losses: list[str] | None = None) -> None:
    """All of two logs, to the last bit."""
    for name in ("source", "joint_names", "actuator_joints", "robot", "contract", "start_ns"):
        assert getattr(one, name) == getattr(other, name), name
    assert (one.provenance, one.events, one.complete) == (other.provenance, other.events, other.complete)
    assert list(one.channels) == list(other.channels)
    for name, table in one.channels.items():
        read = other.channels[name]
        assert (table.names, table.units) == (read.names, read.units)
        np.testing.assert_array_equal(table.time, read.time)
        np.testing.assert_array_equal(table.values, read.values)
        if len(table):
            assert (table.logged is None) == (read.logged is None)
        if table.logged is not None and read.logged is not None:
            np.testing.assert_array_equal(table.logged, read.logged)


@pytest.fixture
def a_log() -> Callable[..., RobotLog]:
    """Makes an even log of two joints: positions and velocities, one command less."""

    def make(rows: int = 20, source: str = "chirp.npz:one") -> RobotLog:
        time = 0.01 * np.arange(rows)
        joints = ("arm", "pendulum")
        values = np.random.default_rng(rows).standard_normal((rows, 2))
        log = RobotLog(source, joint_names=joints, actuator_joints={"motor": "arm"}, robot="qube")
        log.channels["joint_position"] = Channel(time, values, joints, ("rad", "rad"))
        log.channels["joint_velocity"] = Channel(time, 2 * values, joints, ("rad/s", "rad/s"))
        command = Channel(time[:-1], values[:-1, :1], ("motor",), ("V",))
        log.channels["commanded_voltage"] = command
        return log

    return make


few = settings(max_examples=15, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("suffix", [".parquet", ".mcap"])
@few
@given(log=robot_logs(infinite=False))
def test_round_trips_are_exact(
    suffix: str, log: RobotLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("log") / f"log{suffix}"
    assert write_logs([log], path) == []
    [read] = read_logs(path)
    assert_same(log, read)


@few
@given(log=robot_logs(infinite=True))
def test_infinite_numbers_are_kept_or_named(
    log: RobotLog, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    assert write_logs([log], folder / "log.parquet") == []
    assert_same(log, read_logs(folder / "log.parquet")[0])
    losses = write_logs([log], folder / "log.mcap")
    infinite = [name for name, table in log.channels.items() if np.isinf(table.values).any()]
    assert [loss.partition(":")[0] for loss in losses] == infinite
    for name in infinite:
        values = log.channels[name].values
        values[np.isinf(values)] = np.nan
    assert_same(log, read_logs(folder / "log.mcap")[0])


def test_lerobot_keeps_logs_whose_channels_share_a_clock(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    logs = [a_log(20, "chirp.npz:one"), a_log(31, "chirp.npz:two")]
    assert write_logs(logs, tmp_path / "set") == []
    for one, other in zip(logs, read_logs(tmp_path / "set"), strict=True):
        assert_same(one, other)


def test_lerobot_names_what_it_cannot_hold(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    log = a_log()
    values = np.array([[1.0], [2.0]])
    log.channels["timing"] = Channel(np.array([0.05, 0.11]), values, ("late",), ("ms",))
    assert write_logs([log], tmp_path / "set") == [
        "timing: its own times; each frame holds its last value before"
    ]
    [read] = read_logs(tmp_path / "set")
    np.testing.assert_array_equal(read["joint_position"].values, log["joint_position"].values)
    np.testing.assert_array_equal(read["timing"].time, log["joint_position"].time)
    np.testing.assert_array_equal(read["timing"].values[:, 0], [1.0] * 11 + [2.0] * 9)


def test_a_slower_command_keeps_its_time_in_a_lerobot_dataset(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    log = a_log(1000)
    time = 0.05 * np.arange(200)
    log.channels["commanded_voltage"] = Channel(time, np.sin(time)[:, None], ("motor",), ("V",))
    write_logs([log], tmp_path / "set")
    read = read_logs(tmp_path / "set")[0]["commanded_voltage"]
    frames = log["joint_position"].time
    np.testing.assert_array_equal(read.time, frames)
    np.testing.assert_array_equal(read.values, log.at("commanded_voltage", frames, hold=True))


def test_each_episode_of_a_lerobot_dataset_has_its_own_task(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    pandas = pytest.importorskip("pandas")
    logs = [a_log(20), a_log(31), a_log(22), a_log(23)]
    for log, excitation in zip(logs, ("chirp", "sine", "chirp"), strict=False):
        log.provenance["excitation"] = excitation
    write_logs(logs, tmp_path / "set")
    tasks = pandas.read_parquet(tmp_path / "set/meta/tasks.parquet")
    assert [tasks.iloc[k].name for k in range(3)] == ["chirp", "sine", "log"]  # as lerobot reads it
    assert tasks["task_index"].tolist() == [0, 1, 2]
    assert json.loads((tmp_path / "set/meta/info.json").read_text())["total_tasks"] == 3
    episodes = pyarrow.parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet")
    assert episodes["tasks"].to_pylist() == [["chirp"], ["sine"], ["chirp"], ["log"]]
    frames = pyarrow.parquet.read_table(tmp_path / "set/data/chunk-000/file-000.parquet")
    assert frames["task_index"].to_pylist() == [0] * 20 + [1] * 31 + [0] * 22 + [2] * 23


def test_the_files_of_a_lerobot_dataset(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    """Key by key as LeRobot v3 documents them."""
    write_logs([a_log(20), a_log(31)], tmp_path / "set")
    info = json.loads((tmp_path / "set/meta/info.json").read_text())
    assert info["codebase_version"] == "v3.0"
    assert (info["fps"], info["total_episodes"], info["total_frames"]) == (100, 2, 51)
    state = info["features"]["observation.state"]
    assert state == {
        "dtype": "float32",
        "shape": [4],
        "names": ["arm.pos", "pendulum.pos", "arm.vel", "pendulum.vel"],
    }
    path = info["data_path"].format(chunk_index=0, file_index=0)
    frames = pyarrow.parquet.read_table(tmp_path / "set" / path)
    assert set(frames.column_names) == set(info["features"])
    assert not any("/" in name for name in info["features"])
    assert frames["episode_index"].to_pylist() == [0] * 20 + [1] * 31
    assert frames["index"].to_pylist() == list(range(51))
    np.testing.assert_allclose(frames["timestamp"].to_numpy()[:3], [0, 0.01, 0.02], rtol=1e-6)
    assert str(frames.schema.field("observation.state").type) == "fixed_size_list<element: float>[4]"
    assert str(frames.schema.field("timestamp").type) == "float"
    episodes = pyarrow.parquet.read_table(tmp_path / "set/meta/episodes/chunk-000/file-000.parquet")
    assert episodes["length"].to_pylist() == [20, 31]
    assert episodes["dataset_from_index"].to_pylist() == [0, 20]
    assert episodes["dataset_to_index"].to_pylist() == [20, 51]
    tasks = pyarrow.parquet.read_table(tmp_path / "set/meta/tasks.parquet")
    assert tasks["task_index"].to_pylist() == [0]
    stats = json.loads((tmp_path / "set/meta/stats.json").read_text())
    assert set(stats["action"]) == {
        "min",
        "max",
        "mean",
        "std",
        "count",
        "q01",
        "q10",
        "q50",
        "q90",
        "q99",
    }


def test_lerobot_of_others(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    """Without our key: names say which joint and quantity; a mapping says the units."""
    write_logs([a_log(20), a_log(31)], tmp_path / "set")
    path = tmp_path / "set/meta/info.json"
    info = json.loads(path.read_text())
    del info["simreal.log"]
    path.write_text(json.dumps(info))
    first, _ = read_logs(tmp_path / "set")
    assert first["joint_velocity"].names == ("arm", "pendulum")
    assert first["commanded_position"].names == ("motor",)
    expected = a_log(20)["joint_position"].values.astype(np.float32)
    np.testing.assert_array_equal(first["joint_position"].values, expected)
    (tmp_path / "map.yaml").write_text(
        "joints: [arm, pendulum]\ntime: {array: '{run}/timestamp'}\nchannels:\n"
        "  joint_position: {array: '{run}/observation.state', columns: [0, 1], unit: deg}\n"
    )
    mapped = read_logs(tmp_path / "set", tmp_path / "map.yaml")
    assert len(mapped) == 2
    np.testing.assert_allclose(mapped[0]["joint_position"].values, np.deg2rad(expected))


@pytest.mark.parametrize(
    ("names", "joints"),
    [
        ({"motors": ["a.pos", "b.pos", "a.vel", "b.vel"]}, ("a", "b")),
        ({"left": ["a.pos", "a.vel"], "right": {"arm": ["b.pos", "b.vel"]}}, ("a", "b")),
        ([["a.pos", "b.pos"], ["a.vel", "b.vel"]], ("a", "b")),
        ([["a", "b"], 3], ("joint0", "joint1", "joint2", "joint3")),
        (4, ("joint0", "joint1", "joint2", "joint3")),
        ({"axes": None}, ("joint0", "joint1", "joint2", "joint3")),
    ],
)
def test_names_in_a_lerobot_dataset_may_be_nested_and_are_found_where_there_are_enough(
    names: object, joints: tuple[str, ...], tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    write_logs([a_log()], tmp_path / "set")
    path = tmp_path / "set/meta/info.json"
    info = json.loads(path.read_text())
    del info["simreal.log"]
    info["features"]["observation.state"]["names"] = names
    path.write_text(json.dumps(info))
    [log] = read_logs(tmp_path / "set")
    assert log.joint_names == joints


def test_a_lerobot_dataset_whose_names_repeat_or_whose_description_is_damaged(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    write_logs([a_log()], tmp_path / "set")
    path = tmp_path / "set/meta/info.json"
    info = json.loads(path.read_text())
    del info["simreal.log"]
    info["features"]["action"]["names"] = ["motor"]
    info["features"]["observation.state"]["names"] = ["arm"] * 4
    path.write_text(json.dumps(info | {"simreal.log": 3}))
    assert read_logs(tmp_path / "set")[0].joint_names == ("joint0", "joint1", "joint2", "joint3")
    path.write_text(json.dumps(info | {"features": None}))
    with pytest.raises(UserError, match=r"info.json: no description of a LeRobot dataset"):
        read_logs(tmp_path / "set")


def test_an_mcap_that_ends_in_its_first_record(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    path = tmp_path / "log.mcap"
    write_logs([a_log()], path)
    content = path.read_bytes()
    for length in (8, 9, 20, 30):
        path.write_bytes(content[:length])
        with pytest.raises(UserError, match="no message of a simreal log before its cut"):
            read_logs(path)


def test_a_channel_has_no_two_columns_of_one_name() -> None:
    with pytest.raises(ValueError, match="two columns of one name"):
        Channel(np.zeros(2), np.zeros((2, 2)), ("arm", "arm"), ("rad", "rad"))


def _foreign(folder: Path, log: RobotLog, drop: tuple[str, ...] = ()) -> tuple[dict[str, Any], Path]:
    """A dataset as others write it: what its info.json says, and the place of its frames."""
    write_logs([log], folder)
    info = json.loads((folder / "meta/info.json").read_text())
    info = {key: value for key, value in info.items() if key not in ("simreal.log", *drop)}
    (folder / "meta/info.json").write_text(json.dumps(info))
    frames = folder / "data/chunk-000/file-000.parquet"
    table = pyarrow.parquet.read_table(frames)
    pyarrow.parquet.write_table(table.drop_columns(drop and ["timestamp"]), frames)
    return info, frames


@pytest.mark.parametrize("shape", ["list", "fixed"])
def test_a_frame_without_a_state_in_a_lerobot_dataset_is_no_number(
    shape: str, tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    _, frames = _foreign(tmp_path / "set", a_log())
    table = pyarrow.parquet.read_table(frames)
    rows = table["observation.state"].to_pylist()
    expected = np.array(rows)
    rows[7], expected[7] = None, np.nan
    kind = pyarrow.list_(pyarrow.float32(), 4 if shape == "fixed" else -1)
    place = table.column_names.index("observation.state")
    made = table.set_column(place, "observation.state", pyarrow.array(rows, kind))
    pyarrow.parquet.write_table(made, frames)
    [log] = read_logs(tmp_path / "set")
    np.testing.assert_array_equal(log["joint_position"].values, expected[:, :2])
    rows[7] = [1.0]
    if shape == "list":
        made = table.set_column(place, "observation.state", pyarrow.array(rows, kind))
        pyarrow.parquet.write_table(made, frames)
        with pytest.raises(UserError, match=r"set:0: observation.state is not made of numbers, as many"):
            read_logs(tmp_path / "set")


def test_frames_of_a_lerobot_dataset_without_any_time(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    _foreign(tmp_path / "set", a_log(), drop=("fps",))
    with pytest.raises(UserError, match=r"frames without timestamp, and no fps in meta"):
        read_logs(tmp_path / "set")


def test_what_others_call_a_robot_in_a_lerobot_dataset_is_no_name_of_ours(
    tmp_path: Path, a_log: Callable[..., RobotLog]
) -> None:
    log = a_log()
    for name, known in (("qube_follower", False), ("qube", True)):
        log.robot = name
        _foreign(tmp_path / name, log)
        [read] = read_logs(tmp_path / name)
        assert make_subject(read, "qube").robot is not None
        assert (make_subject(read).robot is not None) == known
    assert (
        "no robot 'qube_follower' is known"
        in make_subject(read_logs(tmp_path / "qube_follower")[0]).notes[0]
    )


def test_other_versions_of_lerobot_are_refused(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    write_logs([a_log()], tmp_path / "set")
    path = tmp_path / "set/meta/info.json"
    path.write_text(path.read_text().replace("v3.0", "v2.1"))
    with pytest.raises(UserError, match=r"LeRobot dataset v2.1; v3.0 is read"):
        read_logs(tmp_path / "set")


FALL = "fault, damp: tilt: 1.2 rad from upright: more than 1"


def test_the_check_that_failed_is_told_beside_the_words(tmp_path: Path) -> None:
    events = (Event(0, "start", "of a test"), Event(1, "phase", "in other words", "tilt"))
    write_flight(tmp_path / "flight.mcap", qube_contract(), events)
    [log] = read_logs(tmp_path / "flight.mcap")
    assert [event.check for event in log.events] == [None, "tilt"]


@pytest.mark.parametrize(
    ("kind", "text", "check"),
    [
        ("phase", FALL, "tilt"),
        ("phase", "fault, off: lost_driver", "lost_driver"),  # cut off there
        ("phase", "running", None),
        ("fault", "1.2 rad from upright: more than 1", None),
        ("start", FALL, None),
    ],
)
def test_events_from_before_a_check_stood_beside_the_words(
    kind: str, text: str, check: str | None
) -> None:
    assert LogEvent.read(0.5, kind, text).check == check
    log = RobotLog("a.npz", events=[LogEvent(0.5, kind, text)])
    header = json.loads(header_of(log))
    assert from_header(json.dumps(header), "a")[0].events == log.events
    header["events"] = [event[:3] for event in header["events"]]
    assert [each.check for each in from_header(json.dumps(header), "a")[0].events] == [check]


def test_a_recorded_run(tmp_path: Path) -> None:
    made: Contract = qube_contract()
    cycles = [
        cycle(
            number,
            10_000_000 * number,
            0.01 * number - 0.002,
            np.array([0.1 * number, -0.1 * number]),
        )
        for number in range(50)
    ]
    write_flight(tmp_path / "flight.mcap", made, [Event(0, "start", "of a test"), *cycles])
    [log] = read_logs(tmp_path / "flight.mcap")
    assert (log.robot, log.contract, log.complete) == ("qube", made, True)
    position = log["joint_position"]
    np.testing.assert_allclose(np.diff(position.time), 0.01, atol=1e-9)
    assert position.logged is not None
    np.testing.assert_allclose(position.logged - position.time, 0.002, atol=1e-8)
    np.testing.assert_array_equal(position.column("arm"), 0.1 * np.arange(50))
    assert log["commanded_voltage"].units == ("V",)
    assert log.actuator_joints == {"motor": "arm"}
    assert [event.text for event in log.events] == ["of a test"]
    # What goes through another format is still the same.
    write_logs([log], tmp_path / "flight.parquet")
    assert_same(log, read_logs(tmp_path / "flight.parquet")[0])


@pytest.mark.parametrize(("provenance", "authority"), [({}, 1.0), ({SHADOW: "true"}, 0.0)])
def test_commands_of_a_shadow_run_never_acted(
    provenance: dict[str, str], authority: float, tmp_path: Path
) -> None:
    cycles = [cycle(number, 10_000_000 * number, 0.01 * number, np.zeros(2)) for number in range(3)]
    write_flight(tmp_path / "flight.mcap", qube_contract(), cycles, provenance)
    [log] = read_logs(tmp_path / "flight.mcap")
    assert log["authority"].values.tolist() == [[authority]] * 3


@pytest.mark.parametrize("suffix", [".parquet", ".mcap"])
def test_truncated_files(suffix: str, tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    path = tmp_path / f"log{suffix}"
    write_logs([a_log(3000)], path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    if suffix == ".mcap":  # what is whole of it is read
        [log] = read_logs(path)
        assert not log.complete and len(log["joint_position"]) <= 3000
        return
    with pytest.raises(UserError, match=r"log.parquet: cut off, or no Parquet file"):
        read_logs(path)


def test_what_is_no_log(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "some.txt").write_text("text")
    (tmp_path / "some.csv").write_text("a\n1\n")
    pyarrow.parquet.write_table(pyarrow.table({"a": [1.0]}), tmp_path / "other.parquet")
    for name, message in {
        "absent.mcap": "no such log",
        "folder": r"neither metadata.yaml \(rosbag2\) nor meta/info.json",
        "some.txt": "a text file; logs are",
        "some.csv": r"which column is which\? A mapping tells .* --mapping",
        "other.parquet": "simreal did not write",
    }.items():
        with pytest.raises(UserError, match=message):
            read_logs(tmp_path / name)
    for name, message in {"some.txt": "exists already", "log.h5": "logs are written as"}.items():
        with pytest.raises(UserError, match=message):
            write_logs([a_log()], tmp_path / name)


def test_runs_are_chosen_by_name(a_log: Callable[..., RobotLog]) -> None:
    logs = [a_log(20, "f:one"), a_log(21, "f:two")]
    assert select_runs(logs, "two", Path("x.mcap")) == logs[1:]
    assert select_runs(logs, None, Path("set")) == logs
    with pytest.raises(UserError, match=r"2 runs, but x.mcap holds one"):
        select_runs(logs, None, Path("x.mcap"))
    with pytest.raises(UserError, match="no run 'twoo': did you mean 'two'"):
        select_runs(logs, "twoo", Path("x.mcap"))


def test_a_foreign_mcap(tmp_path: Path) -> None:
    with (tmp_path / "other.mcap").open("wb") as file:
        writer = mcap.writer.Writer(file)
        writer.start(profile="", library="test")
        writer.finish()
    with pytest.raises(UserError, match="Profile is not ros2"):
        read_logs(tmp_path / "other.mcap")


def test_a_lerobot_dataset_is_whole_or_not_there(
    tmp_path: Path, a_log: Callable[..., RobotLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file/set: cannot be written: "):
        write_logs([a_log()], tmp_path / "file/set")

    def full(table: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("simreal.logs.lerobot._statistics", full)
    with pytest.raises(UserError, match="set: cannot be written: No space left on device"):
        write_logs([a_log()], tmp_path / "set")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_lerobot_dataset_needs_two_rows(tmp_path: Path, a_log: Callable[..., RobotLog]) -> None:
    log = a_log()
    log.channels["joint_position"] = log["joint_position"].rows(slice(1))
    with pytest.raises(
        UserError, match="1 rows of joint_position, of which a LeRobot dataset needs two"
    ):
        write_logs([log], tmp_path / "set")
