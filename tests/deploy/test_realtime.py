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
LIBRARIES = """
import os, threading, time
before = {int(each) for each in os.listdir("/proc/self/task")}
import numpy
theirs = {int(each) for each in os.listdir("/proc/self/task")} - before
ours = threading.Thread(target=time.sleep, args=(60.0,), daemon=True)
ours.start()
from simreal.deploy.realtime import RealTime, real_time

def priorities():
    each = [os.sched_getparam(thread).sched_priority for thread in theirs]
    return each, os.sched_getparam(ours.native_id).sched_priority

with real_time(RealTime(50)):
    print(len(theirs) > 0, set(priorities()[0]), priorities()[1])
print(set(priorities()[0]), priorities()[1])
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


@pytest.mark.skipif(os.geteuid() != 0, reason="needs privileges")
def test_threads_of_libraries_are_nearly_as_urgent_and_python_s_own_are_not() -> None:
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}  # which begins a thread of its own
    found = subprocess.run(
        [sys.executable, "-P", "-c", LIBRARIES], capture_output=True, text=True, env=environment
    )
    assert found.stdout.splitlines() == ["True {49} 0", "{0} 0"], found.stderr
