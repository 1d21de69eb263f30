"""A policy on one robot: the same as in a batch, and what it carries from step to step."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from simreal.action import ActionPipeline
from simreal.contract import Contract, HiddenState
from simreal.deploy.policy import CONTRACT_KEY, GOLDEN_KEY, GoldenVectors, load_policy, sealed
from simreal.errors import UserError
from simreal.observation import ObservationPipeline
from simreal.state import RobotState

WriteFile = Callable[..., Path]
STEPS = 5


def _recurrent(contract: Contract, path: Path, states: tuple[HiddenState, ...] | None = None) -> Path:
    """A leaky sum of the arm's angle: next = 0.5 hidden + arm, action = next; and a counter."""
    names = (HiddenState(name="sum", shape=(1,)), HiddenState(name="count", shape=(2, 3)))
    contract = contract.model_copy(update={"hidden_states": names if states is None else states})
    size, node = ObservationPipeline(contract).size, helper.make_node
    nodes = [
        node("Gather", ["observation", "arm"], ["angle"], axis=1),
        node("Mul", ["hidden.sum", "half"], ["faded"]),
        node("Add", ["faded", "angle"], ["next_hidden.sum"]),
        node("Identity", ["next_hidden.sum"], ["action"]),
        node("Add", ["hidden.count", "one"], ["next_hidden.count"]),
    ]
    shapes = {"observation": ["n", size], "hidden.sum": ["n", 1], "hidden.count": ["n", 2, 3]}
    results = {"action": ["n", 1], "next_hidden.sum": ["n", 1], "next_hidden.count": ["n", 2, 3]}
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in each.items()]
        for each in (shapes, results)
    ]
    constants = {
        "arm": np.array([0], np.int64),
        "half": np.array([0.5], np.float32),
        "one": np.array([1.0], np.float32),
    }
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "recurrent", ends[0], ends[1], values)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    golden = _golden(model, contract)
    model.metadata_props.add(key=CONTRACT_KEY, value=contract.to_json())
    model.metadata_props.add(key=GOLDEN_KEY, value=golden.model_dump_json())
    path.write_bytes(sealed(model.SerializeToString()))
    return path


def _golden(model: onnx.ModelProto, contract: Contract) -> GoldenVectors:
    """The first steps of an episode, with onnxruntime's own calls."""
    session = onnxruntime.InferenceSession(model.SerializeToString())
    pipeline, previous = ObservationPipeline(contract), np.zeros(1)
    total, count = np.zeros((1, 1), np.float32), np.zeros((1, 2, 3), np.float32)
    rows: dict[str, list[tuple[float, ...]]] = {
        name: [] for name in ("joint_position", "joint_velocity", "observation", "action", "command")
    }
    for step in range(STEPS):
        position = np.array([0.1 + 0.01 * step, 0.0])
        state = RobotState(0.0, position, np.zeros(2))
        observation = (pipeline.begin if step == 0 else pipeline)(state, previous)
        given = {"observation": observation[None], "hidden.sum": total, "hidden.count": count}
        action, total, count = session.run(["action", "next_hidden.sum", "next_hidden.count"], given)
        previous = action[0].astype(np.float64)
        target = ActionPipeline(contract)(previous).target
        for name, values in (
            ("joint_position", position),
            ("joint_velocity", np.zeros(2)),
            ("observation", observation),
            ("action", action[0]),
            ("command", target),
        ):
            rows[name].append(tuple(values.tolist()))
    return GoldenVectors.model_validate(rows)


def test_one_robot_gets_what_a_batch_gets(policy_file: WriteFile) -> None:
    policy = load_policy(policy_file(bias=0.25, gain=2.0))
    infer = policy.warmed_up()
    for observation in np.random.default_rng(0).normal(size=(20, 7)).astype(np.float32):
        np.testing.assert_array_equal(infer(observation), policy.act(observation[None])[0])


def test_inference_allocates_nothing_that_stays(policy_file: WriteFile) -> None:
    infer = load_policy(policy_file(gain=1.0)).warmed_up()
    observation = np.zeros(7, np.float32)
    first = infer(observation)
    assert infer(observation) is not first
    assert np.shares_memory(infer(observation), first)


def test_a_recurrent_policy_carries_its_state_and_begins_anew(
    contract: Contract, tmp_path: Path
) -> None:
    policy = load_policy(_recurrent(contract, tmp_path / "recurrent.onnx"))
    assert policy.golden_mismatch() is None
    infer = policy.warmed_up()
    observation = np.zeros(7, np.float32)
    observation[0] = 1.0
    for _ in range(2):
        np.testing.assert_allclose([infer(observation)[0] for _ in range(3)], [1.0, 1.5, 1.75])
        infer.begin()
    with pytest.raises(UserError, match="recurrent"):
        policy.act(observation[None])


def test_two_that_run_a_policy_do_not_share_its_state(contract: Contract, tmp_path: Path) -> None:
    policy = load_policy(_recurrent(contract, tmp_path / "recurrent.onnx"))
    one, other = policy.inference(), policy.inference()
    observation = np.ones(7, np.float32)
    one(observation)
    assert other(observation)[0] == 1.0


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ((), "inputs observation, hidden.sum, hidden.count"),
        ((HiddenState(name="sum", shape=(1,)),), "hidden.count"),
        (
            (HiddenState(name="sum", shape=(2,)), HiddenState(name="count", shape=(2, 3))),
            "cannot be run",
        ),
    ],
)
def test_hidden_states_that_do_not_fit_the_graph_are_refused(
    contract: Contract, tmp_path: Path, states: tuple[HiddenState, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        load_policy(_recurrent(contract, tmp_path / "recurrent.onnx", states))
