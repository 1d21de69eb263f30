"""An experiment: robot, task, observation, randomization and agents, from one YAML file."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from simreal.agents.config import (
    AGENTS,
    AgentConfig,
    AgentName,
    DQNConfig,
    PPOConfig,
    QRDQNConfig,
    RainbowConfig,
    RecurrentPPOConfig,
    ResidualPolicyConfig,
    RMAConfig,
    SACConfig,
    TD3Config,
    TeacherConfig,
)
from simreal.cameras.mounting import CameraScene
from simreal.config import Config, Document, Location, parse, read_document, refusal
from simreal.configs import FOLDER, shipped_experiments
from simreal.contract import CameraTerm, ObservationTerm
from simreal.errors import UserError, nearest
from simreal.kept_files import find_beside
from simreal.physics.engines import EngineName
from simreal.physics.model import Scene
from simreal.randomization.ground import TerrainScene
from simreal.randomization.parameters import GROUPS, PARAMETERS
from simreal.randomization.schedule_interface import Schedule
from simreal.randomization.schedules import (
    FixedConfig,
    NarrowedConfig,
    ScheduleConfig,
    WithinConfig,
    arrived,
)
from simreal.randomization.specification import ParameterConfig, members
from simreal.randomization.terrain_tiles import TerrainConfig
from simreal.robots import load_robot, robot_experiments, where_robots_are
from simreal.tasks import TASKS, find_task

SUITE_PREFIX = "dm_control/"
"""How the names of dm_control's tasks begin."""
NATURE_PIXELS = 36
"""Smallest image that leaves something behind the convolutions of the deep Q-network."""
PARAMETERS_DRAWN = "parameters"
"""The privileged quantity that every task has."""


Action = Annotated[float, Field(ge=-1, le=1)]


class NoExperimentError(UserError):
    """A name that no experiment has."""


class ActionConfig(Config):
    """How an action in [-1, 1] becomes a command; one number stands for every actuator."""

    scale: float | tuple[float, ...]
    """Of an action of 1, in the actuator's unit: a command's size, or a step's where it is relative."""
    offset: float | tuple[float, ...] | Literal["default_position"] = 0.0
    """Added to it; `default_position` is that of the joints which the actuators drive."""
    bins: Annotated[int, Field(ge=2)] | tuple[Annotated[int, Field(ge=1)], ...] | None = None
    """The policy chooses among so many evenly spaced actions of each actuator, in all combinations."""
    motions: dict[str, Action | tuple[Action, ...]] = {}
    """The policy chooses among these actions in [-1, 1], by name."""
    relative_to: Literal["zero", "previous_target"] = "zero"
    """`previous_target`: actions are steps from what a position servo was last told."""


class TrainConfig(Config):
    """How long to train and what to keep."""

    total_steps: int | None = Field(default=None, gt=0)
    """Environment steps; the agent's own number if absent."""
    checkpoint_every: int = Field(default=200_000, gt=0)
    """Environment steps between checkpoints."""
    keep_checkpoints: int = Field(default=2, gt=0)
    """Older ones are deleted."""


class ResidualConfig(Config):
    """Torques that the robot's model lacks, by networks that were fitted to logs: docs/adaptation.md."""

    file: Path
    """What `simreal fit-actuator` wrote."""
    penalty: float = Field(default=0.1, ge=0)
    """Reward that each control step loses for each standard deviation by which the networks disagree."""


class BaseExperiment(Config):
    """What an experiment says, whosever its task is."""

    task: str
    """A name of `simreal list`, or PATH.py:NAME (docs/tasks.md)."""
    randomization: dict[str, ParameterConfig] = {}
    """What is drawn for each episode, by its parameter or a name of yours: docs/randomization.md."""
    schedule: ScheduleConfig = FixedConfig()
    """How the ranges of the randomization move in training."""
    pins: dict[str, float] = {}
    """Randomized parameters to hold at a value: an entry's name, or one of its columns."""
    agent: AgentName = "ppo"
    """Which learns; its numbers stand in the section of its name: docs/agents.md."""
    ppo: PPOConfig = PPOConfig()
    recurrent_ppo: RecurrentPPOConfig = RecurrentPPOConfig()
    sac: SACConfig = SACConfig()
    td3: TD3Config = TD3Config()
    dqn: DQNConfig = DQNConfig()
    rainbow: RainbowConfig = RainbowConfig()
    qrdqn: QRDQNConfig = QRDQNConfig()
    train: TrainConfig = TrainConfig()
    """How long, and what is kept."""

    @field_validator("randomization", mode="before")
    @classmethod
    def _parameters_exist(cls, entries: Any) -> Any:
        """Asked first: below a misspelt name, an override of one value would make half an entry."""
        if not isinstance(entries, Mapping):
            return entries
        named = {str(name) for name, entry in entries.items() if _names_its_parameter(entry)}
        unknown = _unknown("parameter", entries, named | PARAMETERS.keys())
        if unknown:
            raise refusal(unknown)
        return entries

    @property
    def agent_config(self) -> AgentConfig:
        """The configuration of the chosen agent."""
        config: AgentConfig = getattr(self, self.agent)
        return config

    def from_start(self) -> Self:
        """The experiment as a policy is evaluated in it: its randomization does not move any more."""
        still = isinstance(self.schedule, FixedConfig | WithinConfig | NarrowedConfig)
        schedule = self.schedule if still else FixedConfig()
        return self.model_copy(update={"schedule": schedule})

    def arrived(self, schedule: Schedule) -> Self:
        """The experiment with what its schedule draws now, for good."""
        return self.model_copy(update={"schedule": arrived(schedule)})

    @property
    def taught_by(self) -> TeacherConfig | None:
        """Whom the policy imitates, if it does not learn from rewards."""
        return None

    @property
    def total_steps(self) -> int:
        """Environment steps to train for."""
        return self.train.total_steps or self.agent_config.total_steps


class ExperimentConfig(BaseExperiment):
    """An experiment with a robot and a task of simreal's."""

    robot: str
    """A name of `simreal list`, or of a folder of yours (docs/robots.md)."""
    engine: EngineName = "mujoco"
    """Which simulates; docs/engines.md."""
    control_rate: float = Field(gt=0, le=10_000)
    """Hz."""
    episode_length: float = Field(gt=0)
    """s."""
    initial_states: dict[str, float] = {}
    """Name to share of the episodes; the task's own start alone if absent."""
    rewards: dict[str, float]
    """Reward name to weight; one that is not named does not act."""
    observation: tuple[ObservationTerm, ...] = Field(min_length=1)
    """What the policy is given, term by term: docs/observations.md."""
    cameras: tuple[CameraTerm, ...] = ()
    """What the policy sees beside the observation."""
    held_out_visuals: dict[str, ParameterConfig] = {}
    """Randomization of a visual world that training never draws from, in place of all that is visual."""
    teacher: TeacherConfig | None = None
    """Whom the policy imitates, instead of learning from rewards."""
    critic: tuple[str, ...] = ()
    """What PPO's critic sees beside the observation: privileged quantities of the task, and
    `parameters`, all that was drawn for the episode."""
    action: ActionConfig
    """What the policy's numbers in [-1, 1] are to the robot."""
    commands: dict[str, tuple[float, float]] = {}
    """Command name to range, where it is not the task's own."""
    terrain: TerrainConfig | None = None
    """The ground of a robot that walks, where it is not flat: docs/randomization.md."""
    command_interval: float | None = Field(default=None, gt=0)
    """s, after which commands are drawn anew; once for each episode if absent."""
    adaptation: Literal["rma"] | None = None
    """Whether the policy finds out in which world it is: docs/adaptation_online.md."""
    rma: RMAConfig = RMAConfig()
    """Its numbers: docs/agents.md."""
    residual: ResidualConfig | None = None
    """What the robot does beyond its model."""
    residual_policy: ResidualPolicyConfig | None = None
    """What was learned on the robot, on top of the policy; not to be trained in a simulator."""

    @model_validator(mode="after")
    def _fits_its_task(self) -> Self:
        faults = self._misfits()
        if faults:
            raise refusal(faults)
        return self

    def _misfits(self) -> dict[Location, str]:
        try:
            task = find_task(self.task, self.robot)
        except UserError as error:
            load_robot(self.robot)  # whose own faults come first, with where they stand
            return {("robot" if self.task in TASKS else "task",): str(error)}
        faults = _unknown("initial state", self.initial_states, task.initial_states, "initial_states")
        shares = self.initial_states.values()
        if shares and (min(shares) < 0 or sum(shares) <= 0):
            faults["initial_states",] = "shares must be positive"
        privileged = [PARAMETERS_DRAWN, *task.privileged]
        for place, name in enumerate(self.critic):
            if name not in privileged:
                faults["critic", place] = f"no privileged {name!r}: {nearest(name, privileged)}"
        chooses = self.action.bins is not None or bool(self.action.motions)
        if self.action.bins is not None and self.action.motions:
            faults["action", "bins"] = "either bins or motions, not both"
        can = AGENTS[self.agent].chooses
        if chooses and can == "never":
            choosing = [name for name, each in AGENTS.items() if each.chooses != "never"]
            faults["agent",] = f"{self.agent} cannot choose among actions: {nearest('', choosing)}"
        if not chooses and can == "always":
            faults["agent",] = f"{self.agent} chooses among actions: give action.bins or action.motions"
        if self.teacher is not None and chooses:
            faults["teacher",] = "teaches actions that are numbers, not choices"
        if self.critic and self.agent != "ppo":
            faults["critic",] = f"only ppo has a critic of its own observation, not {self.agent}"
        if self.adaptation is not None:
            faults |= self._cannot_adapt(chooses)
        if self.episode_steps < 1:
            period = 1.0 / self.control_rate
            faults["episode_length",] = (
                f"{self.episode_length:g} s are no control step; nearest: {period:g} s"
            )
        faults |= self._misfits_of_cameras()
        commands = [command.name for command in task.commands]
        faults |= _unknown("command", self.commands, commands, "commands")
        return faults | _unknown("reward", self.rewards, task.rewards, "rewards")

    def _cannot_adapt(self, chooses: bool) -> dict[Location, str]:
        why = None
        if self.agent != "ppo" or chooses:
            why = "needs agent: ppo, and actions that are numbers"
        elif self.cameras:
            why = "estimates nothing from what cameras see"
        elif self.ppo.symmetric:
            why = "what the latent holds has no mirror image: ppo.symmetric=false"
        elif not self.randomization:
            why = "nothing is randomized, so that there is nothing to adapt to"
        return {} if why is None else {("adaptation",): f"{self.adaptation}: {why}"}

    @property
    def privileged(self) -> tuple[str, ...]:
        """What is seen in training beside the observation, by the critic or by an encoder."""
        if self.adaptation is None or PARAMETERS_DRAWN in self.critic:
            return self.critic
        return (*self.critic, PARAMETERS_DRAWN)

    def _misfits_of_cameras(self) -> dict[Location, str]:
        faults: dict[Location, str] = {}
        if self.cameras and self.engine != "mujoco":
            faults["cameras",] = f"only simulations of MuJoCo can be drawn, not of {self.engine}"
        if self.cameras and not AGENTS[self.agent].sees:
            seeing = [name for name, each in AGENTS.items() if each.sees]
            faults["agent",] = f"{self.agent} has no network for images: {nearest('', seeing)}"
        if self.agent_config.image_encoder is not None and not self.cameras:
            faults[self.agent, "image_encoder"] = "sees nothing: this experiment has no cameras"
        if self.agent_config.image_network == "nature":
            for place, camera in enumerate(self.cameras):
                if min(camera.width, camera.height) < NATURE_PIXELS:
                    what = f"nature needs {NATURE_PIXELS} x {NATURE_PIXELS} pixels or more: small"
                    faults["cameras", place] = what
        if self.teacher is not None and self.agent != "ppo":
            faults["teacher",] = f"only the networks of ppo can be taught, not those of {self.agent}"
        if self.teacher is not None:
            known = [name for name in self.critic if name != PARAMETERS_DRAWN]
            for place, name in enumerate(self.teacher.tells):
                if name not in known:
                    what = f"no {name!r} in `critic` that could be told: {nearest(name, known)}"
                    faults["teacher", "tells", place] = what
        for section in ("randomization", "held_out_visuals"):
            for name, entry in getattr(self, section).items():
                visual = is_visual(name, entry)
                if visual and not self.cameras:
                    faults[section, name] = "nobody sees it: this experiment has no cameras"
                if section == "held_out_visuals" and not visual:
                    faults[section, name] = "is nothing that a camera sees"
        return faults

    def without_visuals(self) -> Self:
        """The experiment without visual randomization: its cameras see the model as it is."""
        kept = {name: entry for name, entry in self.randomization.items() if not is_visual(name, entry)}
        return self.model_copy(update={"randomization": kept})

    def in_held_out_world(self) -> Self:
        """The experiment in its held-out visual world; all that is not visual is as it was.

        Raises:
            UserError: it has none.
        """
        if not self.held_out_visuals:
            raise UserError(f"experiment of {self.task}: has no held_out_visuals")
        drawn = self.without_visuals().randomization | self.held_out_visuals
        return self.model_copy(update={"randomization": drawn})

    @property
    def taught_by(self) -> TeacherConfig | None:
        """See the base class."""
        return self.teacher

    def from_start(self) -> Self:
        """The experiment as a policy meets it on the machine: each episode from the task's start.

        Nor does the randomization move any more.
        """
        return super().from_start().model_copy(update={"initial_states": {}})

    @property
    def scene(self) -> Scene | None:
        """What stands around the robot."""
        rest = find_task(self.task, self.robot).scene
        if self.cameras:
            rest = CameraScene(self.cameras, rest)
        return rest if self.terrain is None else TerrainScene(self.terrain, rest)

    @property
    def episode_steps(self) -> int:
        """Control steps of a full episode."""
        return round(self.episode_length * self.control_rate)


def is_visual(name: str, entry: ParameterConfig) -> bool:
    """Whether an entry draws what a camera sees."""
    return any(member.parameter in GROUPS["visuals"] for member in members(name, entry))


class SuiteExperiment(BaseExperiment):
    """An experiment with a task of dm_control, which brings robot, observation, reward and rate."""

    @field_validator("agent")
    @classmethod
    def _takes_numbers(cls, agent: AgentName) -> AgentName:
        if AGENTS[agent].chooses == "always":
            raise ValueError(f"{agent} chooses among actions, of which a task of dm_control has no list")
        return agent

    @field_validator("task")
    @classmethod
    def _is_of_dm_control(cls, task: str) -> str:
        if not task.startswith(SUITE_PREFIX):
            raise ValueError(f"no task of dm_control: expected {SUITE_PREFIX}DOMAIN-TASK")
        return task


def _unknown(
    kind: str, names: Iterable[object], valid: Collection[str], *at: str
) -> dict[Location, str]:
    """A fault for each name that is not valid, with its place."""
    return {
        (*at, name): f"no {kind} {name!r}: {nearest(name, valid)}"
        for name in map(str, names)
        if name not in valid
    }


def _names_its_parameter(entry: object) -> bool:
    """Whether an entry, read or not, may have any key, since it says which parameters it means."""
    if isinstance(entry, ParameterConfig):
        return entry.parameter is not None or entry.is_joint
    if not isinstance(entry, Mapping):
        return False
    distribution = entry.get("distribution")
    kind = distribution.get("type") if isinstance(distribution, Mapping) else None
    return bool(entry.get("parameter") or entry.get("parameters") or kind == "posterior")


def load_experiment(name: str, overrides: Sequence[str] = ()) -> ExperimentConfig:
    """Read an experiment with a robot: one by name, shipped or a robot's, or a YAML file by path.

    Args:
        name: such as ``qube_swingup`` or ``my/experiment.yaml``.
        overrides: ``key=value`` assignments.

    Raises:
        UserError: it does not exist, or there are faults in it.
    """
    document = read_experiment(name)
    return parse_experiment(document.override(overrides), document)


def load_any_experiment(name: str, overrides: Sequence[str] = ()) -> BaseExperiment:
    """Read an experiment as `load_experiment` does, or one of dm_control, such as its task's name."""
    document = read_experiment(name)
    return parse_any_experiment(document.override(overrides), document)


def read_experiment(
    name: str, extended_by: tuple[str, ...] = (), folder: Path | None = None
) -> Document:
    """An experiment's document, with all that it extends below it.

    Args:
        name: of an experiment, or the path of a file.
        extended_by: names of those that led here.
        folder: where the file stands that extends it; the working folder if absent.

    Raises:
        NoExperimentError: none is of that name.
        UserError: it cannot be read, or extends itself or what cannot be read.
    """
    if name.startswith(SUITE_PREFIX):
        document = read_document(FOLDER / "dm_control.yaml")
        document.data["task"] = name
        return document
    path = Path(name)
    if not path.suffix and not path.is_file():
        shipped = {each: FOLDER / f"{each}.yaml" for each in shipped_experiments()}
        named = robot_experiments() | shipped
        if name not in named:
            file = f"{name}.yaml"
            is_file = ((folder or Path()) / file).is_file()
            hint = f"did you mean {file!r}?" if is_file else nearest(name, named)
            raise NoExperimentError(f"no experiment or YAML file {name!r}: {hint}\n{where_robots_are()}")
        path = named[name]
    document = read_document(path)
    find_beside(document.data, path.parent)
    base = document.data.pop("extends", None)
    if base is None:
        return document
    where = document.where(("extends",))
    if not isinstance(base, str):
        raise UserError(f"{where}: extends: expected the name of an experiment")
    if base.endswith((".yaml", ".yml")):
        base = str(path.parent / base)
    if base in extended_by:
        raise UserError(f"{where}: extends: {base} extends itself")
    try:
        return document.over(read_experiment(base, (*extended_by, base), path.parent))
    except UserError as error:
        raise UserError(f"{where}: extends: {error}") from None


def parse_experiment(data: Mapping[str, object], document: Document | None = None) -> ExperimentConfig:
    """Validate an experiment with a robot that was read already."""
    if is_suite_task(data.get("task")):
        raise UserError(
            f"{data['task']}: a task of dm_control can be trained and evaluated; this is for robots"
        )
    return parse(ExperimentConfig, data, document)


def parse_any_experiment(data: Mapping[str, object], document: Document | None = None) -> BaseExperiment:
    """Validate an experiment that was read already, with a robot or of dm_control."""
    if is_suite_task(data.get("task")):
        return parse(SuiteExperiment, data, document)
    return parse_experiment(data, document)


def parse_kept_experiment(
    data: Mapping[str, object], document: Document | None = None
) -> BaseExperiment:
    """Validate an experiment that a run or a policy file has kept, of this version or an older one.

    It holds all sections there were; those of agents and modules that it does not use may mean nothing
    by now, and are left out then.
    """
    try:
        return parse_any_experiment(data, document)
    except UserError:
        return parse_any_experiment(_in_use(data), document)


def _in_use(data: Mapping[str, object]) -> dict[str, object]:
    """An experiment's sections but those of agents and modules that it does not use."""
    agent = data.get("agent", BaseExperiment.model_fields["agent"].default)
    unused: set[str] = {name for name in AGENTS if name != agent}
    if data.get("adaptation") is None:
        unused.add("rma")
    return {name: section for name, section in data.items() if name not in unused}


def is_suite_task(name: object) -> bool:
    """Whether a task's name is one of dm_control's, existing or not."""
    return isinstance(name, str) and name.startswith(SUITE_PREFIX)
