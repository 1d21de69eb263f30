"""How a policy is run: rates, overruns, shadow, what is asked of the kernel."""

import math
from dataclasses import dataclass
from typing import Literal

from simreal.deploy.realtime import RealTime
from simreal.errors import UserError

SLOWEST, FASTEST = 10.0, 1000.0
"""Hz, of the rates that a driver may be told at."""


@dataclass(frozen=True, slots=True)
class LoopOptions:
    """How a policy is run.

    Attributes:
        driver_rate: Hz at which the driver is read and told, a whole multiple of the policy's rate; that
            rate itself if None.
        between: what the driver is told between two actions of the policy: the last one again, or what
            lies between the last two, which comes a period of the policy later.
        on_overrun: what follows when the loop came late by a period or more: nothing but a count, the
            robot holds its posture, or a fault.
        shadow: everything runs, nothing is sent.
        real_time: what is asked of the kernel.
    """

    driver_rate: float | None = None
    between: Literal["hold", "interpolate"] = "hold"
    on_overrun: Literal["continue", "hold", "stop"] = "continue"
    shadow: bool = False
    real_time: RealTime | None = None


USUAL = LoopOptions()


def steps_per_action(policy_rate: float, driver_rate: float | None) -> int:
    """How often the driver is told something for each action of the policy.

    Raises:
        UserError: the driver's rate is no whole multiple of the policy's, or out of range.
    """
    rate = policy_rate if driver_rate is None else driver_rate
    fewest, most = math.ceil(SLOWEST / policy_rate), math.floor(FASTEST / policy_rate)
    if not SLOWEST <= rate <= FASTEST:
        slow = driver_rate is None and rate < SLOWEST
        hint = f"; give --driver-rate {fewest * policy_rate:.9g}" if slow else ""
        raise UserError(f"a rate of {rate:g} Hz: this loop runs at {SLOWEST:g} to {FASTEST:g} Hz{hint}")
    steps = round(rate / policy_rate)
    if steps < 1 or abs(steps * policy_rate - rate) > 1e-6 * rate:
        near = policy_rate * min(max(fewest, steps), most)
        hint = f", such as {near:.9g}" if near else f": none is within {FASTEST:g} Hz"
        raise UserError(
            f"--driver-rate {rate:g}: expected a whole multiple of the policy's {policy_rate:g} Hz{hint}"
        )
    return steps
