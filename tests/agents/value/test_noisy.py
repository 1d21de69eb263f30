"""The statistics of noisy layers."""

import math

import torch

from simreal.agents.value.noisy import NoisyLinear


def test_it_begins_as_the_paper_says() -> None:
    layer = NoisyLinear(400, 300)
    bound = 1.0 / math.sqrt(400)
    assert layer.weight.abs().max() <= bound
    assert abs(float(layer.weight.detach().std()) - bound / math.sqrt(3.0)) < 0.02 * bound
    assert (layer.weight_sigma == 0.5 * bound).all()
    assert (layer.bias_sigma == 0.5 * bound).all()


def test_without_training_it_is_its_mean() -> None:
    layer = NoisyLinear(5, 3).eval()
    values = torch.randn(7, 5)
    torch.testing.assert_close(layer(values), values @ layer.weight.T + layer.bias)


def test_noise_has_the_mean_and_the_spread_of_factorised_gaussians() -> None:
    """E f(e) = 0 and E f(e)^2 = E |e| = sqrt(2/pi): the variance of an output is a sum of those."""
    torch.manual_seed(0)
    layer = NoisyLinear(4, 2)
    values = torch.tensor([[1.0, -2.0, 0.5, 3.0]])
    with torch.no_grad():
        layer.weight_sigma.uniform_(0.1, 0.5)
        layer.bias_sigma.uniform_(0.1, 0.5)
        outputs = layer(values.expand(200_000, 4))
        mean = values @ layer.weight.T + layer.bias
        of_one = math.sqrt(2.0 / math.pi)
        variance = of_one**2 * (values**2 @ (layer.weight_sigma**2).T) + of_one * layer.bias_sigma**2
    torch.testing.assert_close(outputs.mean(dim=0)[None], mean, atol=0.02, rtol=0.0)
    torch.testing.assert_close(outputs.var(dim=0)[None], variance, rtol=0.03, atol=0.0)


def test_each_row_explores_by_itself() -> None:
    outputs = NoisyLinear(3, 2)(torch.ones(100, 3))
    assert len({tuple(row) for row in outputs.tolist()}) == 100
