"""What all adaptations share: the run of a policy that goes on from another, which it keeps."""

from collections.abc import Sequence
from pathlib import Path

from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.agents.checkpoint import read_checkpoint, save_tensors
from simreal.agents.config import PPOConfig
from simreal.agents.exported import ExportedPolicy, exported
from simreal.config import override, read_document
from simreal.errors import UserError
from simreal.experiment import BaseExperiment, ExperimentConfig, parse_any_experiment
from simreal.files import copy_file, digest, write_atomically, write_folder_atomically
from simreal.kept_files import kept_names
from simreal.randomization.posterior import refuse_twice, sources_of
from simreal.run import Run
from simreal.run_facts import LARGEST_SEED, Adapted, LogFacts
from simreal.run_verdict import BASE, VERDICT, reasons_against_export
from simreal.train import load_agent, refuse_residual_policy, start_run

STEPS_SHARE = 0.25
"""Of the base policy's training, for which it goes on."""
RATE_SHARE = 1.0 / 3.0
"""Of PPO's learning rate, with which finetuning of a policy that was trained to its end begins: at the
whole one, what it could was lost in some trainings of a Qube (docs/figures.md, hidden robots)."""


def adapted_from(method: str, base: Run) -> Adapted:
    """What an adapted policy began from; what else makes it is added by its method."""
    return Adapted(
        method=method,
        base=str(base.path),
        base_sha256=digest(base.latest_checkpoint()),
        base_steps=base.steps_kept(),
    )


def learnable(run: Run) -> tuple[ExperimentConfig, BaseAlgorithm, ExportedPolicy]:
    """Experiment, agent and policy of a run that can learn from logs, or on a robot.

    Raises:
        UserError: it cannot.
    """
    experiment = run.experiment()
    if not isinstance(experiment, ExperimentConfig):
        raise UserError(f"{run.path}: a task of dm_control has no robot, and so no logs of one")
    refuse_residual_policy(run)
    if experiment.cameras:
        raise UserError(f"{run.path}: its policy sees, and logs hold no images to learn from")
    agent, env = load_agent(run)
    module = exported(agent, env.contract)
    if not isinstance(module, ExportedPolicy):
        raise UserError(
            f"{run.path}: from logs, and on a robot, policies of ppo, sac and td3 learn whose actions "
            "are numbers and which carry no memory"
        )
    return experiment, agent, module


def sources_to_learn_from(logs: Sequence[Path]) -> tuple[LogFacts, ...]:
    """Name and SHA-256 of each, for ``run.json``; raises a `UserError` if one is given twice."""
    sources = sources_of(logs)
    refuse_twice(logs, sources, "its steps would seem to be more than they are")
    return tuple(LogFacts(name=each.file, sha256=each.sha256) for each in sources)


def start_from(
    base: Run,
    experiment: BaseExperiment,
    steps: int | None = None,
    path: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    adapted: Adapted | None = None,
) -> Run:
    """Make a run folder in which a policy will go on learning.

    Args:
        base: run of the policy.
        experiment: in which it learns.
        steps: environment steps; a share of the base's if absent.
        path: of the new run; a name is chosen if absent.
        overrides: ``key=value`` changes of the experiment.
        seed: of the new run; one more than the base's if absent.
        adapted: what made the policy, if the gate is to apply to it.

    Raises:
        UserError: an experiment that cannot be trained, or networks that an override has changed.
    """
    changed = _longer(experiment, base, steps, overrides)
    following = (base.seed + 1) % (LARGEST_SEED + 1)
    run = start_run(changed, following if seed is None else seed, path, adapted)
    with run.lock(), run.taken_away_on_failure():
        keep_base(run, base)
    return run


def keep_base(run: Run, base: Run) -> None:
    """Put the policy that a run adapts into its folder, as a run of its own without a replay buffer.

    So it can be evaluated, exported and compared whatever becomes of the other folder. It is whole or
    not there; what the gate has found of it holds of the copy, too.
    """
    names = kept_names(read_document(base.path / "config.yaml").data)
    named = [base.path / name for name in names]
    checkpoint = base.latest_checkpoint()
    content = read_checkpoint(checkpoint)

    def write(kept: Path) -> None:
        for source in {*base.path.glob("*.yaml"), *base.path.glob("*.json"), *named}:
            copy_file(source, kept / source.name)
        copy = kept / "checkpoints" / checkpoint.name
        if content.pop("replay", None) is None:
            copy_file(checkpoint, copy)  # every byte, so that its SHA-256 is that in run.json
        else:
            save_tensors(copy, content)
        if (verdict := kept / VERDICT).is_file():
            found = verdict.read_bytes().replace(digest(checkpoint).encode(), digest(copy).encode())
            write_atomically(verdict, lambda temporary: temporary.write_bytes(found))
        with Run(kept).changing_facts() as facts:
            facts.kept_back = tuple(reasons_against_export(base))

    write_folder_atomically(run.path / BASE, write)


def _longer(
    experiment: BaseExperiment, base: Run, steps: int | None, overrides: Sequence[str]
) -> BaseExperiment:
    """The experiment with its own number of steps, smaller ones of learning, and overrides."""
    total = steps or max(1, round(STEPS_SHARE * base.total_steps))
    own = [f"train.total_steps={total}"]
    if experiment.agent == "ppo":
        own.append(f"ppo.learning_rate={_first_rate(base, experiment.ppo):.3g}")
    if isinstance(experiment, ExperimentConfig) and experiment.adaptation is not None:
        own += ["rma.teacher_share=0", "rma.handover_share=0"]  # it acts on estimates already
    data = override(experiment.model_dump(mode="json"), [*own, *overrides])
    return parse_any_experiment(data)


def _first_rate(base: Run, config: PPOConfig) -> float:
    """A share of the learning rate that the base began with, or what it had when it was broken off."""
    progress = base.steps_kept() / base.total_steps
    if progress >= 1.0:
        return RATE_SHARE * config.learning_rate
    fallen = 1.0 - progress * (1.0 - config.final_learning_rate_share)
    return max(RATE_SHARE, fallen) * config.learning_rate
