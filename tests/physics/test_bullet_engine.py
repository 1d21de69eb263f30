"""PyBullet behind the interface, against MuJoCo on the same model and against itself."""

import numpy as np
import pytest

pytest.importorskip("pybullet", reason="PyBullet is not installed")

from simreal.errors import UserError
from simreal.physics import MujocoPhysics, Physics
from simreal.physics.bullet_engine import BulletPhysics
from simreal.physics.interface import Start
from simreal.physics.shared_checks import IDLE, make_robot
from simreal.robots import load_robot
from simreal.state import FloatArray

ENGINES = (MujocoPhysics, BulletPhysics)
RATE, LATENCY = 100.0, 0.02


def qubes(count: int) -> tuple[MujocoPhysics, BulletPhysics]:
    robot = load_robot("qube")
    return MujocoPhysics(robot, count, RATE, LATENCY, 1), BulletPhysics(robot, count, RATE, LATENCY)


def start_qubes(physics: Physics) -> None:
    rng = np.random.default_rng(7)
    count = physics.count
    start = Start(rng.uniform(-0.5, 0.5, (count, 2)), rng.uniform(-1, 1, (count, 2)))
    physics.reset(np.arange(count), start, rng.uniform(-2, 2, (count, 1)))


def run(physics: Physics, steps: int, seed: int = 1) -> FloatArray:
    """(steps, count, substeps, joints) positions under random commands, the same for any count."""
    commands = np.random.default_rng(seed).uniform(-4, 4, (steps, 1, 1))
    trace = []
    for command in commands:
        physics.step(np.repeat(command, physics.count, axis=0))
        trace.append(physics.position_trace.copy())
    return np.array(trace)


def test_the_qube_moves_as_in_mujoco_with_its_delays() -> None:
    both = qubes(4)
    traces = []
    for physics in both:
        physics.field("actuator_delay")[:, 0] = [0.0, 0.002, 0.007, 0.02]
        physics.field("dof_frictionloss")[:] = 0.0
        physics.commit(np.arange(4))
        start_qubes(physics)
        traces.append(run(physics, 20))
    np.testing.assert_allclose(traces[1], traces[0], atol=2e-4)
    np.testing.assert_allclose(both[1].actuator_force, both[0].actuator_force, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "factor"),
    [
        ("body_mass", 1.5),
        ("body_inertia", 2.0),
        ("body_ipos", 1.3),
        ("body_pos", 1.2),
        ("dof_damping", 30.0),
        ("dof_armature", 30.0),
        ("jnt_stiffness", 20.0),
        ("actuator_gainprm", 0.5),
        ("actuator_biasprm", 4.0),
        ("opt.gravity", 0.5),
    ],
)
def test_a_field_acts_as_in_mujoco(name: str, factor: float) -> None:
    traces = []
    for physics in qubes(2):
        physics.field("dof_frictionloss")[:] = 0.0
        physics.field(name)[1] *= factor
        physics.commit(np.arange(2))
        start_qubes(physics)
        traces.append(run(physics, 10)[:, :, :, :])
    np.testing.assert_allclose(traces[1], traces[0], atol=1e-3)
    other = np.abs(traces[0][:, 1] - run_compiled(traces[0])[:, 1]).max()
    assert other > 5e-3  # or the factor would prove nothing


def run_compiled(like: FloatArray) -> FloatArray:
    physics = qubes(2)[0]
    physics.field("dof_frictionloss")[:] = 0.0
    physics.commit(np.arange(2))
    start_qubes(physics)
    return run(physics, len(like))


def test_joint_friction_holds_what_it_can_hold() -> None:
    rod = """<body><joint name="turn" axis="0 0 1" frictionloss="0.5" armature="{}"/>
      <inertial pos="0 0 0" mass="1" diaginertia="0.01 0.01 0.01"/></body>"""
    for armature in (0.0, 0.2):
        physics = BulletPhysics(make_robot(rod.format(armature), ("turn",)), 2)
        physics.reset(np.arange(2), Start(np.zeros((2, 1)), np.zeros((2, 1))), np.zeros((2, 1)))
        for _ in range(100):
            physics.step(np.array([[0.45], [0.55]]))
        turned = physics.joint_position[:, 0]
        assert abs(turned[0]) < 1e-6
        expected = 0.5 * 0.05 / (0.01 + armature) * 0.2**2
        assert turned[1] == pytest.approx(expected, rel=0.03)


def test_a_joint_stops_at_the_end_of_its_range() -> None:
    physics = BulletPhysics(load_robot("qube"), 1)
    physics.field("jnt_range")[0, 0] = (-0.3, 0.2)
    physics.commit(np.arange(1))
    physics.reset(np.arange(1), Start(np.zeros((1, 2)), np.zeros((1, 2))), np.zeros((1, 1)))
    reached = [physics.step(np.array([[4.0]])) or physics.joint_position[0, 0] for _ in range(200)]
    assert max(reached) == pytest.approx(0.2, abs=0.02)


def test_pushes_kicks_and_outside_torques_act_as_in_mujoco() -> None:
    chain = """<body pos="0 0 2"><freejoint/><inertial pos="0.1 0.02 0.05" quat="0.8 0.1 0.5 0.2"
      mass="2" diaginertia="0.02 0.03 0.04"/><body pos="0.1 0.2 0"><joint name="wag" axis="0.3 1 0.2"/>
      <inertial pos="0.1 0 0" mass="0.5" diaginertia="0.002 0.003 0.004"/></body></body>"""
    robot = make_robot(chain, ("wag",))
    rng = np.random.default_rng(2)
    push, torque, kick = rng.normal(size=(2, 3, 6)), rng.normal(size=(2, 7)), rng.normal(size=(2, 7))
    found = []
    for engine in ENGINES:
        physics = engine(robot, 2)
        physics.reset(np.arange(2), Start(np.zeros((2, 1)), np.zeros((2, 1))), np.zeros((2, 1)))
        physics.body_force[:, 1:], physics.dof_force[:] = push[:, 1:], torque
        physics.kick(np.arange(2), np.arange(7), kick)
        for _ in range(10):
            physics.step(np.ones((2, 1)))
        found.append([physics.free_position, physics.free_velocity, physics.joint_velocity[:, None]])
    for mujoco_value, bullet_value in zip(*found, strict=True):
        np.testing.assert_allclose(bullet_value, mujoco_value, atol=5e-3)


def test_an_episode_replays_bit_by_bit_in_any_batch() -> None:
    robot = load_robot("qube")
    many = BulletPhysics(robot, 3, RATE)
    start_qubes(many)
    first = run(many, 10)
    start_qubes(many)
    np.testing.assert_array_equal(run(many, 10), first)
    alone = BulletPhysics(robot, 1, RATE)
    rng = np.random.default_rng(7)
    position, velocity = rng.uniform(-0.5, 0.5, (3, 2)), rng.uniform(-1, 1, (3, 2))
    alone.reset(np.arange(1), Start(position[1:2], velocity[1:2]), np.zeros((1, 1)))
    np.testing.assert_array_equal(run(alone, 10)[:, 0], first[:, 1])


def test_a_simulation_goes_on_from_another_with_its_fields() -> None:
    robot = load_robot("qube")
    source, other = BulletPhysics(robot, 2, RATE, LATENCY), BulletPhysics(robot, 3, RATE, LATENCY)
    source.field("body_mass")[1] *= 1.5
    source.commit(np.arange(2))
    start_qubes(source)
    start_qubes(other)
    run(other, 5)
    other.take(np.array([2]), source, np.array([1]))
    np.testing.assert_array_equal(run(other, 5)[:, 2], run(source, 5)[:, 1])


def test_what_bullet_cannot_follow_is_refused_unless_it_is_as_compiled() -> None:
    ball = '<body pos="0 0 1"><freejoint/><geom type="sphere" size="0.1"/></body>'
    physics = BulletPhysics(make_robot(ball + IDLE), 2)
    physics.field("geom_solref")
    physics.commit(np.arange(2))  # pinned at its nominal value
    physics.field("geom_solref")[1, 0, 0] *= 2.0
    physics.commit(np.array([0]))
    with pytest.raises(UserError, match=r"cannot follow geom_solref: .* engine mujoco"):
        physics.commit(np.array([1]))


def test_a_simulation_that_leaves_the_numbers_is_flagged_and_the_others_go_on() -> None:
    physics = BulletPhysics(load_robot("qube"), 2, RATE)
    start_qubes(physics)
    physics.dof_force[0] = np.inf
    physics.step(np.zeros((2, 1)))
    assert physics.diverged.tolist() == [True, False]
    start_qubes(physics)
    physics.step(np.zeros((2, 1)))
    assert not physics.diverged.any() and np.isfinite(physics.joint_position).all()


def test_a_law_within_the_control_step_acts_at_once() -> None:
    class Off:
        """Takes the motor's gain away after the first physics step."""

        calls = 0

        def __call__(self) -> None:
            self.calls += 1
            if self.calls == 2:
                physics.field("actuator_gainprm")[:] = 0.0

        def compiled(self, stepper: int) -> tuple[int, int]:
            raise NotImplementedError

    physics = BulletPhysics(load_robot("qube"), 1, RATE)
    physics.field("actuator_gainprm")
    physics.reset(np.arange(1), Start(np.zeros((1, 2)), np.zeros((1, 2))), np.zeros((1, 1)))
    physics.step(np.array([[4.0]]), Off())
    speed = physics.velocity_trace[0, :, 0]
    assert speed[0] > 0.1
    assert np.diff(speed).max() < 0.05 * speed[0]


@pytest.mark.parametrize("control_rate", [333.0])
def test_a_rate_that_does_not_fit_is_refused(control_rate: float) -> None:
    with pytest.raises(UserError, match="nearest"):
        BulletPhysics(load_robot("qube"), 1, control_rate)


def test_height_is_kept_on_the_floor() -> None:
    """Boxes and a ball that are dropped come to rest where their shapes say."""
    bodies = '<geom type="plane" size="0 0 1"/>' + "".join(
        f'<body pos="{place} 0 0.12"><freejoint/><geom type="{kind}" size="{size}"/></body>'
        for place, kind, size in (
            (0, "box", "0.1 0.1 0.05"),
            (1, "sphere", "0.1"),
            (2, "box", "0.2 0.1 0.1"),
        )
    )
    physics = BulletPhysics(make_robot(bodies + IDLE), 1)
    physics.reset(np.arange(1), Start(np.zeros((1, 1)), np.zeros((1, 1))), np.zeros((1, 1)))
    for _ in range(150):
        physics.step(np.zeros((1, 1)))
    np.testing.assert_allclose(physics.free_position[0, :, 2], [0.05, 0.1, 0.1], atol=2e-3)
