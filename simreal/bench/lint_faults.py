"""Faults for `simreal lint` to find: a sound experiment, a sound model, and what is spoilt in them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MODEL = """\
<mujoco model="planted">
  <compiler angle="radian" autolimits="true"/>
  <option timestep="0.002" integrator="implicitfast"/>
  <worldbody>
    <geom name="table" type="plane" size="1 1 0.1" condim="6" friction="0.5 0.01 0.001"/>
    <body name="stand" pos="0 0.5 0.1">
      <geom name="stand" type="box" size="0.05 0.05 0.05" contype="0" conaffinity="0" mass="1"/>
    </body>
    <body name="arm" pos="0 0 0.1">
      <inertial pos="0 0 -0.02" mass="0.1" diaginertia="1e-4 1e-4 1e-4"/>
      <joint name="sag" type="slide" axis="0 0 1"/>
      <joint name="arm" type="hinge" axis="0 0 1" range="-2 2" damping="1e-4"/>
      <geom name="pad" size="0.02" pos="0.05 0 -0.08" condim="6" friction="0.6 0.02 0.002"/>
      <body name="pendulum" pos="0.085 0 0">
        <inertial pos="0 0 -0.03" mass="0.02" diaginertia="2e-5 2e-5 1e-6"/>
        <joint name="pendulum" type="hinge" axis="1 0 0" damping="1e-5"/>
        <geom name="rod" size="0.004" pos="0 0 -0.06" contype="0" conaffinity="0"/>
      </body>
    </body>
  </worldbody>
  <contact>
    <exclude body1="arm" body2="pendulum"/>
  </contact>
  <actuator>
    <motor name="motor" joint="arm" ctrlrange="-0.4 0.4"/>
  </actuator>
  <sensor>
    <jointpos name="encoder" joint="arm"/>
  </sensor>
</mujoco>
"""

ROBOT: dict[str, Any] = {
    "description": {
        "name": "qube",
        "joints": [
            {"name": "arm", "lower": -2.0, "upper": 2.0, "velocity_limit": 60.0},
            {"name": "pendulum"},
        ],
        "actuators": [
            {
                "name": "motor",
                "joint": "arm",
                "command": "effort",
                "unit": "N·m",
                "lower": -0.4,
                "upper": 0.4,
            }
        ],
    }
}

EXPERIMENT = """\
robot: qube
task: qube_swingup
control_rate: 100
episode_length: 4
rewards: {upright: 1}
observation:
  - {source: joint_position}
  - {source: joint_velocity, scale: 0.1, clip: 10}
action: {scale: 0.4}
randomization:
  mass: {target: arm, distribution: {type: uniform, low: 0.8, high: 1.2}}
  friction: {target: pad, distribution: {type: uniform, low: 0.5, high: 1.5}}
  action_latency_ms: {distribution: {type: uniform, low: 0, high: 10}}
  encoder_noise: {distribution: {type: uniform, low: 0, high: 0.002}}
pins: {}
"""

SEEING = """\
cameras:
  - {name: a, width: 8, height: 8, mount: {position: [1, 0, 0], look_at: [0, 0, 0], field_of_view: 1}}
agent: sac
sac: {replay_size: 100_000_000_000}
"""


@dataclass(frozen=True, slots=True)
class Planted:
    """One fault.

    Attributes:
        name: what is wrong.
        check: which must find it.
        severity: that it must be given.
        model: text of the model to what stands there instead.
        experiment: text of the experiment to what stands there instead.
        robot: names in the description of the actuator to other values.
        sections: of `robot.yaml`, beside the description.
        at: text of the line on which it must be found; that of the last edit if empty.
        also: further checks that rightly find it.
    """

    name: str
    check: str
    severity: str = "error"
    model: Mapping[str, str] = field(default_factory=dict)
    experiment: Mapping[str, str] = field(default_factory=dict)
    robot: Mapping[str, Any] = field(default_factory=dict)
    sections: Mapping[str, Any] = field(default_factory=dict)
    at: str = ""
    also: tuple[str, ...] = ()


def _entry(
    name: str, check: str, severity: str, entry: str, model: Mapping[str, str] | None = None
) -> Planted:
    """A fault in one more entry of the randomization."""
    edit = {"pins: {}": f"  {entry}\npins: {{}}"}
    return Planted(name, check, severity, model or {}, edit, at=entry)


def _uniform(low: float, high: float) -> str:
    return f"distribution: {{type: uniform, low: {low}, high: {high}}}"


SERVO = {
    "<motor ": "<position ",
    'ctrlrange="-0.4 0.4"': 'ctrlrange="-0.4 0.4" kp="0.2" kv="0.01"',
}
TO_POSITION = {"command": "position", "unit": "rad"}
PAIR = '<pair geom1="pad" geom2="table"/>'
SCALE = _uniform(0.5, 1.5)

CASES = (
    Planted(
        "counts per turn for rad per count",
        "unit",
        sections={"sensing": {"encoder_resolution": 4096}},
        at="encoder_resolution",
    ),
    Planted(
        "bound of a joint's position in degrees",
        "unit",
        sections={"safety": {"joint_position": {"arm": [-117.0, 117.0]}}},
        at="arm:",
    ),
    Planted(
        "bound of a joint's speed in degrees per s",
        "unit",
        "warning",
        sections={"safety": {"joint_velocity": {"arm": 3600.0}}},
        at="arm: 3600",
    ),
    Planted(
        "stall of a servo in degrees",
        "unit",
        "warning",
        model=SERVO,
        robot=TO_POSITION,
        sections={"safety": {"stall": {"motor": 20.0}}},
        at="motor: 20",
    ),
    Planted(
        "observations that show nothing of the robot",
        "no-effect",
        "warning",
        experiment={
            "  - {source: joint_position}\n": "  - {source: previous_action}\n",
            "  - {source: joint_velocity, scale: 0.1, clip: 10}\n": "",
        },
        at="randomization:",
    ),
    Planted(
        "rewards without a weight",
        "no-effect",
        "warning",
        experiment={"rewards: {upright: 1}": "rewards: {upright: 0}"},
        at="rewards:",
    ),
    Planted(
        "mass without inertia",
        "inertia",
        model={'mass="0.1" diaginertia="1e-4 1e-4 1e-4"': 'mass="0.1" diaginertia="0 0 0"'},
        at='<body name="arm"',
    ),
    Planted(
        "inertia that no masses have",
        "inertia",
        model={'mass="0.02" diaginertia="2e-5 2e-5 1e-6"': 'mass="0.02" diaginertia="2e-5 5e-5 1e-6"'},
        at='<body name="pendulum"',
    ),
    Planted(
        "such an inertia, hidden by balanceinertia",
        "inertia",
        model={
            "<compiler ": '<compiler balanceinertia="true" ',
            'mass="0.02" diaginertia="2e-5 2e-5 1e-6"': 'mass="0.02" diaginertia="2e-5 5e-5 1e-6"',
        },
        at='<body name="pendulum"',
    ),
    Planted(
        "inertia in kg·cm²",
        "inertia",
        "warning",
        model={'mass="0.1" diaginertia="1e-4 1e-4 1e-4"': 'mass="0.1" diaginertia="1 1 1"'},
        at='<body name="arm"',
    ),
    Planted(
        "inertia in kg·m² of a model in mm",
        "inertia",
        "warning",
        model={'mass="0.1" diaginertia="1e-4 1e-4 1e-4"': 'mass="0.1" diaginertia="1e-10 1e-10 1e-10"'},
        at='<body name="arm"',
    ),
    Planted(
        "target that matches nothing",
        "name",
        experiment={"target: arm,": "target: amr,"},
    ),
    _entry(
        "actuator that does not exist", "name", "error", f"motor_strength: {{target: wheel, {SCALE}}}"
    ),
    _entry(
        "part of a parameter of the whole",
        "name",
        "error",
        f"sensor_latency_ms: {{target: arm, {_uniform(0, 5)}}}",
    ),
    Planted(
        "parameter that does not exist",
        "unreadable",
        experiment={"  encoder_noise: ": "  encoder_noice: "},
    ),
    Planted("pin of what is not drawn", "name", experiment={"pins: {}": "pins: {masss: 1}"}),
    Planted(
        "joint that is observed but not there",
        "name",
        experiment={"{source: joint_position}": "{source: joint_position, joints: [amr]}"},
    ),
    Planted(
        "joint that only robot.yaml has",
        "name",
        model={'<joint name="pendulum" type': '<joint name="swing" type'},
        at="<mujoco",
    ),
    Planted(
        "action latency beyond what can be simulated",
        "history",
        experiment={"low: 0, high: 10}": "low: 0, high: 1500}"},
    ),
    _entry(
        "sensor latency beyond what can be simulated",
        "history",
        "error",
        f"sensor_latency_ms: {{{_uniform(0, 1500)}}}",
    ),
    _entry(
        "jitter that only with the latency is too long",
        "history",
        "error",
        f"action_latency_jitter_ms: {{{_uniform(0, 995)}}}",
    ),
    Planted(
        "latency pinned beyond what can be simulated",
        "history",
        experiment={"pins: {}": "pins: {action_latency_ms: 2000}"},
    ),
    Planted(
        "latency as a multiple of the model's own delay",
        "history",
        model={'name="motor" joint="arm"': 'name="motor" delay="0.02" nsample="11" joint="arm"'},
        experiment={
            "action_latency_ms: {dist": "action_latency_ms: {operation: scale, dist",
            "low: 0, high: 10": "low: 1, high: 2",
        },
        at="action_latency_ms",
    ),
    Planted(
        "actuator whose delay exceeds its history",
        "history",
        model={'name="motor" joint="arm"': 'name="motor" delay="0.03" nsample="10" joint="arm"'},
        also=("excludes-model",),
    ),
    Planted(
        "sensor whose delay exceeds its history",
        "history",
        model={'name="encoder" joint="arm"': 'name="encoder" delay="0.03" nsample="10" joint="arm"'},
    ),
    _entry(
        "torsional friction with condim 3",
        "friction-axis",
        "error",
        f"torsional_friction: {{target: pad, {SCALE}}}",
        {
            'condim="6" friction="0.5': 'condim="3" friction="0.5',
            'condim="6" friction="0.6': 'friction="0.6',
        },
    ),
    _entry(
        "rolling friction with condim 4",
        "friction-axis",
        "error",
        f"rolling_friction: {{target: pad, {SCALE}}}",
        {
            'condim="6" friction="0.5': 'condim="3" friction="0.5',
            'condim="6" friction="0.6': 'condim="4" friction="0.6',
        },
    ),
    Planted(
        "friction with condim 1",
        "friction-axis",
        model={
            'condim="6" friction="0.5': 'condim="1" friction="0.5',
            'condim="6" friction="0.6': 'condim="1" friction="0.6',
        },
        at="  friction:",
    ),
    Planted(
        "friction of the geom of lower priority",
        "friction-axis",
        model={'<geom name="table"': '<geom name="table" priority="1"'},
        at="  friction:",
    ),
    Planted(
        "friction that an explicit pair overrides",
        "friction-axis",
        model={"  <contact>\n": f"  <contact>\n    {PAIR}\n"},
        at="  friction:",
    ),
    Planted(
        "friction that is less than the other geom's",
        "friction-axis",
        model={'friction="0.5 0.01': 'friction="2 0.01'},
        at="  friction:",
    ),
    Planted(
        "friction of a geom that touches nothing",
        "friction-axis",
        model={'<geom name="pad"': '<geom name="pad" contype="2" conaffinity="4"'},
        at="  friction:",
    ),
    Planted(
        "friction where contacts are disabled",
        "friction-axis",
        model={"<worldbody>": '<option><flag contact="disable"/></option>\n  <worldbody>'},
        at="  friction:",
    ),
    Planted(
        "radians that are read as degrees",
        "unit",
        model={'<compiler angle="radian" ': "<compiler "},
        at='<joint name="arm"',
    ),
    Planted(
        "degrees that are read as radians",
        "unit",
        model={'axis="1 0 0"': 'axis="1 0 0" range="-90 90"'},
    ),
    Planted(
        "servo with a range in degrees",
        "unit",
        "warning",
        model={
            "<motor ": "<position ",
            'ctrlrange="-0.4 0.4"': 'kp="0.01" ctrlrange="-90 90"',
        },
        experiment={"action: {scale: 0.4}": "action: {scale: 90}"},
        robot={"command": "position", "unit": "rad", "lower": -90.0, "upper": 90.0},
        at='<position name="motor"',
    ),
    Planted(
        "orientation in degrees",
        "unit",
        "warning",
        model={
            '<body name="stand" pos="0 0.5 0.1">': '<body name="stand" pos="0 0.5 0.1" euler="0 0 45">'
        },
    ),
    Planted(
        "orientation in radians that is read as degrees",
        "unit",
        "warning",
        model={
            "<compiler angle=": '<compiler angle="degree" alias=',
            ' alias="radian"': "",
            'range="-2 2"': 'range="-114.591559 114.591559"',
            '<body name="stand"': '<body name="stand" euler="0 0 1.57"',
        },
    ),
    Planted(
        "servo whose damping is too much for an explicit step",
        "timestep",
        model={
            ' integrator="implicitfast"': "",
            "<motor ": "<position ",
            'ctrlrange="-0.4 0.4"': 'ctrlrange="-0.4 0.4" kp="0.2" kv="0.3"',
        },
        robot=TO_POSITION,
        at='<position name="motor"',
    ),
    _entry("slope in degrees", "bounds", "error", f"floor_slope: {{{_uniform(-10, 10)}}}"),
    _entry("bias in degrees", "unit", "warning", f"encoder_bias: {{{_uniform(-2, 2)}}}"),
    _entry("bias of a few degrees", "unit", "warning", f"encoder_bias: {{{_uniform(-0.5, 0.5)}}}"),
    Planted(
        "friction of many times the model's own",
        "excludes-model",
        "warning",
        experiment={"low: 0.5, high: 1.5": "low: 0.5, high: 150"},
    ),
    _entry(
        "reference in degrees", "unit", "error", f"joint_reference: {{target: arm, {_uniform(-45, 45)}}}"
    ),
    Planted(
        "negative mass",
        "bounds",
        experiment={"low: 0.8, high: 1.2": "low: -0.8, high: 1.2"},
    ),
    _entry(
        "probability above 1",
        "bounds",
        "error",
        f"command_drop_probability: {{{_uniform(0, 10)}}}",
    ),
    _entry(
        "bounds that two entries leave together",
        "bounds",
        "error",
        f"lighter: {{parameter: mass, operation: add, target: arm, {_uniform(-0.09, 0)}}}",
    ),
    _entry("wind without air", "no-effect", "error", f"wind: {{{_uniform(-5, 5)}}}"),
    _entry(
        "kicks without an interval",
        "no-effect",
        "error",
        f"joint_kick_velocity: {{target: arm, {_uniform(0, 1)}}}",
    ),
    Planted(
        "kicks faster than the joint may ever turn",
        "unit",
        "warning",
        experiment={
            "pins: {}": f"""\
  push_interval_s: {{{_uniform(0.5, 1)}}}
  joint_kick_velocity: {{target: arm, {_uniform(0, 90)}}}
pins: {{}}"""
        },
        at="joint_kick_velocity",
    ),
    _entry(
        "pushes that come after the episode",
        "no-effect",
        "error",
        f"push_interval_s: {{{_uniform(8, 20)}}}",
    ),
    _entry(
        "motor that fails after the episode",
        "no-effect",
        "error",
        f"motor_failure_time_s: {{{_uniform(5, 8)}}}",
    ),
    Planted(
        "noise of nothing",
        "no-effect",
        "warning",
        experiment={"low: 0, high: 0.002": "low: 0, high: 0"},
    ),
    _entry(
        "mass of a body that is welded to the world",
        "name",
        "error",
        f"stand: {{parameter: mass, target: stand, {SCALE}}}",
    ),
    _entry(
        "stiffness of a joint without a spring",
        "no-effect",
        "warning",
        f"joint_stiffness: {{target: arm, {SCALE}}}",
    ),
    Planted(
        "friction of a geom that could touch but never does",
        "no-effect",
        "warning",
        model={'<joint name="sag" type="slide" axis="0 0 1"/>': "", "0.05 0 -0.08": "0.05 0 0"},
        at="  friction:",
    ),
    Planted(
        "noise of a sensor, which the engine ignores",
        "sensor-noise",
        "warning",
        model={'<jointpos name="encoder"': '<jointpos noise="0.01" name="encoder"'},
    ),
    Planted(
        "control range that is not the contract's",
        "control-range",
        model={'ctrlrange="-0.4 0.4"': 'ctrlrange="-6 6"'},
    ),
    Planted(
        "joint range that is not the contract's",
        "control-range",
        model={'range="-2 2"': 'range="-2.5 2.5"'},
    ),
    Planted(
        "actions far beyond the actuator's limits",
        "control-range",
        "warning",
        experiment={"action: {scale: 0.4}": "action: {scale: 4}"},
    ),
    Planted(
        "steps far beyond the actuator's limits",
        "control-range",
        "warning",
        model=SERVO,
        experiment={"action: {scale: 0.4}": "action: {scale: 4, relative_to: previous_target}"},
        robot=TO_POSITION,
    ),
    Planted(
        "command that changes too late for success",
        "success",
        "warning",
        experiment={
            "task: qube_swingup": "task: posture",
            "rewards: {upright: 1}": "rewards: {distance: -1}\ncommand_interval: 2",
        },
        at="command_interval",
    ),
    Planted(
        "number of an agent that its switches make no use of",
        "idle",
        "warning",
        experiment={
            "action: {scale: 0.4}": "action: {scale: 0.4, bins: 3}\nagent: dqn\n"
            "dqn: {noisy: true, exploration_share: 0.3}"
        },
        at="exploration_share",
    ),
    Planted(
        "action with a number too many",
        "control-range",
        experiment={"action: {scale: 0.4}": "action: {scale: [0.4, 0.4]}"},
    ),
    Planted(
        "replay of more images than this computer can remember",
        "replay-memory",
        "warning",
        experiment={"action: {scale: 0.4}": f"action: {{scale: 0.4}}\n{SEEING}"},
        at="sac:",
    ),
    Planted(
        "control period of no whole number of steps",
        "control-rate",
        experiment={"control_rate: 100": "control_rate: 120"},
    ),
    Planted(
        "velocities that stand at their clip",
        "saturation",
        "warning",
        experiment={"scale: 0.1, clip: 10": "scale: 1000, clip: 0.01"},
    ),
    Planted(
        "model that does not compile",
        "model",
        model={'<jointpos name="encoder" joint="arm"/>': '<jointpos name="encoder" joint="am"/>'},
    ),
    Planted(
        "actuator on another joint than robot.yaml says",
        "drive",
        model={'name="motor" joint="arm"': 'name="motor" joint="pendulum"'},
    ),
    Planted(
        "gear that turns 1 N·m into 10",
        "drive",
        model={'ctrlrange="-0.4 0.4"': 'ctrlrange="-0.4 0.4" gear="10"'},
    ),
    Planted(
        "gear that turns the command of a servo",
        "drive",
        model=SERVO | {'joint="arm" ctrl': 'joint="arm" gear="3" ctrl'},
        robot=TO_POSITION,
    ),
    Planted("servo that robot.yaml takes for a motor", "drive", model=SERVO, at="<position"),
    Planted(
        "motor that robot.yaml takes for a servo",
        "drive",
        robot=TO_POSITION,
        at="<motor ",
    ),
    Planted(
        "stiffness that the model's servo has not",
        "drive",
        model=SERVO,
        robot=TO_POSITION | {"stiffness": 0.3},
        at="<position",
    ),
    Planted(
        "damping that the model's servo has not",
        "drive",
        model=SERVO,
        robot=TO_POSITION | {"stiffness": 0.2, "damping": 0.02},
        at="<position",
    ),
    Planted(
        "voltage without back-EMF",
        "drive",
        "warning",
        robot={"command": "voltage", "unit": "V"},
        at="<motor ",
    ),
    Planted("force on a joint that turns", "unit", robot={"unit": "N"}, at="<motor "),
    Planted(
        "limits that only robot.yaml has",
        "control-range",
        "warning",
        model={'range="-2 2" damping="1e-4"': 'limited="false" damping="0.01"'},
    ),
    Planted("damping that drives", "value", model={'damping="1e-5"': 'damping="-1e-5"'}),
    Planted("armature below zero", "value", model={'damping="1e-5"': 'armature="-1e-5"'}),
    Planted("friction below zero", "value", model={'"0.6 0.02 0.002"': '"0.6 -0.02 0.002"'}),
    Planted("damping that is no number", "value", model={'damping="1e-5"': 'damping="nan"'}),
    Planted("mass without end", "value", model={'mass="0.02"': 'mass="inf"'}),
    Planted(
        "model that diverges by itself",
        "diverges",
        model={'damping="1e-5"': 'damping="1e-5" stiffness="1e6" springref="1"'},
        at="<mujoco",
    ),
    _entry(
        "end of a range that diverges",
        "diverges",
        "warning",
        f"joint_stiffness: {{target: pendulum, operation: absolute, {_uniform(0, 1000)}}}",
    ),
    Planted(
        "mass where a factor on it was meant",
        "excludes-model",
        "warning",
        experiment={"mass: {target: arm,": "mass: {target: pendulum, operation: absolute,"},
    ),
    Planted(
        "factor where a mass was meant",
        "excludes-model",
        "warning",
        experiment={"low: 0.8, high: 1.2": "low: 0.08, high: 0.12"},
    ),
    Planted(
        "latency in s",
        "unit",
        "warning",
        experiment={"low: 0, high: 10}": "low: 0, high: 0.02}"},
    ),
    _entry("pulses without an interval", "no-effect", "error", f"torque_pulse: {{{_uniform(0, 0.1)}}}"),
    _entry(
        "interval of pushes that push nothing",
        "no-effect",
        "error",
        f"shoves: {{parameter: push_interval_s, {_uniform(0.5, 1)}}}",
    ),
    _entry("interval of no pulse", "no-effect", "error", f"pulse_interval_s: {{{_uniform(0.5, 1)}}}"),
    _entry(
        "duration of a push without impulse",
        "no-effect",
        "error",
        f"push_duration_s: {{{_uniform(0.1, 0.2)}}}",
    ),
    _entry("time of no change", "no-effect", "error", f"change_time_s: {{{_uniform(1, 2)}}}"),
    _entry(
        "end stops that cross",
        "bounds",
        "error",
        f"joint_range: {{target: arm.*, operation: absolute, {_uniform(-1.5, 1.5)}}}",
    ),
    Planted(
        "episode of less than a control step",
        "unreadable",
        experiment={"episode_length: 4": "episode_length: 0.004"},
    ),
    Planted(
        "observation of an IMU that is not there",
        "name",
        experiment={"{source: joint_position}": "{source: projected_gravity}"},
        at="observation:",
    ),
    Planted("key that does not exist", "unreadable", experiment={"pins: {}": "pinns: {}"}),
)
