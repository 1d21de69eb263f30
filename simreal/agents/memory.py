"""Policies that carry something from one control step to the next, as modules for export and evaluation.

Each takes a (batch, size) observation and its hidden states, and gives actions and the next ones, as the
graph of a policy file does (`simreal.deploy.policy`). Hidden states are zero when an episode begins.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from torch import nn

from simreal.agents.adaptive import AdaptivePolicy, recent_frames
from simreal.agents.normalizer import Normalizer
from simreal.contract import HiddenState
from simreal.images import NO_IMAGES, Images


class AdaptiveActor(nn.Module):
    """A policy with a latent as its student: it carries the frames that the estimator sees.

    Attributes:
        hidden_states: what it carries.
    """

    hidden_states: tuple[HiddenState, ...]

    def __init__(self, policy: AdaptivePolicy, normalizer: Normalizer) -> None:
        """Take the networks of a policy; they are shared, not copied."""
        super().__init__()
        self.normalizer, self.estimator = normalizer.first(policy.actor_size), policy.estimator
        self.network = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        self._recent = policy.recent
        shape = policy.estimator.steps, policy.estimator.frame_size
        self.hidden_states = (HiddenState(name="history", shape=shape),)

    def forward(
        self, observation: torch.Tensor, history: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Actions on (batch, size) observations, and (batch, steps, frame size) of the next history."""
        return self.given(self.estimator(history), observation, history)

    def given(
        self, latent: torch.Tensor, observation: torch.Tensor, history: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As `forward`, with another (batch, latent) than the estimator's."""
        seen, recent = self.normalizer(observation), recent_frames(history, self._recent)
        action = self.network(torch.cat((seen, recent, latent), dim=1)).clamp(-1.0, 1.0)
        frame = torch.cat((seen, action), dim=1)
        return action, torch.cat((history[:, 1:], frame[:, None]), dim=1)


class RecurrentActor(nn.Module):
    """A policy with a long short-term memory of one layer (Hochreiter and Schmidhuber, 1997).

    Attributes:
        hidden_states: what it carries.
    """

    hidden_states: tuple[HiddenState, ...]

    def __init__(self, policy: RecurrentActorCriticPolicy, normalizer: Normalizer) -> None:
        """Take the networks of a policy; they are shared, not copied."""
        super().__init__()
        self.normalizer, self.lstm = normalizer, policy.lstm_actor
        self.network = nn.Sequential(policy.mlp_extractor.policy_net, policy.action_net)
        width = self.lstm.hidden_size
        self.hidden_states = (
            HiddenState(name="output", shape=(width,)),
            HiddenState(name="cell", shape=(width,)),
        )

    def forward(
        self, observation: torch.Tensor, output: torch.Tensor, cell: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Actions on (batch, size) observations, and the memory's next output and cell."""
        lstm: Any = self.lstm
        # Written out: an exporter unrolls a sequence of one step into much more.
        gates = nn.functional.linear(self.normalizer(observation), lstm.weight_ih_l0, lstm.bias_ih_l0)
        gates = gates + nn.functional.linear(output, lstm.weight_hh_l0, lstm.bias_hh_l0)
        take, forget, new, give = gates.chunk(4, dim=1)
        cell = forget.sigmoid() * cell + take.sigmoid() * new.tanh()
        output = give.sigmoid() * cell.tanh()
        return self.network(output).clamp(-1.0, 1.0), output, cell


WithMemory = AdaptiveActor | RecurrentActor


class Actor:
    """Acts on a batch of episodes with such a module, and carries the hidden states of each."""

    def __init__(self, module: WithMemory) -> None:
        """At the beginning of all episodes."""
        self._module = module
        self._hidden: tuple[torch.Tensor, ...] = ()

    def begin(self, rows: NDArray[np.integer[Any]] | None = None) -> None:
        """Episodes begin in some rows; in all if absent, of which there may then be another number."""
        if rows is None:
            self._hidden = ()
            return
        for each in self._hidden:
            each[torch.from_numpy(rows)] = 0.0

    def __call__(
        self, observation: NDArray[np.float32], images: Images = NO_IMAGES
    ) -> NDArray[np.float32]:
        """(n, actuators) actions on (n, size) observations; it sees no images."""
        self._allocate(len(observation))
        with torch.no_grad():
            action, *following = self._module(torch.from_numpy(observation), *self._hidden)
        self._hidden = tuple(following)
        found: NDArray[np.float32] = action.numpy()
        return found

    def state(self, number: int) -> tuple[NDArray[np.float32], ...]:
        """(number, *shape) each hidden state, as the next call will use it."""
        self._allocate(number)
        return tuple(each.numpy() for each in self._hidden)

    def _allocate(self, number: int) -> None:
        if not self._hidden:
            states = self._module.hidden_states
            self._hidden = tuple(torch.zeros(number, *each.shape) for each in states)
