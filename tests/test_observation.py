from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError

from simreal.contract import (
    COMMAND_SOURCES,
    IMU_SOURCES,
    JOINT_SOURCES,
    OBJECT_SOURCES,
    TOOL_SOURCES,
    ActionMapping,
    Actuator,
    Command,
    Contract,
    Joint,
    ObservationSource,
    ObservationTerm,
    Provenance,
    RobotDescription,
)
from simreal.errors import UserError
from simreal.observation import SOURCES as ROWS
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.state import RobotState
from simreal.tasks.so101_kinematics import GRASP, site_position

JOINTS = ("hip", "knee", "ankle")
ACTUATORS = ("left", "right")
SOURCES = {
    "joint_position": lambda state, action: state.joint_position,
    "joint_position_sin": lambda state, action: np.sin(state.joint_position),
    "joint_position_cos": lambda state, action: np.cos(state.joint_position),
    "joint_velocity": lambda state, action: state.joint_velocity,
    "previous_action": lambda state, action: action,
}
Frame = tuple[RobotState, NDArray[np.float64]]


def contract(*terms: ObservationTerm) -> Contract:
    return Contract(
        robot=RobotDescription(
            name="leg",
            joints=tuple(Joint(name=name) for name in JOINTS),
            actuators=tuple(
                Actuator(name=name, joint="hip", command="effort", unit="N·m", lower=-1, upper=1)
                for name in ACTUATORS
            ),
        ),
        control_rate=50.0,
        observation=terms,
        action=ActionMapping(scale=(1.0, 1.0), offset=(0.0, 0.0)),
        provenance=Provenance(task="t", agent="a", seed=0, training_steps=0, versions={}),
    )


def term(source: str, **options: Any) -> ObservationTerm:
    return ObservationTerm.model_validate({"source": source, **options})


@st.composite
def terms(draw: st.DrawFn) -> ObservationTerm:
    source = draw(st.sampled_from(sorted(SOURCES)))
    joints = st.none() | st.lists(st.sampled_from(JOINTS), min_size=1, unique=True)
    return term(
        source,
        joints=None if source == "previous_action" else draw(joints),
        scale=draw(st.floats(-10, 10)),
        clip=draw(st.none() | st.floats(0.1, 5)),
        history=draw(st.integers(1, 4)),
        fill=draw(st.sampled_from(["first", "zero"])),
    )


def frames(batch_shape: tuple[int, ...], number: int, seed: int) -> list[Frame]:
    random = np.random.default_rng(seed)
    return [
        (
            RobotState(
                np.full(batch_shape, 0.02 * step),
                random.uniform(-9, 9, (*batch_shape, len(JOINTS))),
                random.uniform(-9, 9, (*batch_shape, len(JOINTS))),
            ),
            random.uniform(-1, 1, (*batch_shape, len(ACTUATORS))),
        )
        for step in range(number)
    ]


def observe(pipeline: ObservationPipeline, episode: list[Frame]) -> list[NDArray[np.float32]]:
    return [pipeline.begin(*episode[0]), *(pipeline(*frame) for frame in episode[1:])]


def member(frame: Frame, index: tuple[int, ...]) -> Frame:
    state, action = frame
    one = RobotState(0.0, state.joint_position[index], state.joint_velocity[index])
    return one, action[index]


def by_definition(terms: list[ObservationTerm], episode: list[Frame]) -> NDArray[np.float32]:
    """The last observation of one robot's episode, straight from the words of `ObservationTerm`."""
    parts: list[float] = []
    for each in terms:
        columns = [JOINTS.index(name) for name in each.joints or JOINTS]
        if each.source == "previous_action":
            columns = list(range(len(ACTUATORS)))
        history = []
        for state, action in episode:
            value = each.scale * SOURCES[each.source](state, action)[columns]
            history.append(value if each.clip is None else value.clip(-each.clip, each.clip))
        before = history[0] if each.fill == "first" else np.zeros_like(history[0])
        newest_first = [*reversed(history), *[before] * each.history]
        parts += list(np.concatenate(newest_first[: each.history]))
    return np.array(parts, dtype=np.float32)


@given(
    st.lists(terms(), min_size=1, max_size=4),
    st.sampled_from([(), (1,), (3,), (2, 2), (2, 1, 3)]),
    st.integers(1, 6),
    st.integers(0, 1000),
)
def test_any_batch_shape_gives_each_robot_the_numbers_of_the_definition(
    chosen: list[ObservationTerm], batch_shape: tuple[int, ...], number: int, seed: int
) -> None:
    made = contract(*chosen)
    episode = frames(batch_shape, number, seed)
    together = observe(ObservationPipeline(made, batch_shape), episode)
    assert together[-1].dtype == np.float32
    assert together[-1].shape == (*batch_shape, ObservationPipeline(made).size)
    for index in np.ndindex(batch_shape):
        own = [member(frame, index) for frame in episode]
        alone = observe(ObservationPipeline(made), own)
        for step in range(number):
            # Bit for bit: a batch in training and a single robot are not allowed to differ.
            assert (together[step][index] == alone[step]).all()
        np.testing.assert_allclose(alone[-1], by_definition(chosen, own), rtol=1e-6)


@given(st.lists(terms(), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 1000))
def test_an_episode_that_begins_in_some_rows_leaves_the_others(
    chosen: list[ObservationTerm], before: int, seed: int
) -> None:
    made, ids = contract(*chosen), np.array([2, 0])
    pipeline = ObservationPipeline(made, (4,))
    first, second = frames((4,), before + 1, seed), frames((4,), 4, seed + 1)
    observe(pipeline, first)
    state, action = second[0]
    begun = pipeline.begin(state.rows(ids), action[ids], ids)
    later = [pipeline(*frame) for frame in second[1:]]
    for place, row in enumerate(ids):
        fresh = observe(ObservationPipeline(made), [member(frame, (row,)) for frame in second])
        assert (begun[place] == fresh[0]).all()
        assert all((later[step][row] == fresh[step + 1]).all() for step in range(3))
    for row in (1, 3):
        going_on = [member(frame, (row,)) for frame in [*first, *second[1:]]]
        assert (later[-1][row] == observe(ObservationPipeline(made), going_on)[-1]).all()


def test_history_stands_newest_first_behind_the_fill() -> None:
    made = contract(
        term("joint_position", joints=["knee"], history=3),
        term("joint_velocity", joints=["knee"], history=3, fill="zero"),
    )
    pipeline = ObservationPipeline(made)
    states = [RobotState(0.0, np.full(3, value), np.full(3, -value)) for value in (1.0, 2.0, 3.0, 4.0)]
    seen = [pipeline.begin(states[0], np.zeros(2)), *(pipeline(s, np.zeros(2)) for s in states[1:])]
    assert [list(observation) for observation in seen] == [
        [1, 1, 1, -1, 0, 0],
        [2, 1, 1, -2, -1, 0],
        [3, 2, 1, -3, -2, -1],
        [4, 3, 2, -4, -3, -2],
    ]


def test_the_clip_bounds_what_the_scale_makes() -> None:
    pipeline = ObservationPipeline(contract(term("joint_position", scale=0.5, clip=1.0)))
    state = RobotState(0.0, np.array([1.0, 10.0, -10.0]), np.zeros(3))
    assert list(pipeline.begin(state, np.zeros(2))) == [0.5, 1.0, -1.0]


def test_joints_come_in_the_order_of_the_term() -> None:
    pipeline = ObservationPipeline(contract(term("joint_position", joints=["ankle", "hip"])))
    state = RobotState(0.0, np.array([1.0, 2.0, 3.0]), np.zeros(3))
    assert list(pipeline.begin(state, np.zeros(2))) == [3.0, 1.0]
    assert pipeline.names == ("joint_position[ankle]", "joint_position[hip]")


@given(st.lists(terms(), min_size=1, max_size=4))
def test_a_name_says_what_moves_its_entry(chosen: list[ObservationTerm]) -> None:
    made = contract(*chosen)
    pipeline = ObservationPipeline(made)
    assert len(pipeline.names) == pipeline.size
    rest = (RobotState(0.0, np.full(3, 0.1), np.full(3, 0.01)), np.full(2, 0.1))
    for joint, name in enumerate(JOINTS):
        state = RobotState(0.0, np.full(3, 0.1), np.full(3, 0.01))
        state.joint_position[joint] += 0.3
        still, moved = pipeline.begin(*rest), pipeline.begin(state, rest[1])
        changed = {pipeline.names[place] for place in np.flatnonzero(still != moved)}
        assert all(each.startswith("joint_position") and f"[{name}]" in each for each in changed)


def test_an_observation_stays_as_it_was_given() -> None:
    pipeline = ObservationPipeline(contract(term("joint_position", history=2)))
    state = RobotState(0.0, np.ones(3), np.zeros(3))
    first = pipeline.begin(state, np.zeros(2))
    state.joint_position[:] = 5.0
    second = pipeline(state, np.zeros(2))
    assert list(first) == [1.0] * 6
    state.joint_position[:] = 9.0
    pipeline(state, np.zeros(2))
    assert list(second) == [5.0] * 3 + [1.0] * 3


@pytest.mark.parametrize("lead", [(), (5,), (2, 3)])
def test_memory_does_not_leak_into_the_next_episode(lead: tuple[int, ...]) -> None:
    made = contract(term("joint_velocity", history=4), term("previous_action", history=2, fill="zero"))
    pipeline = ObservationPipeline(made, lead)
    observe(pipeline, frames(lead, 5, seed=1))
    again = observe(pipeline, frames(lead, 5, seed=2))
    fresh = observe(ObservationPipeline(made, lead), frames(lead, 5, seed=2))
    assert all((one == other).all() for one, other in zip(again, fresh, strict=True))


def test_the_same_quantity_in_two_terms_has_two_names() -> None:
    names = ObservationPipeline(
        contract(term("joint_velocity", joints=["hip"]), term("joint_velocity", joints=["hip"], scale=2))
    ).names
    assert names == ("joint_velocity[hip]", "joint_velocity[hip] #2")


def arm_with_cubes(*terms: ObservationTerm, commands: str = "xyz", imu: bool = False) -> Contract:
    return Contract(
        robot=load_robot("so101").description.model_copy(update={"imu": imu}),
        control_rate=25.0,
        observation=terms,
        action=ActionMapping(scale=(0.1,) * 6, offset=(0.0,) * 6, relative_to="previous_target"),
        commands=tuple(Command(name=name, unit="m", low=-1.0, high=1.0) for name in commands),
        objects=("cube", "other"),
        provenance=Provenance(task="t", agent="a", seed=0, training_steps=0, versions={}),
    )


def test_ways_between_tool_objects_and_what_is_asked() -> None:
    made = arm_with_cubes(
        term("tool_position", tool="grasp"),
        term("tool_to_command", tool="grasp"),
        term("tool_to_object", tool="grasp"),
        term("object_to_command"),
        term("following_error", scale=2.0),
        commands="yqx",
    )
    random = np.random.default_rng(1)
    joints, pose = random.uniform(-1.0, 1.0, (3, 6)), random.uniform(-1.0, 1.0, (3, 2, 7))
    command, target = random.uniform(-1.0, 1.0, (3, 3)), random.uniform(-1.0, 1.0, (3, 6))
    state = RobotState(0.0, joints, 0.0 * joints, object_pose=pose)
    pipeline = ObservationPipeline(made, (3,))
    seen = pipeline.begin(state, 0.0 * joints, command=command, target=target)
    tool, asked = site_position(joints, GRASP), command[:, [2, 0]]
    parts = [
        tool,
        asked - tool[:, :2],
        pose[:, 0, :3] - tool,
        pose[:, 1, :3] - tool,
        asked - pose[:, 0, :2],
        asked - pose[:, 1, :2],
        2.0 * (target - joints),
    ]
    np.testing.assert_allclose(seen, np.concatenate(parts, axis=1), atol=1e-6)
    assert pipeline.names[3:5] == ("tool_to_command[x]", "tool_to_command[y]")
    assert pipeline.names[8:13:2] == (
        "tool_to_object[other.x]",
        "tool_to_object[other.z]",
        "object_to_command[cube.y]",
    )
    alone = ObservationPipeline(made).begin(
        state.row(1), np.zeros(6), command=command[1], target=target[1]
    )
    np.testing.assert_array_equal(alone, seen[1])


def test_a_following_error_needs_a_target() -> None:
    pipeline = ObservationPipeline(arm_with_cubes(term("following_error")))
    with pytest.raises(UserError, match="last told"):
        pipeline.begin(RobotState(0.0, np.zeros(6), np.zeros(6)), np.zeros(6), command=np.zeros(3))


@pytest.mark.parametrize(
    ("source", "tool", "commands", "message"),
    [
        ("tool_position", "grip", "x", "no tool 'grip'"),
        ("tool_to_command", "grasp", "qr", "no command is called x, y or z"),
        ("tool_to_command", "grasp", "", "nothing is asked"),
        ("object_to_command", None, "qr", "no command is called x, y or z"),
    ],
)
def test_ways_from_or_to_what_there_is_not_are_refused(
    source: str, tool: str | None, commands: str, message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        arm_with_cubes(term(source, tool=tool), commands=commands)


@pytest.mark.parametrize(("source", "tool"), [("tool_position", None), ("command", "grasp")])
def test_a_tool_belongs_to_what_is_seen_of_a_tool(source: str, tool: str | None) -> None:
    with pytest.raises(ValidationError, match="tool"):
        term(source, tool=tool)


def test_every_source_has_a_row_of_its_own() -> None:
    names = get_args(ObservationSource)
    assert sorted(ROWS) == sorted(names)
    measured = [name for name in names if name != "task"]
    assert len({ROWS[name].reader for name in measured}) == len(measured)
    assert len({row.meaning for row in ROWS.values()}) == len(names)


@pytest.mark.parametrize("source", sorted(set(get_args(ObservationSource)) - {"task"}))
def test_every_source_reads_as_many_numbers_as_it_has_owners_and_only_what_it_needs(
    source: ObservationSource,
) -> None:
    """What lacks one of its needs is refused, with the name of the source."""
    each = term(source, tool="grasp" if source in TOOL_SOURCES else None)
    made = arm_with_cubes(each, imu=True)
    count, pose = len(made.robot.joints), np.tile([0.1, 0.2, 0.3, 1.0, 0.0, 0.0, 0.0], (2, 1))
    imu = {"orientation": np.array([1.0, 0, 0, 0]), "angular_velocity": np.ones(3)}
    joints = {"joint_position": np.full(count, 0.1), "joint_velocity": np.full(count, 0.2)}
    everything = joints | imu | {"linear_acceleration": np.ones(3), "object_pose": pose}
    actuators = len(made.robot.actuators)
    told = {"command": np.ones(3), "target": np.ones(actuators)}

    def numbers(state: dict[str, Any], told: dict[str, Any]) -> NDArray[np.float32]:
        return ObservationPipeline(made).begin(RobotState(0.0, **state), np.ones(actuators), **told)

    seen = numbers(everything, told)
    assert seen.shape == (len(ROWS[source].owners(each, made)),) == (ObservationPipeline(made).size,)
    needs = {
        **dict.fromkeys(IMU_SOURCES, joints | {"object_pose": pose}),
        **dict.fromkeys(OBJECT_SOURCES, joints | imu | {"linear_acceleration": np.ones(3)}),
    }
    if source in needs:
        with pytest.raises(UserError, match=source):
            numbers(needs[source], told)
    untold = {name: value for name, value in told.items() if name != "command"}
    if source in COMMAND_SOURCES:
        with pytest.raises(UserError, match="command"):
            numbers(everything, untold)
    else:
        assert (numbers(everything, untold) == seen).all()
    assert (source in JOINT_SOURCES) == source.startswith("joint_")
