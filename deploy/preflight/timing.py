"""How fast a robot answers: by its bus, and by how long after a command it moves."""

import time
from dataclasses import dataclass, field

import numpy as np

from simreal.column_names import parameter_of
from simreal.contract import Contract
from simreal.deploy.drivers import Driver
from simreal.deploy.histogram import Histogram
from simreal.deploy.policy import Policy
from simreal.deploy.preflight.verdict import Finding
from simreal.latencies import (
    ACTION_JITTER,
    ACTION_LATENCY,
    JITTERS,
    JOINT_LATENCY,
    SENSOR_JITTER,
    SENSOR_LATENCY,
)

ROUNDS = 200
LONGEST_ANSWER = 0.5
"""s after which a round counts as lost."""
POLL = 1e-4
"""s between two looks at whether there is an answer."""
LATENCIES = (ACTION_LATENCY, ACTION_JITTER, SENSOR_LATENCY, SENSOR_JITTER, JOINT_LATENCY)
"""What a policy is trained with that a measured latency is held against. Not those of other sensors than
joints', and not what makes a control step observe and act early alike."""


@dataclass(slots=True)
class BusTimes:
    """Of a robot whose motors are passive.

    Attributes:
        round_trip: from telling it something to the first measurement that arrived afterwards.
        write: of the call.
        read: of the call.
        age: of the newest measurement when it is read, once in a control period.
        inference: of the policy, once in a control period.
        lost: rounds without an answer.
    """

    round_trip: Histogram = field(default_factory=Histogram)
    write: Histogram = field(default_factory=Histogram)
    read: Histogram = field(default_factory=Histogram)
    age: Histogram = field(default_factory=Histogram)
    inference: Histogram = field(default_factory=Histogram)
    lost: int = 0


def bus_times(driver: Driver, policy: Policy) -> BusTimes:
    """Measure at the control rate, as the loop will go, with a command that moves nothing.

    Raises:
        DriverError: the robot is lost.
    """
    times, period = BusTimes(), 1.0 / policy.contract.control_rate
    infer, seen = policy.warmed_up(), np.array(policy.golden.observation[0], dtype=np.float32)
    deadline = time.monotonic()
    for _ in range(ROUNDS):
        deadline = max(deadline + period, time.monotonic())
        time.sleep(max(0.0, deadline - time.monotonic()))
        before = time.monotonic()
        state = driver.read()
        times.read.add(time.monotonic() - before)
        times.age.add(time.monotonic() - float(state.time))
        before = time.monotonic()
        infer(seen)
        times.inference.add(time.monotonic() - before)
        _round(driver, times)
    return times


def _round(driver: Driver, times: BusTimes) -> None:
    told = time.monotonic()
    driver.off()
    times.write.add(time.monotonic() - told)
    while (arrived := float(driver.read().time)) <= told:
        if time.monotonic() - told > LONGEST_ANSWER:
            times.lost += 1
            return
        time.sleep(POLL)
    times.round_trip.add(arrived - told)


def bus_finding(times: BusTimes, control_rate: float) -> Finding:
    """Whether the bus answers, and within the control period."""
    check = "bus round trip"
    rows = {
        name: getattr(times, name).percentiles()
        for name in ("round_trip", "write", "read", "age", "inference")
    }
    numbers = {**rows, "lost": times.lost}
    trip, age = rows["round_trip"], rows["age"]
    text = (
        f"{trip['p50_ms']:.2f} ms (p50), {trip['p99_ms']:.2f} ms (p99), {trip['max_ms']:.2f} ms (max); "
        f"state age {age['p50_ms']:.2f} ms (p50), {age['p99_ms']:.2f} ms (p99)"
    )
    if times.lost:
        lost = f"{times.lost} of {times.lost + trip['count']} rounds without an answer within "
        return Finding(check, "fail", f"{lost}{1e3 * LONGEST_ANSWER:g} ms; {text}", numbers)
    if trip["p99_ms"] > 1e3 / control_rate:
        text += f": longer than the control period of {1e3 / control_rate:g} ms"
        return Finding(check, "fail", text, numbers)
    return Finding(check, "pass", text, numbers)


def trained_latency(contract: Contract) -> tuple[float, float] | None:
    """Lowest and highest latency in ms, from a measurement to the motion, that training drew.

    A jitter may be none at a step, and of joints' own latencies the lowest and the highest count.
    """
    lows, highs = dict[str, list[float]](), dict[str, list[float]]()
    for each in contract.trained_ranges:
        name = parameter_of(each.name)
        if name in LATENCIES:
            lows.setdefault(name, []).append(0.0 if name in JITTERS else each.low)
            highs.setdefault(name, []).append(each.high)
    if not lows:
        return None
    return sum(map(min, lows.values())), sum(map(max, highs.values()))


def latency_finding(contract: Contract, times: BusTimes, motion_ms: float | None) -> Finding:
    """Measured against trained.

    Args:
        contract: of the policy.
        times: of the bus.
        motion_ms: from a command to the first motion as it is read, if that was measured.
    """
    check, trained = "latency", trained_latency(contract)
    age, inference = (1e3 * part.quantile(0.5) for part in (times.age, times.inference))
    if motion_ms is None:
        measured = age + inference + 1e3 * times.round_trip.quantile(0.5)
        how = "state age, inference and bus; a motor's own delay needs --allow-motion"
    else:
        measured = age + inference + motion_ms
        how = "state age + inference + from command to motion"
    numbers = {"measured_ms": measured, "trained_ms": trained, "by_motion": motion_ms is not None}
    if trained is None:
        text = f"trained without latency, measured {measured:.0f} ms ({how})"
        return Finding(
            check, "fail" if measured > 1e3 / contract.control_rate else "pass", text, numbers
        )
    text = f"trained {trained[0]:g} to {trained[1]:g} ms, measured {measured:.0f} ms ({how})"
    if measured > trained[1]:
        return Finding(check, "fail", text, numbers)
    # Below the range is as much unlike training, but a delay is easily added, and harmless so far.
    return Finding(check, "not checked" if motion_ms is None else "pass", text, numbers)
