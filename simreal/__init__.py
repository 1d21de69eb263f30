"""simreal: policies that work in simulation, working on the robot."""

from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent.parent
if (_CHECKOUT / "pyproject.toml").is_file():
    # Python that is started in a checkout finds this folder before the installed package; the
    # folders that belong to the package stand beside it there.
    __path__.append(str(_CHECKOUT))

from simreal.registration import register_with_gymnasium  # noqa: E402

__version__ = "0.1.0"

register_with_gymnasium()
