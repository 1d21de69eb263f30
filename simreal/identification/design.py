"""What to record next: commands that a robot's limits allow and that tell chosen parameters best.

D-optimal design (Atkinson, Donev and Tobias, Optimum Experimental Designs, 2007): of all sums of a few
sines, the one whose log would make the determinant of the unknowns' information largest (Swevers et al.,
IEEE Trans. Robotics and Automation 13, 1997, for the basis). Information is that of windows whose starts
are fitted along, as identification will have it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from simreal.contract import Actuator, Joint
from simreal.errors import UserError, missing_extra
from simreal.excitation_file import Excitation
from simreal.identification.least_squares import Search
from simreal.identification.recording import Recording
from simreal.identification.residuals import Noise
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import Asked, starts
from simreal.identification.windows import Windows, cut
from simreal.state import FloatArray

HARMONICS = 6
LOWEST = 0.2
"""Hz."""
RAMP = 1.0
"""s, over which an excitation begins and ends: a robot is not to be jerked."""
MARGIN = 0.85
"""Of the way from rest to a joint's limits, of its speed and of a servo's effort: what may be used."""
SPAN = 0.7
"""Of an actuator's range."""
NOISE = 1e-3
"""rad, of a measurement. Its size changes no design."""
WEAKER = 0.8 ** np.arange(12)
"""Shares of a plain chirp that are tried for one that keeps all limits: down to a twelfth."""
EXCESS = -100.0
"""Score of what exceeds a limit; of what keeps all, it is never below zero."""
POPULATION, GENERATIONS, SEED = 12, 25, 1
"""Of the search."""


@dataclass(frozen=True, slots=True)
class Design:
    """What was found.

    Attributes:
        excitation: to play.
        gain: by which the mean deviation of the unknowns is smaller than with a plain chirp.
        names: of the unknowns.
        reach: joint to the largest excursion and speed, from zero.
    """

    excitation: Excitation
    gain: float
    names: list[str]
    reach: dict[str, tuple[float, float]]


def design_excitation(
    setup: Setup,
    asked: Sequence[Asked],
    duration: float,
    rate: float,
    highest: float,
    tell: Callable[[str, int], None] | None = None,
    generations: int = GENERATIONS,
) -> Design:
    """Search for the excitation.

    Args:
        setup: of the robot.
        asked: what is to be found.
        duration: s.
        rate: Hz, of commands and measurements.
        highest: Hz, of the sines.
        tell: is told at once how much is to be simulated, by 0, then what is reached, and in how many
            rounds: that of plain chirps, and the generations.
        generations: of the search.

    Raises:
        UserError: names that do not fit the robot; limits that nothing keeps; the package `cma` is not
            installed.
    """
    try:
        import cma
    except ModuleNotFoundError:
        raise missing_extra("cma", "adapt") from None
    family = _Family(setup, duration, rate, highest)
    judge = _Judge(setup, asked, family)
    options = {"seed": SEED, "verbose": -9, "popsize": POPULATION, "maxiter": generations}
    say = tell or (lambda text, done: None)
    say(f"{1 + generations} rounds of {judge.describe_round()}", 0)
    # Where a plain chirp goes beyond limits, a weaker one is the measure.
    plain = family.chirplike() * WEAKER[:, None]
    plain_scores = judge.scores(plain)
    best, best_score = plain[int(plain_scores.argmax())], float(plain_scores.max())
    reference = best_score
    say(f"log determinant {best_score:.4g}", 1)
    strategy = cma.CMAEvolutionStrategy(best, 0.3, options)
    for generation in range(generations):
        candidates = np.array(strategy.ask())
        scores = judge.scores(candidates)
        strategy.tell(list(candidates), (-scores).tolist())
        if scores.max() > best_score:
            best, best_score = candidates[int(scores.argmax())], float(scores.max())
        say(f"log determinant {best_score:.4g}", generation + 2)
        if strategy.stop():
            break
    description = setup.robot.description
    if best_score < 0.0:  # with all limits kept it is none
        raise UserError(
            f"{description.name}: nothing was found that keeps its limits (safety, in robot.yaml); "
            f"in simulation, the best goes {best_score / EXCESS - 1.0:.2g} beyond one, in its unit"
        )
    commands = family.commands(best[None])[0]
    excitation = Excitation(
        robot=description.name,
        actuators=description.actuator_names,
        units=tuple(each.unit for each in description.actuators),
        rate=rate,
        targets=tuple(tuple(map(float, row)) for row in commands),
        provenance=f"simreal design for {', '.join(judge.names)}",
    )
    # A log determinant is the sum of the logarithms of all variances' inverses.
    gain = float(np.exp(0.5 * (best_score - reference) / len(judge.names)))
    return Design(excitation, gain, judge.names, judge.reach(best))


class _Family:
    """Sums of sines, one set of coefficients for each actuator."""

    def __init__(self, setup: Setup, duration: float, rate: float, highest: float) -> None:
        self.time = np.arange(round(duration * rate) + 1) / rate
        self.rate, self._actuators = rate, setup.robot.description.actuators
        frequency = np.geomspace(LOWEST, max(highest, 2.0 * LOWEST), HARMONICS)
        angle = 2.0 * np.pi * self.time[:, None] * frequency
        ends = np.minimum(self.time, self.time[-1] - self.time) / min(RAMP, 0.25 * duration)
        ramp = np.clip(ends, 0.0, 1.0)
        self._waves = ramp[:, None] * np.concatenate((np.sin(angle), np.cos(angle)), axis=1)
        bounds = [_bounds(each, setup) for each in self._actuators]
        self._centre = np.array([centre for centre, _ in bounds])
        self._span = np.array([span for _, span in bounds])
        self._speed = np.array([_target_speed(each, setup) for each in self._actuators])

    def chirplike(self) -> FloatArray:
        """(coefficients,) where the search begins: all frequencies alike."""
        width = self._waves.shape[1]
        size = 0.5 / np.sqrt(width)
        phase = np.arange(len(self._actuators) * width) * 2.4
        start: FloatArray = size * np.cos(phase)
        return start

    def commands(self, coefficients: FloatArray) -> FloatArray:
        """(candidates, ticks, actuators), each within its bounds: what is too large or fast shrinks."""
        shaped = coefficients.reshape(len(coefficients), len(self._actuators), -1)
        waves = np.einsum("tk,cak->cta", self._waves, shaped)
        largest = np.abs(waves).max(axis=1, keepdims=True)
        motion = self._span * waves / np.maximum(largest, 1.0)
        fastest = np.abs(np.diff(motion, axis=1)).max(axis=1, keepdims=True) * self.rate
        bounded: FloatArray = self._centre + motion * np.minimum(
            1.0, self._speed / np.maximum(fastest, 1e-9)
        )
        return bounded


def _joint_of(actuator: Actuator, setup: Setup) -> Joint:
    return next(each for each in setup.robot.description.joints if each.name == actuator.joint)


def _bounds(actuator: Actuator, setup: Setup) -> tuple[float, float]:
    """Centre and span of an actuator's commands; of a servo, around its default position."""
    joint = _joint_of(actuator, setup)
    if actuator.command != "position":
        centre = 0.5 * (actuator.lower + actuator.upper)
        return centre, SPAN * 0.5 * (actuator.upper - actuator.lower)
    centre = joint.default_position
    return centre, SPAN * min(centre - actuator.lower, actuator.upper - centre)


def _target_speed(actuator: Actuator, setup: Setup) -> float:
    """How fast a servo's targets may move, rad/s or m/s: a loop refuses or limits faster ones."""
    if actuator.command != "position":
        return np.inf
    joint = _joint_of(actuator, setup)
    known = joint.velocity_limit, setup.robot.config.safety.command_rate.get(actuator.name)
    return MARGIN * min((each for each in known if each is not None), default=np.inf)


class _Servos:
    """What targets ask of position servos: a loop brings those nearer that ask for too much."""

    def __init__(self, setup: Setup) -> None:
        description, limits = setup.robot.description, setup.robot.config.safety.command_effort
        servos = [
            (column, each, MARGIN * limits[each.name])
            for column, each in enumerate(description.actuators)
            if each.stiffness is not None and each.name in limits
        ]
        self._columns = [column for column, _, _ in servos]
        self._joints = [description.joint_names.index(each.joint) for _, each, _ in servos]
        self._stiffness = np.array([each.stiffness for _, each, _ in servos])
        self._damping = np.array([each.damping or 0.0 for _, each, _ in servos])
        self._limit = np.array([limit for _, _, limit in servos])

    def excess(self, commands: FloatArray, motion: FloatArray) -> FloatArray:
        """(candidates,) N·m or N by which an effort that is asked for exceeds what `safety` allows."""
        position, speed = (motion[:, :, row, self._joints] for row in range(2))
        effort = self._stiffness * (commands[:, :, self._columns] - position) - self._damping * speed
        beyond = np.nan_to_num(np.maximum(np.abs(effort) - self._limit, 0.0), nan=1e3)
        largest: FloatArray = beyond.max(axis=(1, 2), initial=0.0)
        return largest


class _Judge:
    """Simulates candidates, and says how much their logs would tell."""

    def __init__(self, setup: Setup, asked: Sequence[Asked], family: _Family) -> None:
        self._setup, self._asked, self._family = setup, asked, family
        description = setup.robot.description
        safety = setup.robot.config.safety
        self._low, self._high, self._speed = np.tile(
            [[-np.inf], [np.inf], [np.inf]], len(description.joints)
        )
        for column, joint in enumerate(description.joints):
            low, high = safety.joint_position.get(joint.name, (joint.lower, joint.upper))
            rest = joint.default_position
            self._low[column] = -np.inf if low is None else rest + MARGIN * (low - rest)
            self._high[column] = np.inf if high is None else rest + MARGIN * (high - rest)
            speed = safety.joint_velocity.get(joint.name, joint.velocity_limit)
            self._speed[column] = np.inf if speed is None else MARGIN * speed
        self._servos = _Servos(setup)
        self._rest = np.array([each.default_position for each in description.joints])
        self.names = Simulator(
            setup, self._windows(family.commands(family.chirplike()[None])), asked
        ).names

    def describe_round(self) -> str:
        """What judging a generation takes, for people."""
        # Twice the motion itself, once for each derivative: by an unknown, or by the start of a window.
        each = 2 + len(self.names) + 2 * len(self._rest)
        return (
            f"{POPULATION * each} simulations of {self._family.time[-1]:g} s "
            f"(unknowns: {len(self.names)}, joints: {len(self._rest)})"
        )

    def _windows(self, commands: FloatArray) -> Windows:
        """The whole of each candidate as one window, from rest."""
        time = self._family.time
        joints = len(self._rest)
        still = np.broadcast_to(self._rest, (len(time), joints))
        recordings = tuple(
            Recording(f"candidate {number}", "design", time, each, time, still, None)
            for number, each in enumerate(commands)
        )
        count = len(recordings)
        state = np.zeros((count, 2, joints))
        state[:, 0] = self._rest
        return Windows(
            recordings,
            np.arange(count),
            np.zeros(count),
            float(time[-1]),
            np.tile(time, (count, 1)),
            np.tile(still, (count, 1, 1)),
            None,
            np.ones((count, len(time)), dtype=bool),
            state,
            np.full((count, 2, joints), NOISE),
            None,
        )

    def _nominal(self, commands: FloatArray) -> FloatArray:
        """(candidates, ticks, 2, joints) motions of the robot as it is thought to be."""
        windows = self._windows(commands)
        simulator = Simulator(self._setup, windows, self._asked)
        motion: FloatArray = simulator.predict(starts(simulator.unknowns)[None])[0]
        return motion

    def scores(self, coefficients: FloatArray) -> FloatArray:
        """(candidates,) log determinants of the information; far below where a limit is exceeded."""
        commands = self._family.commands(coefficients)
        motion = self._nominal(commands)
        excess = np.maximum(self._excess(motion), self._servos.excess(commands, motion))
        recordings = [
            Recording(
                f"candidate {number}",
                "design",
                self._family.time,
                command,
                self._family.time,
                np.nan_to_num(each[:, 0]),
                None,
            )
            for number, (command, each) in enumerate(zip(commands, motion, strict=True))
        ]
        windows = cut(recordings, 1.0, resolution=NOISE)
        simulator = Simulator(self._setup, windows, self._asked)
        noise = Noise(np.full(len(self._rest), NOISE))
        jacobian = Search(simulator).linearised(starts(simulator.unknowns), noise).eliminate()[1]
        wide = np.array([(each.high - each.low) / each.step for each in simulator.unknowns])
        scores = np.empty(len(commands))
        for number in range(len(commands)):
            part = (jacobian[windows.source == number] * wide).reshape(-1, len(wide))
            _, scores[number] = np.linalg.slogdet(part.T @ part + np.eye(len(wide)))
        result: FloatArray = np.where(excess > 0.0, EXCESS * (1.0 + excess), scores)
        return result

    def _excess(self, motion: FloatArray) -> FloatArray:
        """(candidates,) by which limits are exceeded, in rad and rad/s."""
        position, speed = motion[:, :, 0], np.abs(motion[:, :, 1])
        beyond = np.maximum(self._low - position, 0.0) + np.maximum(position - self._high, 0.0)
        beyond = beyond + np.maximum(speed - self._speed, 0.0)
        largest: FloatArray = np.nan_to_num(beyond, nan=1e3).max(axis=(1, 2))
        return largest

    def reach(self, coefficients: FloatArray) -> dict[str, tuple[float, float]]:
        """Joint to the largest excursion and speed of a candidate."""
        motion = np.abs(self._nominal(self._family.commands(coefficients[None]))[0]).max(axis=0)
        names = self._setup.robot.description.joint_names
        return {name: (float(motion[0, i]), float(motion[1, i])) for i, name in enumerate(names)}
