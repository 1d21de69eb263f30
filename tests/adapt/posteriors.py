"""Posteriors that no log made."""

import numpy as np

from simreal.randomization.posterior import Posterior, PosteriorParameter


def damped_arm(damping: float, robot: str = "qube") -> Posterior:
    random = np.random.default_rng(0)
    columns = (
        ("mass[arm]", "1", "scale", 0.3, 3.0, 1.05),
        ("joint_damping[arm]", "1", "scale", 0.0, 10.0, damping),
        ("action_latency_ms", "ms", "absolute", 0.0, 40.0, 6.0),
    )
    parameters = tuple(
        PosteriorParameter(name=name, unit=unit, operation=operation, low=low, high=high)  # type: ignore[arg-type]
        for name, unit, operation, low, high, _ in columns
    )
    centre = np.array([each[-1] for each in columns])
    rows = centre * (1.0 + 0.01 * random.standard_normal((50, 3)))
    return Posterior(robot=robot, parameters=parameters, samples=tuple(map(tuple, rows.tolist())))
