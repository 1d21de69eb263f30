"""Networks that say what each action is worth: plain, duelling, noisy, or distributions."""

from typing import Any

import torch
from stable_baselines3.common.torch_layers import create_mlp
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import nn

from simreal.agents.value.noisy import NoisyLinear


class ValueNetwork(QNetwork):
    """Of (batch, ...) observations, (batch, actions) values, and their distributions on atoms.

    Attributes:
        atoms: (atoms,) returns that have a probability each; one atom stands for a plain value.
    """

    atoms: torch.Tensor

    def __init__(
        self,
        *args: Any,
        duelling: bool = False,
        noisy: bool = False,
        atom_range: tuple[float, float] | None = None,
        atom_count: int = 51,
        **kwargs: Any,
    ) -> None:
        """Make a network.

        Args:
            *args: of the base class.
            duelling: whether a value of the state and advantages of the actions are told apart (Wang et
                al., ICML 2016).
            noisy: whether the layers behind the features carry noise.
            atom_range: lowest and highest return; a plain value if absent.
            atom_count: how many atoms between them.
            **kwargs: of the base class.
        """
        super().__init__(*args, **kwargs)
        self.is_distribution = atom_range is not None
        count = atom_count if self.is_distribution else 1
        low, high = atom_range or (1.0, 1.0)
        self.register_buffer("atoms", torch.linspace(low, high, count), persistent=False)
        actions = int(self.action_space.n)
        linear: Any = NoisyLinear if noisy else nn.Linear
        hidden = list(self.net_arch)
        # The last hidden layer belongs to each stream of a duelling network, as in the paper.
        shared, own = (hidden[:-1], hidden[-1:]) if duelling else (hidden, [])
        body = create_mlp(self.features_dim, 0, shared, self.activation_fn)
        width = shared[-1] if shared else self.features_dim
        self.body = _with(nn.Sequential(*body), linear)
        self.advantage = _stream(width, own, actions * count, self.activation_fn, linear)
        self.value = _stream(width, own, count, self.activation_fn, linear) if duelling else None
        del self.q_net

    def explore(self, by_noise: bool) -> None:
        """See as in evaluation, where images are not shifted, and let the noise act or not."""
        self.train(False)
        for layer in self.modules():
            if isinstance(layer, NoisyLinear):
                layer.train(by_noise)

    def logits(self, observation: Any) -> torch.Tensor:
        """(batch, actions, atoms): logarithms of probabilities but for a constant, or plain values."""
        return self._logits(self.extract_features(observation, self.features_extractor))

    def _logits(self, features: torch.Tensor) -> torch.Tensor:
        shared = self.body(features)
        advantage: torch.Tensor = self.advantage(shared).unflatten(1, (-1, len(self.atoms)))
        if self.value is None:
            return advantage
        # Only their difference counts: the mean advantage is zero by definition.
        value: torch.Tensor = self.value(shared)[:, None]
        return value + advantage - advantage.mean(dim=1, keepdim=True)

    def distribution(self, observation: Any) -> torch.Tensor:
        """(batch, actions, atoms) probabilities of the atoms."""
        return torch.softmax(self.logits(observation), dim=2)

    def forward(self, obs: Any) -> torch.Tensor:
        """(batch, actions) values: of a distribution, its mean."""
        return self.values(self.extract_features(obs, self.features_extractor))

    def values(self, features: torch.Tensor) -> torch.Tensor:
        """The same of (batch, size) features."""
        logits = self._logits(features)
        if not self.is_distribution:
            return logits[..., 0]
        values: torch.Tensor = torch.softmax(logits, dim=2) @ self.atoms
        return values


class ValuePolicy(DQNPolicy):
    """stable-baselines3's policy of a deep Q-network, with a `ValueNetwork`."""

    q_net: ValueNetwork
    q_net_target: ValueNetwork

    def __init__(self, *args: Any, network: dict[str, Any], **kwargs: Any) -> None:
        """As the base class.

        Args:
            *args: of the base class.
            network: arguments of `ValueNetwork`.
            **kwargs: of the base class.
        """
        self._network = network
        super().__init__(*args, **kwargs)

    def make_q_net(self) -> ValueNetwork:
        """A new network."""
        arguments = self._update_features_extractor(self.net_args, features_extractor=None)
        return ValueNetwork(**arguments, **self._network).to(self.device)


def _stream(width: int, hidden: list[int], outputs: int, activation: Any, linear: Any) -> nn.Sequential:
    return _with(nn.Sequential(*create_mlp(width, outputs, hidden, activation)), linear)


def _with(layers: nn.Sequential, linear: Any) -> nn.Sequential:
    """The same layers with another kind of linear ones."""
    if linear is nn.Linear:
        return layers
    made = (linear(x.in_features, x.out_features) if isinstance(x, nn.Linear) else x for x in layers)
    return nn.Sequential(*made)
