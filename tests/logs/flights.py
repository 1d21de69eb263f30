"""Logs as the loop writes them, of cycles that a test makes up."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simreal.contract import ActionMapping, Contract, ObservationTerm, Provenance
from simreal.deploy.cycle import Cycle, Event
from simreal.deploy.log_writer import LogWriter
from simreal.deploy.supervisor import Phase
from simreal.logs.messages import PROVENANCE_METADATA
from simreal.robots import load_robot
from simreal.state import RobotCommand, RobotState


def qube_contract() -> Contract:
    return Contract(
        robot=load_robot("qube").description,
        control_rate=100.0,
        observation=(ObservationTerm(source="joint_position"),),
        action=ActionMapping(scale=(4.0,), offset=(0.0,)),
        provenance=Provenance(task="qube_swingup", agent="ppo", seed=0, training_steps=0, versions={}),
    )


def cycle(number: int, at: int, arrived: float, value: NDArray[np.float64]) -> Cycle:
    """A cycle of a Qube whose every number follows from (2,) values.

    Args:
        number: of the cycle.
        at: ns, of all that happens in it.
        arrived: s, of its measurement.
        value: positions; velocities are twice that.
    """
    return Cycle(
        number,
        Phase.RUNNING,
        *(at,) * 7,
        overruns=0,
        asked=np.zeros(0),
        state=RobotState(arrived, value, 2 * value),
        observation=value.astype(np.float32),
        action=value[:1],
        command=RobotCommand(value[1:]),
    )


def write_flight(
    path: Path,
    contract: Contract,
    items: Iterable[Cycle | Event],
    provenance: Mapping[str, str] | None = None,
) -> None:
    """Write a complete log."""
    writer = LogWriter(path, contract, {PROVENANCE_METADATA: provenance or {}})
    for item in items:
        writer.cycle(item) if isinstance(item, Cycle) else writer.event(item)
    writer.finish(None)
