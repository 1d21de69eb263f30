"""Our view of MuJoCo's C batch against MuJoCo's own, and our compiled steps against `mj_step`."""

import ctypes

import mujoco
import numpy as np
import pytest
from mujoco.batch import Batch as OwnBatch
from numpy.typing import NDArray

from simreal.physics import MujocoPhysics
from simreal.physics.interface import Start
from simreal.physics.native_batch import Batch, EngineError
from simreal.physics.struct_layout import field_offsets
from simreal.robots import load_robot

COUNT = 6
RANDOM = np.random.default_rng(3)
POSITION, VELOCITY = RANDOM.uniform(-1.5, 1.5, (COUNT, 2)), RANDOM.normal(0.0, 5.0, (COUNT, 2))
FIELDS = ("body_mass", "dof_damping", "actuator_forcelimited", "opt.gravity", "opt.density")


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(load_robot("qube").model_path))


def test_it_steps_as_mujocos_own_batch(model: mujoco.MjModel) -> None:
    ours, own = Batch(model, COUNT, 2), OwnBatch(model, COUNT, 2)
    for batch in (ours, own):
        batch.reset()
        batch.bind("qpos")[:], batch.bind("qvel")[:] = POSITION, VELOCITY
        batch.bind("ctrl")[:] = 2.0
        for name in FIELDS:
            batch.expand(name)
        batch.expand("body_mass")[:] *= np.linspace(0.5, 2.0, COUNT)[:, None]
        batch.expand("opt.density")[:] = np.linspace(0.0, 1000.0, COUNT)
        batch.set_const(np.arange(COUNT))
    traces = {"qpos": np.zeros((COUNT, 50, 2)), "actuator_force": np.zeros((COUNT, 50, 1))}
    assert not ours.rollout(50, traces).any()
    expected = own.rollout(50, record=tuple(traces))
    for name, trace in traces.items():
        np.testing.assert_array_equal(trace, expected[name])
    np.testing.assert_array_equal(ours.state, own.state)
    for name in FIELDS:
        np.testing.assert_array_equal(
            ours.expand(name), own.expand(name).reshape(ours.expand(name).shape)
        )


def test_its_memory_lives_as_long_as_a_view_of_it(model: mujoco.MjModel) -> None:
    batch = Batch(model, COUNT)
    batch.reset()
    state, copy = batch.state, batch.state.copy()
    del batch
    others = [Batch(model, COUNT) for _ in range(20)]
    for other in others:
        other.state[:] = np.nan
    np.testing.assert_array_equal(state, copy)


def test_what_mujoco_keeps_for_all_is_refused(model: mujoco.MjModel) -> None:
    with pytest.raises(EngineError, match="tex_data"):
        Batch(model, 1).expand("tex_data")


def test_fields_lie_where_the_headers_say(model: mujoco.MjModel) -> None:
    for name, place in field_offsets("mjModel").items():
        values = getattr(model, name, None)
        if isinstance(values, np.ndarray) and values.size:
            address = ctypes.c_uint64.from_address(model._address + place).value
            assert address == values.ctypes.data, name


def travelled(density: float, viscosity: float) -> NDArray[np.float64]:
    """(COUNT, 2) positions of the Qube after 0.4 s in a medium that its model does not know."""
    physics = MujocoPhysics(load_robot("qube"), COUNT, 100.0, threads=1)
    physics.field("opt.density")[:] = density
    physics.field("opt.viscosity")[:] = viscosity
    physics.reset(np.arange(COUNT), Start(POSITION, VELOCITY), np.zeros((COUNT, 1)))
    for _ in range(40):
        physics.step(np.full((COUNT, 1), 1.0))
    return physics.joint_position.copy()


def travelled_by_mujoco(density: float, viscosity: float, parts: int = 1) -> NDArray[np.float64]:
    """The same by `mj_step`, with the timestep cut into parts."""
    spec = mujoco.MjSpec.from_file(str(load_robot("qube").model_path))
    spec.option.density, spec.option.viscosity = density, viscosity
    for body in spec.bodies:
        body.simple = False
    model = spec.compile()
    model.opt.timestep /= parts
    data, ends = mujoco.MjData(model), []
    for position, velocity in zip(POSITION, VELOCITY, strict=True):
        mujoco.mj_resetData(model, data)
        data.qpos[:], data.qvel[:], data.ctrl[:] = position, velocity, 1.0
        mujoco.mj_step(model, data, 200 * parts)
        ends.append(data.qpos.copy())
    return np.stack(ends)


AIR = 1.2, 1.8e-5


@pytest.mark.parametrize("medium", [(0.0, 0.0), (1000.0, 1e-3)], ids=["vacuum", "water"])
def test_outside_of_air_our_steps_are_mujocos(medium: tuple[float, float]) -> None:
    np.testing.assert_array_equal(travelled(*medium), travelled_by_mujoco(*medium))


def test_in_air_our_steps_differ_from_mujocos_by_less_than_the_timestep_does() -> None:
    ours, exact, finer = travelled(*AIR), travelled_by_mujoco(*AIR), travelled_by_mujoco(*AIR, parts=2)
    drag = np.abs(exact - travelled_by_mujoco(0.0, 0.0))
    assert np.median(drag) > 1e-4
    assert np.median(np.abs(ours - exact)) < 0.05 * np.median(drag)
    assert np.median(np.abs(ours - exact)) < 0.05 * np.median(np.abs(finer - exact))
