"""Reads a URDF by MuJoCo's own importer, once its meshes are found, which ROS names in its own way."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

import mujoco

from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile, Written, written_elements
from simreal.robot_add.source import Source, parse_xml
from simreal.robot_add.urdf_joints import check_joints

MESHES = (".stl", ".obj", ".msh")
"""What MuJoCo reads."""
LEGS = 2
"""So many chains of two joints or more, hanging from the root, are the limbs of a robot that walks."""

MENDS = {
    "must be larger than": "give this link an <inertial>, or join it to its neighbour by a fixed joint",
    "A + B >= C": "no masses have such an inertia: take it anew, in kg·m² about the centre of mass",
    "bad format": "numbers with spaces between them, no commas",
}
"""For what MuJoCo says."""

Base = Literal["free", "fixed"]


@dataclass(frozen=True, slots=True)
class JointLimits:
    """What a URDF says of a joint's drive and MJCF has no place for; None where it says nothing.

    Attributes:
        effort: N·m or N.
        velocity: rad/s or m/s.
    """

    effort: float | None
    velocity: float | None


@dataclass(frozen=True, slots=True)
class Urdf:
    """A URDF as MuJoCo reads it.

    Attributes:
        file: for the checks; `compiled` is None where MuJoCo does not take it.
        limits: joint name to what its drive can do.
        massless: links without an inertia of their own that have shapes.
        mimics: joints that follow another one.
    """

    file: ModelFile
    limits: dict[str, JointLimits]
    massless: tuple[str, ...]
    mimics: tuple[str, ...]


def read_urdf(source: Source, scratch: Path, base: Base | None) -> tuple[Urdf | None, list[Finding]]:
    """Read a URDF.

    Args:
        source: the file.
        scratch: an empty folder for what MuJoCo is given in its place.
        base: free or fixed; by the shape of the tree if absent.

    Returns:
        The model as far as it can be read, and what is in the way.
    """
    root = parse_xml(source.path)
    found = list(_settle_meshes(root, source.path, scratch))
    if of_joints := check_joints(root, source.path):
        return None, [*found, *of_joints]
    massless = tuple(_massless_links(root))
    _ask_mujoco_for_all(root)
    copy = scratch / source.path.name
    ElementTree.ElementTree(root).write(copy, encoding="unicode")
    base = base or _likely_base(root)
    try:
        spec, model = _settled(copy, base, massless), None
    except ValueError as error:
        return None, [*found, _unusable(source.path, root, str(error))]
    try:
        model = spec.compile()
    except ValueError as error:
        found.append(_unusable(source.path, root, str(error)))
        spec = _settled(copy, base, massless)  # what has failed to compile cannot be walked through
    limits = {name: _limits(joint) for name, joint in _named(root, "joint")}
    mimics = tuple(name for name, joint in _named(root, "joint") if joint.find("mimic") is not None)
    return Urdf(ModelFile(source.path, spec, model, is_urdf=True), limits, massless, mimics), found


def _named(root: ElementTree.Element, tag: str) -> Iterator[tuple[str, ElementTree.Element]]:
    yield from ((each.get("name", ""), each) for each in root.findall(tag))


def _settled(copy: Path, base: Base, massless: tuple[str, ...]) -> mujoco.MjSpec:
    spec = mujoco.MjSpec.from_file(str(copy))
    _settle_base(spec, base)
    _weightless(spec, massless)
    return spec


def _unusable(path: Path, root: ElementTree.Element, message: str) -> Finding:
    """What MuJoCo says of its copy, whose lines are the source's."""
    text, line = " ".join(message.split()), re.search(r"\bline (\d+)", message)
    weightless = re.search(r"must be larger than.*Element name '(.+)', id", text)
    if weightless:
        return _weightless_link(path, root, weightless.group(1))
    other = "see chapter URDF of MuJoCo's XML reference"
    mend = next((mend for pattern, mend in MENDS.items() if pattern in text), other)
    where = f"{path}:{line.group(1)}" if line else str(path)
    check = "inertia" if "inertia" in text else "model"
    return Finding("error", check, where, f"MuJoCo does not take this model: {text}", mend)


def _weightless_link(path: Path, root: ElementTree.Element, name: str) -> Finding:
    """A link that moves with nothing to move."""
    link = dict(_named(root, "link")).get(name)
    lacks = link is None or link.find("inertial") is None
    what = f"link {name} moves and " + ("has no <inertial>" if lacks else "its <inertial> is of no mass")
    places = (each.where for each in written_elements(path) if _is_link(each, name))
    return Finding("error", "inertia", next(places, str(path)), what, MENDS["must be larger than"])


def _is_link(element: Written, name: str) -> bool:
    return element.kind == "body" and element.attributes.get("name") == name


def _limits(joint: ElementTree.Element) -> JointLimits:
    limit = joint.find("limit")
    if limit is None:
        return JointLimits(None, None)
    return JointLimits(_number(limit.get("effort")), _number(limit.get("velocity")))


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _ask_mujoco_for_all(root: ElementTree.Element) -> None:
    """Keep what is only seen, and every body until the base is settled."""
    for extension in root.findall("mujoco"):
        root.remove(extension)
    extension = ElementTree.SubElement(root, "mujoco")
    settings = {
        "discardvisual": "false",
        "fusestatic": "false",
        "strippath": "true",
        "meshdir": "assets",
    }
    ElementTree.SubElement(extension, "compiler", settings)


def _settle_meshes(root: ElementTree.Element, path: Path, scratch: Path) -> Iterator[Finding]:
    """Copy each mesh to where MuJoCo will look for it, under a name of its own."""
    places = _places_of_meshes(path)
    known: dict[tuple[Path, str], str] = {}
    for link, shape, mesh in _meshes(root):
        name, scale = mesh.get("filename", ""), mesh.get("scale", "")
        found, looked = _find_mesh(name, path.parent)
        if found is None:
            yield from _missing(link, shape, name, places.get(name, f"{path}:1"), looked)
            continue
        if (found, scale) not in known:
            known[found, scale] = f"mesh{len(known)}_{found.name.lower()}"
            (scratch / "assets").mkdir(exist_ok=True)
            shutil.copyfile(found, scratch / "assets" / known[found, scale])
        mesh.set("filename", known[found, scale])


def _meshes(
    root: ElementTree.Element,
) -> Iterator[tuple[ElementTree.Element, ElementTree.Element, ElementTree.Element]]:
    """Each mesh, behind its link and its shape, which may be taken out meanwhile."""
    for link in root.findall("link"):
        for shape in (*link.findall("visual"), *link.findall("collision")):
            mesh = shape.find("geometry/mesh")
            if mesh is not None:
                yield link, shape, mesh


def _missing(
    link: ElementTree.Element,
    shape: ElementTree.Element,
    name: str,
    where: str,
    looked: list[Path],
) -> Iterator[Finding]:
    """A mesh that cannot be used; one for the eye, in a format MuJoCo does not read, is left out."""
    other = next((each for each in looked if each.is_file()), None)
    role = shape.tag
    label = f"link {link.get('name')}: {role} mesh {name}"
    if other is not None:
        what = f"{label}: MuJoCo reads {', '.join(MESHES)}, not {other.suffix}"
        mend = f"convert {other} to .obj or .stl beside it, under the same name"
        severity: Literal["error", "warning"] = "warning" if role == "visual" else "error"
        yield Finding(
            severity, "asset", where, what + (", so it is not seen" * (role == "visual")), mend
        )
        if role == "visual":
            link.remove(shape)
        return
    what = f"{label}: no such file; looked for {', '.join(map(str, looked))}"
    mend = f"put it at one of these places, or correct the path, or remove the {role}"
    yield Finding("error", "asset", where, what, mend)
    link.remove(shape)


def _find_mesh(name: str, folder: Path) -> tuple[Path | None, list[Path]]:
    """A mesh that MuJoCo reads, and where it was looked for."""
    places = _places(name, folder)
    for place in places:
        for candidate in (place, *(place.with_suffix(suffix) for suffix in MESHES)):
            if candidate.suffix.lower() in MESHES and candidate.is_file():
                return candidate.resolve(), places
    return None, places


def _places(name: str, folder: Path) -> list[Path]:
    """Where a mesh may be: as written, or in the ROS package that holds the URDF."""
    if name.startswith("file://"):
        return [Path(name.removeprefix("file://"))]
    if not name.startswith(("package://", "model://")):
        return [(folder / name).resolve()]
    package, _, rest = name.partition("://")[2].partition("/")
    above = [folder, *folder.parents][:5]
    packages = [each / package / rest for each in above if (each / package).is_dir()]
    named_so = [each / rest for each in above if each.name == package]
    return list(dict.fromkeys(named_so + packages)) or [each / rest for each in above[:3]]


def _places_of_meshes(path: Path) -> dict[str, str]:
    """File name of a mesh to the ``file:line`` on which it first stands."""
    meshes = [each for each in written_elements(path) if each.kind == "mesh"]
    return {each.attributes.get("filename", ""): each.where for each in reversed(meshes)}


def _massless_links(root: ElementTree.Element) -> Iterator[str]:
    """MuJoCo would give their shapes the density of water."""
    for name, link in _named(root, "link"):
        shapes = link.findall("visual") + link.findall("collision")
        if link.find("inertial") is None and shapes:
            yield name


def _weightless(spec: mujoco.MjSpec, massless: tuple[str, ...]) -> None:
    for body in spec.bodies:
        if body.name in massless:
            for geom in body.geoms:
                geom.mass = 0.0


def _likely_base(root: ElementTree.Element) -> Base:
    """Fixed below a link `world`, and where fewer chains hang from the root than a walking robot has."""
    children: dict[str, list[tuple[str, bool]]] = {}
    below = set()
    for joint in root.findall("joint"):
        parent, child = joint.find("parent"), joint.find("child")
        if parent is None or child is None:
            continue
        moves = joint.get("type") in ("revolute", "prismatic", "continuous")
        children.setdefault(parent.get("link", ""), []).append((child.get("link", ""), moves))
        below.add(child.get("link", ""))
    roots = [name for name, _ in _named(root, "link") if name not in below]
    if not roots or roots[0] == "world":
        return "fixed"
    return "free" if len(_chains(roots[0], children)) >= LEGS else "fixed"


def _chains(link: str, children: dict[str, list[tuple[str, bool]]]) -> list[int]:
    """Lengths, in joints that move, of the chains that hang from a link; those of two joints or more."""
    lengths = []
    for child, moves in children.get(link, ()):
        if not moves:
            lengths += _chains(child, children)
        elif _longest(child, children) >= 1:
            lengths.append(1 + _longest(child, children))
    return lengths


def _longest(link: str, children: dict[str, list[tuple[str, bool]]]) -> int:
    return max((moves + _longest(child, children) for child, moves in children.get(link, ())), default=0)


def _settle_base(spec: mujoco.MjSpec, base: Base) -> None:
    """A free joint for the root, and its links that are fixed to each other joined; or none.

    A fixed root stays a body of its own: as part of the world it would touch the first link that turns.
    """
    roots = spec.worldbody.bodies
    if base == "free" and len(roots) == 1 and not roots[0].joints:
        roots[0].add_freejoint(name="base")
        spec.compiler.fusestatic = True
