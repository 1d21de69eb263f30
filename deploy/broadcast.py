"""The loop's cycles and events, in shared memory for whoever listens; and listeners as processes.

A listener is a process of its own, so that it takes neither the interpreter's lock nor a page fault from
the loop. Its module reads one line from standard input (`attach`), and ends when that input does.
"""

import json
import subprocess
import sys
from dataclasses import dataclass, field
from typing import IO, Any

from simreal.contract import Contract
from simreal.deploy.cycle import EVENT, CycleLayout, CycleWriter, Event, put_event
from simreal.deploy.ring import Ring, RingReader
from simreal.errors import UserError

CYCLES = 8192
"""At 1 kHz a listener may be late by 8 s."""
EVENTS = 256


class Broadcast:
    """The loop's end.

    Attributes:
        contract: of the policy that runs.
        cycles: ring of `CycleLayout` records.
        events: ring of `EVENT` records.
        put: hands over a cycle.
    """

    def __init__(self, contract: Contract, kept: bool = False) -> None:
        """Make the rings.

        Args:
            contract: of the policy that runs.
            kept: whether one of the listeners keeps everything.
        """
        self.contract = contract
        self.cycles = Ring(CycleLayout(contract).dtype, CYCLES, kept)
        self.events = Ring(EVENT, EVENTS, kept)
        self.put = CycleWriter(self.cycles).put

    @property
    def dropped(self) -> int:
        """Cycles and events that found no room."""
        return self.cycles.dropped + self.events.dropped

    def tell(self, event: Event) -> None:
        """Hand over an event."""
        put_event(self.events, event)

    def start(self, module: str, **arguments: Any) -> "subprocess.Popen[bytes]":
        """Start a listener as ``python -m MODULE``; close its standard input to end it.

        Args:
            module: whose main function calls `attach`.
            arguments: for it, of JSON's kinds.
        """
        files = [self.cycles.fileno(), self.events.fileno()]
        # -P: the working folder must not shadow the installed package. A session of its own: Ctrl-C in
        # the terminal reaches the loop alone.
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            pass_fds=files,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        given = {"files": files, "contract": self.contract.to_json(), "arguments": arguments}
        assert process.stdin is not None
        process.stdin.write(json.dumps(given).encode() + b"\n")
        process.stdin.flush()
        return process

    def close(self) -> None:
        """Give up the rings; listeners keep what they have."""
        self.cycles.close()
        self.events.close()


@dataclass(slots=True)
class Attached:
    """A listener's end.

    Attributes:
        layout: of the cycles.
        cycles: their reader.
        events: reader of events.
        arguments: that `Broadcast.start` was given.
    """

    layout: CycleLayout
    cycles: RingReader
    events: RingReader
    arguments: dict[str, Any] = field(default_factory=dict)


def attach(standard_input: IO[bytes], keeper: bool = False) -> Attached:
    """In a listener's process: attach to the rings of the process that started it.

    Raises:
        UserError: nobody started it as a listener.
    """
    try:
        given = json.loads(standard_input.readline())
        cycles, events = given["files"]
    except (ValueError, KeyError, TypeError):
        raise UserError("this is started by `simreal deploy`, not by hand") from None
    layout = CycleLayout(Contract.from_json(given["contract"]))
    return Attached(
        layout,
        RingReader(cycles, layout.dtype, keeper),
        RingReader(events, EVENT, keeper),
        given["arguments"],
    )
