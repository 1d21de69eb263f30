"""All checks, in the order in which their findings are read."""

from collections.abc import Callable

from simreal.check_log.clock_checks import clock
from simreal.check_log.disturbance_check import disturbance
from simreal.check_log.drift_checks import drift
from simreal.check_log.effort_checks import command_limits, delivered_effort
from simreal.check_log.excitation_checks import excitation
from simreal.check_log.finding import Finding
from simreal.check_log.hidden_jitter import hidden_jitter
from simreal.check_log.joint_checks import imu_units, joint_order, position_range
from simreal.check_log.lag_check import velocity_lag
from simreal.check_log.measured_effort_check import measured_effort
from simreal.check_log.offset_check import servo_offset
from simreal.check_log.sample_checks import clipping, encoder, repeats, values
from simreal.check_log.spike_check import spikes, wrapped
from simreal.check_log.step_checks import gaps, jitter
from simreal.check_log.stuck_check import stuck
from simreal.check_log.subject import Subject
from simreal.check_log.velocity_checks import velocity_scale
from simreal.check_log.whole_check import whole

CHECKS: dict[str, Callable[[Subject], Finding]] = {
    "whole": whole,
    "values": values,
    "clock": clock,
    "gaps": gaps,
    "jitter": jitter,
    "wrapped": wrapped,
    "hidden_jitter": hidden_jitter,
    "spikes": spikes,
    "stuck": stuck,
    "repeats": repeats,
    "clipping": clipping,
    "encoder": encoder,
    "position_range": position_range,
    "velocity_scale": velocity_scale,
    "velocity_lag": velocity_lag,
    "imu_units": imu_units,
    "joint_order": joint_order,
    "drift": drift,
    "servo_offset": servo_offset,
    "command_limits": command_limits,
    "delivered_effort": delivered_effort,
    "measured_effort": measured_effort,
    "disturbance": disturbance,
    "excitation": excitation,
}


def check_log(subject: Subject) -> list[Finding]:
    """Run all checks on a log.

    Those that compute with its values are skipped if some are no numbers, and if its time does not grow:
    they would say something, but of the fault.
    """
    findings: list[Finding] = []
    blocked = ""
    for name, check in CHECKS.items():
        if blocked:
            findings.append(Finding(name, "skip", f"not before {blocked} is mended"))
            continue
        finding = check(subject)
        assert finding.check == name
        findings.append(finding)
        if finding.blocks:
            blocked = name
    return findings
