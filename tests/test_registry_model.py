"""Registry, connections and app together: whatever clients, handlers and the time do, the books balance.

`tests/test_registry.py` holds the registry's tables against a model, and `tests/test_connection.py` one connection's
order; here are many connections in two namespaces, and what the three owe each other.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Client, Core, FakeLink, make_principal
from wsservice.connection import Connection
from wsservice.errors import ClientError
from wsservice.messages import Target

NAMESPACES = st.sampled_from(["/", "/chat"])
USERS = st.sampled_from(["alice", "bob"])
ROOMS = st.sampled_from(["red", "blue"])
#: what `on_connect` does
VERDICTS = st.sampled_from(["accepts", "accepts", "accepts", "waits", "waits", "refuses", "fails", "leaves", "greets"])
EVENTS = st.sampled_from(["quick", "slow", "slow", "fails", "says bye", "joins"])


class Planned(Exception):
    """What a handler raises."""


class StrictLink(FakeLink):
    """Is not written to once it was closed, and closed once."""

    def write(self, data: bytes) -> None:
        assert not self.closes, "written to after its close"
        super().write(data)

    def close(self, code: int, reason: str) -> None:
        assert not self.closes, "closed twice"
        super().close(code, reason)


class Life(RuleBasedStateMachine):
    """A service with everybody that ever connected.

    Attributes:
        verdicts: what `on_connect` will do, or did, by connection; `openings` are those that it keeps waiting.
        welcomed, goodbyes: how often a connection was let in, and `on_disconnect` ran for it.
        lost: messages that were held back for a connection that was then closed before it was accepted.
    """

    clients = Bundle("clients")
    written: Counter[str] = Counter()

    def __init__(self) -> None:
        super().__init__()
        self.core = Core(inbox_limit=3, held_limit=200)
        self.everybody: list[Client] = []
        self.gone: set[str] = set()
        self.verdicts: dict[str, str] = {}
        self.openings: dict[str, Deferred[None]] = {}
        self.waiting: list[tuple[str, Deferred[None]]] = []
        self.welcomed: Counter[str] = Counter()
        self.goodbyes: Counter[str] = Counter()
        self.held: dict[str, int] = {}
        self.lost = 0
        self.written.clear()
        for namespace in (self.core.app, self.core.app.namespace("/chat")):
            namespace.on_connect(self._on_connect)
            namespace.on_disconnect(self._on_disconnect)
            namespace.on_any(self._on_event)

    # -- the app

    def _on_connect(self, connection: Connection) -> Any:
        verdict = self.verdicts[connection.id]
        if verdict == "waits":
            self.openings[connection.id] = Deferred()
            return self.openings[connection.id]
        if verdict == "refuses":
            raise ClientError("no")
        if verdict == "fails":
            raise Planned
        if verdict == "leaves":
            connection.disconnect()
        elif verdict == "greets":
            connection.join("red")
            connection.emit("hello")
        self.welcomed[connection.id] += 1
        return None

    def _on_disconnect(self, connection: Connection, reason: str) -> None:
        self.goodbyes[connection.id] += 1
        assert connection.id in self.gone, "said goodbye to while it is there"
        assert all(connection.id != served for served, _ in self.waiting), "said goodbye to while it is served"
        assert self.core.registry.get(connection.id) is None
        connection.emit("too late")
        connection.join("red")
        self.core.app.emit("gone", connection.id, room="red")

    def _on_event(self, connection: Connection, event: str, data: Any) -> Any:
        assert self.welcomed[connection.id], "served before it was let in"
        if event == "slow":
            self.waiting.append((connection.id, Deferred()))
            return self.waiting[-1][1]
        if event == "fails":
            raise Planned
        if event == "says bye":
            connection.disconnect(4000, "bye")
        elif event == "joins":
            connection.join("blue")
        return None

    # -- clients

    @rule(target=clients, user=USERS, namespace=NAMESPACES, verdict=VERDICTS, lifetime=st.integers(5, 50))
    def connects(self, user: str, namespace: str, verdict: str, lifetime: int) -> Client:
        principal = make_principal(user, expires_at=self.core.clock.seconds() + lifetime)
        client = self.core.prepare(principal, StrictLink(), namespace)
        self.verdicts[client.connection.id] = verdict
        self.everybody.append(client)
        client.connection.open()
        return client

    @rule(client=clients, event=EVENTS)
    def sends(self, client: Client, event: str) -> None:
        if client.connection.id not in self.gone:
            client.send(event)

    @rule(client=clients)
    def leaves(self, client: Client) -> None:
        """The client goes, or answers the service's close."""
        if client.connection.id not in self.gone:
            self.gone.add(client.connection.id)
            client.leave()

    @rule(client=clients, behind=st.booleans())
    def reads_slowly(self, client: Client, behind: bool) -> None:
        client.link.behind = behind

    # -- handlers and time

    @precondition(lambda self: self.openings)
    @rule(refuses=st.booleans(), first=st.booleans())
    def decides(self, refuses: bool, first: bool) -> None:
        ids = list(self.openings)
        chosen = ids[0 if first else -1]
        opening = self.openings.pop(chosen)
        if refuses:
            opening.errback(ClientError("no"))
        else:
            self.welcomed[chosen] += 1
            opening.callback(None)

    @precondition(lambda self: self.waiting)
    @rule(fails=st.booleans(), first=st.booleans())
    def handler_finishes(self, fails: bool, first: bool) -> None:
        _, waiting = self.waiting.pop(0 if first else -1)
        if fails:
            waiting.errback(Planned())
        else:
            waiting.callback(None)

    @rule(seconds=st.sampled_from([1, 6, 31]))
    def time_passes(self, seconds: int) -> None:
        self.core.clock.pump([0.5] * (2 * seconds))

    # -- the application speaks

    @rule(namespace=NAMESPACES, room=ROOMS | st.none(), user=USERS | st.none(), volatile=st.booleans())
    def emits(self, namespace: str, room: str | None, user: str | None, volatile: bool) -> None:
        there = [client for client in self.everybody if self._is_there(client.connection, namespace)]
        expected = {
            client.connection.id
            for client in there
            if room is user is None or room in client.connection.rooms or client.connection.user.id == user
        }
        before = Counter(self.written)
        self.core.app.namespace(namespace).emit("news", 1, room=room, user=user, volatile=volatile)
        assert set(self.written - before) == expected
        assert all(count == 1 for count in (self.written - before).values())

    @rule(client=clients, room=ROOMS)
    def emits_to_others(self, client: Client, room: str) -> None:
        before = self.written[client.connection.id]
        client.connection.broadcast("news", room=room)
        assert self.written[client.connection.id] == before

    @rule(client=clients, volatile=st.booleans(), size=st.sampled_from([0, 0, 90]))
    def emits_to_one(self, client: Client, volatile: bool, size: int) -> None:
        client.connection.emit("news", "x" * size, volatile=volatile)

    @rule(client=clients, room=ROOMS, leaves=st.booleans())
    def moves(self, client: Client, room: str, leaves: bool) -> None:
        if leaves:
            client.connection.leave(room)
        else:
            client.connection.join(room)
            assert not client.connection.is_open or room in client.connection.rooms

    @rule(room=ROOMS, user=USERS)
    def moves_all(self, room: str, user: str) -> None:
        self.core.app.join(room, user=user)

    @rule(client=clients)
    def disconnects(self, client: Client) -> None:
        client.connection.disconnect(4001, "go")

    @rule(room=ROOMS | st.none(), user=USERS)
    def disconnects_many(self, room: str | None, user: str) -> None:
        self.core.app.disconnect(room=room, user=user)

    @rule(user=USERS)
    def signs_out(self, user: str) -> None:
        self.core.registry.end_session(f"session-{user}", 1008, "Signed out")
        assert not any(client.connection.is_open and client.connection.user.id == user for client in self.everybody), (
            "a session outlives its end"
        )

    # -- what is true at any time

    @invariant()
    def the_registry_holds_those_who_are_open_and_nobody_else(self) -> None:
        is_open = {client.connection for client in self.everybody if client.connection.is_open}
        assert len(self.core.registry) == len(is_open)
        for namespace in ("/", "/chat"):
            chosen = self.core.registry.select(Target(namespace=namespace))
            assert set(chosen) == {connection for connection in is_open if connection.namespace == namespace}

    @invariant()
    def nobody_is_in_a_room_after_its_end(self) -> None:
        for namespace in ("/", "/chat"):
            for room in ("red", "blue"):
                for connection in self.core.registry.select(Target(namespace=namespace, rooms=frozenset({room}))):
                    assert connection.is_open
                    assert room in connection.rooms
                    assert connection.id not in self.gone

    @invariant()
    def goodbye_is_said_once_to_those_who_were_welcomed(self) -> None:
        busy = {waiting for waiting, deferred in self.waiting} | set(self.openings)
        for client in self.everybody:
            connection = client.connection
            goodbyes = self.goodbyes[connection.id]
            assert goodbyes <= 1
            assert goodbyes <= self.welcomed[connection.id] <= 1
            if connection.id in self.gone and connection.id not in busy:
                assert goodbyes == self.welcomed[connection.id]

    @invariant()
    def opened_is_closed_plus_open(self) -> None:
        still = sum(client.connection.is_accepted for client in self.everybody)
        assert self.welcomed.total() == self.goodbyes.total() + still

    @invariant()
    def sent_plus_dropped_is_emitted(self) -> None:
        counters = self.core.counters
        sent = sum(len(client.link.writes) for client in self.everybody)
        held = {client.connection.id: len(client.connection._held or ()) for client in self.everybody}
        dropped = sum(counters.get("messages_dropped", reason) for reason in ("volatile", "closed", "held"))
        missing = self.written.total() - sent - sum(held.values()) - dropped
        assert missing >= 0, "sent twice, or counted twice"
        assert missing == 0, "lost without a word"

    @invariant()
    def events_are_served_one_after_the_other(self) -> None:
        busy = Counter(waiting for waiting, _ in self.waiting)
        assert all(count == 1 for count in busy.values())
        assert self.core.hub.running == len(busy) + len(self.openings)

    def teardown(self) -> None:
        """Everybody goes; nothing is left, and everybody who was welcomed was said goodbye to."""
        for client in self.everybody:
            self.leaves(client)
        for opening in self.openings.values():
            opening.errback(ClientError("no"))
        while self.waiting:
            self.waiting.pop()[1].callback(None)
        assert self.goodbyes == +self.welcomed
        assert self.core.leftovers() == []

    def _is_there(self, connection: Connection, namespace: str) -> bool:
        return connection.is_open and connection.namespace == namespace


class ModelTests(SynchronousTestCase):
    def test_whatever_happens_the_books_balance(self) -> None:
        write = Connection.write

        def counted(connection: Connection, data: bytes, volatile: bool = False) -> None:
            Life.written[connection.id] += 1
            write(connection, data, volatile)

        self.patch(Connection, "write", counted)
        try:
            run_state_machine_as_test(Life, settings=settings(max_examples=80, stateful_step_count=40, deadline=None))
        finally:
            self.flushLoggedErrors(Planned)
