"""Free bodies go to Bullet's terms and back, and mean the same there."""

import mujoco
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.physics.bullet_frames import from_bullet, to_bullet, turn, wrench_at_centre

seeds = st.integers(0, 2**32 - 1)


def random_body(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    place, frame = rng.normal(size=7), rng.normal(size=4)
    place[3:] /= np.linalg.norm(place[3:])
    return place, rng.normal(size=6), rng.normal(size=3), frame / np.linalg.norm(frame)


@given(seeds)
@settings(max_examples=60)
def test_there_and_back_again(seed: int) -> None:
    place, speed, centre, frame = random_body(seed)
    there = to_bullet(place, speed, centre, frame)
    back, speed_back = from_bullet(there, centre, frame)
    np.testing.assert_allclose(back, place, atol=1e-12)
    np.testing.assert_allclose(speed_back, speed, atol=1e-12)


@given(seeds)
@settings(max_examples=20)
def test_bullet_is_told_of_the_centre_of_mass_as_mujoco_has_it(seed: int) -> None:
    place, speed, centre, frame = random_body(seed)
    text = """<mujoco><worldbody><body><freejoint/><inertial pos="{}" quat="{}" mass="1"
      diaginertia="1 2 2.5"/></body></worldbody>
      <sensor><subtreelinvel body="world"/></sensor></mujoco>"""
    model = mujoco.MjModel.from_xml_string(
        text.format(*(" ".join(map(str, v)) for v in (centre, frame)))
    )
    data = mujoco.MjData(model)
    data.qpos[:], data.qvel[:] = place, speed
    mujoco.mj_forward(model, data)
    told = to_bullet(place, speed, model.body_ipos[1], model.body_iquat[1])
    np.testing.assert_allclose(told[:3], data.xipos[1], atol=1e-9)
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, np.roll(told[3:7], 1))
    np.testing.assert_allclose(axes, data.ximat[1], atol=1e-9)
    np.testing.assert_allclose(told[7:10], data.sensordata, atol=1e-9)


@given(seeds)
@settings(max_examples=60)
def test_a_wrench_does_the_same_work_at_the_centre_of_mass(seed: int) -> None:
    place, speed, centre, frame = random_body(seed)
    force = np.random.default_rng(seed + 1).normal(size=6)
    at_centre = wrench_at_centre(force, place, centre)
    state = to_bullet(place, speed, centre, frame)
    power = at_centre[:3] @ state[7:10] + at_centre[3:] @ state[10:]
    np.testing.assert_allclose(power, force @ speed, atol=1e-9)


def test_a_quarter_turn() -> None:
    half = np.sqrt(0.5)
    np.testing.assert_allclose(
        turn(np.array([half, 0, 0, half]), np.array([1.0, 0, 0])), [0, 1, 0], atol=1e-12
    )
