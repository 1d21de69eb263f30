"""The import rules of pyproject.toml name every module that they are about."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
ROOMS, CONTROL, _ = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"][
    "importlinter"
]["contracts"]
EMULATORS = "deploy.emulators"
"""The part of deploy that simulates a robot."""


def modules(folder: Path, name: str) -> set[str]:
    """The modules and packages of a package, with its name before them."""
    files = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in folder.glob("*/__init__.py")}
    return {f"{name}.{each}" for each in files | packages}


def layers(contract: dict[str, Any]) -> set[str]:
    return {name for row in contract["layers"] for name in re.split(r" [|:] ", row)}


@pytest.mark.parametrize(
    ("folder", "name"), [("deploy", "deploy"), ("simreal/agents", "agents")], ids=["deploy", "agents"]
)
def test_every_part_of_a_split_package_has_its_layer(folder: str, name: str) -> None:
    found = modules(CHECKOUT / folder, name)
    listed = {each for each in layers(ROOMS) if each.startswith(f"{name}.")}
    assert listed == found
    assert name in ROOMS["exhaustive_ignores"]


def test_only_the_emulators_of_deploy_may_import_a_simulator() -> None:
    found = modules(CHECKOUT / "deploy", "deploy")
    assert EMULATORS in found
    control = {f"simreal.{each}" for each in found - {EMULATORS}}
    listed = {each for each in CONTROL["source_modules"] if each.startswith("simreal.deploy")}
    assert listed == control
