"""The mirror of a Go2, against what geometry and its simulation make of a mirrored state."""

from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simreal.contract import ActionMapping, Command, Contract, ObservationTerm, Provenance
from simreal.errors import UserError
from simreal.observation import ObservationPipeline
from simreal.physics.interface import Start
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.robots import MirrorConfig, load_robot
from simreal.state import RobotState
from simreal.symmetry import Symmetry, make_symmetry

FloatArray = NDArray[np.float64]
ROBOT = load_robot("go2")
NAMES = ROBOT.description.joint_names
OTHER_SIDE = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]
SIDEWAYS = np.tile([-1.0, 1.0, 1.0], 4)
MIRROR = np.diag([1.0, -1.0, 1.0])
"""The reflection in the plane of x and z."""
COMMANDS = ("forward", "left", "turn")
TERMS = (
    {"source": "angular_velocity", "scale": 0.25, "history": 3},
    {"source": "linear_acceleration", "clip": 20.0},
    {"source": "projected_gravity"},
    {"source": "command"},
    {"source": "joint_offset", "history": 2},
    {"source": "joint_position", "joints": [f"{leg}_calf_joint" for leg in ("RR", "FL", "RL", "FR")]},
    {"source": "joint_position_sin"},
    {"source": "joint_position_cos", "joints": ["RL_hip_joint", "RR_hip_joint"]},
    {"source": "joint_velocity", "scale": 0.05, "clip": 1.0, "fill": "zero", "history": 2},
    {"source": "previous_action"},
    {"source": "object_position"},
    {"source": "object_orientation"},
)  # fmt: skip


def contract(*terms: dict[str, Any], **changes: Any) -> Contract:
    parts: dict[str, Any] = {
        "robot": ROBOT.description,
        "control_rate": 50.0,
        "observation": tuple(ObservationTerm.model_validate(each) for each in terms or TERMS),
        "action": ActionMapping(scale=(0.3, 0.5, 0.6) * 4, offset=ROBOT.description.default_position),
        "commands": tuple(Command(name=each, unit="", low=-1, high=1) for each in COMMANDS),
        "objects": ("ball", "box"),
        "provenance": Provenance(task="t", agent="a", seed=0, training_steps=0, versions={}),
    }
    return Contract(**(parts | changes))


def symmetry(made: Contract, mirror: MirrorConfig | None = None) -> Symmetry:
    mirror = mirror or ROBOT.config.mirror
    assert mirror is not None
    return make_symmetry(made, mirror, ("left", "turn"))


def mirrored_turn(quaternion: FloatArray) -> FloatArray:
    """The rotation seen in the mirror, by way of its matrix: M R M; w keeps its sign."""
    matrix, image = np.zeros(9), np.zeros(4)
    mujoco.mju_quat2Mat(matrix, quaternion)
    mujoco.mju_mat2Quat(image, (MIRROR @ matrix.reshape(3, 3) @ MIRROR).ravel())
    return image * np.copysign(1.0, image[0] * quaternion[0])


def mirrored_joints(values: FloatArray) -> FloatArray:
    return SIDEWAYS * values[..., OTHER_SIDE]


def mirrored_pose(pose: FloatArray) -> FloatArray:
    return np.concatenate([MIRROR @ pose[:3], mirrored_turn(pose[3:])])


def mirrored_state(state: RobotState) -> RobotState:
    assert state.orientation is not None and state.object_pose is not None
    assert state.angular_velocity is not None and state.linear_acceleration is not None
    return RobotState(
        state.time,
        mirrored_joints(state.joint_position),
        mirrored_joints(state.joint_velocity),
        mirrored_turn(state.orientation),
        -MIRROR @ state.angular_velocity,  # of a cross product of two mirrored vectors
        MIRROR @ state.linear_acceleration,
        np.array([mirrored_pose(pose) for pose in state.object_pose]),
    )


generators = st.integers(0, 2**32 - 1).map(np.random.default_rng)


def turn(random: np.random.Generator) -> FloatArray:
    quaternion = random.normal(size=4)
    unit: FloatArray = quaternion / np.linalg.norm(quaternion)
    return unit


def some_state(random: np.random.Generator) -> RobotState:
    poses = [np.concatenate([random.normal(size=3), turn(random)]) for _ in range(2)]
    joints = random.normal(size=12), random.normal(0, 20, size=12)
    return RobotState(
        0.0, *joints, turn(random), random.normal(0, 3, 3), random.normal(0, 15, 3), np.array(poses)
    )


@given(generators, st.permutations(TERMS), st.integers(1, len(TERMS)))
def test_the_image_of_the_image_is_what_it_was(
    random: np.random.Generator, terms: list[dict[str, Any]], number: int
) -> None:
    made = contract(*terms[:number])
    images = symmetry(made)
    observation = random.normal(size=ObservationPipeline(made).size)
    np.testing.assert_array_equal(images.observation(images.observation(observation)), observation)
    action = random.normal(size=12)
    np.testing.assert_array_equal(images.action(images.action(action)), action)


@settings(max_examples=50)
@given(generators)
def test_what_the_mirrored_robot_sees_is_the_image_of_what_the_robot_sees(
    random: np.random.Generator,
) -> None:
    made = contract()
    images = symmetry(made)
    here, there = ObservationPipeline(made), ObservationPipeline(made)
    for number in range(4):
        state, action, command = some_state(random), random.normal(size=12), random.normal(size=3)
        image = mirrored_state(state), images.action(action), command * [1, -1, -1]
        if number == 0:
            seen = here.begin(state, action, command=command)
            expected = there.begin(*image[:2], command=image[2])
        else:
            seen, expected = here(state, action, command), there(*image)
        np.testing.assert_allclose(images.observation(seen), expected, atol=2e-5)
        np.testing.assert_array_equal(images.command(command), image[2])
        np.testing.assert_array_equal(images.joints(state.joint_position), image[0].joint_position)


def flat_ground_and_a_trunk_alike_on_both_sides(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_geom(name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 0.1])
    inertia = spec.body("base").fullinertia
    inertia[3] = inertia[5] = 0.0  # what tells left from right in the published numbers


PHYSICS = MujocoPhysics(ROBOT, 2, 50.0, scene=flat_ground_and_a_trunk_alike_on_both_sides)


@settings(max_examples=25)
@given(generators)
def test_the_mirrored_robot_under_mirrored_actions_moves_as_the_image_of_the_robot(
    random: np.random.Generator,
) -> None:
    made = contract(*TERMS[:-2])
    images = symmetry(made)
    position = np.array(ROBOT.description.default_position) + random.uniform(-0.3, 0.3, 12)
    speed, trunk = random.uniform(-2, 2, 12), random.uniform(-0.5, 0.5, 6)
    lean = np.r_[1.0, random.uniform(-0.1, 0.1, 3)]  # it stands, more or less
    place = np.r_[0, 0, 0.35, lean / np.linalg.norm(lean)]
    pair = [np.stack([each, mirrored_joints(each)]) for each in (position, speed)]
    free = np.stack([place, mirrored_pose(place)])[:, None]
    free_speed = np.stack([trunk, np.concatenate([MIRROR @ trunk[:3], -MIRROR @ trunk[3:]])])[:, None]
    scale, default = np.array(made.action.scale), np.array(made.action.offset)
    PHYSICS.reset(np.arange(2), Start(*pair, free, free_speed), np.tile(default, (2, 1)))
    pipeline = ObservationPipeline(made, (2,))
    command = np.array([[1.0, 0.5, -0.3], [1.0, -0.5, 0.3]])
    for number in range(5):
        action = random.uniform(-1, 1, 12)
        both = np.stack([action, images.action(action)])
        PHYSICS.step(default + scale * both)
        state = RobotState(
            0.0,
            PHYSICS.joint_position,
            PHYSICS.joint_velocity,
            *(
                PHYSICS.sensor(f"imu_{name}")
                for name in ("orientation", "angular_velocity", "linear_acceleration")
            ),
        )
        seen = pipeline(state, both, command) if number else pipeline.begin(state, both, command=command)
        np.testing.assert_allclose(images.observation(seen[0]), seen[1], atol=1e-3)


def test_a_posture_that_is_not_its_own_image_is_refused() -> None:
    joints = list(ROBOT.description.joints)
    joints[3] = joints[3].model_copy(update={"default_position": 0.1})  # both hips to the left
    robot = ROBOT.description.model_copy(update={"joints": tuple(joints)})
    with pytest.raises(UserError, match="default positions"):
        symmetry(contract(robot=robot))


@pytest.mark.parametrize("part", ["scale", "offset"])
def test_an_action_that_means_more_on_one_side_is_refused(part: str) -> None:
    action = contract().action
    numbers = getattr(action, part)
    changed = action.model_copy(update={part: (numbers[0] + 0.1, *numbers[1:])})
    with pytest.raises(UserError, match=f"action.{part}"):
        symmetry(contract(action=changed))


def test_an_observation_of_one_side_is_refused() -> None:
    with pytest.raises(UserError, match="joints of observation joint_velocity"):
        symmetry(contract({"source": "joint_velocity", "joints": list(NAMES[:3])}))


def test_a_command_that_is_not_asked_is_refused() -> None:
    assert ROBOT.config.mirror is not None
    with pytest.raises(UserError, match="sideways"):
        make_symmetry(contract(), ROBOT.config.mirror, ("sideways",))


def test_what_only_a_task_knows_has_no_image() -> None:
    with pytest.raises(UserError, match="observation task"):
        symmetry(contract({"source": "task"}))


@pytest.mark.parametrize(
    ("mirror", "fault"),
    [
        ({"pairs": [["FL_hip_joint", "FR_hip"]]}, "FR_hip_joint"),
        ({"pairs": [["FL_hip_joint", "FR_hip_joint"], ["FL_hip_joint", "RR_hip_joint"]]}, "twice"),
        ({"pairs": [["FL_hip_joint", "FR_hip_joint"]], "reversed": ["FL_hip_joint"]}, "only one"),
        ({"reversed": ["hip"]}, "no joint 'hip'"),
    ],
)
def test_a_mirror_that_fits_no_robot_is_refused(mirror: dict[str, Any], fault: str) -> None:
    config = ROBOT.config.model_dump() | {"mirror": mirror}
    with pytest.raises(ValueError, match=fault):
        type(ROBOT.config).model_validate(config)


@pytest.mark.parametrize("index", [list(range(11)), [0] * 12, [-1, *range(11)]])
def test_a_wire_that_does_not_number_every_motor_is_refused(index: list[int]) -> None:
    config = ROBOT.config.model_dump() | {"wire": {"motor_index": index}}
    with pytest.raises(ValueError, match="motor_index"):
        type(ROBOT.config).model_validate(config)
