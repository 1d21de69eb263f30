"""Which tasks of dm_control there are, by name, and how each is loaded."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np

from simreal.errors import UserError, missing_extra, nearest
from simreal.experiment import SUITE_PREFIX

LOCOMOTION = ("cmu_humanoid_go_to_target",)
"""The examples of `dm_control.locomotion` that neither see through a camera nor fetch recordings."""
TIME_LIMIT_STEPS = 1000
"""Control steps of an episode of a task that sets itself no limit (lqr): as all others of the suite."""


def suite_task_names() -> tuple[str, ...]:
    """Names of all tasks, such as ``dm_control/cheetah-run``; none where dm_control is not installed."""
    return tuple(_loaders()) if find_spec("dm_control") else ()


def load_task(name: str) -> Any:
    """An environment of dm_control, whose random state its `begin` sets.

    Args:
        name: ``dm_control/DOMAIN-TASK``; the domains ``manipulation`` and ``locomotion`` are composer's.

    Raises:
        UserError: dm_control is not installed, or has no such task.
    """
    if not find_spec("dm_control"):
        raise missing_extra("dm_control", "dm_control")
    loaders = _loaders()
    if name not in loaders:
        raise UserError(f"no task {name!r}: {nearest(name, loaders)}")
    return loaders[name]()


@cache
def _loaders() -> Mapping[str, Callable[[], Any]]:
    return {f"{SUITE_PREFIX}{name}": loader for name, loader in _all_loaders()}


def _all_loaders() -> list[tuple[str, Callable[[], Any]]]:
    with warnings.catch_warnings():
        # Without a display, GLFW says so; nothing here is drawn.
        warnings.simplefilter("ignore")
        from dm_control import manipulation, suite

    of_suite = [(f"{domain}-{task}", _suite_loader(domain, task)) for domain, task in suite.ALL_TASKS]
    seen = [name for name in manipulation.ALL if not name.endswith("_vision")]
    composed = [(f"manipulation-{name}", _manipulation_loader(name)) for name in seen]
    walking = [(f"locomotion-{name}", _locomotion_loader(name)) for name in LOCOMOTION]
    return [*of_suite, *composed, *walking]


def _suite_loader(domain: str, task: str) -> Callable[[], Any]:
    def load() -> Any:
        from dm_control import suite

        # A seed already here: lqr draws the springs of its model when it is loaded.
        return suite.load(domain, task, task_kwargs={"random": 0})

    return load


def _manipulation_loader(name: str) -> Callable[[], Any]:
    def load() -> Any:
        from dm_control import manipulation

        return manipulation.load(name, seed=0)

    return load


def _locomotion_loader(name: str) -> Callable[[], Any]:
    def load() -> Any:
        from dm_control.locomotion.examples import basic_cmu_2019

        return getattr(basic_cmu_2019, name)(np.random.RandomState(0))

    return load
