"""The terminal's view of a run, without its process."""

import numpy as np
from rich.console import Console

from simreal.contract import Contract
from simreal.deploy.broadcast import Attached, Broadcast
from simreal.deploy.cycle import EVENT, Cycle, CycleLayout, Event
from simreal.deploy.live import View
from simreal.deploy.ring import RingReader
from simreal.deploy.supervisor import Phase
from simreal.state import RobotCommand, RobotState


def test_it_shows_phase_joints_commands_and_timing(contract: Contract) -> None:
    broadcast = Broadcast(contract)
    layout = CycleLayout(contract)
    readers = (
        RingReader(broadcast.cycles.fileno(), layout.dtype),
        RingReader(broadcast.events.fileno(), EVENT),
    )
    view = View(Attached(layout, *readers))
    state = RobotState(0.9, np.array([1.25, -0.5]), np.zeros(2))
    for number in range(3):
        broadcast.put(
            Cycle(
                number,
                Phase.FAULT,
                *(10**9 + 10**7 * number + 10**6 * step for step in (2, 0, 3, 4, 5, 6, 7)),
                overruns=4,
                asked=np.zeros(0),
                state=state,
                action=np.zeros(1),
                command=RobotCommand(np.array([-2.5])),
            )
        )
    broadcast.tell(Event(0, "phase", "fault, off: tilt: it fell"))
    view.hear()
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(view.render())
    text = console.export_text()
    for words in ("fault", "cycle 2", "4 overruns", "it fell", "arm", "1.250", "-2.500 V", "latency"):
        assert words in text
    broadcast.close()
