"""Layers whose weights carry noise that is learnt (Fortunato et al., "Noisy Networks", ICLR 2018)."""

import math

import torch
from torch import nn
from torch.nn import functional

INITIAL_SIGMA = 0.5
"""Of weights, in shares of how far their means begin apart."""


class NoisyLinear(nn.Module):
    """``y = (mu + sigma * noise) x``, weights and biases alike, with factorised Gaussian noise.

    The noise of a weight from i to j is f(e_i) f(e_j) with f(x) = sgn(x) sqrt(|x|). In training every
    row of a batch has noise of its own, so that many simulations explore apart; in evaluation none has.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        """Begin as the paper does: mu within 1/sqrt(inputs), sigma `INITIAL_SIGMA` times that."""
        super().__init__()
        bound = 1.0 / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(outputs).uniform_(-bound, bound))
        self.weight_sigma = nn.Parameter(torch.full((outputs, inputs), INITIAL_SIGMA * bound))
        self.bias_sigma = nn.Parameter(torch.full((outputs,), INITIAL_SIGMA * bound))

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """(batch, outputs) of (batch, inputs)."""
        mean = functional.linear(values, self.weight, self.bias)
        if not self.training:
            return mean
        of_inputs = _noise(values.shape, values)
        of_outputs = _noise(mean.shape, values)
        spread = functional.linear(values * of_inputs, self.weight_sigma, self.bias_sigma)
        return mean + spread * of_outputs


def _noise(shape: torch.Size, like: torch.Tensor) -> torch.Tensor:
    normal = torch.randn(shape, dtype=like.dtype, device=like.device)
    return normal.sign() * normal.abs().sqrt()
