"""Fine-tuning on the robot, with a small budget: a bounded residual on a policy that stays as it is.

The robot flies an episode, under the loop and the supervisor of `simreal deploy`, into a log; then its
motors are passive, and the learner learns from that log, those before it, and those that were given. So
no control loop waits for learning. What stands in the folder is all there is: the ledger, written before
each episode and after it, the logs, and the learner's state. The same command goes on from it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simreal.adapt.adapted_run import (
    adapted_from,
    keep_base,
    learnable,
    sources_to_learn_from,
)
from simreal.adapt.online_learner import FrozenPolicy
from simreal.adapt.online_session import (
    EPISODE_LOGS,
    FOLDER,
    OnlineConfig,
    OnRobot,
    Session,
    Status,
)
from simreal.adapt.robot_budget import Budget, Ledger
from simreal.adapt.robot_trial import Trial, shows_nothing
from simreal.adapt.transitions import read_transitions
from simreal.agents.config import ResidualPolicyConfig
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig, parse_experiment
from simreal.files import is_taken
from simreal.logs.formats import read_logs
from simreal.run import Run
from simreal.run_facts import Adapted
from simreal.run_verdict import BASE
from simreal.signals import interrupt_flag
from simreal.train import start_run


@dataclass(frozen=True, slots=True)
class OnlineTuning:
    """What came of a session.

    Attributes:
        run: with the changed policy as its checkpoint.
        ledger: of all sessions.
        stopped: why this one ended.
        filtered: why there is no filter of commands, if there is none.
        trial: of what was learned beside the base policy.
    """

    run: Run
    ledger: Ledger
    stopped: str
    filtered: str | None
    trial: Trial


def finetune_online(
    base: Run,
    robot: OnRobot,
    budget: Budget,
    logs: Sequence[Path],
    output: Path,
    config: OnlineConfig | None = None,
    seed: int = 0,
    listen: Callable[[Status], None] = lambda status: None,
    warn: Callable[[str], object] = lambda text: None,
) -> OnlineTuning:
    """Let a policy learn on a robot until a budget is used up, or something speaks against it.

    The run is made if it is not there; else it goes on. It is not thereby better: `simreal gate` judges.

    Args:
        base: of PPO, SAC or TD3 with actions that are numbers.
        robot: to learn on.
        budget: of all sessions together.
        logs: of `simreal deploy`, of this policy or others of the same contract: half of each batch.
        output: folder of the run.
        config: how to learn.
        seed: of everything random.
        listen: hears how far it is.
        warn: hears what the kernel did not permit, which logs cannot be read, and that a budget is too
            small to show anything.

    Raises:
        UserError: a policy or a task that cannot learn so, logs of another policy, or a folder that was
            begun with something else.
        DriverError: the robot cannot be reached.
    """
    config = config or OnlineConfig()
    experiment, agent, module = learnable(base)
    prior = (
        read_transitions(
            [each for path in logs for each in read_logs(path)], experiment, base.contract()
        )
        if logs
        else None
    )
    made_of = _made_of(base, logs, config, seed)
    if (why := shows_nothing(budget.seconds, config.trial_share, experiment.episode_length)) is not None:
        warn(why)
    run, is_new = _begin_or_go_on(base, output, experiment, config, made_of, seed)
    # The lock comes first: what another process has begun in meanwhile is not this one's to remove.
    with (
        run.lock(),
        run.taken_away_on_failure(lambda: not is_new or _has_flown(run)),
        interrupt_flag() as interrupt,
    ):
        if not (run.path / BASE).is_dir():  # or a kill came before it was kept
            keep_base(run, base)
        policy = FrozenPolicy(module)
        session = Session(run, base, agent, policy, robot, config, seed, experiment, interrupt, warn)
        session.listen = listen
        if prior is not None:
            session.learn_from(prior)
        stopped = session.until_stopped(budget)
        return OnlineTuning(run, session.ledger, stopped, session.no_filter, session.trial)


def _has_flown(run: Run) -> bool:
    return any((run.path / FOLDER).glob(EPISODE_LOGS))


def _made_of(base: Run, logs: Sequence[Path], config: OnlineConfig, seed: int) -> Adapted:
    """What must be the same when a run goes on."""
    adapted = adapted_from("finetune-online", base)
    adapted.config = config.model_dump(mode="json")
    adapted.seed, adapted.logs = seed, sources_to_learn_from(logs)
    return adapted


def _begin_or_go_on(
    base: Run,
    output: Path,
    experiment: ExperimentConfig,
    config: OnlineConfig,
    made_of: Adapted,
    seed: int,
) -> tuple[Run, bool]:
    """The run of a folder, and whether it was made here."""
    if is_taken(output):
        run = Run.open(output)
        _refuse_other_origin(run, made_of)
        return run, False
    residual = ResidualPolicyConfig(width=config.bounds.first, hidden_layers=config.hidden_layers)
    data = experiment.model_dump(mode="json") | {"residual_policy": residual.model_dump(mode="json")}
    return start_run(parse_experiment(data), seed, output, made_of, base.total_steps), True


def _refuse_other_origin(run: Run, made_of: Adapted) -> None:
    known = run.facts().adapted or Adapted()
    if known.method != made_of.method:
        raise UserError(f"{run.path}: exists already, and is none of finetune-online: another --run")
    for name, words in (
        ("base_sha256", "another policy"),
        ("logs", "other logs"),
        ("config", "other numbers (-o)"),
        ("seed", "another --seed"),
    ):
        if getattr(known, name) != getattr(made_of, name):
            raise UserError(
                f"{run.path}: was begun with {words}; give the same to go on, or another --run"
            )
