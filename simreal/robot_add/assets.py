"""The files beside a model: meshes, textures, height fields. Found, or missed by name, and copied."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco

from simreal.errors import UserError
from simreal.lint.finding import Finding
from simreal.lint.model_file import ModelFile

FOLDER = "assets"
LARGEST_ASSETS = 500_000_000
"""Bytes, of all together."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that an element of a model names.

    Attributes:
        element: of the `mujoco.MjSpec`.
        index: in the element's `cubefiles`; None for its `file`.
        path: where MuJoCo looks for it.
    """

    element: Any
    index: int | None
    path: Path


def find_assets(spec: mujoco.MjSpec) -> list[Asset]:
    """All files that a model names."""
    return [
        Asset(element, index, _resolved(spec, element, folder, name))
        for elements, folder in (
            (spec.meshes, "meshdir"),
            (spec.skins, "meshdir"),
            (spec.hfields, "meshdir"),
            (spec.textures, "texturedir"),
        )
        for element in elements
        for index, name in _names(element)
    ]


def _names(element: Any) -> Iterator[tuple[int | None, str]]:
    if element.file:
        yield None, element.file
    for index, name in enumerate(getattr(element, "cubefiles", ())):
        if name:
            yield index, name


def _resolved(spec: mujoco.MjSpec, element: Any, folder: str, name: str) -> Path:
    name = Path(name).name if spec.strippath else name
    root = Path(spec.modelfiledir)
    directory: str = getattr(_compiler(spec, element), folder)
    return root / directory / name


def _compiler(spec: mujoco.MjSpec, element: Any) -> Any:
    """An attached model keeps folders of its own."""
    return getattr(element, "compiler", spec.compiler)


def missing_assets(file: ModelFile) -> Iterator[Finding]:
    """Files that are not where the model says."""
    for asset in find_assets(file.spec):
        if not asset.path.is_file():
            kind = type(asset.element).__name__.removeprefix("Mjs").lower()
            what = f"{kind} {asset.element.name or asset.path.name}: no file {asset.path}"
            yield Finding("error", "asset", file.where(asset.element), what, _where_else(asset.path))


def without_missing(file: ModelFile) -> ModelFile | None:
    """The model without the files that are missing and what uses them, so that the rest can be audited.

    Returns:
        None if that does not compile, as where masses come from a mesh.
    """
    spec = mujoco.MjSpec.from_file(str(file.path))
    for asset in find_assets(spec):
        if not asset.path.is_file():
            _take_out(spec, asset.element)
    try:
        return ModelFile(file.path, spec, spec.compile())
    except ValueError:
        return None


def _take_out(spec: mujoco.MjSpec, element: Any) -> None:
    name = element.name or Path(getattr(element, "file", "")).stem
    for geom in list(spec.geoms):
        if name in (geom.meshname, geom.hfieldname):
            spec.delete(geom)
    for material in spec.materials:
        material.textures = ["" if each == name else each for each in material.textures]
    spec.delete(element)


def _where_else(path: Path) -> str:
    """A file of the same name nearby, if there is one."""
    for folder in list(path.parents)[:3]:
        if folder.is_dir() and folder != Path(folder.anchor):
            found = next(_files_below(folder, path.name), None)
            if found is not None:
                return f"there is one at {found}: put it there, or correct the path"
    return "put it there, or correct the path, or remove what uses it"


def _files_below(folder: Path, name: str, depth: int = 3) -> Iterator[Path]:
    """Files of a name, whatever its case, not many folders below."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    yield from (each for each in entries if each.name.lower() == name.lower() and each.is_file())
    if depth > 0:
        for each in entries:
            if each.is_dir() and not each.is_symlink():
                yield from _files_below(each, name, depth - 1)


def move_assets(spec: mujoco.MjSpec, folder: Path) -> None:
    """Copy all files that a model names into a folder's ``assets``, and let the model name them there.

    Raises:
        UserError: together they are larger than `LARGEST_ASSETS`.
    """
    assets = find_assets(spec)
    names = _unique_names(asset.path.resolve() for asset in assets)
    _refuse_huge(names)
    for source, name in names.items():
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / FOLDER / name)
    for asset in assets:
        _rename(asset, names[asset.path.resolve()])
        compiler = _compiler(spec, asset.element)
        compiler.meshdir = compiler.texturedir = FOLDER
    spec.compiler.meshdir = spec.compiler.texturedir = FOLDER if assets else ""
    spec.modelfiledir = str(folder)


def _unique_names(paths: Iterable[Path]) -> dict[Path, str]:
    """Each file's name in one folder; of two of the same name, the later gets a number."""
    names: dict[Path, str] = {}
    for path in paths:
        name, again = path.name, 1
        while path not in names and name.lower() in {each.lower() for each in names.values()}:
            again += 1
            name = f"{path.stem}_{again}{path.suffix}"
        names.setdefault(path, name)
    return names


def _refuse_huge(paths: Iterable[Path]) -> None:
    size = sum(path.stat().st_size for path in paths)
    if size > LARGEST_ASSETS:
        raise UserError(
            f"meshes and textures of {size / 1e6:.0f} MB: at most {LARGEST_ASSETS / 1e6:g} MB"
        )


def _rename(asset: Asset, name: str) -> None:
    if asset.index is None:
        asset.element.file = name
    else:
        asset.element.cubefiles[asset.index] = name
