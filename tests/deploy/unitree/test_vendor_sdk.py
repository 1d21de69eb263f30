"""The vendor's own Python SDK against our emulator. It is no dependency of ours: name its Python.

python3 -m venv sdk && sdk/bin/pip install --no-deps unitree-sdk2py-dimos cyclonedds numpy rich-click
SIMREAL_UNITREE_SDK=sdk/bin/python pytest tests/deploy/unitree/test_vendor_sdk.py
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("cyclonedds")

from .test_dds import Emulator, _domain

SDK = os.environ.get("SIMREAL_UNITREE_SDK", "")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not Path(SDK).is_file(), reason="SIMREAL_UNITREE_SDK names no Python"),
]


def test_its_publisher_subscriber_and_motion_switcher_client_work(tmp_path: Path) -> None:
    emulator = Emulator(tmp_path / "emulator.log", "--controller", "normal")
    try:
        client = Path(__file__).with_name("vendor_client.py")
        ran = subprocess.run(
            [SDK, client, str(_domain())], capture_output=True, text=True, timeout=60, cwd=tmp_path
        )
        assert ran.returncode == 0, ran.stderr
        said = json.loads(ran.stdout.strip().splitlines()[-1])
        assert said["before"] == [0, {"form": "0", "name": "normal"}]
        assert said["released"][0] == 0
        assert said["after"][1]["name"] == ""
        assert said["states"] > 100
        assert said["head"] == [0xFE, 0xEF]
        assert said["own_crc"] == said["crc"]
        assert said["soc"] == 87
        assert said["voltage"] == pytest.approx(28.8)
        assert said["q"] == pytest.approx([0.0, 0.9, -1.8] * 4, abs=0.15)
        assert emulator.end() == 0
        summary = emulator.await_line("commands obeyed")
        assert " 0 not" in summary
    finally:
        emulator.process.kill()
        emulator.process.wait()
