"""Features that look alike in simulation and on the robot, so that what is learned holds on both.

Three losses between a batch of simulated and one of real features, each to be added to what else an
encoder learns; alone, they are smallest for an encoder that says nothing. `separability` is the judge:
how well a fresh discriminator tells held-out features apart, of which chance is 50 %.

- CORAL: covariances, and means beside them (Sun and Saenko, "Deep CORAL", ECCV workshops 2016);
- MMD: all moments, by Gaussian kernels of several widths (Gretton et al., JMLR 2012; Long et al., ICML
  2015);
- adversarial: a discriminator behind a reversed gradient (Ganin et al., JMLR 2016).
"""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from stable_baselines3 import PPO
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

from simreal.agents.images import acting_encoders, encoder_of
from simreal.agents.imitation import ImitationPPO
from simreal.agents.symmetric import SymmetricPolicy
from simreal.config import Config
from simreal.errors import UserError
from simreal.observation import Float32Array
from simreal.spaces import STATE
from simreal.statistics import Interval, share_interval

Batch = torch.Tensor
Loss = Callable[[Batch, Batch], torch.Tensor]
LossName = Literal["coral", "mmd", "adversarial"]
WIDTHS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Of the kernels, in shares of the median squared distance."""
WIDTH = 64
"""Of a discriminator's layers."""
REMEMBERED_STEPS = 64
"""Of all simulations, whose observations are aligned while a policy is trained."""
JUDGE_STEPS = 400
"""Updates of the discriminator that judges."""
FURTHEST = 1e6
"""Of a feature from its mean, in standard deviations, as a discriminator sees it."""


class AlignmentConfig(Config):
    """How to align features."""

    loss: LossName = "mmd"
    weight: Annotated[float, Field(gt=0)] = 1.0
    """Of the loss beside another one; an optimizer of its own makes nothing of it."""
    batch_size: Annotated[int, Field(ge=8)] = 128
    """Simulated and real ones in each update, each, and the least that there must be of real ones. The
    updates of an imitation have the size of its own batches, unless simulated inputs are given, too."""
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    updates: Annotated[int, Field(gt=0)] = 4
    """After each rollout of a training. An imitation aligns in every update of its own."""


def coral_loss(simulated: Batch, real: Batch) -> torch.Tensor:
    """Squared difference of the covariances and means of (n, d) and (m, d) features."""
    size = simulated.shape[1]
    covariance = (torch.cov(simulated.T) - torch.cov(real.T)).reshape(-1).square().sum() / (
        4.0 * size**2
    )
    mean = (simulated.mean(dim=0) - real.mean(dim=0)).square().mean()
    return covariance + mean


def mmd_loss(simulated: Batch, real: Batch) -> torch.Tensor:
    """Squared maximum mean discrepancy of (n, d) and (m, d) features; unbiased: about 0 if alike."""
    both = torch.cat((simulated, real))
    distance = torch.cdist(both, both).square()
    median = (
        distance.detach()[distance.detach() > 0].median() if (distance > 0).any() else distance.max()
    )
    kernel = torch.stack([torch.exp(-distance / (width * median + 1e-12)) for width in WIDTHS]).mean(
        dim=0
    )
    n, m = len(simulated), len(real)
    within = [
        (part.sum() - part.diagonal().sum()) / (count * (count - 1))
        for part, count in ((kernel[:n, :n], n), (kernel[n:, n:], m))
    ]
    return within[0] + within[1] - 2.0 * kernel[:n, n:].mean()


def of_one_scale(simulated: Batch, real: Batch) -> tuple[Batch, Batch]:
    """Each feature about its mean and over its spread, in both batches together.

    Who tells domains apart looks at a feature that hardly varies as well as at any other, and nothing is
    gained by making all of them small.
    """
    both = torch.cat((simulated, real)).detach()
    centre, scale = both.mean(dim=0), both.std(dim=0) + 1e-6
    return (simulated - centre) / scale, (real - centre) / scale


class ReversedGradient(torch.autograd.Function):
    """The identity, whose gradient is turned round."""

    @staticmethod
    def forward(ctx: Any, features: torch.Tensor) -> torch.Tensor:
        """Pass on."""
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        """Turn round."""
        return -gradient


class Discriminator(nn.Module):
    """(batch, d) features to (batch,) logits of being real."""

    def __init__(self, size: int) -> None:
        """Make one for features of a size."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(size, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Linear(WIDTH, 1)
        )

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Tell apart."""
        logits: torch.Tensor = self.layers(features).squeeze(-1)
        return logits

    def loss(self, simulated: Batch, real: Batch) -> torch.Tensor:
        """Cross entropy of telling (n, d) and (m, d) features apart, either domain as heavy."""
        cross = nn.functional.binary_cross_entropy_with_logits
        logits = self(simulated), self(real)
        return 0.5 * (
            cross(logits[0], torch.zeros_like(logits[0])) + cross(logits[1], torch.ones_like(logits[1]))
        )


class AdversarialLoss(nn.Module):
    """A discriminator that learns to tell features apart, while their encoder learns the opposite.

    Its parameters learn by an optimizer of their own: `Aligner.step_discriminator`.
    """

    def __init__(self, size: int) -> None:
        """Make it for features of a size."""
        super().__init__()
        self.discriminator = Discriminator(size)

    def forward(self, simulated: Batch, real: Batch) -> torch.Tensor:
        """The discriminator's cross entropy, with gradients for the encoder turned round."""
        reverse = ReversedGradient.apply
        turned = (reverse(each) for each in of_one_scale(simulated, real))  # type: ignore[no-untyped-call]
        return self.discriminator.loss(*turned)


def make_loss(config: AlignmentConfig, size: int) -> Loss:
    """The loss of a configuration, for features of a size."""
    match config.loss:
        case "coral":
            return coral_loss
        case "mmd":
            return lambda simulated, real: mmd_loss(*of_one_scale(simulated, real))
    return AdversarialLoss(size)


def separability(simulated: NDArray[np.floating[Any]], real: NDArray[np.floating[Any]]) -> Interval:
    """How well a fresh discriminator tells features apart that it has not seen; 0.5 is chance.

    The first halves train it and the second ones judge it: what was recorded in order of time is judged
    by what came later. Accuracy is the mean over both domains, with Wilson's interval.

    Args:
        simulated: (n, d).
        real: (m, d).

    Raises:
        UserError: too few to judge, of other shapes, or what is no numbers, and would seem to be alike.
    """
    _refuse_no_numbers(simulated, real)
    if simulated.ndim != 2 or simulated.shape[1:] != real.shape[1:]:
        raise UserError(
            f"features of shapes {simulated.shape} and {real.shape}: expected (n, d) and (m, d)"
        )
    if min(len(simulated), len(real)) < 20:
        raise UserError(f"{len(simulated)} simulated and {len(real)} real features: at least 20 of each")
    parts = [np.array_split(np.asarray(each, dtype=np.float64), 2) for each in (simulated, real)]
    known = np.concatenate([part[0] for part in parts])
    with np.errstate(over="ignore", invalid="ignore"):
        centre, scale = known.mean(axis=0), known.std(axis=0) + 1e-6
    if not np.isfinite(scale).all():
        raise UserError("features too large to be compared: scale them down first")
    train, judge = ([_scaled(part[half], centre, scale) for part in parts] for half in (0, 1))
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        discriminator = Discriminator(known.shape[1])
        optimizer = torch.optim.AdamW(discriminator.parameters(), 3e-3, weight_decay=1e-3)
        for _ in range(JUDGE_STEPS):
            batches = [each[torch.randint(len(each), (min(256, len(each)),))] for each in train]
            optimizer.zero_grad()
            discriminator.loss(*batches).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    with torch.no_grad():
        right = [float((discriminator(each) > 0).float().mean()) for each in judge]
    accuracy = 0.5 * (1.0 - right[0] + right[1])
    number = 2 * min(map(len, judge))
    return share_interval(accuracy * number, number)


def _scaled(
    features: NDArray[np.float64], centre: NDArray[np.float64], scale: NDArray[np.float64]
) -> Batch:
    """(n, d) in shares of a scale, which 32 bits hold whatever they were before."""
    return torch.from_numpy(np.clip((features - centre) / scale, -FURTHEST, FURTHEST)).float()


def _refuse_no_numbers(*inputs: NDArray[Any]) -> None:
    for each in inputs:
        if each.ndim < 2 or each.size == 0 or each.dtype.kind not in "fui":
            raise UserError(f"expected rows of numbers, found {each.dtype} of shape {each.shape}")
        bad = int(np.sum(~np.isfinite(each.reshape(len(each), -1)).all(axis=1)))
        if bad:
            raise UserError(f"{bad} of {len(each)} rows hold numbers that are none: leave them out")


def _refuse_other_shape(simulated: tuple[int, ...], real: tuple[int, ...]) -> None:
    if simulated[1:] != real[1:]:
        raise UserError(f"simulated inputs of shape {tuple(simulated[1:])}, real ones of {real[1:]}")


def _width_of_features(encoder: nn.Module, real: Batch) -> int:
    """Width of the (batch, d) features that an encoder makes of (n, ...) inputs.

    Raises:
        UserError: it makes none of such inputs.
    """
    given = f"real inputs of shape {tuple(real.shape)}, {real.dtype}"
    try:
        with torch.no_grad():
            features = encoder(real[:2])
    except Exception as error:  # an encoder raises what it will
        told = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{given}, do not fit the encoder: {told}") from None
    if features.ndim != 2:
        raise UserError(f"{given}: the encoder makes {tuple(features.shape)} of two, not (2, d)")
    return int(features.shape[1])


@contextmanager
def as_deployed(encoder: nn.Module) -> Iterator[None]:
    """Without what training alone does to its inputs.

    Of real images that are shifted at random, features may differ by shift as those of simulated ones
    differ by what they show: together they look alike, and none of them says what it should.
    """
    modes = [(module, module.training) for module in encoder.modules()]
    encoder.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


class Aligner:
    """Updates an encoder so that its features of real inputs look like those of simulated ones.

    Attributes:
        encoder: that learns.
    """

    def __init__(
        self,
        encoder: nn.Module,
        real: Float32Array | NDArray[np.uint8],
        config: AlignmentConfig,
        seed: int = 0,
    ) -> None:
        """Align an encoder.

        Args:
            encoder: (batch, ...) inputs to (batch, d) features.
            real: (n, ...) inputs of the robot.
            config: how.
            seed: of the batches.

        Raises:
            UserError: too few real inputs, such that are no numbers or do not fit the encoder, or an
                encoder that is frozen.
        """
        _refuse_no_numbers(real)
        if not any(each.requires_grad for each in encoder.parameters()):
            raise UserError("a frozen encoder cannot be aligned: image_encoder_frozen: false")
        if len(real) < config.batch_size:
            raise UserError(f"{len(real)} real inputs are fewer than a batch, {config.batch_size}")
        self.encoder, self._real, self._config = encoder, torch.from_numpy(real), config
        size = _width_of_features(encoder, self._real)
        self._random = torch.Generator().manual_seed(seed)
        self._loss = make_loss(config, size)
        rate = config.learning_rate
        self._optimizer = torch.optim.Adam(list(encoder.parameters()), rate)
        own = self._loss.parameters() if isinstance(self._loss, nn.Module) else None
        self._of_discriminator = None if own is None else torch.optim.Adam(own, rate)

    def loss(self, simulated: torch.Tensor) -> torch.Tensor:
        """The weighted loss of (n, ...) simulated inputs against a batch of real ones.

        Raises:
            UserError: they are of another shape than the real ones.
        """
        if not isinstance(self.encoder, ActorFeatures):  # that leaves out what only a critic sees
            _refuse_other_shape(simulated.shape, tuple(self._real.shape))
        rows = torch.randint(len(self._real), (len(simulated),), generator=self._random)
        with as_deployed(self.encoder):
            features = self.encoder(simulated), self.encoder(self._real[rows])
        return self._config.weight * self._loss(*features)

    def update(self, simulated: torch.Tensor, task_loss: torch.Tensor | None = None) -> float:
        """One step on (n, ...) simulated inputs, and on what else the encoder is to learn."""
        loss = self.loss(simulated)
        self._optimizer.zero_grad()
        (loss if task_loss is None else loss + task_loss).backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.step_discriminator()
        return float(loss.detach())

    def step_discriminator(self) -> None:
        """Let it learn, where there is one, by the gradients of the last loss, and forget them."""
        if self._of_discriminator is not None:
            self._of_discriminator.step()
            self._of_discriminator.zero_grad()


class ActorFeatures(nn.Module):
    """What the policy of a PPO makes of observations before its last layer."""

    def __init__(self, agent: BaseAlgorithm) -> None:
        """Take the networks of an agent; they are shared, not copied.

        Raises:
            UserError: an agent with other networks.
        """
        super().__init__()
        policy: Any = agent.policy
        if type(agent) not in (PPO, ImitationPPO) or isinstance(policy, SymmetricPolicy):
            raise UserError(
                f"features of {type(policy).__name__} of {type(agent).__name__} cannot be aligned: "
                "those of a ppo can that is neither symmetric nor adaptive"
            )
        if acting_encoders(policy):
            raise UserError("of a policy that sees, the images of a camera are aligned: which camera?")
        self._policy = policy

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """(batch, d) features of (batch, size) observations; what a critic sees may stand behind."""
        policy: Any = self._policy
        normalizer, size = policy.features_extractor.normalizer, policy.observation_space.shape[0]
        actor_size = getattr(policy, "actor_size", size)
        seen = normalizer.first(actor_size)(observation[:, :actor_size])
        features: torch.Tensor = policy.mlp_extractor.policy_net(seen)
        return features

    def parameters(self, recurse: bool = True) -> Any:
        """Those of the layers before the last, and no others."""
        policy: Any = self._policy
        return policy.mlp_extractor.policy_net.parameters(recurse)


class AlignDuringTraining(BaseCallback):
    """Aligns features of a policy with real ones, after each of its updates.

    Those of observations, of a PPO alone; or those of one camera's images, of any agent that sees: its
    encoder is the policy's own, so that both shape it. A pupil that imitates a teacher aligns in the
    very steps in which it learns: hundreds follow each rollout, and would undo what came before.
    """

    def __init__(
        self,
        real: Float32Array | NDArray[np.uint8],
        config: AlignmentConfig | None = None,
        seed: int = 0,
        camera: str | None = None,
        simulated: Float32Array | NDArray[np.uint8] | None = None,
    ) -> None:
        """Prepare.

        Args:
            real: (n, size) observations of the robot, such as the channel of that name in its logs; or
                (n, channels, height, width) what a policy would see through its camera: see
                `simreal.deploy.cameras.film_images`.
            config: how.
            seed: of the batches.
            camera: whose images; observations if absent.
            simulated: (m, ...) such inputs of the simulation, moved as the robot was: by the same
                leader, through the same kinds of episodes. Without them, what the training itself
                comes by is aligned; where its motion is another, so are the features that say where
                things are, and to make them alike spoils them.

        Raises:
            UserError: simulated inputs that are no numbers, or of another shape than the robot's.
        """
        super().__init__()
        if simulated is not None:
            _refuse_no_numbers(simulated)
            _refuse_other_shape(simulated.shape, real.shape)
            if simulated.dtype != real.dtype:
                raise UserError(f"simulated inputs of {simulated.dtype}, real ones of {real.dtype}")
        self._real, self._config, self._seed = real, config or AlignmentConfig(), seed
        self._camera = camera
        self._simulated = simulated
        self._aligner: Aligner | None = None
        self._seen: deque[NDArray[Any]] = deque(maxlen=REMEMBERED_STEPS)
        self._random = np.random.default_rng(seed)

    def _on_training_start(self) -> None:
        camera = self._camera
        encoder = ActorFeatures(self.model) if camera is None else encoder_of(self.model.policy, camera)
        self._aligner = Aligner(encoder, self._real, self._config, self._seed)
        if isinstance(self.model, ImitationPPO):
            self.model.beside = self

    def _on_training_end(self) -> None:
        if isinstance(self.model, ImitationPPO):
            self.model.beside = None

    def loss(self, seen: dict[str, torch.Tensor]) -> torch.Tensor:
        """See `simreal.agents.imitation.Beside`."""
        assert self._aligner is not None
        own = self._simulated is not None
        loss = self._aligner.loss(self._rows() if own else seen[self._camera or STATE])
        self.logger.record_mean("alignment/loss", float(loss.detach()))
        return loss

    def step(self) -> None:
        """See `simreal.agents.imitation.Beside`."""
        assert self._aligner is not None
        self._aligner.step_discriminator()

    def _on_step(self) -> bool:
        if isinstance(self.model, ImitationPPO):
            return True  # it remembers by itself
        seen = self.locals["new_obs"]
        self._seen.append(seen[self._camera or STATE] if isinstance(seen, dict) else seen)
        return True

    def _on_rollout_start(self) -> None:
        """Between an update and the next rollout, whose actions are then those of the changed policy."""
        if self._aligner is None or not self._seen:
            return  # before the first one
        losses = [self._aligner.update(self._drawn()) for _ in range(self._config.updates)]
        self.logger.record("alignment/loss", float(np.mean(losses)))

    def _drawn(self) -> torch.Tensor:
        """(batch, ...) of the simulation's, or of what was seen last."""
        if self._simulated is not None:
            return self._rows()
        number = self._config.batch_size
        steps = self._random.integers(len(self._seen), size=number)
        rows = self._random.integers(len(self._seen[0]), size=number)
        return torch.from_numpy(
            np.stack([self._seen[step][row] for step, row in zip(steps, rows, strict=True)])
        )

    def _rows(self) -> torch.Tensor:
        """(batch, ...) of the inputs of the simulation that were given."""
        assert self._simulated is not None
        rows = self._random.integers(len(self._simulated), size=self._config.batch_size)
        return torch.from_numpy(self._simulated[rows])
