"""Hidden Qubes. Only the process that is one, the judge and the oracle read this."""

from simreal.transfer_bench.target import Target

SENSORS = {
    "encoder_noise": ("absolute", 0.0005),
    "sensor_latency_ms": ("absolute", 4.0),
}
"""Of one in MuJoCo, what training knows."""

QUBE = {
    "a": Target(
        "a",
        "MuJoCo, parameters off by 20 to 40 %, latency beyond what training knows",
        "mujoco",
        {
            **SENSORS,
            "mass[arm]": ("scale", 1.35),
            "mass[pendulum]": ("scale", 1.25),
            "motor_strength": ("scale", 0.7),
            "joint_damping": ("scale", 1.4),
            "joint_frictionloss[arm]": ("scale", 1.3),
            "action_latency_ms": ("absolute", 22.0),
        },
    ),
    "b": Target(
        "b",
        "PyBullet, parameters off by 20 %",
        "bullet",
        {"mass[arm]": ("scale", 1.2), "motor_strength": ("scale", 0.85)},
    ),
    "c": Target(
        "c",
        "MuJoCo with play, Stribeck and load friction, a supply that sags, coarse encoders, a network",
        "mujoco",
        {
            "encoder_resolution": ("scale", 2.0),
            "sensor_latency_ms": ("absolute", 4.0),
            "action_latency_ms": ("absolute", 8.0),
            "motor_strength": ("scale", 0.9),
            "backlash": ("absolute", 0.03),
            "joint_frictionloss[arm]": ("scale", 1.5),
            "stribeck_friction": ("scale", 1.8),
            "stribeck_speed": ("absolute", 0.3),
            "load_friction": ("absolute", 0.08),
            "supply_sag": ("absolute", 0.03),
            "dead_zone": ("absolute", 0.15),
        },
        network=True,
    ),
}
"""By name; ranges of the training: configs/qube_swingup.yaml."""
