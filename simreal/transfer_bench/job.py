"""A job of the benchmark, and what an arm makes in it."""

from dataclasses import dataclass
from pathlib import Path

from simreal.run import Run
from simreal.transfer_bench.results import Key


@dataclass(frozen=True, slots=True)
class Job:
    """One arm, target and seed.

    Attributes:
        robot: its name.
        target: which of its hidden ones.
        arm: of `simreal.transfer_bench.arms.ARMS`.
        seed: of training and of everything else.
        steps: environment steps of training, the same for every arm.
        folder: of the benchmark.
    """

    robot: str
    target: str
    arm: str
    seed: int
    steps: int
    folder: Path

    @property
    def key(self) -> Key:
        """What its result is of."""
        return self.robot, self.target, self.arm, self.seed

    @property
    def path(self) -> Path:
        """Folder of this job."""
        return self.folder / self.robot / self.target / self.arm / f"seed{self.seed}"

    @property
    def target_free(self) -> Path:
        """Run of an arm that meets no target: one policy for all of them."""
        return self.folder / self.robot / "trained" / self.arm / f"seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Made:
    """What an arm made.

    Attributes:
        run: with the policy.
        robot_seconds: s that the robot was moved.
        resets: how often it was put back.
        violations: control steps beyond its limits meanwhile.
        notes: what else is worth telling.
    """

    run: Run
    robot_seconds: float = 0.0
    resets: int = 0
    violations: int = 0
    notes: tuple[str, ...] = ()
