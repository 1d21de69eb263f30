"""Hands a policy over to an agent whose critic, or encoder, is shown other parameters of the episode."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.agents.checkpoint import FORMAT, restore_entropy_weight
from simreal.errors import UserError
from simreal.state import FloatArray

Tensors = dict[str, torch.Tensor]
ENCODER = "mlp_extractor.encoder.0.weight"
"""Of a policy with a latent: it sees the drawn parameters alone."""
ACTOR = "mlp_extractor.policy_net."
"""Of PPO, which sees none of them, however wide it is."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What networks are shown.

    Attributes:
        size: of the observation of all of them, the drawn parameters last.
        columns: names of the drawn parameters among it; none if they are not shown.
        low: (columns,) ends of the ranges by which they are scaled to -1 to 1.
        high: (columns,).
    """

    size: int
    columns: tuple[str, ...]
    low: FloatArray
    high: FloatArray


def carry_over(content: dict[str, Any], agent: BaseAlgorithm, old: Inputs, new: Inputs) -> None:
    """Give a fresh agent the networks and the normaliser of a checkpoint; its optimizers stay fresh.

    An input that was not there before has no weight at first; one whose range has changed is
    normalised so that the network makes of it what it made before.

    Args:
        content: of the checkpoint.
        agent: of the same configuration.
        old: what the checkpoint's networks were shown.
        new: what the agent's are.

    Raises:
        UserError: networks of other shapes.
    """
    if content.get("format") != FORMAT or content.get("algorithm") != type(agent).__name__:
        raise UserError(f"a checkpoint of {content.get('algorithm')}, not of {type(agent).__name__}")
    given: Tensors = content["parameters"]["policy"]
    if old.columns != new.columns or not (_same(old.low, new.low) and _same(old.high, new.high)):
        given = _moved(given, old, new)
    _refuse_other_shapes(given, agent.policy.state_dict())
    parameters: dict[str, Any] = {"policy": given}
    agent.set_parameters(parameters, exact_match=False, device="cpu")
    restore_entropy_weight(agent, content)


def _refuse_other_shapes(given: Tensors, own: Tensors) -> None:
    for name, tensor in given.items():
        if name in own and own[name].shape != tensor.shape:
            there, here = (" x ".join(map(str, each.shape)) for each in (tensor, own[name]))
            raise UserError(
                f"its networks do not fit: {name} is {there} there and {here} here; "
                "the agent's hidden_layers and its other networks stay as they are"
            )


def _same(one: FloatArray, other: FloatArray) -> bool:
    return one.shape == other.shape and bool(np.array_equal(one, other))


def _moved(given: Tensors, old: Inputs, new: Inputs) -> Tensors:
    moved = {}
    for name, tensor in given.items():
        if name.endswith((".mean", ".variance")) and tensor.shape == (old.size,):
            moved[name] = _statistics(tensor, old, new, name.endswith(".variance"))
        elif name == ENCODER:
            alone = [replace(each, size=len(each.columns)) for each in (old, new)]
            moved[name] = _weights(tensor, *alone)
        elif _sees_all(name, tensor, old):
            moved[name] = _weights(tensor, old, new)
        else:
            moved[name] = tensor
    return moved


def _sees_all(name: str, tensor: torch.Tensor, old: Inputs) -> bool:
    """Whether these are the weights of a first layer that sees the drawn parameters, too."""
    return (
        tensor.dim() == 2
        and tensor.shape[1] == old.size
        and name.endswith(".weight")
        and not name.startswith(ACTOR)
    )


def _places(old: Inputs, new: Inputs) -> Sequence[tuple[int, int]]:
    """Place among the new columns and place among the old ones of each that both have."""
    return [
        (place, old.columns.index(name)) for place, name in enumerate(new.columns) if name in old.columns
    ]


def _fixed(inputs: Inputs) -> int:
    """Inputs before the drawn parameters."""
    return inputs.size - len(inputs.columns)


def _weights(tensor: torch.Tensor, old: Inputs, new: Inputs) -> torch.Tensor:
    result = torch.zeros(tensor.shape[0], new.size, dtype=tensor.dtype)
    result[:, : _fixed(new)] = tensor[:, : _fixed(old)]
    for place, before in _places(old, new):
        result[:, _fixed(new) + place] = tensor[:, _fixed(old) + before]
    return result


def _statistics(tensor: torch.Tensor, old: Inputs, new: Inputs, squared: bool) -> torch.Tensor:
    """Mean or variance of what is shown, where x is shown as 2 (x - low) / (high - low) - 1."""
    result = torch.full((new.size,), 1.0 if squared else 0.0, dtype=tensor.dtype)
    result[: _fixed(new)] = tensor[: _fixed(old)]
    widths = [np.where(each.high > each.low, each.high - each.low, 1.0) for each in (old, new)]
    for place, before in _places(old, new):
        factor = widths[0][before] / widths[1][place]
        shift = 2.0 * (old.low[before] - new.low[place]) / widths[1][place] + factor - 1.0
        value = float(tensor[_fixed(old) + before])
        moved = value * factor**2 if squared else value * factor + shift
        result[_fixed(new) + place] = moved
    return result
