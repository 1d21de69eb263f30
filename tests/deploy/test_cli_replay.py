"""`simreal replay`, as a user calls it."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy


def test_replay_says_identical_and_what_deviates(
    policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, other = policy_file(bias=0.05), policy_file("other.onnx", bias=0.06)
    log = tmp_path / "flight.mcap"
    cycles = deploy(load_policy(path), open_driver("sim", "qube"), 0.3, log).cycles
    runner = CliRunner()
    same = runner.invoke(cli, ["replay", str(log), str(path)])
    assert same.exit_code == 0, same.output
    assert f"{cycles} cycles: observations and actions identical, bit for bit" in same.output
    differs = runner.invoke(cli, ["replay", str(log), str(other)])
    assert differs.exit_code == 1
    assert "another policy made this log" in differs.output
    assert re.search(r"first deviation: cycle \d+: action motor: logged 0.05", differs.output)
    as_json = json.loads(runner.invoke(cli, ["replay", str(log), str(other), "--json"]).stdout)
    assert as_json["other_policy"] is True and as_json["identical"] is False
    assert as_json["deviations"]["action motor"]["cycles"] == as_json["cycles"] == cycles
