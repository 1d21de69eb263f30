"""Whether pictures can be made without a screen: each way is tried by making one."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from simreal.doctor.diagnosis import Diagnosis, Status

PATIENCE = 60.0
"""s for a library that compiles its shaders at first."""
BACKENDS = {
    "egl": ("EGL", "libegl1 libgl1-mesa-dri"),
    "osmesa": ("OSMesa", "libosmesa6"),
}
"""Value of MUJOCO_GL to its name, and to the Debian packages that bring it."""
PICTURE = """
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom size="0.5" rgba="1 0 0 1"/>'
    '<camera name="above" pos="0 0 2"/></worldbody></mujoco>'
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
with mujoco.Renderer(model, 32, 32) as renderer:
    renderer.update_scene(data, "above")
    picture = renderer.render()
print("picture" if picture[16, 16, 0] > 3 * picture[16, 16, 1] else "black")
os = __import__("os")
os._exit(0)  # some libraries crash when they are put away
"""


def graphics(root: Path) -> Iterator[Diagnosis]:
    """Each backend that MuJoCo has for a computer without a screen; one is enough."""
    found = {backend: _failure(backend) for backend in BACKENDS}
    works = [backend for backend, failure in found.items() if failure is None]
    for backend, (name, packages) in BACKENDS.items():
        check, failure = f"pictures by {name}", found[backend]
        if failure is None:
            yield Diagnosis("ok", check, f"MUJOCO_GL={backend} renders")
        else:
            # One that works is enough.
            status: Status = "note" if works else "warning"
            yield Diagnosis(status, check, failure, f"sudo apt install {packages}")


def _failure(backend: str) -> str | None:
    """Why no picture came of it, or None."""
    command = [sys.executable, "-P", "-c", PICTURE]
    environment = os.environ | {"MUJOCO_GL": backend, "PYOPENGL_PLATFORM": backend}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no picture within {PATIENCE:g} s"
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        return lines[-1][:200] if lines else f"ended by {done.returncode}"
    return None if done.stdout.strip() == "picture" else "the picture is black"
