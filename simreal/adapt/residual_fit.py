"""Fits a residual model to logs: an ensemble in torch, judged by logs that it has not seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from simreal.adapt.identified_robot import refuse_misfits
from simreal.adapt.residual_data import Lessons, blank_model, lessons
from simreal.adapt.residual_simulator import ResidualSimulator
from simreal.adapt.residual_split import SHARE_HELD_OUT, hold_out, refuse_too_few
from simreal.callbacks import Tell
from simreal.errors import UserError
from simreal.identification.fitting import LEAD, Cutting, starts_from_leads
from simreal.identification.recording import Recording
from simreal.identification.residuals import errors
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import Asked, read_asked, resolve
from simreal.identification.windows import Windows, cut
from simreal.randomization.posterior import read_posterior
from simreal.randomization.residual import ResidualModel
from simreal.robots import Robot
from simreal.state import FloatArray

MEMBERS = 5
WIDTH = 32
HISTORY = 4
BATCH = 512
MOST_EPOCHS = 60
PATIENCE = 6
"""Epochs without a better loss on held-out logs, after which a member is done."""
WEIGHT_DECAY = 1e-4
STRENGTHS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Of which the one is kept that predicts held-out logs best; 0 if none helps."""
LIMIT_QUANTILE = 0.99
"""Of the torques' sizes: the model never adds more."""
MOST_STEPS_PER_ROW = 10
"""Control steps from one measurement of a log to the next: what is between says nothing of them."""
JUDGED_WINDOW = 0.5
"""s, of the windows by which the strength is chosen."""


@dataclass(frozen=True, slots=True)
class Known:
    """A robot and what was identified of it.

    Attributes:
        setup: how it stood.
        asked: parameters.
        values: (unknowns,) theirs.
    """

    setup: Setup
    asked: tuple[Asked, ...]
    values: FloatArray


def known_robot(robot: Robot, fixed_base: bool, identified: Path | None) -> Known:
    """A robot, and the mean of what was identified of it, if a posterior file is given.

    Raises:
        UserError: a posterior of another robot, or one that says a parameter in another way than
            identification does, whose numbers would be taken for others.
    """
    setup = Setup(robot, fixed_base)
    if identified is None:
        return Known(setup, (), np.zeros(0))
    posterior = read_posterior(identified)
    world = setup.world(1, {})
    refuse_misfits(posterior, identified, world)
    samples, weights = posterior.weighted_samples()
    asked = tuple(read_asked(name) for name in posterior.names)
    for given, unknown in zip(posterior.parameters, resolve(asked, world), strict=True):
        if (given.operation, given.unit) != (unknown.operation, unknown.unit):
            raise UserError(
                f"{identified}: {given.name} is {given.operation}, in {given.unit}; simreal identify "
                f"writes {unknown.operation}, in {unknown.unit}"
            )
    return Known(setup, asked, np.average(samples, axis=0, weights=weights))


def fit_residual(
    known: Known,
    recordings: Sequence[Recording],
    period: float,
    all_joints: bool = False,
    tell: Tell | None = None,
    seed: int = 0,
) -> ResidualModel:
    """Fit an ensemble to what the identified robot lacks.

    The strength, by which its torques are multiplied, is chosen by 0.5 s predictions of logs that no
    member was fitted to: a fourth of them, of other excitations or days if there are some.

    Args:
        known: the robot.
        recordings: of it.
        period: s, the control step.
        all_joints: whether torques are added to all joints, or to those alone that actuators drive.
        tell: is told how far it is.
        seed: of the networks and of the choice of logs.

    Raises:
        UserError: fewer than four recordings, or a control step far below the time between their rows.
    """
    say = tell or (lambda text: None)
    refuse_too_few(recordings)
    fastest = min(each.period for each in recordings)
    if period * MOST_STEPS_PER_ROW < fastest:
        raise UserError(
            f"a control rate of {1.0 / period:g} Hz: the logs have {1.0 / fastest:g} rows a second; "
            f"give the rate at which policies act, {MOST_STEPS_PER_ROW / fastest:g} Hz at most"
        )
    fitted, judges = hold_out(recordings, seed)
    blank = blank_model(known.setup, period, HISTORY, all_joints)
    taught = lessons(known.setup, fitted, known.asked, known.values, blank)
    say(f"{len(taught.torque)} control steps of {len(fitted)} logs")
    model = fit_ensemble(blank, taught, len(fitted), say, seed)
    scores = [
        prediction_error(known, judges, replace(model, strength=strength)) for strength in STRENGTHS
    ]
    best = int(np.argmin(scores))
    say(f"strength {STRENGTHS[best]:g}: error {scores[best]:.4g}, without it {scores[0]:.4g}")
    return replace(
        model,
        strength=STRENGTHS[best],
        provenance=(
            f"simreal fit-actuator: {len(taught.torque)} control steps of {len(fitted)} logs; strength "
            f"chosen by {len(judges)} held-out logs: {JUDGED_WINDOW:g} s predictions are off by "
            f"{scores[best]:.4g}, without it by {scores[0]:.4g} (root mean square, joints weighed alike)"
        ),
    )


def fit_ensemble(
    blank: ResidualModel, taught: Lessons, logs: int, say: Tell, seed: int
) -> ResidualModel:
    """Fit the members, each to other logs, and stop each by the logs that it does not see."""
    mean, deviation = taught.features.mean(axis=0), taught.features.std(axis=0)
    deviation = np.maximum(deviation, 1e-6)
    limit = np.quantile(np.abs(taught.torque), LIMIT_QUANTILE, axis=0)
    cut_torque = np.clip(taught.torque, -limit, limit)  # outliers are of impacts and of the smoothing
    scale = np.maximum(cut_torque.std(axis=0), 1e-9)
    inputs = torch.from_numpy((taught.features - mean) / deviation).float()
    outputs = torch.from_numpy(cut_torque / scale).float()
    members = []
    for member in range(MEMBERS):
        random = np.random.default_rng([seed, member])
        kept_out = random.permutation(logs)[: max(1, round(SHARE_HELD_OUT * logs))]
        judged = torch.from_numpy(np.isin(taught.source, kept_out))
        members.append(_fit_member(inputs, outputs, judged, int(random.integers(2**31))))
        say(f"member {member + 1} of {MEMBERS}")
    layers = [
        (
            np.stack([each[place][0] for each in members]),
            np.stack([each[place][1] for each in members]),
        )
        for place in range(len(members[0]))
    ]
    return replace(
        blank,
        mean=mean,
        deviation=deviation,
        weights=tuple(layers),
        scale=scale,
        limit=limit,
    )


def _fit_member(
    inputs: torch.Tensor, outputs: torch.Tensor, judged: torch.Tensor, seed: int
) -> list[tuple[FloatArray, FloatArray]]:
    """Layers of one network, at its best epoch."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(inputs.shape[1], WIDTH),
            nn.Tanh(),
            nn.Linear(WIDTH, WIDTH),
            nn.Tanh(),
            nn.Linear(WIDTH, outputs.shape[1]),
        )
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=WEIGHT_DECAY)
    loss = nn.HuberLoss()
    seen, told = inputs[~judged], outputs[~judged]
    best, best_layers, since = np.inf, _layers(network), 0
    for _ in range(MOST_EPOCHS):
        for rows in torch.split(torch.randperm(len(seen), generator=generator), BATCH):
            optimizer.zero_grad()
            loss(network(seen[rows]), told[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            score = float(loss(network(inputs[judged]), outputs[judged]))
        since += 1
        if score < best:
            best, best_layers, since = score, _layers(network), 0
        if since >= PATIENCE:
            break
    return best_layers


def _layers(network: nn.Sequential) -> list[tuple[FloatArray, FloatArray]]:
    return [
        (
            each.weight.detach().numpy().T.astype(np.float64),
            each.bias.detach().numpy().astype(np.float64),
        )
        for each in network
        if isinstance(each, nn.Linear)
    ]


@dataclass(frozen=True, slots=True)
class Predicted:
    """Held-out windows that were predicted.

    Attributes:
        windows: that were.
        error: (windows, samples, joints) predicted less measured.
    """

    windows: Windows
    error: FloatArray

    def squares(self) -> tuple[FloatArray, int]:
        """(joints,) sum of the squares, and how many measurements."""
        total = np.sum(np.nan_to_num(self.error, nan=np.pi) ** 2, axis=(0, 1))
        return total, int(self.windows.valid.sum())


def predict(
    known: Known,
    recordings: Sequence[Recording],
    model: ResidualModel | None,
    length: float,
) -> Predicted:
    """Predict windows open loop, each from a start that the 50 ms before it tell."""
    cutting = Cutting(length)
    resolution = known.setup.robot.config.sensing.encoder_resolution
    windows = cut(recordings, cutting.length, cutting.stride, resolution, (0.0, 1.0), LEAD)

    def simulator_of(these: Windows) -> ResidualSimulator:
        return ResidualSimulator(known.setup, these, known.asked, model)

    start = starts_from_leads(windows, known.values, simulator_of)  # with the model's torques in it
    predicted = simulator_of(windows).predict(known.values[None], start[None])
    told = windows.only(windows.valid & ~windows.leads)
    joints = windows.position.shape[2]
    return Predicted(told, errors(told, predicted, False)[0, ..., :joints])


def prediction_error(known: Known, recordings: Sequence[Recording], model: ResidualModel) -> float:
    """Root mean square over half-second windows, of each joint in what it moved on the whole."""
    found = predict(known, recordings, model if model.strength else None, JUDGED_WINDOW)
    total, count = found.squares()
    moved = np.concatenate([each.position - each.position.mean(axis=0) for each in recordings])
    size = np.maximum(np.sqrt((moved**2).mean(axis=0)), 1e-6)
    return float(np.sqrt(np.mean(total / max(1, count) / size**2)))
