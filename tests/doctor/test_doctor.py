"""Each check against a computer made of files, or against this one where that can be."""

import json
import os
import resource
import struct
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from simreal.cli.main import cli
from simreal.deploy.histogram import Percentiles
from simreal.doctor import Diagnosis, verdict
from simreal.doctor.devices import can_interfaces, input_devices, modem_manager, serial_ports
from simreal.doctor.disk import disk
from simreal.doctor.graphics import graphics
from simreal.doctor.installation import clashes, requirements, versions
from simreal.doctor.real_time import (
    governor,
    idle_states,
    kernel,
    locked_memory,
    priority,
    throttling,
)
from simreal.doctor.wake_test import judged, lateness, timers

Files = Callable[[dict[str, str | bytes]], Path]


@pytest.fixture
def computer(tmp_path: Path) -> Files:
    """Makes files of a computer below a root."""

    def make(files: dict[str, str | bytes]) -> Path:
        for name, content in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return tmp_path

    return make


def _only(found: object) -> Diagnosis:
    [diagnosis] = list(found)  # type: ignore[call-overload]
    assert isinstance(diagnosis, Diagnosis)
    return diagnosis


def test_a_real_time_kernel_is_known(computer: Files) -> None:
    assert _only(kernel(computer({}))).status == "note"
    assert "PREEMPT_RT" in _only(kernel(computer({"sys/kernel/realtime": "1\n"}))).what


@pytest.mark.parametrize(
    ("check", "limit", "bit"),
    [(priority, resource.RLIMIT_RTPRIO, 23), (locked_memory, resource.RLIMIT_MEMLOCK, 14)],
)
def test_rights_come_from_a_limit_or_from_a_capability(
    computer: Files,
    monkeypatch: pytest.MonkeyPatch,
    check: Callable[[Path], object],
    limit: int,
    bit: int,
) -> None:
    granted = {limit: (0, 0)}
    monkeypatch.setattr(resource, "getrlimit", granted.__getitem__)
    root = computer({"proc/self/status": "Name:\tx\nCapEff:\t0000000000000000\n"})
    refused = _only(check(root))
    assert refused.status == "warning"
    assert "limits.d" in refused.mend
    computer({"proc/self/status": f"CapEff:\t{1 << bit:016x}\n"})
    assert _only(check(root)).status == "ok"
    computer({"proc/self/status": "CapEff:\t0000000000000000\n"})
    granted[limit] = (resource.RLIM_INFINITY,) * 2
    assert _only(check(root)).status == "ok"


@pytest.mark.parametrize(
    ("runtime", "status", "words"),
    [("950000", "ok", "95 %"), ("-1", "ok", "100 %"), ("0", "problem", "0 %")],
)
def test_the_share_of_real_time(computer: Files, runtime: str, status: str, words: str) -> None:
    folder = "proc/sys/kernel/sched_rt_"
    found = _only(
        throttling(computer({f"{folder}runtime_us": runtime, f"{folder}period_us": "1000000\n"}))
    )
    assert found.status == status
    assert words in found.what


def test_one_slow_governor_is_enough(computer: Files) -> None:
    file = "sys/devices/system/cpu/cpu{}/cpufreq/scaling_governor"
    assert _only(governor(computer({}))).status == "ok"
    root = computer({file.format(0): "performance\n", file.format(1): "performance\n"})
    assert _only(governor(root)).status == "ok"
    computer({file.format(1): "powersave\n"})
    assert _only(governor(root)).status == "warning"
    assert "scaling_governor" in _only(governor(root)).mend


def test_deep_sleep_is_a_warning_unless_somebody_forbids_it(computer: Files) -> None:
    idle = "sys/devices/system/cpu/cpu0/cpuidle/state{}/latency"
    root = computer({idle.format(0): "1\n", idle.format(1): "890\n"})
    assert "890 us" in _only(idle_states(root)).what
    computer({"dev/cpu_dma_latency": struct.pack("=i", 2_000_000_000)})
    assert _only(idle_states(root)).status == "warning"
    computer({"dev/cpu_dma_latency": struct.pack("=i", 0)})
    assert _only(idle_states(root)).status == "ok"


def test_the_wake_test_measures_this_computer() -> None:
    late = lateness(os.SCHED_OTHER, 50)
    assert late is not None
    assert late["count"] == 50
    assert 0 < late["p50_ms"] <= late["p99_ms"] <= late["max_ms"]


def test_a_policy_that_is_refused_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.sched_setscheduler

    def refuse(process: int, policy: int, parameter: os.sched_param) -> None:
        if policy == os.SCHED_FIFO:
            raise PermissionError
        real(process, policy, parameter)

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    monkeypatch.setattr("simreal.doctor.wake_test.CYCLES", 20)
    assert [found.status for found in timers(Path("/"))][1] == "note"


def _late(p99_ms: float, max_ms: float) -> Percentiles:
    return Percentiles(count=500, p50_ms=0.1, p90_ms=0.2, p99_ms=p99_ms, max_ms=max_ms)


@pytest.mark.parametrize(
    ("late", "status", "says"),
    [
        (_late(0.1, 0.5), "ok", "fit for real time"),
        (_late(7.8, 9.0), "warning", "fit for slow rates, some 10 Hz, not for real time: wake-up"),
        (_late(0.9, 30.0), "warning", "fit for slow rates"),
        (_late(40.0, 60.0), "problem", "not fit to control a robot: wake-up"),
        (_late(7.8, 271.0), "problem", "not fit to control a robot: wake-up"),
    ],
)
def test_a_wake_up_is_judged_by_how_late_it_is(late: Percentiles, status: str, says: str) -> None:
    found = judged("wake-up", late, is_the_loops=True)
    assert found.status == status
    assert verdict([found, Diagnosis("problem", "disk", "full")]).startswith(says)


def test_lateness_without_priority_decides_only_where_a_loop_has_none() -> None:
    unlike = [judged("wake-up", _late(*each), is_the_loops=False) for each in ((7.8, 9.0), (7.8, 271.0))]
    assert [each.status for each in unlike] == ["warning", "warning"]
    assert "bearable at 10 Hz" in unlike[0].what
    assert "go passive in mid-run" in unlike[1].what
    assert verdict(unlike).startswith("fit for real time")


def test_without_rights_a_computer_is_fit_for_slow_rates(
    computer: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (0, 0))
    root = computer({"proc/self/status": "CapEff:\t0000000000000000\n"})
    found = [*priority(root), *locked_memory(root), judged("wake-up", _late(0.1, 0.5), True)]
    assert verdict(found).endswith("not for real time: real-time priority, locked memory")


def test_a_slow_usb_adapter_and_one_that_may_not_be_opened(
    computer: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    timer = "sys/bus/usb-serial/devices/{}/latency_timer"
    root = computer(
        {
            "dev/ttyUSB0": "",
            "dev/ttyUSB1": "",
            "dev/ttyACM0": "",
            timer.format("ttyUSB0"): "16\n",
            timer.format("ttyUSB1"): "1\n",
        }
    )
    monkeypatch.setattr(os, "access", lambda path, mode: path.name != "ttyACM0")
    found = {each.check: each for each in serial_ports(root)}
    assert found["serial port ttyUSB0"].status == "ok"
    assert found["serial port ttyACM0"].status == "problem"
    assert "usermod -aG" in found["serial port ttyACM0"].mend
    assert found["latency timer of ttyUSB0"].what.startswith("16 ms")
    assert (
        "tee /sys/bus/usb-serial/devices/ttyUSB0/latency_timer" in found["latency timer of ttyUSB0"].mend
    )
    assert found["latency timer of ttyUSB1"].status == "ok"
    assert len(found) == 5


def test_can_interfaces_are_told_from_others(computer: Files) -> None:
    net = "sys/class/net/{}/{}"
    root = computer({net.format("eth0", "type"): "1\n", net.format("eth0", "flags"): "0x1003\n"})
    assert _only(can_interfaces(root)).what == "no interface"
    for name, flags in (("can0", "0x40080"), ("can1", "0x40081")):
        computer({net.format(name, "type"): "280\n", net.format(name, "flags"): f"{flags}\n"})
    down, up = can_interfaces(root)
    assert (down.check, down.status, up.status) == ("CAN can0", "warning", "ok")
    assert "ip link set can0 up type can bitrate" in down.mend


def test_gamepads_and_modem_manager(computer: Files) -> None:
    root = computer({"proc/17/comm": "bash\n", "sys/class/input/event0/device/uevent": "x"})
    assert _only(input_devices(root)).what == "none is plugged in"
    assert list(modem_manager(root)) == []
    computer(
        {
            "proc/18/comm": "ModemManager\n",
            "sys/class/input/js0/device/event5/uevent": "x",
            "dev/input/event5": "",
        }
    )
    assert _only(input_devices(root)).check == "gamepad event5"
    assert _only(modem_manager(root)).status == "warning"


def test_a_backend_that_renders_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simreal.doctor.graphics.BACKENDS", {"mirror": ("Mirror", "libmirror1")})
    found = _only(graphics(Path("/")))
    assert (found.status, found.mend) == ("warning", "sudo apt install libmirror1")
    assert "mirror" in found.what


@pytest.mark.parametrize(
    ("given", "speeds", "status", "mend"),
    [
        ("", {"egl": 900.0, "osmesa": 400.0}, "ok", ""),
        ("osmesa", {"egl": 900.0, "osmesa": 400.0}, "note", "export MUJOCO_GL=egl"),
        ("", {"egl": "no library", "osmesa": 400.0}, "note", "export MUJOCO_GL=osmesa"),
        ("egl", {"egl": "no library", "osmesa": 400.0}, "warning", "export MUJOCO_GL=osmesa"),
        ("glfw", {"egl": "no library", "osmesa": 400.0}, "note", "export MUJOCO_GL=osmesa"),
    ],
)
def test_the_faster_way_to_pictures_is_chosen(
    given: str,
    speeds: dict[str, float | str],
    status: str,
    mend: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MUJOCO_GL", given)
    monkeypatch.setattr("simreal.doctor.graphics.pictures_per_second", speeds.__getitem__)
    *ways, chosen = graphics(Path("/"))
    assert [way.status for way in ways] == [
        "ok" if isinstance(found, float) else "note" for found in speeds.values()
    ]
    assert (chosen.check, chosen.status, chosen.mend) == ("pictures", status, mend)


def _install(folder: Path, name: str, number: str, *files: str) -> None:
    information = folder / f"{name.replace('-', '_')}-{number}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {number}\n")
    (information / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.mark.long
def test_two_packages_that_bring_one_module_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _install(tmp_path, "wheel-of-fortune", "1.0", "wheel_module/__init__.py")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("simreal.doctor.installation.IMPORTS", {"wheel_module": "wheel-of-fortune"})
    assert [each for each in clashes(tmp_path) if each.status == "problem"] == []
    _install(tmp_path, "wheel-of-misfortune", "2.0", "wheel_module/__init__.py", "wheel_module/x.py")
    [found] = [each for each in clashes(tmp_path) if each.status == "problem"]
    assert "wheel-of-fortune and wheel-of-misfortune" in found.what
    assert found.mend.startswith("pip uninstall -y wheel-of-fortune wheel-of-misfortune && pip install")


def test_a_package_in_a_version_that_breaks_simreal_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {each.check for each in requirements(tmp_path) if each.status == "problem"}
    _install(tmp_path, "mujoco", "4.0.0")
    monkeypatch.syspath_prepend(tmp_path)
    assert version("mujoco") == "4.0.0"
    found = {each.check: each for each in requirements(tmp_path) if each.check not in before}
    mujoco = found["requirement mujoco"]
    assert mujoco.status == "problem"
    assert mujoco.what.startswith("4.0.0 is installed")
    assert mujoco.mend in ("pip install 'mujoco>=3.17,<4'", "pip install 'mujoco<4,>=3.17'")


def test_a_torch_for_cuda_is_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _install(tmp_path, "torch", "2.13.0+cu130")
    monkeypatch.syspath_prepend(tmp_path)
    assert [each.check for each in clashes(tmp_path) if each.status == "note"] == ["torch"]


def test_versions_name_what_matters() -> None:
    found = _only(versions(Path("/"))).what
    for name in ("Python 3", "simreal", "numpy", "mujoco", "onnxruntime"):
        assert name in found


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "GB free here" in _only(disk(tmp_path)).what
    monkeypatch.setattr("simreal.doctor.disk.SCARCE", 1e18)
    assert _only(disk(tmp_path)).status == "warning"


def test_doctor_on_this_computer_in_both_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simreal.doctor.wake_test.CYCLES", 20)
    runner = CliRunner()
    as_json = runner.invoke(cli, ["doctor", "--json"])
    found = json.loads(as_json.stdout)
    broken = any(each["status"] == "problem" for each in found)
    assert as_json.exit_code == int(broken)
    checks = {each["check"] for each in found}
    assert {"kernel", "real-time priority", "pictures by EGL", "pictures by OSMesa"} <= checks
    assert all(each["mend"] for each in found if each["status"] in ("warning", "problem"))
    monkeypatch.setattr("simreal.doctor.graphics.BACKENDS", {})
    text = runner.invoke(cli, ["doctor"])
    assert text.exit_code == int("\n0 problems" not in text.output)  # a wake-up may be late once
    assert "as they should be" in text.output
    assert text.output.splitlines()[-1].startswith(("verdict: fit for", "verdict: not fit"))
