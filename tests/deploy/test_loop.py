"""The control loop against the simulated robot in its process."""

import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from simreal.action import ActionPipeline
from simreal.contract import Contract
from simreal.deploy.loop import deploy
from simreal.deploy.policy import GOLDEN_KEY, load_policy
from simreal.errors import UserError
from simreal.logs.messages import read_messages
from simreal.observation import ObservationPipeline
from simreal.state import RobotState

WriteFile = Callable[..., Path]
MakeDriver = Callable[..., Any]


@pytest.fixture
def driver(witnessed_driver: MakeDriver) -> Any:
    return witnessed_driver()


def test_a_flight_for_a_duration_is_logged_as_it_was(
    policy_file: WriteFile, contract: Contract, driver: Any, tmp_path: Path
) -> None:
    policy = load_policy(policy_file(bias=0.05, gain=-0.3))
    path = tmp_path / "flight.mcap"
    outcome = deploy(policy, driver, 1.0, path)
    assert (outcome.ended_by, outcome.fault, outcome.dropped) == ("duration", None, 0)
    assert outcome.log_failure is None
    assert 50 < outcome.cycles <= 100
    assert driver.left_off
    for name, row in outcome.timing.items():
        assert row["count"] >= outcome.cycles, name
        assert 0 < row["p50_ms"] <= row["p99_ms"] <= row["max_ms"]

    log = read_messages(path)
    assert log.complete
    assert log.contract == contract
    assert log.events() == [
        "start: policy of qube_swingup",
        "phase: idle",
        "phase: running",
        "end: duration",
    ]
    position, velocity = (log.array("/state", f"joint_{kind}") for kind in ("position", "velocity"))
    observed, actions, commands = map(log.array, ("/observation", "/action", "/command"))
    # In the first cycle the robot is idle.
    assert len(position) == len(velocity) == outcome.cycles + 1
    position, velocity = position[1:], velocity[1:]
    assert len(position) == len(observed) == len(actions) == len(commands) == outcome.cycles
    assert np.abs(position[:, 0]).max() > 0.05
    assert commands[:, 0].tolist() == driver.targets
    # What was logged is what the pipelines make of the states that were logged.
    pipeline, to_command = ObservationPipeline(contract), ActionPipeline(contract)
    previous = np.zeros(1)
    for cycle in range(outcome.cycles):
        state = RobotState(0.0, position[cycle], velocity[cycle])
        observation = (pipeline.begin if cycle == 0 else pipeline)(state, previous)
        np.testing.assert_array_equal(observation, observed[cycle].astype(np.float32))
        np.testing.assert_array_equal(policy.act(observation[None])[0], actions[cycle])
        np.testing.assert_array_equal(to_command(actions[cycle]).target, commands[cycle])
        previous = actions[cycle]
    late = log.array("/timing", "late_ms")[:, 0]
    deadlines = 1e-6 * np.array(log.times["/timing"]) - late
    assert (late >= 0).all()
    np.testing.assert_allclose((deadlines - deadlines[0] + 5.0) % 10.0, 5.0, atol=1e-2)


@pytest.mark.parametrize("value", ["nan", pytest.param("inf", marks=pytest.mark.long)])
def test_a_policy_that_gives_no_number_is_a_fault_and_nothing_of_it_is_sent(
    policy_file: WriteFile, driver: Any, tmp_path: Path, value: str
) -> None:
    policy = load_policy(policy_file(bias=0.1, then=value))
    assert policy.golden_mismatch() is None
    path = tmp_path / "flight.mcap"
    outcome = deploy(policy, driver, 20.0, path)
    assert outcome.ended_by == "fault"
    assert outcome.fault == f"the policy gives {value} for actuator motor"
    assert driver.left_off
    np.testing.assert_allclose(driver.targets, 0.4, rtol=1e-6)
    log = read_messages(path)
    assert log.complete
    assert log.events()[-1] == f"fault: {outcome.fault}"
    # The observation that brought it about is there, its command is not.
    assert len(log.messages["/observation"]) == len(log.messages["/command"]) + 1
    assert log.array("/observation")[-1, 0] > 0.1


def test_a_joint_beyond_its_safe_range_is_a_fault(policy_file: WriteFile, driver: Any) -> None:
    outcome = deploy(load_policy(policy_file(bias=0.5)), driver, 20.0)
    assert outcome.ended_by == "fault"
    assert outcome.fault is not None and outcome.fault.startswith("joint arm at 2.")
    assert driver.left_off


def test_no_command_leaves_the_actuators_limits_in_a_thread_that_gets_no_signals_either(
    policy_file: WriteFile, contract: Contract, driver: Any
) -> None:
    wild = contract.model_copy(update={"action": contract.action.model_copy(update={"scale": (1e9,)})})
    policy = load_policy(policy_file(contract=wild, bias=-3.0))
    thread = threading.Thread(target=deploy, args=(policy, driver, 0.1))
    thread.start()
    thread.join()
    assert set(driver.targets) == {-4.0}
    assert driver.left_off


def test_a_robot_that_dies_is_a_fault(
    policy_file: WriteFile, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    def kill(driver: Any) -> None:
        driver.process.kill()
        driver.process.wait()

    driver = witnessed_driver(kill)
    path = tmp_path / "flight.mcap"
    outcome = deploy(load_policy(policy_file()), driver, 20.0, path)
    assert (outcome.ended_by, len(driver.targets)) == ("fault", 10)
    assert outcome.fault is not None and "simulated robot" in outcome.fault
    assert driver.left_off
    assert read_messages(path).events()[-1] == f"fault: {outcome.fault}"


def test_a_robot_that_pauses_for_300_ms_is_a_fault_that_stays(
    policy_file: WriteFile, witnessed_driver: MakeDriver
) -> None:
    def pause(driver: Any) -> None:
        os.kill(driver.process.pid, signal.SIGSTOP)
        threading.Timer(0.3, os.kill, (driver.process.pid, signal.SIGCONT)).start()

    driver = witnessed_driver(pause)
    outcome = deploy(load_policy(policy_file()), driver, 20.0)
    assert outcome.ended_by == "fault"
    assert outcome.fault is not None and "ms old, at most 100 ms" in outcome.fault
    assert driver.left_off


def test_an_exception_leaves_the_robot_off_and_the_log_whole(
    policy_file: WriteFile, witnessed_driver: MakeDriver, tmp_path: Path
) -> None:
    def fail(driver: Any) -> None:
        raise ZeroDivisionError("an accident")

    driver = witnessed_driver(fail)
    path = tmp_path / "flight.mcap"
    closed_at_off = []
    driver.at_off = lambda: closed_at_off.append(read_messages(path).complete)
    with pytest.raises(ZeroDivisionError):
        deploy(load_policy(policy_file()), driver, 20.0, path)
    assert driver.left_off
    log = read_messages(path)
    assert log.complete
    assert log.events()[-1] == "fault: ZeroDivisionError: an accident"
    # The motor does not wait for the disk.
    assert closed_at_off[0] is False


def _misfit(policy_file: WriteFile, contract: Contract) -> Path:
    """A policy whose contract and whose golden vectors are both wrong."""
    [golden] = [e.value for e in onnx.load(policy_file()).metadata_props if e.key == GOLDEN_KEY]
    vectors = json.loads(golden)
    vectors["action"][1][0] = 0.5
    data = contract.model_dump(mode="json")
    data["robot"]["joints"][0]["upper"] = 1.5
    data["robot"]["actuators"][0]["lower"] = -5.0
    wrong = Contract.model_validate(data)
    return policy_file(contract=wrong, metadata={GOLDEN_KEY: json.dumps(vectors)})


@pytest.mark.parametrize("case", ["policy", "log"])
def test_what_does_not_fit_is_refused_by_name_and_nothing_moves(
    policy_file: WriteFile, contract: Contract, driver: Any, tmp_path: Path, case: str
) -> None:
    log = tmp_path / "flight.mcap"
    if case == "policy":
        path = _misfit(policy_file, contract)
        words = ["joints[arm].upper", "1.5", "2.094", "actuators[motor].lower", "-5.0", "-4.0"]
        words += ["golden vectors", "step 1", "action[motor]"]
    else:
        path, log, words = policy_file(), tmp_path / "absent" / "flight.mcap", ["cannot be written"]
    with pytest.raises(UserError) as caught:
        deploy(load_policy(path), driver, 20.0, log)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert driver.left_off
    assert "write" not in driver.asked
    assert not log.exists()
