"""Faults by chance, for what must survive any of them."""

from collections.abc import Sequence

import numpy as np

from simreal.deploy.emulators.faults import DEFAULT_VALUE, KINDS, WIRE_FAULTS, Fault


def random_faults(seed: int, devices: Sequence[str], duration: float, number: int = 4) -> list[Fault]:
    """Faults of any kinds at any times: the same for the same seed.

    Args:
        seed: of chance.
        devices: that may suffer.
        duration: s, in which all begin and end.
        number: of faults.
    """
    random = np.random.default_rng(seed)
    kinds, faults = list(KINDS), []
    for _ in range(number):
        kind = kinds[random.integers(len(kinds))]
        device = None if random.random() < 0.3 else str(random.choice(devices))
        begin, end = np.sort(random.uniform(0.0, duration, 2))
        value = float(random.uniform(0.05, 0.5)) if kind in WIRE_FAULTS else DEFAULT_VALUE.get(kind, 1.0)
        delay_ms = float(random.uniform(1.0, 40.0))
        faults.append(Fault(kind, device, value, delay_ms, float(begin), float(end)))
    return faults
