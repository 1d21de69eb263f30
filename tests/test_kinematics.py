"""Forward kinematics against MuJoCo's, on chains of turning and sliding joints about any axes."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from pydantic import ValidationError

from simreal.contract import Actuator, Joint, Link, RobotDescription, Tool
from simreal.kinematics import Chain
from simreal.physics.contradictions import contradictions
from simreal.robots import load_robot

COORDINATE = st.floats(-1.0, 1.0)
DIRECTION = st.tuples(COORDINATE, COORDINATE, COORDINATE).filter(lambda v: np.linalg.norm(v) > 0.1)
TURN = st.tuples(*[COORDINATE] * 4).filter(lambda q: np.linalg.norm(q) > 0.1)


@st.composite
def arms(draw: st.DrawFn) -> RobotDescription:
    """Up to four joints, some with a fixed link between, and a tool at the end."""
    kinds = draw(st.lists(st.sampled_from(["rad", "m", None]), min_size=1, max_size=5))
    links, joints = [], []
    for place, unit in enumerate(kinds):
        name = None if unit is None else f"joint{place}"
        position = draw(st.tuples(COORDINATE, COORDINATE, COORDINATE))
        links.append(Link(position=position, orientation=draw(TURN), joint=name, axis=draw(DIRECTION)))
        if unit is not None:
            joints.append(Joint.model_validate({"name": name, "unit": unit}))
    joints = joints or [Joint(name="elsewhere")]
    motor = Actuator(name="m", joint=joints[0].name, command="voltage", unit="V", lower=-1, upper=1)
    tool = Tool(name="tip", chain=(*links, Link(position=(0.1, 0.2, 0.3))))
    return RobotDescription(name="arm", joints=tuple(joints), actuators=(motor,), tools=(tool,))


def simulated(robot: RobotDescription) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    body = spec.worldbody
    units = {joint.name: joint.unit for joint in robot.joints}
    *links, last = robot.tools[0].chain
    for link in links:
        body = body.add_body(pos=link.position, quat=link.orientation, mass=1, inertia=(1, 1, 1))
        if link.joint is not None:
            kind = (
                mujoco.mjtJoint.mjJNT_SLIDE if units[link.joint] == "m" else mujoco.mjtJoint.mjJNT_HINGE
            )
            body.add_joint(name=link.joint, type=kind, axis=link.axis)
    body.add_site(name="tip", pos=last.position)
    return spec.compile()


@settings(max_examples=50)
@given(arms(), st.data())
def test_a_tool_is_where_mujoco_puts_it(robot: RobotDescription, data: st.DataObject) -> None:
    model = simulated(robot)
    batch = data.draw(npst.arrays(np.float64, (3, len(robot.joints)), elements=st.floats(-3.0, 3.0)))
    chain, simulation = Chain(robot.tools[0], robot), mujoco.MjData(model)
    together = chain(batch)
    for row, position in enumerate(batch):
        if model.nq:
            simulation.qpos[:] = position
        mujoco.mj_kinematics(model, simulation)
        np.testing.assert_allclose(together[row], simulation.site("tip").xpos, atol=1e-9)
        np.testing.assert_array_equal(chain(position), together[row])
    assert list(contradictions(model, robot)) == []


def test_a_chain_that_leads_elsewhere_than_to_the_site_is_found() -> None:
    robot = load_robot("so101").description
    model = mujoco.MjModel.from_xml_path(str(load_robot("so101").model_path))
    assert list(contradictions(model, robot)) == []
    tool = robot.tools[0]
    moved = tool.chain[2].model_copy(update={"position": (-0.11257, -0.026, 0.0)})
    wrong = tool.model_copy(update={"chain": (*tool.chain[:2], moved, *tool.chain[3:])})
    found = list(contradictions(model, robot.model_copy(update={"tools": (wrong,)})))
    assert [(each.kind, each.name, each.subject) for each in found] == [
        ("tool", "gripper_frame", "place")
    ]
    assert "2 mm" in found[0].what


@pytest.mark.parametrize("wrong", [{"orientation": (0, 0, 0, 0)}, {"axis": (0, 0, 0)}])
def test_a_link_without_a_direction_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="zeros"):
        Link.model_validate(wrong)


def test_a_tool_on_an_unknown_joint_is_refused() -> None:
    robot = load_robot("so101").description.model_dump()
    robot["tools"][0]["chain"][0]["joint"] = "shoulder_pen"
    with pytest.raises(ValidationError, match="did you mean 'shoulder_pan'"):
        RobotDescription.model_validate(robot)
