"""The verdicts on contact parameters, against what the engine makes of them."""

import itertools
from pathlib import Path

import mujoco
import numpy as np
import pytest

from simreal.lint.contact_checks import COMPONENTS, NEEDED_CONDIM, why_inert
from simreal.lint.model_file import ModelFile, read_model
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.specification import Member

TWO_BALLS = """\
<mujoco>
  <worldbody>
    <body name="a"><freejoint/><geom name="a" size="0.1" condim="{0}" priority="{2}" {4}/></body>
    <body name="b" pos="0.15 0 0">
      <freejoint/><geom name="b" size="0.1" condim="{1}" priority="{3}"/>
    </body>
  </worldbody>
  <contact>{5}</contact>
</mujoco>
"""


def ball_model(folder: Path, *values: object) -> ModelFile:
    (folder / "balls.xml").write_text(TWO_BALLS.format(*values))
    file, _ = read_model(folder / "balls.xml")
    assert file is not None
    return file


def felt(model: mujoco.MjModel, parameter: str, factor: float) -> float:
    """What the contact of the two balls has of a friction, if that of the first is scaled."""
    model.geom_friction[0] = np.array([1.0, 0.005, 0.0001])
    model.geom_friction[0, COMPONENTS[parameter]] *= factor
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    if not data.ncon or data.contact[0].dim < NEEDED_CONDIM[parameter]:
        return 0.0
    return float(data.contact[0].friction[[0, 2, 3][COMPONENTS[parameter]]])


@pytest.mark.parametrize("parameter", COMPONENTS)
def test_a_friction_is_said_to_be_idle_where_the_engine_does_not_feel_it(
    parameter: str, tmp_path: Path
) -> None:
    """All condims and priorities, with and without filters and pairs."""
    condims = itertools.product([1, 3, 4, 6], repeat=2)
    priorities = [(0, 0), (0, 1), (1, 0)]
    filters = ["", 'contype="2" conaffinity="4"']
    contacts = ["", '<pair geom1="b" geom2="a" condim="6"/>', '<exclude body1="b" body2="a"/>']
    member = Member(PARAMETERS[parameter], "a", "scale", 0.5, 10.0)
    verdicts = set()
    for (one, other), (mine, its), kind, contact in itertools.product(
        condims, priorities, filters, contacts
    ):
        file = ball_model(tmp_path, one, other, mine, its, kind, contact)
        model = file.compiled
        inert = why_inert(file, model, 0, member, {0})
        acts = felt(model, parameter, 1.0) != felt(model, parameter, 10.0)
        assert (inert is None) == acts, (one, other, mine, its, kind, contact, inert)
        verdicts.add(acts)
    assert verdicts == {True, False}


@pytest.mark.parametrize(("high", "idle"), [(0.9, True), (1.0, True), (1.1, False)])
def test_a_friction_acts_only_above_that_of_the_other_geom(
    high: float, idle: bool, tmp_path: Path
) -> None:
    file = ball_model(tmp_path, 3, 3, 0, 0, "", "")
    member = Member(PARAMETERS["friction"], "a", "absolute", 0.1, high)
    inert = why_inert(file, file.compiled, 0, member, {0})
    assert (inert is not None) == idle
    felt_at = {felt(file.compiled, "friction", value) for value in np.linspace(0.1, high, 9)}
    assert (len(felt_at) == 1) == idle
    assert why_inert(file, file.compiled, 0, member, {0, 1}) is None  # the other one is drawn, too


def test_parent_and_child_do_not_touch(tmp_path: Path) -> None:
    nested = """<mujoco><option/><worldbody><body name="a"><joint/><geom name="a" size="0.1"/>
      <body name="b" pos="0.15 0 0"><joint/><geom name="b" size="0.1"/></body></body></worldbody>
      </mujoco>"""
    member = Member(PARAMETERS["friction"], "a", "scale", 0.5, 10.0)
    for text in (nested, nested.replace("<option/>", '<option><flag filterparent="disable"/></option>')):
        (tmp_path / "nested.xml").write_text(text)
        file, _ = read_model(tmp_path / "nested.xml")
        assert file is not None
        acts = felt(file.compiled, "friction", 1.0) != felt(file.compiled, "friction", 10.0)
        assert acts == ("filterparent" in text)
        assert (why_inert(file, file.compiled, 0, member, {0}) is None) == acts
