"""Images stored once against a replay that stores all that is observed."""

from typing import Any

import numpy as np
import pytest
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from simreal.agents.value.experience import ExperienceReplay
from simreal.agents.value.frames import FrameReplay
from simreal.errors import UserError

STACK, SIDE, ENVS, SIZE = 3, 2, 2, 12
SPACE = spaces.Box(0, 255, (STACK, SIDE, SIDE), np.uint8)


class Film:
    """Simulations whose images are numbered, stacked as an environment stacks them."""

    def __init__(self) -> None:
        self._number = 0
        self.seen = np.stack([self._first() for _ in range(ENVS)])

    def _image(self) -> Any:
        self._number += 1
        return np.full((SIDE, SIDE), self._number % 251, np.uint8)

    def _first(self) -> Any:
        return np.repeat(self._image()[None], STACK, axis=0)

    def step(self, ends: list[str]) -> tuple[Any, ...]:
        before = self.seen
        after = np.stack([np.concatenate([each[1:], self._image()[None]]) for each in before])
        self.seen = np.stack([after[e] if ends[e] == "" else self._first() for e in range(ENVS)])
        done = np.array([end != "" for end in ends])
        infos = [{"TimeLimit.truncated": end == "time"} for end in ends]
        reward = np.arange(ENVS) + float(self._number)
        return before, after, np.zeros(ENVS, np.int64), reward, done, infos


endings = st.lists(
    st.lists(st.sampled_from(["", "", "", "end", "time"]), min_size=ENVS, max_size=ENVS), max_size=40
)


@given(endings, st.integers(1, 4))
def test_what_is_drawn_is_what_was_observed(ends: list[list[str]], n_steps: int) -> None:
    arguments: dict[str, Any] = {"n_steps": n_steps, "discount": 0.9}
    lean = FrameReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, **arguments)
    whole = ExperienceReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, **arguments)
    film = Film()
    for each in ends:
        step = film.step(each)
        lean.add(*step)
        whole.add(*step)
    if not ends:
        return
    places = np.unique(lean._evenly(200))
    if not lean.full:
        assert set(places) <= set(range(lean.filled * ENVS))
    mine, theirs = (each._gather(places, np.ones(len(places))) for each in (lean, whole))
    for name in ("observations", "actions", "rewards", "discounts"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)
    goes_on = mine.discounts[:, 0].numpy() > 0.0
    np.testing.assert_array_equal(mine.next_observations[goes_on], theirs.next_observations[goes_on])


@pytest.mark.parametrize("steps", [8, 30])
def test_by_priority_none_is_drawn_whose_stack_is_gone(steps: int) -> None:
    np.random.seed(0)
    lean = FrameReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, priority_exponent=0.6)
    film = Film()
    for _ in range(steps):
        lean.add(*film.step([""] * ENVS))
        drawn = lean.draw(64)
        lean.learnt(drawn.places, np.random.random(64))
    rows = drawn.places // ENVS
    if lean.full:
        assert set((rows - lean.pos) % SIZE) == set(range(STACK - 1, SIZE))
    else:
        assert set(rows) == set(range(steps))


def test_a_million_steps_take_less_than_8_gb() -> None:
    space = spaces.Box(0, 255, (4, 84, 84), np.uint8)
    lean = FrameReplay(1000, space, spaces.Discrete(2), "cpu", 1)
    assert 1000 * lean.image_bytes / 1e9 < 8.0


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Box(0, 255, (84, 84), np.uint8), "stack"),
        (spaces.Box(0, 1, (4, 84, 84), np.float32), "bytes"),
    ],
)
def test_what_is_no_stack_of_images_is_refused(space: Any, words: str) -> None:
    with pytest.raises(UserError, match=words):
        FrameReplay(100, space, spaces.Discrete(2), "cpu", 1)
