"""Images of many steps of many simulations, each held once, however many stacks show it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simreal.agents.value.sum_tree import Places

Images = NDArray[np.uint8]


class Film:
    """What a camera showed at each of the last steps: stacks of frames, the newest first.

    Of each step the newest frame alone is stored, and how many steps back the others were: a camera
    slower than the control brings none in some steps. What was seen as an episode ran out of time
    stands in no later step: its stack is kept aside.

    Attributes:
        frames: (steps, envs, channels, height, width) the newest frame of each step.
        back: (steps, envs, stack) how many steps earlier each frame of a stack is stored.
        newest: (envs, stack * channels, height, width) what was seen after the last step.
        aside: step * envs + env to what was seen at the end of an episode that ran out of time.
    """

    def __init__(self, steps: int, envs: int, shape: Sequence[int], channels: int) -> None:
        """Store nothing yet.

        Args:
            steps: that are remembered.
            envs: simulations.
            shape: of what is observed: channels of all frames, height, width.
            channels: of one frame.
        """
        self._steps, self._channels = steps, channels
        stack = shape[0] // channels
        self.frames: Images = np.zeros((steps, envs, channels, *shape[1:]), np.uint8)
        self.back = np.zeros((steps, envs, stack), np.int16)
        self.newest: Images = np.zeros((envs, *shape), np.uint8)
        self.aside: dict[int, Images] = {}
        self._still = np.zeros(envs, dtype=bool)

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        held = self.frames.nbytes + self.back.nbytes + self.newest.nbytes
        return held + sum(each.nbytes for each in self.aside.values())

    def state(self, filled: int) -> dict[str, NDArray[np.integer]]:
        """All that is stored in the first `filled` steps, as arrays by name."""
        kept = np.array(list(self.aside.values()), np.uint8)
        return {
            "frames": self.frames[:filled],
            "back": self.back[:filled],
            "newest": self.newest,
            "kept": kept.reshape(-1, *self.newest.shape[1:]),
            "kept_at": np.array(list(self.aside), np.int64),
        }

    def restore(self, state: dict[str, NDArray[np.integer]], row: int) -> None:
        """Put back what `state` gave; no episode goes on.

        Args:
            state: of a film of the same size.
            row: of the newest step; what was seen after it was the last of its episodes.
        """
        filled = len(state["frames"])
        self.frames[:filled], self.back[:filled] = state["frames"], state["back"]
        self.newest[:] = state["newest"]
        self.aside = dict(
            zip(state["kept_at"].tolist(), np.asarray(state["kept"], np.uint8), strict=True)
        )
        self.aside |= {row * len(self.newest) + env: each.copy() for env, each in enumerate(self.newest)}

    def add(
        self,
        row: int,
        seen: Images,
        seen_after: Images,
        begun: NDArray[np.bool_],
        out_of_time: NDArray[np.bool_],
    ) -> None:
        """Store a step of all simulations.

        Args:
            row: where; the row before holds the step before.
            seen: (envs, stack * channels, height, width) at the step.
            seen_after: likewise after it; of an episode that ended, what it saw last.
            begun: (envs,) whether the step is the first of an episode.
            out_of_time: (envs,) whether the episode then ends by its time limit.
        """
        envs = len(seen)
        older = self.back[row - 1].astype(np.int64) + 1
        moved = np.where(self._still[:, None], older[:, 1:], older[:, :-1])
        # From before an episode there is nothing: its stack is its first frame, again and again.
        self.back[row, :, 1:] = np.where(begun[:, None], 0, moved)
        self.frames[row] = seen[:, : self._channels]
        self._still = self._same(seen, seen_after)
        self.newest[:] = seen_after
        for env in range(envs):
            self.aside.pop(row * envs + env, None)
        for late in np.flatnonzero(out_of_time):
            self.aside[row * envs + int(late)] = np.array(seen_after[late], np.uint8)

    def _same(self, seen: Images, seen_after: Images) -> NDArray[np.bool_]:
        """(envs,) whether no frame came; where all frames of a stack are alike, that does not matter."""
        image = tuple(range(1, seen.ndim))
        unchanged = (seen == seen_after).all(axis=image)
        first, second = seen[:, : -self._channels], seen[:, self._channels :]
        alike = (first == second).all(axis=image)
        still: NDArray[np.bool_] = unchanged & ~alike
        return still

    def reach(self, rows: Places | int) -> NDArray[np.int64]:
        """(..., envs) how many rows back the stacks of some rows look."""
        longest: NDArray[np.int64] = self.back[rows].max(axis=-1).astype(np.int64)
        return longest

    def seen(self, rows: Places, envs: Places) -> Images:
        """(n, stack * channels, height, width) what was seen at some steps."""
        stored = (rows[:, None] - self.back[rows, envs]) % self._steps
        stacked: Images = self.frames[stored, envs[:, None]]
        return stacked.reshape(len(rows), -1, *stacked.shape[3:])

    def seen_after(
        self, rows: Places, envs: Places, last: NDArray[np.bool_], out_of_time: NDArray[np.bool_]
    ) -> Images:
        """(n, stack * channels, height, width) what was seen after some steps.

        After an end for good, it is anything.

        Args:
            rows: of the steps.
            envs: of the steps.
            last: (n,) which of them were added last.
            out_of_time: (n,) which of them ended an episode by its time limit.
        """
        following = self.seen((rows + 1) % self._steps, envs)
        following[last] = self.newest[envs[last]]
        for each in np.flatnonzero(out_of_time):
            following[each] = self.aside[int(rows[each]) * self.back.shape[1] + int(envs[each])]
        return following
