"""The CAN driver against the emulated motors, over python-can's virtual bus, in simulated time."""

import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simreal.deploy.drivers import DriverError
from simreal.deploy.drivers.can.driver import CanDriver, open_driver
from simreal.deploy.drivers.can.node import Node
from simreal.deploy.emulators.can.can_leg import can_config
from simreal.deploy.emulators.can.motors.damiao import PMAX, TIMEOUT, VMAX, DamiaoFirmware
from simreal.deploy.emulators.can.motors.motor import CanFrame
from simreal.deploy.emulators.faults import Fault
from simreal.errors import UserError
from simreal.robots import load_robot
from simreal.state import RobotCommand
from tests.deploy.random_faults import random_faults

Make = Callable[..., AbstractContextManager[Any]]
"""Of the fixture `can_world`."""
World = Any
MODELS = ("dm4310", "rs00", "cybergear", "ak80_6")
POSTURE = np.array([0.5, -1.0])
PERIOD = 0.01
CYCLES = 30
"""Of a flight with faults."""
HIP, KNEE = 0, 1


def _command(target: object = POSTURE, authority: float = 1.0) -> RobotCommand:
    return RobotCommand(np.asarray(target, dtype=np.float64), authority)


def _follow(world: World, cycles: int, target: object = POSTURE, authority: float = 1.0) -> None:
    for _ in range(cycles):
        world.driver.read()
        world.driver.write(_command(target, authority))
        world.sleep(PERIOD)


@pytest.mark.parametrize("model", MODELS)
def test_it_follows_a_posture_and_tells_of_it(can_world: Make, model: str) -> None:
    with can_world(model) as world:
        description = world.driver.connect()
        assert description.joint_names == ("hip", "knee")
        assert not any(motor.enabled for motor in world.robot.motors)
        _follow(world, 80)
        state = world.driver.read()
        truth = world.robot.body.position
        np.testing.assert_allclose(state.joint_position, POSTURE, atol=0.05)
        np.testing.assert_allclose(state.joint_position, truth, atol=2e-3)
        np.testing.assert_allclose(state.joint_effort, world.robot.body.effort, atol=0.05)
        assert world.now - state.time <= 1.5 * PERIOD
        assert state.drives is not None
        assert state.drives.faults == ()
        if model != "ak80_6":
            np.testing.assert_allclose(state.drives.temperature, 25.0, atol=2.0)


def test_the_knee_turns_the_other_way_and_the_joint_does_not_notice(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 30)
        knee = world.robot.motors[KNEE]
        assert knee.config.sign == -1
        assert knee.last.position == pytest.approx(1.0, abs=1e-3)
        assert world.robot.body.position[KNEE] == pytest.approx(-1.0, abs=0.05)


@pytest.mark.parametrize("model", MODELS)
def test_motors_with_gear_offset_and_sign_see_the_same_leg(can_world: Make, model: str) -> None:
    config = can_config("can_leg", model)
    change = {"gear": 2.0, "offset": 0.3, "sign": -1}
    config.motors["hip"] = config.motors["hip"].model_copy(update=change)
    with can_world(model, driver_config=config) as world:
        world.robot.motors[HIP].config = config.motors["hip"]
        world.robot.motors[HIP]._turn = -2.0
        world.driver.connect()
        _follow(world, 60)
        state = world.driver.read()
        np.testing.assert_allclose(state.joint_position, world.robot.body.position, atol=2e-3)
        np.testing.assert_allclose(state.joint_effort, world.robot.body.effort, atol=0.05)
        assert world.robot.motors[HIP].last.stiffness == pytest.approx(15.0 / 4, abs=0.13)


@pytest.mark.parametrize("model", MODELS)
def test_a_robot_that_another_program_commands_is_left_to_it(
    can_world: Make, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with can_world(model) as world:
        world.driver.connect()
        _follow(world, 30)
        exchange, due = world._exchange, [world.now]

        def meanwhile() -> None:
            if world.now >= due[0]:
                due[0] += PERIOD
                world.driver.read()
                world.driver.write(_command())
            exchange()

        monkeypatch.setattr(world, "_exchange", meanwhile)
        second = CanDriver(world.driver._robot, "virtual", world.driver._channels)
        with pytest.raises(DriverError, match="another program commands this robot"):
            second.connect()
        assert all(motor.enabled for motor in world.robot.motors)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_kicks_when_it_wakes(can_world: Make, model: str) -> None:
    """Firmware obeys its last command as soon as it is enabled: here one from another life."""
    with can_world(model) as world:
        world.driver.connect()
        for motor in world.robot.motors:
            motor._obey(motor.last._replace(torque=8.0))
            motor.largest = type(motor.last)(0, 0, 0, 0, 0)
        before = world.robot.body.position
        world.driver.write(_command(before, 0.0))
        world.sleep(0.02)
        assert all(motor.enabled for motor in world.robot.motors)
        assert max(motor.largest.torque for motor in world.robot.motors) < 0.02
        assert np.abs(world.robot.body.position - before).max() < 0.02


def test_authority_is_a_share_of_the_stiffness(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        for authority in (1.0, 0.5, 0.0):
            _follow(world, 2, authority=authority)
            law = world.robot.motors[HIP].last
            assert law.stiffness == pytest.approx(15.0 * authority, abs=0.13)
            assert law.damping == pytest.approx(1.0, abs=2e-3)


def test_targets_beyond_the_limits_are_cut_to_them(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 3, [1e6, -1e6])
        assert world.robot.motors[HIP].last.position == pytest.approx(1.4, abs=1e-3)
        assert world.robot.motors[KNEE].last.position == pytest.approx(2.4, abs=1e-3)


@pytest.mark.parametrize("target", [np.nan, np.inf])
def test_what_is_no_command_makes_it_passive(can_world: Make, target: float) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 3)
        with pytest.raises(DriverError, match="none"):
            world.driver.write(_command([target, 0.0]))
        world.sleep(PERIOD)
        assert not any(motor.enabled for motor in world.robot.motors)


def _hold(world: World) -> None:
    world.driver.hold()


def _damp(world: World) -> None:
    world.driver.damp()


def _off(world: World) -> None:
    world.driver.off()


def _after(world: World, act: Callable[[World], None], cycles: int = 40) -> float:
    """rad by which the hip moves, that stood away from where it hangs."""
    world.driver.connect()
    _follow(world, 80, [1.3, -0.3])
    world.driver.read()
    before = world.robot.body.position[HIP]
    for _ in range(cycles):
        act(world)
        world.sleep(PERIOD)
        world.driver.read()
    return float(abs(world.robot.body.position[HIP] - before))


def test_it_holds_where_it_is_brakes_and_lets_go(can_world: Make) -> None:
    moved = {}
    for act in (_hold, _damp, _off):
        with can_world(parameters={"joint_frictionloss": 0.1}) as world:
            moved[act] = _after(world, act)
            braking = world.robot.motors[HIP].last
            assert world.robot.motors[HIP].enabled == (act is not _off)
            if act is _damp:
                assert (braking.stiffness, round(braking.damping, 1)) == (0.0, 2.0)
    assert moved[_hold] < 0.05
    assert moved[_hold] < moved[_damp] < 0.8 * moved[_off]


def test_a_held_posture_does_not_creep(can_world: Make) -> None:
    """The first one counts: what gravity has pulled since is not the new one."""
    with can_world(parameters={"joint_frictionloss": 0.0}) as world:
        world.driver.connect()
        _follow(world, 80, [1.3, -0.3])
        world.driver.read()
        world.driver.hold()
        world.sleep(PERIOD)
        asked = world.robot.motors[HIP].last.position
        for _ in range(30):
            world.driver.read()
            world.driver.hold()
            world.sleep(PERIOD)
        assert world.robot.motors[HIP].last.position == asked


def test_a_motor_of_which_nothing_is_known_is_not_held(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        world.sleep(0.3)
        with pytest.raises(DriverError, match=r"hip.*silent"):
            world.driver.hold()


@pytest.mark.parametrize("model", ["dm4310", "cybergear"])
def test_the_firmware_time_out_is_armed_and_acts(can_world: Make, model: str) -> None:
    with can_world(model) as world:
        world.driver.connect()
        assert [motor.timeout for motor in world.robot.motors] == pytest.approx([0.1, 0.1])
        _follow(world, 5)
        world.sleep(0.085)
        assert all(motor.enabled for motor in world.robot.motors)
        world.sleep(0.02)
        assert not any(motor.enabled for motor in world.robot.motors)
        world.sleep(0.002)
        np.testing.assert_array_equal(world.robot.body.effort, np.zeros(2))


def test_a_time_out_is_a_fault_until_it_is_cleared(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 5)
        world.sleep(0.2)
        _follow(world, 5)
        drives = world.driver.read().drives
        assert drives is not None
        assert len(drives.faults) == 2
        assert "hip: lost communication" in drives.faults[0]
        assert not any(motor.enabled for motor in world.robot.motors)
        world.driver.clear_faults()
        _follow(world, 5)
        assert all(motor.enabled for motor in world.robot.motors)
        assert world.driver.read().drives.faults == ()  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("model", "fault", "words"),
    [
        ("dm4310", "over-temperature", "windings"),
        ("dm4310", "watchdog", "lost communication"),
        ("cybergear", "over-temperature", "over-temperature"),
        ("cybergear", "watchdog", "passive by itself"),
    ],
)
def test_a_fault_of_one_motor_is_told_and_that_motor_left_alone(
    can_world: Make, model: str, fault: str, words: str
) -> None:
    with can_world(model) as world:
        world.driver.connect()
        _follow(world, 10)
        world.fault(fault, device="hip", value=95.0)
        _follow(world, 10)
        drives = world.driver.read().drives
        assert drives is not None
        assert len(drives.faults) == 1
        assert drives.faults[0].startswith("hip: ")
        assert words in drives.faults[0]
        world.heard.clear()
        _follow(world, 5)
        hip, knee = (motor.config.id for motor in world.robot.motors)
        assert {frame.id & 0xFF for frame in world.heard} == {knee}
        assert hip != knee


def test_a_motor_that_has_a_fault_is_not_connected_unless_it_shall_be_cleared(can_world: Make) -> None:
    for clear in (False, True):
        with can_world(clear_faults=clear) as world:
            world.robot.motors[HIP].trip("over-temperature")
            if clear:
                world.driver.connect()
                _follow(world, 3)
                assert world.robot.motors[HIP].enabled
            else:
                with pytest.raises(DriverError, match=r"hip: over-temp.*clear_faults=1"):
                    world.driver.connect()


def test_a_brown_out_leaves_silence_and_then_a_motor_that_lost_its_settings(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 10)
        world.fault("brown-out", value=4.0, end=0.06)
        _follow(world, 5)
        state = world.driver.read()
        assert world.now - state.time > 0.04
        _follow(world, 20)
        drives = world.driver.read().drives
        assert drives is not None
        assert ["passive by itself" in each for each in drives.faults] == [True, True]
        assert [motor.timeout for motor in world.robot.motors] == [0.0, 0.0]


def test_one_lost_answer_ages_one_joint_and_the_loop_goes_on(can_world: Make) -> None:
    with can_world() as world:
        world.driver.connect()
        _follow(world, 10)
        world.fault("drop", device="knee", end=0.009)
        ages = []
        for _ in range(8):
            state = world.driver.read()
            assert state.drives is not None
            assert state.drives.joint_time is not None
            ages.append(world.now - state.drives.joint_time)
            assert state.time == state.drives.joint_time.min()
            world.driver.write(_command())
            world.sleep(PERIOD)
        old = np.array(ages)
        assert old[:, HIP].max() <= 1.01 * PERIOD
        assert 4.9 * PERIOD < old[:, KNEE].max() < 6.1 * PERIOD
        assert old[-1, KNEE] <= 1.01 * PERIOD


def _counted(method: Callable[..., None], counts: dict[str, int], name: str) -> Callable[..., None]:
    def counted(*arguments: Any) -> None:
        counts[name] += 1
        method(*arguments)

    return counted


def test_a_duplicate_is_no_newer_than_its_original(
    can_world: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    balance = {"asked": 0, "hear": 0}
    for name in balance:
        monkeypatch.setattr(Node, name, _counted(getattr(Node, name), balance, name))
    with can_world(faults=[Fault("duplicate", begin=2.0)]) as world:
        world.driver.connect()
        world.sleep(2.1)
        world.driver.off()
        for _ in range(20):
            world.driver.read()
            asked = world.now
            world.driver.write(_command())
            world.sleep(PERIOD)
            assert world.driver.read().time <= asked
        assert balance["hear"] > balance["asked"] + 20, "duplicates came"


def _oldest_possible(world: World, slack: float) -> None:
    """No joint's time is later than the latest answer that said what is taken for its reading."""
    for place, node in enumerate(world.driver.nodes):
        config, matching = node.protocol.config, []
        for measured, frame in world.answered.get(place, []):
            found = node.protocol.decode(frame)  # type: ignore[arg-type]
            position = getattr(found, "position", None)
            if position is None or config.sign * position + config.offset != node.position:
                continue
            if config.sign * found.velocity == node.velocity:  # type: ignore[union-attr]
                matching.append(measured)
        assert matching, "a reading that no motor gave"
        assert node.time <= max(matching) + slack + 1e-9, (node.name, node.time, max(matching))


def _afflict(can_world: Make, seed: int, model: str) -> tuple[int, int]:
    """A short flight with random faults; cycles flown, faults that were told."""
    random = np.random.default_rng(seed)
    told, cycles = 0, 0
    noise = {"encoder_noise": 0.002, "velocity_noise": 0.05}
    with can_world(model, seed=seed, parameters=noise) as world:
        world.watch_answers()
        world.driver.connect()
        for fault in random_faults(seed, world.robot.names, CYCLES * PERIOD):
            # To and fro together, a delay stays below what the driver waits for.
            bearable = replace(fault, delay_ms=min(fault.delay_ms, 22.0))
            world.robot.faults.announce(bearable, world.robot_time)
        kinds = {fault.kind for fault in world.robot.faults.announced}
        # A command that comes twice is answered twice: nothing tells the second answer, if that is late,
        # from the answer to the next command (docs/drivers_can.md).
        slack = 0.045 if {"duplicate", "delay"} <= kinds else 0.0
        for motor in world.robot.motors:
            motor.largest = type(motor.last)(0, 0, 0, 0, 0)
        for _ in range(CYCLES):
            try:
                state = world.driver.read()
                _oldest_possible(world, slack)
                assert np.isfinite(state.joint_position).all()
                assert state.drives is not None
                told = max(told, len(state.drives.faults))
                world.driver.write(_command(random.uniform(-4, 4, 2), random.uniform(0, 1)))
                cycles += 1
            except DriverError:
                break
            world.sleep(PERIOD)
        _limits_were_kept(world)
        world.robot.faults.clear()
        for _ in range(3):
            world.driver.off()
            world.sleep(PERIOD)
        assert not any(motor.enabled for motor in world.robot.motors)
    return cycles, told


def _limits_were_kept(world: World) -> None:
    """At the motors, as their own decoders understood all that came."""
    for motor, furthest in zip(world.robot.motors, (1.4, 2.4), strict=True):
        largest, scale = motor.largest, motor.config.scale
        assert largest.position <= furthest + 1e-3
        assert largest.stiffness <= 15.0
        assert largest.damping <= 1.0 + 1e-9
        assert largest.velocity <= 2 * scale.velocity / 4095
        assert largest.torque <= 2 * scale.torque / 4095


@pytest.mark.parametrize("seed", range(40))
def test_no_fault_makes_stale_news_fresh_or_breaks_a_limit(can_world: Make, seed: int) -> None:
    _afflict(can_world, seed, MODELS[seed % len(MODELS)])


@pytest.mark.long
def test_a_thousand_random_fault_sequences(can_world: Make) -> None:
    flown = [_afflict(can_world, seed, MODELS[seed % len(MODELS)]) for seed in range(1000, 2000)]
    assert np.mean([cycles for cycles, _ in flown]) > 24
    assert sum(told > 0 for _, told in flown) > 100


# Connecting to what is not there, or not what it should be


def test_a_motor_that_is_not_there_is_named(can_world: Make) -> None:
    with can_world(faults=[Fault("drop", device="knee")]) as world:
        with pytest.raises(DriverError, match=r"knee \(dm4310, id 0x2.*does not answer"):
            world.driver.connect()
        assert not any(motor.enabled for motor in world.robot.motors)


def test_a_damiao_with_another_scale_is_another_motor(can_world: Make) -> None:
    with can_world() as world:
        firmware = world.robot.motors[HIP]
        assert isinstance(firmware, DamiaoFirmware)
        firmware.registers[VMAX] = 8.0
        firmware.registers[23] = 28.0
        with pytest.raises(DriverError, match=r"12\.5, 8, 28.*of a dm4310.*limits: \{position: 12\.5"):
            world.driver.connect()


def test_a_damiao_s_own_scale_counts_where_sources_disagree(can_world: Make) -> None:
    """Two sources say 8 rad/s of a DM4340, two say 10: the motor knows."""
    for speed in (8.0, 10.0):
        with can_world("dm4340") as world:
            for motor in world.robot.motors:
                assert isinstance(motor, DamiaoFirmware)
                motor.registers[VMAX] = speed
            world.driver.connect()
            _follow(world, 60)
            assert [node.protocol.limits.velocity for node in world.driver.nodes] == [speed, speed]
            state = world.driver.read()
            np.testing.assert_allclose(state.joint_position, world.robot.body.position, atol=2e-3)


def test_a_scale_of_one_s_own_is_said_in_robot_yaml(can_world: Make) -> None:
    config = can_config("can_leg")
    document = config.model_dump()
    for motor in document["motors"].values():
        motor["limits"] = {"position": 6.0, "velocity": 20.0, "torque": 7.0}
    own = type(config).model_validate(document)
    with can_world(driver_config=own) as world:
        with pytest.raises(DriverError, match="6, 20, 7 were expected"):
            world.driver.connect()
        for motor in world.robot.motors:
            assert isinstance(motor, DamiaoFirmware)
            motor.registers |= {PMAX: 6.0, VMAX: 20.0, 23: 7.0}
        world.driver.connect()
        _follow(world, 60)
        np.testing.assert_allclose(world.robot.body.position, POSTURE, atol=0.05)


def test_two_motors_with_one_id_are_found(can_world: Make) -> None:
    for model in MODELS:
        with can_world(model) as world:
            hip, knee = world.robot.motors
            knee.config = knee.config.model_copy(
                update={"id": hip.config.id, "master_id": hip.config.master_id}
            )
            if isinstance(knee, DamiaoFirmware):
                knee.registers |= {7: hip.config.master_id, 8: hip.config.id}
            with pytest.raises(DriverError, match="share that id"):
                world.driver.connect()


def test_a_time_out_that_does_not_take_is_refused(can_world: Make) -> None:
    with can_world() as world:
        firmware = world.robot.motors[KNEE]
        assert isinstance(firmware, DamiaoFirmware)
        parameter = firmware._parameter

        def stubborn(data: bytes) -> list[CanFrame]:
            write = data[2] == 0x55 and data[3] == TIMEOUT
            return parameter(data[:4] + struct.pack("<I", 0) if write else data)

        firmware._parameter = stubborn  # type: ignore[method-assign]
        with pytest.raises(DriverError, match=r"knee.*register 9 was written 2000 and reads 0"):
            world.driver.connect()


def test_what_does_not_fit_into_frames_is_refused(can_world: Make) -> None:
    config = can_config("can_leg")
    config.motors["knee"] = config.motors["knee"].model_copy(update={"gear": 6.0})
    refused = pytest.raises(DriverError, match=r"knee.*position of 14\.4 rad.*at most 12\.5")
    with can_world(driver_config=config) as world, refused:
        world.driver.connect()


def test_a_joint_that_slides_is_refused() -> None:
    leg = load_robot("can_leg")
    knee = leg.description.joints[1].model_copy(update={"unit": "m"})
    description = leg.description.model_copy(update={"joints": (leg.description.joints[0], knee)})
    config = leg.config.model_copy(update={"description": description})
    with pytest.raises(UserError, match="joint knee slides; these motors turn"):
        CanDriver(replace(leg, config=config), "virtual", ["0"])


# Options


@pytest.mark.parametrize(
    ("robot", "options", "words"),
    [
        ("go2", {}, ["go2", "wire.can"]),
        ("can_leg", {"interfac": "slcan"}, ["'interfac'", "did you mean 'interface'"]),
        ("can_leg", {"interface": "slcan"}, ["channel=", "/dev/ttyACM0"]),
        ("can_leg", {"channel": "can0+can1"}, ["1 buses", "names 2"]),
        ("can_leg", {"clear_faults": "yes"}, ["clear_faults=yes"]),
    ],
)
def test_options_that_cannot_be_are_one_message(
    robot: str, options: dict[str, str], words: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        open_driver(options, robot, None)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_an_interface_that_is_not_there_is_one_message() -> None:
    with pytest.raises(UserError, match=r"slcam.*did you mean 'slcan'"):
        open_driver({"interface": "slcam", "channel": "x"}, "can_leg", None).connect()
    with pytest.raises(DriverError, match="/nowhere cannot be opened"):
        open_driver({"interface": "slcan", "channel": "/nowhere"}, "can_leg", None).connect()


def test_before_it_is_connected_it_says_so() -> None:
    driver = open_driver({"interface": "virtual", "channel": "nobody"}, "can_leg", None)
    for act in (driver.read, driver.hold, lambda: driver.write(_command())):
        with pytest.raises(DriverError, match="not connected"):
            act()
    driver.damp()
    driver.off()
    driver.disconnect()
    driver.disconnect()
