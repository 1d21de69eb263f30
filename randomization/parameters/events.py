"""Parameters of what happens within an episode.

How often, how hard and how long are drawn once for an episode, as any other parameter. The moments,
directions and signs of the single events follow from its seed.
"""

from simreal.randomization.parameters.parameter import ArrayParameter, Parameter

EVENTS: tuple[Parameter, ...] = (
    ArrayParameter(
        name="push_interval_s",
        unit="s",
        description="mean time between pushes (each 0.5 to 1.5 of it); none unless it is given",
        operation="absolute",
        fields=("events.push_interval",),
        part="robot",
    ),
    ArrayParameter(
        name="push_velocity",
        unit="m/s",
        description="horizontal change of a free base's velocity by a push, in a random direction",
        operation="absolute",
        fields=("events.push_velocity",),
        part="free_body",
    ),
    ArrayParameter(
        name="push_impulse",
        unit="N·s",
        description="horizontal impulse of a push on a body's centre of mass, in a random direction",
        operation="absolute",
        fields=("events.push_impulse",),
        part="body",
    ),
    ArrayParameter(
        name="push_duration_s",
        unit="s",
        description="time for which a push's impulse acts as a force, at least a control step",
        operation="absolute",
        fields=("events.push_duration",),
        part="robot",
    ),
    ArrayParameter(
        name="joint_kick_velocity",
        unit="rad/s",
        description="change of a joint's velocity by a push, with random sign",
        operation="absolute",
        fields=("events.joint_kick",),
        part="dof",
    ),
    ArrayParameter(
        name="pulse_interval_s",
        unit="s",
        description="mean time between torque pulses (each 0.5 to 1.5 of it); none unless it is given",
        operation="absolute",
        fields=("events.pulse_interval",),
        part="robot",
    ),
    ArrayParameter(
        name="torque_pulse",
        unit="N·m",
        description="torque on a joint from outside during a pulse, with random sign",
        operation="absolute",
        fields=("events.torque_pulse",),
        part="dof",
    ),
    ArrayParameter(
        name="pulse_duration_s",
        unit="s",
        description="length of a torque pulse",
        operation="absolute",
        fields=("events.pulse_duration",),
        part="robot",
    ),
    ArrayParameter(
        name="motor_failure_time_s",
        unit="s",
        description="time in the episode from which on an actuator has failed; never unless it is given",
        operation="absolute",
        # The force law is scaled at that time: an episode must begin with the compiled one.
        fields=("events.failure_time", "actuator_gainprm", "actuator_biasprm"),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="failed_motor_strength",
        unit="1",
        description="share of its torque that a failed actuator keeps, back-EMF included",
        operation="absolute",
        fields=("events.failed_strength",),
        part="robot_actuator",
    ),
    ArrayParameter(
        name="change_time_s",
        unit="s",
        description="time in the episode at which parameters are drawn anew; never unless it is given",
        operation="absolute",
        fields=("events.change_time",),
        part="robot",
    ),
    ArrayParameter(
        name="change_interval_s",
        unit="s",
        description="mean time between further changes (each 0.5 to 1.5 of it); none unless it is given",
        operation="absolute",
        fields=("events.change_interval",),
        part="robot",
    ),
)
