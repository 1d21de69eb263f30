"""What a log says of its making: which policy ran, and on what computer."""

import platform
from importlib.metadata import version
from pathlib import Path

from simreal.deploy.policy import Runnable
from simreal.logs.messages import SHADOW

POLICY_DIGEST = "policy_sha256"
PROCESSOR = "processor"
LIBRARIES = ("simreal", "numpy", "onnxruntime")
"""Those that a policy's numbers pass through."""
_CPU_FACTS = Path("/proc/cpuinfo")


def provenance_of(policy: Runnable, shadow: bool = False) -> dict[str, str]:
    """What to write into the log of a policy that is about to run here."""
    watched = {SHADOW: "true"} if shadow else {}
    return {POLICY_DIGEST: policy.digest, **watched, **this_computer()}


def this_computer() -> dict[str, str]:
    """The processor and the versions on which the last bit of a computation depends."""
    versions = {name: version(name) for name in LIBRARIES}
    return {PROCESSOR: processor(), "python": platform.python_version(), **versions}


def processor() -> str:
    """The model of this computer's processor, as it names itself."""
    try:
        lines = _CPU_FACTS.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())
