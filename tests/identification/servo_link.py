"""A link on a position servo whose safety allows less effort than a design may ask for."""

from pathlib import Path

from simreal.robots import Robot
from simreal.robots.loader import RobotConfig
from tests.hanging_link import LINK

STIFFNESS, DAMPING, EFFORT = 6.0, 0.3, 2.0


def servo_link(folder: Path) -> Robot:
    """Hangs at 0 rad, and may be told -1.5 to 1.5 rad."""
    path = folder / "servo_link.xml"
    servo = (
        f'<position name="servo" joint="hinge" kp="{STIFFNESS}" kv="{DAMPING}" ctrlrange="-1.5 1.5"/>'
    )
    before, _, after = LINK.partition("<motor ")
    path.write_text(before + servo + after.partition("/>")[2])
    actuator = {"name": "servo", "joint": "hinge", "command": "position", "unit": "rad"}
    gains = {"lower": -1.5, "upper": 1.5, "stiffness": STIFFNESS, "damping": DAMPING}
    config = {
        "description": {
            "name": "servo_link",
            "joints": [{"name": "hinge"}],
            "actuators": [actuator | gains],
        },
        "safety": {"command_effort": {"servo": EFFORT}},
    }
    return Robot(RobotConfig.model_validate(config), path)
