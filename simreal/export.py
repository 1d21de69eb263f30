"""Export: an agent becomes one ONNX file with its contract and golden vectors."""

import logging
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray

from simreal.action import ActionPipeline
from simreal.agents.exported import ExportedChooser, ExportedPolicy, acting, exported
from simreal.agents.memory import Actor, AdaptiveActor, RecurrentActor, WithMemory
from simreal.contract import CameraTerm, Contract, HiddenState
from simreal.deploy.inference import HIDDEN, IMAGE, NEXT_HIDDEN
from simreal.deploy.policy import (
    CONTRACT_KEY,
    EXPERIMENT_KEY,
    GOLDEN_KEY,
    GoldenVectors,
    packed,
    sealed,
)
from simreal.env import BatchEnv
from simreal.episodes import begin_episodes
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.files import refuse_taken, write_atomically
from simreal.run import Run
from simreal.train import load_agent

PARITY_TOLERANCE = 1e-5
"""Largest difference of actions in [-1, 1] between agent and graph."""
PARITY_OF_SEEING = 1e-4
"""The same of a policy that sees: its convolutions sum more numbers, in another order."""
PARITY_OBSERVATIONS, PARITY_IMAGES = 10_000, 1_000
GOLDEN_STEPS, GOLDEN_IMAGES = 50, 5
"""Steps of golden vectors; a policy that sees has fewer, since images are large."""
SIMULATIONS = 64
OPSET = 18

Module = ExportedPolicy | ExportedChooser | WithMemory
Inputs = dict[str, NDArray[Any]]
"""Name of a graph's input to a row for each moment."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export made.

    Attributes:
        path: of the file.
        contract: in it.
        parity: largest difference between agent and graph over the recorded observations.
        observations: how many those were.
    """

    path: Path
    contract: Contract
    parity: float
    observations: int


def export(run: Run, path: Path) -> Exported:
    """Export the newest policy of a run.

    Args:
        run: with a checkpoint.
        path: of the ONNX file to write; it is written only if graph and agent agree.

    Raises:
        UserError: no checkpoint, no parity, or the file exists or cannot be written.
    """
    refuse_taken(path, "-o")
    if not isinstance(experiment := run.experiment(), ExperimentConfig):
        raise UserError(
            f"{run.path}: a policy of {experiment.task} observes what only dm_control computes, so that "
            "there is no robot to export it for; simreal evaluate takes the run itself"
        )
    agent, env = load_agent(run, SIMULATIONS)
    assert isinstance(env, BatchEnv)
    module = exported(agent, env.contract)
    cameras = env.contract.cameras
    graph = to_onnx(module, env.observation_size, cameras)
    number, tolerance = (
        (PARITY_IMAGES, PARITY_OF_SEEING) if cameras else (PARITY_OBSERVATIONS, PARITY_TOLERANCE)
    )
    inputs = record_inputs(env, module, number)
    parity = largest_difference(module, graph.SerializeToString(), inputs)
    if not parity <= tolerance:
        raise UserError(
            f"{path}: not written: graph and agent differ by {parity:g} over {number} "
            f"observations, at most {tolerance:g} is allowed"
        )
    trained = run.contract()
    provenance = trained.provenance.model_copy(update={"training_steps": agent.num_timesteps})
    ranges = env.randomizer.trained_ranges()
    contract = trained.model_copy(
        update={
            "provenance": provenance,
            "trained_ranges": ranges,
            "hidden_states": hidden_states(module),
        }
    )
    for key, value in (
        (CONTRACT_KEY, contract.to_json()),
        (GOLDEN_KEY, golden_vectors(env, module).model_dump_json()),
        (EXPERIMENT_KEY, experiment.arrived(env.randomizer.schedule).model_dump_json()),
    ):
        graph.metadata_props.add(key=key, value=value)
    write_atomically(path, lambda temporary: temporary.write_bytes(sealed(graph.SerializeToString())))
    return Exported(path, contract, parity, number)


def hidden_states(module: Module) -> tuple[HiddenState, ...]:
    """What a policy carries from step to step."""
    return module.hidden_states if isinstance(module, AdaptiveActor | RecurrentActor) else ()


def to_onnx(
    module: Module, observation_size: int, cameras: Sequence[CameraTerm] = ()
) -> onnx.ModelProto:
    """Trace a policy to a graph of any batch size, without a trace of this machine in it."""
    hidden = hidden_states(module)
    examples = [torch.zeros(2, observation_size)]
    examples += [torch.zeros(2, *camera.shape, dtype=torch.uint8) for camera in cameras]
    examples += [torch.zeros(2, *each.shape) for each in hidden]
    batch = torch.export.Dim("batch")
    outputs = ["action", "choice", "worth"] if isinstance(module, ExportedChooser) else ["action"]
    for chatty in ("onnxscript", "torch.onnx"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            tuple(examples),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=[
                "observation",
                *(IMAGE + camera.name for camera in cameras),
                *(HIDDEN + each.name for each in hidden),
            ],
            output_names=[*outputs, *(NEXT_HIDDEN + each.name for each in hidden)],
            dynamic_shapes=_shapes(batch, len(cameras), len(hidden)),
            external_data=False,
        )
    assert program is not None
    graph = program.model_proto
    _forget_this_machine(graph)
    return graph


def _shapes(batch: Any, cameras: int, hidden: int) -> tuple[Any, ...]:
    """That the first axis of each input may be of any length; the images are one variadic argument.

    What sees carries no hidden state, and the reverse.
    """
    first = {0: batch}
    if cameras:
        return (first, tuple(first for _ in range(cameras)))
    return tuple(first for _ in range(1 + hidden))


def _forget_this_machine(graph: onnx.ModelProto) -> None:
    """Remove what the exporter writes of source files and stack traces."""
    del graph.metadata_props[:]
    graph.doc_string = ""
    del graph.graph.metadata_props[:]
    for part in (
        *graph.graph.node,
        *graph.graph.value_info,
        *graph.graph.input,
        *graph.graph.output,
        *graph.graph.initializer,
    ):
        part.doc_string = ""
        del part.metadata_props[:]


def record_inputs(env: BatchEnv, module: Module, number: int) -> Inputs:
    """What a policy at work is given at so many moments, with noise to spread them."""
    rng, act, hidden = np.random.default_rng(0), acting(module), hidden_states(module)
    observation = env.reset(seed=0)
    recorded: dict[str, list[NDArray[Any]]] = {"observation": []}
    recorded |= {IMAGE + name: [] for name in env.images}
    recorded |= {HIDDEN + each.name: [] for each in hidden}
    for _ in range(-(-number // env.count)):
        recorded["observation"].append(observation)
        for name, images in env.images.items():
            recorded[IMAGE + name].append(images.copy())
        if isinstance(act, Actor):
            for state, values in zip(hidden, act.state(env.count), strict=True):
                recorded[HIDDEN + state.name].append(values)
        action = act(observation, env.images)
        step = env.step(action + 0.3 * rng.standard_normal(action.shape))
        begin_episodes(act, np.flatnonzero(step.terminated | step.truncated))
        observation = step.observation
    return {name: np.concatenate(values)[:number] for name, values in recorded.items()}


def largest_difference(module: Module, graph: bytes, inputs: Inputs) -> float:
    """Largest difference of all outputs between a module and a graph; nan if either gives one.

    Of a policy that chooses, it is that of what it thinks the choices worth, relative to the largest.
    """
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    found = session.run(None, inputs)
    with torch.no_grad():
        expected = module(*map(torch.from_numpy, inputs.values()))
    if isinstance(module, ExportedChooser):
        worth = expected[2].numpy()
        return float((np.abs(found[2] - worth) / np.maximum(1.0, np.abs(worth).max())).max())
    outputs = expected if isinstance(expected, tuple) else (expected,)
    pairs = zip(found, outputs, strict=True)
    return max(float(np.abs(one - other.numpy()).max()) for one, other in pairs)


def golden_vectors(env: BatchEnv, module: Module) -> GoldenVectors:
    """The first steps of an episode: raw states, observations, actions and commands."""
    states: dict[str, Any] = {name: [] for name in GoldenVectors.model_fields if name != "images"}
    states["images"] = {name: [] for name in env.images}
    asked = bool(env.contract.commands)
    to_command, act = ActionPipeline(env.contract), acting(module)
    observation = env.reset(seed=0)
    to_command.begin(env.measured_state().joint_position[0])
    for _ in range(GOLDEN_IMAGES if env.images else GOLDEN_STEPS):
        action = act(observation, env.images)
        for name, images in env.images.items():
            states["images"][name].append(packed(images[0]))
        state = env.measured_state()
        states["joint_position"].append(state.joint_position[0].tolist())
        states["joint_velocity"].append(state.joint_velocity[0].tolist())
        for name, values in state.inertial().items():
            states[name].append(values[0].tolist())
        if state.object_pose is not None:
            states["object_pose"].append(state.object_pose[0].ravel().tolist())
        if asked:
            states["asked"].append(env.command[0].tolist())
        states["observation"].append(observation[0].tolist())
        states["action"].append(action[0].tolist())
        states["command"].append(to_command(action[0].astype(np.float64)).target.tolist())
        step = env.step(action)
        observation = step.observation
        if step.terminated[0] or step.truncated[0]:
            break
    return GoldenVectors.model_validate(states)
