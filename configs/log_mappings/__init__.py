"""How to read some public data sets of robot logs, as mapping files (docs/logs.md)."""

from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def shipped_mappings() -> list[str]:
    """Names of the mapping files in this folder."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))
