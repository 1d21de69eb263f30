from dataclasses import replace
from pathlib import Path

import pytest

from simreal.errors import UserError
from simreal.physics.model import compile_model
from simreal.robots import Robot, load_robot


@pytest.fixture
def changed(tmp_path: Path):
    """Makes the Qube with a changed model file."""

    def change(old: str, new: str) -> Robot:
        qube = load_robot("qube")
        text = qube.model_path.read_text()
        assert old in text
        path = tmp_path / "model.xml"
        path.write_text(text.replace(old, new))
        return replace(qube, model_path=path)

    return change


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'ctrlrange="-4 4"',
            'ctrlrange="-3 3"',
            r"actuator motor: -4 to 4 in robot.yaml, -3 to 3 in the",
        ),
        ('range="-2.094 2.094"', 'range="-1 2.094"', r"joint arm: -2.094 to 2.094 in robot.yaml, -1 to"),
        (
            'name="pendulum" type="hinge"',
            'name="pendulum" type="slide"',
            r"joint pendulum: unit rad .* slides",
        ),
        (
            'name="motor" joint="arm"',
            'name="motor" joint="pendulum"',
            r"actuator motor: drives joint 'arm' in robot.yaml, joint 'pendulum' in the model",
        ),
        ('joint name="arm"', 'joint name="arn"', r"not a usable model|no joint 'arm'"),
        ("</mujoco>", "", r"not a usable model"),
    ],
)
def test_a_model_that_contradicts_the_description_is_refused(
    changed, old: str, new: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        compile_model(changed(old, new))


@pytest.mark.parametrize(("gain", "value"), [("stiffness", 9.0), ("damping", 0.1)])
def test_gains_that_the_models_servo_has_not_are_refused(gain: str, value: float) -> None:
    so101 = load_robot("so101")
    compile_model(so101)
    first, *others = so101.description.actuators
    actuators = (first.model_copy(update={gain: value}), *others)
    description = so101.description.model_copy(update={"actuators": actuators})
    config = so101.config.model_copy(update={"description": description})
    with pytest.raises(UserError, match=rf"shoulder_pan: {gain} {value:g} in robot.yaml, "):
        compile_model(replace(so101, config=config))


def test_a_missing_model_is_one_message(tmp_path: Path) -> None:
    robot = replace(load_robot("qube"), model_path=tmp_path / "model.xml")
    with pytest.raises(UserError, match=r"model\.xml: not a usable model"):
        compile_model(robot)
