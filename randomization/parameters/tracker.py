"""Parameters of what a camera or a tracker reports of objects around the robot."""

from simreal.randomization.parameters.parameter import ArrayParameter, Parameter

AXES = ("x", "y", "z")


def _error(name: str, unit: str, description: str, lower: float | None = 0.0) -> ArrayParameter:
    """One number for each axis of the robot's base."""
    return ArrayParameter(
        name=name,
        unit=unit,
        description=description,
        operation="absolute",
        fields=(f"sensing.{name}",),
        part="robot",
        axes=AXES,
        lower=lower,
    )


TRACKER: tuple[Parameter, ...] = (
    ArrayParameter(
        name="tracker_latency_ms",
        unit="ms",
        description="delay of tracked objects' poses, on top of that of all",
        operation="absolute",
        fields=("sensing.tracker_latency",),
        part="robot",
        unit_in_field=1e3,
    ),
    _error("tracker_bias", "m", "constant error of tracked places, as of a camera's mounting", None),
    _error("tracker_noise", "m", "standard deviation of white noise of tracked places"),
    _error("tracker_turn_noise", "rad", "standard deviation of white noise of tracked orientations"),
)
