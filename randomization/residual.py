"""What a robot does beyond its model: a small ensemble of networks that adds torques, fitted to logs.

The networks see what the last control steps were like: of each position servo the position error, of
other actuators the command, and the velocities of the joints; and where the joints are now. They say
which torque the model lacks. Where they disagree, logs have said little, and nobody should rely on it.
"""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from simreal.contract import RobotDescription
from simreal.errors import UserError
from simreal.files import describe, write_atomically
from simreal.physics.interface import Physics
from simreal.randomization.posterior import Source
from simreal.randomization.quantities import Quantities
from simreal.state import FloatArray, Ids

FORMAT: Final = "simreal-residual"
VERSION: Final = 1
FURTHEST = 4.0
"""Standard deviations beyond which an input is cut: further, no log has been."""


@dataclass(frozen=True, slots=True)
class ResidualModel:
    """An ensemble of networks, and what they are of.

    Attributes:
        robot: its name.
        joints: of the robot, in order.
        outputs: places of the joints whose torques are added.
        servos: (actuators,) which of them are position servos.
        driven: (actuators,) place of the joint that each drives.
        turns: (joints,) which are seen by sine and cosine, since they turn without end.
        period: s of a control step.
        history: control steps that are seen, with the present one.
        mean: (features,) of what was seen.
        deviation: (features,) likewise.
        weights: of each layer, (members, inputs, outputs) and (members, outputs).
        scale: (outputs,) N·m or N, deviation of the torques that were fitted.
        limit: (outputs,) N·m or N, largest torque that is added.
        strength: share of it that is added unless `residual_strength` is drawn.
        provenance: how it was fitted, for people.
        sources: logs that it was fitted to, with those by which its strength was chosen.
    """

    robot: str
    joints: tuple[str, ...]
    outputs: NDArray[np.int64]
    servos: NDArray[np.bool_]
    driven: NDArray[np.int64]
    turns: NDArray[np.bool_]
    period: float
    history: int
    mean: FloatArray
    deviation: FloatArray
    weights: tuple[tuple[FloatArray, FloatArray], ...]
    scale: FloatArray
    limit: FloatArray
    strength: float = 1.0
    provenance: str = ""
    sources: tuple[Source, ...] = ()

    def signal(self, target: FloatArray, position: FloatArray) -> FloatArray:
        """(n, actuators) position errors of servos, commands of other actuators."""
        result: FloatArray = np.where(self.servos, target - position[:, self.driven], target)
        return result

    def features(self, position: FloatArray, velocities: FloatArray, signals: FloatArray) -> FloatArray:
        """What the networks see.

        Args:
            position: (n, joints) now.
            velocities: (n, history, joints), newest first.
            signals: (n, history, actuators), likewise.

        Returns:
            (n, features).
        """
        turning, others = position[:, self.turns], position[:, ~self.turns]
        flat = [each.reshape(len(position), -1) for each in (velocities, signals)]
        return np.concatenate((others, np.sin(turning), np.cos(turning), *flat), axis=1)

    def members(self, features: FloatArray) -> FloatArray:
        """(members, n, outputs) torque of each member, in N·m or N, before limit and strength."""
        seen = np.clip((features - self.mean) / self.deviation, -FURTHEST, FURTHEST)
        layer = np.broadcast_to(seen, (len(self.weights[0][0]), *seen.shape))
        for place, (weight, bias) in enumerate(self.weights):
            layer = np.matmul(layer, weight) + bias[:, None]
            if place < len(self.weights) - 1:
                layer = np.tanh(layer)
        return layer * self.scale

    def torque(self, features: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What is added at full strength, (n, outputs), and how far the members disagree, (n,).

        The disagreement is their standard deviation in those of the fitted torques, the largest over
        the outputs.
        """
        each = self.members(features)
        torque = np.clip(each.mean(axis=0), -self.limit, self.limit)
        return torque, (each.std(axis=0) / self.scale).max(axis=1)


def write_residual(path: Path, model: ResidualModel) -> None:
    """Write a model as .npz, without pickle.

    Raises:
        UserError: the disk or the folder refuses.
    """
    header = {
        "format": FORMAT,
        "version": VERSION,
        "robot": model.robot,
        "joints": model.joints,
        "period": model.period,
        "history": model.history,
        "strength": model.strength,
        "provenance": model.provenance,
        "sources": [each.model_dump() for each in model.sources],
        "layers": len(model.weights),
    }
    arrays = {name: getattr(model, name) for name in ARRAYS}
    for place, (weight, bias) in enumerate(model.weights):
        arrays |= {f"weight_{place}": weight, f"bias_{place}": bias}

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)

    write_atomically(path, write)


ARRAYS = ("outputs", "servos", "driven", "turns", "mean", "deviation", "scale", "limit")


def read_residual(path: Path) -> ResidualModel:
    """Read a model.

    Raises:
        UserError: no such file, or none of a residual model.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            if header.get("format") != FORMAT:
                raise UserError(f"{path}: not a residual model: {header.get('format')!r}")
            if header["version"] != VERSION:
                raise UserError(
                    f"{path}: version {header['version']} of the format, this simreal reads {VERSION}"
                )
            model = _from_arrays(header, {name: file[name] for name in file.files})
    except UserError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile):
        raise UserError(f"{path}: {describe(path)}; expected what simreal fit-actuator writes") from None
    _check(model, path)
    return model


def _from_arrays(header: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> ResidualModel:
    layers = range(int(header["layers"]))
    return ResidualModel(
        robot=str(header["robot"]),
        joints=tuple(map(str, header["joints"])),
        period=float(header["period"]),
        history=int(header["history"]),
        strength=float(header["strength"]),
        provenance=str(header["provenance"]),
        sources=tuple(Source(**each) for each in header.get("sources", ())),
        weights=tuple((arrays[f"weight_{n}"], arrays[f"bias_{n}"]) for n in layers),
        **{name: arrays[name] for name in ARRAYS},
    )


def _check(model: ResidualModel, path: Path) -> None:
    """Refuse numbers that do not fit together, before the physics trips over them."""
    joints, actuators = len(model.joints), len(model.servos)
    try:
        if not all(np.isfinite(each).all() for pair in model.weights for each in pair):
            raise ValueError
        if not (model.period > 0.0 and np.isfinite([model.period, model.strength]).all()):
            raise ValueError
        if model.history * (joints + actuators) > len(model.mean):
            raise ValueError
        still = np.zeros((1, joints))
        model.signal(np.zeros((1, actuators)), still)
        rows = np.zeros((1, model.history, joints)), np.zeros((1, model.history, actuators))
        torque, _ = model.torque(model.features(still, *rows))
        if torque.shape != (1, len(model.outputs)) or not np.isfinite(torque).all():
            raise ValueError
        if model.outputs.min() < 0 or model.outputs.max() >= joints:
            raise ValueError
    except (ValueError, IndexError):
        raise UserError(f"{path}: damaged: its arrays do not fit together") from None


class Residual:
    """The residual torques of `count` simulated robots, once for each control step.

    Attributes:
        model: that says them.
        names: of the joints that they act on.
        quantities: ``strength`` (count, outputs), the share of the torques that acts.
        disagreement: (count,) of the members in the last control step.
    """

    def __init__(self, model: ResidualModel, robot: RobotDescription, physics: Physics) -> None:
        """Act on the physics of a robot.

        Raises:
            UserError: a model of another robot, or of another control rate.
        """
        if model.robot != robot.name or model.joints != robot.joint_names:
            raise UserError(f"residual: of robot {model.robot}, not of {robot.name}")
        if len(model.servos) != len(robot.actuators):
            raise UserError(f"residual: of {len(model.servos)} actuators, not {len(robot.actuators)}")
        period = physics.substeps * physics.timestep
        if abs(model.period / period - 1.0) > 1e-6:
            raise UserError(
                f"residual: fitted to steps of {1e3 * model.period:g} ms, the control step is "
                f"{1e3 * period:g} ms: simreal fit-actuator --rate {1.0 / period:g}"
            )
        self.model, self._physics = model, physics
        self.names = tuple(robot.joint_names[place] for place in model.outputs)
        self._dofs = np.array([physics.model.joint(name).dofadr[0] for name in self.names])
        default = np.full(len(self.names), model.strength)
        self.quantities = Quantities(physics.count, {"strength": default})
        joints, actuators = len(robot.joints), len(robot.actuators)
        self._velocities = np.zeros((physics.count, model.history, joints))
        self._signals = np.zeros((physics.count, model.history, actuators))
        self._fresh = np.ones(physics.count, dtype=bool)
        self.disagreement = np.zeros(physics.count)

    def reset(self, ids: Ids) -> None:
        """Begin episodes: the first control step stands for all before it."""
        self._fresh[ids] = True
        self.disagreement[ids] = 0.0

    def remember(self, velocities: FloatArray, signals: FloatArray) -> None:
        """Begin all episodes with what came before them, where that is known.

        Args:
            velocities: (count, history - 1, joints) of the control steps before the first, newest first.
            signals: (count, history - 1, actuators), likewise.
        """
        self._velocities[:, :-1], self._signals[:, :-1] = velocities, signals
        self._fresh[:] = False

    def take(self, ids: Ids, source: "Residual", rows: Ids) -> None:
        """Go on in some simulations as others, of the same robot, would."""
        self.quantities.take(ids, source.quantities, rows)
        for name in ("_velocities", "_signals", "_fresh", "disagreement"):
            getattr(self, name)[ids] = getattr(source, name)[rows]

    def advance(self, target: FloatArray) -> None:
        """Set the torques for the next control step.

        Args:
            target: (count, actuators) commands that are sent now, in the actuators' units.
        """
        position, velocity = self._physics.joint_position, self._physics.joint_velocity
        signal = self.model.signal(target, position)
        for past, now in ((self._velocities, velocity), (self._signals, signal)):
            past[:, 1:] = past[:, :-1].copy()
            past[:, 0] = now
            past[self._fresh] = now[self._fresh, None]
        self._fresh[:] = False
        features = self.model.features(position, self._velocities, self._signals)
        torque, self.disagreement = self.model.torque(features)
        strength = self.quantities.get("strength")
        share = self.quantities.defaults["strength"] if strength is None else strength
        self._physics.dof_force[:, self._dofs] = share * torque
