"""Services of a Unitree robot's own computer: which controller of its own is active, and its release.

While one is, it sends commands to the motors, and so must nobody else.
"""

import json
import time
from typing import Any, Protocol

from simreal.deploy.unitree.idl import Identity, Lease, Policy, Request, RequestHeader, Response
from simreal.deploy.unitree.link import Link

SWITCHER, SPORT = "motion_switcher", "sport"
CHECK_MODE, RELEASE_MODE = 1001, 1003
"""Calls of the motion switcher."""
STAND_DOWN = 1005
"""Call of the sport service of robots on four legs."""
POLL = 2e-3
ANSWER_TIMEOUT = 2.0
"""s"""
TRIES = 4
"""Times that a call is sent; calling twice does no harm here."""


class ServiceError(Exception):
    """A service does not answer, or refuses. The message is meant for a person."""


class Services(Protocol):
    """What calls services."""

    def call(self, service: str, api: int, parameter: dict[str, Any]) -> Any:
        """The data of the answer.

        Raises:
            ServiceError: there is none, or it tells of an error.
        """


class DdsServices:
    """Calls services over DDS."""

    def __init__(self, link: Link, services: tuple[str, ...]) -> None:
        """Prepare to call some services."""
        self._writers = {name: link.writer(f"rt/api/{name}/request", Request) for name in services}
        self._readers = {
            name: link.reader(f"rt/api/{name}/response", Response, 10, reliable=True)
            for name in services
        }

    def call(self, service: str, api: int, parameter: dict[str, Any]) -> Any:
        """See `Services.call`."""
        writer, reader = self._writers[service], self._readers[service]
        deadline = time.monotonic() + ANSWER_TIMEOUT
        while not (writer.get_matched_subscriptions() and reader.get_matched_publications()):
            if time.monotonic() > deadline:
                raise ServiceError(f"nobody offers the service {service}")
            time.sleep(POLL)
        number = time.monotonic_ns()
        header = RequestHeader(Identity(number, api), Lease(0), Policy(0, False))
        request = Request(header, json.dumps(parameter), [])  # type: ignore[arg-type]
        for _ in range(TRIES):  # the service may know of us a little later than we of it
            writer.write(request)
            deadline = time.monotonic() + ANSWER_TIMEOUT / TRIES
            while time.monotonic() < deadline:
                for answer in reader.take(10):
                    if isinstance(answer, Response) and answer.header.identity.id == number:
                        return _data(answer, service, api)
                time.sleep(POLL)
        raise ServiceError(f"the service {service} does not answer call {api}")


def _data(answer: Response, service: str, api: int) -> Any:
    code = answer.header.status.code
    if code != 0 or answer.header.identity.api_id != api:
        raise ServiceError(f"the service {service} answers call {api} with error {code}")
    try:
        return json.loads(answer.data or "{}")
    except ValueError:
        raise ServiceError(f"the service {service} answers call {api} with {answer.data!r}") from None


def active_controller(services: Services) -> str:
    """Name of the robot's own controller that is active; empty if none is.

    Raises:
        ServiceError: the robot does not say.
    """
    answer = services.call(SWITCHER, CHECK_MODE, {})
    name = answer.get("name") if isinstance(answer, dict) else None
    if not isinstance(name, str):
        raise ServiceError(f"the motion switcher answers {answer!r}, which names no mode")
    return name
