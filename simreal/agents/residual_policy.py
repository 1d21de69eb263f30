"""A residual on a frozen policy: a small network that moves its actions, by a width at most."""

from itertools import pairwise

import torch
from torch import nn

from simreal.agents.config import ResidualPolicyConfig


class ResidualPolicy(nn.Module):
    """Its action is ``base + width tanh(output)``; it begins as nothing, whatever is observed.

    Attributes:
        width: () in shares of the actions' half range, beyond which no action leaves the base's.
    """

    width: torch.Tensor

    def __init__(self, size: int, actuators: int, config: ResidualPolicyConfig) -> None:
        """Make it for (batch, size) normalised observations and (batch, actuators) actions."""
        super().__init__()
        self.register_buffer("width", torch.tensor(config.width))
        widths = [size + actuators, *config.hidden_layers]
        layers = [(nn.Linear(*pair), nn.ReLU()) for pair in pairwise(widths)]
        self.hidden = nn.Sequential(*(each for layer in layers for each in layer))
        self.out = nn.Linear(widths[-1], actuators)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def unit(self, observation: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """(batch, actuators) what it adds, in shares of the width."""
        output: torch.Tensor = self.out(self.hidden(torch.cat((observation, base), dim=1)))
        return torch.tanh(output)

    def around(self, base: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
        """The action beside a base's, for shares of the width in [-1, 1]."""
        return (base + self.width * unit).clamp(-1.0, 1.0)

    def forward(self, observation: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """(batch, actuators) actions."""
        return self.around(base, self.unit(observation, base))
