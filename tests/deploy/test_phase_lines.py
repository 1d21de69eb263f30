"""What is told of a run where no terminal shows it."""

from simreal.deploy.cycle import Event
from simreal.deploy.phase_lines import line_of


def test_a_line_for_each_phase_that_a_person_waits_for() -> None:
    events = (
        ("start", "policy of so101_reach"),
        ("phase", "rising"),
        ("phase", "running"),
        ("halt", "velocities of zero are asked for 1 s"),
        ("phase", "damping"),
        ("phase", "fault, damp: stall: nothing moves"),
        ("end", "duration"),
    )
    told = [line_of(Event(0, kind, text)) for kind, text in events]
    assert told == ["connected", "rising", "running", None, "damping", None, None]
