"""The parameters of randomization that make commands or measurements late, by what they delay.

Their names stand here, since training, the linter, identification and the checks before a run must mean
the same ones, and the control process cannot import the parameters.
"""

ACTION_LATENCY = "action_latency_ms"
ACTION_JITTER = "action_latency_jitter_ms"
SENSOR_LATENCY = "sensor_latency_ms"
SENSOR_JITTER = "sensor_latency_jitter_ms"
JOINT_LATENCY = "joint_latency_ms"
CONTROL_JITTER = "control_jitter_ms"

OF_ACTIONS = (ACTION_LATENCY, ACTION_JITTER)
"""From a command to its torque; they add up."""
OF_ALL_SENSORS = (SENSOR_LATENCY, SENSOR_JITTER, CONTROL_JITTER)
"""From a motion to the measurement of any sensor; they add up."""
OF_DEVICES = (JOINT_LATENCY, "imu_latency_ms", "tracker_latency_ms")
"""Of one kind of sensor each, on top of those of all."""
CAMERA_LATENCY = "camera_latency_ms"
"""Of cameras' frames, which no sensor's delay concerns."""
JITTERS = (ACTION_JITTER, SENSOR_JITTER, CONTROL_JITTER)
"""The most of a delay that is another at each step, from none to that."""
ALL = (*OF_ACTIONS, *OF_ALL_SENSORS, *OF_DEVICES, CAMERA_LATENCY)
