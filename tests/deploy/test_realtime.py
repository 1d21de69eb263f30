"""Real-time scheduling, in processes of its own: with all privileges that there are, and with none."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import gc, os, sys, threading
{before}
from simreal.deploy.realtime import RealTime, real_time, warning
with real_time(RealTime(50, {cpu})) as refused:
    scheduler = os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK
    inside = scheduler, gc.isenabled(), gc.get_freeze_count() > 0
    found = []
    thread = threading.Thread(target=lambda: found.append(os.sched_getscheduler(0)))
    thread.start(); thread.join()
    locked = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmLck")]
print(inside, found[0] == os.SCHED_OTHER, int(locked[0]) > 1000, len(refused))
print(os.sched_getscheduler(0) == os.SCHED_OTHER, gc.isenabled(), gc.get_freeze_count())
print(warning(refused) if refused else "", file=sys.stderr)
"""
DROP = "import resource; resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536)); os.setuid(65534)"


def _run(before: str, cpu: int | None = None) -> tuple[list[str], str]:
    program = PROGRAM.format(before=before, cpu=cpu)
    found = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    return found.stdout.splitlines(), found.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs privileges")
def test_with_privileges_everything_holds_inside_and_nothing_after() -> None:
    (inside, after), _ = _run("")
    assert inside == f"({os.SCHED_FIFO}, False, True) True True 0"
    assert after == "True True 0"


@pytest.mark.skipif(os.geteuid() != 0, reason="gives privileges away")
def test_without_them_one_warning_names_the_commands() -> None:
    (inside, after), error = _run("from simreal.deploy.realtime import real_time\n" + DROP, cpu=999)
    assert inside == f"({os.SCHED_OTHER}, False, True) True False 3"
    assert after == "True True 0"
    for words in ("rtprio 99", "memlock unlimited", "--cpu", "--ulimit rtprio=99", "SCHED_FIFO 50"):
        assert words in error
