"""Which of nested models is offered: the simplest that predicts held-out logs as well as the best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from simreal.callbacks import Tell
from simreal.identification.fitting import Cutting, Fitted, Prediction, fit_model, predict_windows
from simreal.identification.held_out import Split
from simreal.identification.simulator import Setup
from simreal.identification.unknowns import Asked
from simreal.state import FloatArray


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model among nested ones.

    Attributes:
        asked: its unknowns.
        fitted: to the recordings that are fitted.
        prediction: of those held out.
        score: mean over held-out windows of the squared error, in variances of the best fit.
        standard_error: of the score's excess over the best model's, from blocks of windows.
    """

    asked: tuple[Asked, ...]
    fitted: Fitted
    prediction: Prediction
    score: float
    standard_error: float


def compare(
    setup: Setup,
    parts: Split,
    nested: Sequence[Sequence[Asked]],
    cutting: Cutting,
    nominal: Prediction,
    say: Tell,
) -> tuple[list[Candidate], tuple[float, float]]:
    """Fit nested models, each from the one before it, and predict what is held out.

    Args:
        setup: how the robot stands.
        parts: what is fitted to and held out.
        nested: the unknowns that each model adds.
        cutting: of both parts into windows.
        nominal: what the model as it is predicts of what is held out.
        say: hears of it.

    Returns:
        The models; score and standard error of the model as it is, as in `Candidate`.
    """
    found: list[tuple[tuple[Asked, ...], Fitted, Prediction]] = []
    asked: tuple[Asked, ...] = ()
    given: Mapping[str, float] | None = None
    for number, added in enumerate(nested, 1):
        asked = (*asked, *added)

        def tell(text: str, number: int = number) -> None:
            say(f"model {number} of {len(nested)}, {text}")

        fitted = fit_model(setup, parts.fitted, asked, cutting, given, tell)
        given = fitted.by_name
        values = fitted.fit.values[None]
        found.append(
            (
                asked,
                fitted,
                predict_windows(setup, parts.held_out, asked, values, cutting, parts.between),
            )
        )
    deviation = np.min([fitted.fit.noise.position for _, fitted, _ in found], axis=0)
    scores = scores_of([nominal, *(prediction for _, _, prediction in found)], deviation)
    candidates = [Candidate(*each, *score) for each, score in zip(found, scores[1:], strict=True)]
    return candidates, scores[0]


def scores_of(predictions: Sequence[Prediction], deviation: FloatArray) -> list[tuple[float, float]]:
    """Mean square over windows of each, and the standard error of its excess over the best model's.

    The first is the model as it is, which is held against the best of the others.
    """
    joints = len(deviation)
    errors = [
        np.mean(
            np.minimum(np.nan_to_num(each.error[0, ..., :joints], nan=1e3) / deviation, 1e3) ** 2,
            axis=(1, 2),
        )
        for each in predictions
    ]
    best = min(errors[1:], key=np.mean)
    scores = []
    for each in errors:
        excess = each - best
        blocks = np.array_split(excess, max(2, min(20, len(excess))))
        means = np.array([block.mean() for block in blocks if block.size])
        error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else 0.0
        scores.append((float(each.mean()), error))
    return scores


def simplest(candidates: Sequence[Candidate]) -> int:
    """The first model that is no more than one standard error of the difference behind the best.

    The one-standard-error rule of Breiman et al. (Classification and Regression Trees, 1984), with the
    error of the difference, since all predict the same windows.
    """
    best = min(each.score for each in candidates)
    return next(
        index for index, each in enumerate(candidates) if each.score - best <= each.standard_error
    )
