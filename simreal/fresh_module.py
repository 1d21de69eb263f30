"""A module whose file has just been added to the source tree, and that the install does not know yet."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""Of the source tree, to which the links of an editable install lead."""


def fresh_module_hint(name: str, root: Path = ROOT) -> str | None:
    """What to do about a module that is not found; None if no file in the source tree would be it.

    The editable install is a tree of links to the source files, which `make install` renews.

    Args:
        name: such as ``simreal.tasks.mine``.
        root: of the source tree.
    """
    package, *parts = name.split(".")
    if package != "simreal" or not parts:
        return None
    for folder in (root / "simreal", root):  # simreal.robots stands in robots/, and so on
        path = folder.joinpath(*parts)
        for file in (path.with_suffix(".py"), path / "__init__.py"):
            if file.is_file():
                return f"{file} is not installed yet: run `make install` in {root} and try again"
    return None
