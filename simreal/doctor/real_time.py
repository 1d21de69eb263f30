"""What the kernel allows a control loop: priority, locked memory, an awake processor."""

import platform
import resource
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from simreal.deploy.realtime import RealTime, allow_memory, allow_priority
from simreal.doctor.diagnosis import Diagnosis

PRIORITY = RealTime().priority
CAP_IPC_LOCK, CAP_SYS_NICE = 14, 23
DEEP_IDLE_US = 100
"""An idle state that takes longer to leave delays a wake-up by what a loop notices."""
AGAIN = "then log in again"


def kernel(root: Path) -> Iterator[Diagnosis]:
    """Whether the kernel can be interrupted nearly everywhere (PREEMPT_RT)."""
    name = platform.release()
    if _text(root / "sys/kernel/realtime") == "1":
        yield Diagnosis("ok", "kernel", f"{name}, PREEMPT_RT")
    else:
        yield Diagnosis(
            "note",
            "kernel",
            f"{name} without PREEMPT_RT: wake-ups may come late by some ms under load",
            "sudo apt install linux-image-rt-amd64  # Debian; then boot it",
        )


def priority(root: Path) -> Iterator[Diagnosis]:
    """Whether this user may run a loop with SCHED_FIFO."""
    limit = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if _has_capability(root, CAP_SYS_NICE) or limit >= PRIORITY or limit == resource.RLIM_INFINITY:
        yield Diagnosis("ok", "real-time priority", f"SCHED_FIFO {PRIORITY} is allowed")
        return
    yield Diagnosis(
        "warning",
        "real-time priority",
        f"limit is {limit}, SCHED_FIFO {PRIORITY} is refused: any busy program delays the loop",
        f"{allow_priority()}  # {AGAIN}; in a container: --ulimit rtprio=99 --cap-add sys_nice",
        fit="slow rates",
    )


def locked_memory(root: Path) -> Iterator[Diagnosis]:
    """Whether this user may keep the loop's memory from being paged out."""
    limit = resource.getrlimit(resource.RLIMIT_MEMLOCK)[0]
    if _has_capability(root, CAP_IPC_LOCK) or limit == resource.RLIM_INFINITY:
        yield Diagnosis("ok", "locked memory", "no limit")
        return
    yield Diagnosis(
        "warning",
        "locked memory",
        f"limit is {limit / 2**20:.0f} MiB, a control process needs more: page faults may stop it",
        f"{allow_memory()}  # {AGAIN}; in a container: --ulimit memlock=-1",
        fit="slow rates",
    )


def throttling(root: Path) -> Iterator[Diagnosis]:
    """What share of each second the kernel leaves to SCHED_FIFO."""
    folder = root / "proc/sys/kernel"
    runtime, period = (_number(folder / f"sched_rt_{name}_us") for name in ("runtime", "period"))
    if runtime is None or not period:
        return
    share = 1.0 if runtime < 0 else runtime / period
    text = f"SCHED_FIFO gets at most {100 * share:g} % of each second"
    if share < 0.5:
        mend = "sudo sysctl -w kernel.sched_rt_runtime_us=950000"
        yield Diagnosis("problem", "real-time throttling", text, mend, fit="slow rates")
    else:
        yield Diagnosis("ok", "real-time throttling", f"{text}; a loop that sleeps needs less")


def governor(root: Path) -> Iterator[Diagnosis]:
    """Whether the processor slows down between the cycles of a loop."""
    files = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq/scaling_governor"))
    found = sorted({_text(file) for file in files})
    if not files:
        yield Diagnosis("ok", "governor", "none: this kernel does not change the processor's speed")
    elif found == ["performance"]:
        yield Diagnosis("ok", "governor", "performance")
    else:
        yield Diagnosis(
            "warning",
            "governor",
            f"{', '.join(found)}: the processor is slow when a cycle begins",
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
        )


def idle_states(root: Path) -> Iterator[Diagnosis]:
    """Whether a processor may sleep so deeply that it wakes late."""
    states = (root / "sys/devices/system/cpu/cpu0/cpuidle").glob("state*")
    slowest = max((_number(state / "latency") or 0 for state in states), default=0)
    allowed = _allowed_latency(root / "dev/cpu_dma_latency")
    if min(slowest, slowest if allowed is None else allowed) <= DEEP_IDLE_US:
        yield Diagnosis("ok", "idle states", f"a sleeping processor wakes within {slowest} us")
        return
    yield Diagnosis(
        "warning",
        "idle states",
        f"a sleeping processor may take {slowest} us to wake",
        "sudo sh -c 'exec 3>/dev/cpu_dma_latency; printf \"\\0\\0\\0\\0\" >&3; sleep infinity' &"
        "  # as long as it runs",
    )


def _allowed_latency(device: Path) -> int | None:
    """us, the longest wake-up that somebody asked for; None where it cannot be read."""
    with suppress(OSError, struct.error):
        latency: int = struct.unpack("=i", device.read_bytes()[:4])[0]
        return latency
    return None


def _has_capability(root: Path, number: int) -> bool:
    lines = _text(root / "proc/self/status").splitlines()
    masks = [line.split()[1] for line in lines if line.startswith("CapEff:")]
    return bool(masks) and bool(int(masks[0], 16) >> number & 1)


def _text(path: Path) -> str:
    with suppress(OSError):
        return path.read_text("utf-8", errors="replace").strip()
    return ""


def _number(path: Path) -> int | None:
    with suppress(ValueError):
        return int(_text(path))
    return None
