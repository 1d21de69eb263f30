"""Posterior retraining: a trained policy goes on learning among robots like the identified one."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from simreal.adapt.adapted_run import adapted_from, start_from
from simreal.adapt.posterior_override import Redrawn, redrawn
from simreal.adapt.worlds import experiment_in, mix_worlds, robot_experiment
from simreal.agents.carry_over import Inputs, carry_over
from simreal.agents.checkpoint import read_checkpoint
from simreal.errors import UserError
from simreal.evaluate import load_candidate
from simreal.experiment import (
    PARAMETERS_DRAWN,
    ExperimentConfig,
    ResidualConfig,
)
from simreal.files import copy_file, digest
from simreal.make_environment import make_environment
from simreal.randomization.posterior import (
    COVERED,
    NOT_COVERED,
    Source,
    is_uncovered,
    read_posterior,
    write_posterior,
)
from simreal.randomization.residual import read_residual
from simreal.run import Run
from simreal.run_facts import FileFacts, SourceFacts
from simreal.run_verdict import BASE
from simreal.train import StatusListener, refuse_residual_policy, train

OLD_SHARE = 0.3
"""Of the episodes, in the old worlds, where identified robots cover the real one."""
IDENTIFIED = "identified.yaml"
WORLDS = "worlds.yaml"
AGENTS = ("ppo", "sac", "td3")


@dataclass(frozen=True, slots=True)
class Finetuning:
    """A run that is ready to go on from another's policy.

    Attributes:
        run: new.
        change: what becomes of the entries of the old randomization.
        old_share: of the episodes, that are drawn as before.
    """

    run: Run
    change: Redrawn
    old_share: float


def old_share_for(coverage: float | None) -> float:
    """Share of the episodes that stay in the old worlds, the larger the less identification covers.

    A robot that has what no parameter describes is fitted by others, which it does not have. A policy
    that trusts them unlearns what it could, as of hidden robots with backlash and an actuator's own
    dynamics (docs/figures.md, hidden robots).

    Args:
        coverage: of what was held out; as if it were covered if not known.

    Returns:
        `OLD_SHARE` where it is covered, 1 where it is not.
    """
    if coverage is None:
        return OLD_SHARE
    doubt = (COVERED - coverage) / (COVERED - NOT_COVERED)
    return OLD_SHARE + (1.0 - OLD_SHARE) * min(1.0, max(0.0, doubt))


def start_finetuning(
    base: Run,
    identified: Path,
    old_share: float | None = None,
    steps: int | None = None,
    path: Path | None = None,
    overrides: Sequence[str] = (),
    seed: int | None = None,
    residual: Path | None = None,
) -> Finetuning:
    """Make a run folder in which a policy will go on learning, with all that it is made from.

    Args:
        base: run of the policy.
        identified: what `simreal identify` wrote of the robot.
        old_share: of the episodes, that are drawn as before; by `old_share_for` if absent, and as if it
            were covered with a residual, which is there for what the parameters lack.
        steps: environment steps; a share of the base's if absent.
        path: of the new run; a name is chosen if absent.
        overrides: ``key=value`` changes of the experiment.
        seed: of the new run; one more than the base's if absent.
        residual: what `simreal fit-actuator` wrote of the robot; acts in old worlds, too.

    Raises:
        UserError: an agent that cannot go on, a posterior of another robot, one that covers so little
            that no episode would meet its robots, or networks that an override has changed.
    """
    refuse_residual_policy(base)
    began = robot_experiment(load_candidate(base.path).experiment)
    if began.agent not in AGENTS:
        raise UserError(f"{base.path}: agent {began.agent}; only {', '.join(AGENTS)} can be finetuned")
    posterior = read_posterior(identified)
    if old_share is None and residual is None:
        _refuse_uncovered(posterior.coverage, identified)
        old_share = old_share_for(posterior.coverage)
    elif old_share is None:
        old_share = OLD_SHARE
    worlds = mix_worlds(began, posterior, identified, old_share)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / WORLDS
        write_posterior(file, worlds.posterior)
        changed = experiment_in(began, worlds, file)
        if residual is not None:
            changed = changed.model_copy(update={"residual": ResidualConfig(file=residual)})
        adapted = adapted_from("finetune", base)
        adapted.identified = _told(identified, posterior.sources)
        adapted.old_share = old_share
        if residual is not None:
            adapted.residual = _told(residual, read_residual(residual).sources)
        run = start_from(base, changed, steps, path, overrides, seed, adapted=adapted)
    with run.lock(), run.taken_away_on_failure():
        copy_file(identified, run.path / IDENTIFIED)
    change = redrawn(began.model_dump(mode="json")["randomization"], posterior)
    return Finetuning(run, change, old_share)


def _refuse_uncovered(coverage: float | None, path: Path) -> None:
    if is_uncovered(coverage):
        raise UserError(
            f"{path} covers {math.floor(100 * coverage)} % of what was held out, no more than half: "
            "policies that were trained among such robots were no better on the real one than before. "
            "simreal identify may find what is lacking with more --parameters; --old-share "
            f"{OLD_SHARE:g} trains among them all the same"
        )


def _told(file: Path, sources: Sequence[Source]) -> FileFacts:
    """A file about a robot, and the logs that it was made from."""
    logs = tuple(SourceFacts(file=each.file, sha256=each.sha256) for each in sources)
    return FileFacts(file=file.name, sha256=digest(file), logs=logs)


def finetune(run: Run, listen: StatusListener | None = None) -> bool:
    """Train a run that `start_from` made, from its base policy on; see `train`.

    Raises:
        UserError: it cannot begin so, and no folder is left of it; or as `train` does.
    """
    # The lock comes first: what another process has begun in meanwhile is not this one's to remove.
    with run.lock(), run.taken_away_on_failure():
        base = Run.open(run.path / BASE)
        old, new = _inputs(base), _inputs(run)
        content = read_checkpoint(base.latest_checkpoint())

        def begin(agent: BaseAlgorithm) -> None:
            carry_over(content, agent, old, new)
            if isinstance(agent, OffPolicyAlgorithm):
                _act_while_warming_up(agent)

        return train(run, listen=listen, begin=begin)


def _inputs(run: Run) -> Inputs:
    experiment = run.experiment()
    env = make_environment(experiment, 1, threads=1)
    size = env.observation_size + env.privileged.shape[1]
    shown = isinstance(experiment, ExperimentConfig) and PARAMETERS_DRAWN in experiment.privileged
    if not shown:
        return Inputs(size, (), np.zeros(0), np.zeros(0))
    space = env.randomizer.space
    return Inputs(size, space.columns, space.low, space.high)


def _act_while_warming_up(agent: OffPolicyAlgorithm) -> None:
    """Let the policy act until learning starts, where a fresh agent would act by chance."""
    sample = agent._sample_action

    def by_policy(learning_starts: int, *args: Any, **kwargs: Any) -> Any:
        return sample(0, *args, **kwargs)

    agent._sample_action = by_policy  # type: ignore[method-assign]
