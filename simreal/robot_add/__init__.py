"""Makes a robot of anybody's model: audits it, settles what simreal needs, and writes its folder."""

from simreal.robot_add.add import Added, add_robot, check_robot

__all__ = ["Added", "add_robot", "check_robot"]
