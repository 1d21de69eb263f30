"""Logs that the loop wrote come out bit for bit; what was changed in one is named."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from simreal.action import ActionPipeline
from simreal.contract import (
    JOINT_SOURCES,
    ActionMapping,
    CameraTerm,
    Command,
    Contract,
    HiddenState,
    ObservationTerm,
    Provenance,
)
from simreal.deploy.command_source import FixedSource, asked_values
from simreal.deploy.cycle import Cycle
from simreal.deploy.drivers import open_driver
from simreal.deploy.log_writer import LogWriter
from simreal.deploy.loop import deploy
from simreal.deploy.policy import CONTRACT_KEY, GOLDEN_KEY, GoldenVectors, Policy, load_policy, sealed
from simreal.deploy.provenance import provenance_of
from simreal.deploy.replay import different, replay
from simreal.deploy.supervisor import Phase
from simreal.errors import UserError
from simreal.logs.messages import PROVENANCE_METADATA, LogMessages, read_messages
from simreal.observation import ObservationPipeline
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState

CYCLES = 40
ANY_SOURCE = (*sorted(JOINT_SOURCES), "angular_velocity", "linear_acceleration", "projected_gravity")
COMMANDS = (Command(name="speed", unit="m/s", low=-1.0, high=1.5),)
wild = st.floats(allow_nan=True, allow_infinity=True) | st.floats(-4.0, 4.0)
same_files = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _random_policy(path: Path, contract: Contract, seed: int) -> Policy:
    """A file with a network of one hidden layer and weights by the seed."""
    rng = np.random.default_rng(seed)
    size, actuators = ObservationPipeline(contract).size, len(contract.robot.actuators)
    weights = {
        "first": rng.normal(size=(size, 16)) / np.sqrt(size),
        "second": rng.normal(size=(16, actuators)) / 4.0,
    }
    nodes = [
        helper.make_node("MatMul", ["observation", "first"], ["hidden"]),
        helper.make_node("Tanh", ["hidden"], ["bent"]),
        helper.make_node("MatMul", ["bent", "second"], ["action"]),
    ]
    graph = helper.make_graph(
        nodes,
        "policy",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", size])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["batch", actuators])],
        [
            onnx.numpy_helper.from_array(value.astype(np.float32), name)
            for name, value in weights.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for key, value in (
        (CONTRACT_KEY, contract.to_json()),
        (GOLDEN_KEY, _golden(contract, session).model_dump_json()),
    ):
        model.metadata_props.add(key=key, value=value)
    path.write_bytes(sealed(model.SerializeToString()))
    return load_policy(path)


def _golden(contract: Contract, session: onnxruntime.InferenceSession) -> GoldenVectors:
    state = _random_state(np.random.default_rng(5), contract)
    asked = np.zeros(len(contract.commands))
    previous = np.zeros(len(contract.robot.actuators))
    to_command = ActionPipeline(contract)
    to_command.begin(state.joint_position)
    target = to_command.target
    observation = ObservationPipeline(contract).begin(state, previous, command=asked, target=target)
    action = session.run(None, {"observation": observation[None]})[0][0].astype(np.float64)
    rows: dict[str, Any] = {
        "joint_position": state.joint_position,
        "joint_velocity": state.joint_velocity,
        "observation": observation,
        "action": action,
        "command": to_command(action).target,
        **state.inertial(),
    }
    if contract.commands:
        rows["asked"] = asked
    return GoldenVectors.model_validate({name: [row.tolist()] for name, row in rows.items()})


def _random_state(rng: np.random.Generator, contract: Contract) -> RobotState:
    joints = len(contract.robot.joints)
    state = RobotState(float(rng.uniform(0, 1e6)), rng.normal(size=joints), rng.normal(size=joints))
    if contract.robot.imu:
        quaternion = rng.normal(size=4)
        state.orientation = quaternion / np.linalg.norm(quaternion)
        state.angular_velocity, state.linear_acceleration = rng.normal(size=(2, 3))
    return state


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Any observation of any of the shipped robots."""
    robot = load_robot(draw(st.sampled_from(["qube", "go2", "so101"]))).description
    sources = [*sorted(JOINT_SOURCES), "previous_action", "command"]
    if all(actuator.command == "position" for actuator in robot.actuators):
        sources.append("following_error")
    sources += [] if not robot.imu else ["angular_velocity", "linear_acceleration", "projected_gravity"]
    terms = st.builds(
        ObservationTerm,
        source=st.sampled_from(sources),
        scale=st.floats(-3.0, 3.0),
        clip=st.none() | st.floats(0.1, 3.0),
        history=st.integers(1, 4),
        fill=st.sampled_from(["first", "zero"]),
    )
    scale = [0.25 * (actuator.upper - actuator.lower) for actuator in robot.actuators]
    return Contract(
        robot=robot,
        control_rate=50.0,
        observation=tuple(draw(st.lists(terms, min_size=1, max_size=5))),
        action=ActionMapping(scale=tuple(scale), offset=(0.1,) * len(scale)),
        commands=COMMANDS,
        provenance=Provenance(task="any", agent="none", seed=0, training_steps=0, versions={}),
    )


def _record(path: Path, policy: Policy, seed: int, dropped: frozenset[int] = frozenset()) -> Path:
    """A log of random states under a policy, by the steps of the loop, some lost by the recorder."""
    contract, rng = policy.contract, np.random.default_rng(seed)
    pipeline, to_command = ObservationPipeline(contract), ActionPipeline(contract)
    action = np.zeros(to_command.size)
    path.unlink(missing_ok=True)
    writer = LogWriter(path, contract, {PROVENANCE_METADATA: provenance_of(policy)})
    infer = policy.inference()
    for number in range(CYCLES):
        state = _random_state(rng, contract)
        asked = rng.uniform(-1, 1, len(contract.commands))
        if number == 0:
            to_command.begin(state.joint_position)
        observe = pipeline.begin if number == 0 else pipeline
        observation = observe(state, action, command=asked, target=to_command.target)
        action = np.clip(infer(observation).astype(np.float64), -1.0, 1.0)
        command, at = RobotCommand(to_command(action).target), [10**9 + 10**7 * number] * 7
        if number not in dropped:
            writer.cycle(
                Cycle(number, Phase.RUNNING, *at, 0, asked, state, observation, action, command)
            )
    writer.finish(None)
    return path


@same_files
@given(contract=contracts(), seed=st.integers(0, 99))
def test_any_policy_of_any_robot_replays_bit_for_bit(
    tmp_path: Path, contract: Contract, seed: int
) -> None:
    policy = _random_policy(tmp_path / "policy.onnx", contract, seed)
    found = replay(read_messages(_record(tmp_path / "flight.mcap", policy, seed)), policy)
    assert (found.cycles, found.lost, found.first) == (CYCLES, 0, None)
    assert found.identical and found.complete and found.other_policy is False
    assert found.elsewhere == {}


@same_files
@given(contract=contracts(), dropped=st.frozensets(st.integers(0, CYCLES - 1), max_size=6))
def test_cycles_that_the_recorder_lost_are_counted_and_deviate_in_nothing(
    tmp_path: Path, contract: Contract, dropped: frozenset[int]
) -> None:
    policy = _random_policy(tmp_path / "policy.onnx", contract, 3)
    found = replay(read_messages(_record(tmp_path / "flight.mcap", policy, 3, dropped)), policy)
    assert found.first is None
    last = max(set(range(CYCLES)) - dropped)
    assert found.lost == len([number for number in dropped if number < last])
    assert found.cycles + found.unknown == CYCLES - len(dropped)


def test_after_a_gap_what_was_last_told_is_not_known_at_once(tmp_path: Path) -> None:
    """The following error alone looks one cycle back."""
    robot = load_robot("so101").description
    contract = Contract(
        robot=robot,
        control_rate=50.0,
        observation=(ObservationTerm(source="following_error"),),
        action=ActionMapping(scale=(0.5,) * 6, offset=(0.1,) * 6),
        provenance=Provenance(task="any", agent="none", seed=0, training_steps=0, versions={}),
    )
    policy = _random_policy(tmp_path / "policy.onnx", contract, 3)
    dropped = frozenset({7, 8, 20})
    found = replay(read_messages(_record(tmp_path / "flight.mcap", policy, 3, dropped)), policy)
    assert found.first is None
    assert (found.lost, found.unknown, found.cycles) == (3, 2, CYCLES - 3 - 2)


@given(st.lists(st.tuples(wild, wild), max_size=9))
def test_numbers_are_the_same_exactly_if_their_bits_are_or_both_are_none(
    pairs: list[tuple[float, float]],
) -> None:
    left, right = np.array([*pairs, (0.0, -0.0)]).T.copy()
    expected = [
        place
        for place, (a, b) in enumerate(zip(left, right, strict=True))
        if a.tobytes() != b.tobytes() and (np.isfinite(a) or np.isfinite(b))
    ]
    assert different(left, right) == expected
    assert expected[-1] == len(pairs)


@pytest.fixture
def policy(policy_file: Callable[..., Path]) -> Policy:
    return load_policy(policy_file(bias=0.05, gain=-0.3))


@pytest.fixture
def log(policy: Policy, tmp_path: Path) -> LogMessages:
    return read_messages(_record(tmp_path / "flight.mcap", policy, 1))


@pytest.mark.parametrize(
    ("topic", "keys", "cycle", "first"),
    [
        ("/state", ("joint_position", "arm"), 7, "observation joint_position[arm]"),
        ("/state", ("joint_velocity", "pendulum"), 9, "observation joint_velocity[pendulum]"),
        (
            "/observation",
            ("joint_position_cos[pendulum]",),
            5,
            "observation joint_position_cos[pendulum]",
        ),
        ("/action", ("motor",), 11, "action motor"),
    ],
)
def test_one_changed_bit_is_named_with_its_cycle_and_how_much(
    log: LogMessages, policy: Policy, topic: str, keys: tuple[str, ...], cycle: int, first: str
) -> None:
    place: Any = log.messages[topic][cycle]
    for key in keys[:-1]:
        place = place[key]
    wrong = float(np.nextafter(np.float32(place[keys[-1]]), np.float32(9.0)))
    place[keys[-1]] = wrong
    found = replay(log, policy)
    assert found.first is not None and not found.identical
    assert (found.first.cycle, found.first.what) == (cycle, first)
    assert 0 < abs(found.first.difference) < 1e-6
    assert found.deviations[first].cycles == 1


def test_a_lost_sign_of_a_velocity_is_told_from_noise(log: LogMessages, policy: Policy) -> None:
    for message in log.messages["/state"]:
        message["joint_velocity"]["arm"] *= -1.0
    found = replay(log, policy)
    assert next(iter(found.deviations)) == "observation joint_velocity[arm]"
    spread = found.deviations["observation joint_velocity[arm]"]
    assert spread.cycles == CYCLES
    speeds = [abs(message["joint_velocity"]["arm"]) for message in log.messages["/state"]]
    assert spread.largest == pytest.approx(2 * 0.1 * max(speeds), rel=1e-5)


def test_a_log_of_another_policy_is_known_by_its_digest(
    log: LogMessages, policy: Policy, policy_file: Callable[..., Path]
) -> None:
    other = load_policy(policy_file("other.onnx", bias=0.05, gain=-0.2))
    found = replay(log, other)
    assert found.other_policy is True and not found.identical
    assert found.first is not None and found.first.what == "action motor"
    twin = load_policy(policy_file("twin.onnx", bias=0.05, gain=-0.3, beyond=9.0))
    assert replay(log, twin).first is None
    assert not replay(log, twin).identical
    log.provenance.clear()
    assert replay(log, policy).other_policy is None
    assert replay(log, policy).identical


def test_a_policy_under_another_contract_is_refused_by_name(
    log: LogMessages, contract: Contract, policy_file: Callable[..., Path]
) -> None:
    terms = (contract.observation[0].model_copy(update={"scale": 2.0}), *contract.observation[1:])
    other = contract.model_copy(update={"observation": terms})
    with pytest.raises(
        UserError, match=r"another policy.*\n.*observation\[joint_position\].scale: 1.0 != 2"
    ):
        replay(log, load_policy(policy_file(contract=other)))
    log.contract = contract.model_copy(
        update={"robot": contract.robot.model_copy(update={"name": "cube"})}
    )
    with pytest.raises(UserError, match="of robot cube, the given one is for qube"):
        replay(log, load_policy(policy_file("third.onnx")))
    log.contract = None
    with pytest.raises(UserError, match="names no contract"):
        replay(log, load_policy(policy_file("fourth.onnx")))


def test_a_policy_that_sees_is_refused(
    log: LogMessages, contract: Contract, policy_file: Callable[..., Path]
) -> None:
    seeing = contract.model_copy(update={"cameras": (CameraTerm(name="eye", width=4, height=4),)})
    policy = load_policy(policy_file())
    policy.contract = log.contract = seeing
    with pytest.raises(UserError, match="the log: a policy that sees cannot be replayed: logs hold no"):
        replay(log, policy)


def test_another_computer_is_named(log: LogMessages, policy: Policy) -> None:
    log.provenance["processor"] = "Zilog Z80"
    assert replay(log, policy).elsewhere["processor"][0] == "Zilog Z80"


def test_a_log_cut_anywhere_replays_as_far_as_it_is_whole(policy: Policy, tmp_path: Path) -> None:
    content = _record(tmp_path / "flight.mcap", policy, 1).read_bytes()
    seen = set()
    for share in np.linspace(0.05, 0.999, 25):
        path = tmp_path / "cut.mcap"
        path.write_bytes(content[: int(share * len(content))])
        log = read_messages(path)
        if log.contract is None:
            continue
        found = replay(log, policy)
        assert found.first is None and not found.complete
        assert found.identical is (found.cycles > 0)
        seen.add(found.cycles)
    assert len(seen) > 2


@pytest.mark.parametrize("value", ["nan", pytest.param("inf", marks=pytest.mark.long)])
def test_a_flight_that_a_policy_without_numbers_ended_replays(
    policy_file: Callable[..., Path], tmp_path: Path, value: str
) -> None:
    policy = load_policy(policy_file(bias=0.1, then=value))
    path = tmp_path / "flight.mcap"
    assert deploy(policy, open_driver("sim", "qube"), 20.0, path).ended_by == "fault"
    found = replay(read_messages(path), policy)
    assert found.identical and found.cycles > 0  # a busy machine ends it sooner


@pytest.mark.parametrize(
    ("robot", "driver", "seconds"),
    [("qube", "sim:encoder_noise=0.01", 1.0), pytest.param("so101", "sim", 0.6, marks=pytest.mark.long)],
)
def test_a_flight_of_a_random_policy_replays_bit_for_bit(
    tmp_path: Path, robot: str, driver: str, seconds: float
) -> None:
    description = load_robot(robot).description
    actuators = len(description.actuators)
    contract = Contract(
        robot=description,
        control_rate=100.0,
        observation=(
            ObservationTerm(source="joint_offset", history=3),
            ObservationTerm(source="joint_velocity", scale=0.1, clip=1.0),
            ObservationTerm(source="previous_action", history=2, fill="zero"),
        ),
        action=ActionMapping(scale=(0.1,) * actuators, offset=description.default_position[:actuators]),
        provenance=Provenance(task="any", agent="none", seed=0, training_steps=0, versions={}),
    )
    policy = _random_policy(tmp_path / "policy.onnx", contract, 8)
    path = tmp_path / "flight.mcap"
    outcome = deploy(policy, open_driver(driver, robot), seconds, path)
    found = replay(read_messages(path), policy)
    assert found.identical, found.first
    assert found.cycles == outcome.cycles > 30
    assert json.dumps(dataclasses.asdict(found))


@pytest.mark.long
def test_a_flight_of_the_walking_policy_replays_bit_for_bit(tmp_path: Path) -> None:
    policy = load_policy("go2_velocity")
    path = tmp_path / "flight.mcap"
    driver = open_driver("sim", "go2", "go2_velocity")
    outcome = deploy(
        policy, driver, 1.0, path, FixedSource(asked_values(policy.contract, {"forward_velocity": 0.5}))
    )
    found = replay(read_messages(path), policy)
    assert found.identical, found.first
    assert found.cycles == outcome.cycles > 20


def test_a_policy_that_remembers_replays_from_its_beginnings(contract: Contract, tmp_path: Path) -> None:
    """Its hidden state is the number of its steps; the run pauses once, and twice the recorder drops."""
    hidden = (HiddenState(name="count", shape=(1,)),)
    counting = contract.model_copy(update={"hidden_states": hidden})
    size = ObservationPipeline(counting).size
    names = [("observation", size), ("hidden.count", 1), ("action", 1), ("next_hidden.count", 1)]
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", width]) for n, width in names]
    step = onnx.numpy_helper.from_array(np.array([0.01], np.float32), "step")
    nodes = [
        helper.make_node("Add", ["hidden.count", "step"], ["next_hidden.count"]),
        helper.make_node("Identity", ["next_hidden.count"], ["action"]),
    ]
    graph = helper.make_graph(nodes, "policy", ends[:2], ends[2:], [step])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    state = _random_state(np.random.default_rng(5), counting)
    observation = ObservationPipeline(counting).begin(state, np.zeros(1))
    first = np.array([0.01], np.float32).astype(np.float64)
    rows = {
        "joint_position": state.joint_position,
        "joint_velocity": state.joint_velocity,
        "observation": observation,
        "action": first,
        "command": ActionPipeline(counting)(first).target,
    }
    golden = GoldenVectors.model_validate({name: [row.tolist()] for name, row in rows.items()})
    for key, value in ((CONTRACT_KEY, counting.to_json()), (GOLDEN_KEY, golden.model_dump_json())):
        model.metadata_props.add(key=key, value=value)
    path = tmp_path / "policy.onnx"
    path.write_bytes(sealed(model.SerializeToString()))
    policy = load_policy(path)
    whole = replay(read_messages(_record(tmp_path / "whole.mcap", policy, 1)), policy)
    assert whole.identical and whole.cycles == CYCLES
    gap = read_messages(_record(tmp_path / "gap.mcap", policy, 1, frozenset({10, 20})))
    found = replay(gap, policy)
    assert found.first is None and found.lost == 2
    gap.messages["/action"][5]["motor"] = 0.5
    assert str(replay(gap, policy).first).startswith("cycle 5: action motor: logged 0.5")
    gap.messages["/action"][30]["motor"] = 0.5
    assert replay(gap, policy).deviations["action motor"].cycles == 1  # after a gap nobody knows
