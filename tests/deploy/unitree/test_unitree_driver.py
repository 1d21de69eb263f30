"""The driver against an emulated robot, joined by bytes, in virtual time."""

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simreal.deploy.bounds import StateBounds
from simreal.deploy.drivers import DriverError, open_driver
from simreal.deploy.drivers.unitree import LISTENING, UnitreeDriver
from simreal.deploy.emulators.faults import parse_fault
from simreal.deploy.emulators.unitree import codec as written_out
from simreal.deploy.unitree.arrival import ArrivalClock
from simreal.deploy.unitree.layout import Frame, decode
from simreal.deploy.unitree.measurement import Reader
from simreal.deploy.unitree.messages import GO_COMMAND, GO_STATE, HG_STATE, MESSAGES
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState
from tests.deploy.random_faults import random_faults

from .conftest import Bench, MakeBench
from .test_layout import random_frame

GO2 = load_robot("go2")
DEFAULT = np.array(GO2.description.default_position)
# FR, FL, RR, RL on the wire; FL, FR, RL, RR in the contract.
ORDER = [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]


def told(bench: Bench) -> np.ndarray:
    """Of the last command on the wire: (20, mode q dq tau kp kd), by the formats written out."""
    values = written_out.GO_COMMAND_CDR.unpack_from(bench.sent[-1], 4)
    return np.array(values[9:189], float).reshape(20, 9)[:, :6]


def age(bench: Bench, state: RobotState) -> float:
    return bench.monotonic() - float(state.time)


def test_a_command_is_on_the_wire_field_by_field(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        target = DEFAULT + np.linspace(-0.1, 0.1, 12)
        driver.write(RobotCommand(target, 0.5))
        values = written_out.GO_COMMAND_CDR.unpack_from(bench.sent[-1], 4)
        assert values[:4] == (0xFE, 0xEF, 0xFF, 0)
        rows = told(bench)
        np.testing.assert_array_equal(rows[ORDER, 0], 1)
        np.testing.assert_array_equal(rows[ORDER, 1], target.astype(np.float32))
        np.testing.assert_array_equal(rows[ORDER, 2:4], 0)
        np.testing.assert_array_equal(rows[ORDER, 4], 12.5)
        np.testing.assert_array_equal(rows[ORDER, 5], 0.5)
        np.testing.assert_array_equal(rows[12:, 0], 1)
        np.testing.assert_array_equal(rows[12:, 1], np.float32(2.146e9))
        np.testing.assert_array_equal(rows[12:, 2], 16000.0)
        np.testing.assert_array_equal(rows[12:, 3:], 0)
        assert bench.robot.obeyed == 1


def test_targets_are_brought_within_the_limits(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        driver.write(RobotCommand(np.full(12, 9.0)))
        upper = [each.upper for each in GO2.description.actuators]
        np.testing.assert_allclose(told(bench)[ORDER, 1], upper, rtol=1e-6)
        assert bench.robot.beyond == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_sent(go2: MakeBench, value: float) -> None:
    bench, driver = go2()
    with driver:
        with pytest.raises(DriverError):
            driver.write(RobotCommand(np.full(12, value)))
        with pytest.raises(DriverError):
            driver.write(RobotCommand(DEFAULT, value))
        with pytest.raises(DriverError):
            driver.write(RobotCommand(DEFAULT[:3]))
        assert not bench.sent


def test_damp_hold_and_off_say_what_they_mean(go2: MakeBench) -> None:
    bench, driver = go2()
    driver.connect()
    driver.damp()
    np.testing.assert_array_equal(told(bench)[ORDER], np.tile([1, 0, 0, 0, 0, 8], (12, 1)))
    bench.sleep(0.1)
    driver.hold()
    held = told(bench)[ORDER, 1]
    np.testing.assert_allclose(held, driver.read().joint_position, atol=1e-6)
    bench.sleep(0.05)
    driver.hold()
    np.testing.assert_array_equal(told(bench)[ORDER, 1], held)  # it does not creep
    np.testing.assert_array_equal(told(bench)[ORDER, 4], 25.0)
    driver.off()
    off = np.tile([0, np.float32(2.146e9), 16000, 0, 0, 0], (12, 1))
    np.testing.assert_array_equal(told(bench)[ORDER], off)
    bench.sleep(0.02)
    assert np.abs(bench.robot.body.effort).max() < 1e-9


def test_hold_refuses_a_posture_that_is_old(go2: MakeBench) -> None:
    bench, driver = go2()
    driver.connect()
    bench.silent = True
    bench.sleep(0.3)
    with pytest.raises(DriverError, match="silent"):
        driver.hold()


def test_leaving_makes_the_robot_passive_and_says_so_more_than_once(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        driver.write(RobotCommand(DEFAULT))
    assert bench.sent[-3:] == [bench.sent[-1]] * 3
    np.testing.assert_array_equal(told(bench)[ORDER, 0], 0)


def test_a_robot_that_was_told_nothing_is_told_nothing_at_the_end(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        driver.read()
    assert not bench.sent


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda fields: fields["head"].fill(0), "head"),
        (lambda fields: fields.__setitem__("level_flag", 0xEE), "level_flag"),
        (lambda fields: fields["motor_cmd"]["mode"].fill(10), "mode of a motor"),
        (lambda fields: fields["motor_cmd"]["q"].fill(np.nan), "numbers"),
        (lambda fields: fields["motor_cmd"]["kp"].fill(-1), "gains below zero"),
        (None, "checksum"),
    ],
)
def test_the_robot_obeys_sound_commands_alone(
    go2: MakeBench, spoil: Callable[[Any], None] | None, reason: str
) -> None:
    bench, driver = go2()
    with driver:
        driver.write(RobotCommand(DEFAULT))
        frame = decode(GO_COMMAND, bench.sent[-1])
        if spoil is not None:
            spoil(frame.fields)
            frame.seal()
        else:
            frame.fields["motor_cmd"]["q"][0] += 0.1
        assert not bench.robot.obey(frame.encode())
        assert reason in next(iter(bench.robot.ignored))


def test_a_state_is_the_bodys_in_the_order_of_the_contract(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        bench.sleep(0.3)
        state, body = driver.read(), bench.robot.body
        np.testing.assert_allclose(state.joint_position[:], body.position, atol=1e-6)
        np.testing.assert_allclose(state.joint_velocity, body.velocity, atol=1e-5)
        np.testing.assert_allclose(state.joint_effort, body.effort, atol=1e-5)  # type: ignore[arg-type]
        assert state.linear_acceleration is not None
        assert 9.0 < state.linear_acceleration[2] < 10.5
        assert state.drives is not None
        assert state.drives.supply_voltage == pytest.approx(28.8)
        assert state.drives.faults == ()
        np.testing.assert_array_equal(state.drives.temperature, np.full(12, 25))
        assert driver.health is not None
        assert driver.health.charge == 87
        assert driver.health.foot_force is not None
        assert driver.health.foot_force.sum() == pytest.approx(15.0 * 9.81, rel=0.1)
        assert driver.health.current is not None
        assert driver.health.current < 0
        bounds = StateBounds(GO2.description, GO2.config.safety)
        assert bounds.violation(state, bench.monotonic()) is None


def test_time_is_that_of_arrival_and_a_silent_robot_grows_old(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        for _ in range(20):
            bench.sleep(0.02)
            assert age(bench, driver.read()) == pytest.approx(0.0, abs=1e-6)
        bench.silent = True
        bench.sleep(0.05)
        assert age(bench, driver.read()) == pytest.approx(0.05, abs=1e-6)


def test_a_state_that_came_between_two_looks_is_as_old_as_it_is(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        bench.sleep(0.02)
        driver.read()
        bench.sleep(0.006)
        bench.silent = True
        bench.sleep(0.014)
        assert age(bench, driver.read()) == pytest.approx(0.014, abs=1e-6)


@given(
    st.lists(
        st.tuples(st.floats(1e-4, 0.1), st.floats(0, 1), st.floats(-5, 5), st.booleans()), min_size=1
    )
)
def test_an_arrival_lies_between_two_looks_whatever_the_senders_clock_does(
    looks: list[tuple[float, float, float, bool]],
) -> None:
    now, offset = 100.0, 7.0
    clock = ArrivalClock(now)
    for period, share, jump, comes in looks:
        before, now = now, now + period
        offset += jump if jump > 4 else 0.0
        if comes:
            arrival = clock.arrived(before + share * period + offset, now)
            assert before - 1e-6 <= arrival <= now + 1e-6
        else:
            clock.looked(now)


def test_a_repeated_or_late_state_is_not_taken_for_a_new_one(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        bench.sleep(0.02)
        old = bench.robot.state()
        bench.sleep(0.02)
        newest = driver.read()
        bench.silent = True
        for payload in (bench.robot.state(), old):
            bench.sleep(0.01)
            bench.deliver(payload)
            assert driver.read() is newest
        assert driver.reader.repeated == 2


def test_a_corrupt_state_is_refused_and_counted(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        newest = driver.read()
        bench.silent = True
        bench.sleep(0.01)
        payload = bytearray(bench.robot.state())
        payload[100] ^= 1
        bench.deliver(bytes(payload))
        assert driver.read() is newest
        assert driver.reader.refused == 1


def test_a_robot_that_restarts_is_not_driven_on(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        bench.sleep(2.0)
        driver.read()
        frame = decode(GO_STATE, bench.robot.state())
        frame.fields["tick"] = 4
        frame.seal()
        bench.deliver(frame.encode())
        with pytest.raises(DriverError, match="restarted"):
            driver.read()


def test_a_clock_that_overflows_is_no_restart() -> None:
    reader = Reader(MESSAGES["go"], GO2.description, ORDER)
    frame = Frame(GO_STATE)
    for tick in (2**32 - 2, 0, 2):
        frame.fields["tick"] = tick
        frame.seal()
        assert reader.take(frame.encode(), 1.0) is not None
    assert not reader.restarted


def test_what_a_motor_missed_makes_its_joint_older(go2: MakeBench) -> None:
    begin = LISTENING + 0.1  # connecting takes so long
    bench, driver = go2(parse_fault(f"drop:FL_calf=1@{begin}-{begin + 0.01}"))
    with driver:
        bench.sleep(0.08)
        driver.read()
        bench.sleep(0.028)
        state = driver.read()
        assert state.drives is not None
        assert state.drives.joint_time is not None
        late = bench.monotonic() - state.drives.joint_time
        assert late[2] == pytest.approx(0.01, abs=2.1e-3)
        assert np.delete(late, 2).max() < 1e-6


def test_a_controller_of_the_robots_own_is_refused(go2: MakeBench) -> None:
    bench, driver = go2(controller="normal")
    with pytest.raises(DriverError, match="'normal' is active"):
        driver.connect()
    assert not bench.sent
    assert bench.robot.controller == "normal"


def test_a_robot_that_another_program_commands_is_refused(go2: MakeBench) -> None:
    bench, driver = go2()
    bench.commanded_by_others = True
    with pytest.raises(DriverError, match="another program commands this robot, on rt/lowcmd"):
        driver.connect()
    assert not bench.sent


def test_it_is_released_after_the_robot_has_lain_down(go2: MakeBench) -> None:
    bench, driver = go2(controller="normal", on_controller="release")
    with driver:
        assert bench.calls[:4] == [
            ("motion_switcher", 1001),
            ("sport", 1005),
            ("motion_switcher", 1003),
            ("motion_switcher", 1001),
        ]
        assert bench.robot.controller == ""
        assert bench.robot.body.position[2] == pytest.approx(-2.65, abs=0.15)
        driver.write(RobotCommand(DEFAULT))
        assert bench.robot.obeyed == 1


def test_commands_are_not_heard_while_the_robots_own_controller_is_active(go2: MakeBench) -> None:
    bench, driver = go2(controller="ai", on_controller="ignore")
    with driver:
        driver.write(RobotCommand(DEFAULT + 0.3))
        assert bench.robot.obeyed == 0
        assert not bench.calls


@pytest.mark.parametrize(
    ("service", "api", "parameter", "code"),
    [
        ("motion_switcher", 1002, '{"name": "ai"}', 0),
        ("motion_switcher", 1002, "no JSON", 3204),
        ("motion_switcher", 1002, "[1]", 3204),
        ("motion_switcher", 9, "", 3203),
        ("sport", 1005, "", 3203),
        ("weather", 1001, "", 3203),
    ],
)
def test_the_robots_services_answer_what_they_know(
    go2: MakeBench, service: str, api: int, parameter: str, code: int
) -> None:
    bench, _ = go2()
    assert bench.robot.call(service, api, parameter)[0] == code
    assert bench.robot.controller == ("ai" if code == 0 else "")


def test_a_low_battery_is_refused(go2: MakeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench, driver = go2()
    frame = decode(GO_STATE, bench.robot.state())
    frame.fields["bms_state"]["soc"] = 19
    frame.seal()
    monkeypatch.setattr(bench.robot, "state", frame.encode)
    with pytest.raises(DriverError, match="19 %"):
        driver.connect()


def test_a_silent_robot_and_one_that_talks_nonsense_are_told_apart(
    go2: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench, driver = go2()
    bench.silent = True
    with pytest.raises(DriverError, match="no message on rt/lowstate"):
        driver.connect()
    bench, driver = go2()
    monkeypatch.setattr(bench.robot, "state", lambda: Frame(GO_STATE).encode()[:-1] + b"x")
    with pytest.raises(DriverError, match="none of which is a sound state"):
        driver.connect()


def test_the_watchdog_brakes_a_robot_that_is_told_nothing_more(go2: MakeBench) -> None:
    bench, driver = go2()
    with driver:
        for _ in range(20):
            driver.write(RobotCommand(DEFAULT))
            bench.sleep(0.02)
        bench.sleep(0.07)
        assert not bench.robot.braked
        bench.sleep(0.02)
        assert bench.robot.braked
        bench.sleep(0.1)
        body = bench.robot.body
        np.testing.assert_allclose(body.effort, -8.0 * body.velocity, atol=0.3)


def test_g1_repeats_the_robots_build_and_leaves_other_motors_alone(
    g1: tuple[Bench, UnitreeDriver],
) -> None:
    bench, driver = g1
    with driver:
        driver.write(RobotCommand(np.array([0.2, -0.3])))
        values = written_out.HG_COMMAND_CDR.unpack_from(bench.sent[-1], 4)
        assert values[:2] == (0, 5)
        rows = np.array(values[2:247], float).reshape(35, 7)
        np.testing.assert_allclose(rows[[6, 0], :6], [[1, 0.2, 0, 0, 40, 2], [1, -0.3, 0, 0, 40, 2]])
        assert not np.delete(rows, [6, 0], axis=0).any()
        assert bench.robot.obeyed == 1
        for _ in range(50):
            bench.sleep(0.02)
            driver.write(RobotCommand(np.array([0.2, -0.3])))
        np.testing.assert_allclose(driver.read().joint_position, [0.2, -0.3], atol=0.05)
        assert driver.health is not None
        assert driver.health.mode_machine == 5


def test_g1_reports_motors_that_are_in_trouble(g1: tuple[Bench, UnitreeDriver]) -> None:
    bench, driver = g1
    with driver:
        bench.sleep(0.01)
        frame = decode(HG_STATE, bench.robot.state())
        frame.fields["motor_state"]["motorstate"][6] = 0x20
        frame.fields["motor_state"]["temperature"][6] = 41, 77
        frame.seal()
        bench.deliver(frame.encode())
        drives = driver.read().drives
        assert drives is not None
        assert drives.faults == ("motor left reports state 0x20",)
        assert drives.temperature is not None
        assert drives.temperature[0] == 77


@pytest.mark.parametrize(
    ("specification", "robot", "words"),
    [
        ("unitree:interfase=lo", "go2", ["'interfase'", "did you mean 'interface'?"]),
        ("unitree:interface=l0", "go2", ["interface=l0", "lo"]),
        ("unitree:domain=x", "go2", ["domain=x", "whole number"]),
        ("unitree:domain=233", "go2", ["at most 232"]),
        ("unitree:controller=yes", "go2", ["controller=yes", "release"]),
        ("unitree:messages=gp", "go2", ["messages=gp", "valid: go, hg"]),
        ("unitree", "qube", ["'qube'", "messages=go"]),
        ("unitree:messages=go", "qube", ["position servos"]),
    ],
)
def test_what_cannot_be_read_is_one_message(specification: str, robot: str, words: list[str]) -> None:
    with pytest.raises(UserError) as caught:
        open_driver(specification, robot)
    assert all(word in str(caught.value) for word in words), caught.value


def _sequence(go2: MakeBench, seed: int, seconds: float = 0.3) -> None:
    """One random sequence of faults: what must hold however bad it gets."""
    names = list(GO2.description.actuator_names)
    bench, driver = go2(*random_faults(seed, names, seconds, 4), seed=seed)
    body, effort_limit = bench.robot.body, 46.0
    said: dict[int, float] = {}

    def deliver(payload: bytes) -> None:
        if len(payload) == 4 + GO_STATE.cdr_size:
            tick = struct.unpack_from("<I", payload, 4 + 1096)[0]
            said.setdefault(tick, bench.robot.time)
        Bench.deliver(bench, payload)

    bench.deliver = deliver  # type: ignore[method-assign]
    try:
        with driver:
            while bench.robot.time < seconds:
                state = driver.read()
                # What is newest by its own clock has come at that time, at the latest.
                assert driver.health is not None
                came = said.get(driver.health.tick)
                if came is not None:
                    assert float(state.time) <= bench.monotonic() + 1e-6
                    assert age(bench, state) >= bench.robot.time - came - 2.1e-3
                driver.write(RobotCommand(DEFAULT + 0.5 * np.sin(20 * bench.robot.time), 1.0))
                bench.sleep(0.01)
                assert np.abs(body.effort).max() <= effort_limit
    except DriverError:
        pass
    assert bench.robot.beyond <= 0.0


@pytest.mark.parametrize("first", range(0, 50, 10))
def test_random_sequences_of_faults_break_nothing(go2: MakeBench, first: int) -> None:
    for seed in range(first, first + 10):
        _sequence(go2, seed)


@pytest.mark.long
def test_a_thousand_random_sequences_of_faults_break_nothing(go2: MakeBench) -> None:
    for seed in range(1000):
        _sequence(go2, seed)


def _fuzz(number: int) -> tuple[int, int]:
    """Feed random payloads to both ends; how many were taken, and how many there were to be taken."""
    rng = np.random.default_rng(0)
    ends = [(GO_STATE, ORDER, "go"), (HG_STATE, ORDER, "hg")]
    taken = sound = 0
    readers = [Reader(MESSAGES[name], GO2.description, index) for _, index, name in ends]
    codecs = [written_out.GoCodec(), written_out.HgCodec()]
    commands = [MESSAGES["go"].command, MESSAGES["hg"].command]
    for count in range(number):
        which = int(rng.integers(2))
        to_driver = bool(rng.integers(2))
        layout = ends[which][0] if to_driver else commands[which]
        frame = random_frame(layout, rng)
        part = frame.fields["motor_state" if to_driver else "motor_cmd"]
        part["q"][rng.integers(20)] = rng.choice([np.nan, np.inf, -np.inf, 0.0, 3e38, 1e-45])
        if not to_driver and which == 0:
            frame.fields["head"][:], frame.fields["level_flag"] = (0xFE, 0xEF), 0xFF
        if to_driver:
            frame.fields["tick"] = count + 1
        frame.seal()
        payload = bytearray(frame.encode())
        good = count % 4 == 0
        if count % 4 == 1:
            payload[int(rng.integers(4, 6))] ^= int(rng.integers(1, 256))
        elif count % 4 == 2:
            payload = payload[: int(rng.integers(0, len(payload)))]
        elif count % 4 == 3:
            payload = bytearray(rng.bytes(int(rng.integers(0, 2200))))
        sound += good
        if to_driver:
            with np.errstate(all="ignore"):
                state = readers[which].take(bytes(payload), 1.0)
            taken += state is not None
            if state is not None:
                motors = frame.fields["motor_state"]["q"][ORDER]
                np.testing.assert_array_equal(state.joint_position, motors.astype(float))
        else:
            try:
                with np.errstate(all="ignore"):
                    said = codecs[which].command(bytes(payload))
            except written_out.NoCommandError:
                continue
            taken += 1
            np.testing.assert_array_equal(said.position, frame.fields["motor_cmd"]["q"].astype(float))
            np.testing.assert_array_equal(said.damping, frame.fields["motor_cmd"]["kd"].astype(float))
    return taken, sound


def test_random_payloads_are_refused_and_sound_ones_read_exactly() -> None:
    taken, sound = _fuzz(4000)
    assert taken == sound


@pytest.mark.long
def test_a_hundred_thousand_random_payloads() -> None:
    taken, sound = _fuzz(100_000)
    assert taken == sound


def test_the_command_layout_has_no_room_for_misspelt_fields() -> None:
    with pytest.raises(ValueError, match="qd"):
        Frame(GO_COMMAND).fields["motor_cmd"]["qd"][:] = 0
