"""What of this computer stands in the way of a robot, and the command that mends it."""

from simreal.doctor.diagnosis import Diagnosis, diagnose, verdict

__all__ = ["Diagnosis", "diagnose", "verdict"]
