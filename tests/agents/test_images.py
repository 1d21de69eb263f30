"""Networks that see, part by part."""

import pytest
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import NatureCNN
from torch import nn

from simreal.agents.images import ImageEncoder, Kind, Shift, Where
from simreal.contract import CameraTerm


def test_each_image_is_shifted_by_itself_and_its_edge_repeated() -> None:
    torch.manual_seed(0)
    columns = torch.arange(10.0).expand(1, 2, 8, 10)
    images = columns.repeat(200, 1, 1, 1)
    moved = Shift(3).train()(images)
    by = moved[:, 0, 0, 5] - 5.0
    assert set(by.tolist()) == {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0}
    expected = (torch.arange(10.0) + by[:, None]).clamp(0.0, 9.0)
    torch.testing.assert_close(
        moved, expected[:, None, None].expand_as(moved)
    )  # both channels, all rows
    rows = Shift(3).train()(images.transpose(2, 3))
    assert len(set(rows[:, 0, 5, 0].tolist())) == 7


def test_nothing_is_shifted_where_nothing_is_learnt() -> None:
    images = torch.rand(5, 1, 8, 8)
    assert Shift(3).eval()(images) is images
    assert Shift(0).train()(images) is images


def test_where_says_in_which_place_a_feature_is() -> None:
    maps = torch.zeros(1, 2, 9, 5)
    maps[0, 0, 2, 4], maps[0, 1, 8, 0] = 50.0, 50.0
    torch.testing.assert_close(Where()(maps), torch.tensor([[1.0, -0.5, -1.0, 1.0]]))


def test_the_nature_network_is_that_of_the_paper_with_a_layer_of_512() -> None:
    term = CameraTerm(name="eye", width=84, height=84, kind="grey", stack=4)
    mine = ImageEncoder(term, "nature", 0)
    theirs = NatureCNN(spaces.Box(0, 255, (4, 84, 84), "uint8"), 512)
    shapes = [[each.shape for each in network.parameters()] for network in (mine, theirs)]
    assert shapes[0] == shapes[1]
    strides = [layer.stride for layer in mine.network if isinstance(layer, nn.Conv2d)]
    assert (strides, mine.size) == ([(4, 4), (2, 2), (1, 1)], 512)


@pytest.mark.parametrize(("kind", "usual"), [("small", 48), ("nature", 512)])
def test_an_image_is_told_in_as_many_numbers_as_asked_for(kind: Kind, usual: int) -> None:
    term = CameraTerm(name="eye", width=84, height=84)
    images = torch.zeros(2, 3, 84, 84, dtype=torch.uint8)
    for features, size in ((None, usual), (6, 6)):
        encoder = ImageEncoder(term, kind, 0, features)
        assert (encoder.size, encoder(images).shape) == (size, (2, size))
    assert not ImageEncoder(term, kind, 0).begin_as(encoder)


def test_pixels_are_normalised_as_the_contract_says() -> None:
    term = CameraTerm(name="eye", width=8, height=8, mean=0.2, deviation=0.4)
    encoder = ImageEncoder(term, "small", 0).eval()
    given: list[torch.Tensor] = []
    encoder.network = nn.Sequential(nn.Identity(), nn.Identity())
    encoder.network.register_forward_pre_hook(lambda _, seen: given.append(seen[0]))
    encoder(torch.full((1, 3, 8, 8), 153, dtype=torch.uint8))
    torch.testing.assert_close(given[0], torch.full((1, 3, 8, 8), (0.6 - 0.2) / 0.4))
