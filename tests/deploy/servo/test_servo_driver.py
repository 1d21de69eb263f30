"""Both drivers against their emulated arms, in virtual time: what they read, what they make it do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from simreal.deploy.drivers import DriverError
from simreal.deploy.emulators.faults import Fault, Faults
from simreal.errors import UserError
from simreal.state import RobotCommand, RobotState
from tests.deploy.random_faults import random_faults

KINDS = ("feetech", "dynamixel")
both = pytest.mark.parametrize("kind", KINDS)
Make = Callable[..., Any]
PERIOD = 0.02
TORQUE = {"feetech": 40, "dynamixel": 64}
LIMIT = {"feetech": (48, 1000), "dynamixel": (100, 885)}


def run(rig: Any, seconds: float, target: Any = None, authority: float = 1.0) -> list[RobotState]:
    """Read and command at 50 Hz; the states."""
    states = []
    for _ in range(round(seconds / PERIOD)):
        begun = rig.port.time
        states.append(rig.driver.read())
        if target is not None:
            rig.driver.write(RobotCommand(np.asarray(target), authority))
        rig.port.pass_time(begun + PERIOD)
    return states


def torque(rig: Any) -> list[int]:
    return [servo.memory[TORQUE[rig.driver.protocol]] for servo in rig.servos]


@both
def test_it_is_found_passive_and_left_passive(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        assert torque(rig) == [0] * 6
        state = driver.read()
        np.testing.assert_allclose(state.joint_position, rig.arm.body.position, atol=0.002)
        assert state.drives.supply_voltage == pytest.approx(7.4)
        np.testing.assert_allclose(state.drives.temperature, 25.0)
        assert state.drives.faults == () and state.time == state.drives.joint_time.min()
        run(rig, 0.1, rig.arm.body.position)
        assert torque(rig) == [1] * 6
    assert torque(rig) == [0] * 6


@both
def test_an_exception_leaves_it_passive(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with pytest.raises(ZeroDivisionError), rig.driver:
        run(rig, 0.1, rig.arm.body.position)
        raise ZeroDivisionError
    assert torque(rig) == [0] * 6


@both
def test_joints_go_where_they_are_sent_and_speeds_are_theirs(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver:
        start = rig.arm.body.position
        target = start + np.array([0.4, 0.0, 0.0, 0.0, 0.3, 0.2])
        states = run(rig, 1.2, target)
        end = states[-1].joint_position
        np.testing.assert_allclose(end, rig.arm.body.position, atol=0.003)
        np.testing.assert_allclose(end[[0, 4, 5]], target[[0, 4, 5]], atol=0.03)
        position = np.array([each.joint_position[0] for each in states])
        velocity = np.array([each.joint_velocity[0] for each in states])
        fastest = np.argmax(np.gradient(position, PERIOD))
        assert velocity[fastest] == pytest.approx(np.gradient(position, PERIOD)[fastest], rel=0.2)
        times = np.diff([each.time for each in states])
        assert (times > 0).all()


@both
def test_targets_stay_within_the_limits(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver:
        for target in ([9.0] * 6, [-9.0] * 6):
            run(rig, 0.2, target)
    assert [servo.limits_exceeded for servo in rig.servos] == [0] * 6


@both
@pytest.mark.parametrize("command", [RobotCommand(np.full(6, np.nan)), RobotCommand(np.zeros(6), 1.5)])
def test_what_is_no_command_makes_it_passive(
    kind: str, command: RobotCommand, virtual_rig: Make
) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        run(rig, 0.1, rig.arm.body.position)
        driver.write(command)
        assert torque(rig) == [0] * 6


@both
def test_authority_is_a_share_of_the_duty(kind: str, virtual_rig: Make) -> None:
    address, full = LIMIT[kind]
    errors = []
    for authority in (1.0, 0.5, 0.0):
        rig = virtual_rig(kind)
        with rig.driver:
            start = rig.arm.body.position
            run(rig, 0.3, start + np.array([1.0, 0, 0, 0, 0, 0]), authority)
            assert rig.servos[0].number(address, 2) == pytest.approx(authority * full, abs=1)
            errors.append(start[0] + 1.0 - rig.arm.body.position[0])
    assert errors[0] < errors[1] < errors[2]


@both
def test_it_holds_where_it_is_and_creeps_no_further(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        run(rig, 0.4, rig.arm.body.position)
        there = rig.arm.body.position
        for _ in range(100):
            driver.hold()
            rig.port.pass_time(rig.port.time + PERIOD)
        assert np.abs(rig.arm.body.position - there).max() < 0.12
        before = rig.arm.body.position
        for _ in range(50):
            driver.hold()
            rig.port.pass_time(rig.port.time + PERIOD)
        assert np.abs(rig.arm.body.position - before).max() < 0.01


def test_feetech_s_damping_sinks_slower_than_off(virtual_rig: Make) -> None:
    sunk = {}
    for way in ("damp", "off"):
        rig = virtual_rig("feetech")
        with rig.driver as driver:
            run(rig, 0.1, rig.arm.body.position)
            before = rig.arm.body.position
            getattr(driver, way)()
            assert torque(rig) == [{"damp": 2, "off": 0}[way]] * 6
            run(rig, 0.2)
            sunk[way] = np.abs(rig.arm.body.position - before).max()
    assert 0.01 < sunk["damp"] < 0.7 * sunk["off"]


def test_dynamixel_damps_with_no_duty(virtual_rig: Make) -> None:
    rig = virtual_rig("dynamixel")
    with rig.driver as driver:
        run(rig, 0.1, rig.arm.body.position)
        driver.damp()
        assert [servo.number(100, 2) for servo in rig.servos] == [0] * 6
        run(rig, 0.1, rig.arm.body.position)
        assert torque(rig) == [1] * 6 and rig.servos[0].number(100, 2) == 885


@both
def test_after_a_time_out_motors_get_no_power_until_they_were_let_go_of(
    kind: str, virtual_rig: Make
) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        run(rig, 0.1, rig.arm.body.position)
        for frame in driver.guard.frames:
            rig.port.writePort(list(frame))
        run(rig, 0.2, rig.arm.body.position)
        assert torque(rig) == [driver.passive] * 6
        driver.off()
        run(rig, 0.1, rig.arm.body.position)
        assert torque(rig) == [1] * 6


@both
@pytest.mark.parametrize("way", ["damp", "off"])
def test_only_servos_that_say_so_are_told_to_the_guardian_as_passive(
    kind: str, way: str, virtual_rig: Make
) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        for fault in (Fault("drop", "elbow_flex"), None):
            run(rig, 0.1, rig.arm.body.position)
            if fault is not None:
                rig.port.faults.announce(fault, rig.port.time)
            getattr(driver, way)()
            assert driver.guard.at_rest is (fault is None)
            rig.port.faults.clear()
            run(rig, 1.2)  # what was asked in vain is not asked again sooner


@pytest.mark.long
@both
def test_missing_servos_are_named(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    rig.port.faults.announce(Fault("drop", "elbow_flex"), 0.0)
    with pytest.raises(DriverError, match=r"elbow_flex \(id 3\); found shoulder_pan \(id 1\)"):
        rig.driver.connect()
    rig.port.faults.announce(Fault("drop"), 0.0)
    with pytest.raises(DriverError, match="power"):
        rig.driver.connect()


@both
def test_a_servo_with_a_wrong_id_is_told_from_one_that_is_unplugged(
    kind: str, virtual_rig: Make
) -> None:
    rig = virtual_rig(kind)
    rig.servos[2].put(rig.driver.registers["id"].address, 1, 9)
    missing = r"no answer from elbow_flex \(id 3\); found shoulder_pan .*; of no joint: id 9$"
    with pytest.raises(DriverError, match=missing):
        rig.driver.connect()


@both
@pytest.mark.parametrize(
    ("key", "what"),
    [("homing_offset", "homing_offset"), ("lowest", "lowest_position"), ("firmware", "firmware")],
)
def test_another_robot_s_calibration_is_refused(
    kind: str, key: str, what: str, virtual_rig: Make
) -> None:
    rig = virtual_rig(kind)
    document = yaml.safe_load(rig.calibration.read_text())
    entry = document["joints"]["wrist_flex"]
    entry[key] = "9" if key == "firmware" else entry[key] + 1
    rig.calibration.write_text(yaml.safe_dump(document))
    driver = type(rig.driver)("so101", "nowhere", rig.calibration)
    with pytest.raises(UserError, match=f"wrist_flex: {what} is "):
        driver.connect()
    assert torque(rig) == [0] * 6


def test_the_calibration_of_one_arm_is_not_another_s(virtual_rig: Make) -> None:
    one, other = virtual_rig("feetech", seed=1), virtual_rig("feetech", seed=2)
    text = yaml.safe_load(other.calibration.read_text())
    assert text["joints"]["gripper"]["homing_offset"] != one.servos[5].number(31, 2)


@both
def test_a_silent_servo_s_part_is_old_and_says_so(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        run(rig, 0.1, rig.arm.body.position)
        last = driver.read()
        rig.port.faults.announce(Fault("drop", "elbow_flex"), rig.port.time)
        state = run(rig, 0.2, rig.arm.body.position)[-1]
        age = rig.port.time - state.drives.joint_time
        assert state.time == last.drives.joint_time[2] and age[2] > 0.15
        assert np.delete(age, 2).max() < 0.03
        assert state.joint_position[2] == last.joint_position[2]
        rig.port.faults.clear()
        # What was asked in vain may still be answered: it is asked otherwise, or a little later.
        state = run(rig, 1.2, rig.arm.body.position)[-1]
        assert rig.port.time - state.time < 0.03


@both
def test_a_lost_answer_costs_six_ms_at_most(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver as driver:
        run(rig, 0.1, rig.arm.body.position)
        begun = rig.port.time
        driver.read()
        usual = rig.port.time - begun
        rig.port.faults.announce(Fault("drop", "gripper"), rig.port.time)
        begun = rig.port.time
        driver.read()
        assert 0.0 < rig.port.time - begun - usual <= 0.006


@both
@pytest.mark.parametrize(
    ("fault", "word"),
    [
        (Fault("over-temperature", "elbow_flex", 85.0), "elbow_flex: over-temperature"),
        (Fault("brown-out", None, 3.5), "supply voltage"),
    ],
)
def test_faults_are_named_and_latched(kind: str, fault: Fault, word: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver:
        run(rig, 0.1, rig.arm.body.position)
        rig.port.faults.announce(fault, rig.port.time)
        faults = run(rig, 0.4, rig.arm.body.position)[-1].drives.faults
        assert any(word in each for each in faults), faults
        rig.port.faults.clear()
        later = run(rig, 0.2, rig.arm.body.position)[-1].drives.faults
        assert set(faults) <= set(later)


def test_what_is_over_can_be_cleared_and_what_persists_is_reported_again(virtual_rig: Make) -> None:
    """Not of a Dynamixel, whose own latch only a reboot opens."""
    rig = virtual_rig("feetech")
    with rig.driver:
        run(rig, 0.1, rig.arm.body.position)
        rig.port.faults.announce(Fault("brown-out", None, 3.5), rig.port.time)
        assert run(rig, 0.4, rig.arm.body.position)[-1].drives.faults
        rig.driver.clear_faults()
        assert rig.driver.read().drives.faults
        rig.port.faults.clear()
        run(rig, 0.1, rig.arm.body.position)
        rig.driver.clear_faults()
        assert not run(rig, 0.2, rig.arm.body.position)[-1].drives.faults


@both
def test_a_blocked_joint_overloads(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    with rig.driver:
        start = rig.arm.body.position
        run(rig, 0.1, start)
        rig.port.faults.announce(Fault("stall", "shoulder_pan"), rig.port.time)
        states = run(rig, 2.6, start + np.array([1.5, 0, 0, 0, 0, 0]))
        assert "shoulder_pan: overload" in states[-1].drives.faults
        assert abs(states[-1].joint_position[0] - start[0]) < 0.05


def test_dynamixel_refuses_power_after_a_hardware_error_until_it_is_rebooted(virtual_rig: Make) -> None:
    rig = virtual_rig("dynamixel")
    with rig.driver:
        run(rig, 0.1, rig.arm.body.position)
        rig.port.faults.announce(Fault("over-temperature", "elbow_flex", 85.0, end=0.2), rig.port.time)
        run(rig, 0.3, rig.arm.body.position)
        assert torque(rig)[2] == 0
    rig.arm.body.heat(2, 30.0)
    rig.port.pass_time(rig.port.time + 0.1)
    with pytest.raises(DriverError, match=r"elbow_flex.*over-temperature.*power off and on"):
        rig.driver.connect()
    rig.servos[2].power_cycle()
    with rig.driver:
        run(rig, 0.1, rig.arm.body.position)
        assert torque(rig) == [1] * 6


def test_dynamixel_s_watchdog_is_armed_with_the_first_command_and_stops_motion(
    virtual_rig: Make,
) -> None:
    rig = virtual_rig("dynamixel")
    with rig.driver as driver:
        assert [servo.memory[98] for servo in rig.servos] == [0] * 6
        start = rig.arm.body.position
        run(rig, 0.1, start)
        assert [servo.memory[98] for servo in rig.servos] == [10] * 6  # 200 ms, of robot.yaml
        driver.write(RobotCommand(start + np.array([1.5, 0, 0, 0, 0, 0]), 0.2))
        silent = rig.port.time
        rig.port.pass_time(silent + 0.19)
        assert [servo.trips for servo in rig.servos] == [0] * 6
        rig.port.pass_time(silent + 0.22)
        assert [servo.trips for servo in rig.servos] == [1] * 6
        there = rig.arm.body.position[0]
        rig.port.pass_time(silent + 1.0)
        assert abs(rig.arm.body.position[0] - there) < 0.1
        assert start[0] + 1.5 - rig.arm.body.position[0] > 0.5
    rig.driver.connect()  # which ends the trip
    run(rig, 0.1, rig.arm.body.position)
    assert torque(rig) == [1] * 6


class _History:
    """What stood in the servos' memories as their positions, and when."""

    def __init__(self, rig: Any) -> None:
        self._rig, self._rows = rig, []
        self._place = {"feetech": (56, 2), "dynamixel": (132, 4)}[rig.driver.protocol]
        advance = rig.arm.advance

        def advance_and_note() -> None:
            advance()
            self._note()

        self._note()
        rig.arm.advance = advance_and_note

    def _note(self) -> None:
        row = [servo.number(*self._place) for servo in self._rig.servos]
        self._rows.append((self._rig.port.time, row))

    def forget(self) -> None:
        """Begin anew, now."""
        self._rows.clear()
        self._note()

    def since(self, time: float) -> list[list[int]]:
        """All that stood there at a time or after it."""
        before = [row for noted, row in self._rows if noted <= time]
        return [before[-1], *(row for noted, row in self._rows if noted > time)]


def _fault_sequence(rig: Any, history: Any, seed: int) -> None:
    """Work among faults: nothing uncaught, nothing stale taken for fresh, no limit exceeded."""
    random = np.random.default_rng(seed)
    names = [servo.name for servo in rig.servos]
    rig.port.faults = Faults((), seed)
    for place, servo in enumerate(rig.servos):
        rig.arm.body.heat(place, 25.0)
        servo.power_cycle()
    rig.port.pass_time(rig.port.time + 0.05)
    history.forget()
    with rig.driver as driver:
        begun = rig.port.time
        for fault in random_faults(seed, names, 0.5):
            rig.port.faults.announce(fault, begun)
        last = -np.inf
        while rig.port.time < begun + 0.7:
            asked_at = rig.port.time
            state = driver.read()
            times = state.drives.joint_time
            fresh = times >= asked_at
            assert (times <= rig.port.time).all() and state.time >= last
            last = state.time
            counts = driver._conversion.counts(state.joint_position)
            stood = np.array(history.since(asked_at))
            assert all(round(counts[joint]) in stood[:, joint] for joint in np.flatnonzero(fresh))
            try:
                driver.write(RobotCommand(random.uniform(-2.5, 2.5, 6), float(random.random())))
            except DriverError:
                break
            rig.port.pass_time(asked_at + PERIOD)
        rig.port.faults.clear()
        rig.port.pass_time(rig.port.time + 0.1)
    assert torque(rig) == [0] * 6
    assert [servo.limits_exceeded for servo in rig.servos] == [0] * 6


@both
def test_faults_of_any_kinds_harm_nothing(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    history = _History(rig)
    for seed in range(8):
        _fault_sequence(rig, history, seed)


HEAD_MODEL = """\
<mujoco>
  <compiler angle="radian"/>
  <option timestep="0.005" integrator="implicitfast"/>
  <default><joint damping="{damping}" armature="0.028"/></default>
  <worldbody>
    <body name="pan">
      <inertial pos="0 0 0.04" mass="0.1" diaginertia="1e-4 1e-4 1e-4"/>
      <joint name="pan" range="-1.5 1.5"/>
      <body name="tilt">
        <inertial pos="0.04 0 0" mass="0.2" diaginertia="1e-4 1e-4 1e-4"/>
        <joint name="tilt" axis="0 1 0" range="-1 1"/>
      </body>
    </body>
  </worldbody>
  <actuator>
    <position name="pan" joint="pan" kp="8.9" ctrlrange="-1.5 1.5" forcerange="-3.25 3.25"/>
    <position name="tilt" joint="tilt" kp="8.9" ctrlrange="-1 1" forcerange="-3.25 3.25"/>
  </actuator>
</mujoco>
"""
HEAD = """\
description:
  name: head
  joints:
    - {name: pan, lower: -1.5, upper: 1.5}
    - {name: tilt, lower: -1.0, upper: 1.0}
  actuators:
    - {name: pan, joint: pan, command: position, unit: rad, lower: -1.5, upper: 1.5}
    - {name: tilt, joint: tilt, command: position, unit: rad, lower: -1.0, upper: 1.0}
"""


@both
def test_an_arm_of_one_s_own_moves_and_hangs_still_without_power(
    kind: str, virtual_rig: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose joints have less damping than the back-EMF that an open winding takes away."""
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "model.xml").write_text(HEAD_MODEL.format(damping=0.1))
    (tmp_path / "head" / "robot.yaml").write_text(HEAD)
    monkeypatch.setenv("SIMREAL_ROBOTS", str(tmp_path))
    rig = virtual_rig(kind, robot="head")
    with rig.driver as driver:
        state = run(rig, 1.5, [0.6, 0.2])[-1]
        np.testing.assert_allclose(state.joint_position, [0.6, 0.2], atol=0.05)
        driver.off()
        assert abs(run(rig, 1.0)[-1].joint_velocity).max() < 3.0


@pytest.mark.long
@both
def test_a_thousand_sequences_of_faults_harm_nothing(kind: str, virtual_rig: Make) -> None:
    rig = virtual_rig(kind)
    history = _History(rig)
    for seed in range(1000):
        _fault_sequence(rig, history, seed)
