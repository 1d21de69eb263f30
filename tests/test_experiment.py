"""Experiments that extend others."""

from pathlib import Path

import pytest

from simreal.agents.config import AGENTS
from simreal.configs import shipped_experiments
from simreal.errors import UserError
from simreal.experiment import (
    BaseExperiment,
    NoExperimentError,
    load_any_experiment,
    load_experiment,
)


@pytest.mark.parametrize("name", shipped_experiments())
def test_every_shipped_experiment_is_valid(name: str) -> None:
    assert load_any_experiment(name).task


def test_an_experiment_adds_to_the_one_that_it_extends(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "extends: qube_swingup\nepisode_length: 3.0\n"
        "randomization:\n  mass: {distribution: {type: constant, value: 1.1}}\n"
    )
    mine, base = load_experiment(str(path)), load_experiment("qube_swingup")
    assert mine.episode_length == 3.0
    assert mine.rewards == base.rewards
    assert mine.randomization.keys() == base.randomization.keys()
    assert mine.randomization["mass"].distribution.support == (1.1, 1.1)


def test_a_name_without_an_experiment_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(NoExperimentError):
        load_any_experiment("qube_swngup")
    (tmp_path / "mine.yaml").write_text("extends: qube_swngup\n")
    with pytest.raises(UserError) as caught:  # there is one of this name, with a fault in it
        load_any_experiment(str(tmp_path / "mine.yaml"))
    assert not isinstance(caught.value, NoExperimentError)


def test_a_chain_of_files_is_followed_from_each_files_folder(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "first.yaml").write_text("extends: qube_swingup\nepisode_length: 2.0\n")
    (tmp_path / "second.yaml").write_text("extends: below/first.yaml\nagent: sac\n")
    found = load_experiment(str(tmp_path / "second.yaml"))
    assert (found.agent, found.episode_length) == ("sac", 2.0)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("extends: qube_swngup\n", r"mine\.yaml:1: extends: .*did you mean 'qube_swingup'"),
        ("extends: lost.yaml\n", r"mine\.yaml:1: extends: .*lost\.yaml: no such file"),
        ("extends: base\n", r"mine\.yaml:1: extends: .*'base': did you mean 'base\.yaml'\?"),
        ("extends: 3\n", r"mine\.yaml:1: extends: expected the name"),
        ("extends: mine.yaml\n", "extends itself"),
        ("extends: qube_swingup\ntask: tennis\n", r"mine\.yaml:2: task: no task 'tennis'"),
    ],
)
def test_what_cannot_be_extended_is_one_message(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    (tmp_path / "base.yaml").write_text("extends: qube_swingup\n")
    with pytest.raises(UserError, match=reason):
        load_experiment(str(path))


@pytest.mark.parametrize(
    ("override", "reasons"),
    [
        ("action.scale=nan", ["action.scale: Input should be a finite number (given: 'nan')"]),
        ("action.scale={a: 1}", ["action.scale: expected a number, not {'a': 1}"]),
        (
            "action.scale=[x, 1, y]",
            [f"action.scale.{n}: expected a number, not {x!r}" for n, x in ((0, "x"), (2, "y"))],
        ),
        (
            "action.offset=defaultposition",
            ["action.offset: no 'defaultposition': did you mean 'default_position'?"],
        ),
        ("action.bins=[2, 0]", ["action.bins.1: Input should be greater than or equal to 1 (given: 0)"]),
        (
            "action={scale: 4, motions: {go: [2]}}",
            ["action.motions.go.0: Input should be less than or equal to 1 (given: 2)"],
        ),
        ("action.scale=[1, null]", ["action.scale.1: expected a number, not None"]),
        (
            "action={scale: 4, motions: {go: [null, x]}}",
            [f"action.motions.go.{n}: expected a number, not {x!r}" for n, x in ((0, None), (1, "x"))],
        ),
        (
            "action={scale: 4, motions: {int: 2, float: [2]}}",
            [
                f"action.motions.{place}: Input should be less than or equal to 1 (given: 2)"
                for place in ("int", "float.0")
            ],
        ),
        ("pins={int: x}", ["pins.int: expected a number, not 'x'"]),
        ("ppo.hidden_layers=64", ["ppo.hidden_layers: expected a list, not 64"]),
        ("rewards=3", ["rewards: expected a section, not 3"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_of_several_forms_is_judged_as_the_one_that_it_has(
    override: str, reasons: list[str]
) -> None:
    with pytest.raises(UserError) as told:
        load_experiment("qube_swingup", [override])
    assert [line.partition("': ")[2] for line in str(told.value).splitlines()] == reasons


def test_an_experiment_has_a_section_for_every_agent() -> None:
    for name, agent in AGENTS.items():
        experiment = BaseExperiment(task="any", agent=name)
        assert type(experiment.agent_config) is agent.config


@pytest.mark.parametrize("name", AGENTS)
@pytest.mark.parametrize("bins", [False, True])
def test_an_agent_is_refused_what_its_row_says_that_it_cannot(name: str, bins: bool) -> None:
    overrides = [f"agent={name}", "critic=[]", *["action.bins=3"] * bins]
    if AGENTS[name].chooses in ("either", "always" if bins else "never"):  # type: ignore[index]
        assert load_experiment("qube_swingup", overrides).agent == name
    else:
        with pytest.raises(UserError, match=f"{name} .*choose"):
            load_experiment("qube_swingup", overrides)
