"""Other physics: one policy in both engines, and what an engine cannot follow."""

import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("pybullet", reason="PyBullet is not installed")

from simreal.cli.main import cli
from simreal.env import BatchEnv
from simreal.episodes import Episode
from simreal.errors import UserError
from simreal.evaluate import LARGEST_BULLET_BATCH, Candidate, as_json, evaluate, run_episodes
from simreal.evaluate import evaluation_rows as table_of
from simreal.experiment import ExperimentConfig, load_any_experiment, load_experiment
from simreal.images import NO_IMAGES, Images
from simreal.observation import Float32Array
from simreal.other_engine import move_to_engine
from simreal.report import Page
from simreal.run import Run
from simreal.train import start_run, train
from simreal.transfer import CONDITIONS, add_transfer, compare, load_candidates, rows

BY_HALF = {"type": "uniform", "low": 0.5, "high": 1.0}
GALE = "randomization.gale={parameter: wind, distribution: {type: uniform, low: 0.5, high: 2}}"
AIR = "randomization.air_density={distribution: {type: uniform, low: 0.0, high: 1.2}}"
OIL = "randomization.air_viscosity={distribution: {type: constant, value: 0.1}}"
NOTHING = "randomization={}"
Actions = NDArray[np.float64]


def experiment(*overrides: str, length: float = 0.5) -> ExperimentConfig:
    return load_experiment("qube_swingup", [f"episode_length={length}", *overrides])


def swing(observation: Float32Array, images: Images = NO_IMAGES) -> Actions:
    """Drive the arm with the pendulum's speed: it swings up energy, gently and smoothly."""
    return np.clip(2.0 * observation[:, 4:5].astype(np.float64), -0.2, 0.2)


def push(observation: Float32Array, images: Images = NO_IMAGES) -> Actions:
    return np.full((len(observation), 1), 0.05)


def returns(episodes: Sequence[Episode]) -> Actions:
    return np.array([episode.episode_return for episode in episodes])


def test_a_pendulum_that_rubs_nowhere_swings_alike_in_both_engines() -> None:
    """Without contacts and friction loss both integrate the same equations."""
    smooth = experiment(
        "randomization={joint_frictionloss: {target: '*', distribution: {type: constant, value: 0}}}"
    )
    found = [
        returns(run_episodes(push, move_to_engine(smooth, engine).experiment, 5, seed=1))
        for engine in ("mujoco", "bullet")
    ]
    assert np.ptp(found[0]) > 1e-4  # the starts differ
    np.testing.assert_allclose(found[1], found[0], atol=1e-4)


@pytest.mark.parametrize("name", ["go2_velocity", "so101_push"])
def test_what_stands_and_lies_on_contacts_stays_so_in_both_engines(name: str) -> None:
    """Feet on a floor and a cube on a table: the servos hold the pose in which an episode begins."""
    resting = load_experiment(name, ["episode_length=0.2", NOTHING, "critic=[]"])
    size = BatchEnv(resting, 1, threads=1).action_size
    mujoco, bullet = (
        run_episodes(
            lambda observation, images: np.zeros((len(observation), size)),
            move_to_engine(resting, engine).experiment,
            3,
            seed=0,
        )
        for engine in ("mujoco", "bullet")
    )
    assert {each.ended_by for each in (*mujoco, *bullet)} == {"time_limit"}
    np.testing.assert_allclose(returns(bullet), returns(mujoco), rtol=0.02, atol=0.02)


def test_an_episode_in_bullet_is_the_same_in_a_batch_of_any_size() -> None:
    setting = experiment("engine=bullet", length=0.1)
    few = run_episodes(push, setting, 3, seed=4)
    many = run_episodes(push, setting, LARGEST_BULLET_BATCH + 5, seed=4)
    assert many[:3] == few
    assert len({each.episode_return for each in many}) == len(many)


def test_every_parameter_of_the_qube_that_bullet_follows_acts_there() -> None:
    """Its own randomization needs no pins, and changes the motion as it does in MuJoCo."""
    assert move_to_engine(experiment(), "bullet").not_followed == {}
    own, plain = experiment("engine=bullet"), experiment("engine=bullet", NOTHING)
    drawn, nominal = (returns(run_episodes(swing, each, 16, seed=2)) for each in (own, plain))
    assert (np.abs(drawn - nominal) > 1e-6).all()


def test_training_in_bullet_names_all_that_it_cannot_follow_at_once() -> None:
    setting = experiment(GALE, AIR, OIL, "engine=bullet")
    with pytest.raises(UserError) as refusal:
        BatchEnv(setting, 1)
    message = str(refusal.value)
    assert re.search(r"randomization\.gale: wind \(.*\); pin gale=0$", message, re.M)
    assert re.search(r"randomization\.air_density: .*; pin air_density=0$", message, re.M)
    assert "randomization.air_viscosity" in message
    assert "mass" not in message
    assert "latency" not in message


def test_the_pins_that_a_refusal_proposes_are_accepted() -> None:
    setting = experiment(GALE, AIR, OIL, "engine=bullet")
    with pytest.raises(UserError) as refusal:
        BatchEnv(setting, 1)
    lines = [line.partition("; pin ")[2] for line in str(refusal.value).splitlines()[1:]]
    pins = {name: float(value) for line in lines for name, value in re.findall(r"(\S+)=([^,\s]+)", line)}
    BatchEnv(setting, 1, pins=pins)
    for name in pins:
        with pytest.raises(UserError, match="bullet cannot follow"):
            BatchEnv(setting, 1, pins={key: value for key, value in pins.items() if key != name})


def test_mujoco_follows_them() -> None:
    env = BatchEnv(experiment(GALE, AIR, OIL), 2, threads=1)
    assert env.randomizer.not_followed() == []


def test_trying_what_is_followed_leaves_no_trace() -> None:
    setting = experiment("engine=bullet", length=0.05)
    used, fresh = (BatchEnv(setting, 2) for _ in range(2))
    assert used.randomizer.not_followed() == []
    for env in (used, fresh):
        env.reset(3)
    for _ in range(5):
        steps = [env.step(np.full((2, 1), 0.5)) for env in (used, fresh)]
        np.testing.assert_array_equal(steps[0].observation, steps[1].observation)


def test_evaluation_in_bullet_holds_what_it_cannot_follow_and_says_so() -> None:
    candidate = Candidate("mine", push, experiment(GALE, AIR, length=0.1))
    result = evaluate(candidate, 3, engine="bullet")
    assert result.engine == "bullet"
    assert result.not_followed["air_density"] == 0.0
    held = {name: value for name, value in result.not_followed.items() if name.startswith("gale[")}
    assert held == {"gale[x]": 0.0, "gale[y]": 0.0, "gale[z]": 0.0}
    for episode in result.episodes:
        assert result.not_followed.items() <= episode.draw.items()
    assert len({episode.draw["mass[arm]"] for episode in result.episodes}) == 3
    shown = dict(table_of(result))
    assert shown["engine"] == "bullet"
    assert "air_density = 0" in shown["held, as the engine cannot follow"]
    content = json.loads(json.dumps(as_json(result)))
    assert (content["engine"], content["not_followed"]) == ("bullet", result.not_followed)


def test_evaluation_in_the_engine_of_the_training_holds_nothing() -> None:
    candidate = Candidate("mine", push, experiment(GALE, AIR, length=0.1))
    result = evaluate(candidate, 3)
    assert (result.engine, result.not_followed) == ("mujoco", {})
    assert len({episode.draw["air_density"] for episode in result.episodes}) == 3


@pytest.mark.parametrize(
    ("pins", "vary"),
    [
        ({"gale": 1.5}, {}),
        ({"gale[z]": 1.0}, {}),
        ({"air_density": 0.5}, {}),
        ({}, {"air_density": [0.0, 1.0]}),
    ],
)
def test_what_is_asked_for_by_name_is_not_held_in_silence(
    pins: dict[str, float], vary: dict[str, list[float]]
) -> None:
    candidate = Candidate("mine", push, experiment(GALE, AIR, length=0.1))
    with pytest.raises(UserError, match="bullet cannot follow") as refusal:
        evaluate(candidate, 2, pins=pins, vary=vary, engine="bullet")
    (name,) = [*pins, *vary]
    assert f"randomization.{name.partition('[')[0]}:" in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 2


def test_a_pin_at_the_nominal_value_is_no_matter() -> None:
    candidate = Candidate("mine", push, experiment(AIR, length=0.1))
    result = evaluate(candidate, 2, pins={"air_density": 0.0}, engine="bullet")
    assert result.not_followed == {}


def test_of_contacts_only_the_sliding_number_of_friction_is_followed() -> None:
    names = ("friction", "torsional_friction", "contact_time_constant", "contact_impedance")
    spread = {"target": "FL_foot", "operation": "scale", "distribution": BY_HALF}
    drawn = json.dumps(dict.fromkeys(names, spread))
    setting = load_experiment("go2_velocity", [f"randomization={drawn}", "critic=[]"])
    held = move_to_engine(setting, "bullet").not_followed
    assert held == {f"{name}[FL_foot]": 1.0 for name in names[1:]}


def test_tasks_of_dm_control_stay_in_mujoco() -> None:
    setting = load_any_experiment("dm_control/cartpole-balance")
    assert move_to_engine(setting, "mujoco").experiment == setting
    with pytest.raises(UserError, match=r"dm_control.*mujoco alone"):
        move_to_engine(setting, "bullet")


def test_an_engine_that_there_is_none_of_is_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'bullet'"):
        experiment("engine=bulet")


def test_a_training_in_bullet_ends_with_a_policy_that_knows_its_engine(tmp_path: Path) -> None:
    tiny = ("ppo.simulations=2", "ppo.rollout_steps=8", "ppo.batch_size=16", "train.total_steps=32")
    run = start_run(experiment("engine=bullet", NOTHING, *tiny, length=0.1), 0, tmp_path / "run")
    assert train(run)
    read = Run.open(tmp_path / "run").experiment()
    assert isinstance(read, ExperimentConfig)
    assert read.engine == "bullet"
    (candidate,) = load_candidates([tmp_path / "run"])
    assert evaluate(candidate, 2).engine == "bullet"
    assert evaluate(candidate, 2, engine="mujoco").engine == "mujoco"


def test_transfer_judges_each_policy_in_each_physics_over_the_same_starts(tmp_path: Path) -> None:
    own = experiment(GALE, length=0.3)
    pushing, idle = (
        Candidate("pushing", push, own),
        Candidate("idle", lambda o, images: 0.0 * push(o), own),
    )
    heard: list[tuple[str, int]] = []
    result = compare([pushing, idle], 6, 3, lambda what, done: heard.append((what, done)))
    names = [condition.name for condition in CONDITIONS]
    assert [(each.policy, each.condition) for each in result.results] == [
        (policy, name) for policy in ("pushing", "idle") for name in names
    ]
    assert heard[-1] == ("idle, PyBullet nominal", 36)
    for first in (0, 3):
        nominal, perturbed, bullet = (each.summary for each in result.results[first : first + 3])
        assert bullet.mean_return.value == pytest.approx(nominal.mean_return.value, abs=0.02)
        assert bullet.mean_return.value != nominal.mean_return.value
        assert perturbed.mean_return.value != nominal.mean_return.value
    page = Page("transfer")
    add_transfer(page, result)
    page.write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("<svg") == 1
    for row in rows(result):
        assert all(f"<td>{cell}</td>" in text for cell in row)


def test_an_early_end_counts_against_lasting_and_a_time_limit_for_it() -> None:
    """Full voltage one way takes the arm to its limit within a second; nothing does in a moment."""
    away = Candidate("away", lambda o, images: np.ones((len(o), 1)), experiment(NOTHING, length=1.0))
    still = replace(away, name="still", act=lambda o, images: np.zeros((len(o), 1)))
    result = compare([away, still], 5)
    assert {each.lasted.value for each in result.results if each.policy == "away"} == {0.0}
    assert {each.lasted.value for each in result.results if each.policy == "still"} == {1.0}
    assert all(each.lasted.low < each.lasted.high for each in result.results)


@pytest.mark.long
def test_the_verbs_print_the_same_numbers_for_people_and_programs(
    run_and_policy: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run, policy = map(str, run_and_policy)
    page = os.fspath(tmp_path / "page.html")
    cli(["transfer", run, policy, "--episodes", "2", "--json", "--report", page], standalone_mode=False)
    found = json.loads(capsys.readouterr().out)["results"]
    assert [each["policy"] for each in found] == [Path(run).name] * 3 + [Path(policy).name] * 3
    for of_run, of_policy in zip(found[:3], found[3:], strict=True):
        assert of_run["physics"] == of_policy["physics"]
        mine, theirs = (each["mean_return"]["value"] for each in (of_run, of_policy))
        assert mine == pytest.approx(theirs, rel=0.01)
        assert of_run["not_ended_early"]["value"] == 1.0
    assert "PyBullet nominal" in Path(page).read_text("utf-8")
    cli(["evaluate", policy, "--episodes", "2", "--engine", "bullet"], standalone_mode=False)
    assert re.search(r"engine +│ bullet", capsys.readouterr().out)
    with pytest.raises(UserError, match="did you mean 'bullet'"):
        cli(["evaluate", policy, "--engine", "bulet"], standalone_mode=False)


def test_policies_of_one_name_are_told_apart_by_their_paths(
    run_and_policy: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / run_and_policy[1].name
    other.write_bytes(run_and_policy[1].read_bytes())
    names = [each.name for each in load_candidates([run_and_policy[1], other])]
    assert names == [str(run_and_policy[1]), str(other)]
