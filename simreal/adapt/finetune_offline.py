"""Fine-tuning from logs alone: no simulator, no robot, and no change that the logs do not support."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from stable_baselines3.common.base_class import BaseAlgorithm

from simreal.adapt.adapted_run import (
    adapted_from,
    keep_base,
    learnable,
    sources_to_learn_from,
)
from simreal.adapt.coverage import Check, Coverage, amount, exploration, split, support
from simreal.adapt.offline import Actor, Learner, OfflineConfig
from simreal.adapt.transitions import Transitions, read_transitions
from simreal.agents.checkpoint import load_checkpoint, save_checkpoint
from simreal.agents.exported import ExportedPolicy
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.files import refuse_taken
from simreal.logs.formats import read_logs
from simreal.run import Run
from simreal.run_facts import Adapted


@dataclass(frozen=True, slots=True)
class OfflineTuning:
    """What came of it.

    Attributes:
        run: the new run, with the changed policy as its checkpoint.
        transitions: that were learned from, and kept to judge it.
        left_out: steps between whose action and command something stood.
        coverage: what speaks for the change.
    """

    run: Run
    transitions: tuple[int, int]
    left_out: int
    coverage: Coverage


def finetune_offline(
    run: Run,
    logs: Sequence[Path],
    output: Path,
    config: OfflineConfig | None = None,
    seed: int = 0,
    listen: Callable[[int], None] | None = None,
) -> OfflineTuning:
    """Change a policy by what logs of its contract show, and write it as a run of its own.

    The new run has the experiment, the contract and the steps of the old one; what made it stands in
    its ``run.json``, and the old policy in its folder. It is not thereby better: `simreal gate` judges,
    without which it is not exported, and then a careful start on the robot.

    Args:
        run: of PPO, SAC or TD3 with actions that are numbers.
        logs: of `simreal deploy`, of this policy or of others of the same contract.
        output: folder of the new run.
        config: how to learn.
        seed: of critics and batches.
        listen: hears the number of updates.

    Raises:
        UserError: no place for the new run, a policy or a task of which logs alone cannot teach, or logs
            that do not support a change; nothing is written.
    """
    config = config or OfflineConfig()
    refuse_taken(output, "--run", folder=True)
    experiment, agent, module = learnable(run)
    found = [log for path in logs for log in read_logs(path)]
    sources = sources_to_learn_from(logs)
    data = _normalised(read_transitions(found, experiment, run.contract()), module)
    learned, kept = split(data)
    actor = Actor(module.network, module.squash)
    base = copy.deepcopy(actor).eval()
    first = (amount(learned), exploration(learned, base))
    _refuse(first, run)
    discount = experiment.agent_config.discount
    learner = Learner(actor, learned, discount, config, seed)
    learner.learn(listen)
    coverage = Coverage((*first, *support(learned, kept, base, actor, learner.critics).checks))
    _refuse(coverage.checks, run)
    adapted = adapted_from("finetune-offline", run)
    adapted.config = config.model_dump(mode="json")
    adapted.seed, adapted.logs, adapted.transitions = seed, sources, len(data)
    adapted.coverage = {
        check.name: (float(check.found), float(check.bound)) for check in coverage.checks
    }
    made = _write(run, output, experiment, agent, adapted)
    return OfflineTuning(made, (len(learned), len(kept)), data.limited, coverage)


def _normalised(data: Transitions, module: ExportedPolicy) -> Transitions:
    with torch.no_grad():
        both = [
            module.normalizer(torch.from_numpy(each)).numpy()
            for each in (data.observation, data.next_observation)
        ]
    return dataclasses.replace(data, observation=both[0], next_observation=both[1])


def _refuse(checks: Sequence[Check], run: Run) -> None:
    objections = Coverage(tuple(checks)).objections
    if objections:
        raise UserError(
            f"{run.path}: the logs do not support a change; nothing is written:\n  "
            + "\n  ".join(objections)
        )


def _write(
    run: Run,
    output: Path,
    experiment: ExperimentConfig,
    agent: BaseAlgorithm,
    adapted: Adapted,
) -> Run:
    """A new run with the agent's networks as they are now, and with what made them."""
    networks: dict[str, Any] = agent.policy.state_dict()
    changed = {name: value.clone() for name, value in networks.items()}
    progress = load_checkpoint(run.latest_checkpoint(), agent, with_replay=False)
    agent.policy.load_state_dict(changed)
    made = Run.create(output, experiment, run.seed, adapted=adapted)
    with made.taken_away_on_failure():
        made.write_contract(run.contract())
        keep_base(made, run)
        save_checkpoint(made.checkpoint_path(progress.steps), agent, progress)
    with made.changing_facts() as facts:
        facts.steps, facts.total_steps, facts.finished = progress.steps, run.total_steps, True
    return made
