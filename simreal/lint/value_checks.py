"""Numbers in a model that are none, or that nothing in the world has, such as a negative damping."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile, Written, kind_of, written_elements
from simreal.randomization.parameters import PARAMETERS

OF_JOINTS = {
    "damping": "joint_damping",
    "frictionloss": "joint_frictionloss",
    "armature": "joint_armature",
    "stiffness": "joint_stiffness",
}
"""Attribute to the parameter whose bounds it must keep, too. Of a polynomial, the constant counts."""
OF_FRICTION = ("friction", "torsional_friction", "rolling_friction")


def check_values(file: ModelFile) -> Iterator[Finding]:
    """All of them."""
    yield from _no_numbers(file)
    for joint in file.spec.joints:
        for attribute, parameter in OF_JOINTS.items():
            value = float(np.atleast_1d(getattr(joint, attribute))[0])
            yield from _beyond(file, joint, attribute, value, parameter)
    for geom in file.spec.geoms:
        for value, parameter in zip(geom.friction, OF_FRICTION, strict=False):
            yield from _beyond(file, geom, "friction", float(value), parameter)


def _no_numbers(file: ModelFile) -> Iterator[Finding]:
    """NaN anywhere, and infinities but for those that stand for no bound."""
    for each in written_elements(file.path):
        for attribute, text in each.attributes.items():
            if attribute != "name" and _is_no_number(each, attribute, text):
                label = f"{each.kind} {each.attributes.get('name', '')}".strip()
                what = f'{label}: {attribute}="{text}" is no number'
                mend = "give a finite number, or take the attribute out for MuJoCo's default"
                yield Finding("error", "value", each.where, what, mend)


def _is_no_number(element: Written, attribute: str, text: str) -> bool:
    try:
        values = [float(part) for part in text.split()]
    except ValueError:
        return False  # a word
    endless = attribute.endswith("range") or element.kind in ("numeric", "text", "tuple")
    return any(math.isnan(value) or (math.isinf(value) and not endless) for value in values)


def _beyond(
    file: ModelFile, element: Any, attribute: str, value: float, parameter: str
) -> Iterator[Finding]:
    lower, unit = PARAMETERS[parameter].lower, PARAMETERS[parameter].unit
    if lower is not None and value < lower:
        what = f"{kind_of(element)} {element.name}: {attribute} of {value:g} {unit}, below {lower:g}"
        mend = f"give {lower:g} or more: a negative one feeds energy in"
        yield Finding("error", "value", file.where(element), what, mend)
