"""The deep Q-network with each improvement as a switch of its own; all together are Rainbow.

Mnih et al., Nature 2015 (DQN); van Hasselt, Guez and Silver, AAAI 2016 (double); Hessel et al., AAAI
2018 (Rainbow). What acts, explores by chance, and keeps a target network is stable-baselines3's.
"""

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN
from torch.nn import functional

from simreal.agents.value.experience import Experience, ExperienceReplay
from simreal.agents.value.image_replay import ImageReplay
from simreal.agents.value.networks import ValueNetwork, ValuePolicy
from simreal.agents.value.projection import project


class ValueAgent(DQN):
    """A deep Q-network of stable-baselines3 with other targets, networks and replay.

    Attributes:
        q_net: acts and learns.
        q_net_target: tells what follows is worth.
    """

    q_net: ValueNetwork
    q_net_target: ValueNetwork
    replay_buffer: ExperienceReplay

    def __init__(
        self,
        env: Any,
        *,
        double: bool = False,
        duelling: bool = False,
        noisy: bool = False,
        atom_range: tuple[float, float] | None = None,
        atom_count: int = 51,
        n_steps: int = 1,
        priority_exponent: float = 0.0,
        importance_exponent: float = 0.4,
        gamma: float = 0.99,
        policy_kwargs: dict[str, Any] | None = None,
        replay_buffer_kwargs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Make an untrained agent.

        Args:
            env: with discrete actions.
            double: whether the acting network chooses the action whose worth the target network tells.
            duelling: see `ValueNetwork`.
            noisy: likewise; such an agent explores by its noise alone.
            atom_range: likewise.
            atom_count: likewise.
            n_steps: over how many steps rewards are summed before the rest is estimated.
            priority_exponent: see `ExperienceReplay`.
            importance_exponent: at the beginning; it rises linearly to 1.
            gamma: discount.
            policy_kwargs: of `ValuePolicy`.
            replay_buffer_kwargs: what else of `ImageReplay`.
            **kwargs: of stable-baselines3's `DQN`.
        """
        self._double, self._noisy = double, noisy
        self._first_importance = importance_exponent
        self._choices = int(env.action_space.n)
        network = {
            "duelling": duelling,
            "noisy": noisy,
            "atom_range": atom_range,
            "atom_count": atom_count,
        }
        if noisy:
            kwargs |= {"exploration_initial_eps": 0.0, "exploration_final_eps": 0.0}
        super().__init__(
            ValuePolicy,
            env,
            gamma=gamma,
            replay_buffer_class=ImageReplay if _sees_images(env) else ExperienceReplay,
            replay_buffer_kwargs=(replay_buffer_kwargs or {})
            | {"n_steps": n_steps, "discount": gamma, "priority_exponent": priority_exponent},
            policy_kwargs=(policy_kwargs or {}) | {"network": network},
            **kwargs,
        )

    def train(self, gradient_steps: int, batch_size: int = 100) -> None:
        """Learn from batches of the replay."""
        self.policy.set_training_mode(True)
        self.q_net_target.set_training_mode(True)  # noise, and images that are shifted
        self._update_learning_rate(self.policy.optimizer)
        done = 1.0 - self._current_progress_remaining
        self.replay_buffer.importance_exponent = (
            self._first_importance + (1.0 - self._first_importance) * done
        )
        losses = []
        for _ in range(gradient_steps):
            drawn = self.replay_buffer.draw(batch_size)
            error, loss = self.errors_and_loss(drawn)
            self.policy.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
            self.policy.optimizer.step()
            self.replay_buffer.learnt(drawn.places, error.detach().numpy())
            losses.append(loss.item())
        self._n_updates += gradient_steps
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/loss", np.mean(losses))

    def errors_and_loss(self, drawn: Experience) -> tuple[torch.Tensor, torch.Tensor]:
        """(n,) error of each transition, by which it is drawn again, and the weighted mean loss."""
        rows, taken = torch.arange(len(drawn.actions)), drawn.actions[:, 0].long()
        logits = self.q_net.logits(drawn.observations)[rows, taken]
        with torch.no_grad():
            target = self.targets(drawn)
        if self.q_net.is_distribution:
            # The divergence from the target, by which Rainbow replays, too: what is learnt has none
            # left, however uncertain its return.
            error = (torch.xlogy(target, target) - target * torch.log_softmax(logits, dim=1)).sum(dim=1)
            return error, (drawn.weights[:, 0] * error).mean()
        error = (logits - target)[:, 0]
        each = functional.smooth_l1_loss(logits, target, reduction="none")[:, 0]
        return error.abs(), (drawn.weights[:, 0] * each).mean()

    def targets(self, drawn: Experience) -> torch.Tensor:
        """(n, atoms) probabilities of the return, or (n, 1) its value, by the target network."""
        rows, after = torch.arange(len(drawn.actions)), drawn.next_observations
        chooser = self.q_net if self._double else self.q_net_target
        best = chooser(after).argmax(dim=1)
        if self.q_net.is_distribution:
            distribution = self.q_net_target.distribution(after)[rows, best]
            return project(distribution, drawn.rewards, drawn.discounts, self.q_net.atoms)
        following: torch.Tensor = self.q_net_target(after)[rows, best][:, None]
        return drawn.rewards + drawn.discounts * following

    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
    ) -> tuple[Any, Any]:
        """See the base class; each simulation explores by itself, by chance or by noise."""
        self.q_net.explore(by_noise=self._noisy and not deterministic)
        with torch.no_grad():
            seen, vectorized = self.policy.obs_to_tensor(observation)
            action: Any = self.q_net(seen).argmax(dim=1).numpy()
        if not deterministic and self.exploration_rate > 0.0:
            chance = np.random.random(len(action)) < self.exploration_rate
            action = np.where(chance, np.random.randint(0, self._choices, len(action)), action)
        return (action if vectorized else action[0]), state


def _sees_images(env: Any) -> bool:
    space = env.observation_space
    return isinstance(space, spaces.Dict) or (len(space.shape) == 3 and space.dtype == np.uint8)
