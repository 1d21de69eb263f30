"""A robot of known parameters, and logs of it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from simreal.identification.recording import Recording
from simreal.identification.simulator import Setup, Simulator
from simreal.identification.unknowns import read_asked
from simreal.identification.windows import Windows
from simreal.robots import Robot
from simreal.robots.loader import RobotConfig

LINK = """
<mujoco model="link">
  <compiler angle="radian"/>
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <body name="link">
      <joint name="hinge" axis="0 1 0" damping="0.05" frictionloss="0.05" armature="0.002"/>
      <inertial pos="0 0 -0.2" mass="0.5" diaginertia="0.008 0.008 0.001"/>
    </body>
  </worldbody>
  <actuator><motor name="motor" joint="hinge" ctrlrange="-10 10"/></actuator>
</mujoco>"""

PERIOD = 0.004


@pytest.fixture
def link(tmp_path: Path) -> Robot:
    """A link of 0.5 kg that hangs on a motor with friction."""
    path = tmp_path / "link.xml"
    path.write_text(LINK)
    motor = {"name": "motor", "joint": "hinge", "command": "effort", "unit": "N·m"}
    description = {
        "name": "link",
        "joints": [{"name": "hinge"}],
        "actuators": [motor | {"lower": -10.0, "upper": 10.0}],
    }
    return Robot(RobotConfig.model_validate({"description": description}), path)


Record = Callable[..., Recording]


@pytest.fixture
def record(link: Robot) -> Record:
    """Records the link with other parameters, ``name=value`` in their own units or factors."""

    def make(
        truth: dict[str, float],
        seconds: float = 6.0,
        seed: int = 0,
        noise: float = 1e-3,
        group: str = "multisine 1",
        timestep: float | None = None,
    ) -> Recording:
        return recorded(Setup(link, timestep=timestep), truth, seconds, seed, noise, group)

    return make


def recorded(
    setup: Setup, truth: dict[str, float], seconds: float, seed: int, noise: float, group: str
) -> Recording:
    """A multisine of random phases, played on a robot that stands still at first."""
    random = np.random.default_rng(seed)
    time = PERIOD * np.arange(round(seconds / PERIOD) + 1)
    frequency = np.array([0.4, 0.9, 1.7, 2.9])
    phase = random.uniform(0.0, 2.0 * np.pi, frequency.size)
    command = 0.7 * np.sin(2.0 * np.pi * time[:, None] * frequency + phase).sum(axis=1, keepdims=True)
    nothing = np.zeros((len(time), 1))
    silent = Recording("synthetic", group, time, command, time, nothing, None)
    simulator = Simulator(setup, unbroken(silent), [read_asked(name) for name in truth])
    position = simulator.predict(np.array([list(truth.values())]))[0, 0, :, 0]
    position = position + random.normal(0.0, noise, position.shape)
    return Recording("synthetic", group, time, command, time, position, None)


def unbroken(recording: Recording) -> Windows:
    """The whole of a recording of one joint as one window, from rest at zero."""
    return Windows(
        (recording,),
        np.zeros(1, dtype=np.int64),
        np.zeros(1),
        float(recording.time[-1]),
        recording.time[None],
        recording.position[None],
        None,
        np.ones((1, len(recording.time)), dtype=bool),
        np.zeros((1, 2, 1)),
        np.ones((1, 2, 1)),
        None,
    )
