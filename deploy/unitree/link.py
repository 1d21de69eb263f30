"""Cyclone DDS on one network interface: what drivers and emulators of Unitree robots talk over."""

import re
import socket
from typing import Any

from cyclonedds.core import DDSException
from cyclonedds.domain import Domain, DomainParticipant
from cyclonedds.pub import DataWriter
from cyclonedds.qos import Policy, Qos
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from simreal.errors import UserError, nearest

LARGEST_DOMAIN = 232
"""Of those whose ports exist."""
BLOCKING = 2_000_000
"""ns that a write may wait for a receiver that must have everything and does not keep up."""
CONFIGURATION = """<CycloneDDS><Domain Id="any"><General><Interfaces>
<NetworkInterface name="{interface}" priority="default" multicast="default"/>
</Interfaces></General></Domain></CycloneDDS>"""

__all__ = ["DDSException", "DataReader", "DataWriter", "Link", "refuse_interface"]


def refuse_interface(interface: str, who: str) -> None:
    """Raise a `UserError` in the name of who asks if this computer has no such network interface."""
    names = [name for _, name in socket.if_nameindex()]
    if interface not in names or not re.fullmatch(r"[\w.:-]+", interface):
        raise UserError(
            f"{who}: interface={interface}: no network interface of that name: "
            f"{nearest(interface, names)}"
        )


class Link:
    """A participant in a domain. One process has one link in each domain, at most.

    Writers are reliable, so that they suit readers of either kind; readers are not: what is lost is
    not sent again, since something newer is on its way.
    """

    def __init__(self, interface: str, domain: int) -> None:
        """Join a domain over an interface.

        Raises:
            DDSException: it cannot be joined.
        """
        configuration = CONFIGURATION.format(interface=interface)
        # In the order in which one needs the other; Cyclone ends each when its object does.
        self._entities: list[Any] = [Domain(domain, configuration)]
        self._participant = DomainParticipant(domain)
        self._entities.append(self._participant)

    def writer(self, topic: str, kind: type) -> "DataWriter[Any]":
        """Of the newest message of a kind."""
        quality = Qos(Policy.Reliability.Reliable(BLOCKING), Policy.History.KeepLast(1))
        writer: DataWriter[Any] = DataWriter(self._participant, self._topic(topic, kind), quality)
        self._entities.append(writer)
        return writer

    def reader(
        self, topic: str, kind: type, depth: int = 1, reliable: bool = False, foreign: bool = False
    ) -> "DataReader[Any]":
        """Of the newest messages of a kind, so many at most; perhaps only of those of others."""
        reliability = Policy.Reliability.Reliable(0) if reliable else Policy.Reliability.BestEffort
        ignored = Policy.IgnoreLocal.Participant if foreign else Policy.IgnoreLocal.Nothing
        quality = Qos(reliability, Policy.History.KeepLast(depth), ignored)
        reader: DataReader[Any] = DataReader(self._participant, self._topic(topic, kind), quality)
        self._entities.append(reader)
        return reader

    def _topic(self, name: str, kind: type) -> "Topic[Any]":
        topic: Topic[Any] = Topic(self._participant, name, kind)
        self._entities.append(topic)
        return topic

    def close(self) -> None:
        """Leave the domain; what was made here must not be used any more."""
        del self._participant
        while self._entities:
            self._entities.pop()
