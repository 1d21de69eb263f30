"""Whether a goal held, by what a flight's log says."""

import numpy as np
import pytest

from simreal.goal_in_log import goal_share_of_log
from simreal.logs.messages import LogMessages


def flight(steps: int, upright: int) -> LogMessages:
    """A log of so many steps, the last of which stand upright."""
    angles = [0.0] * (steps - upright) + [np.pi] * upright
    each = 20_000_000 * np.arange(steps)
    return LogMessages(
        times={"/state": each, "/action": each, "/timing": each},
        messages={
            "/state": [
                {
                    "joint_position": {"arm": 0.0, "pendulum": angle},
                    "joint_velocity": {"arm": 0.0, "pendulum": 0.0},
                }
                for angle in angles
            ],
            "/action": [{"motor": 0.0}] * steps,
            "/timing": [{"overruns": 0}] * steps,
        },
    )


@pytest.mark.parametrize(
    ("steps", "upright", "share"),
    [(100, 50, 1.0), (100, 25, 0.5), (75, 75, 0.5), (40, 40, 0.0), (0, 0, 0.0), (150, 50, 0.0)],
)
def test_a_flight_failed_in_what_it_did_not_fly_and_what_follows_its_plan_does_not_count(
    steps: int, upright: int, share: float
) -> None:
    assert goal_share_of_log(flight(steps, upright), "qube_swingup", 100) == share


def test_a_log_whose_topics_were_cut_at_different_lengths_counts_with_what_all_of_them_have() -> None:
    log, whole = flight(80, 80), flight(77, 77)
    for topic, length in (("/state", 80), ("/action", 79), ("/timing", 77)):
        log.times[topic] = log.times[topic][:length]
        log.messages[topic] = log.messages[topic][:length]
    share = goal_share_of_log(log, "qube_swingup", 100)
    assert share == goal_share_of_log(whole, "qube_swingup", 100) == pytest.approx(27 / 50)


def test_steps_that_a_late_loop_skipped_are_not_counted_whatever_its_rate() -> None:
    """A driver that is told ten times a step counts ten overruns of each step that is skipped."""
    log = flight(90, 90)
    for topic in log.times:
        log.times[topic] = log.times[topic] + 10 * 20_000_000 * (np.arange(90) >= 30)
    for row in log.messages["/timing"][30:]:
        row["overruns"] = 100
    assert goal_share_of_log(log, "qube_swingup", 100) == 1.0
