"""Friction and filters: what Bullet multiplies is what MuJoCo decides."""

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simreal.physics.bullet_friction import FrictionSplit, touching_pairs

SCENE = """
<mujoco><worldbody>
  <geom name="floor" type="plane" size="0 0 1"/>
  <body name="a" pos="0 0 0.05"><freejoint/><geom name="a" type="sphere" size="0.1" priority="{}"/>
    <geom name="a2" type="sphere" size="0.1" contype="2" conaffinity="0"/>
    <body name="b" pos="0 0 0.02"><joint/><geom name="b" type="sphere" size="0.1"/>
      <body name="c" pos="0 0 0.02"><joint/><geom name="c" type="sphere" size="0.1" contype="0"/>
  </body></body></body>
  <body name="d" pos="0.05 0 0.05"><freejoint/>
    <geom name="d" type="sphere" size="0.1" contype="4" conaffinity="3"/></body>
</worldbody><contact><exclude body1="c" body2="d"/></contact></mujoco>"""


def model_of(priority: int = 0) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_string(SCENE.format(priority))


def test_the_pairs_are_those_for_which_mujoco_finds_contacts() -> None:
    model = model_of()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)  # everything overlaps
    found = {tuple(sorted(pair)) for pair in data.contact.geom.tolist()}
    assert {tuple(pair) for pair in touching_pairs(model).tolist()} == found
    assert len(found) > 4


friction = st.floats(0.01, 3.0)


@given(st.lists(friction, min_size=6, max_size=6), st.integers(0, 1))
@settings(max_examples=50)
def test_pairs_are_combined_as_mujoco_combines_them(numbers: list[float], priority: int) -> None:
    model = model_of(priority)
    model.geom_friction[:, 0] = numbers
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    split = FrictionSplit(model)
    expected = dict(zip(map(tuple, split.pairs), split.of_pairs(model.geom_friction[:, 0]), strict=True))
    for contact in data.contact:
        assert contact.friction[0] == pytest.approx(expected[tuple(sorted(contact.geom))])


@given(st.lists(friction, min_size=5, max_size=5))
@settings(max_examples=50)
def test_products_are_exact_where_all_touch_only_the_floor(numbers: list[float]) -> None:
    bodies = "".join(
        f'<body><freejoint/><geom type="sphere" size="0.1" contype="0" friction="{number}"/></body>'
        for number in numbers
    )
    floor = '<geom type="plane" size="0 0 1" friction="0.5"/>'
    model = mujoco.MjModel.from_xml_string(f"<mujoco><worldbody>{floor}{bodies}</worldbody></mujoco>")
    split = FrictionSplit(model)
    found = split.of_geoms(model.geom_friction[:, 0])
    products = found[split.pairs].prod(axis=1)
    np.testing.assert_allclose(products, np.maximum(0.5, model.geom_friction[1:, 0]), rtol=1e-9)
