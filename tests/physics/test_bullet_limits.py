"""A model that Bullet cannot simulate is refused, with all that is in the way."""

import mujoco
import pytest

from simreal.errors import UserError
from simreal.physics.bullet_limits import refuse_unsupported, refuse_unsupported_sensor

BODY = '<body><joint name="j" limited="true" range="-1 1"/><geom size="0.1"/><site name="s"/>{}</body>'


def model_of(inside: str = "", rest: str = "", option: str = "") -> mujoco.MjModel:
    text = f"<mujoco><option {option}/><worldbody>{BODY.format(inside)}</worldbody>{rest}</mujoco>"
    return mujoco.MjModel.from_xml_string(text)


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (
            model_of('<body><joint name="round" type="ball"/><geom size="0.1"/></body>'),
            "ball joint (round)",
        ),
        (model_of(rest='<equality><joint joint1="j"/></equality>'), "equality"),
        (model_of(rest='<tendon><fixed><joint joint="j" coef="1"/></fixed></tendon>'), "tendons"),
        (model_of(rest='<actuator><muscle name="biceps" joint="j"/></actuator>'), "biceps"),
        (
            model_of(rest='<actuator><general name="slow" joint="j" dyntype="filter"/></actuator>'),
            "actuators with a state",
        ),
        (model_of(rest='<actuator><motor name="pull" site="s"/></actuator>'), "pull"),
        (model_of(option='density="1.2"'), "opt.density"),
    ],
)
def test_what_bullet_lacks_is_named(model: mujoco.MjModel, named: str) -> None:
    with pytest.raises(UserError) as caught:
        refuse_unsupported(model, "toy")
    assert named in str(caught.value)
    assert "robot toy: engine bullet has no" in str(caught.value)


def test_a_plain_model_passes() -> None:
    refuse_unsupported(model_of(rest='<actuator><position joint="j" kp="3"/></actuator>'), "toy")


@pytest.mark.parametrize(
    "sensor", ['<torque name="x" site="s"/>', '<jointpos name="x" joint="j" delay="0.01" nsample="9"/>']
)
def test_a_sensor_that_bullet_cannot_tell_is_refused_by_name(sensor: str) -> None:
    with pytest.raises(UserError, match="sensor x"):
        refuse_unsupported_sensor(model_of(rest=f"<sensor>{sensor}</sensor>"), 0)
