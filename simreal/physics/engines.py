"""The engines by name."""

from typing import Literal, Protocol, get_args

from simreal.errors import UserError, nearest
from simreal.physics.interface import Physics
from simreal.physics.model import Scene
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.robots import Robot

EngineName = Literal["mujoco", "bullet"]
ENGINES: tuple[EngineName, ...] = get_args(EngineName)


class Engine(Protocol):
    """Makes simulations, such as `MujocoPhysics`."""

    def __call__(
        self,
        robot: Robot,
        count: int,
        control_rate: float | None = None,
        longest_action_latency: float = 0.0,
        threads: int = 0,
        scene: Scene | None = None,
    ) -> Physics:
        """A batch of `count` simulations."""
        ...


def known_engine(name: str) -> EngineName:
    """The name, if there is an engine of it; a `UserError` if not."""
    for engine in ENGINES:
        if engine == name:
            return engine
    raise UserError(f"no engine {name!r}: {nearest(name, ENGINES)}")


def find_engine(name: str) -> Engine:
    """An engine by name; PyBullet is imported only if it is asked for.

    Raises:
        UserError: no engine of that name, or one that is not installed.
    """
    if known_engine(name) == "bullet":
        from simreal.physics.bullet_engine import BulletPhysics

        return BulletPhysics
    return MujocoPhysics
