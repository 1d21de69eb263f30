"""A policy that sees a latent of the world it is in (rapid motor adaptation, Kumar et al., RSS 2021).

Its teacher encodes the drawn parameters, which only a simulator knows; its student estimates the same
latent from the last steps' observations and actions, which a robot knows, too. Both end in a
hyperbolic tangent: an estimate of a robot beyond the ranges stays among the latents that are known.
"""

from typing import Any

import torch
from stable_baselines3.common.torch_layers import MlpExtractor, create_mlp
from torch import nn

from simreal.agents.asymmetric import AsymmetricPolicy
from simreal.agents.config import RMAConfig
from simreal.agents.normalizer import NormalizedObservation

CONVOLUTIONS = ((8, 4), (5, 1), (5, 1))
"""Kernel and stride of each, over time, as in the paper; those that a short history has room for."""

FIRST_LATENT = 0.01
"""Share of its usual size that an untrained encoder's latent has."""


class Estimator(nn.Module):
    """(batch, steps, size) histories to (batch, latent) estimates, by convolutions over time.

    A history holds the frames before the present one, oldest first: normalised observation and action.
    Frames from before the episode are zero.

    Attributes:
        steps: of a history.
        frame_size: length of a frame.
    """

    def __init__(self, frame_size: int, config: RMAConfig) -> None:
        """Make an estimator for frames of a size."""
        super().__init__()
        self.steps, self.frame_size = config.history, frame_size
        self.embed = nn.Sequential(nn.Linear(frame_size, config.channels), nn.ReLU())
        layers: list[nn.Module] = []
        length = config.history
        for kernel, stride in CONVOLUTIONS:
            if length >= kernel:
                layers += [nn.Conv1d(config.channels, config.channels, kernel, stride), nn.ReLU()]
                length = (length - kernel) // stride + 1
        self.over_time = nn.Sequential(*layers)
        self.latent = nn.Linear(config.channels * length, config.latent)

    def forward(self, history: torch.Tensor) -> torch.Tensor:
        """Estimate."""
        features = self.over_time(self.embed(history).transpose(1, 2))
        return torch.tanh(self.latent(features.flatten(1)))


def recent_frames(history: torch.Tensor, number: int) -> torch.Tensor:
    """(batch, number * size) the last frames of (batch, steps, size) histories, oldest first."""
    return history[:, history.shape[1] - number :].flatten(1)


class AdaptiveExtractor(nn.Module):
    """The actor's network sees the observation, recent frames and the latent.

    The critic's sees the observation and all that is privileged.

    Attributes:
        encoder: of (batch, parameters) to (batch, latent).
        policy_net: of the actor.
        value_net: of the critic.
        latent_dim_pi: width of the actor's output.
        latent_dim_vf: width of the critic's output.
    """

    def __init__(
        self,
        size: int,
        actor_size: int,
        recent: int,
        parameters: int,
        config: RMAConfig,
        layers: Any,
        activation: type[nn.Module],
    ) -> None:
        """Make networks for inputs that begin with the observation and end with the parameters.

        Args:
            size: of the whole.
            actor_size: of the observation.
            recent: numbers of all recent frames together.
            parameters: how many were drawn.
            config: of latent and encoder.
            layers: widths of the networks of actor and critic.
            activation: of all layers.
        """
        super().__init__()
        widths = list(config.encoder_layers)
        self.encoder = nn.Sequential(
            *create_mlp(parameters, config.latent, widths, activation, squash_output=True)
        )
        actor = MlpExtractor(actor_size + recent + config.latent, layers, activation, "cpu")
        critic = MlpExtractor(size, layers, activation, "cpu")
        self._size, self._actor_size = size, actor_size
        self._recent, self._drawn = recent, parameters
        self.policy_net, self.value_net = actor.policy_net, critic.value_net
        self.latent_dim_pi, self.latent_dim_vf = actor.latent_dim_pi, critic.latent_dim_vf

    def encode(self, features: torch.Tensor) -> torch.Tensor:
        """(batch, latent) that the encoder makes of features, whatever stands behind them."""
        latent: torch.Tensor = self.encoder(features[:, self._size - self._drawn : self._size])
        return latent

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What both make of features as `WithHistory` shows them."""
        return self.forward_actor(features), self.forward_critic(features)

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """What the actor makes of them: with the estimate where that is to act, else the encoder's."""
        observation, behind = features[:, : self._actor_size], features[:, self._size :]
        recent, estimate, acts = behind.tensor_split((self._recent, behind.shape[1] - 1), dim=1)
        latent = torch.where(acts > 0.0, estimate, self.encode(features))
        output: torch.Tensor = self.policy_net(torch.cat((observation, recent, latent), dim=1))
        return output

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """What the critic makes of them."""
        output: torch.Tensor = self.value_net(features[:, : self._size])
        return output


class NormalizedWithHistory(NormalizedObservation):
    """Normalises what an environment shows, and passes on what `WithHistory` puts behind it."""

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """(batch, size) or (batch, size + recent frames + latent + 1)."""
        shown, behind = observations[:, : self.features_dim], observations[:, self.features_dim :]
        return torch.cat((super().forward(shown), behind), dim=1)


class AdaptivePolicy(AsymmetricPolicy):
    """PPO's policy with a latent; its inputs end with the drawn parameters.

    Attributes:
        estimator: of the latent, from history.
        estimator_optimizer: which trains it, and nothing else.
        recent: how many of the last frames the actor sees.
    """

    def __init__(self, *args: Any, drawn: int, rma: RMAConfig, **kwargs: Any) -> None:
        """As its base class; `drawn` is how many parameters were."""
        self._drawn, self._rma, self.recent = drawn, rma, rma.recent_frames
        super().__init__(*args, **kwargs)
        self._begin_without_latent()
        # After the base class has made its optimizer, which so does not know of it.
        self.estimator = Estimator(self._frame_size, rma)
        self.estimator_optimizer = torch.optim.Adam(
            self.estimator.parameters(), lr=rma.student_learning_rate
        )

    @property
    def _frame_size(self) -> int:
        return self.actor_size + int(self.action_space.shape[0])  # type: ignore[index]

    def encode(self, shown: torch.Tensor) -> torch.Tensor:
        """(batch, latent) that the encoder makes of (batch, size) of what an environment shows."""
        extractor: Any = self.mlp_extractor
        latent: torch.Tensor = extractor.encode(self.extract_features(shown))
        return latent

    def _begin_without_latent(self) -> None:
        """Let the encoder say next to nothing at first.

        Of untrained numbers that differ by world the actor would first have to learn that they are none
        of its business; some trainings failed by it (docs/figures.md, hidden robots).
        """
        extractor: Any = self.mlp_extractor
        with torch.no_grad():  # of the last layer with weights, before the tangent
            extractor.encoder[-2].weight.mul_(FIRST_LATENT)

    def _build_mlp_extractor(self) -> None:
        extractor: Any = AdaptiveExtractor(
            self.features_dim,
            self.actor_size,
            self.recent * self._frame_size,
            self._drawn,
            self._rma,
            self.net_arch,
            self.activation_fn,
        )
        self.mlp_extractor = extractor
