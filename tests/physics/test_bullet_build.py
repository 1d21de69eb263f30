"""What is built in Bullet stands where MuJoCo has it, touches what it should, and weighs as much."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pybullet = pytest.importorskip("pybullet", reason="PyBullet is not installed")

from simreal.physics.bullet_build import gear_ratios, make_blueprint  # noqa: E402
from simreal.physics.bullet_clients import acquire, release  # noqa: E402
from simreal.physics.bullet_world import BulletWorld  # noqa: E402
from simreal.physics.layout import compiled_field  # noqa: E402
from simreal.robots import load_robot  # noqa: E402


def world_of(model: mujoco.MjModel, geared: bool = False) -> tuple[int, BulletWorld]:
    client = acquire()
    scalar = np.isin(model.jnt_type[model.dof_jntid], (2, 3))
    blueprint = make_blueprint(model, scalar & geared)
    inertia = np.full(model.nv, 0.01)
    return client, BulletWorld(client, blueprint, lambda name: compiled_field(model, name), inertia)


def random_chain(seed: int) -> mujoco.MjModel:
    """A tree of bodies askew, some with two joints, some with none, on a base that is itself askew."""
    rng = np.random.default_rng(seed)

    def vector(size: int, scale: float = 1.0) -> str:
        return " ".join(map(str, scale * rng.normal(size=size)))

    def body(depth: int) -> str:
        kinds = rng.choice(["hinge", "slide"], size=rng.integers(0, 3) if depth else 1)
        joints = "".join(
            f'<joint type="{kind}" axis="{vector(3)}" pos="{vector(3, 0.1)}" ref="{rng.normal()}"/>'
            for kind in kinds
        )
        inertial = f'<inertial pos="{vector(3, 0.1)}" quat="{vector(4)}" mass="{rng.uniform(0.5, 2)}"'
        inertial += ' diaginertia="0.02 0.03 0.04"/>'
        geom = f'<geom type="sphere" size="0.01" pos="{vector(3, 0.1)}"/>'
        inside = "".join(body(depth + 1) for _ in range(rng.integers(0, 3) if depth < 3 else 0))
        place = f'pos="{vector(3, 0.3)}" quat="{vector(4)}"'
        return f"<body {place}>{joints}{inertial}{geom}{inside}</body>"

    fixed = f'<body pos="{vector(3)}" quat="{vector(4)}">{body(0)}</body>'
    return mujoco.MjModel.from_xml_string(
        '<mujoco><compiler angle="radian"/><option><flag contact="disable"/></option>'
        f"<worldbody>{fixed}</worldbody></mujoco>"
    )


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=20)
def test_any_tree_stands_where_mujoco_has_it_and_accelerates_alike(seed: int, geared: bool) -> None:
    model = random_chain(seed)
    if geared:
        model.dof_armature[:] = 0.01
    client, world = world_of(model, geared)
    data, rng = mujoco.MjData(model), np.random.default_rng(seed)
    data.qpos[:], data.qvel[:] = rng.uniform(-1, 1, model.nq), rng.uniform(-1, 1, model.nv)
    data.qfrc_applied[:] = rng.uniform(-1, 1, model.nv)
    world.set_state(data.qpos, data.qvel, np.zeros((0, 13)))
    mujoco.mj_forward(model, data)
    for body, (uid, link) in world._built.links.items():
        state = pybullet.getLinkState(uid, link, computeForwardKinematics=1, physicsClientId=client)
        np.testing.assert_allclose(state[0], data.xipos[body], atol=1e-9)
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, np.roll(state[1], 1))
        np.testing.assert_allclose(axes, data.ximat[body], atol=1e-7)
    position, velocity = data.qpos.copy(), data.qvel.copy()
    world.step(data.qfrc_applied)
    world.read(position, velocity, np.zeros((0, 13)))
    found = (velocity - data.qvel) / model.opt.timestep
    np.testing.assert_allclose(
        found, data.qacc, atol=(1e-3 if geared else 1e-7) * np.abs(data.qacc).max()
    )
    release([client])


def test_the_qubes_own_mass_matrix_is_mujocos() -> None:
    model = mujoco.MjModel.from_xml_path(str(load_robot("qube").model_path))
    client, world = world_of(model)
    model.dof_armature[:] = 0.0
    data = mujoco.MjData(model)
    for angles in np.random.default_rng(0).uniform(-3, 3, (5, 2)):
        data.qpos[:] = angles
        mujoco.mj_forward(model, data)
        full = np.zeros((2, 2))
        mujoco.mj_fullM(model, data, full)
        uid = world._built.multibodies[0].uid
        found = pybullet.calculateMassMatrix(uid, angles.tolist(), physicsClientId=client)
        np.testing.assert_allclose(found, full, rtol=1e-9)
    release([client])


SHAPES = {
    "sphere": '<geom type="sphere" size="0.3"/>',
    "capsule": '<geom type="capsule" size="0.2 0.3" euler="0.4 0.2 0.1"/>',
    "cylinder": '<geom type="cylinder" size="0.2 0.3" euler="0.4 0.2 0.1"/>',
    "box": '<geom type="box" size="0.2 0.3 0.25" euler="0.4 0.2 0.1"/>',
    "ellipsoid": '<geom type="ellipsoid" size="0.2 0.3 0.25" euler="0.4 0.2 0.1"/>',
    "mesh": '<geom type="mesh" mesh="wedge"/>',
    "plane": '<geom type="plane" size="0 0 1" pos="0 0 0.2" euler="0.1 0.1 0"/>',
    "hfield": '<geom type="hfield" hfield="hills" pos="0.02 0.03 0.1"/>',
}
HEIGHTS = np.add.outer(np.linspace(0.0, 0.3, 7), np.linspace(0.0, 0.6, 9) ** 2)
ASSETS = f"""<asset><mesh name="wedge" vertex="0 0 0  0.4 0 0  0 0.4 0  0 0 0.4"/>
  <hfield name="hills" nrow="7" ncol="9" size="0.6 0.5 0.3 0.1"
          elevation="{" ".join(map(str, HEIGHTS.ravel()))}"/></asset>"""


@pytest.mark.parametrize("kind", SHAPES)
def test_rays_from_above_meet_the_shapes_where_they_meet_mujocos(kind: str) -> None:
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><compiler angle="radian"/>{ASSETS}<worldbody>{SHAPES[kind]}</worldbody></mujoco>'
    )
    client, _ = world_of(model)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)

    def distances(x: float, y: float) -> tuple[float, float]:
        """m down to the shape in either engine; infinite beside it."""
        start, down = np.array([x, y, 2.0]), np.array([0.0, 0.0, -1.0])
        found = mujoco.mj_ray(model, data, start, down, None, 1, -1, np.zeros(1, np.int32), None)
        hit = pybullet.rayTest(start.tolist(), [x, y, -2.0], physicsClientId=client)[0]
        return (found if found >= 0 else np.inf), (4.0 * hit[2] if hit[0] >= 0 else np.inf)

    points = np.random.default_rng(0).uniform(-0.5, 0.5, (300, 2))
    here, there = np.array([distances(*point) for point in points]).T
    both = np.isfinite(here) & np.isfinite(there)
    assert both.sum() > 15
    # Bullet rounds edges by a margin, so that rays which only graze a shape may differ.
    assert (np.isfinite(here) != np.isfinite(there)).mean() < 0.03
    assert np.quantile(np.abs(here - there)[both], 0.9) < (0.01 if kind == "ellipsoid" else 3e-3)
    release([client])


FILTERED = """
<mujoco><worldbody>
  <geom type="plane" size="0 0 1"/>
  <body name="a" pos="0 0 0.05"><freejoint/><geom type="sphere" size="0.1"/>
    <geom type="sphere" size="0.1" contype="2" conaffinity="0"/>
    <body name="b" pos="0 0 0.02"><joint/><geom type="sphere" size="0.1"/>
      <body name="c" pos="0 0 0.02"><joint/><geom type="sphere" size="0.1" contype="0"/>
  </body></body></body>
  <body name="d" pos="0.05 0 0.05"><freejoint/>
    <geom type="sphere" size="0.1" contype="4" conaffinity="3"/></body>
</worldbody><contact><exclude body1="c" body2="d"/></contact></mujoco>"""


def test_what_touches_is_what_touches_in_mujoco() -> None:
    model = mujoco.MjModel.from_xml_string(FILTERED)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)  # everything overlaps
    client, world = world_of(model)
    bases = np.zeros((2, 13))
    bases[:, :3], bases[:, 6] = data.xipos[[1, 4]], 1.0
    world.set_state(data.qpos, data.qvel, bases)
    world.step(np.zeros(model.nv))
    found = {tuple(sorted((first, second))) for first, second, *_ in world.contacts()}
    assert found == {tuple(sorted(pair)) for pair in data.contact.geom.tolist()}
    release([client])


def test_rotors_stay_above_what_bullet_can_accelerate() -> None:
    inertia = np.array([0.0, 1e-9, 1e-6, 1e-3, 1.0, 100.0])
    ratios = gear_ratios(inertia)
    assert (np.diff(ratios) >= 0).all()
    assert (inertia[1:] / ratios[1:] ** 2 > 2.3e-16).all()
