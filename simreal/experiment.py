"""An experiment: robot, task, observation, randomization and agents, from one YAML file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from simreal.agents.config import PPOConfig, SACConfig, TD3Config
from simreal.config import Config, Document, parse, read_document
from simreal.configs import FOLDER, shipped_experiments
from simreal.contract import ObservationTerm
from simreal.errors import UserError, nearest
from simreal.randomization.parameters import PARAMETERS
from simreal.randomization.randomizer import ParameterConfig
from simreal.tasks import TASKS


class ActionConfig(Config):
    """How an action in [-1, 1] becomes a command; one number stands for every actuator."""

    scale: float | tuple[float, ...]
    offset: float | tuple[float, ...] = 0.0


class TrainConfig(Config):
    """How long to train and what to keep."""

    total_steps: int | None = Field(default=None, gt=0)
    """Environment steps; the agent's own number if absent."""
    checkpoint_every: int = Field(default=200_000, gt=0)
    """Environment steps between checkpoints."""
    keep_checkpoints: int = Field(default=2, gt=0)
    """Older ones are deleted."""


class ExperimentConfig(Config):
    """The whole of an experiment."""

    robot: str
    task: str
    control_rate: float = Field(gt=0, le=10_000)
    """Hz."""
    episode_length: float = Field(gt=0)
    """s."""
    initial_states: dict[str, float] = {}
    """Name to share of the episodes; the task's own start alone if absent."""
    rewards: dict[str, float]
    """Reward name to weight; one that is not named does not act."""
    observation: tuple[ObservationTerm, ...] = Field(min_length=1)
    action: ActionConfig
    randomization: dict[str, ParameterConfig] = {}
    pins: dict[str, float] = {}
    """Randomized parameters to hold at a value: an entry's name, or one of its columns."""
    agent: Literal["ppo", "sac", "td3"] = "ppo"
    ppo: PPOConfig = PPOConfig()
    sac: SACConfig = SACConfig()
    td3: TD3Config = TD3Config()
    train: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        if self.task not in TASKS:
            raise ValueError(f"task: no task {self.task!r}: {nearest(self.task, TASKS)}")
        task = TASKS[self.task]
        if task.robot != self.robot:
            raise ValueError(f"robot: task {self.task} is made for robot {task.robot!r}")
        for name in self.initial_states:
            if name not in task.initial_states:
                hint = nearest(name, task.initial_states)
                raise ValueError(f"initial_states: no initial state {name!r}: {hint}")
        if self.initial_states and (
            min(self.initial_states.values()) < 0 or sum(self.initial_states.values()) <= 0
        ):
            raise ValueError("initial_states: shares must be positive")
        for name in self.rewards:
            if name not in task.rewards:
                raise ValueError(f"rewards: no reward {name!r}: {nearest(name, task.rewards)}")
        for name, entry in self.randomization.items():
            if entry.parameter is None and name not in PARAMETERS:
                raise ValueError(f"randomization: no parameter {name!r}: {nearest(name, PARAMETERS)}")
        return self

    @property
    def agent_config(self) -> PPOConfig | SACConfig | TD3Config:
        """The configuration of the chosen agent."""
        match self.agent:
            case "ppo":
                return self.ppo
            case "sac":
                return self.sac
            case "td3":
                return self.td3

    def from_start(self) -> "ExperimentConfig":
        """The experiment as a policy meets it on the machine: each episode from the task's start."""
        return self.model_copy(update={"initial_states": {}})

    @property
    def total_steps(self) -> int:
        """Environment steps to train for."""
        return self.train.total_steps or self.agent_config.total_steps

    @property
    def episode_steps(self) -> int:
        """Control steps of a full episode."""
        return round(self.episode_length * self.control_rate)


def load_experiment(name: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment: a shipped one by name, or a YAML file by path.

    Args:
        name: such as ``qube_swingup`` or ``my/experiment.yaml``.
        overrides: ``key=value`` assignments.

    Raises:
        UserError: it does not exist, or there are faults in it.
    """
    path = Path(name)
    if not path.suffix and not path.is_file():
        path = FOLDER / f"{name}.yaml"
        if not path.exists():
            hint = nearest(name, shipped_experiments())
            raise UserError(f"no experiment {name!r}: {hint}, or the path of a YAML file")
    document = read_document(path)
    return parse_experiment(document.override(overrides), document)


def parse_experiment(data: Mapping[str, object], document: Document | None = None) -> ExperimentConfig:
    """Validate an experiment that was read already."""
    return parse(ExperimentConfig, data, document)
