"""Experiments that ship with simreal, as YAML."""

from pathlib import Path

FOLDER = Path(__file__).parent


def shipped_experiments() -> list[str]:
    """Names of the experiments in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
