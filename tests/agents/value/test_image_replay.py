"""Images stored once against a replay that stores all that is observed."""

from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from simreal.agents.checkpoint import replay_state, restore_replay
from simreal.agents.value.experience import ExperienceReplay
from simreal.agents.value.image_replay import ImageReplay
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
    st.lists(st.sampled_from(["", "", "", "end", "time"]), min_size=ENVS, max_size=ENVS),
    min_size=1,
    max_size=40,
)


@given(endings, st.integers(1, 4))
def test_what_is_drawn_is_what_was_observed(ends: list[list[str]], n_steps: int) -> None:
    arguments: dict[str, Any] = {"n_steps": n_steps, "discount": 0.9}
    lean = ImageReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, **arguments)
    whole = ExperienceReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, **arguments)
    film = Film()
    for each in ends:
        step = film.step(each)
        lean.add(*step)
        whole.add(*step)
    places = np.unique(lean._evenly(200))
    if not lean.full:
        assert set(places) <= set(range(lean.filled * ENVS))
    mine, theirs = (each._gather(places, np.ones(len(places))) for each in (lean, whole))
    for name in ("observations", "actions", "rewards", "discounts"):
        np.testing.assert_array_equal(getattr(mine, name), getattr(theirs, name), err_msg=name)
    goes_on = mine.discounts[:, 0].numpy() > 0.0
    np.testing.assert_array_equal(mine.next_observations[goes_on], theirs.next_observations[goes_on])


COLOURS, NUMBERS = 3, 5
SEEN = spaces.Dict(
    state=spaces.Box(-np.inf, np.inf, (NUMBERS,), np.float32),
    front=spaces.Box(0, 255, (STACK * COLOURS, SIDE, SIDE), np.uint8),
    top=spaces.Box(0, 255, (COLOURS, SIDE, SIDE), np.uint8),
)


class Studio:
    """Simulations with a camera slower than their control, one that is not, and numbers."""

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._seen = [self._begin() for _ in range(ENVS)]

    def _frame(self) -> Any:
        # Few values, so that frames are sometimes alike.
        return np.repeat(self._random.integers(0, 3, (1, SIDE, SIDE)), COLOURS, axis=0).astype(np.uint8)

    def _begin(self) -> dict[str, Any]:
        front = np.concatenate([self._frame()] * STACK)
        return {"state": self._numbers(), "front": front, "top": self._frame()}

    def _numbers(self) -> Any:
        return self._random.normal(size=NUMBERS).astype(np.float32)

    def _next(self, seen: dict[str, Any]) -> dict[str, Any]:
        comes = self._random.random() < 0.5
        moved = np.concatenate([self._frame(), seen["front"][:-COLOURS]])
        front = moved if comes else seen["front"]
        return {"state": self._numbers(), "front": front, "top": self._frame()}

    def step(self, ends: list[str]) -> tuple[Any, ...]:
        before, after = self._seen, [self._next(each) for each in self._seen]
        self._seen = [after[e] if ends[e] == "" else self._begin() for e in range(ENVS)]
        done = np.array([end != "" for end in ends])
        infos = [{"TimeLimit.truncated": end == "time"} for end in ends]
        choice = self._random.integers(0, 2, ENVS)
        return together(before), together(after), choice, self._random.normal(size=ENVS), done, infos


def together(seen: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.stack([each[name] for each in seen]) for name in seen[0]}


@given(endings, st.integers(1, 3), st.integers(0, 99), st.integers(0, 40))
def test_cameras_beside_numbers_come_out_as_they_were_seen(
    ends: list[list[str]], n_steps: int, seed: int, resumed_at: int
) -> None:
    arguments: dict[str, Any] = {"n_steps": n_steps, "channels": {"front": COLOURS, "top": COLOURS}}
    replay = ImageReplay(SIZE * ENVS, SEEN, spaces.Discrete(2), "cpu", ENVS, **arguments)
    studio, told = Studio(np.random.default_rng(seed)), []
    for number, each in enumerate(ends):
        if number == resumed_at:  # from a checkpoint: other episodes begin
            replay = again(replay, arguments)
            studio = Studio(np.random.default_rng(seed + 1))
        told.append(studio.step(each))
        replay.add(*told[-1])
    places = np.unique(replay._evenly(200))
    drawn = replay._gather(places, np.ones(len(places)))
    for place, (row, env) in enumerate(zip(*np.divmod(places, ENVS), strict=True)):
        step = max(number for number in range(len(told)) if number % SIZE == row)
        for name in SEEN.spaces:
            np.testing.assert_array_equal(drawn.observations[name][place], told[step][0][name][env])
        last = step
        while last - step < n_steps - 1 and not told[last][4][env] and last + 1 < len(told):
            if last + 1 == resumed_at:
                break
            last += 1
        if drawn.discounts[place] > 0.0:
            for name in SEEN.spaces:
                found = drawn.next_observations[name][place]
                np.testing.assert_array_equal(found, told[last][1][name][env], err_msg=name)
        reward = sum(0.99**k * told[step + k][3][env] for k in range(last - step + 1))
        assert drawn.rewards[place] == pytest.approx(reward, rel=1e-5, abs=1e-6)  # rewards may cancel


def again(replay: ImageReplay, arguments: dict[str, Any]) -> ImageReplay:
    """The same from its checkpoint."""
    other = ImageReplay(SIZE * ENVS, SEEN, spaces.Discrete(2), "cpu", ENVS, **arguments)
    if replay.filled:
        restore_replay(other, replay_state(replay))
    return other


def test_agents_of_others_are_given_what_they_ask_for() -> None:
    replay = ImageReplay(
        SIZE * ENVS, SEEN, spaces.Discrete(2), "cpu", ENVS, channels={"front": 3, "top": 3}, discount=0.9
    )
    studio = Studio(np.random.default_rng(0))
    for ends in (["", "end"], ["time", ""], ["", ""]):
        replay.add(*studio.step(ends))
    drawn = replay.sample(100)
    assert drawn.observations["front"].dtype == torch.uint8
    assert drawn.observations["front"].shape == (100, STACK * COLOURS, SIDE, SIDE)
    assert set(drawn.discounts[:, 0].numpy().round(6)) == {0.0, np.float32(0.9)}
    assert not drawn.dones.any()


@pytest.mark.parametrize("steps", [8, 30])
def test_by_priority_none_is_drawn_whose_stack_is_gone(steps: int) -> None:
    np.random.seed(0)
    lean = ImageReplay(SIZE * ENVS, SPACE, spaces.Discrete(2), "cpu", ENVS, priority_exponent=0.6)
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
    lean = ImageReplay(1000, space, spaces.Discrete(2), "cpu", 1)
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
        ImageReplay(100, space, spaces.Discrete(2), "cpu", 1)
