"""A residual on a frozen policy: a small network that moves its actions, by a width at most."""

from itertools import pairwise

import torch
from torch import nn

from simreal.agents.config import ResidualPolicyConfig

LOG_STD_BOUNDS = (-4.0, 0.5)
FIRST_LOG_STD = -1.0


class ResidualPolicy(nn.Module):
    """Gaussian in the space before a tanh, as SAC's; its action is ``base + width tanh(mean)``.

    It begins as nothing: a mean of zero, whatever is observed.

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
        self.out = nn.Linear(widths[-1], 2 * actuators)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def gaussian(
        self, observation: torch.Tensor, base: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, actuators) means and logarithms of standard deviations before the tanh."""
        mean, log_std = self.out(self.hidden(torch.cat((observation, base), dim=1))).chunk(2, dim=1)
        return mean, (log_std + FIRST_LOG_STD).clamp(*LOG_STD_BOUNDS)

    def around(self, base: torch.Tensor, unit: torch.Tensor) -> torch.Tensor:
        """The action beside a base's, for what came out of the tanh, in [-1, 1]."""
        return (base + self.width * unit).clamp(-1.0, 1.0)

    def forward(self, observation: torch.Tensor, base: torch.Tensor) -> torch.Tensor:
        """The action without exploration."""
        return self.around(base, torch.tanh(self.gaussian(observation, base)[0]))
