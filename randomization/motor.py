"""From a command to the force of an actuator: its law, its limits, and the supply behind both."""

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.randomization.drives import LAW, SUPPLIED, UNLIMITED, Drives, at
from simreal.state import FloatArray, Ids

FACTORS = ("strength", "kp", "kd", "torque_constant", "resistance", "torque_offset")
CURVE = ("corner_speed", "no_load_speed")
LIMITS = ("effort_limit", *CURVE, "supply_sag")
SUPPLY = ("supply_voltage", "supply_sag")
STEEPEST_CURVE = 0.999
"""The corner speed is at most this share of the no-load speed."""
LOWEST_SUPPLY = 1e-3
"""Ratio to nominal; a sag leads no further down."""


class Motor:
    """The actuators' force laws, gain * command + offset + stiffness * position + damping * velocity.

    Its quantities, of each simulation and of each actuator unless said otherwise:
        ``strength`` factor on the whole law.
        ``kp`` N·m/rad and ``kd`` N·m·s/rad of position servos.
        ``torque_constant`` and ``resistance`` ratios to nominal of a motor under voltage, whose law is
        k/R command - k²/R speed, the back-EMF constant being the torque constant.
        ``torque_offset`` N·m or N at the joint, added to the law whatever the command.
        ``effort_limit`` N·m or N at the joint; infinite for none.
        ``corner_speed`` and ``no_load_speed`` rad/s or m/s: the full effort up to the corner speed, from
        there falling along a line to none at the no-load speed, when torque and speed have the same
        sign; a motor brakes with its full effort at any speed. The full effort of an actuator without
        a limit is that of its largest command at rest.
        ``supply_voltage`` (count, 1) ratio to nominal.
        ``supply_sag`` (count, 1) 1/W: for a control step, the ratio falls by that times the mechanical
        power that all actuators together drew at the end of the one before. What heats the windings
        is not counted.

    What a supply of ratio r does depends on the kind of the command:
        voltage: a switching amplifier without feedback sets a duty cycle, command over nominal voltage,
        so that r times the commanded voltage reaches the motor; back-EMF stays.
        position: the firmware sets a duty cycle in proportion to the error, so that stiffness, largest
        effort and the speeds of the curve scale with r; kd, which is back-EMF for the most part, stays.
        effort: current control holds the torque; the speeds of the curve scale with r.
    """

    def __init__(self, drives: Drives) -> None:
        """Take the laws and limits of the model."""
        model, size = drives.physics.model, len(drives.names)
        self._drives = drives
        # The limits of one actuator may differ in size: both scale with the larger one.
        limited = model.actuator_forcelimited[drives.actuators].astype(bool)
        limits = model.actuator_forcerange[drives.actuators].T
        full = np.where(limited, np.abs(limits).max(axis=0), 1.0)
        self._limit_shape = np.where(limited, limits / full, [[-1.0], [1.0]]).T
        self._limited = limited
        self._scaled = drives.are("voltage") | drives.are("position")
        self._has_servos = bool(drives.servo.any())
        bias = model.actuator_biasprm[drives.actuators]
        self._has_stiffness = bool(bias[:, 1].any())
        self._gear = np.abs(drives.gear)
        drives.quantities.defaults |= {
            "strength": np.ones(size),
            "kp": model.actuator_gainprm[drives.actuators, 0].copy(),
            "kd": -model.actuator_biasprm[drives.actuators, 2],
            "torque_constant": np.ones(size),
            "resistance": np.ones(size),
            "torque_offset": np.zeros(size),
            "effort_limit": np.where(limited, full * self._gear, np.inf),
            "corner_speed": np.zeros(size),
            "no_load_speed": drives.velocity_limit,
            "supply_voltage": np.ones(1),
            "supply_sag": np.zeros(1),
        }
        drives.state.defaults |= {"power": np.zeros(1)}

    @property
    def stall_torque(self) -> FloatArray:
        """(actuators,) N·m or N at the joint, as compiled: limit, or what the largest command gives."""
        drives = self._drives
        limit = drives.quantities.defaults["effort_limit"]
        commanded = drives.quantities.defaults["kp"] * np.abs(drives.command_range).max(axis=0)
        largest: FloatArray = np.minimum(limit, np.abs(commanded * drives.gear))
        return largest

    @property
    def has_dead_zone(self) -> bool:
        """Whether servos ignore small position errors."""
        return self._has_servos and self._drives.exists("dead_zone")

    @property
    def has_offset(self) -> bool:
        """Whether there is torque without a command."""
        return self._drives.exists("torque_offset")

    @property
    def has_curve(self) -> bool:
        """Whether the limits change with the speed."""
        return self._drives.exists(*CURVE)

    @property
    def sags(self) -> bool:
        """Whether the supply falls with the power that is drawn."""
        return self._drives.exists("supply_sag")

    def settle(self, ids: Ids, wanted: bool) -> None:
        """Write into the model what follows from the quantities of some simulations.

        Args:
            ids: which.
            wanted: whether law and limits are wanted even if nothing of them is randomized.

        Raises:
            UserError: quantities that need others.
        """
        exists = self._drives.exists
        self._refuse_idle_supply()
        if wanted or self.has_dead_zone or exists(*FACTORS, *SUPPLY, *CURVE):
            self._settle_law(ids)
        if wanted or exists(*LIMITS) or (exists(*SUPPLY) and self._limited.any()):
            self._settle_limits(ids)

    def _refuse_idle_supply(self) -> None:
        if self._drives.exists(*SUPPLY) and not (self._scaled.any() or self._drives.exists(*CURVE)):
            raise UserError(
                "supply_voltage and supply_sag change nothing here: of current-controlled motors, the "
                "supply limits the speed alone: add no_load_speed"
            )

    def _settle_law(self, ids: Ids) -> None:
        drives = self._drives
        model, servo = drives.physics.model, drives.servo
        gain = np.repeat(model.actuator_gainprm[drives.actuators][None], len(ids), axis=0)
        bias = np.repeat(model.actuator_biasprm[drives.actuators][None], len(ids), axis=0)
        if drives.exists("kp"):
            gain[:, servo, 0] = drives.quantities.of("kp", ids)[:, servo]
            bias[:, servo, 1] = -gain[:, servo, 0]
        if drives.exists("kd"):
            bias[:, servo, 2] = -drives.quantities.of("kd", ids)[:, servo]
        self._write_laws(ids, gain, bias)

    def impose(
        self, ids: Ids, stiffness: FloatArray, damping: FloatArray, feedforward: FloatArray
    ) -> None:
        """Replace the laws of the servos of some simulations; see `Actuation.impose`."""
        drives = self._drives
        model, servo = drives.physics.model, drives.servo
        gain = np.repeat(model.actuator_gainprm[drives.actuators][None], len(ids), axis=0)
        bias = np.repeat(model.actuator_biasprm[drives.actuators][None], len(ids), axis=0)
        gain[:, servo, 0] = stiffness[:, servo]
        bias[:, servo, :3] = np.stack([feedforward, -stiffness, -damping], axis=-1)[:, servo]
        self._write_laws(ids, gain, bias)

    def _write_laws(self, ids: Ids, gain: FloatArray, bias: FloatArray) -> None:
        """Write (n, actuators, ...) laws of a nominal motor as this motor and its supply follow them."""
        drives = self._drives
        if drives.exists("strength"):
            gain *= drives.quantities.of("strength", ids)[..., None]
            bias *= drives.quantities.of("strength", ids)[..., None]
        if drives.exists("torque_constant", "resistance"):
            constant = drives.quantities.of("torque_constant", ids)
            resistance = drives.quantities.of("resistance", ids)
            voltage = drives.are("voltage")
            gain[..., 0] *= np.where(voltage, constant / resistance, 1.0)
            bias[..., 2] *= np.where(voltage, constant**2 / resistance, 1.0)
        if drives.exists("torque_offset"):
            bias[..., 0] += drives.quantities.of("torque_offset", ids) / drives.gear
            affine = int(mujoco.mjtBias.mjBIAS_AFFINE)
            drives.physics.field("actuator_biastype")[at(ids, drives.actuators)] = affine
        share = np.where(self._scaled, self._constant_supply(ids), 1.0)
        gain *= share[..., None]
        bias[..., 1] *= share
        law = gain[..., 0], bias[..., 0], bias[..., 1], bias[..., 2]
        for name, values in zip(LAW[:4], law, strict=True):
            drives.records[name][ids] = values
        if self.has_dead_zone:
            drives.records["dead_zone"][ids] = drives.quantities.of("dead_zone", ids)
        drives.physics.field("actuator_gainprm")[at(ids, drives.actuators)] = gain
        drives.physics.field("actuator_biasprm")[at(ids, drives.actuators)] = bias

    def _constant_supply(self, ids: Ids) -> FloatArray:
        """(n, 1) ratio that holds for the episode; 1 where a sag changes it."""
        if self.sags:
            return np.ones((len(ids), 1))
        return np.maximum(self._drives.quantities.of("supply_voltage", ids), LOWEST_SUPPLY)

    def _settle_limits(self, ids: Ids) -> None:
        drives = self._drives
        full = drives.quantities.of("effort_limit", ids) / self._gear
        supply = self._constant_supply(ids)
        if drives.exists(*CURVE):
            full = self._settle_curve(ids, full, supply)
        full = np.minimum(np.where(drives.are("position"), supply * full, full), UNLIMITED)
        limits = self._limit_shape * full[..., None]
        drives.records["low"][ids], drives.records["high"][ids] = np.moveaxis(limits, -1, 0)
        drives.physics.field("actuator_forcelimited")[at(ids, drives.actuators)] = True
        drives.physics.field("actuator_forcerange")[at(ids, drives.actuators)] = limits

    def _settle_curve(self, ids: Ids, full: FloatArray, supply: FloatArray) -> FloatArray:
        """Work out the torque-speed lines, offset - slope * speed, and the full efforts below them.

        An actuator has none that neither the robot nor the randomization gives either speed of.
        """
        drives = self._drives
        stall = np.abs(drives.records["gain"][ids]) * np.abs(drives.command_range).max(axis=0)
        full = np.where(np.isfinite(full) | drives.servo, full, stall)
        no_load = supply * self._gear * drives.quantities.of("no_load_speed", ids)
        corner = supply * self._gear * drives.quantities.of("corner_speed", ids)
        curved = np.isfinite(no_load) | (corner > 0.0)
        self._refuse_incomplete_curves(np.where(curved, full, 0.0), np.where(curved, no_load, 0.0))
        slope = 1.0 / (no_load - np.minimum(corner, STEEPEST_CURVE * no_load))
        drives.records["curve_slope"][ids] = slope
        drives.records["curve_offset"][ids] = np.where(curved, no_load, 0.0) * slope + ~curved
        return full

    def _refuse_incomplete_curves(self, full: FloatArray, no_load: FloatArray) -> None:
        needed = {"effort_limit": full, "no_load_speed": no_load}
        for name, values in needed.items():
            missing = ~np.isfinite(values).all(axis=0)
            if missing.any():
                actuator = self._drives.names[int(np.argmax(missing))]
                raise UserError(
                    f"actuator {actuator}: a torque-speed curve needs its {name}, which neither the "
                    f"robot nor the randomization gives: add {name}"
                )

    def begin_step(self) -> None:
        """Follow the supply before a control step."""
        records = self._drives.records
        for name in SUPPLIED:
            records[f"supplied_{name}"] = records[name]
        if self.sags:
            self._sag(records)
        for name in ("gain", "stiffness"):
            records[f"next_law_{name}"] = records[f"supplied_{name}"]
        for name in ("low", "high"):
            records[f"next_motor_{name}"] = records[f"next_{name}"] = records[f"supplied_{name}"]

    def _sag(self, records: NDArray[np.void]) -> None:
        drives = self._drives
        fallen = drives.quantities.of("supply_sag") * drives.state["power"]
        ratio = np.maximum(drives.quantities.of("supply_voltage") - fallen, LOWEST_SUPPLY)
        share = np.where(self._scaled, ratio, 1.0)
        records["supplied_gain"] *= share
        records["supplied_stiffness"] *= share
        records["supplied_curve_slope"] /= ratio
        self._write_law(records)
        if self._has_servos:
            share = np.where(drives.are("position"), ratio, 1.0)
            records["supplied_low"] *= share
            records["supplied_high"] *= share
            self._write_limits(records)

    def _write_law(self, records: NDArray[np.void]) -> None:
        field, actuators = self._drives.physics.field, self._drives.actuators
        field("actuator_gainprm")[:, actuators, 0] = records["supplied_gain"]
        if self._has_stiffness:
            field("actuator_biasprm")[:, actuators, 1] = records["supplied_stiffness"]

    def _write_limits(self, records: NDArray[np.void]) -> None:
        limits, actuators = self._drives.physics.field("actuator_forcerange"), self._drives.actuators
        limits[:, actuators, 0] = records["supplied_low"]
        limits[:, actuators, 1] = records["supplied_high"]

    def force(self, command: FloatArray, position: FloatArray, speed: FloatArray) -> FloatArray:
        """(count, actuators) forces with the law and the limits of the last physics step."""
        records = self._drives.records
        force = records["next_law_gain"] * command + records["offset"]
        force += records["next_law_stiffness"] * position + records["damping"] * speed
        low, high = records["next_motor_low"], records["next_motor_high"]
        limited: FloatArray = np.minimum(np.maximum(force, low), high)
        return limited

    def draw_power(self, force: FloatArray, speed: FloatArray) -> None:
        """Remember the mechanical power, which pulls the supply down in the next control step."""
        power = np.maximum((force * speed).sum(axis=1, keepdims=True), 0.0)
        self._drives.state["power"][:] = power

    def weaken(self, ids: Ids, actuators: Ids, share: FloatArray) -> None:
        """Scale the laws of some actuators within an episode; see `Actuation.weaken`."""
        for name in LAW[:4]:
            self._drives.records[name][ids, actuators] *= share
