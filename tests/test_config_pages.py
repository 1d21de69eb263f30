"""The pages of keys: current, and without a gap."""

import json
from pathlib import Path
from typing import get_args

import pytest
from pydantic import Field

from simreal.agents.config import AGENTS, PPOConfig
from simreal.config import Config
from simreal.config_pages import (
    ON_THE_PAGE,
    PARTS_OF_EXPERIMENT,
    agent_page,
    experiment_page,
    field_meanings,
    observation_page,
    parameter_page,
    robot_page,
)
from simreal.contract import (
    Actuator,
    Joint,
    Link,
    ObservationSource,
    ObservationTerm,
    RobotDescription,
    Tool,
)
from simreal.experiment import ExperimentConfig
from simreal.robots.can_wire import CanConfig, CanLimits, CanMotorConfig
from simreal.robots.loader import (
    ImuConfig,
    MirrorConfig,
    RobotConfig,
    SafetyConfig,
    SensingConfig,
    WireConfig,
)

DOCS = Path(__file__).parent.parent / "docs"
PARTS = (
    *(Joint, Actuator, Link, Tool, RobotDescription),
    *(ImuConfig, SensingConfig, SafetyConfig),
    *(CanLimits, CanMotorConfig, CanConfig, WireConfig),
)


def rows(page: str) -> list[list[str]]:
    """Cells of the rows of all tables that name a key."""
    lines = [line for line in page.splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("robot_yaml.md", robot_page()),
        ("agents.md", agent_page()),
        ("observations.md", observation_page()),
        ("experiment.md", experiment_page()),
        ("parameters.md", parameter_page()),
    ],
)
def test_a_page_is_what_the_models_declare(name: str, text: str) -> None:
    assert (DOCS / name).read_text("utf-8") == text, "run `make docs`"


@pytest.mark.parametrize(
    "page", [robot_page(), agent_page(), experiment_page()], ids=["robot", "agents", "experiment"]
)
def test_every_key_has_a_meaning(page: str) -> None:
    assert [cells[0] for cells in rows(page) if len(cells) != 4 or not cells[3]] == []


def test_every_key_of_a_robot_stands_there() -> None:
    named = [cells[0].strip("`") for cells in rows(robot_page())]
    expected = [key for part in (*PARTS, MirrorConfig, RobotConfig) for key in part.model_fields]
    assert sorted(named) == sorted(expected)


def test_every_key_of_an_experiment_stands_there_or_on_the_page_of_its_agent() -> None:
    named = [cells[0].strip("`") for cells in rows(experiment_page())]
    parts = [key for part in PARTS_OF_EXPERIMENT.values() for key in part.model_fields]
    assert sorted([*named, *AGENTS]) == sorted([*ExperimentConfig.model_fields, *parts])


def test_every_key_of_an_agent_stands_there_with_its_default() -> None:
    found = {(cells[0].strip("`"), cells[2]) for cells in rows(agent_page())}
    assert len(rows(agent_page())) == sum(len(model.model_fields) for model in ON_THE_PAGE.values())
    defaults = PPOConfig().model_dump(mode="json", exclude_none=True)
    assert {(key, json.dumps(value).strip('"')) for key, value in defaults.items()} <= found


def test_meanings_are_inherited_and_may_be_said_anew() -> None:
    class Above(Config):
        speed: float = Field(gt=0)
        """m/s,
        of the base."""
        name: str = ""

    class Below(Above):
        name: str = "x"
        """Of whom."""

    assert field_meanings(Below) == {"speed": "m/s, of the base.", "name": "Of whom."}


def test_every_source_of_an_observation_stands_there_with_its_meaning() -> None:
    table, terms = observation_page().split("## Terms")
    assert [cells[0].strip("`") for cells in rows(table)] == list(get_args(ObservationSource))
    assert all(len(cells) == 3 and cells[1] for cells in rows(table))
    assert [cells[0].strip("`") for cells in rows(terms)] == list(ObservationTerm.model_fields)
    assert all(cells[3] for cells in rows(terms))
