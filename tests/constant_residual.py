"""A residual file's model that says the same wherever the Qube is."""

import numpy as np

from simreal.randomization.residual import ResidualModel

HISTORY = 3
FEATURES = 1 + 2 + 2 * HISTORY + HISTORY  # arm, sine and cosine, velocities, voltages


def constant_residual(torque: float = 0.01, spread: float = 0.0, period: float = 0.01) -> ResidualModel:
    """Three members that say the same wherever the Qube is, but for a spread about it."""
    biases = np.array([[-spread], [0.0], [spread]]) + torque
    return ResidualModel(
        robot="qube",
        joints=("arm", "pendulum"),
        outputs=np.array([0]),
        servos=np.array([False]),
        driven=np.array([0]),
        turns=np.array([False, True]),
        period=period,
        history=HISTORY,
        mean=np.zeros(FEATURES),
        deviation=np.ones(FEATURES),
        weights=((np.zeros((3, FEATURES, 1)), biases),),
        scale=np.ones(1),
        limit=np.full(1, 0.05),
    )
