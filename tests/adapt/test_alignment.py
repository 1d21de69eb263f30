"""Losses that align features, and the judge of them, on data whose shift is known."""

import numpy as np
import pytest
import torch
from torch import nn

from simreal.adapt.alignment import (
    ActorFeatures,
    AdversarialLoss,
    AlignDuringTraining,
    Aligner,
    AlignmentConfig,
    LossName,
    coral_loss,
    make_loss,
    mmd_loss,
    of_one_scale,
    separability,
)
from simreal.agents.build import build_agent
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.vec_env import SimrealVecEnv

torch.set_num_threads(1)
LOSSES = ("coral", "mmd", "adversarial")
WIDTH = 2
"""Of the features: no more than there is to say, or a shift shows in what does not vary otherwise."""


def normal(number: int, seed: int, size: int = 6) -> torch.Tensor:
    return torch.randn(number, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("loss", [coral_loss, mmd_loss])
def test_a_loss_is_near_zero_where_nothing_is_shifted_and_grows_with_the_shift(loss) -> None:  # type: ignore[no-untyped-def]
    values = [float(loss(normal(400, 0), normal(400, 1) + shift)) for shift in (0.0, 0.5, 1.0, 2.0)]
    assert abs(values[0]) < 0.02
    assert values == sorted(values) and values[1] > 3.0 * abs(values[0])


@pytest.mark.long
def test_mmd_sees_what_means_and_covariances_do_not() -> None:
    """Two lumps against a normal distribution of the same mean and variance."""
    signs = torch.sign(normal(2000, 5, 1))
    lumps = (signs + 0.1 * normal(2000, 6, 1)) / np.sqrt(1.01)
    plain = normal(2000, 7, 1)
    assert float(mmd_loss(plain, lumps)) > 20.0 * abs(float(mmd_loss(plain, normal(2000, 8, 1))))
    assert float(coral_loss(plain, lumps)) < 0.01


def test_coral_is_the_papers_where_means_agree() -> None:
    one, other = normal(100, 0), 2.0 * normal(100, 1)
    one, other = one - one.mean(dim=0), other - other.mean(dim=0)
    difference = np.cov(one.numpy().T) - np.cov(other.numpy().T)
    expected = np.sum(difference**2) / (4.0 * 6**2)
    assert float(coral_loss(one, other)) == pytest.approx(expected, rel=1e-4)


def test_the_gradient_of_features_is_turned_round_and_the_discriminators_is_not() -> None:
    torch.manual_seed(0)
    loss, shifted = AdversarialLoss(6), (normal(50, 1) + 1.0).requires_grad_()
    found = loss(normal(50, 0), shifted)
    found.backward()
    reversed_gradient = shifted.grad.clone()  # type: ignore[union-attr]
    weight = loss.discriminator.layers[0].weight.grad.clone()  # type: ignore[union-attr, operator]
    loss.zero_grad()
    shifted.grad = None
    plain = loss.discriminator.loss(*of_one_scale(normal(50, 0), shifted))
    plain.backward()
    assert float(plain) == pytest.approx(float(found.detach()))
    torch.testing.assert_close(shifted.grad, -reversed_gradient)
    torch.testing.assert_close(loss.discriminator.layers[0].weight.grad, weight)  # type: ignore[union-attr]


@pytest.mark.parametrize("loss", ["mmd", "adversarial"])
def test_a_feature_counts_whatever_its_scale(loss: LossName) -> None:
    torch.manual_seed(0)
    made, small = make_loss(AlignmentConfig(loss=loss), 4), torch.tensor([1e-4, 1.0, 1.0, 1.0])
    simulated, real = normal(200, 0, 4), normal(200, 1, 4) + torch.tensor([2.0, 0.0, 0.0, 0.0])
    shrunk = made(simulated * small, real * small)
    torch.testing.assert_close(shrunk, made(simulated, real), rtol=0.02, atol=0)


def test_the_judge_tells_apart_what_differs_and_nothing_else() -> None:
    same = separability(normal(1000, 0).numpy(), normal(1000, 1).numpy())
    assert same.low < 0.5 < same.high or abs(same.value - 0.5) < 0.06
    assert separability(normal(1000, 0).numpy(), normal(1000, 1).numpy() + 3.0).value > 0.99
    uneven = separability(normal(3000, 0).numpy(), normal(100, 1).numpy())
    assert uneven.value < 0.65
    state = torch.get_rng_state()
    again = separability(normal(1000, 0).numpy(), normal(1000, 1).numpy())
    assert again == same and torch.equal(state, torch.get_rng_state())
    with pytest.raises(UserError, match="at least 20"):
        separability(normal(5, 0).numpy(), normal(50, 1).numpy())


def domains(number: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Simulated inputs with what they mean, and real ones, half of whose entries are moved.

    The meaning stands in both halves, so that there is a way to see it which both domains share.
    """
    meaning = normal(number, seed, 2)
    noise = 0.3 * normal(number, seed + 1, 4)
    simulated = torch.cat((meaning, meaning), dim=1) + noise
    moved = torch.cat((meaning, 0.3 * meaning + 5.0), dim=1) + noise
    return simulated, moved, meaning


def trained(loss: str | None, seed: int = 0) -> tuple[float, float]:
    """Separability of an encoder's features, and its error on the real domain."""
    torch.manual_seed(seed)
    encoder = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, WIDTH))
    head = nn.Linear(WIDTH, 2)
    _, real, _ = domains(2000, 10)
    config = AlignmentConfig(loss=loss or "mmd", learning_rate=3e-3)  # type: ignore[arg-type]
    aligner = Aligner(encoder, real.numpy(), config)
    of_head = torch.optim.Adam(head.parameters(), 3e-3)
    alone = torch.optim.Adam(encoder.parameters(), 3e-3)
    for update in range(600):
        simulated, _, meaning = domains(128, 100 + update)
        task = ((head(encoder(simulated)) - meaning) ** 2).mean()
        of_head.zero_grad()
        if loss is None:
            alone.zero_grad()
            task.backward()
            alone.step()
        else:
            aligner.update(simulated, task)
        of_head.step()
    simulated, real, meaning = domains(2000, 7)
    with torch.no_grad():
        error = float(((head(encoder(real)) - meaning) ** 2).mean())
        return separability(encoder(simulated).numpy(), encoder(real).numpy()).value, error


@pytest.fixture(scope="module")
def unaligned() -> tuple[float, float]:
    return trained(None)


@pytest.mark.parametrize("loss", LOSSES)
def test_aligned_features_cannot_be_told_apart_and_mean_the_same(
    loss: str, unaligned: tuple[float, float]
) -> None:
    before, error_before = unaligned
    after, error = trained(loss)
    assert before > 0.95
    assert after < 0.62
    assert error < 0.5 * error_before


class _Shaken(nn.Module):
    """An encoder whose inputs are moved at random in training, beside a part that does not train."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.still = nn.Linear(2, 2), nn.Identity().eval()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        if self.training:
            inputs = inputs + 10.0 * torch.randn_like(inputs)
        features: torch.Tensor = self.still(self.layer(inputs))
        return features


def test_what_training_does_to_its_inputs_hides_no_difference_and_goes_on() -> None:
    encoder, real = _Shaken(), np.random.default_rng(0).normal(3.0, 1.0, (64, 2)).astype(np.float32)
    aligner = Aligner(encoder, real, AlignmentConfig(batch_size=64))
    loss = aligner.loss(torch.zeros(64, 2) + 0.1 * torch.randn(64, 2))
    assert float(loss.detach()) > 0.5  # shaken by ten, the two would look the same
    assert encoder.training and encoder.layer.training and not encoder.still.training


def test_a_discriminator_learns_apart_from_whoever_steps_the_encoder() -> None:
    """As beside an imitation, whose optimizer knows the policy alone."""
    torch.manual_seed(0)
    encoder, simulated, real = nn.Identity(), normal(256, 0), normal(256, 1) + 2.0
    encoder.weight = nn.Parameter(torch.ones(1))  # type: ignore[assignment]
    config = AlignmentConfig(loss="adversarial", learning_rate=1e-2)
    aligner, losses = Aligner(encoder, real.numpy(), config), []
    for _ in range(50):
        loss = aligner.loss(simulated)
        loss.backward()  # type: ignore[no-untyped-call]
        aligner.step_discriminator()
        losses.append(float(loss.detach()))
    assert losses[0] > 0.6 and losses[-1] < 0.2
    assert float(encoder.weight) == 1.0  # type: ignore[arg-type]


@pytest.mark.parametrize("overrides", [(), ("critic=[parameters]",)])
def test_it_plugs_into_the_features_of_a_training(overrides: tuple[str, ...]) -> None:
    small = ("ppo.hidden_layers=[16]", "ppo.rollout_steps=8", "episode_length=0.5", *overrides)
    experiment = load_experiment("qube_swingup", small)
    found = []
    for aligns in (False, True):
        env = BatchEnv(experiment, 32, 0, threads=1)
        agent = build_agent(experiment.agent_config, SimrealVecEnv(env), 0)
        simulated = np.concatenate([env.reset(seed) for seed in range(20)])
        real = simulated + np.float32(0.5)
        config = AlignmentConfig(loss="coral", weight=10.0, updates=40, learning_rate=1e-2)
        callback = AlignDuringTraining(real, config)
        agent.learn(1024, callback=callback if aligns else None)
        features = ActorFeatures(agent)
        assert sum(each.numel() for each in features.parameters()) == 16 * 8
        with torch.no_grad():
            pair = [features(torch.from_numpy(each)).mean(dim=0) for each in (simulated, real)]
        found.append(float((pair[0] - pair[1]).abs().max()))
    assert found[1] < 0.7 * found[0]


def test_what_is_given_of_the_simulation_is_aligned_in_place_of_what_training_sees(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Real inputs like the simulated ones that were given, and unlike all that training comes by."""
    losses: list[float] = []
    update = Aligner.update

    def heard(aligner: Aligner, simulated: torch.Tensor) -> float:
        losses.append(update(aligner, simulated))
        return losses[-1]

    monkeypatch.setattr(Aligner, "update", heard)
    experiment = load_experiment(
        "qube_swingup", ("ppo.hidden_layers=[16]", "ppo.rollout_steps=8", "episode_length=0.5")
    )
    first = []
    for given in (True, False):
        env = BatchEnv(experiment, 32, 0, threads=1)
        agent = build_agent(experiment.agent_config, SimrealVecEnv(env), 0)
        inputs = np.concatenate([env.reset(seed) for seed in range(20)]) + np.float32(3.0)
        callback = AlignDuringTraining(inputs, simulated=inputs if given else None)
        losses.clear()
        agent.learn(1024, callback=callback)
        first.append(losses[0])
    assert abs(first[0]) < 0.1 * first[1]


def test_simulated_inputs_of_another_shape_or_without_numbers_are_refused() -> None:
    real = np.zeros((300, 4), np.float32)
    with pytest.raises(UserError, match=r"of shape \(3,\), real ones of \(4,\)"):
        AlignDuringTraining(real, simulated=np.zeros((300, 3), np.float32))
    with pytest.raises(UserError, match="300 of 300 rows"):
        AlignDuringTraining(real, simulated=np.full((300, 4), np.nan, np.float32))


def test_agents_with_other_networks_and_too_few_inputs_are_refused() -> None:
    experiment = load_experiment("qube_swingup", ["agent=sac", "sac.simulations=4"])
    agent = build_agent(experiment.agent_config, SimrealVecEnv(BatchEnv(experiment, 4, 0, threads=1)), 0)
    with pytest.raises(UserError, match="of SAC cannot be aligned"):
        ActorFeatures(agent)
    with pytest.raises(UserError, match="fewer than a batch"):
        Aligner(nn.Linear(2, 2), np.zeros((10, 2), np.float32), AlignmentConfig())


def test_what_is_no_number_is_neither_alike_nor_aligned() -> None:
    """A log has none where a measurement is missing; a discriminator would be at chance."""
    rows = np.random.default_rng(0).standard_normal((64, 3)).astype(np.float32)
    gap = rows.copy()
    gap[5, 1] = np.nan
    with pytest.raises(UserError, match="1 of 64 rows hold numbers that are none"):
        separability(rows, gap)
    with pytest.raises(UserError, match="1 of 64 rows hold numbers that are none"):
        Aligner(nn.Linear(3, 2), gap, AlignmentConfig(batch_size=16))


@pytest.mark.long
def test_the_judge_sees_what_32_bits_cannot_hold() -> None:
    own, robots = (normal(200, seed).numpy().astype(float) + 3.0 * seed for seed in (0, 1))
    assert separability(own * 1e60, robots * 1e60).value > 0.99
    robots[100:] *= 1e30  # what comes later, only
    assert separability(own, robots).value > 0.9
    with pytest.raises(UserError, match="too large"):
        separability(own * 1e250, own * 1e250)


@pytest.mark.parametrize("shape", [(), (64,), (0, 3), (64, 0), (64, 4), (64, 3, 8, 8)])
def test_inputs_of_another_shape_are_one_message(shape: tuple[int, ...]) -> None:
    rows, other = np.zeros((64, 3), np.float32), np.zeros(shape, np.float32)
    for given in ((rows, other), (other, rows)):
        with pytest.raises(UserError, match="shape"):
            separability(*given)
    with pytest.raises(UserError, match="shape"):
        Aligner(nn.Linear(3, 2), other, AlignmentConfig(batch_size=16))
    if len(shape) > 1:
        with pytest.raises(UserError, match="simulated inputs of shape"):
            Aligner(nn.Linear(3, 2), rows, AlignmentConfig(batch_size=16)).loss(torch.zeros(16, 5))


def test_inputs_of_another_kind_are_one_message() -> None:
    rows = np.zeros((300, 3), np.float32)
    with pytest.raises(UserError, match="float64, do not fit the encoder"):
        Aligner(nn.Linear(3, 2), rows.astype(float), AlignmentConfig())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="expected rows of numbers, found <U1"):
        separability(rows, np.full((300, 3), "a"))  # type: ignore[arg-type]
    with pytest.raises(UserError, match="simulated inputs of uint8, real ones of float32"):
        AlignDuringTraining(rows, simulated=rows.astype(np.uint8))
