"""Export: an agent becomes one ONNX file with its contract and golden vectors."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from simreal.action import ActionPipeline
from simreal.agents.build import ExportedChooser, ExportedPolicy, acting, exported
from simreal.agents.memory import Actor, AdaptiveActor, RecurrentActor, WithMemory
from simreal.contract import Contract, HiddenState
from simreal.deploy.inference import HIDDEN, NEXT_HIDDEN
from simreal.deploy.policy import CONTRACT_KEY, EXPERIMENT_KEY, GOLDEN_KEY, GoldenVectors
from simreal.env import BatchEnv
from simreal.episodes import begin_episodes
from simreal.errors import UserError
from simreal.experiment import ExperimentConfig
from simreal.files import write_atomically
from simreal.observation import Float32Array
from simreal.run import Run
from simreal.train import load_agent

PARITY_TOLERANCE = 1e-5
"""Largest difference of actions in [-1, 1] between agent and graph."""
PARITY_OBSERVATIONS = 10_000
GOLDEN_STEPS = 50
SIMULATIONS = 64
OPSET = 18

Module = ExportedPolicy | ExportedChooser | WithMemory
Inputs = dict[str, Float32Array]
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
    if path.exists():
        raise UserError(f"{path}: exists already; give another -o")
    if not isinstance(experiment := run.experiment(), ExperimentConfig):
        raise UserError(
            f"{run.path}: a policy of {experiment.task} observes what only dm_control computes, so that "
            "there is no robot to export it for; simreal evaluate takes the run itself"
        )
    agent, env = load_agent(run, SIMULATIONS)
    assert isinstance(env, BatchEnv)
    module = exported(agent, env.contract)
    graph = to_onnx(module, env.observation_size)
    inputs = record_inputs(env, module, PARITY_OBSERVATIONS)
    parity = largest_difference(module, graph.SerializeToString(), inputs)
    number = len(inputs["observation"])
    if not parity <= PARITY_TOLERANCE:
        raise UserError(
            f"{path}: not written: graph and agent differ by {parity:g} over {number} "
            f"observations, at most {PARITY_TOLERANCE:g} is allowed"
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
    write_atomically(path, lambda temporary: temporary.write_bytes(graph.SerializeToString()))
    return Exported(path, contract, parity, number)


def hidden_states(module: Module) -> tuple[HiddenState, ...]:
    """What a policy carries from step to step."""
    return module.hidden_states if isinstance(module, AdaptiveActor | RecurrentActor) else ()


def to_onnx(module: Module, observation_size: int) -> onnx.ModelProto:
    """Trace a policy to a graph of any batch size, without a trace of this machine in it."""
    hidden = hidden_states(module)
    examples = torch.zeros(2, observation_size), *(torch.zeros(2, *each.shape) for each in hidden)
    batch = torch.export.Dim("batch")
    outputs = ["action", "choice", "worth"] if isinstance(module, ExportedChooser) else ["action"]
    for chatty in ("onnxscript", "torch.onnx"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            examples,
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=["observation", *(HIDDEN + each.name for each in hidden)],
            output_names=[*outputs, *(NEXT_HIDDEN + each.name for each in hidden)],
            dynamic_shapes=tuple({0: batch} for _ in examples),
            external_data=False,
        )
    assert program is not None
    graph = program.model_proto
    _forget_this_machine(graph)
    return graph


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
    recorded: dict[str, list[Float32Array]] = {"observation": []}
    recorded |= {HIDDEN + each.name: [] for each in hidden}
    for _ in range(-(-number // env.count)):
        recorded["observation"].append(observation)
        if isinstance(act, Actor):
            for name, values in zip(hidden, act.state(env.count), strict=True):
                recorded[HIDDEN + name.name].append(values)
        action = act(observation)
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
    states: dict[str, list[Any]] = {name: [] for name in GoldenVectors.model_fields}
    asked = bool(env.contract.commands)
    to_command, act = ActionPipeline(env.contract), acting(module)
    observation = env.reset(seed=0)
    to_command.begin(env.measured_state().joint_position[0])
    for _ in range(GOLDEN_STEPS):
        action = act(observation)
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
