"""Experiments that ship with simreal, as YAML."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent
"""Resolved: an editable installation links to the files that people know and edit."""


def shipped_experiments() -> list[str]:
    """Names of the experiments in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
