"""A person steers a robot while it runs: over the real socket, into the real loop."""

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from simreal.deploy.commands.network import Network
from simreal.deploy.commands.steering import Steering
from simreal.deploy.drivers import open_driver
from simreal.deploy.loop import deploy
from simreal.deploy.policy import load_policy
from simreal.deploy.replay import replay
from simreal.logs.messages import read_messages

PATIENCE = 60.0


def test_a_robot_waits_runs_stops_at_once_and_runs_again_when_that_is_cleared(
    policy_file: Callable[..., Path], tmp_path: Path
) -> None:
    policy, log = load_policy(policy_file(bias=0.02)), tmp_path / "flight.mcap"
    ear = Network("127.0.0.1", 0)
    address = ("127.0.0.1", ear.port)
    source = Steering(policy.contract.commands, ear)
    driver = open_driver("sim", "qube")
    ended = []
    thread = threading.Thread(target=lambda: ended.append(deploy(policy, driver, None, log, source)))
    thread.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b'{"wish": "run"}', address)  # before anybody could mean this run
        while not source.begun:
            time.sleep(0.01)
        for content, wait in (
            ({}, 0.4),
            ({"wish": "run"}, 0.4),
            ({"stop": "it smells"}, 0.4),
            ({"wish": "run"}, 0.2),
            ({"wish": "clear"}, 0.2),
            ({"wish": "run"}, 0.4),
            ({"wish": "end"}, 0.0),
        ):
            # Whoever is silent for half a second is lost, and asks the robot to hold.
            until = time.monotonic() + wait
            sender.sendto(json.dumps(content).encode(), address)
            while time.monotonic() < until:
                time.sleep(0.1)
                sender.sendto(b"{}", address)
    thread.join(PATIENCE)
    assert not thread.is_alive()
    [outcome] = ended
    assert (outcome.ended_by, outcome.fault) == ("operator", None)
    read = read_messages(log)
    told = " | ".join(read.events())
    assert "remote stop: it smells" in told
    phases = [message["phase"] for message in read.messages["/supervisor"]]
    order = [now for before, now in zip(["", *phases], phases, strict=False) if now != before]
    assert order[:5] == ["idle", "running", "fault", "idle", "running"]
    fault = [place for place, phase in enumerate(phases) if phase == "fault"]
    assert len(fault) > 5  # it stayed, although it was told to run
    found = replay(read, policy)
    assert found.identical, found.first
