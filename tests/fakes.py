"""Stands for what surrounds the core: principals, handshakes, a transport that remembers, a hub on a Clock."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock

from wsservice.app import App
from wsservice.auth.principal import Principal
from wsservice.connection import Connection
from wsservice.counters import Counters
from wsservice.envelope import RawWire
from wsservice.errors import ClientError
from wsservice.expiry import Expirations
from wsservice.frames import BINARY, TEXT, Framing
from wsservice.handshake import Handshake, Headers
from wsservice.history import History
from wsservice.hub import Handlers, Hub
from wsservice.messages import ROOT, Ack, Event
from wsservice.registry import Registry
from wsservice.wire import Link, Wire


def make_principal(
    id: str = "alice", *, session: str | None = None, roles: tuple[str, ...] = (), expires_at: float = 3600.0
) -> Principal:
    """A verified user; its session is named after it unless told otherwise."""
    return Principal(id, id, session or f"session-{id}", expires_at, frozenset(roles))


def make_handshake(
    path: str = "/ws", query_string: str = "", *, headers: Headers = (("host", "localhost"),), peer: str = "192.0.2.7"
) -> Handshake:
    """A request as a parsed head would give it."""
    return Handshake("GET", path, query_string, headers, peer, False, "request-0001", "localhost")


class BareFraming(Framing):
    """Frames without a header, so that tests read the payload: text as it is, binary behind a `b`."""

    def finish(self, payload: bytes, opcode: int = TEXT) -> bytes:
        return b"b" + payload if opcode == BINARY else payload


BARE_WIRE = RawWire(BareFraming())


class FakeLink(Link):
    """Records what its connection does to the transport, in one list of steps, too."""

    def __init__(self) -> None:
        self.behind = False
        self.writes: list[bytes] = []
        self.closes: list[tuple[int, str]] = []
        self.accepted = 0
        #: "pause" and "resume"
        self.reading: list[str] = []

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def is_behind(self) -> bool:
        return self.behind

    def accept(self) -> None:
        self.accepted += 1

    def refuse(self, error: ClientError) -> None:
        self.close(*error.close)

    def close(self, code: int, reason: str) -> None:
        self.closes.append((int(code), reason))

    def pause_reading(self) -> None:
        self.reading.append("pause")

    def resume_reading(self) -> None:
        self.reading.append("resume")

    @property
    def messages(self) -> list[Any]:
        """What was written, decoded from JSON."""
        return [json.loads(data) for data in self.writes]


class Core:
    """An app with its registry, expirations and hub, on a Clock that is the wall clock, too.

    Args:
        recovery: whether there is a history.
    """

    def __init__(self, handlers: Handlers | None = None, *, recovery: bool = False, **limits: Any) -> None:
        self.clock = Clock()
        self.counters = Counters()
        self.app = App()
        self.registry: Registry[Connection] = Registry(self.counters)
        self.expirations = Expirations(self.clock, self.clock.seconds)
        if recovery:
            limits["history"] = History(self.clock.seconds, self.counters)
        self.hub = Hub(handlers or self.app, self.registry, self.expirations, self.clock, self.counters, **limits)
        self.app.serve(self.hub)

    def connect(
        self, user: str | Principal = "alice", link: FakeLink | None = None, namespace: str = ROOT, **arguments: Any
    ) -> Client:
        """A client that has connected; `on_connect` has been started."""
        client = self.prepare(user, link, namespace, **arguments)
        client.connection.open()
        return client

    def prepare(
        self, user: str | Principal = "alice", link: FakeLink | None = None, namespace: str = ROOT, **arguments: Any
    ) -> Client:
        """A client whose connection is not yet open."""
        principal = make_principal(user) if isinstance(user, str) else user
        handlers = None if namespace == ROOT else self.app.find(namespace)
        return Client(self.hub, link or FakeLink(), principal, namespace=namespace, handlers=handlers, **arguments)

    def leftovers(self) -> list[Any]:
        """What must be empty once everybody has gone; the one timer of the expirations may stay."""
        tables = [table for table in vars(self.registry).values() if isinstance(table, dict) and table]
        watched = [members for members in self.expirations._buckets.values() if members]
        self.expirations.stop()
        running = [self.hub.running] if self.hub.running else []
        return [*tables, *watched, *self.clock.getDelayedCalls(), *running]


class Client:
    """The far end of one connection."""

    def __init__(
        self, hub: Hub, link: FakeLink, principal: Principal, *, wire: Wire = BARE_WIRE, **arguments: Any
    ) -> None:
        self.link = link
        self.connection = Connection(hub, link, wire, principal, make_handshake(), **arguments)

    def send(self, event: str, data: Any = None, id: int | None = None) -> None:
        """The client sends an event."""
        self.connection.receive(Event(event, (data,), id))

    def acknowledge(self, id: int, data: Any = None, error: Any = None) -> None:
        """The client answers a call."""
        self.connection.receive(Ack(id, (data,), error))

    def leave(self, reason: str = "transport close") -> None:
        """The transport is gone."""
        self.connection.ended(reason)
