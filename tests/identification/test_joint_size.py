"""Default bounds of a number that a joint has in N·m or rad are made for that joint alone."""

import pytest

from simreal.errors import UserError
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import Unknown, noticeable, read_asked, resolve
from simreal.randomization.posterior import Posterior, PosteriorParameter
from simreal.randomization.specification import refuse_other_units
from simreal.randomization.world import World
from simreal.robots import Robot
from simreal.robots.loader import RobotConfig

MODEL = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body>
      <joint name="lift" type="slide" axis="0 0 1" range="0 0.4" damping="120"/>
      <geom type="box" size="0.05 0.05 0.02" mass="2"/>
      <body pos="0 0 0.1">
        <joint name="tilt" axis="0 1 0" damping="0.1"/>
        <geom type="box" size="0.05 0.05 0.05" mass="0.5"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <motor name="lift_drive" joint="lift" ctrlrange="-80 80" forcerange="-80 80"/>
    <motor name="tilt_drive" joint="tilt" ctrlrange="-3 3" forcerange="-3 3"/>
  </actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A slide of 0.4 m that a drive of 80 N lifts, and a head on it that one of 3 N·m tilts."""
    path = tmp_path_factory.mktemp("mast") / "model.xml"
    path.write_text(MODEL)
    description = {
        "name": "mast",
        "joints": [{"name": "lift", "unit": "m", "lower": 0.0, "upper": 0.4}, {"name": "tilt"}],
        "actuators": [
            {
                "name": f"{joint}_drive",
                "joint": joint,
                "command": "effort",
                "unit": unit,
                "lower": -most,
                "upper": most,
            }
            for joint, unit, most in (("lift", "N", 80.0), ("tilt", "N·m", 3.0))
        ],
    }
    return Setup(Robot(RobotConfig.model_validate({"description": description}), path)).world(1, {})


def asked(name: str, world: World) -> Unknown:
    (found,) = resolve([read_asked(name)], world)
    return found


def test_offsets_are_sought_within_a_share_of_each_joints_own_drive(world: World) -> None:
    lift, tilt = (asked(f"torque_offset[{name}_drive]", world) for name in ("lift", "tilt"))
    assert (lift.high, lift.unit) == (pytest.approx(4.0), "N")
    assert (tilt.high, tilt.unit) == (pytest.approx(0.15), "N·m")


def test_an_encoder_of_a_slide_is_off_by_a_share_of_its_way(world: World) -> None:
    lift, tilt = (asked(f"encoder_bias[{name}]", world) for name in ("lift", "tilt"))
    assert 0.005 < lift.high < 0.05
    assert lift.unit == "m"
    assert (tilt.low, tilt.high, tilt.unit) == (-0.2, 0.2, "rad")
    assert noticeable("encoder_bias[lift]", 0.0, world) < noticeable("encoder_bias[tilt]", 0.0, world)


def test_a_rotor_may_weigh_more_than_what_it_moves(world: World) -> None:
    lift, tilt = (asked(f"joint_armature[{name}]", world) for name in ("lift", "tilt"))
    assert lift.high > 2.5 * 2.0
    assert lift.unit == "kg"
    assert tilt.high < 0.2
    assert tilt.unit == "kg·m²"


def test_one_value_for_what_turns_and_what_slides_is_refused(world: World) -> None:
    with pytest.raises(UserError, match=r"parts that turn and parts that slide.*name them apart"):
        asked("encoder_bias[*]", world)
    assert asked("joint_damping[*]", world).operation == "scale"


def test_units_of_slides_are_read_as_well() -> None:
    def posterior(unit: str) -> Posterior:
        parameter = PosteriorParameter(
            name="encoder_bias[lift]", unit=unit, operation="absolute", low=-1.0, high=1.0
        )
        return Posterior(
            robot="mast", parameters=(parameter,), samples=((0.1,), (0.2,)), sources=(), provenance=""
        )

    for unit in ("m", "rad"):
        refuse_other_units(posterior(unit))
    with pytest.raises(UserError, match=r"N is no unit of it \(absolute\), but rad or m"):
        refuse_other_units(posterior("N"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("joint_damping[lift]=-1:2", "joint_damping is at least 0 times nominal; nearest: .*=0:2"),
        ("joint_armature[tilt]=-0.5:0.1", "joint_armature is at least 0 kg·m²"),
        ("stribeck_friction[tilt_drive]=0:2", "stribeck_friction is at least 1; nearest: .*=1:2"),
    ],
)
def test_bounds_of_no_robot_are_refused(name: str, said: str, world: World) -> None:
    with pytest.raises(UserError, match=said):
        asked(name, world)
