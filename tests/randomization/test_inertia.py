"""Masses and inertias against motion, against compiled models, and against clouds of point masses."""

import math
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.physics.interface import Start
from simreal.randomization.inertia import masses_of, principal
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.specification import ParameterConfig
from simreal.robots import Robot, load_robot
from simreal.state import FloatArray

MakeTrial = Callable[[str | Robot, int], Any]
Edit = Callable[[mujoco.MjSpec], None]

GRAVITY = 9.81
MASS, OUT, ABOUT_CENTRE = 0.5, 0.3, 0.004
PENDULUM = f"""
<mujoco>
  <option timestep="0.001" integrator="RK4"/>
  <worldbody>
    <body name="rod">
      <joint name="hinge" axis="0 1 0"/>
      <inertial pos="0 0 -{OUT}" mass="{MASS}" diaginertia="{ABOUT_CENTRE} {ABOUT_CENTRE} 0.0005"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="hinge"/></actuator>
</mujoco>"""

SPINNER = """
<mujoco>
  <option timestep="0.001" integrator="RK4" gravity="0 0 0"/>
  <worldbody>
    <body name="spinner">
      <joint name="turn" axis="{axis}"/>
      <inertial pos="0 0 0" mass="2" diaginertia="0.03 0.05 0.06"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="turn"/></actuator>
</mujoco>"""

FREE_BOX = """
<mujoco>
  <option timestep="0.001" integrator="implicitfast" gravity="0 0 0"/>
  <worldbody>
    <body name="box" pos="0 0 1">
      <freejoint name="float"/>
      <inertial pos="0 0 0" mass="2" diaginertia="0.03 0.05 0.06"/>
    </body>
    <body name="flag" pos="3 0 0">
      <joint name="pole" axis="0 0 1"/>
      <geom type="box" size="0.1 0.01 0.1" mass="1"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="pole"/></actuator>
</mujoco>"""


def period(mass: float, out: float, about_centre: float, start: float = 0.1) -> float:
    """Of a compound pendulum, s, with the first correction for its amplitude."""
    inertia = about_centre + mass * out**2
    return 2.0 * math.pi * math.sqrt(inertia / (mass * GRAVITY * out)) * (1.0 + start**2 / 16.0)


def periods(angles: FloatArray, timestep: float = 0.001) -> list[float]:
    """Of each simulation's swing, s; (count, steps) angles that begin with the largest."""
    found = []
    for row in angles:
        middle = 0.5 * (row.max() + row.min())
        falling = np.flatnonzero((row[:-1] > middle) & (row[1:] <= middle))
        crossings = falling + (row[falling] - middle) / (row[falling] - row[falling + 1])
        found.append(float(np.diff(crossings).mean()) * timestep)
    return found


class TestAPendulum:
    def test_a_lower_centre_of_mass_swings_slower(self, make_trial: MakeTrial) -> None:
        trial = make_trial(PENDULUM, 3)
        trial.give(("centre_of_mass[rod.z]", None, [0.0, -0.15, 0.2]))
        swing = periods(trial.run(4.0, position=0.1)[..., 0])
        expected = [period(MASS, out, ABOUT_CENTRE) for out in (OUT, OUT + 0.15, OUT - 0.2)]
        assert swing == pytest.approx(expected, rel=1e-4)

    def test_a_centre_of_mass_off_the_rod_hangs_askew(self, make_trial: MakeTrial) -> None:
        trial = make_trial(PENDULUM, 3)
        trial.give(("centre_of_mass[rod.x]", None, [0.0, 0.1, -0.05]), ("joint_damping", "add", 0.3))
        rest = trial.run(6.0)[:, -1, 0]
        # +y turns z to x: what hangs down swings to -x, so the mass at +x comes back to the middle.
        assert rest == pytest.approx([0.0, math.atan2(0.1, OUT), -math.atan2(0.05, OUT)], abs=1e-6)

    def test_a_longer_rod_of_the_same_mass_swings_slower(self, make_trial: MakeTrial) -> None:
        """Its second moment along z grows with the square, and nothing else."""
        trial = make_trial(PENDULUM, 4)
        trial.give(("inertia_stretch[rod.z]", None, [1.0, 3.0, 0.5, 6.0]))
        swing = periods(trial.run(4.0, position=0.1)[..., 0])
        along_z = 0.5 * (ABOUT_CENTRE + ABOUT_CENTRE - 0.0005)
        expected = [
            period(MASS, OUT, ABOUT_CENTRE + along_z * (stretch**2 - 1.0))
            for stretch in (1.0, 3.0, 0.5, 6.0)
        ]
        assert swing == pytest.approx(expected, rel=1e-4)

    def test_a_stretch_along_its_axis_changes_nothing(self, make_trial: MakeTrial) -> None:
        trial = make_trial(PENDULUM, 2)
        trial.give(("inertia_stretch[rod.y]", None, [1.0, 4.0]))
        turned = trial.run(3.0, position=0.3)[..., 0]
        np.testing.assert_allclose(turned[1], turned[0], atol=1e-10)

    def test_a_load_swings_along_as_a_point(self, make_trial: MakeTrial) -> None:
        loads, below = [0.0, 0.4, 2.0], 0.7
        trial = make_trial(PENDULUM, 3)
        trial.give(("payload_mass[rod]", None, loads), ("payload_position[rod.z]", "absolute", -below))
        expected = []
        for load in loads:
            inertia = ABOUT_CENTRE + MASS * OUT**2 + load * below**2
            moment = MASS * OUT + load * below
            about = inertia - moment**2 / (MASS + load)
            expected.append(period(MASS + load, moment / (MASS + load), about))
        assert periods(trial.run(4.0, position=0.1)[..., 0]) == pytest.approx(expected, rel=1e-4)

    def test_a_load_starts_from_the_centre_of_mass(self, make_trial: MakeTrial) -> None:
        trial = make_trial(PENDULUM, 2)
        trial.give(("payload_mass[rod]", None, [0.0, 1.5]))
        swing = periods(trial.run(4.0, position=0.1)[..., 0])
        expected = period(MASS + 1.5, OUT, ABOUT_CENTRE)
        assert swing == pytest.approx([period(MASS, OUT, ABOUT_CENTRE), expected], rel=1e-4)

    def test_heavier_with_its_inertia_swings_the_same(self, make_trial: MakeTrial) -> None:
        trial = make_trial(PENDULUM, 3)
        trial.give(("mass", None, [1.0, 10.0, 0.1]))
        swing = trial.run(3.0, position=0.5)[..., 0]
        np.testing.assert_allclose(swing, swing[:1].repeat(3, axis=0), atol=1e-9)


@pytest.mark.parametrize("axis", ["1 0 0", "0 1 0", "0 0 1"])
def test_a_torque_turns_what_is_sheared_as_its_products_of_inertia_say(
    make_trial: MakeTrial, axis: str
) -> None:
    """Shear xy moves mass along x by its y: by hand, from second moments, about each axis."""
    shear = 0.8
    trial = make_trial(SPINNER.format(axis=axis), 2)
    trial.give(("inertia_shear[spinner.xy]", None, [0.0, shear]))
    physics, still = trial.world.physics, np.zeros((2, 1))
    physics.reset(trial.ids, Start(still, still), still)
    physics.dof_force[:] = 0.1
    for _ in range(10):
        physics.step(still)
    x, y, z = 0.04, 0.02, 0.01  # from 0.03 = y + z, 0.05 = x + z, 0.06 = x + y
    sheared = {"1 0 0": y + z, "0 1 0": x + shear**2 * y + z, "0 0 1": x + shear**2 * y + y}[axis]
    compiled = {"1 0 0": 0.03, "0 1 0": 0.05, "0 0 1": 0.06}[axis]
    speed = physics.joint_velocity[:, 0]
    assert speed == pytest.approx([0.1 * 0.1 / compiled, 0.1 * 0.1 / sheared], rel=1e-9)


def test_a_sheared_body_leaves_its_axis_when_it_spins(make_trial: MakeTrial) -> None:
    """The angular momentum stays, the axis does not: torque-free motion by Euler's equations."""
    shear, spin = 0.8, 5.0
    trial = make_trial(FREE_BOX, 2)
    trial.give(("inertia_shear[box.xz]", None, [0.0, shear]))
    velocity = np.array([0, 0, 0, 0, 0, spin, 0.0])
    steps = trial.run(1.0, velocity=velocity)
    x, y, z = 0.04, 0.02, 0.01
    inertia = np.array(
        [[y + z, 0, -shear * z], [0, x + shear**2 * z + z, 0], [-shear * z, 0, x + shear**2 * z + y]]
    )
    turn, rate, step = Rotation.identity(), np.array([0.0, 0.0, spin]), 1e-3
    momentum = inertia @ rate
    for _ in range(1000):  # of the body's orientation, midpoint rule, with a constant momentum
        rate = np.linalg.solve(inertia, turn.inv().apply(momentum))
        middle = turn * Rotation.from_rotvec(0.5 * step * rate)
        rate = np.linalg.solve(inertia, middle.inv().apply(momentum))
        turn = turn * Rotation.from_rotvec(step * rate)
    ends = Rotation.from_quat(np.roll(steps[:, -1, 3:7], -1, axis=-1))
    straight = Rotation.from_rotvec([0, 0, spin])
    assert (ends[0] * straight.inv()).magnitude() < 1e-9
    assert (ends[1] * turn.inv()).magnitude() < 0.003
    assert (ends[1] * straight.inv()).magnitude() > 0.3


def move_centre(spec: mujoco.MjSpec) -> None:
    spec.body("box").ipos = np.add(spec.body("box").ipos, (0.05, -0.1, 0.02))


def add_point(body: mujoco.MjsBody, mass: float, position: tuple[float, float, float]) -> None:
    load = body.add_body(pos=position, ipos=np.zeros(3), mass=mass, inertia=np.full(3, 1e-14))
    load.explicitinertial = True


def add_load(spec: mujoco.MjSpec) -> None:
    add_point(spec.body("box"), 3.0, (0.1, 0.2, -0.3))


def stretch_and_shear(spec: mujoco.MjSpec) -> None:
    by = np.array([[1.5, 0.3, -0.2], [0.0, 1.5, 0.1], [0.0, 0.0, 1.5]])
    moments = by @ np.diag([0.04, 0.02, 0.01]) @ by.T
    inertia = np.trace(moments) * np.eye(3) - moments
    full = (*np.diag(inertia), inertia[0, 1], inertia[0, 2], inertia[1, 2])
    spec.body("box").inertia = np.zeros(3)
    spec.body("box").fullinertia = full


FREE_BOX_CHANGES = {
    "centre_of_mass": (
        move_centre,
        [
            (f"centre_of_mass[box.{axis}]", None, by)
            for axis, by in (("x", 0.05), ("y", -0.1), ("z", 0.02))
        ],
    ),
    "payload": (
        add_load,
        [
            ("payload_mass[box]", None, 3.0),
            ("payload_position[box.x]", None, 0.1),
            ("payload_position[box.y]", None, 0.2),
            ("payload_position[box.z]", None, -0.3),
        ],
    ),
    "stretch and shear": (
        stretch_and_shear,
        [
            ("inertia_stretch[box.*]", "scale", 1.5),
            ("inertia_shear[box.xy]", None, 0.3),
            ("inertia_shear[box.xz]", None, -0.2),
            ("inertia_shear[box.yz]", None, 0.1),
        ],
    ),
}


@pytest.mark.parametrize("change", FREE_BOX_CHANGES)
def test_a_free_box_moves_as_a_model_compiled_with_the_change(
    make_trial: MakeTrial, change: str
) -> None:
    """Its compiled centre of mass is its origin: MuJoCo has a shortcut for those, which must not act."""
    edit, entries = FREE_BOX_CHANGES[change]
    trial = make_trial(FREE_BOX, 2)
    trial.give(
        *(
            (name, operation, [1.0 if operation == "scale" else 0.0, value])
            for name, operation, value in entries
        )
    )
    velocity = np.array([0.3, -0.2, 0.1, 3.0, -4.0, 5.0, 2.0])
    moved = trial.run(1.0, velocity)
    np.testing.assert_allclose(moved[1], trial.compiled(edit, 1.0, velocity), atol=1e-9)
    assert np.abs(moved[1] - moved[0]).max() > 1e-3


def scale_upper(spec: mujoco.MjSpec) -> None:
    body = spec.body("upper")
    body.mass *= 1.7
    body.fullinertia = 1.7 * np.asarray(body.fullinertia)


def move_upper(spec: mujoco.MjSpec) -> None:
    spec.body("upper").ipos = np.add(spec.body("upper").ipos, (-0.03, 0.05, 0.02))


def load_upper(spec: mujoco.MjSpec) -> None:
    add_point(spec.body("upper"), 0.7, (0.2, -0.1, 0.1))


ARM_CHANGES: dict[str, tuple[Edit, list[tuple[str, str | None, float]]]] = {
    "mass": (scale_upper, [("mass[upper]", None, 1.7)]),
    "centre_of_mass": (
        move_upper,
        [
            ("centre_of_mass[upper.x]", None, -0.03),
            ("centre_of_mass[upper.y]", None, 0.05),
            ("centre_of_mass[upper.z]", None, 0.02),
        ],
    ),
    "payload": (
        load_upper,
        [
            ("payload_mass[upper]", None, 0.7),
            ("payload_position[upper.x]", "absolute", 0.2),
            ("payload_position[upper.y]", "absolute", -0.1),
            ("payload_position[upper.z]", "absolute", 0.1),
        ],
    ),
}


@pytest.mark.parametrize("change", ARM_CHANGES)
def test_an_arm_on_a_floor_moves_as_a_model_compiled_with_the_change(
    make_trial: MakeTrial, box_with_arm: Robot, change: str
) -> None:
    """Contacts, friction, springs and inertia at once: all that the engine derives has to follow.

    In still air, since the air sees the bodies' inertias: what a load adds there is another matter.
    """
    edit, entries = ARM_CHANGES[change]
    still: list[tuple[str, str | None, float]] = [
        ("air_density", None, 0.0),
        ("air_viscosity", None, 0.0),
    ]
    trial = make_trial(box_with_arm, 2)
    trial.give(*entries, *still)

    def without_air(spec: mujoco.MjSpec) -> None:
        spec.option.density = spec.option.viscosity = 0.0

    def edited(spec: mujoco.MjSpec) -> None:
        without_air(spec)
        edit(spec)

    velocity = np.array([0.5, 0.2, 0, 1, -1, 2, 3, -2])
    moved = trial.run(0.5, velocity)
    np.testing.assert_allclose(moved[1], trial.compiled(edited, 0.5, velocity), atol=1e-9)
    assert np.abs(moved[1] - trial.compiled(without_air, 0.5, velocity)).max() > 1e-3


def point_masses(model: mujoco.MjModel, body: int) -> tuple[FloatArray, FloatArray]:
    """Six of them with the mass, centre and inertia of a compiled body: (6,) kg and (6, 3) m."""
    mass, inertia = model.body_mass[body], model.body_inertia[body]
    second = np.maximum(0.5 * inertia.sum() - inertia, 0.0)
    arms = np.diag(np.sqrt(3.0 * second / mass))
    axes = Rotation.from_quat(np.roll(model.body_iquat[body], -1))
    points = axes.apply(np.concatenate((arms, -arms))) + model.body_ipos[body]
    return np.full(6, mass / 6.0), points


def tensor(masses: FloatArray, points: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Total mass, centre and inertia about it, by summation over (..., k) and (..., k, 3)."""
    total = masses.sum(axis=-1)
    centre = (masses[..., None] * points).sum(axis=-2) / total[..., None]
    apart = points - centre[..., None, :]
    squares = (apart**2).sum(axis=-1)[..., None, None] * np.eye(3)
    outer = apart[..., :, None] * apart[..., None, :]
    return total, centre, (masses[..., None, None] * (squares - outer)).sum(axis=-3)


def inconsistent(mass: FloatArray, inertia: FloatArray, frame: FloatArray) -> NDArray[np.bool_]:
    """Which bodies no distribution of positive masses can have; (...) and (..., 3) and (..., 4)."""
    low, middle, high = np.moveaxis(np.sort(inertia, axis=-1), -1, 0)
    return (
        ~(mass > 0)
        | ~(low > 0)
        | ~(low + middle >= high * (1.0 - 1e-9))
        | ~(np.abs(np.linalg.norm(frame, axis=-1) - 1.0) < 1e-12)
        | ~np.isfinite(inertia).all(axis=-1)
    )


def entry(low: float, high: float, kind: str = "uniform", **options: str) -> ParameterConfig:
    distribution = {"type": kind, "low": low, "high": high}
    return ParameterConfig.model_validate({"distribution": distribution} | options)


WIDEST = {
    "mass": entry(0.1, 10.0, "log_uniform", operation="scale"),
    "inertia_stretch": entry(0.1, 10.0, "log_uniform", operation="scale"),
    "inertia_shear": entry(-3.0, 3.0),
    "centre_of_mass": entry(-0.2, 0.2),
    "payload_mass": entry(0.0, 100.0),
    "payload_position": entry(-1.0, 1.0, operation="absolute"),
    "link_length": entry(0.1, 10.0, "log_uniform", operation="scale"),
}


@pytest.mark.parametrize("robot", ["qube", "box_with_arm"])
def test_ten_thousand_draws_over_the_widest_ranges_are_all_physical(
    make_trial: MakeTrial, robot: str, request: pytest.FixtureRequest
) -> None:
    trial = make_trial(load_robot("qube") if robot == "qube" else request.getfixturevalue(robot), 1000)
    world = trial.world
    randomizer = Randomizer(WIDEST, world)
    bodies = np.flatnonzero(world.physics.model.body_mass)
    counted = 0
    for number in range(10):
        ids = 1000 * number + trial.ids
        values = randomizer.draw(EpisodeRandom(episode_seed(3, ids))).values
        randomizer.apply(trial.ids, values)
        drawn = {
            name: np.moveaxis(np.atleast_2d(column), -1, 0)
            for name, column in zip(randomizer.columns, values.T, strict=True)
        }
        counted += int(_faults(trial, drawn, bodies).sum())
    assert counted == 0


def _faults(trial: Any, drawn: dict[str, FloatArray], bodies: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(simulations, bodies) that are unphysical, or not what the same changes make of point masses."""
    physics = trial.world.physics
    links = {link.body: link for link in trial.world.inertia.links}
    found = []
    for body in bodies:
        name = physics.model.body(body).name
        masses, points = point_masses(physics.model, int(body))
        cloud = _changed(masses, points, drawn, name, links.get(int(body)))
        mass, centre, expected = tensor(*cloud)
        inertia, frame = physics.field("body_inertia")[:, body], physics.field("body_iquat")[:, body]
        axes = Rotation.from_quat(np.roll(frame, -1, axis=-1)).as_matrix()
        given = (axes * inertia[:, None, :]) @ np.swapaxes(axes, -1, -2)
        scale = np.abs(expected).max(axis=(-2, -1))
        wrong = inconsistent(physics.field("body_mass")[:, body], inertia, frame)
        wrong |= np.abs(given - expected).max(axis=(-2, -1)) > 1e-8 * scale
        wrong |= np.abs(physics.field("body_mass")[:, body] / mass - 1.0) > 1e-12
        wrong |= np.abs(physics.field("body_ipos")[:, body] - centre).max(axis=-1) > 1e-12
        found.append(wrong)
    return np.stack(found, axis=1)


def _changed(
    masses: FloatArray, points: FloatArray, drawn: dict[str, FloatArray], name: str, link: Any
) -> tuple[FloatArray, FloatArray]:
    """The point masses after all that was drawn, a payload among them, for all simulations."""
    count = len(drawn[f"mass[{name}]"])
    masses = masses * drawn[f"mass[{name}]"]
    points = np.broadcast_to(points, (count, *points.shape))
    if link is not None:
        along = (points - link.anchor) @ link.direction
        further = drawn[f"link_length[{name}]"] - 1.0
        points = points + (further * along)[..., None] * link.direction
    x, y, z = np.moveaxis(points - points.mean(axis=1, keepdims=True), -1, 0)

    def of(parameter: str, axis: str) -> FloatArray:
        return drawn[f"{parameter}[{name}.{axis}]"]

    stretch = {axis: of("inertia_stretch", axis) for axis in "xyz"}
    xy, xz, yz = (of("inertia_shear", pair) for pair in ("xy", "xz", "yz"))
    moved = np.stack(
        (stretch["x"] * x + xy * y + xz * z, stretch["y"] * y + yz * z, stretch["z"] * z), axis=-1
    )
    offset = np.stack([of("centre_of_mass", axis) for axis in "xyz"], axis=-1)
    points = moved + points.mean(axis=1, keepdims=True) + offset
    load = np.stack([of("payload_position", axis) for axis in "xyz"], axis=-1)
    payload = np.broadcast_to(drawn[f"payload_mass[{name}]"], (count, 1))
    return np.concatenate((masses, payload), axis=1), np.concatenate((points, load), axis=1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_principal_axes_give_back_the_second_moments(seed: int) -> None:
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(5, 3, 3)) * 10.0 ** rng.uniform(-3, 2, (5, 1, 1))
    moments = root @ np.swapaxes(root, -1, -2)
    frame, inertia = principal(moments)
    back = masses_of(np.ones(5), np.zeros((5, 3)), frame, inertia)
    scale = np.abs(moments).max(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(back.moments / scale, moments / scale, atol=3e-9)
    assert not inconsistent(back.mass, inertia, frame).any()


@pytest.mark.parametrize("dimensions", [1, 2], ids=["line", "plane"])
def test_a_body_without_thickness_stays_physical(dimensions: int) -> None:
    """Rounding must not push its smallest moments to zero or below, as it does for half of them."""
    root = np.random.default_rng(0).normal(size=(1000, 3, dimensions))
    frame, inertia = principal(root @ np.swapaxes(root, -1, -2))
    assert not inconsistent(np.ones(1000), inertia, frame).any()


@given(st.sets(st.integers(0, 7), min_size=1), st.integers(0, 1000))
@settings(max_examples=20)
def test_nobody_depends_on_the_others_of_the_batch(subset: set[int], seed: int) -> None:
    """Neither do those in which nothing is changed, bit for bit."""
    trial = _TRIAL[0]
    world, physics = trial.world, trial.world.physics
    randomizer = Randomizer(WIDEST, world)
    random = EpisodeRandom(episode_seed(seed, trial.ids))
    values = randomizer.draw(random).values
    scales = [WIDEST[column.partition("[")[0]].operation == "scale" for column in randomizer.columns]
    values[::3] = np.where(scales, 1.0, 0.0)
    randomizer.apply(trial.ids, values)
    together = {name: physics.field(name).copy() for name in physics.expanded_fields}
    others = randomizer.draw(EpisodeRandom(episode_seed(seed + 1, trial.ids))).values
    randomizer.apply(trial.ids, others)
    ids = np.array(sorted(subset))
    randomizer.apply(ids, values[ids])
    rest = np.setdiff1d(trial.ids, ids)
    for name, field in together.items():
        assert (physics.field(name)[ids] == field[ids]).all(), name
    randomizer.apply(rest, values[rest])
    for name, field in together.items():
        assert (physics.field(name) == field).all(), name
    randomizer.apply(trial.ids, others)


_TRIAL: list[Any] = []


@pytest.fixture(autouse=True)
def _one_trial(make_trial: MakeTrial, box_with_arm: Robot) -> None:
    """For the property test, which cannot make one for each example."""
    if not _TRIAL:
        _TRIAL.append(make_trial(box_with_arm, 8))
