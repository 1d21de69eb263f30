"""Dry friction of a driven joint that depends on its speed and on its load."""

import numpy as np

from simreal.randomization.drives import Drives, at
from simreal.state import Ids

STRIBECK_SPEED = 0.1
"""rad/s, where only the ratio is randomized."""


class StribeckFriction:
    """Writes the friction of each driven joint anew for each physics step.

    F(v, T) = coulomb (1 + (ratio - 1) exp(-(v / v_s)^2)) + load |T|: the Stribeck curve in the form of
    Armstrong-Hélouvry, Dupont and Canudas de Wit (Automatica 30, 1994), with the load term of geared
    servos. F is the engine's `dof_frictionloss`, the largest torque with which its constraint solver
    resists: a joint sticks below it, without chatter. But that solver is soft: near breaking away a
    joint creeps, with MuJoCo's defaults by some hundredths of rad/s if the torque could give it
    100 rad/s^2, so that with as small a Stribeck speed it breaks away earlier. The speed is that at the
    start of the step.

    Its quantities, (count, actuators):
        ``stribeck_friction`` static over Coulomb friction.
        ``stribeck_speed`` v_s in rad/s or m/s, at which 37 % of the excess is left.
        ``load_friction`` N·m of friction for each N·m of the actuator's torque.
    """

    def __init__(self, drives: Drives) -> None:
        """Leave the friction as it is."""
        size = len(drives.names)
        self._drives = drives
        drives.quantities.defaults |= {
            "stribeck_friction": np.ones(size),
            "stribeck_speed": np.full(size, STRIBECK_SPEED),
            "load_friction": np.zeros(size),
        }

    @property
    def modulates(self) -> bool:
        """Whether friction changes from one physics step to the next."""
        return self._drives.exists("stribeck_friction", "load_friction")

    def settle(self, ids: Ids) -> None:
        """Keep the Coulomb friction that the model has now, and begin at a standstill."""
        if not self.modulates:
            return
        drives, records = self._drives, self._drives.records
        friction, place = drives.physics.field("dof_frictionloss"), at(ids, drives.dofs)
        coulomb = friction[place]
        excess = coulomb * (drives.quantities.of("stribeck_friction", ids) - 1.0)
        friction[place] = coulomb + excess
        records["coulomb"][ids], records["static_excess"][ids] = coulomb, excess
        records["inverse_speed"][ids] = 1.0 / (drives.gear * drives.quantities.of("stribeck_speed", ids))
        records["load"][ids] = np.abs(drives.gear) * drives.quantities.of("load_friction", ids)
