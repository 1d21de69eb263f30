"""A policy file as the teacher of another policy on the same robot."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simreal.agents.imitation import untold
from simreal.contract_differences import differences
from simreal.deploy.policy import Policy, load_policy
from simreal.env import BatchEnv
from simreal.errors import UserError
from simreal.observation import ObservationPipeline
from simreal.state import RobotState


class Teacher:
    """Says what a policy would do in each simulation, which sees what it was itself trained to see."""

    def __init__(self, policy: Policy, env: BatchEnv) -> None:
        """Watch an environment.

        Args:
            policy: of the same robot, commands, actions and control rate.
            env: where the other one learns.

        Raises:
            UserError: the policies do not fit together.
        """
        mine, other = policy.contract, env.contract
        asked = [[command.name for command in each.commands] for each in (mine, other)]
        unlike = [
            what
            for what, differ in (
                ("robot", bool(differences(mine.robot, other.robot))),
                ("action", bool(differences(mine.action, other.action))),
                ("control rate", mine.control_rate != other.control_rate),
                ("commands", asked[0] != asked[1]),
                ("objects", mine.objects != other.objects),
            )
            if differ
        ]
        if unlike:
            raise UserError(f"teacher.policy: has another {', '.join(unlike)} than what it is to teach")
        if mine.cameras or mine.hidden_states:
            raise UserError("teacher.policy: sees or remembers; only one that does neither can teach")
        self._policy, self._env = policy, env
        self._pipeline = ObservationPipeline(mine, (env.count,))
        self._untold = untold(other)
        commands = [other.commands[place] for place in self._untold]
        self._low = np.array([command.low for command in commands])
        self._width = np.array([command.high for command in commands]) - self._low

    def __call__(
        self, last_action: NDArray[np.floating[Any]], begun: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """(n, actuators) actions that it would take now; see `simreal.agents.imitation.Teach`."""
        env = self._env
        state, asked, told = env.measured_state(), env.command, env.target
        last = np.where(begun[:, None], 0.0, last_action).astype(np.float64)
        observation = self._pipeline(state, last, asked, told)
        ids = np.flatnonzero(begun)
        if ids.size:
            first: RobotState = state.rows(ids)
            observation[ids] = self._pipeline.begin(first, last[ids], ids, asked[ids], told[ids])
        return np.clip(self._policy.act(observation), -1.0, 1.0)

    def told(self) -> NDArray[np.float32]:
        """(n, k) commands that the other one must see, and what it `tells` of the task besides.

        See `simreal.agents.imitation.Teach`.
        """
        asked = self._env.command[:, self._untold]
        commands = 2.0 * (asked - self._low) / self._width - 1.0
        of_the_task = self._env.privileged[:, self._env.told_columns]
        return np.concatenate([commands, of_the_task], axis=1).astype(np.float32)


def find_teacher(name: str, env: BatchEnv) -> Teacher:
    """The teacher of that name or file."""
    return Teacher(load_policy(Path(name)), env)
