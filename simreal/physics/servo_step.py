"""What one step of MuJoCo makes of a servo on an inertia: whether it stays stable, and how it is damped.

A servo of stiffness k and damping d (the velocity part of its bias: kv) on a joint of inertia I and
damping D, over a step h. MuJoCo's integrators (chapter "Computation", section "Numerical integration"
of its documentation) differ in which damping they take at the end of the step: Euler that of joints,
and what `damping` on an actuator adds to it; implicit and implicitfast kv, too; RK4 none. With B for
the part taken so, a step is
v' = v - h (k q + (d + D) v) / (I + h B), q' = q + h v', which stays bounded while
2 h (d + D) / (I + h B) + h² k / (I + h B) < 4.
"""

from dataclasses import dataclass, replace

import mujoco
import numpy as np

from simreal.physics.drives import Drive

IMPLICIT = (mujoco.mjtIntegrator.mjINT_IMPLICIT, mujoco.mjtIntegrator.mjINT_IMPLICITFAST)


@dataclass(frozen=True, slots=True)
class ServoStep:
    """A servo, what it moves, and how it is stepped.

    Attributes:
        stiffness: N·m/rad or N/m.
        damping: of the servo, N·m·s/rad or N·s/m.
        joint_damping: likewise, with what `damping` on the actuator adds.
        inertia: kg·m² or kg, as small as the servo may meet it.
        timestep: s.
        integrator: of MuJoCo.
        damps_joints: whether Euler takes the damping of joints at the end of the step.
    """

    stiffness: float
    damping: float
    joint_damping: float
    inertia: float
    timestep: float
    integrator: mujoco.mjtIntegrator
    damps_joints: bool = True

    @property
    def met(self) -> float:
        """Inertia, with what damping taken at the end of the step adds to it, kg·m² or kg."""
        implicit = 0.0
        if self.integrator in IMPLICIT:
            implicit = self.damping + self.joint_damping
        elif self.integrator == mujoco.mjtIntegrator.mjINT_EULER and self.damps_joints:
            implicit = self.joint_damping
        return self.inertia + self.timestep * implicit

    @property
    def braking(self) -> float:
        """Share of its speed that damping takes from the joint in a step; beyond 1 it is reversed."""
        return self.timestep * (self.damping + self.joint_damping) / self.met

    @property
    def diverges(self) -> bool:
        """Whether any motion grows from step to step."""
        if self.integrator == mujoco.mjtIntegrator.mjINT_RK4:
            return self._growth_of_runge_kutta() > 1.0 + 1e-9
        return 2.0 * self.braking + self.timestep**2 * self.stiffness / self.met > 4.0

    def _growth_of_runge_kutta(self) -> float:
        """The larger of what a step multiplies the two motions of the servo by."""
        damping = (self.damping + self.joint_damping) / self.inertia
        rates = np.roots([1.0, damping, self.stiffness / self.inertia]) * self.timestep
        return float(np.abs(1.0 + rates + rates**2 / 2.0 + rates**3 / 6.0 + rates**4 / 24.0).max())

    def stepped_by(self, integrator: mujoco.mjtIntegrator) -> "ServoStep":
        """The same servo under another integrator."""
        return replace(self, integrator=integrator)


def servo_step(model: mujoco.MjModel, drive: Drive, inertia: float) -> ServoStep:
    """A drive of a model, on an inertia in kg·m² or kg."""
    joint_damping = model.dof_damping[model.jnt_dofadr[drive.joint]]
    joint_damping = joint_damping + model.actuator_damping[drive.index] * drive.gear**2
    euler_damps = not model.opt.disableflags & mujoco.mjtDisableBit.mjDSBL_EULERDAMP
    return ServoStep(
        stiffness=drive.stiffness,
        damping=drive.damping,
        joint_damping=float(joint_damping),
        inertia=inertia,
        timestep=float(model.opt.timestep),
        integrator=mujoco.mjtIntegrator(int(model.opt.integrator)),
        damps_joints=bool(euler_damps),
    )
