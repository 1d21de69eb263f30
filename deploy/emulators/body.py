"""The body of an emulated robot: physics and sensors behind the drives, whatever wire leads to them."""

from collections.abc import Iterator, Mapping

import mujoco
import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.deploy.emulators.stand import Stand
from simreal.episode_random import EpisodeRandom, episode_seed
from simreal.errors import UserError, nearest
from simreal.physics.interface import Physics, Start
from simreal.physics.model import Scene
from simreal.randomization.build import build_world
from simreal.randomization.randomizer import DrawnPart, Randomizer
from simreal.randomization.specification import fixed
from simreal.robots import load_robot
from simreal.state import DriveReport, FloatArray, RobotState
from simreal.tasks import Task, find_task

Which = int | slice | list[int] | NDArray[np.int64]
"""Actuators, by their place in the robot's description."""
EVERY = slice(None)
BRAKING = 2.0
"""Times its own damping, with which a servo brakes that holds nothing."""
STALLED = 1e4
"""N·m·s/rad or N·s/m of damping in a joint that is blocked. The engine's friction would creep."""
MOST_TOLD = 4
"""Parts of one parameter that are told one by one."""
AMBIENT = 25.0
"""°C"""
FULL_EFFORT_HEATING = 75.0
"""K above ambient, at which a drive ends that gives its largest effort for ever. An assumption."""
THERMAL_TIME = 100.0
"""s, with which it gets there. An assumption, of the size that small servos have."""
ONLY = np.array([0])


class Body:
    """One robot: what its drives do, and what their sensors tell. Time passes only in `advance`.

    Every drive follows the law of MIT mode until it is told something else:
    effort = feedforward + stiffness (position - its position) + damping (velocity - its velocity),
    which the motor's limits, supply, gears and friction then treat as they do the model's own law.
    Before the first command, servos hold the default position with their own gains, as robots that walk
    stand up by themselves; other motors do nothing.

    A drive that is no servo takes its command as `feedforward`, in its unit. If that is an effort, its
    stiffness and damping act with what the joint did at the last physics step; a voltage has none.

    An ``action_latency_ms`` delays a servo's position, but not its stiffness, damping and feedforward;
    of a motor that takes a voltage or an effort it delays the whole command.

    Attributes:
        description: of the robot.
        rate: Hz, physics steps per second.
        stiffness: (actuators,) N·m/rad, own gain of each servo as it was drawn; 0 for what is none.
        damping: (actuators,) N·m·s/rad, likewise.
        joints: (actuators,) place of the joint that each drives.
        temperature: (actuators,) °C of the windings: heat goes with the square of the effort.
        supply_voltage: V; see `brown_out`.
        factors: what those of its parameters come to that are factors, for people.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, float],
        seed: int = 0,
        task: str | None = None,
        nominal_voltage: float = 24.0,
        rate: float | None = None,
        stand: bool = False,
    ) -> None:
        """Build it with true parameters that may differ from the model's.

        Args:
            name: of the robot.
            parameters: where they differ, by the names of randomization.
            seed: of its start and its noise.
            task: whose surroundings and start it has; nothing, and the default posture at rest, if
                absent.
            nominal_voltage: V, of its supply.
            rate: Hz, physics steps per second; the model's own if absent.
            stand: whether what hangs on nothing is held up in the air, its limbs free.

        Raises:
            UserError: no such robot, task or parameter.
        """
        robot = load_robot(name)
        self.description = robot.description
        specification, pins = fixed(parameters)
        problem = None if task is None else find_task(task, name)
        scene = _at_rate(rate, None if problem is None else problem.scene)
        self._world = world = build_world(robot, 1, specification, pins, threads=1, scene=scene)
        randomizer = Randomizer(specification, world, pins)
        self.factors = [line for part in randomizer.parts for line in _factors(part)]
        self.rate = 1.0 / world.physics.timestep
        self._random = EpisodeRandom(episode_seed(seed, ONLY))
        randomizer.apply(ONLY, randomizer.draw(self._random).values)
        self._find_drives()
        self._rest()
        start = _start(self.description, problem, self._random)
        world.reset(ONLY, start, self._target[None], self._random)
        self._own_range = world.physics.field("actuator_forcerange")[0, self._actuators].copy()
        self._step = np.zeros(1, dtype=np.int64)
        self._commands = np.zeros(1, dtype=np.int64)
        self.temperature = np.full(len(self.joints), AMBIENT)
        self.nominal_voltage = self.supply_voltage = nominal_voltage
        self._frozen: dict[int, tuple[float, float]] = {}
        self._free_damping: dict[int, float] = {}
        self._newest = world.read(self._step / self.rate).row(0)
        self._stand = Stand(world.physics) if stand else None

    def _find_drives(self) -> None:
        description, model = self.description, self._world.physics.model
        actuators = [model.actuator(name).id for name in description.actuator_names]
        self.joints = np.array([description.joint_names.index(a.joint) for a in description.actuators])
        self._actuators = np.array(actuators)
        self._gear = model.actuator_gear[actuators, 0].copy()
        self._servo = self._world.actuation.servos
        self._takes_effort = np.array([each.command == "effort" for each in description.actuators])
        self.stiffness, self.damping = (
            np.where(self._servo, gain[0], 0.0) for gain in self._world.actuation.gains(ONLY)
        )
        self._lower = np.array([each.lower for each in description.actuators])
        self._upper = np.array([each.upper for each in description.actuators])
        self._full_effort = _full_effort(model, self._actuators)

    def _rest(self) -> None:
        """What is commanded before the first command; the model has that law already."""
        default = np.array(self.description.default_position)[self.joints]
        self._position = np.where(self._servo, default, 0.0)
        self._velocity, self._feedforward = np.zeros_like(default), np.zeros_like(default)
        self._kp, self._kd = self.stiffness.copy(), self.damping.copy()
        self._target = self._position.copy()
        self._imposed = self._kp.copy(), self._kd.copy(), self._feedforward.copy()

    @property
    def physics(self) -> Physics:
        """The engine behind it, for what no sensor of the robot tells."""
        return self._world.physics

    @property
    def position(self) -> FloatArray:
        """(actuators,) rad or m, where the driven joints truly are."""
        position: FloatArray = self._world.physics.joint_position[0, self.joints]
        return position.copy()

    @property
    def velocity(self) -> FloatArray:
        """(actuators,) rad/s or m/s, likewise."""
        velocity: FloatArray = self._world.physics.joint_velocity[0, self.joints]
        return velocity.copy()

    @property
    def effort(self) -> FloatArray:
        """(actuators,) N·m or N at the joints, in the last physics step."""
        return np.asarray(self._world.physics.actuator_force[0] * self._gear)

    def command(
        self,
        which: Which = EVERY,
        position: FloatArray | float = 0.0,
        *,
        velocity: FloatArray | float = 0.0,
        stiffness: FloatArray | float | None = None,
        damping: FloatArray | float | None = None,
        feedforward: FloatArray | float = 0.0,
    ) -> None:
        """Give drives a law; what is no number makes a drive passive.

        Args:
            which: drives.
            position: rad or m.
            velocity: rad/s or m/s.
            stiffness: N·m/rad or N/m at the joint; a servo's own if absent.
            damping: N·m·s/rad or N·s/m, likewise.
            feedforward: N·m or N at the joint; of a drive that takes a voltage, V.
        """
        self._commands += 1
        self._position[which], self._velocity[which] = position, velocity
        self._kp[which] = self.stiffness[which] if stiffness is None else stiffness
        self._kd[which] = self.damping[which] if damping is None else damping
        self._feedforward[which] = feedforward
        law = self._position, self._velocity, self._kp, self._kd, self._feedforward
        unknown = ~np.all([np.isfinite(part) for part in law], axis=0)
        for part in law:
            part[unknown] = 0.0

    def hold(self, which: Which = EVERY) -> None:
        """Keep servos where they are."""
        self.command(which, self.position[which])

    def damp(self, which: Which = EVERY, damping: FloatArray | float | None = None) -> None:
        """Let drives brake and hold nothing: with N·m·s/rad, or `BRAKING` times their own damping."""
        own = BRAKING * self.damping[which]
        self.command(which, stiffness=0.0, damping=own if damping is None else damping)

    def off(self, which: Which = EVERY) -> None:
        """Make drives passive."""
        self.command(which, stiffness=0.0, damping=0.0)

    def limit_effort(self, which: int, limit: float) -> None:
        """Let a drive give no more than N·m or N, nor more than its own limit, which it must have."""
        within = limit / abs(self._gear[which])
        bounded = np.clip(self._own_range[which], -within, within)
        self._world.physics.field("actuator_forcerange")[0, self._actuators[which]] = bounded

    def advance(self) -> RobotState:
        """Let one physics step pass; what the sensors tell then, with efforts and temperatures."""
        self._obey()
        if self._stand is not None:
            self._stand.hold()
        self._step += 1
        self._world.advance(self._target[None], self._random, self._step, self._commands)
        self._warm()
        state = self._world.read(self._step / self.rate).row(0)
        state.joint_position, state.joint_velocity = self._through_encoders(state)
        state.joint_effort = self._of_joints(self.effort, 0.0)
        temperature = self._of_joints(self.temperature, np.nan)
        state.drives = DriveReport(temperature=temperature, supply_voltage=self.supply_voltage)
        self._newest = state
        return state

    def _of_joints(self, values: FloatArray, without: float) -> FloatArray:
        spread = np.full(len(self.description.joints), without)
        spread[self.joints] = values
        return spread

    def _obey(self) -> None:
        """Bring the commands into the physics, which knows laws of servos and plain commands."""
        kp, kd, velocity = self._kp.copy(), self._kd.copy(), self._velocity
        feedforward = self._feedforward + kd * velocity
        # A spring pulls to where no command of the model may lead.
        within = np.clip(self._position, self._lower, self._upper)
        feedforward += kp * (self._position - within)
        for place, (stuck, _) in self._frozen.items():
            # Its firmware goes on by what its encoder says.
            feedforward[place] += kp[place] * (within[place] - stuck)
            kp[place] = kd[place] = 0.0
        share = self.supply_voltage / self.nominal_voltage
        law = share * kp, share * kd, share * feedforward
        self._target = np.where(self._servo, within, 0.0)
        plain = law[2] + self._takes_effort * (
            law[0] * (within - self.position) - law[1] * self.velocity
        )
        np.copyto(self._target, np.clip(plain, self._lower, self._upper), where=~self._servo)
        if all(np.array_equal(new, old) for new, old in zip(law, self._imposed, strict=True)):
            return
        self._imposed = law
        # The model's laws are those of actuators; ours, of joints.
        gear = self._gear
        of_actuators = law[0] / gear**2, law[1] / gear**2, law[2] / gear
        self._world.actuation.impose(ONLY, *(each[None] for each in of_actuators))

    def _warm(self) -> None:
        load = np.minimum(np.abs(self.effort) / self._full_effort, 1.0)
        end = AMBIENT + FULL_EFFORT_HEATING * load**2
        self.temperature += (end - self.temperature) / (THERMAL_TIME * self.rate)

    def _through_encoders(self, state: RobotState) -> tuple[FloatArray, FloatArray]:
        position, velocity = state.joint_position.copy(), state.joint_velocity.copy()
        for place, (_, shown) in self._frozen.items():
            position[self.joints[place]], velocity[self.joints[place]] = shown, 0.0
        return position, velocity

    def actuator(self, name: str) -> int:
        """The place of an actuator, by its name or that of the joint that it drives.

        Raises:
            UserError: there is none.
        """
        names, driven = self.description.actuator_names, [a.joint for a in self.description.actuators]
        for each in (list(names), driven):
            if name in each:
                return each.index(name)
        raise UserError(f"no actuator {name!r}: {nearest(name, names)}")

    def push(self, effort: FloatArray) -> None:
        """Push (joints,) N·m or N from outside, as a hand does, until told otherwise."""
        physics = self._world.physics
        for name, value in zip(self.description.joint_names, effort, strict=True):
            physics.dof_force[0, physics.model.joint(name).dofadr[0]] = value

    def stall(self, which: int, stalled: bool = True) -> None:
        """Block the joint of a drive, or let it go."""
        physics, joint = self._world.physics, self.joints[which]
        name = self.description.joint_names[joint]
        dof = int(physics.model.joint(name).dofadr[0])
        damping = physics.field("dof_damping")
        free = self._free_damping.setdefault(which, float(damping[0, dof]))
        damping[0, dof] = STALLED if stalled else free
        physics.commit(ONLY)

    def freeze_encoder(self, which: int, frozen: bool = True) -> None:
        """Let the encoder of a drive say for ever what it says now; its own control believes it."""
        self._frozen.pop(which, None)
        if frozen:
            joint = self.joints[which]
            place = float(self._world.physics.joint_position[0, joint])
            self._frozen[which] = place, float(self._newest.joint_position[joint])

    def heat(self, which: Which, temperature: float) -> None:
        """Bring windings to °C, from where they cool as they do."""
        self.temperature[which] = temperature

    def brown_out(self, voltage: float | None = None) -> None:
        """Let the supply fall to V, or recover: every drive gives that share of its effort."""
        self.supply_voltage = self.nominal_voltage if voltage is None else voltage


def _full_effort(model: mujoco.MjModel, actuators: NDArray[np.int64]) -> FloatArray:
    """(actuators,) N·m or N, what each can give at most; infinite where nothing limits it."""
    gear = np.abs(model.actuator_gear[actuators, 0])
    limited = model.actuator_forcelimited[actuators].astype(bool)
    limit = np.abs(model.actuator_forcerange[actuators]).max(axis=1)
    largest = np.abs(model.actuator_ctrlrange[actuators]).max(axis=1)
    by_command = np.abs(model.actuator_gainprm[actuators, 0]) * largest
    has_range = model.actuator_ctrllimited[actuators].astype(bool)
    full: FloatArray = gear * np.where(limited, limit, np.where(has_range, by_command, np.inf))
    return full


def _factors(part: DrawnPart) -> Iterator[str]:
    """What the factors of an entry come to: who gave one may have meant a value."""
    if part.operation != "scale" or part.unit == "1":
        return
    if len(part.parts) > MOST_TOLD:
        yield f"{part.parameter.name} is a factor on what the model has"
        return
    names = part.parts or ("",)
    for name, own, now, unit in zip(names, part.default, part.smallest, part.units, strict=True):
        label = f"{part.parameter.name}[{name}]" if name else part.parameter.name
        factor = f"{now / own:.4g} times " if own else "a factor on "
        yield f"{label} {factor}{own:.3g} = {now:.3g} {unit}"


def _at_rate(rate: float | None, scene: Scene | None) -> Scene | None:
    """The surroundings, in which time passes in steps of a rate."""
    if rate is None:
        return scene

    def timed(spec: mujoco.MjSpec) -> None:
        spec.option.timestep = 1.0 / rate
        if scene is not None:
            scene(spec)

    return timed


def _start(robot: RobotDescription, task: Task | None, random: EpisodeRandom) -> Start:
    """Where the robot is found: a balance that begins at rest in it would hold with dead motors."""
    if task is not None:
        return task.initial_states[task.start](random)
    position = np.array([robot.default_position])
    return Start(position, np.zeros_like(position))
