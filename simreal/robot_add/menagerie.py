"""Models of MuJoCo Menagerie, by name: ``menagerie:unitree_go2`` or ``menagerie:unitree_go2/go2_mjx``.

The package `mujoco-menagerie` (Google DeepMind) is a list of the robots, and downloads a robot's
archive from its release on GitHub when it is first asked for. Where there is no network,
``MENAGERIE_ROOT`` may name a clone of the repository, and a path into the clone works without the
package.
"""

from pathlib import Path

from simreal.errors import UserError, nearest

PREFIX = "menagerie:"


def menagerie_path(address: str) -> Path:
    """The XML file of a robot without the scene around it, downloaded if need be.

    Raises:
        UserError: the package is not installed, has no such robot, or cannot download it.
    """
    name, _, entry = address.removeprefix(PREFIX).partition("/")
    try:
        import mujoco_menagerie
    except ModuleNotFoundError:
        raise UserError(
            f"{address}: this needs mujoco_menagerie: pip install mujoco-menagerie; or give the path "
            f"of a model in a clone of its repository"
        ) from None
    if name not in mujoco_menagerie.names():
        raise UserError(f"{address}: no robot {name!r}: {nearest(name, mujoco_menagerie.names())}")
    robot = mujoco_menagerie.get(name)
    try:
        return Path(robot.xml(entry or robot.default_model))
    except (mujoco_menagerie.MenagerieError, OSError) as error:
        raise UserError(
            f"{address}: {error}; without a network, let MENAGERIE_ROOT name a clone of its repository"
        ) from None
