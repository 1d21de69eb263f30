"""Hidden Go2 robots. Only the process that is one, the judge and the oracle read this.

A supply that sags is not among what they have: their motors' currents are controlled, so that a supply
takes of their speed alone, and as position servos, which they are here, it would take of the torque.
"""

from simreal.transfer_bench.target import Target

SENSORS = {
    "encoder_noise": ("absolute", 0.003),
    "velocity_noise": ("absolute", 0.2),
    "imu_gyro_noise": ("absolute", 0.05),
    "imu_orientation_noise": ("absolute", 0.01),
}
"""Of one in MuJoCo, what training knows."""

GO2 = {
    "a": Target(
        "a",
        "MuJoCo, parameters off by 20 to 40 %, latency beyond what training knows",
        "mujoco",
        {
            **SENSORS,
            "mass[base]": ("scale", 1.4),  # a computer and a lidar on its back
            "friction[*_foot]": ("absolute", 0.5),  # worn feet on a smooth floor, 0.8 by the model
            "motor_strength": ("scale", 0.75),  # hot motors; training: 10 %
            "joint_damping": ("scale", 1.4),  # cold grease
            "joint_frictionloss": ("scale", 1.4),
            "joint_armature": ("scale", 1.2),  # rotors by another maker
            "sensor_latency_ms": ("absolute", 8.0),  # training: 5 ms
            "action_latency_ms": ("absolute", 28.0),  # a policy beside other programs; training: 20 ms
        },
    ),
    "b": Target(
        "b",
        "PyBullet, parameters off by 20 %",
        "bullet",
        {
            "mass[base]": ("scale", 1.2),  # a load
            "motor_strength": ("scale", 0.8),  # hot motors
        },
    ),
    "c": Target(
        "c",
        "MuJoCo with play, Stribeck and load friction, less torque at speed, coarse encoders, a network",
        "mujoco",
        {
            **SENSORS,
            "backlash": ("absolute", 0.01),  # half a degree in worn planetary gears
            "stribeck_friction": ("absolute", 1.6),  # it sticks before it slides
            "stribeck_speed": ("absolute", 0.2),
            "load_friction": ("absolute", 0.08),  # teeth that press rub
            "corner_speed[*_hip]": ("absolute", 12.0),  # back-EMF: half speed without loss of torque
            "corner_speed[*_thigh]": ("absolute", 12.0),
            "corner_speed[*_calf]": ("absolute", 6.0),
            "dead_zone": ("absolute", 0.008),  # a cautious firmware
            "encoder_resolution": ("absolute", 0.002),  # a cheap encoder behind the gear
            "motor_strength": ("scale", 0.95),  # the rest within what training knows
            "sensor_latency_ms": ("absolute", 4.0),
            "action_latency_ms": ("absolute", 12.0),
        },
        network=True,
    ),
}
"""By name; ranges of the training: configs/go2_velocity.yaml."""
