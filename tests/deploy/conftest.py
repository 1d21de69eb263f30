"""Policies of chosen behaviour in files of the real format, and a witness of what a driver is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from simreal.action import ActionPipeline
from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance
from simreal.deploy.drivers.sim import SimDriver
from simreal.deploy.policy import CONTRACT_KEY, GOLDEN_KEY, GoldenVectors, sealed
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState

GOLDEN_STEPS = 4
ARM = 0
"""Place of the arm's position in the observation."""


@dataclass
class PolicyFile:
    """A policy file in the making: ``action = bias + gain * arm``, and what it does beyond an arm angle.

    Each attribute may be spoilt before `write`.
    """

    contract: Contract
    bias: float = 0.0
    gain: float = 0.0
    beyond: float = 0.1
    """rad"""
    then: str = "same"
    """"nan" or "inf" where the arm stands beyond that angle."""
    column: int = ARM
    """Where the graph looks for that angle."""
    inputs: int | None = None
    outputs: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    """What to write instead of the right entries; an empty text leaves one out."""

    def graph(self) -> onnx.ModelProto:
        """The ONNX graph."""
        size = self.inputs or ObservationPipeline(self.contract).size
        actuators = self.outputs or len(self.contract.robot.actuators)
        weight = np.zeros((size, actuators), np.float32)
        weight[ARM] = self.gain
        constants = {
            "weight": weight,
            "bias": np.full(actuators, self.bias, np.float32),
            "column": np.array([self.column], np.int64),
            "beyond": np.array([self.beyond], np.float32),
            "factor": np.array([3e38 if self.then == "inf" else 0.0], np.float32),
        }
        nodes = [
            helper.make_node("MatMul", ["observation", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["linear"]),
            helper.make_node("Gather", ["observation", "column"], ["arm"], axis=1),
            helper.make_node("Sub", ["beyond", "arm"], ["margin"]),
            *_EXTRA[self.then],
            helper.make_node("Add", ["linear", "extra"], ["action"]),
        ]
        graph = helper.make_graph(
            nodes,
            "policy",
            [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", size])],
            [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", actuators])],
            [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)

    def golden(self) -> dict[str, Any]:
        """The golden vectors that belong to graph and contract."""
        session = onnxruntime.InferenceSession(self.graph().SerializeToString())
        pipeline = ObservationPipeline(self.contract)
        joints, previous = len(self.contract.robot.joints), np.zeros(len(self.contract.robot.actuators))
        rows: dict[str, Any] = {name: [] for name in GoldenVectors.model_fields if name != "images"}
        for step in range(GOLDEN_STEPS):
            position = 0.01 * np.arange(1.0, joints + 1) + 1e-3 * step
            state = RobotState(0.0, position, 10 * position)
            observation = (pipeline.begin if step == 0 else pipeline)(state, previous)
            action = session.run(None, {"observation": observation[None]})[0][0]
            rows["joint_position"].append(position.tolist())
            rows["joint_velocity"].append((10 * position).tolist())
            rows["observation"].append(observation.tolist())
            rows["action"].append(action.tolist())
            previous = np.array(action.tolist())
            rows["command"].append(ActionPipeline(self.contract)(previous).target.tolist())
            if self.contract.commands:
                rows["asked"].append([each.low for each in self.contract.commands])
        return rows

    def write(self, path: Path) -> Path:
        """Write the file; the path."""
        model = self.graph()
        metadata = {CONTRACT_KEY: self.contract.to_json()}
        if GOLDEN_KEY not in self.metadata:
            metadata[GOLDEN_KEY] = GoldenVectors.model_validate(self.golden()).model_dump_json()
        for key, value in (metadata | self.metadata).items():
            if value:
                model.metadata_props.add(key=key, value=value)
        path.write_bytes(sealed(model.SerializeToString()))
        return path


def _node(operation: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(operation, inputs, [output])


_EXTRA = {
    "same": [_node("Mul", ["margin", "factor"], "extra")],
    # 0 * log(negative) is not a number, 0 * log(positive) is nothing.
    "nan": [_node("Log", ["margin"], "log"), _node("Mul", ["log", "factor"], "extra")],
    "inf": [
        _node("Neg", ["margin"], "over"),
        _node("Relu", ["over"], "positive"),
        _node("Mul", ["positive", "factor"], "big"),
        _node("Mul", ["big", "factor"], "extra"),
    ],
}


@pytest.fixture(scope="session")
def contract() -> Contract:
    """A contract for the Qube, with every kind of observation in it."""
    return Contract(
        robot=load_robot("qube").description,
        control_rate=100.0,
        observation=(
            ObservationTerm(source="joint_position", joints=("arm",)),
            ObservationTerm(source="joint_position_sin", joints=("pendulum",)),
            ObservationTerm(source="joint_position_cos", joints=("pendulum",)),
            ObservationTerm(source="joint_velocity", scale=0.1),
            ObservationTerm(source="previous_action", history=2, fill="zero"),
        ),
        action=ActionMapping(scale=(4.0,), offset=(0.0,)),
        provenance=Provenance(task="qube_swingup", agent="ppo", seed=0, training_steps=0, versions={}),
    )


@pytest.fixture
def policy_file(contract: Contract, tmp_path: Path) -> Callable[..., Path]:
    """Writes a policy file; takes the attributes of `PolicyFile`."""

    def write(name: str = "policy.onnx", **attributes: Any) -> Path:
        return PolicyFile(**({"contract": contract} | attributes)).write(tmp_path / name)

    return write


class WitnessedDriver(SimDriver):
    """The simulated robot, with a record of what is asked of it, and an accident at some command."""

    def __init__(self, accident: Callable[["WitnessedDriver"], None] | None = None, after: int = 10):
        super().__init__("qube", {})
        self.asked: list[str] = []
        self.targets: list[float] = []
        self.at_off: Callable[[], object] = list
        self._accident, self.after = accident, after

    def write(self, command: RobotCommand) -> None:
        self.asked.append("write")
        self.targets += command.target.tolist()
        super().write(command)
        if self._accident is not None and len(self.targets) == self.after:
            self._accident(self)

    def off(self) -> None:
        self.asked.append("off")
        super().off()
        self.at_off()

    def disconnect(self) -> None:
        self.asked.append("disconnect")
        super().disconnect()

    @property
    def left_off(self) -> bool:
        """Whether the motor was told last to be passive, and the robot's process is gone."""
        motor = [each for each in self.asked if each != "disconnect"]
        ended = self.process is not None and self.process.poll() is not None
        return motor[-1:] == ["off"] and self.asked[-1] == "disconnect" and ended


@pytest.fixture
def witnessed_driver() -> Callable[..., WitnessedDriver]:
    """Makes a `WitnessedDriver`."""
    return WitnessedDriver
