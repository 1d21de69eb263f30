"""Whether `simreal lint` finds planted faults: one at a time in a sound experiment and a sound model.

A case edits the text of the one or the other. It must be found on the line that it has changed, or on
the one it names, and nothing else may be found.
"""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from simreal.bench.lint_faults import CASES, EXPERIMENT, MODEL, ROBOT, Planted
from simreal.config import parse, read_document
from simreal.configs import shipped_experiments
from simreal.lint import Finding, lint, lint_experiment
from simreal.robots import Robot
from simreal.robots.loader import RobotConfig

FILES = ("experiment.yaml", "model.xml", "robot.yaml")


def find_planted(case: Planted, folder: Path) -> tuple[list[Finding], str]:
    """Lint a case.

    Args:
        case: what is wrong.
        folder: to write its files to.

    Returns:
        What is found, and ``file:line`` of where it must be.
    """
    model, experiment = _edited(MODEL, case.model), _edited(EXPERIMENT, case.experiment)
    (folder / "model.xml").write_text(model, encoding="utf-8")
    (folder / "experiment.yaml").write_text(experiment, encoding="utf-8")
    description = ROBOT["description"]
    actuators = [description["actuators"][0] | dict(case.robot)]
    content = {"description": description | {"actuators": actuators}, **case.sections}
    robot = parse(RobotConfig, content)
    (folder / "robot.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    document = read_document(folder / "experiment.yaml")
    found = lint(document, robot=Robot(robot, folder / "model.xml"))
    text = case.at or [*case.model.values(), *case.experiment.values()][-1].strip().splitlines()[0]
    files = {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    file = next(name for name, content in files.items() if text in content)
    lines = files[file].splitlines()
    line = next(number for number, content in enumerate(lines, 1) if text in content)
    return found, f"{folder / file}:{line}"


def _edited(text: str, edits: Mapping[str, str]) -> str:
    for old, new in edits.items():
        if text.count(old) != 1:
            raise ValueError(f"{old!r} stands {text.count(old)} times in the text, not once")
        text = text.replace(old, new)
    return text


def is_found(case: Planted, found: list[Finding], where: str) -> bool:
    """Whether a case is found where it stands, and nothing else is."""
    rest = [each for each in found if each.check not in case.also]
    wanted = (case.check, case.severity, where)
    return bool(rest) and all((each.check, each.severity, each.where) == wanted for each in rest)


def planted_faults() -> dict[str, Any]:
    """How many planted faults are found, and how many shipped experiments are flagged."""
    missed = []
    for case in CASES:
        with TemporaryDirectory() as folder:
            found, where = find_planted(case, Path(folder))
            if not is_found(case, found, where):
                missed.append(
                    {"case": case.name, "where": where, "found": [str(each) for each in found]}
                )
    flagged = {name: [str(each) for each in lint_experiment(name)] for name in shipped_experiments()}
    return {
        "planted": len(CASES),
        "found": len(CASES) - len(missed),
        "missed": missed,
        "shipped": len(flagged),
        "flagged": {name: found for name, found in flagged.items() if found},
    }
