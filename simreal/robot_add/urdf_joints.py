"""Faults in a URDF's joints of which MuJoCo silently makes another robot, or which it does not see."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from simreal.errors import nearest
from simreal.lint.finding import Finding
from simreal.lint.model_file import written_elements

Joint = ElementTree.Element


def check_joints(root: ElementTree.Element, path: Path) -> list[Finding]:
    """All of them, each an error."""
    # A transmission has elements of this name, too, without a type. Of two joints of a name, the second.
    lines = {
        each.attributes.get("name"): each.where
        for each in written_elements(path)
        if each.kind == "joint" and "type" in each.attributes
    }
    joints = root.findall("joint")
    faults = (*_repeated(joints), *_reversed(joints), *_lost_mimics(joints), *_closed(joints))
    return [
        Finding("error", check, lines.get(joint.get("name"), str(path)), what, mend)
        for joint, check, what, mend in faults
    ]


def _repeated(joints: list[Joint]) -> Iterator[tuple[Joint, str, str, str]]:
    """MuJoCo would take the name from one of them."""
    known = {each.get("name"): each for each in joints}
    for name, number in Counter(each.get("name") for each in joints).items():
        if number > 1 and name:
            yield known[name], "name", f"{number} joints are called {name}", "a name of its own for each"


def _reversed(joints: list[Joint]) -> Iterator[tuple[Joint, str, str, str]]:
    """MuJoCo would let the joint turn without end."""
    for joint in joints:
        limit = joint.find("limit")
        if limit is None or joint.get("type") == "continuous":
            continue
        try:
            low, high = float(limit.get("lower", 0.0)), float(limit.get("upper", 0.0))
        except ValueError:
            continue  # MuJoCo says so
        if low > high:
            what = f"joint {joint.get('name')}: lower limit {low:g} is above the upper one, {high:g}"
            yield joint, "limits", what, "the smaller one as lower; both are in rad, or m of a slide"


def _lost_mimics(joints: list[Joint]) -> Iterator[tuple[Joint, str, str, str]]:
    """MuJoCo would let the joint swing freely."""
    for joint in joints:
        mimic, name = joint.find("mimic"), joint.get("name")
        others = {each.get("name", "") for each in joints} - {name}
        if mimic is not None and (followed := mimic.get("joint", "")) not in others:
            what = (
                f"joint {name} mimics {'itself' if followed == name else f'{followed!r}, which is none'}"
            )
            yield joint, "joint", what, nearest(followed, others)


def _closed(joints: list[Joint]) -> Iterator[tuple[Joint, str, str, str]]:
    """Links that hang on two joints; every loop that the root leads to has one."""
    holders: dict[str, str] = {}
    for joint in joints:
        child, name = joint.find("child"), joint.get("name", "")
        link = "" if child is None else child.get("link", "")
        first = holders.setdefault(link, name)
        if link and first != name:
            what = f"link {link} is the child of joint {first} and of joint {name}: a URDF is a tree"
            yield joint, "joint", what, "take one of the two out; MJCF can close a loop, by <equality>"
