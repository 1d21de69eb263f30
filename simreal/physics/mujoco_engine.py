"""MuJoCo on its batch: all simulations on a C thread pool, fields per simulation."""

import logging
from collections.abc import Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import mujoco
import numpy as np
from mujoco.batch import MODEL_FIELDS
from numpy.typing import NDArray

from simreal.errors import missing_extra
from simreal.physics.interface import Start, StepLaw, as_rows
from simreal.physics.layout import Layout, compiled_field, sensor_columns, whole_substeps
from simreal.physics.model import Scene, compile_model, named_id
from simreal.physics.native_batch import Batch
from simreal.robots import Robot
from simreal.state import Ids

if TYPE_CHECKING:
    from simreal.physics.compiled import Stepper

# MuJoCo prints what it warns of and writes MUJOCO_LOG.TXT into the working folder. A simulation that
# diverges is flagged and counted here, so that this goes to the log of those who want to see it.
mujoco.set_mju_user_warning(logging.getLogger(__name__).debug)


_CONSTANTS = frozenset(mujoco.MjModel._setconst_outputs) & frozenset(MODEL_FIELDS)
"""Fields that `mj_setConst` computes from others."""


class MujocoPhysics:
    """The `Physics` of MuJoCo; see there for the attributes."""

    def __init__(
        self,
        robot: Robot,
        count: int,
        control_rate: float | None = None,
        longest_action_latency: float = 0.0,
        threads: int = 0,
        scene: Scene | None = None,
    ) -> None:
        """Compile the robot's model and make `count` simulations of it.

        Args:
            robot: the robot.
            count: number of simulations.
            control_rate: Hz; the control period must be a whole number of timesteps, and is one of
                them if absent.
            longest_action_latency: s, the delay that the actuators' history must hold.
            threads: of the pool; 0 for every processor.
            scene: adds what stands around the robot.

        Raises:
            UserError: a rate that does not fit the timestep, a joint that the model lacks, or a
                latency beyond `model.LONGEST_ACTION_LATENCY`.
        """
        self.model = self._compiled(robot, longest_action_latency, scene)
        self.count = count
        self.timestep = float(self.model.opt.timestep)
        self.substeps = whole_substeps(self.timestep, control_rate or 1.0 / self.timestep, robot.name)
        self._batch = Batch(self.model, count, threads)
        self._robot = robot
        self._sensors: dict[str, slice] = {}
        self._fields: dict[str, NDArray[Any]] = {}
        self._constants_depend = False
        self._qpos: NDArray[np.float64] = self._batch.bind("qpos")
        self._qvel: NDArray[np.float64] = self._batch.bind("qvel")
        self._ctrl: NDArray[np.float64] = self._batch.bind("ctrl")
        self._history: NDArray[np.float64] = self._batch.bind("history")
        self.body_force: NDArray[np.float64] = self._batch.bind("xfrc_applied")
        self.dof_force: NDArray[np.float64] = self._batch.bind("qfrc_applied")
        self._layout = Layout(self.model, robot)
        self._warning_counts = self._batch.warning[:, :, 1]
        self.free_bodies = tuple(self.model.body(body).name for body in self._layout.free.bodies)
        self._trace = self._make_trace()
        self._control_history, self._sensor_history = _histories(self.model)
        self._batch.reset()
        self._fresh_state = self._batch.state[0].copy()
        self.diverged = np.zeros(count, dtype=bool)

    def _compiled(self, robot: Robot, latency: float, scene: Scene | None) -> mujoco.MjModel:
        """The robot's model; whoever has one already gives it in a subclass."""
        return compile_model(robot, latency, scene)

    def _make_trace(self) -> dict[str, NDArray[np.float64]]:
        sizes = {"qpos": self.model.nq, "qvel": self.model.nv}
        sizes |= {"sensordata": self.model.nsensordata, "actuator_force": self.model.nu}
        return {name: np.zeros((self.count, self.substeps, size)) for name, size in sizes.items()}

    @property
    def joint_position(self) -> NDArray[np.float64]:
        """(count, joints) true positions."""
        return self._qpos[:, self._layout.position_columns]

    @property
    def joint_velocity(self) -> NDArray[np.float64]:
        """(count, joints) true velocities."""
        return self._qvel[:, self._layout.velocity_columns]

    @property
    def position_trace(self) -> NDArray[np.float64]:
        """(count, substeps, joints) positions after each physics step of the last control step."""
        return self._trace["qpos"][..., self._layout.position_columns]

    @property
    def velocity_trace(self) -> NDArray[np.float64]:
        """(count, substeps, joints) velocities after each physics step of the last control step."""
        return self._trace["qvel"][..., self._layout.velocity_columns]

    @property
    def free_position(self) -> NDArray[np.float64]:
        """(count, free bodies, 7) places and orientations."""
        return self._qpos[:, self._layout.free.position]

    @property
    def free_velocity(self) -> NDArray[np.float64]:
        """(count, free bodies, 6) velocities."""
        return self._qvel[:, self._layout.free.velocity]

    @property
    def actuator_force(self) -> NDArray[np.float64]:
        """(count, actuators) forces in the last physics step."""
        return self._trace["actuator_force"][:, -1, self._layout.actuators]

    def sensor(self, name: str) -> NDArray[np.float64]:
        """(count, dimension) values of a sensor as the last physics step began."""
        return self.sensor_trace(name)[:, -1]

    def sensor_trace(self, name: str) -> NDArray[np.float64]:
        """(count, substeps, dimension) values of a sensor in the last control step."""
        if name not in self._sensors:
            sensor = named_id(self.model, mujoco.mjtObj.mjOBJ_SENSOR, name, self._robot)
            self._sensors[name] = sensor_columns(self.model, sensor)
        return self._trace["sensordata"][..., self._sensors[name]]

    def field(self, name: str) -> NDArray[Any]:
        """Per-simulation values of a model field, (count, ...), live and writable."""
        if name not in self._fields:
            self._fields[name] = self._batch.expand(name)
            self._constants_depend |= name in mujoco.MjModel._setconst_inputs
        return self._fields[name]

    @property
    def state(self) -> NDArray[np.float64]:
        """(count, size) MuJoCo's physics state of each simulation, live."""
        state: NDArray[np.float64] = self._batch.state
        return state

    @property
    def expanded_fields(self) -> list[str]:
        """Names of the fields that have values per simulation."""
        return list(self._fields)

    def commit(self, ids: Ids) -> None:
        """Run `mj_setConst` where a written field asks for it."""
        if self._constants_depend:
            self._batch.set_const(np.asarray(ids))
            for name in _CONSTANTS - self._fields.keys():
                values = self._batch.expand(name)
                if (values[ids] != _like(values, getattr(self.model, name))).any():
                    self._fields[name] = values

    def reset(self, ids: Ids, start: Start, target: NDArray[np.float64]) -> None:
        """Start some simulations afresh; see `Physics.reset`.

        MuJoCo itself resets histories to zero: a delayed servo would then run towards zero, and a
        delayed sensor would read it, until the delay has passed.
        """
        ids = np.asarray(ids)
        self._forget_divergence(ids)
        self._batch.state[ids] = self._fresh_state
        self._layout.write(start, ids, self._qpos, self._qvel)
        self._ctrl[np.ix_(ids, self._layout.actuators)] = target
        for place, actuator in enumerate(self._layout.actuators):
            if actuator in self._control_history:
                places = self._control_history[actuator][:, 0]
                self._history[ids[:, None], places] = target[:, [place]]
        if self._sensor_history:
            self._fill_sensor_histories(ids)
        if self.model.nsensor:
            self._sense_start(ids)

    def _sense_start(self, ids: Ids) -> None:
        """Fill the traces with what sensors read before the first step."""
        # An output is filled only by calls after it was asked for.
        outputs = {name: self._batch.bind(name) for name in ("sensordata", "actuator_force")}
        self._batch.forward(ids)
        for name, values in outputs.items():
            self._trace[name][ids] = values[ids][:, None]

    def _forget_divergence(self, ids: Ids) -> None:
        failed = ids[self.diverged[ids]]
        if failed.size:
            self._batch.reset(failed)  # clears their warnings, too
            self.diverged[failed] = False

    def kick(self, ids: Ids, dofs: NDArray[np.integer[Any]], change: NDArray[np.float64]) -> None:
        """Change velocities at once; see `Physics.kick`."""
        self._qvel[ids[:, None], dofs] += change

    def take(self, ids: Ids, source: Self, rows: Ids) -> None:
        """Go on from the state and with the fields of other simulations; see `Physics.take`."""
        self._forget_divergence(ids)
        here, there = as_rows(ids), as_rows(rows)
        for name, values in source._fields.items():
            self.field(name)[here] = values[there]
        # A change within an episode may have moved a constant here that is as compiled there.
        for name in self._fields.keys() - source._fields.keys():
            self._fields[name][here] = _like(self._fields[name], compiled_field(self.model, name))
        self._batch.state[here] = source._batch.state[there]
        for name in self._trace.keys() - {"qpos", "qvel"}:
            self._trace[name][here] = source._trace[name][there, -1:]

    @cached_property
    def mark_position(self) -> NDArray[np.float64]:
        """(count, marks, 3) m, where the bodies are that nothing moves: mocap bodies. Live, writable."""
        return self._batch.bind("mocap_pos")

    @property
    def configuration(self) -> NDArray[np.float64]:
        """(count, nq) MuJoCo's generalized positions, live."""
        return self._qpos

    @property
    def configuration_trace(self) -> NDArray[np.float64]:
        """(count, substeps, nq) the same after each physics step of the last control step."""
        return self._trace["qpos"]

    def copy_simulation(self, simulation: int, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """Write a simulation's fields and state into a model and data, such as a renderer's."""
        self._batch.get_model(simulation, model)
        self._batch.get_data(simulation, data)

    def _fill_sensor_histories(self, ids: Ids) -> None:
        """Fill the delayed sensors' histories with what they read now, had they no delay."""
        delay, readings = self.field("sensor_delay"), self._batch.bind("sensordata")
        configured = delay[ids]
        delay[ids] = 0.0
        self._batch.forward(ids)
        delay[ids] = configured
        rows = np.asarray(ids)[:, None, None]
        for sensor, places in self._sensor_history.items():
            reading = readings[ids, sensor_columns(self.model, sensor)]
            self._history[rows, places] = reading[:, None, :]

    @cached_property
    def _stepper(self) -> "Stepper":
        try:
            from simreal.physics.compiled import Stepper
        except ModuleNotFoundError as error:
            raise missing_extra(str(error.name), "train") from None
        return Stepper(self.model, self.substeps, self._trace)

    @property
    def _in_air(self) -> bool:
        """Whether a model that knows of no medium has been put into one: drag is a small correction."""
        options = self.model.opt
        implicit = options.integrator == mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        randomized = not self._fields.keys().isdisjoint(("opt.density", "opt.viscosity"))
        return implicit and randomized and not (options.density or options.viscosity)

    def step(self, target: NDArray[np.float64], law: StepLaw | None = None) -> None:
        """Advance each simulation by one control step, and flag what has left the finite numbers."""
        controls = None
        if target.ndim == 3:
            controls = np.zeros((self.count, self.substeps, self.model.nu))
            controls[..., self._layout.actuators] = target.transpose(1, 0, 2)
        else:
            self._ctrl[:, self._layout.actuators] = target
        self.diverged |= self._advance(law, controls)
        # MuJoCo resets a simulation that leaves the finite numbers and counts a warning.
        self.diverged |= self._warning_counts.any(axis=1)

    def _advance(self, law: StepLaw | None, controls: NDArray[np.float64] | None) -> NDArray[np.bool_]:
        """Take the physics steps; (count,) where MuJoCo failed.

        Args:
            law: acts before each of them.
            controls: (count, substeps, nu) of each of them, if they differ.
        """
        in_air = self._in_air
        if law is None and not in_air:
            return self._batch.rollout(self.substeps, self._trace, controls)
        stepper = self._stepper
        stepper.set_in_air(in_air)
        stepper.set_controls(controls)
        function, argument = stepper.function, stepper.address
        if law is not None:
            function, argument = law.compiled(stepper.address)
        return self._batch.apply(function, argument)


def _histories(
    model: mujoco.MjModel,
) -> tuple[dict[int, NDArray[np.int64]], dict[int, NDArray[np.int64]]]:
    """Where the history buffer holds the values of each delayed actuator and sensor.

    Returns:
        Actuator id and sensor id to (samples, dimension) columns of `mjData.history`.
    """
    actuators, sensors = {}, {}
    for actuator, (samples, _) in enumerate(model.actuator_history):
        if samples:
            write = partial(_write_control_history, model, actuator, samples)
            actuators[actuator] = _written(model, write).reshape(samples, -1)
    for sensor, (samples, _) in enumerate(model.sensor_history):
        if samples:
            write = partial(_write_sensor_history, model, sensor, samples)
            sensors[sensor] = _written(model, write).reshape(samples, -1)
    return actuators, sensors


def _write_control_history(
    model: mujoco.MjModel, actuator: int, samples: int, data: mujoco.MjData, value: float
) -> None:
    mujoco.mj_initCtrlHistory(model, data, actuator, None, np.full((samples, 1), value))


def _write_sensor_history(
    model: mujoco.MjModel, sensor: int, samples: int, data: mujoco.MjData, value: float
) -> None:
    values = np.full((samples, int(model.sensor_dim[sensor])), value)
    mujoco.mj_initSensorHistory(model, data, sensor, None, values, 0.0)


def _written(model: mujoco.MjModel, write: Callable[[mujoco.MjData, float], None]) -> NDArray[np.int64]:
    """Columns of the history buffer that a write fills with values: those that two writes tell apart.

    The buffer's layout is MuJoCo's own affair, so it is asked for instead of assumed.
    """
    first, second = mujoco.MjData(model), mujoco.MjData(model)
    write(first, 1.0)
    write(second, 2.0)
    return np.flatnonzero(first.history != second.history)


def _like(values: NDArray[Any], compiled: Any) -> Any:
    """A model's array as the batch keeps it: of bounding volumes, those of bodies, not of meshes."""
    if np.shape(compiled) == values.shape[1:]:
        return compiled
    return np.ravel(compiled)[: values[0].size].reshape(values.shape[1:])
