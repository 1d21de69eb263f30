"""What a driver of a Unitree robot sends and receives through."""

from dataclasses import dataclass
from typing import Any, Protocol

from simreal.deploy.unitree.idl import packed_type
from simreal.deploy.unitree.link import DDSException, Link
from simreal.deploy.unitree.messages import COMMAND_TOPIC, STATE_TOPIC, Messages
from simreal.deploy.unitree.services import SPORT, SWITCHER, DdsServices, ServiceError


class WireError(Exception):
    """Nothing can be sent or received any more."""


@dataclass(frozen=True, slots=True)
class Received:
    """A payload, and when it was sent: ns of the sender's clock, which need not agree with ours."""

    payload: bytes
    sent: int


class Wire(Protocol):
    """A way to a robot; nothing of it waits."""

    def send(self, payload: bytes) -> None:
        """Send a command; raises `WireError`."""

    def newest(self) -> Received | None:
        """The newest state, if one has come since the last call; raises `WireError`."""

    def hears_others(self) -> bool:
        """Whether another program has sent a command since the last call; raises `WireError`."""

    def call(self, service: str, api: int, parameter: dict[str, Any]) -> Any:
        """Call a service of the robot, which may take a second; see `Services.call`."""

    def close(self) -> None:
        """Leave it."""


class DdsWire:
    """The way over DDS."""

    def __init__(self, messages: Messages, interface: str, domain: int) -> None:
        """Take it.

        Raises:
            WireError: it cannot be taken.
        """
        self._kind = packed_type(messages.command)
        try:
            self._link = Link(interface, domain)
            self._writer = self._link.writer(COMMAND_TOPIC, self._kind)
            self._reader = self._link.reader(STATE_TOPIC, packed_type(messages.state))
            self._others = self._link.reader(COMMAND_TOPIC, self._kind, foreign=True)
            self._services = DdsServices(self._link, (SWITCHER, SPORT))
        except DDSException as error:
            raise WireError(
                f"DDS cannot join domain {domain} over interface {interface}: {error.msg}"
            ) from None

    def send(self, payload: bytes) -> None:
        """See `Wire.send`."""
        try:
            self._writer.write(self._kind(payload))
        except DDSException as error:
            raise WireError(f"DDS cannot write {COMMAND_TOPIC}: {error.msg}") from None

    def newest(self) -> Received | None:
        """See `Wire.newest`."""
        try:
            samples = self._reader.take(1)
        except DDSException as error:
            raise WireError(f"DDS cannot read {STATE_TOPIC}: {error.msg}") from None
        if not samples or not samples[0].sample_info.valid_data:
            return None  # a sample without data says that a sender has gone
        return Received(samples[0].payload, samples[0].sample_info.source_timestamp)

    def hears_others(self) -> bool:
        """See `Wire.hears_others`."""
        try:
            return any(sample.sample_info.valid_data for sample in self._others.take(1))
        except DDSException as error:
            raise WireError(f"DDS cannot read {COMMAND_TOPIC}: {error.msg}") from None

    def call(self, service: str, api: int, parameter: dict[str, Any]) -> Any:
        """See `Wire.call`."""
        try:
            return self._services.call(service, api, parameter)
        except DDSException as error:
            raise ServiceError(f"the service {service} cannot be called: {error.msg}") from None

    def close(self) -> None:
        """See `Wire.close`."""
        del self._writer, self._reader, self._others, self._services
        self._link.close()
