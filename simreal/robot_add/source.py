"""Opens a model file of anybody's, and refuses what is none or would eat the machine."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree
from xml.parsers import expat

from simreal.errors import UserError
from simreal.files import describe

LARGEST_XML = 20_000_000
"""Bytes. The largest robot of MuJoCo Menagerie has a hundredth of that."""
DEEPEST = 200
"""Elements within elements."""

Kind = Literal["mjcf", "urdf"]
ROOTS: dict[str, Kind] = {"mujoco": "mjcf", "robot": "urdf"}


@dataclass(frozen=True, slots=True)
class Source:
    """A model file that may be read.

    Attributes:
        path: the file.
        kind: MJCF or URDF.
        files: the file itself and all that it includes.
    """

    path: Path
    kind: Kind
    files: tuple[Path, ...]


def open_source(path: Path) -> Source:
    """Look into a model file.

    Raises:
        UserError: no file, no MJCF or URDF, too large, too deep, or with a document type of its own,
            by which a small file can grow without end.
    """
    if path.suffix not in (".xml", ".urdf"):
        raise UserError(f"{path}: expected a model, .xml (MJCF) or .urdf{_what_it_is(path)}")
    scanned = _with_includes(path, path.parent, set())
    root = next(scanned).root
    kind = ROOTS.get(root)
    if kind is None:
        raise UserError(f"{path}: <{root}> is neither MJCF (<mujoco>) nor URDF (<robot>)")
    return Source(path.resolve(), kind, (path, *(each.path for each in scanned)))


def _what_it_is(path: Path) -> str:
    if path.is_dir():
        return "; this is a folder"
    if not path.is_file():
        return "; there is no such file"
    if path.suffix.lower() in (".mjcf", ".xml", ".urdf"):
        suffix = path.suffix.lower().replace("mjcf", "xml")
        return f"; MuJoCo knows files by their names: rename it to {path.stem}{suffix}"
    if path.suffix == ".xacro":
        return "; expand it first: xacro ROBOT.xacro > ROBOT.urdf"
    return f"; this is {describe(path)}"


class _Scanner:
    """Walks through an XML file without building anything of it."""

    def __init__(self, path: Path) -> None:
        self.path, self.depth = path, 0
        self.root = ""
        self.included: list[str] = []
        self.parser = expat.ParserCreate()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.StartDoctypeDeclHandler = self._doctype

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        self.depth += 1
        if self.depth > DEEPEST:
            raise UserError(f"{self.path}: elements more than {DEEPEST} deep")
        if tag.startswith("xacro:"):
            raise UserError(f"{self.path}: has <{tag}>; expand it first: xacro FILE > ROBOT.urdf")
        if tag == "include" and "file" in attributes:
            self.included.append(attributes["file"])

    def _end(self, _tag: str) -> None:
        self.depth -= 1

    def _doctype(self, *_: object) -> None:
        raise UserError(f"{self.path}: has a <!DOCTYPE>, which no model needs; take it out")


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST_XML:
            raise UserError(f"{path}: larger than {LARGEST_XML / 1e6:g} MB; no model is")
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None


def _walk(path: Path) -> _Scanner:
    scanner = _Scanner(path)
    try:
        scanner.parser.Parse(_read(path), True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_MISPLACED_XML_PI]:
            reason = "something stands before <?xml ...?>; take it out"
        raise UserError(f"{path}:{error.lineno}: not valid XML: {reason}") from None
    return scanner


def _with_includes(path: Path, folder: Path, seen: set[Path]) -> Iterator[_Scanner]:
    """A file and what it includes, each once; includes are relative to the first file's folder."""
    if path.resolve() in seen:
        return
    seen.add(path.resolve())
    scanner = _walk(path)
    yield scanner
    for name in scanner.included:
        yield from _with_includes(folder / name, folder, seen)


def parse_xml(path: Path) -> ElementTree.Element:
    """The tree of a file that `open_source` has looked into; with comments, so that lines stay."""
    builder = ElementTree.TreeBuilder(insert_comments=True)
    return ElementTree.parse(path, ElementTree.XMLParser(target=builder)).getroot()
