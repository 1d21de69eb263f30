"""Whether pictures can be made without a screen, and how best: each way is tried by making some."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from simreal.doctor.diagnosis import Diagnosis, Status

PATIENCE = 60.0
"""s for a library that compiles its shaders at first."""
BACKENDS = {
    "egl": ("EGL", "libegl1 libgl1-mesa-dri"),
    "osmesa": ("OSMesa", "libosmesa6"),
}
"""Value of MUJOCO_GL to its name, and to the Debian packages that bring it."""
DEFAULT = "egl"
"""What is taken without a screen where MUJOCO_GL is not set: see `simreal.physics.picture`."""
PICTURES = 20
PIXELS = 84
"""Of the pictures that are counted, each way, as policies see them."""
PICTURE = f"""
import time
import mujoco
model = mujoco.MjModel.from_xml_string(
    '<mujoco><worldbody><light pos="0 0 3"/><geom size="0.5" rgba="1 0 0 1"/>'
    '<camera name="above" pos="0 0 2"/></worldbody></mujoco>'
)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
model.vis.quality.offsamples = 0
with mujoco.Renderer(model, {PIXELS}, {PIXELS}) as renderer:
    renderer.update_scene(data, "above")
    for costly in ("SHADOW", "REFLECTION", "SKYBOX", "HAZE", "FOG"):
        renderer.scene.flags[getattr(mujoco.mjtRndFlag, "mjRND_" + costly)] = 0
    picture = renderer.render()
    middle = picture[{PIXELS} // 2, {PIXELS} // 2]
    began = time.perf_counter()
    for _ in range({PICTURES}):
        renderer.update_scene(data, "above")
        renderer.render()
    took = time.perf_counter() - began
print({PICTURES} / took if middle[0] > 3 * middle[1] else "black")
os = __import__("os")
os._exit(0)  # some libraries crash when they are put away
"""
"""Prints how many there are in a second; nothing is drawn that costs much in software."""


def graphics(root: Path) -> Iterator[Diagnosis]:
    """Each backend that MuJoCo has for a computer without a screen; one is enough."""
    tried = {backend: pictures_per_second(backend) for backend in BACKENDS}
    speeds = {backend: found for backend, found in tried.items() if isinstance(found, float)}
    for backend, (name, packages) in BACKENDS.items():
        check, found = f"pictures by {name}", tried[backend]
        if isinstance(found, float):
            what = f"MUJOCO_GL={backend} renders {found:.0f} pictures/s of {PIXELS} x {PIXELS}"
            yield Diagnosis("ok", check, what)
        else:
            # One that works is enough.
            status: Status = "note" if speeds else "warning"
            yield Diagnosis(status, check, found, f"sudo apt install {packages}")
    if speeds:
        yield _choice(speeds)


def _choice(speeds: Mapping[str, float]) -> Diagnosis:
    """Which of those that work to use, and whether that is what is used here."""
    best = max(speeds, key=lambda backend: speeds[backend])
    name, given = BACKENDS[best][0], os.environ.get("MUJOCO_GL", "")
    mend = f"export MUJOCO_GL={best}"
    if given in BACKENDS and given not in speeds:
        return Diagnosis("warning", "pictures", f"MUJOCO_GL={given} is set, which gives none", mend)
    if (given or DEFAULT) == best:
        return Diagnosis("ok", "pictures", f"by {name}, the fastest here")
    return Diagnosis("note", "pictures", f"{name} is the fastest here", mend)


def pictures_per_second(backend: str) -> float | str:
    """Or why there are none."""
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
    try:
        return float(done.stdout)
    except ValueError:
        return "the picture is black"
