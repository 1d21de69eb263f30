"""Excitations that a robot's limits allow, and that tell more than what they began with."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.deploy.command_limits import CommandLimits
from simreal.deploy.excitation import load_excitation
from simreal.errors import UserError
from simreal.excitation_file import write_excitation
from simreal.identification.design import design_excitation
from simreal.identification.population import search_population
from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked, starts
from simreal.identification.windows import cut
from simreal.robots import Robot, load_robot
from tests.hanging_link import unbroken
from tests.identification.servo_link import servo_link


def test_a_design_for_the_qube_keeps_its_limits_and_gains() -> None:
    robot = load_robot("qube")
    asked = [read_asked(name) for name in ("joint_frictionloss[arm]", "motor_resistance")]
    found = design_excitation(Setup(robot), asked, 4.0, 50.0, 3.0, generations=3)
    found.excitation.refuse_unfit(robot.description)
    assert found.gain >= 1.0
    low, high = robot.config.safety.joint_position["arm"]
    assert found.reach["arm"][0] <= min(-low, high)
    commands = found.excitation.commands
    assert commands[0] == commands[-1] == 0.0  # begins and ends at rest
    assert np.abs(np.diff(commands[:, 0])).max() < 1.5


def test_a_design_for_servos_is_one_that_the_loop_plays(tmp_path: Path) -> None:
    """Targets that a servo cannot follow are refused there, however slow its joints remain."""
    robot = load_robot("so101")
    found = design_excitation(
        Setup(robot), [read_asked("joint_damping[*]")], 3.0, 25.0, 3.0, generations=1
    )
    write_excitation(tmp_path / "design.yaml", found.excitation)
    played = load_excitation(tmp_path / "design.yaml")
    assert played.contract.robot.name == "so101"
    speeds = np.abs(np.diff(found.excitation.commands, axis=0)).max(axis=0) * 25.0
    limits = np.array([joint.velocity_limit for joint in robot.description.joints], dtype=float)
    assert (speeds <= limits).all()
    assert (speeds > 0.4 * limits).any()  # and it is no timid one: effort allows no more


@pytest.mark.long
def test_a_design_for_servos_asks_for_no_more_effort_than_safety_allows(tmp_path: Path) -> None:
    """A supervisor would bring such targets nearer: others than were designed would be played."""
    robot = servo_link(tmp_path)
    setup, asked = Setup(robot), [read_asked("mass"), read_asked("joint_damping")]
    found = design_excitation(setup, asked, 4.0, 50.0, 4.0, generations=6)
    commands = found.excitation.commands
    time = np.arange(len(commands)) / 50.0
    still = np.zeros((len(time), 1))
    simulator = Simulator(setup, unbroken(Recording("", "", time, commands, time, still, None)), asked)
    position, velocity = np.moveaxis(simulator.predict(starts(simulator.unknowns)[None])[0, 0], 1, 0)
    limits = CommandLimits(robot.description, robot.config.safety)
    for tick in range(len(time)):
        _, sent = limits.in_order(commands[tick], position[tick], velocity[tick], None, 0.02)[-1]
        np.testing.assert_allclose(sent, commands[tick], atol=1e-9)
    assert found.reach["hinge"][0] > 0.3  # and it is no timid one


def test_limits_that_nothing_keeps_are_told(link: Robot) -> None:
    safety = link.config.safety.model_copy(update={"joint_velocity": {"hinge": 1e-9}})
    held = replace(link, config=link.config.model_copy(update={"safety": safety}))
    with pytest.raises(UserError, match="nothing was found that keeps its limits"):
        design_excitation(Setup(held), [read_asked("mass")], 2.0, 50.0, 2.0, generations=1)


def test_a_search_tells_how_far_it_is() -> None:
    told: list[tuple[str, int]] = []
    asked = [read_asked("joint_frictionloss[arm]")]
    setup = Setup(load_robot("qube"))
    design_excitation(setup, asked, 2.0, 50.0, 3.0, lambda *each: told.append(each), generations=2)
    assert told[0] == ("3 rounds of 84 simulations of 2 s (unknowns: 1, joints: 2)", 0)
    assert [done for _, done in told] == [0, 1, 2, 3]
    assert told[1][0].startswith("log determinant ")


def test_a_file_that_is_there_is_refused_before_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "excitation.yaml"
    output.write_text("from before")
    monkeypatch.setattr("simreal.identification.design.design_excitation", None)
    arguments = ["design", "qube", "-o", str(output), "--parameters"]
    result = CliRunner().invoke(cli, [*arguments, "mass"])
    assert str(result.exception).startswith(f"{output}: exists already")
    assert output.read_text() == "from before"
    assert "no parameter 'masss'" in str(CliRunner().invoke(cli, [*arguments, "masss"]).exception)


def test_a_population_finds_a_dead_zone(link: Robot, record) -> None:  # type: ignore[no-untyped-def]
    """Derivatives at zero say nothing of it."""
    recording = record({"dead_zone": 0.4}, 3.0)
    simulator = Simulator(Setup(link), cut([recording], 0.5), [read_asked("dead_zone")])
    found = search_population(simulator, starts(simulator.unknowns), generations=12)
    np.testing.assert_allclose(found, [0.4], atol=0.06)
