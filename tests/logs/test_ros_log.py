from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_typestore

from simreal.errors import UserError
from simreal.logs.formats import read_logs

STORE = get_typestore(Stores.ROS2_HUMBLE)
TYPES = STORE.types
JOINT_STATE, IMU = "sensor_msgs/msg/JointState", "sensor_msgs/msg/Imu"
EPOCH = 1_700_000_000 * 10**9


def header(ns: int) -> object:
    stamp = TYPES["builtin_interfaces/msg/Time"](ns // 10**9, ns % 10**9)
    return TYPES["std_msgs/msg/Header"](stamp, "base")


def joint_state(ns: int, names: list[str], *quantities: list[float]) -> object:
    return TYPES[JOINT_STATE](header(ns), names, *(np.array(each, dtype=float) for each in quantities))


def imu(ns: int) -> object:
    vector, quaternion = TYPES["geometry_msgs/msg/Vector3"], TYPES["geometry_msgs/msg/Quaternion"]
    none = np.zeros(9)
    absent = np.array([-1.0, *np.zeros(8)])
    return TYPES[IMU](
        header(ns),
        quaternion(0.1, 0.2, 0.3, 0.9),
        none,
        vector(1.0, 2.0, 3.0),
        none,
        vector(0.0, 0.0, 0.0),
        absent,
    )


Messages = list[tuple[str, int, object]]


def write(path: Path, plugin: StoragePlugin, topics: dict[str, str], messages: Messages) -> Path:
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        connections = {t: writer.add_connection(t, kind, typestore=STORE) for t, kind in topics.items()}
        for topic, ns, message in messages:
            writer.write(connections[topic], ns, STORE.serialize_cdr(message, topics[topic]))
    return path


def messages(count: int) -> list[tuple[str, int, object]]:
    made: list[tuple[str, int, object]] = []
    for k in range(count):
        ns = EPOCH + 5_000_000 * k
        # Publishers may order joints as they like.
        names, values = (["a", "b"], [k, -k]) if k % 2 else (["b", "a"], [-k, k])
        made.append(
            (
                "/joint_states",
                ns + 300_000,
                joint_state(ns, names, values, [], [2.0 * v for v in values]),
            )
        )
        made.append(("/joint_commands", ns, joint_state(0, ["a", "b"], [k + 0.5, 0.0], [], [])))
        made.append(("/imu", ns + 100, imu(ns)))
    return made


TOPICS = {"/joint_states": JOINT_STATE, "/joint_commands": JOINT_STATE, "/imu": IMU}


@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("alone", [False, True])
def test_a_bag(plugin: StoragePlugin, alone: bool, tmp_path: Path) -> None:
    path = write(tmp_path / "bag", plugin, TOPICS, messages(20))
    if alone:
        [path] = [each for each in path.iterdir() if each.suffix != ".yaml"]
    [log] = read_logs(path)
    assert log.start_ns == EPOCH
    assert log.joint_names == ("b", "a")
    position = log["joint_position"]
    np.testing.assert_array_equal(position.column("a"), np.arange(20))
    np.testing.assert_array_equal(position.column("b"), -np.arange(20))
    np.testing.assert_array_equal(position.time, np.arange(20) * 5_000_000 / 1e9)
    assert position.logged is not None
    np.testing.assert_allclose(position.logged - position.time, 0.0003)
    assert "joint_velocity" not in log
    assert log["joint_effort"].time is position.time
    np.testing.assert_array_equal(log["commanded_position"].column("a"), np.arange(20) + 0.5)
    assert log["commanded_position"].logged is None  # its header has no stamp
    np.testing.assert_array_equal(log["orientation"].values[3], [0.9, 0.1, 0.2, 0.3])
    assert "linear_acceleration" not in log


def test_joints_of_several_publishers_leave_gaps(tmp_path: Path) -> None:
    sent = [
        ("/joint_states", EPOCH, joint_state(EPOCH, ["a"], [1], [], [])),
        ("/joint_states", EPOCH + 1, joint_state(EPOCH + 1, ["b"], [2], [], [])),
    ]
    path = write(tmp_path / "bag", StoragePlugin.MCAP, {"/joint_states": JOINT_STATE}, sent)
    np.testing.assert_array_equal(
        read_logs(path)[0]["joint_position"].values, [[1, np.nan], [np.nan, 2]]
    )


@pytest.mark.parametrize("plugin", list(StoragePlugin))
@pytest.mark.parametrize("alone", [False, True])
def test_a_mapping_chooses_among_topics(plugin: StoragePlugin, alone: bool, tmp_path: Path) -> None:
    values = {"/left/joint_states": 1.0, "/right/joint_states": 2.0, "/imu": 0.0}
    sent = [
        (topic, EPOCH, imu(EPOCH) if topic == "/imu" else joint_state(EPOCH, ["a"], [value], [], []))
        for topic, value in values.items()
    ]
    kinds = {topic: IMU if topic == "/imu" else JOINT_STATE for topic in values}
    path = write(tmp_path / "two", plugin, kinds, sent)
    if alone:
        [path] = [each for each in path.iterdir() if each.suffix != ".yaml"]
    mapping = tmp_path / "right.yaml"
    mapping.write_text("{topics: [/right/joint_states], robot: qube}")
    [log] = read_logs(path, mapping)
    assert (log.robot, list(log.channels)) == ("qube", ["joint_position"])
    np.testing.assert_array_equal(log["joint_position"].values, [[2.0]])
    assert log.provenance["unread_topics"].startswith("/imu (sensor_msgs/msg/Imu), /left/joint_states (")
    mapping.write_text("topics: [/rigth/joint_states]")
    with pytest.raises(
        UserError, match=r"no topic '/rigth/joint_states' to read: did you mean '/right/j"
    ):
        read_logs(path, mapping)
    mapping.write_text("topics: []")
    with pytest.raises(UserError, match=r"right\.yaml:1: topics: "):
        read_logs(path, mapping)
    with pytest.raises(UserError, match=r"is for columns; of a ROS bag, a mapping names topics"):
        read_logs(path, "simple_pendulum")


def test_a_mapping_says_which_joints_are_read_and_which_topic_is_a_command(tmp_path: Path) -> None:
    sent = []
    for k in range(3):
        state = joint_state(EPOCH + k, ["arm/a", "arm/b", "wheel"], [k, 2.0 * k, 9.0], [], [])
        sent += [("/joint_states", EPOCH + k, state)]
        wheel = joint_state(EPOCH + k, ["wheel"], [9.0], [], [])
        sent += [("/joint_states", EPOCH + k, wheel)]  # by another publisher
        sent += [("/pilot", EPOCH + k, joint_state(EPOCH + k, ["arm/a"], [k + 0.5], [], []))]
    kinds = {"/joint_states": JOINT_STATE, "/pilot": JOINT_STATE}
    path = write(tmp_path / "bag", StoragePlugin.MCAP, kinds, sent)
    with pytest.raises(UserError, match=r"topics: \[/joint_states\], or commands: \[\.\.\.\] where"):
        read_logs(path)
    mapping = tmp_path / "arm.yaml"
    mapping.write_text("{commands: [/pilot], joints: {arm/a: a, arm/b: b}}")
    [log] = read_logs(path, mapping)
    assert log.joint_names == ("a", "b")
    np.testing.assert_array_equal(log["joint_position"].values, [[0, 0], [1, 2], [2, 4]])
    np.testing.assert_array_equal(log["commanded_position"].column("a"), [0.5, 1.5, 2.5])
    for text, said in (
        ("joints: {arm/c: c}", r"no joint 'arm/c' in its messages: did you mean 'arm/"),
        ("commands: [/pilto]", "no topic '/pilto' to read: did you mean '/pilot'"),
        ("joints: {arm/a: a, arm/b: a}", r"arm\.yaml: joints: 2 of them are named 'a'"),
        ("joints: {}", r"arm\.yaml:1: joints: "),
    ):
        mapping.write_text(text)
        with pytest.raises(UserError, match=said):
            read_logs(path, mapping)


@pytest.mark.parametrize("topic", ["/arm/goal_positions", "/action", "/leader/joint_states"])
def test_what_was_asked_is_told_by_its_topic(topic: str, tmp_path: Path) -> None:
    kinds = {topic: JOINT_STATE, "/arm/joint_states": JOINT_STATE}
    sent = [(each, EPOCH, joint_state(EPOCH, ["a"], [1.0], [], [])) for each in kinds]
    path = write(tmp_path / "bag", StoragePlugin.MCAP, kinds, sent)
    assert set(read_logs(path)[0].channels) == {"commanded_position", "joint_position"}


def test_joint_states_without_a_number(tmp_path: Path) -> None:
    sent = [("/joint_states", EPOCH, joint_state(EPOCH, ["a"], [], [], []))]
    path = write(tmp_path / "bag", StoragePlugin.MCAP, {"/joint_states": JOINT_STATE}, sent)
    with pytest.raises(UserError, match="messages of /joint_states hold no numbers"):
        read_logs(path)


def test_faulty_bags(tmp_path: Path) -> None:
    two = {"/left/joint_states": JOINT_STATE, "/right/joint_states": JOINT_STATE}
    sent = [(topic, EPOCH, joint_state(EPOCH, ["a"], [1], [], [])) for topic in two]
    path = write(tmp_path / "two", StoragePlugin.SQLITE3, two, sent)
    with pytest.raises(
        UserError,
        match=r"several topics for joint_position: /left/joint_states, /right.* says topics: \[/l",
    ):
        read_logs(path)
    path = write(tmp_path / "empty", StoragePlugin.SQLITE3, {"/other": "std_msgs/msg/Header"}, [])
    with pytest.raises(UserError, match=r"no message of type .*; it has /other \(std_msgs/msg/Header\)"):
        read_logs(path)
    sent = [("/joint_states", EPOCH, joint_state(EPOCH, ["a", "b"], [1], [], []))]
    path = write(tmp_path / "uneven", StoragePlugin.MCAP, {"/joint_states": JOINT_STATE}, sent)
    with pytest.raises(UserError, match="uneven: /joint_states: 1 numbers of position for 2 names"):
        read_logs(path)
    sent = [("/joint_states", EPOCH, joint_state(EPOCH, ["a", "a"], [1, 2], [], []))]
    path = write(tmp_path / "twice", StoragePlugin.MCAP, {"/joint_states": JOINT_STATE}, sent)
    with pytest.raises(UserError, match="twice: /joint_states: two joints of one name: a, a"):
        read_logs(path)


@pytest.mark.parametrize("plugin", list(StoragePlugin))
def test_a_truncated_bag(plugin: StoragePlugin, tmp_path: Path) -> None:
    path = write(tmp_path / "bag", plugin, TOPICS, messages(400))
    [file] = [each for each in path.iterdir() if each.suffix != ".yaml"]
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
    with pytest.raises(UserError, match="bag: cut off, or no bag that can be read"):
        read_logs(path)
