"""The batched environment: physics, sensing, task, randomization and observation in one step."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from simreal.action import ActionPipeline, refuse_no_numbers
from simreal.beginnings import Beginnings
from simreal.cameras.sight import Sight
from simreal.commands import Commands
from simreal.episode_random import EpisodeRandom, SeedArray
from simreal.episodes import DIVERGED, MADE_READY, TIME_LIMIT, Environment, Step
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.experiment_contract import make_contract
from simreal.latencies import CAMERA_LATENCY
from simreal.observation import Float32Array, ObservationPipeline
from simreal.physics.mujoco_engine import MujocoPhysics
from simreal.privileged import Privileged
from simreal.randomization.build import build_world
from simreal.randomization.camera_effects import CameraEffects
from simreal.randomization.followed import refuse_not_followed
from simreal.randomization.randomizer import Randomizer
from simreal.randomization.residual import ResidualModel, read_residual
from simreal.randomization.specification import reach
from simreal.randomization.terrain import TerrainMap
from simreal.randomization.world import World
from simreal.robots import load_robot
from simreal.state import Ids, RobotState
from simreal.symmetry import Symmetry, make_symmetry
from simreal.tasks import Motion, find_task


class BatchEnv(Environment):
    """`count` simulations of an experiment; nothing random is left outside of the episode's seed.

    Attributes:
        command: (count, commands) what is asked now.
    """

    def __init__(
        self,
        experiment: ExperimentConfig,
        count: int,
        seed: int = 0,
        pins: Mapping[str, float] | None = None,
        threads: int = 0,
    ) -> None:
        """Build the simulations; `reset` begins the first episodes.

        Args:
            experiment: what to simulate.
            count: number of simulations.
            seed: of the run.
            pins: randomized parameters to hold at a value.
            threads: of the physics; 0 for every processor.

        Raises:
            UserError: names or ranges of the experiment that fit neither robot nor task, or that its
                engine cannot follow.
        """
        robot = load_robot(experiment.robot)
        pins = experiment.pins | dict(pins or {})
        self.experiment = experiment
        self._mirror = robot.config.mirror
        self.task = find_task(experiment.task, experiment.robot)
        residual = read_residual(experiment.residual.file) if experiment.residual else None
        self._penalty = experiment.residual.penalty if experiment.residual else 0.0
        self._world, ahead = (
            _build_world(experiment, number, pins, threads, residual) for number in (count, MADE_READY)
        )
        self.physics = self._world.physics
        randomizer = self._make_randomizer(ahead, pins)
        self._commands = Commands(experiment, self.task)
        self._critic = Privileged(experiment.privileged, self.task, randomizer)
        self._refuse_other_objects(ahead.objects)
        ranges = randomizer.trained_ranges()
        contract = make_contract(experiment, robot.description, self.task, ranges, seed)
        starts = experiment.initial_states or {self.task.start: 1.0}
        self._beginnings = Beginnings(
            ahead, randomizer, contract, self.task, starts, self._commands, self._critic
        )
        self._pipeline = ObservationPipeline(contract, (count,))
        self._to_command = ActionPipeline(contract, (count,))
        self._rewards = [(w, self.task.rewards[name]) for name, w in experiment.rewards.items()]
        super().__init__(
            contract,
            randomizer,
            count,
            seed,
            experiment.episode_steps,
            self._pipeline.size,
            self.task.success_share,
            tuple(self.task.metrics),
        )
        self._action = np.zeros((count, self.action_size))
        self.command = np.zeros((count, self._commands.size))
        self._marks = self._places_of_marks() if self.task.marks else []
        self._sight = self._make_sight(pins, threads)
        if self._sight is not None:
            self.images = self._sight.pipeline.images
        motion = self._motion(self._action)
        self.privileged = self._critic.see(motion, self._draws)
        tells = experiment.teacher.tells if experiment.teacher else ()
        self.told_columns = self._critic.columns(tells, motion)

    def _make_randomizer(self, ahead: World, pins: Mapping[str, float]) -> Randomizer:
        """What draws the episodes, in the world where they begin; its like where they go on."""
        experiment = self.experiment
        randomizer = Randomizer(experiment.randomization, ahead, pins, experiment.schedule)
        if experiment.engine != "mujoco":
            refuse_not_followed(randomizer, experiment.engine)
        self._redrawing: Randomizer | None = None
        if randomizer.changes_within_episodes:
            self._redrawing = Randomizer(experiment.randomization, self._world, pins)
        return randomizer

    def _make_sight(self, pins: Mapping[str, float], threads: int) -> Sight | None:
        """The cameras, if there are some."""
        experiment = self.experiment
        if not experiment.cameras:
            return None
        late = 1e-3 * reach(experiment.randomization, pins, CAMERA_LATENCY)[1]
        return Sight(experiment.cameras, self._world, experiment.control_rate, late, threads)

    def _refuse_other_objects(self, tracked: tuple[str, ...]) -> None:
        if tracked != self.task.objects:
            raise UserError(
                f"task {self.task.name}: objects {self.task.objects}, and its scene has {tracked}: a "
                "loose body is one with sensors NAME_position and NAME_orientation of its frame"
            )

    def _places_of_marks(self) -> list[tuple[NDArray[np.float64], int]]:
        """(count,) live numbers of each place along an axis that shows a command, and which one."""
        physics, names = self.physics, [command.name for command in self.task.commands]
        if not isinstance(physics, MujocoPhysics):
            return []  # nobody sees them
        return [
            (physics.mark_position[:, physics.model.body(mark).mocapid[0], axis], names.index(name))
            for mark, asked in self.task.marks.items()
            for axis, name in enumerate(asked)
        ]

    def _mark(self, ids: Ids) -> None:
        """Show what is asked."""
        for place, command in self._marks:
            place[ids] = self.command[ids, command]

    def _prepare(self, seeds: SeedArray, draws: NDArray[np.float64]) -> None:
        self._beginnings.prepare(seeds, draws)

    def _start(self, ids: Ids, rows: Ids) -> tuple[Float32Array, Float32Array]:
        ready = self._beginnings
        self._world.take(ids, ready.world, rows)
        self._pipeline.take(ids, ready.pipeline, rows)
        self._to_command.take(ids, ready.to_command, rows)
        self.command[ids] = ready.command[rows]
        self._action[ids] = 0.0
        self._mark(ids)
        if self._sight is not None:
            self._sight.begin(ids, EpisodeRandom(self._ready_seeds[rows]))
        return ready.observation[rows], ready.privileged[rows]

    def symmetry(self) -> Symmetry:
        """See the base class."""
        mirror = self._mirror
        if mirror is None:
            raise UserError(
                f"robot {self.contract.robot.name} has no mirror image: symmetric: false, or describe "
                "`mirror` in its robot.yaml"
            )
        return make_symmetry(self.contract, mirror, self.task.reversed_commands)

    @property
    def terrain(self) -> TerrainMap | None:
        """What the robots walk on, where that is not flat."""
        return self._world.terrain

    @property
    def camera_effects(self) -> CameraEffects:
        """What lens and sensor of each simulation's cameras do to images."""
        return self._world.camera

    def measured_state(self) -> RobotState:
        """What the controllers know now: (count, joints) arrays, time in s since the episode began."""
        return self._world.read(self._elapsed / self.experiment.control_rate)

    @property
    def target(self) -> NDArray[np.float64]:
        """(count, actuators) what the actuators were last told, in their units."""
        return self._to_command.target

    def step(self, action: NDArray[np.floating]) -> Step:
        """Take (count, actuators) actions in [-1, 1]; see the base class."""
        refuse_no_numbers(action, self.contract.robot.actuator_names)
        previous, self._action = (
            self._action,
            np.minimum(np.maximum(action, -1.0), 1.0).astype(np.float64),
        )
        self._elapsed += 1
        if self._redrawing is not None:
            self._change_parameters(self._redrawing)
        self._world.advance(self._to_command(self._action).target, self._random, self._elapsed)
        motion = self._motion(previous)
        diverged = self.physics.diverged
        reward = np.zeros(self.count)
        for weight, function in self._rewards:
            reward += weight * function(motion)
        if self._world.residual is not None and self._penalty > 0.0:
            reward -= self._penalty * self._world.residual.disagreement
        goal = self.task.goal(motion) & ~diverged
        for place, function in enumerate(self.task.metrics.values()):
            self._metric_sums[:, place] += np.where(diverged, 0.0, function(motion))
        self._change_commands(motion)
        observation = self._pipeline(self.measured_state(), self._action, self.command, self.target)
        privileged = self._critic.see(motion, self._draws)
        if self._sight is not None:
            self._sight.see(self._random, self._elapsed)
        if diverged.any():
            # The last sane observation stands in for one of a simulation that has blown up.
            observation[diverged] = self._observation[diverged]
            privileged[diverged] = self.privileged[diverged]
            reward[diverged] = 0.0
        self._observation, self.privileged = observation, privileged
        self._count(reward, goal)
        ended_by = self._terminations(motion, diverged)
        terminated = ended_by >= 0
        truncated = (self._elapsed >= self.steps_of_episode) & ~terminated
        causes = [*self.task.terminations, DIVERGED, TIME_LIMIT]
        return self._conclude(reward, terminated, truncated, lambda row: causes[ended_by[row]])

    def _motion(self, previous_action: NDArray[np.float64]) -> Motion:
        physics = self.physics
        joints = physics.joint_position, physics.joint_velocity
        actions = self._action, previous_action
        return Motion(*joints, *actions, self.command, physics, self._world.terrain)

    def _change_commands(self, motion: Motion) -> None:
        """Ask something else where the time for it has come; the motion is then judged by that."""
        ids, numbers = self._commands.changing(self._elapsed)
        if ids.size:
            random = EpisodeRandom(self._random.seeds[ids])
            self.command = self.command.copy()
            self.command[ids] = self._commands.draw(random, numbers)
            motion.command = self.command
            self._mark(ids)

    def _change_parameters(self, randomizer: Randomizer) -> None:
        """Draw anew what changes within an episode, where the time for it has come."""
        ids, numbers = self._world.events.changing(self._random, self._elapsed)
        if ids.size:
            random = EpisodeRandom(self._random.seeds[ids])
            randomizer.apply(ids, randomizer.redraw(random, self._draws[ids], numbers))

    def _terminations(self, motion: Motion, diverged: NDArray[np.bool_]) -> NDArray[np.int64]:
        """(count,) index into the causes of an end for good, or -1."""
        cause = np.full(self.count, -1)
        for index, function in enumerate(self.task.terminations.values()):
            cause[function(motion)] = index
        cause[diverged] = len(self.task.terminations)
        return cause


def _build_world(
    experiment: ExperimentConfig,
    count: int,
    pins: Mapping[str, float],
    threads: int,
    residual: ResidualModel | None,
) -> World:
    """Simulations of an experiment's robot, where it stands."""
    return build_world(
        load_robot(experiment.robot),
        count,
        experiment.randomization,
        pins,
        experiment.control_rate,
        threads,
        experiment.scene,
        experiment.engine,
        residual,
    )
