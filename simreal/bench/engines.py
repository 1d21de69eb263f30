"""`simreal bench engines`: physics that both engines must share, by numbers, and how fast each is."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from simreal.bench.timing import speed_of
from simreal.physics.engines import find_engine
from simreal.physics.interface import Physics, Start
from simreal.physics.shared_checks import CHECKS
from simreal.robots import load_robot

ENGINES = ("mujoco", "bullet")
ROBOT = "qube"
SIMULATIONS = 16
TIMED_STEPS = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment in both engines.

    Attributes:
        name: of the experiment.
        unit: of the numbers.
        expected: by mechanics.
        tolerance: how far from it counts as sound.
        mujoco: what came out.
        bullet: what came out.
        difference: of the two.
        sound: whether both are within the tolerance.
    """

    name: str
    unit: str
    expected: float
    tolerance: float
    mujoco: float
    bullet: float
    difference: float
    sound: bool


def shared_physics() -> list[Row]:
    """Do every experiment in both engines."""
    rows, engines = [], {name: find_engine(name) for name in ENGINES}
    for check in CHECKS:
        found = {name: check.measure(engine) for name, engine in engines.items()}
        sound = all(abs(each - check.expected) <= check.tolerance for each in found.values())
        difference = found["bullet"] - found["mujoco"]
        rows.append(
            Row(
                check.name,
                check.unit,
                check.expected,
                check.tolerance,
                **found,
                difference=difference,
                sound=sound,
            )
        )
    return rows


def engine_speeds() -> dict[str, float]:
    """Physics steps/s of each engine, all simulations together, under random commands."""
    return {name: _speed(find_engine(name)(load_robot(ROBOT), SIMULATIONS)) for name in ENGINES}


def _speed(physics: Physics) -> float:
    count, joints = physics.joint_position.shape
    ids = np.arange(count)
    commands = np.random.default_rng(0).uniform(-1.0, 1.0, (TIMED_STEPS, count, physics.model.nu))
    physics.reset(ids, Start(np.zeros((count, joints)), np.zeros((count, joints))), commands[0])
    physics.step(commands[0])  # builds what is built on the first step
    return physics.substeps * speed_of(physics.step, commands)


def as_json(rows: list[Row], speeds: dict[str, float]) -> dict[str, Any]:
    """All of it as numbers."""
    return {
        "checks": [asdict(row) for row in rows],
        "physics_steps_per_second": {"robot": ROBOT, "simulations": SIMULATIONS, **speeds},
    }


def as_table(rows: list[Row], speeds: dict[str, float]) -> str:
    """The same for people."""
    header = ("experiment", "unit", "expected", "mujoco", "bullet", "difference", "sound")
    cells: list[tuple[str, ...]] = [header]
    for row in rows:
        numbers = (row.expected, row.mujoco, row.bullet)
        texts = (f"{number:.6g}" for number in numbers)
        cells.append((row.name, row.unit, *texts, f"{row.difference:.1e}", "yes" if row.sound else "NO"))
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    told = ", ".join(f"{name} {speed:.0f}" for name, speed in speeds.items())
    return "\n".join([*lines, f"Physics steps/s of {SIMULATIONS} Qubes: {told}"])
