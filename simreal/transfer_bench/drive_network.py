"""Actuator networks of hidden robots: small fixed networks for a drive that no learner's model has.

A network sees of each actuator what the last control steps were like (position errors of servos,
commands of other actuators, the joint's speed now) and says by which torque the drive differs from the
model's. It is fitted here to a law of which the learners have no part: windings in which current rises
slowly, iron that saturates, gears that lose more when they drive than when they are driven. The files in
``networks`` are what ``python -m simreal.transfer_bench.drive_network`` writes, from `LAWS` alone.
"""

import sys
from dataclasses import dataclass

import numpy as np

from simreal.contract import RobotDescription
from simreal.errors import UserError, nearest
from simreal.experiment import load_experiment
from simreal.physics.drives import Drive, effort_limit, read_drives
from simreal.randomization.build import build_world
from simreal.randomization.residual import ResidualModel, write_residual
from simreal.robots import load_robot
from simreal.state import FloatArray
from simreal.transfer_bench.target import network_file
from simreal.transfer_bench.targets import BASES

HISTORY = 5
"""Control steps that a network sees."""
UNITS = 48
"""Hidden ones for each actuator."""
LESSONS = 20_000
RIDGE = 1e-4
SUBSTEPS = 20
"""Of a control step, in which the law is followed."""
SMOOTHEST = 0.95
"""Correlation of one control step's signal with the next, at most."""


@dataclass(frozen=True, slots=True)
class Law:
    """A drive, in shares of its largest torque and of its joint's largest speed.

    Attributes:
        rise_s: s, in which 63 % of a torque is there.
        knee: torque to which iron bends the curve: of x, ``knee tanh(x / knee)`` is left.
        loss: share of the torque that gears lose while they drive.
        seed: of the lessons and of the network's hidden layer.
    """

    rise_s: float
    knee: float
    loss: float
    seed: int

    def follow(self, asked: FloatArray, speed: FloatArray, period: float) -> FloatArray:
        """(n,) mean torque in the last of some control steps.

        Args:
            asked: (n, steps) torques, oldest first; before the first, as in the first.
            speed: (n,) in the last.
            period: s, of a control step.
        """
        keep = np.exp(-period / SUBSTEPS / self.rise_s)
        torque, total = asked[:, 0].copy(), np.zeros(len(asked))
        for column in asked.T:
            total[:] = 0.0
            for _ in range(SUBSTEPS):
                torque = keep * torque + (1.0 - keep) * column
                total += self._at_joint(torque, speed) / SUBSTEPS
        return total

    def _at_joint(self, torque: FloatArray, speed: FloatArray) -> FloatArray:
        bent = self.knee * np.tanh(torque / self.knee)
        drives = 0.5 + 0.5 * np.tanh(20.0 * bent * speed)
        left: FloatArray = bent * (1.0 - self.loss * drives)
        return left


LAWS = {
    "qube": Law(rise_s=0.006, knee=1.1, loss=0.1, seed=81),
    "so101": Law(rise_s=0.025, knee=1.0, loss=0.2, seed=82),
    "go2": Law(rise_s=0.008, knee=1.2, loss=0.12, seed=83),
}
"""By robot: a small motor with an amplifier, hobby servos, quasi-direct drives."""


def make_network(robot: str) -> ResidualModel:
    """The network of a robot, from its law and its seed alone.

    Raises:
        UserError: a robot without a law.
    """
    if robot not in LAWS:
        raise UserError(f"no actuator network of robot {robot!r}: {nearest(robot, LAWS)}")
    period = 1.0 / load_experiment(BASES[robot]).control_rate
    machine, law = load_robot(robot), LAWS[robot]
    model = build_world(machine, 1, {}, {}, threads=1).physics.model
    known = {each.name: each for each in read_drives(model)[0]}
    drives = [known[name] for name in machine.description.actuator_names]
    largest = np.array([effort_limit(model, each) for each in drives], dtype=np.float64)
    hidden, out = _fitted(law, period)
    return _assembled(robot, machine.description, drives, largest, period, hidden, out)


def _fitted(law: Law, period: float) -> tuple[FloatArray, FloatArray]:
    """Layers of one actuator's network: (1 + history, units) and (units,).

    Its hidden layer is drawn and stays; there are no biases, so that it is odd and says nothing at rest.
    """
    random = np.random.default_rng(law.seed)
    signal, speed = _lessons(random)
    asked = np.clip(signal, -1.0, 1.0)
    # What arrives in a control step was sent in the one before: of the newest signal it knows nothing.
    torque = law.follow(asked[:, :0:-1], speed, period)
    seen = np.column_stack((4.0 * speed, 2.0 * signal[:, 1:]))  # in deviations, see `_assembled`
    hidden = np.zeros((1 + HISTORY, UNITS))
    rows = [0, *range(2, 1 + HISTORY)]
    hidden[rows] = random.normal(0.0, 0.7, (len(rows), UNITS)) / np.sqrt(len(rows))
    features = np.tanh(seen @ hidden[rows])
    gram = features.T @ features / len(features) + RIDGE * np.eye(UNITS)
    aim = features.T @ (torque - asked[:, 1]) / len(features)
    return hidden, np.linalg.solve(gram, aim).astype(np.float64)


def _lessons(random: np.random.Generator) -> tuple[FloatArray, FloatArray]:
    """(n, history) signals, newest first, in those of the largest torque, and (n,) speeds."""
    smooth = random.uniform(0.0, SMOOTHEST, LESSONS)
    steps = [random.standard_normal(LESSONS)]
    for _ in range(HISTORY - 1):
        fresh = random.standard_normal(LESSONS)
        steps.append(smooth * steps[-1] + np.sqrt(1.0 - smooth**2) * fresh)
    signal = random.uniform(0.0, 1.5, (LESSONS, 1)) * np.column_stack(steps)
    return np.clip(signal, -2.0, 2.0), np.clip(0.25 * random.standard_normal(LESSONS), -1.0, 1.0)


def _assembled(
    robot: str,
    description: RobotDescription,
    drives: list[Drive],
    largest: FloatArray,
    period: float,
    hidden: FloatArray,
    out: FloatArray,
) -> ResidualModel:
    """One network of all actuators, in which each sees its own joint alone."""
    joints, count = len(description.joints), len(drives)
    driven = np.array([description.joint_names.index(each.joint) for each in description.actuators])
    turns = np.array([each.unit == "rad" and each.lower is None for each in description.joints])
    places = joints + int(turns.sum())  # where joints are: of no effect on a drive
    features = places + HISTORY * (joints + count)
    full = largest / np.array([each.stiffness or each.scale for each in drives])
    fastest = np.array([each.velocity_limit or np.inf for each in description.joints])
    typical = np.tile(fastest / 4.0, HISTORY), np.tile(full / 2.0, HISTORY)
    deviation: FloatArray = np.concatenate((np.ones(places), *typical)).astype(np.float64)
    first, last = np.zeros((1, features, count * UNITS)), np.zeros((1, count * UNITS, count))
    for actuator, joint in enumerate(driven):
        own = slice(actuator * UNITS, (actuator + 1) * UNITS)
        signals = places + HISTORY * joints + actuator + count * np.arange(HISTORY)
        first[0, places + joint, own], first[0, signals, own] = hidden[0], hidden[1:]
        last[0, own, actuator] = out
    return ResidualModel(
        robot=robot,
        joints=description.joint_names,
        outputs=driven,
        servos=np.array([each.command == "position" for each in drives]),
        driven=driven,
        turns=turns,
        period=period,
        history=HISTORY,
        mean=np.zeros(features),
        deviation=deviation,
        weights=((first, np.zeros((1, count * UNITS))), (last, np.zeros((1, count)))),
        scale=largest,
        limit=largest,
        provenance=f"python -m simreal.transfer_bench.drive_network {robot}: {LAWS[robot]}",
    )


if __name__ == "__main__":
    for named in sys.argv[1:] or LAWS:
        write_residual(network_file(named), make_network(named))
