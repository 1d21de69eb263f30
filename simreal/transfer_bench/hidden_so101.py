"""Hidden SO-101 arms. Only the process that is one, the judge and the oracle read this."""

from simreal.transfer_bench.target import Target

SO101 = {
    "a": Target(
        "a",
        "MuJoCo, parameters off by 20 to 40 %, latency beyond what training knows",
        "mujoco",
        {
            "mass[upper_arm]": ("scale", 1.25),  # printed denser; training: 10 %
            "mass[lower_arm]": ("scale", 1.25),
            "payload_mass[gripper]": ("absolute", 0.07),  # a camera on the wrist; training: 50 g
            "motor_strength[shoulder_pan]": ("scale", 0.8),  # servos off another shelf
            "motor_strength[shoulder_lift]": ("scale", 0.7),  # the one that wears most
            "motor_strength[elbow_flex]": ("scale", 0.75),
            "motor_strength[wrist_*]": ("scale", 0.8),
            "motor_strength[gripper]": ("scale", 0.8),
            "joint_damping": ("scale", 1.35),  # stiff grease; training: 20 %
            "joint_frictionloss": ("scale", 1.4),  # new gears
            "encoder_bias[shoulder_lift]": ("absolute", 0.01),  # calibrated by hand; training: 0.008
            "encoder_bias[elbow_flex]": ("absolute", -0.01),
            "encoder_noise": ("absolute", 0.0005),  # of the servo's magnet
            "sensor_latency_ms": ("absolute", 10.0),  # six answers on one bus
            "action_latency_ms": ("absolute", 60.0),  # a busy host and USB; training: 40 ms
        },
    ),
    "b": Target(
        "b",
        "PyBullet, parameters off by 20 %",
        "bullet",
        {
            "mass[upper_arm]": ("scale", 1.2),  # printed denser
            "mass[lower_arm]": ("scale", 1.2),
            "motor_strength": ("scale", 0.8),  # a supply of 6 V where 7.4 V are expected
        },
    ),
    "c": Target(
        "c",
        "MuJoCo with play, Stribeck and load friction, a supply that sags, coarse encoders, a network",
        "mujoco",
        {
            "backlash": ("absolute", 0.017),  # 1 degree, as measured on such a servo
            "stribeck_friction": ("absolute", 1.8),  # it sticks before it slides
            "stribeck_speed": ("absolute", 0.1),
            "load_friction": ("absolute", 0.1),  # teeth that press rub
            "supply_sag": ("absolute", 0.02),  # thin wires: 2 % for each watt
            "dead_zone": ("absolute", 0.006),  # four counts in which the firmware does nothing
            "encoder_resolution": ("scale", 2.0),  # 2048 counts a turn
            "motor_strength": ("scale", 0.9),  # the rest within what training knows
            "sensor_latency_ms": ("absolute", 10.0),
            "action_latency_ms": ("absolute", 20.0),
        },
        network=True,
    ),
}
"""By name; ranges of the training: configs/so101_reach.yaml."""
