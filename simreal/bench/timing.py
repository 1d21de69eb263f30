"""What benchmarks share: speeds, spreads and percentiles."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


def speed_of(step: Callable[[Any], object], actions: Any) -> float:
    """Environment steps/s of a function that steps all simulations, over given actions."""
    start = time.perf_counter()
    for action in actions:
        step(action)
    steps = int(actions.shape[0] * actions.shape[1])
    return steps / (time.perf_counter() - start)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, smallest and largest."""
    return {"median": float(np.median(values)), "min": min(values), "max": max(values)}


def percentiles_ms(seconds: Sequence[float], shares: Sequence[int] = (50, 90, 99)) -> dict[str, float]:
    """Percentiles in ms of times in s, as ``p50`` and so on."""
    return {f"p{share}": 1e3 * float(np.percentile(seconds, share)) for share in shares}
