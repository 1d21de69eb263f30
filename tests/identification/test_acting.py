"""What a deployment's log holds beside the commands that acted is not fitted to."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from simreal.contract import Contract
from simreal.deploy.cycle import Cycle
from simreal.deploy.supervisor import Phase
from simreal.errors import UserError
from simreal.experiment import load_experiment
from simreal.identification.acting import acting_recordings
from simreal.identification.recording import Recording
from simreal.identification.windows import cut
from simreal.logs.formats import read_logs
from simreal.logs.robot_log import Channel, RobotLog
from simreal.make_environment import make_environment
from simreal.robots import load_robot
from simreal.state import RobotCommand
from tests.logs.flights import cycle, write_flight

PERIOD = 0.01


@pytest.fixture(scope="module")
def contract() -> Contract:
    return make_environment(load_experiment("qube_swingup"), 1, threads=1).contract


def flown(number: int) -> Cycle:
    """A servo's run: it rises in 1 s with growing authority, runs for 3 s, and is damped for 1 s."""
    time = PERIOD * number
    values = np.array([np.sin(3 * time), np.cos(2 * time)])
    made = replace(cycle(number, round(1e9 * time), time, values), observation=None)
    assert made.command is not None
    if time < 1.0:
        return replace(
            made, phase=Phase.RISING, command=RobotCommand(made.command.target, 0.2 + 0.8 * time)
        )
    return made if time < 4.0 else replace(made, phase=Phase.DAMPING, command=None)


def recorded(path: Path, contract: Contract, *numbers: int) -> tuple[list[Recording], list[str]]:
    write_flight(path, contract, [flown(number) for number in numbers])
    return acting_recordings(read_logs(path), contract.robot, None)


def test_the_rise_and_the_damping_at_the_end_are_left_out(tmp_path: Path, contract: Contract) -> None:
    [part], [said] = recorded(tmp_path / "run.mcap", contract, *range(501))
    assert part.time[[0, -1]] == pytest.approx([1.0, 4.0])
    assert said.startswith("run.mcap: 1.0 to 4.0 s alone; left out are 2.0 of 5.0 s")
    assert part.command_time[0] == 0.0  # what was sent before may still be on its way


def test_of_a_cycle_that_is_left_out_nobody_hears(tmp_path: Path, contract: Contract) -> None:
    [part], said = recorded(tmp_path / "run.mcap", contract, *range(100, 402))
    assert part.time[-1] == pytest.approx(3.0)
    assert said == []


def test_runs_in_one_log_are_recordings_of_their_own(tmp_path: Path, contract: Contract) -> None:
    """As of a fault that was cleared."""
    path = tmp_path / "two.mcap"
    first, second = range(100, 450), range(600, 751)
    again = [
        replace(flown(number), phase=Phase.RUNNING, command=flown(150).command) for number in second
    ]
    write_flight(path, contract, [*map(flown, first), *again])
    parts, [said] = acting_recordings(read_logs(path), contract.robot, None)
    assert [part.name for part in parts] == ["two.mcap 0.0 to 3.0 s", "two.mcap 5.0 to 6.5 s"]
    assert said.startswith("two.mcap: 0.0 to 3.0 s, 5.0 to 6.5 s alone")


def test_a_log_in_which_nothing_acted_is_refused(tmp_path: Path, contract: Contract) -> None:
    with pytest.raises(UserError, match=r"run\.mcap: no command acted with full authority for 0\.5 s"):
        recorded(tmp_path / "run.mcap", contract, *range(60), *range(90, 120))


def sine(
    seconds: float, sent: tuple[float, float], missing: tuple[float, float] = (9.0, 9.0)
) -> RobotLog:
    """A log that does not tell authority: commands of some seconds, measurements without others."""
    time = 0.004 * np.arange(round(seconds / 0.004))
    measured = time[(time < missing[0]) | (time >= missing[1])]
    asked = time[(time >= sent[0]) & (time < sent[1])]
    position = np.stack((np.sin(measured), np.cos(3.0 * measured)), axis=1)
    return RobotLog(
        "a.npz",
        {
            "joint_position": Channel(measured, position, ("arm", "pendulum"), ("rad", "rad")),
            "commanded_voltage": Channel(asked, np.sin(asked)[:, None], ("motor",), ("V",)),
        },
    )


@pytest.mark.parametrize(
    ("sent", "said"),
    [((0.0, 2.0), "a.npz: 0.0 to 2.0 s alone; left out are 2.0 of 4.0 s"), ((0.3, 3.7), "")],
)
def test_what_comes_before_or_after_the_commands_is_left_out(
    sent: tuple[float, float], said: str
) -> None:
    [part], told = acting_recordings([sine(4.0, sent)], load_robot("qube").description, None)
    assert [line.startswith(said) and "nothing was commanded" in line for line in told] == [True] * bool(
        said
    )
    assert part.time[-1] == pytest.approx(2.0 if said else 3.996)


def test_a_last_command_holds_as_long_as_one_did_before() -> None:
    log = sine(4.0, (0.0, 4.0))
    table = log["commanded_voltage"]
    rows = [0, 250, 500]  # at 0, 1 and 2 s: a setpoint that is sent as it changes
    log.channels["commanded_voltage"] = table.rows(np.array(rows))
    [part], _ = acting_recordings([log], load_robot("qube").description, None)
    assert part.time[-1] == pytest.approx(3.0)


def test_a_gap_parts_a_recording() -> None:
    """A window across it would be simulated with commands that nobody knows."""
    log = sine(4.0, (0.0, 4.0), missing=(1.5, 2.5))
    parts, [said] = acting_recordings([log], load_robot("qube").description, None)
    assert [part.name for part in parts] == ["a.npz 0.0 to 1.5 s", "a.npz 2.5 to 4.0 s"]
    assert said.endswith(
        "left out are 1.0 of 4.0 s in which measurements are missing, or few between gaps"
    )
    windows = cut(parts, 0.5)
    assert windows.valid.all(axis=1).all()
    assert len(set(windows.start)) == len(windows)


def test_rows_that_no_answer_came_for_are_told_and_part_nothing() -> None:
    log = sine(4.0, (0.0, 4.0))
    table = log["joint_position"]
    shown = np.arange(len(table))
    shown[[100, 101, 500]] = [99, 99, 499]
    log.channels["joint_position"] = table.rows(shown)
    [part], [said] = acting_recordings([log], load_robot("qube").description, None)
    assert len(part.time) == 997
    assert said == (
        "a.npz: 3 rows of joint_position are dropped: they repeat the one before, stamp and all, since "
        "no answer came"
    )


def with_authority(log: RobotLog, *dips: float) -> RobotLog:
    """A log that tells authority, full but for a cycle here and there."""
    time = log["joint_position"].time
    full = np.ones((len(time), 1))
    full[np.searchsorted(time, dips)] = 0.5
    log.channels["authority"] = Channel(time, full, ("authority",), ("1",))
    return log


@pytest.mark.parametrize("dip", [0.3, 2.0])
def test_a_cycle_without_full_authority_parts_nothing(dip: float) -> None:
    log = with_authority(sine(4.0, (0.0, 4.0)), dip)
    [part], told = acting_recordings([log], load_robot("qube").description, None)
    assert (part.name, told) == ("a.npz", [])
    assert part.time[-1] == pytest.approx(3.996)


def test_of_gaps_everywhere_no_authority_is_blamed() -> None:
    log = with_authority(sine(4.0, (0.0, 4.0)))
    table = log["joint_position"]
    log.channels["joint_position"] = table.rows(np.flatnonzero(table.time % 0.5 < 0.35))
    with pytest.raises(UserError, match=r"nowhere are there 0\.5 s with commands and without a gap"):
        acting_recordings([log], load_robot("qube").description, None)
