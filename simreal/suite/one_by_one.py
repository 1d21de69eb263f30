"""Simulations that dm_control steps one by one, spread over the processors."""

import multiprocessing
import os
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.errors import UserError
from simreal.observation import Float32Array
from simreal.state import Ids
from simreal.suite.model_fields import Changes
from simreal.suite.simulation import Simulation
from simreal.suite.stepped import Given


class OneByOne:
    """Simulations in this process; `Stepped` has the methods."""

    is_batched = False

    def __init__(self, name: str, count: int) -> None:
        """Load a task `count` times."""
        self._simulations = [Simulation(name) for _ in range(count)]

    @property
    def count(self) -> int:
        """Number of simulations."""
        return len(self._simulations)

    def begin(self, ids: Ids, seeds: Sequence[int], changes: Sequence[Changes]) -> Float32Array:
        """Begin episodes in some simulations; (len(ids), size) their first observations."""
        begun = zip(ids.tolist(), seeds, changes, strict=True)
        return np.stack([self._simulations[row].begin(seed, changed) for row, seed, changed in begun])

    def step(self, action: NDArray[np.float64]) -> Given:
        """Take (count, actions); give observations, rewards and how each episode stands."""
        outcomes = [each.step(row) for each, row in zip(self._simulations, action, strict=True)]
        return (
            np.stack([outcome.observation for outcome in outcomes]),
            np.array([outcome.reward for outcome in outcomes]),
            np.array([outcome.status for outcome in outcomes]),
        )

    def close(self) -> None:
        """Give back what dm_control holds."""
        for each in self._simulations:
            each.close()


class Processes:
    """Simulations in processes of their own, as many as there are processors; see `Stepped`.

    Each process steps its share and answers once, so that a step of all costs one message for each
    processor and not one for each simulation.
    """

    is_batched = False

    def __init__(self, name: str, count: int) -> None:
        """Start the processes, each with its share of the simulations."""
        context = multiprocessing.get_context("forkserver")
        shares = np.array_split(np.arange(count), min(count, os.cpu_count() or 1))
        self._count = count
        self._shares = shares
        self._pipes: list[Connection] = []
        processes: list[BaseProcess] = []
        for share in shares:
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(theirs, name, len(share)), daemon=True)
            process.start()
            theirs.close()
            self._pipes.append(ours)
            processes.append(process)
        self._end = weakref.finalize(self, _end, self._pipes, processes)

    @property
    def count(self) -> int:
        """Number of simulations."""
        return self._count

    def begin(self, ids: Ids, seeds: Sequence[int], changes: Sequence[Changes]) -> Float32Array:
        """Begin episodes in some simulations; (len(ids), size) their first observations."""
        asked = []
        for pipe, share in zip(self._pipes, self._shares, strict=True):
            places = np.flatnonzero((ids >= share[0]) & (ids <= share[-1]))
            if places.size:
                chosen = places.tolist()
                rows = ids[places] - share[0]
                pipe.send(("begin", rows, [seeds[i] for i in chosen], [changes[i] for i in chosen]))
                asked.append(pipe)
        return np.concatenate([_answer(pipe) for pipe in asked])

    def step(self, action: NDArray[np.float64]) -> Given:
        """Take (count, actions); give observations, rewards and how each episode stands."""
        for pipe, share in zip(self._pipes, self._shares, strict=True):
            pipe.send(("step", action[share[0] : share[-1] + 1]))
        observations, rewards, statuses = zip(*map(_answer, self._pipes), strict=True)
        return np.concatenate(observations), np.concatenate(rewards), np.concatenate(statuses)

    def close(self) -> None:
        """End the processes."""
        self._end()


def _answer(pipe: Connection) -> Any:
    try:
        answer = pipe.recv()
    except EOFError:
        raise RuntimeError("a process that stepped simulations has died") from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _end(pipes: list[Connection], processes: list[BaseProcess]) -> None:
    for pipe in pipes:
        pipe.close()  # at which each process ends by itself
    for process in processes:
        process.join(timeout=5.0)
        if process.is_alive():
            process.terminate()


def _serve(pipe: Connection, name: str, count: int) -> None:
    """Answer until the other end of the pipe is closed."""
    simulations: OneByOne | None = None
    while True:
        try:
            method, *arguments = pipe.recv()
        except (EOFError, KeyboardInterrupt):
            return
        try:
            simulations = simulations or OneByOne(name, count)
            pipe.send(getattr(simulations, method)(*arguments))
        except (UserError, RuntimeError, ValueError) as error:
            pipe.send(error)
