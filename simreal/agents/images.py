"""Networks that turn images into a few numbers, and the feature extractor that they are part of."""

from collections.abc import Mapping
from typing import Any, Literal, cast

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn
from torch.nn import functional

from simreal.agents.normalizer import Normalizer
from simreal.contract import CameraTerm
from simreal.errors import UserError, nearest
from simreal.spaces import STATE

Kind = Literal["small", "nature"]
ACTING = ("actor", "q_net", "quantile_net")
"""Of policies with several networks, the one that acts; PPO's has one extractor for all."""
WHERE_MAPS = 24
"""Of the small network."""
HAS_MATRIX_UNIT: bool = torch.cpu._is_amx_tile_supported()
"""Whether the processor multiplies matrices of 16-bit numbers by itself, which makes the convolutions
2.4 times faster in training; others would be slower than with 32 bits."""


class Shift(nn.Module):
    """Moves each image by some pixels at random while training, and repeats its edge beside it."""

    def __init__(self, pixels: int) -> None:
        """At most so many in each direction."""
        super().__init__()
        self._pixels = pixels

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) images of the same kind."""
        if not self.training or self._pixels == 0:
            return images
        count, _, height, width = images.shape
        rows, columns = (self._moved(count, size, images.device) for size in (height, width))
        which = torch.arange(count, device=images.device)[:, None, None]
        return images[which, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)

    def _moved(self, count: int, size: int, device: torch.device) -> torch.Tensor:
        """(count, size) from which place each pixel comes."""
        by = torch.randint(-self._pixels, self._pixels + 1, (count, 1), device=device)
        return (torch.arange(size, device=device) + by).clamp(0, size - 1)


class Where(nn.Module):
    """Where in an image each feature is: the mean place under its softmax (Levine et al., JMLR 2016).

    Places are from -1 to 1, left to right and top to bottom.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(n, 2 features) of (n, features, height, width) maps."""
        height, width = maps.shape[-2:]
        share = functional.softmax(maps.flatten(2), dim=2)
        down = torch.linspace(-1.0, 1.0, height)[:, None].expand(height, width).reshape(-1, 1)
        across = torch.linspace(-1.0, 1.0, width)[None, :].expand(height, width).reshape(-1, 1)
        places = share @ torch.cat([across, down], dim=1)
        return places.flatten(1)


def image_network(kind: Kind, channels: int) -> nn.Sequential:
    """The convolutions of a network and what makes numbers of them.

    Args:
        kind: `nature` of Mnih et al. (2015), made for 84 x 84 pixels; `small` says where features are.
        channels: of all frames.
    """
    if kind == "nature":
        return nn.Sequential(
            nn.Conv2d(channels, 32, 8, stride=4),
            nn.ReLU(),
            nn.Conv2d(32, 64, 4, stride=2),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3),
            nn.ReLU(),
            nn.Flatten(),
        )
    return nn.Sequential(
        nn.Conv2d(channels, 24, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(24, 32, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, WHERE_MAPS, 3, padding=1),
        Where(),
    )


class ImageEncoder(nn.Module):
    """From a camera's whole numbers to features.

    Attributes:
        size: of the features.
    """

    def __init__(self, term: CameraTerm, kind: Kind, shift: int, features: int | None = None) -> None:
        """Make the network of a camera."""
        super().__init__()
        self._mean, self._deviation = 255.0 * term.mean, 255.0 * term.deviation
        self._shift = Shift(shift)
        self.network = image_network(kind, term.shape[0])
        with torch.no_grad():
            self.size = int(self.network(torch.zeros(1, *term.shape)).shape[1])
        self.last: nn.Module = nn.Identity()
        if kind == "nature":
            self.network.append(nn.Linear(self.size, features or 512)).append(nn.ReLU())
            self.size = features or 512
        elif features is not None:
            self.last, self.size = nn.Linear(self.size, features), features

    def begin_as(self, other: "ImageEncoder") -> bool:
        """Take another's weights; whether that was possible, as it is among encoders of one kind."""
        mine, theirs = self.state_dict(), other.state_dict()
        pixels = [(each._mean, each._deviation) for each in (self, other)]
        shapes = [{name: each.shape for name, each in state.items()} for state in (mine, theirs)]
        alike = pixels[0] == pixels[1] and shapes[0] == shapes[1]
        if alike:
            self.load_state_dict(theirs)
        return alike

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(n, size) features of (n, channels, height, width) numbers from 0 to 255."""
        pixels = (self._shift(images).float() - self._mean) / self._deviation
        if self.training and HAS_MATRIX_UNIT:
            with torch.autocast("cpu", torch.bfloat16):
                maps = self.network[:-1](pixels)
            # The last layer tells places, which 8 bits of mantissa would blur.
            found = self.network[-1](maps.float())
        else:
            found = self.network(pixels)
        features: torch.Tensor = self.last(found)
        return features


class SeenObservation(BaseFeaturesExtractor):
    """Numbers, normalised, and behind them the features of each camera in the order of the contract."""

    def __init__(
        self,
        observation_space: spaces.Dict,
        normalizer: Normalizer,
        cameras: tuple[CameraTerm, ...],
        kind: Kind,
        shift: int,
        features: int | None = None,
    ) -> None:
        """Make the networks of all cameras; all networks of an agent share them and the statistics."""
        encoders = {term.name: ImageEncoder(term, kind, shift, features) for term in cameras}
        numbers: Any = observation_space[STATE]
        self.numbers = int(numbers.shape[0])
        size = self.numbers + sum(encoder.size for encoder in encoders.values())
        super().__init__(observation_space, features_dim=size)
        self.normalizer = normalizer
        self.encoders = nn.ModuleDict(encoders)

    @property
    def by_camera(self) -> dict[str, ImageEncoder]:
        """Name of a camera to its encoder, in the order of the contract."""
        return cast(dict[str, ImageEncoder], dict(self.encoders.items()))

    def forward(self, observations: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """(n, features) of a batch."""
        seen = [encoder(observations[name]) for name, encoder in self.encoders.items()]
        return torch.cat([self.normalizer(observations[STATE]), *seen], dim=1)


def acting_encoders(policy: Any) -> dict[str, ImageEncoder]:
    """Name of a camera to its encoder in the network that acts, in the order of the contract."""
    acts = next((getattr(policy, name) for name in ACTING if hasattr(policy, name)), policy)
    extractor = acts.features_extractor
    return extractor.by_camera if isinstance(extractor, SeenObservation) else {}


def encoder_of(policy: Any, camera: str) -> ImageEncoder:
    """The encoder with which a policy sees through a camera; shared, not copied.

    Raises:
        UserError: it has no such camera.
    """
    encoders = acting_encoders(policy)
    if camera not in encoders:
        raise UserError(f"the policy has no camera {camera!r}: {nearest(camera, encoders)}")
    return encoders[camera]


def begin_as(policy: nn.Module, other: nn.Module) -> None:
    """Let all networks of a policy see at first as another policy does.

    Raises:
        UserError: the other one has not the same cameras, or other networks behind them.
    """
    theirs = acting_encoders(other)
    for extractor in policy.modules():
        if isinstance(extractor, SeenObservation):
            for name, encoder in extractor.by_camera.items():
                if name not in theirs:
                    raise UserError(f"image_encoder: has no camera {name!r}: {nearest(name, theirs)}")
                if not encoder.begin_as(theirs[name]):
                    raise UserError(
                        f"image_encoder: camera {name} has another size, kind, stack, normalisation, "
                        "image_network or image_features there"
                    )


def freeze(policy: nn.Module) -> None:
    """Let no training change what any network of a policy sees."""
    for each in policy.modules():
        if isinstance(each, ImageEncoder):
            each.requires_grad_(False)
