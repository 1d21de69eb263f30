import numpy as np
import pytest

from simreal.errors import UserError
from simreal.randomization.schedules import FixedConfig
from simreal.randomization.specification import ParameterConfig
from simreal.suite.batched import BatchedSimulations, disagreement
from simreal.suite.drawn_models import DrawnModels
from simreal.suite.simulation import Simulation
from simreal.suite.tasks import suite_task_names

# Each with another kind of code: sensors, a target in the model, Python's own functions, frames,
# activations, branches of the reward.
TASKS = [
    "cheetah-run",
    "reacher-easy",
    "ball_in_cup-catch",
    "finger-turn_easy",
    "finger-spin",
    "fish-swim",
    "manipulator-bring_peg",
    "stacker-stack_2",
    "swimmer-swimmer6",
    "humanoid-run",
    "quadruped-fetch",
    "point_mass-hard",
]
NOT_BATCHED = {"dm_control/lqr-lqr_2_1", "dm_control/lqr-lqr_6_2", "dm_control/dog-fetch"}
NEEDS_OPENGL = "dm_control/quadruped-escape"


def check(name: str) -> str | None:
    """Where a batch of randomized models and dm_control differ."""
    apart = Simulation(name)
    apart.begin(0, {})
    spread = {"distribution": {"type": "uniform", "low": 0.8, "high": 1.2}}
    entries = {key: ParameterConfig.model_validate(spread) for key in ("mass", "friction")}
    if name.endswith(("swimmer6", "swimmer15", "lqr_2_1", "lqr_6_2")) or "fish" in name:
        del entries["friction"]  # nothing touches there
    models = DrawnModels(name, apart.model, 4, entries, {}, FixedConfig())
    draws = np.random.default_rng(1).uniform(0.8, 1.2, (3, len(models.randomizer.columns)))
    changes = models.changes(draws)
    batched = BatchedSimulations(apart, 4, set(models.fields), threads=1)
    return disagreement(batched, Simulation(name), list(zip([7, 8, 9], changes, strict=True)))


@pytest.mark.parametrize("task", TASKS)
def test_a_batch_of_drawn_models_gives_what_dm_control_gives(task: str) -> None:
    assert check(f"dm_control/{task}") is None


@pytest.mark.parametrize(
    "task",
    [
        "dm_control/lqr-lqr_2_1",
        "dm_control/lqr-lqr_6_2",
        pytest.param("dm_control/dog-fetch", marks=pytest.mark.long),
    ],
)
def test_a_task_that_cannot_run_on_a_batch_is_found_out(task: str) -> None:
    with pytest.raises((TypeError, AttributeError)):
        check(task)


@pytest.mark.long
@pytest.mark.parametrize(
    "task", [n for n in suite_task_names() if "/loco" not in n and "/manipulation" not in n]
)
def test_all_other_tasks_of_the_suite_run_on_a_batch(task: str) -> None:
    if task in NOT_BATCHED or task == NEEDS_OPENGL:
        pytest.skip("one by one")
    different = check(task)
    if task.startswith("dm_control/dog"):
        assert different == "the reward"  # it counts in body weights, which are drawn
    else:
        assert different is None


def test_a_batch_of_another_model_is_noticed() -> None:
    apart, other = Simulation("dm_control/cheetah-run"), Simulation("dm_control/cheetah-run")
    apart.begin(0, {})
    other.model.body_mass[:] *= 1.001
    batched = BatchedSimulations(apart, 2, set(), threads=1)
    assert disagreement(batched, other, [(1, {}), (2, {})]) in (
        "the observation",
        "the first observation",
    )


def test_a_simulation_that_diverges_ends_alone_and_begins_anew() -> None:
    apart = Simulation("dm_control/cartpole-balance")
    apart.begin(0, {})
    batched = BatchedSimulations(apart, 3, set(), threads=1)
    batched.begin(np.arange(3), [1, 2, 3], [{}, {}, {}])
    batched._batch.bind("qvel")[1] = 1e12
    observation, reward, status = batched.step(np.zeros((3, 1)))
    assert status.tolist() == [0, 3, 0] and reward[1] == 0.0 and np.isfinite(observation).all()
    first = batched.begin(np.array([1]), [4], [{}])
    assert np.array_equal(first[0], Simulation("dm_control/cartpole-balance").begin(4, {}))
    _, _, status = batched.step(np.zeros((3, 1)))
    assert status.tolist() == [0, 0, 0]


def test_an_unknown_task_names_the_nearest() -> None:
    with pytest.raises(UserError, match="dm_control/cheetah-run"):
        Simulation("dm_control/cheeta-run")
