"""The bounds of a servo's step are those that MuJoCo itself shows."""

import mujoco
import numpy as np
import pytest

from simreal.physics.drives import read_drives
from simreal.physics.joint_inertia import joint_inertia
from simreal.physics.servo_step import ServoStep, servo_step

INTEGRATORS = ("Euler", "implicit", "implicitfast", "RK4")


def model_of(
    integrator: str, kp: float, kv: float, damping: float, flag: str = "enable"
) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(f"""
    <mujoco><option timestep="0.002" integrator="{integrator}" gravity="0 0 0">
      <flag eulerdamp="{flag}"/></option>
      <worldbody><body>
        <joint name="yaw" damping="{damping}"/>
        <inertial pos="0 0 0" mass="0.1" diaginertia="6e-4 6e-4 6e-4"/>
      </body></worldbody>
      <actuator><position joint="yaw" kp="{kp}" kv="{kv}"/></actuator>
    </mujoco>""")


def step_of(model: mujoco.MjModel) -> ServoStep:
    (drive,), _ = read_drives(model)
    return servo_step(model, drive, float(joint_inertia(model, model.qpos0)[0]))


def grows(model: mujoco.MjModel) -> bool:
    """Whether a nudge is larger after four seconds than it was."""
    data = mujoco.MjData(model)
    data.qpos[0] = 1e-6
    for _ in range(2000):
        mujoco.mj_step(model, data)
        if not abs(data.qvel[0]) < 1.0:
            return True
    return False


@pytest.mark.parametrize("integrator", INTEGRATORS)
@pytest.mark.parametrize("damping", [0.0, 0.3, 0.5])
@pytest.mark.parametrize("flag", ["enable", "disable"])
def test_a_servo_diverges_where_mujoco_does(integrator: str, damping: float, flag: str) -> None:
    verdicts = []
    for kp in (1.0, 500.0, 6000.0):
        for kv in (0.0, 0.2, 0.56, 0.63, 0.86, 1.2):
            if kv + damping == 0.0:
                continue  # on the edge for ever
            model = model_of(integrator, kp, kv, damping, flag)
            verdicts.append((step_of(model).diverges, grows(model), kp, kv))
    assert [each for each in verdicts if each[0] != each[1]] == []
    assert {each[0] for each in verdicts} == {True, False}


def test_damping_of_an_actuator_counts_as_its_joints() -> None:
    spec = mujoco.MjSpec.from_string(
        "<mujoco><worldbody><body><joint name='yaw'/><geom size='.1'/></body>"
        "</worldbody><actuator><position joint='yaw' kp='1' damping='0.7'"
        " gear='2'/></actuator></mujoco>"
    )
    assert step_of(spec.compile()).joint_damping == pytest.approx(4 * 0.7)


def test_beyond_one_a_brake_turns_the_speed_around() -> None:
    for kv, sign in ((0.29, 1.0), (0.31, -1.0)):
        model = model_of("Euler", 1e-6, kv, 0.0)
        data = mujoco.MjData(model)
        data.qvel[0] = 1.0
        mujoco.mj_step(model, data)
        assert np.sign(data.qvel[0]) == sign
        assert data.qvel[0] == pytest.approx(1.0 - step_of(model).braking, abs=1e-6)
