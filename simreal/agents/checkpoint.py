"""Checkpoints of agents: tensors and plain numbers only, read without pickle's power to run code."""

import json
import math
import warnings
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from simreal.agents.value.experience import ExperienceReplay
from simreal.agents.value.image_replay import ImageReplay
from simreal.errors import UserError
from simreal.files import write_atomically

FORMAT = 2
REPLAY_ARRAYS = ("observations", "next_observations", "actions", "rewards", "dones", "timeouts")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a training had come.

    Attributes:
        steps: environment steps.
        episodes_begun: so that a resumed run goes on with new episodes.
        wall_time: s of training so far.
        schedule: what the schedule of the randomization has learned.
    """

    steps: int
    episodes_begun: int
    wall_time: float
    schedule: dict[str, Any]


def save_checkpoint(path: Path, agent: BaseAlgorithm, progress: Progress) -> None:
    """Write networks, optimizers, counters, random states and the replay buffer to one file."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "algorithm": type(agent).__name__,
        "parameters": agent.get_parameters(),
        "updates": int(getattr(agent, "_n_updates", 0)),
        "steps": progress.steps,
        "episodes_begun": progress.episodes_begun,
        "wall_time": progress.wall_time,
        "schedule": json.dumps(progress.schedule),
        "torch_random": torch.get_rng_state(),
        "numpy_random": _numpy_random_state(),
    }
    if (entropy := _entropy_weight(agent)) is not None:
        content["log_entropy_weight"] = entropy.detach().clone()
    if isinstance(agent, OffPolicyAlgorithm) and agent.replay_buffer is not None:
        content["replay"] = replay_state(agent.replay_buffer)
    save_tensors(path, content)


def save_tensors(path: Path, content: dict[str, Any]) -> None:
    """Write what torch can save, whole or not at all.

    Raises:
        UserError: the disk or the folder refuses.
    """
    try:
        write_atomically(path, lambda temporary: torch.save(content, temporary))
    except RuntimeError as error:  # of torch's writer, which does not say why
        told = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be written; is the disk full? {told}") from None


def load_tensors(path: Path) -> dict[str, Any]:
    """Read what `save_tensors` wrote, without pickle's power to run code; raises what torch does."""
    with warnings.catch_warnings(action="ignore"):  # of foreign files, which are refused anyway
        content: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return content


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Content of a checkpoint, as it was written.

    Raises:
        UserError: it is damaged, of something else, or of another format.
    """
    try:
        content = load_tensors(path)
        if content["format"] != FORMAT:
            raise UserError(
                f"{path}: a checkpoint of format {content['format']}; expected format {FORMAT}"
            )
    except UserError:
        raise
    except Exception as error:
        # torch raises many kinds for a file that is cut, corrupt or hostile.
        raise UserError(f"{path}: not a usable checkpoint: {fault_in_file(error)}") from None
    return content


def load_checkpoint(path: Path, agent: BaseAlgorithm, with_replay: bool = True) -> Progress:
    """Put a checkpoint's content into an agent of the same configuration.

    Args:
        path: of the file.
        agent: a freshly built agent.
        with_replay: whether training goes on, which needs random states and replay buffer.

    Raises:
        UserError: not a checkpoint, of another agent, or of another format.
    """
    content = read_checkpoint(path)
    try:
        if content["algorithm"] != type(agent).__name__:
            raise UserError(
                f"{path}: a checkpoint of {content['algorithm']}; expected {type(agent).__name__}"
            )
        agent.set_parameters(content["parameters"], exact_match=True, device="cpu")
        _refuse_no_numbers(path, agent.policy.state_dict())
        restore_entropy_weight(agent, content)
        progress = _progress_in(content)
        if with_replay:
            _restore_training(agent, content)
    except UserError:
        raise
    except Exception as error:
        # It is none of ours, or torch and the agent raise what they will for other shapes.
        raise UserError(f"{path}: not a usable checkpoint: {fault_in_file(error)}") from None
    agent.num_timesteps = progress.steps
    return progress


def _progress_in(content: dict[str, Any]) -> Progress:
    """A checkpoint's; raises a ValueError where it is of other types."""
    seconds, schedule = content["wall_time"], json.loads(content["schedule"])
    if type(seconds) not in (int, float) or not 0.0 <= seconds < math.inf:
        raise ValueError(f"its wall_time is {seconds!r}, no number of s")
    if not isinstance(schedule, dict):
        raise ValueError(f"its schedule is {schedule!r}, no mapping")
    steps, episodes_begun = (_count_in(content, name) for name in ("steps", "episodes_begun"))
    return Progress(steps, episodes_begun, seconds, schedule)


def _count_in(content: dict[str, Any], name: str) -> int:
    count = content[name]
    if type(count) is not int or count < 0:
        raise ValueError(f"its {name} is {count!r}, no whole number from 0 on")
    return count


def fault_in_file(error: Exception) -> str:
    """What torch has against a file, in a line; its own would advise to run what is in it."""
    if isinstance(error, UnpicklingError):
        return "it is damaged, or holds more than tensors and numbers"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error) or type(error).__name__).splitlines()[0]


def _refuse_no_numbers(path: Path, policy: dict[str, torch.Tensor]) -> None:
    for name, values in policy.items():
        if not torch.isfinite(values).all():
            raise UserError(f"{path}: {name} holds what is no finite number: its policy cannot act")


def _entropy_weight(agent: BaseAlgorithm) -> torch.Tensor | None:
    """Logarithm of SAC's entropy weight: learned, but none of what `get_parameters` returns."""
    weight: torch.Tensor | None = getattr(agent, "log_ent_coef", None)
    return weight


def restore_entropy_weight(agent: BaseAlgorithm, content: dict[str, Any]) -> None:
    """Give SAC the entropy weight that it had; checkpoints of other agents hold none."""
    weight = _entropy_weight(agent)
    if weight is not None and "log_entropy_weight" in content:
        weight.data.copy_(content["log_entropy_weight"])


def _restore_training(agent: BaseAlgorithm, content: dict[str, Any]) -> None:
    agent._n_updates = _count_in(content, "updates")
    torch.set_rng_state(content["torch_random"])
    name, keys, place, has_gauss, gauss = content["numpy_random"]
    np.random.set_state((name, np.array(keys, dtype=np.uint32), place, has_gauss, gauss))
    if isinstance(agent, OffPolicyAlgorithm) and agent.replay_buffer is not None:
        restore_replay(agent.replay_buffer, content["replay"])


def _numpy_random_state() -> list[Any]:
    name, keys, place, has_gauss, gauss = np.random.get_state(legacy=True)
    return [str(name), np.asarray(keys).tolist(), int(place), int(has_gauss), float(gauss)]


def replay_state(buffer: ReplayBuffer) -> dict[str, Any]:
    """What a replay holds, as tensors and plain numbers."""
    filled = buffer.buffer_size if buffer.full else buffer.pos
    arrays = {name: torch.from_numpy(getattr(buffer, name)[:filled]) for name in REPLAY_ARRAYS}
    state = {"place": buffer.pos, "full": buffer.full, **arrays}
    if isinstance(buffer, ExperienceReplay):
        priorities, largest = buffer.stored_priorities()
        state |= {"priorities": torch.from_numpy(priorities), "largest_priority": largest}
    if isinstance(buffer, ImageReplay):
        state["films"] = {
            name: {key: torch.from_numpy(values) for key, values in film.state(filled).items()}
            for name, film in buffer.films.items()
        }
    return state


def restore_replay(buffer: ReplayBuffer, state: dict[str, Any]) -> None:
    """Put it into an empty one of the same size; the episodes that went on do not go on."""
    for name in REPLAY_ARRAYS:
        stored = state[name].numpy()
        getattr(buffer, name)[: len(stored)] = stored
    buffer.pos, buffer.full = state["place"], state["full"]
    if isinstance(buffer, ExperienceReplay):
        buffer.restore_priorities(state["priorities"].numpy(), state["largest_priority"])
        buffer.forget_what_goes_on()
    if isinstance(buffer, ImageReplay):
        newest = (buffer.pos - 1) % buffer.buffer_size
        for name, film in buffer.films.items():
            film.restore({key: each.numpy() for key, each in state["films"][name].items()}, newest)
