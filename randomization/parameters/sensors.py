"""Parameters of what the robot measures."""

from simreal.randomization.parameters.parameter import ArrayParameter, Parameter

SENSORS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="sensor_latency_ms",
        unit="ms",
        description="delay from motion to measurement, held for an episode",
        operation="absolute",
        fields=("sensing.latency",),
        part="robot",
        unit_in_field=1e3,
    ),
    ArrayParameter(
        name="encoder_noise",
        unit="rad",
        description="standard deviation of white noise of an encoder",
        operation="absolute",
        fields=("sensing.noise",),
        part="robot_joint",
    ),
    ArrayParameter(
        name="encoder_bias",
        unit="rad",
        description="constant error of an encoder",
        operation="absolute",
        fields=("sensing.bias",),
        part="robot_joint",
        lower=None,
    ),
    ArrayParameter(
        name="encoder_resolution",
        unit="rad",
        description="size of an encoder count",
        operation="scale",
        fields=("sensing.resolution",),
        part="robot_joint",
    ),
)
