"""Benchmarks of experience replay: its memory, and what draws by priority cost."""

import time
from typing import Any

import numpy as np
from gymnasium import spaces

from simreal.agents.value.experience import ExperienceReplay
from simreal.agents.value.image_replay import ImageReplay
from simreal.bench.timing import spread

IMAGE = 84
"""Pixels, of the Nature paper's games."""
STACK = 4
NUMBERS = 32
"""Of an observation that is no image."""
DRAWS = 50
"""In each measurement."""
EXPONENTS = {"even": 0.0, "by_priority": 0.5}


def experience_cost(steps: int, batch: int, repeats: int, images: bool) -> dict[str, Any]:
    """Time of a draw by priority, and of telling the errors, against an even draw, in turn.

    Args:
        steps: that the replay holds.
        batch: drawn at once.
        repeats: of the pair of measurements.
        images: whether 4 stacked images of 84 x 84 pixels are observed, or 32 numbers.
    """
    replays = {name: _filled(steps, exponent, images) for name, exponent in EXPONENTS.items()}
    random = np.random.default_rng(0)
    times: dict[str, list[float]] = {name: [] for name in replays}
    for _ in range(repeats):
        for name, replay in replays.items():
            start = time.perf_counter()
            for _ in range(DRAWS):
                drawn = replay.draw(batch)
                replay.learnt(drawn.places, random.random(batch))
            times[name].append(1e6 * (time.perf_counter() - start) / DRAWS)
    ratios = [b / a for a, b in zip(times["even"], times["by_priority"], strict=True)]
    found = {f"{name}_us": spread(values) for name, values in times.items()}
    replay = replays["even"]
    held = replay.image_bytes if isinstance(replay, ImageReplay) else replay.observations.nbytes
    return {
        "steps": steps,
        "batch": batch,
        "observed": f"{STACK} images of {IMAGE} x {IMAGE}" if images else f"{NUMBERS} numbers",
        **found,
        "ratio": spread(ratios),
        "observations_gb": round(held / 1e9, 2),
    }


def _filled(steps: int, exponent: float, images: bool) -> ExperienceReplay:
    """A full replay of random steps of one simulation."""
    random = np.random.default_rng(0)
    choices = spaces.Discrete(4)
    if images:
        space: Any = spaces.Box(0, 255, (STACK, IMAGE, IMAGE), np.uint8)
        made: ExperienceReplay = ImageReplay(steps, space, choices, "cpu", priority_exponent=exponent)
        seen = random.integers(0, 256, (16, 1, *space.shape)).astype(np.uint8)
    else:
        space = spaces.Box(-np.inf, np.inf, (NUMBERS,), np.float32)
        made = ExperienceReplay(steps, space, choices, "cpu", priority_exponent=exponent)
        seen = random.normal(size=(16, 1, NUMBERS)).astype(np.float32)
    done, rewards = random.random(steps) < 0.005, random.normal(size=steps)
    for step in range(steps):
        pair = seen[step % 16], seen[(step + 1) % 16]
        made.add(*pair, np.array([step % 4]), rewards[step : step + 1], done[step : step + 1], [{}])
    return made
