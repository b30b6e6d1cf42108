"""Raw clients that come back after a break, driven by the `websockets` library's client in memory."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from tests.transports.fixtures import ALICE, Service
from tests.transports.memory import MemoryClient
from wsservice.auth.revocations import Revocations
from wsservice.connection_limits import ConnectionLimits
from wsservice.errors import ClientError, RedisUnavailable
from wsservice.handshake import make_handshake
from wsservice.history import History
from wsservice.sessions import Sessions
from wsservice.transports.comeback import read_comeback, without_claim

BOB = replace(ALICE, id="bob", username="bob", session="s2")


class Peer:
    """What the author of a client writes: it remembers the session and the last offset.

    Attributes:
        welcome: the data of the last welcome.
        events: all that came, as (event, data), without the welcomes.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.session = self.offset = ""
        self.welcome: dict[str, Any] = {}
        self.events: list[Any] = []
        self.connect()

    def connect(self, query: str | None = None) -> None:
        if query is None:
            query = f"recover={self.session}&offset={self.offset}" if self.session else "recover=1"
        self.client = MemoryClient(self.service.factory, f"/ws?{query}")
        self.taken = 0
        self.client.deliver()
        self.read()

    def read(self) -> list[Any]:
        """Take what has come; gives the events of this call."""
        self.client.read()
        new, fresh = self.client.messages[self.taken :], []
        self.taken += len(new)
        for text in new:
            message = json.loads(text)
            if message["event"] == "welcome":
                self.welcome = message["data"]
                self.session, self.offset = self.welcome["session"] or "", self.welcome["offset"] or ""
                continue
            if "offset" in message:
                self.offset = message["offset"]
            fresh.append((message["event"], message["data"]))
        self.events += fresh
        return fresh

    def drop(self) -> None:
        """The connection breaks, and what the service has sent meanwhile is lost."""
        self.client.transport.clear()
        self.client.transport.finish()

    def copy(self) -> Peer:
        """The same client, from a moment ago: what happens to the copy, it does not know."""
        other = Peer.__new__(Peer)
        other.__dict__.update(self.__dict__, events=[])
        return other

    def say(self, event: str, data: Any = None) -> None:
        self.client.send(json.dumps({"event": event, "data": data}))

    @property
    def outcome(self) -> tuple[bool, str | None]:
        return self.welcome["recovered"], self.welcome["reason"]


class ComebackCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, hub: dict[str, Any] | None = None, *, recovery: dict[str, Any] | None = None, **raw: Any) -> None:
        service = Service(hub=hub, **raw)
        self.history = History(service.clock.seconds, service.counters, **(recovery or {}))
        service = Service(hub={**(hub or {}), "history": self.history}, **raw)
        self.history._now = service.clock.seconds
        self.history._counters = service.counters
        self.use(service)

    def use(self, service: Service) -> None:
        self.service = service
        self.app, self.counters = service.app, service.counters
        self.steps: list[Any] = []
        self.app.on("join")(lambda connection, room: connection.join(room))
        self.entering: Any = lambda connection: None
        self.leaving: Any = lambda: None
        self.app.on_connect(lambda connection: self.entering(connection))

        @self.app.on_disconnect
        def on_disconnect(connection: Any, reason: str) -> None:
            self.steps.append(reason)
            self.leaving()

    def peer(self) -> Peer:
        return Peer(self.service)

    def emit(self, *numbers: int, **options: Any) -> None:
        for number in numbers:
            self.app.emit("n", number, **options)

    @property
    def connection(self) -> Any:
        (connection,) = self.app.connections(user="alice")
        return connection


class WireTests(ComebackCase):
    def test_the_welcome_comes_first_and_events_have_offsets(self) -> None:
        self.entering = lambda connection: connection.emit("hello", 1)
        client = MemoryClient(self.service.factory, "/ws?recover=1")
        client.deliver()
        welcome, hello = map(json.loads, client.messages)
        data = welcome.pop("data")
        self.assertEqual(welcome, {"event": "welcome"})
        self.assertEqual(list(data), ["session", "id", "offset", "recovered", "reason", "expiresAt"])
        self.assertRegex(data["session"], r"\A[A-Za-z0-9_-]{20}\Z")
        self.assertEqual(data["id"], self.connection.id)
        self.assertEqual((data["recovered"], data["reason"], data["expiresAt"]), (False, None, 3600))
        self.assertEqual(list(hello), ["event", "data", "offset"])
        self.assertNotEqual(hello["offset"], data["offset"])
        self.assertRegex(hello["offset"], r"\A[A-Za-z0-9_.-]+\Z")

    def test_every_message_is_in_an_envelope(self) -> None:
        client = MemoryClient(self.service.factory, "/ws?recover=1")
        client.deliver()
        self.app.emit("message", {"user": "x"})
        self.app.emit("message", b"\x00\xff")
        self.app.emit("news", "a", b"\x01")
        self.connection.send("text")
        self.connection.send(b"bytes")
        self.connection.call("ask", b"\x02").addErrback(lambda failure: None)
        self.app.emit("gone", volatile=True)
        client.read()
        messages = [json.loads(text) for text in client.messages[1:]]
        offsets = [message.pop("offset", None) for message in messages]
        self.assertEqual(len(set(offsets[:5])), 5)
        self.assertIsNone(offsets[5])
        self.assertEqual(offsets[6], offsets[4])
        self.assertEqual(
            messages,
            [
                {"event": "message", "data": {"user": "x"}},
                {"event": "message", "data": base64.b64encode(b"\x00\xff").decode(), "binary": True},
                {"event": "news", "data": ["a", "AQ=="]},
                {"event": "message", "data": "text"},
                {"event": "message", "data": base64.b64encode(b"bytes").decode(), "binary": True},
                {"event": "ask", "data": "Ag==", "binary": True, "id": 1},
                {"event": "gone", "data": None},
            ],
        )
        self.assertRaises(TypeError, self.connection.send, 7)
        self.assertRaises(TypeError, self.connection.send, "\ud800")

    def test_acknowledgements_and_errors_are_as_ever(self) -> None:
        @self.app.on("bad")
        def bad(connection: Any, data: Any) -> None:
            raise ClientError("no", "No.")

        client = MemoryClient(self.service.factory, "/ws?recover=1")
        client.deliver()
        client.send('{"event":"join","data":"room","id":3}')
        client.send('{"event":"bad"}')
        self.assertEqual(
            client.messages[1:],
            [
                '{"ack":3,"data":null}',
                '{"event":"error","data":{"code":"no","message":"No.","event":"bad"}}',
            ],
        )

    def test_who_does_not_ask_gets_what_was_ever_sent(self) -> None:
        for path in ("/ws", "/ws?x=recover", "/ws?recovery=1", "/ws?a=1&offset=2"):
            client = MemoryClient(self.service.factory, path)
            client.deliver()
            self.app.emit("message", {"user": "x"})
            self.app.emit("message", b"\x00")
            self.app.emit("news", 1)
            client.read()
            self.assertEqual(client.messages, ['{"user":"x"}', b"\x00", '{"event":"news","data":1}'])
            client.transport.finish()
        self.assertEqual((self.history.live, self.history._saved), ({}, {}))

    def test_without_recovery_the_welcome_says_so_and_the_wire_is_the_same(self) -> None:
        self.use(Service())
        peer = self.peer()
        self.assertEqual(
            {**peer.welcome, "id": ""},
            {"session": None, "id": "", "offset": None, "recovered": False, "reason": "off", "expiresAt": 3600},
        )
        self.app.emit("message", "x")
        self.connection.send("y")
        peer.client.read()
        self.assertEqual(peer.client.messages[1:], ['{"event":"message","data":"x"}', '{"event":"message","data":"y"}'])
        peer.connect("recover=AAAAAAAAAAAAAAAAAAAA&offset=x")
        self.assertEqual(peer.outcome, (False, "off"))

    def test_the_application_does_not_see_the_session(self) -> None:
        peer = self.peer()
        peer.drop()
        peer.connect(f"a=1&recover={peer.session}&b=&off%73et={peer.offset}&c=%20")
        self.assertEqual(peer.outcome, (True, None))
        self.assertEqual(self.connection.handshake.query_string, "a=1&b=&c=%20")
        self.assertEqual(self.connection.handshake.query, {"a": "1", "b": "", "c": " "})


class ComingBackTests(ComebackCase):
    def test_what_was_missed_comes_behind_the_welcome_with_id_rooms_and_data(self) -> None:
        peer = self.peer()
        first = self.connection
        peer.say("join", "room")
        first.data["notes"] = [1]
        self.emit(1)
        peer.read()
        session, start = peer.session, peer.offset
        peer.drop()
        self.emit(2)
        self.emit(3, room="room")
        self.emit(-1, room="elsewhere")
        self.emit(-1, except_room="room")
        self.emit(-1, skip=first)
        self.app.emit("message", b"\x01", user="alice")
        self.app.emit("d", room=first.id)
        peer.events.clear()
        peer.connect()
        self.assertEqual(peer.outcome, (True, None))
        self.assertEqual(peer.events, [("n", 2), ("n", 3), ("message", "AQ=="), ("d", None)])
        self.assertEqual((peer.session, peer.welcome["offset"]), (session, start))
        second = self.connection
        self.assertIsNot(second, first)
        self.assertTrue(second.recovered)
        self.assertEqual((second.id, second.rooms, second.data), (first.id, {"room"}, {"notes": [1]}))
        self.emit(4, room="room")
        second.emit("f", 1)
        self.assertEqual(peer.read(), [("n", 4), ("f", 1)])
        self.assertEqual(self.counters.get("recoveries", "ok"), 1)

    def test_a_second_break_before_anything_arrived_loses_nothing(self) -> None:
        peer = self.peer()
        peer.drop()
        self.emit(1, 2)
        for _ in range(3):
            broken = peer.copy()
            broken.connect()
            broken.drop()
        self.emit(3)
        peer.connect()
        self.assertEqual(peer.events, [("n", 1), ("n", 2), ("n", 3)])

    def test_a_client_that_read_the_welcome_only_gets_it_all_again(self) -> None:
        peer = self.peer()
        peer.drop()
        self.emit(1, 2)
        peer.connect(f"recover={peer.session}&offset={quote(peer.offset)}")
        peer.offset = peer.welcome["offset"]
        peer.events.clear()
        peer.drop()
        peer.connect()
        self.assertEqual(peer.events, [("n", 1), ("n", 2)])

    def test_the_offset_counts_more_than_a_pong(self) -> None:
        """Browsers answer pings before the page has handled what came before them."""
        peer = self.peer()
        self.emit(1)
        self.service.clock.pump([1] * 26)
        peer.client.deliver()  # the pong
        peer.client.deliver()
        peer.drop()
        self.emit(2)
        peer.connect()
        self.assertEqual(peer.events, [("n", 1), ("n", 2)])

    def quiet(self, peer: Peer) -> None:
        """Longer than the window, with nothing for that client."""
        for _ in range(6):
            self.emit(-1, user="bob")
            self.service.clock.pump([1] * 26)
            peer.client.deliver()
            peer.client.deliver()

    def test_a_pong_serves_a_client_that_got_nothing_for_longer_than_the_window(self) -> None:
        self.start(recovery={"window": 60.0})
        peer = self.peer()
        self.quiet(peer)
        peer.drop()
        self.emit(1)
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1)]))

    def test_a_pong_that_nobody_asked_for_does_not(self) -> None:
        self.start(recovery={"window": 60.0}, ping_interval=1000.0)
        peer = self.peer()
        peer.client.client.send_pong(b"6")
        self.quiet(peer)
        peer.client.client.send_pong(b"")
        peer.client.deliver()
        peer.drop()
        peer.connect()
        self.assertEqual(peer.outcome, (False, "lost"))

    def test_a_connection_that_only_looks_alive_is_taken_over(self) -> None:
        peer = self.peer()
        old, client = self.connection, peer.client
        peer.say("join", "room")
        client.transport.clear()
        self.emit(1)
        client.transport.clear()  # lost in the half-open connection
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1)]))
        self.assertEqual(self.steps, ["Continued on another connection"])
        client.read()
        self.assertEqual(client.close, (1013, "Continued on another connection"))
        client.deliver()
        client.transport.finish()
        new = self.connection
        self.assertIsNot(new, old)
        self.assertEqual(new.rooms, {"room"})
        self.assertEqual(self.steps, ["Continued on another connection"])
        self.emit(2, room="room")
        self.assertEqual(peer.read(), [("n", 2)])

    def test_what_the_old_one_says_in_its_last_breath_is_missed_once(self) -> None:
        self.leaving = lambda: self.emit(9)
        peer = self.peer()
        peer.connect()
        self.assertEqual(peer.events, [("n", 9)])

    def test_a_client_without_an_offset_gets_everything_since_it_began(self) -> None:
        peer = self.peer()
        self.emit(1)
        peer.read()
        peer.drop()
        peer.events.clear()
        peer.connect(f"recover={peer.session}")
        self.assertEqual(peer.events, [("n", 1)])

    def test_on_connect_runs_before_the_welcome_and_what_it_sends_comes_behind(self) -> None:
        peer = self.peer()
        peer.drop()
        self.emit(1)
        deciding: Deferred[None] = Deferred()
        self.entering = lambda connection: deciding
        peer.connect()
        self.emit(2)
        self.assertEqual(peer.read(), [])
        deciding.callback(None)
        self.assertEqual(peer.read(), [("n", 1), ("n", 2)])
        self.assertEqual(peer.outcome, (True, None))


@dataclass(frozen=True)
class End:
    """How a connection ends, and whether its client may come back to it."""

    name: str
    end: Any
    recovers: bool


def closed_by_client(*code: int) -> Any:
    def end(case: ComebackCase, peer: Peer) -> None:
        if code:
            peer.client.client.send_close(*code)
        else:
            peer.client.client.send_close()
        peer.client.deliver()
        peer.client.transport.finish()

    return end


def by_service(action: Any, *, answers: bool = True) -> Any:
    def end(case: ComebackCase, peer: Peer) -> None:
        action(case)
        if answers:
            peer.client.deliver()
            peer.client.deliver()
            peer.client.transport.finish()

    return end


def sign_out(case: ComebackCase) -> None:
    clock = case.service.clock
    Sessions(case.service.registry, Revocations(clock.seconds), clock.seconds, case.history).end(ALICE)


def silence(case: ComebackCase, peer: Peer) -> None:
    case.service.clock.pump([1] * 50)
    peer.client.transport.finish()


ENDS = [
    End("the connection breaks", lambda case, peer: peer.drop(), True),
    End("the client closes without a code", closed_by_client(), True),
    End("the client goes away", closed_by_client(1001), True),
    End("the client closes with a code of its own", closed_by_client(4000), True),
    End("the client closes for good", closed_by_client(1000), False),
    End("the client is silent", silence, True),
    End("the service stops", by_service(lambda case: case.service.factory.drain()), True),
    End("the service stops, unanswered", by_service(lambda case: case.service.factory.drain(), answers=False), True),
    End("the token expires", by_service(lambda case: case.service.clock.advance(3600)), True),
    End("the session is signed out", by_service(sign_out), False),
    End("the application closes", by_service(lambda case: case.connection.disconnect()), False),
    End("the application closes with its code", by_service(lambda case: case.connection.disconnect(4001, "x")), False),
    End("a fault of the service", by_service(lambda case: case.connection.disconnect(1011, "Internal error")), False),
    End("the client is replaced", by_service(lambda case: case.connection.disconnect(4409, "Replaced")), False),
]


@by_row
class EndTests(ComebackCase):
    def setUp(self) -> None:
        self.start(recovery={"window": 10_000.0})

    @rows(ENDS)
    def test_after(self, row: End) -> None:
        peer = self.peer()
        row.end(self, peer)
        self.assertEqual(self.app.connections(), [])
        self.assertEqual(self.history.live, {})
        self.assertEqual(len(self.history._saved), int(row.recovers))
        self.assertEqual(len(self.steps), 1)
        self.service.factory.draining = False
        self.service.authenticator.answer = replace(ALICE, expires_at=1e6)
        self.emit(1)
        peer.connect()
        self.assertEqual(peer.outcome, (True, None) if row.recovers else (False, "unknown"))
        self.assertEqual(peer.events, [("n", 1)] if row.recovers else [])

    def test_who_breaks_the_protocol_is_not_brought_back(self) -> None:
        peer = self.peer()
        peer.client.current.dataReceived(b"\x81\x00")
        peer.client.transport.finish()
        self.assertEqual(self.history._saved, {})


@dataclass(frozen=True)
class Bad:
    """A query that is not answered by what was missed."""

    name: str
    query: str
    reason: str | None


BAD = [
    Bad("nothing of before", "recover=1", None),
    Bad("nothing at all", "recover=", None),
    Bad("a session that is none", "recover=2&offset=OFFSET", "unknown"),
    Bad("an unknown session", "recover=AAAAAAAAAAAAAAAAAAAA&offset=OFFSET", "unknown"),
    Bad("a huge session", f"recover={'A' * 4000}&offset=OFFSET", "unknown"),
    Bad("a session of bad UTF-8", "recover=%ff%fe%00", "unknown"),
    Bad("an offset of another process", "recover=SESSION&offset=AAAAAAAA.1", "lost"),
    Bad("an offset of the future", "recover=SESSION&offset=PREFIX.99", "lost"),
    Bad("an offset of Arabic digits", "recover=SESSION&offset=PREFIX.%D9%A1", "lost"),
    Bad("an offset of 5000 digits", f"recover=SESSION&offset=PREFIX.{'9' * 5000}", "lost"),
    Bad("an offset without a number", "recover=SESSION&offset=PREFIX.", "lost"),
]


@by_row
class GuardTests(ComebackCase):
    @rows(BAD)
    def test_with(self, row: Bad) -> None:
        peer = self.peer()
        session, offset = peer.session, peer.offset
        peer.drop()
        self.emit(1)
        query = row.query.replace("SESSION", session).replace("OFFSET", offset)
        peer.connect(query.replace("PREFIX", offset.partition(".")[0]))
        self.assertEqual((peer.outcome, peer.events), ((False, row.reason), []))
        self.assertNotEqual(peer.session, session)
        self.emit(2)
        peer.drop()
        peer.events.clear()
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 2)]))

    def test_another_user_gets_nothing_and_the_owner_still_everything(self) -> None:
        peer = self.peer()
        session, offset = peer.session, peer.offset
        self.service.authenticator.answer = BOB
        thief = self.peer()
        thief.connect(f"recover={session}&offset={offset}")
        self.assertEqual(thief.outcome, (False, "foreign"))
        self.emit(1)
        self.assertEqual(peer.read(), [("n", 1)])
        peer.drop()
        self.emit(2)
        thief.connect(f"recover={session}&offset={offset}")
        self.assertEqual(thief.outcome, (False, "foreign"))
        self.service.authenticator.answer = ALICE
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1), ("n", 2)]))

    def test_a_session_is_good_once_at_a_time(self) -> None:
        peer = self.peer()
        copy = peer.copy()
        peer.drop()
        peer.connect()
        copy.connect()
        self.assertEqual((peer.outcome, copy.outcome), ((True, None), (True, None)))
        peer.client.read()
        self.assertEqual(peer.client.close, (1013, "Continued on another connection"))
        self.assertEqual(len(self.app.connections()), 1)

    def test_more_than_half_of_the_queue_is_lost(self) -> None:
        self.start(send_queue_bytes=20_000, send_queue_messages=100)
        for numbers, size, recovers in ((50, 1, True), (51, 1, False), (9, 1000, True), (10, 1000, False)):
            peer = self.peer()
            peer.drop()
            for _ in range(numbers):
                self.app.emit("n", "x" * size)
            peer.connect()
            self.assertEqual(peer.outcome, (True, None) if recovers else (False, "lost"))
            self.assertEqual(len(peer.events), numbers if recovers else 0)
            self.assertIsNone(peer.client.close)

    def test_what_is_no_longer_kept_is_lost(self) -> None:
        self.start(recovery={"max_bytes": 1000})
        peer = self.peer()
        peer.drop()
        self.emit(*range(20))
        peer.connect()
        self.assertEqual(peer.outcome, (False, "lost"))

    def test_after_the_window_it_is_unknown(self) -> None:
        peer = self.peer()
        peer.drop()
        self.service.clock.advance(121)
        peer.connect()
        self.assertEqual(peer.outcome, (False, "unknown"))

    def test_one_that_broke_before_it_was_accepted_gives_back_what_it_took(self) -> None:
        peer = self.peer()
        peer.drop()
        self.emit(1)
        self.entering = lambda connection: Deferred()
        broken = peer.copy()
        broken.connect()
        self.assertEqual(broken.events, [])
        broken.drop()
        self.entering = lambda connection: None
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1)]))

    def test_one_that_is_refused_does_too(self) -> None:
        peer = self.peer()
        peer.drop()
        self.emit(1)

        def refuse(connection: Any) -> None:
            raise ClientError("no", "Not now.")

        self.entering = refuse
        peer.connect()
        self.assertEqual(peer.client.close, (1008, "Not now."))
        self.assertEqual(self.history.live, {})
        self.entering = lambda connection: None
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1)]))

    def test_one_too_many_of_a_user_does_too(self) -> None:
        self.start({"limits": ConnectionLimits(per_user=1, when_full="refuse")})
        peer = self.peer()
        peer.drop()
        self.emit(1)
        other = MemoryClient(self.service.factory)
        other.deliver()
        peer.connect()
        self.assertEqual(peer.client.close, (4429, "Too many connections"))
        other.transport.finish()
        peer.connect()
        self.assertEqual((peer.outcome, peer.events), ((True, None), [("n", 1)]))

    def test_who_is_refused_has_no_welcome(self) -> None:
        self.entering = lambda connection: connection.disconnect(4000, "no")
        client = MemoryClient(self.service.factory, "/ws?recover=1")
        client.deliver()
        self.assertEqual((client.messages, client.close), ([], (4000, "no")))


class Elsewhere(History):
    """A history that has to ask."""

    def __init__(self, *args: Any, **limits: Any) -> None:
        super().__init__(*args, **limits)
        self.asked: list[tuple[str, str, str]] = []
        self.answer: Deferred[None] | None = None

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[None] | None:
        self.asked.append((pid, user, namespace))
        return self.answer


class SeekingTests(ComebackCase):
    def setUp(self) -> None:
        service = Service()
        self.history = elsewhere = Elsewhere(service.clock.seconds, service.counters)
        self.elsewhere = elsewhere
        self.use(Service(hub={"history": elsewhere}))
        self.lost = self.peer()
        self.assertEqual(elsewhere.asked, [])
        self.lost.drop()
        self.emit(1)
        elsewhere.answer = self.answer = Deferred()

    def test_what_the_client_sends_meanwhile_waits(self) -> None:
        session = self.lost.session
        self.lost.connect()
        self.assertEqual(self.elsewhere.asked, [(session, "alice", "/")])
        self.lost.say("join", "room")
        self.assertEqual((self.lost.welcome["recovered"], self.app.connections()), (False, []))
        self.answer.callback(None)
        self.assertEqual(self.connection.rooms, set())
        self.service.clock.advance(0)
        self.assertEqual(self.connection.rooms, {"room"})
        self.assertEqual(self.lost.read(), [("n", 1)])
        self.assertEqual(self.lost.outcome, (True, None))

    def test_where_nobody_can_be_asked_what_is_here_counts(self) -> None:
        self.elsewhere.answer = fail(RedisUnavailable("away"))
        self.lost.connect()
        self.assertEqual((self.lost.outcome, self.lost.events), ((True, None), [("n", 1)]))

    def test_who_leaves_meanwhile_gives_back_what_was_found(self) -> None:
        given_back = []
        self.patch(self.elsewhere, "give_back", given_back.append)
        self.lost.connect()
        self.lost.drop()
        self.assertEqual((len(self.service.factory.pings), given_back), (0, []))
        self.answer.callback(None)
        self.assertEqual([one.pid for one in given_back], [self.lost.session])
        self.assertEqual(self.app.connections(), [])

    def test_a_stop_meanwhile_closes_and_nothing_is_lost(self) -> None:
        self.lost.connect()
        self.service.factory.drain()
        self.lost.client.deliver()
        self.assertEqual(self.lost.client.close, (1001, "Server shutting down"))
        self.answer.callback(None)
        self.assertEqual(list(self.history._saved), [self.lost.session])
        self.lost.client.deliver()
        self.lost.client.transport.finish()
        self.assertEqual(len(self.service.factory.pings), 0)

    def test_who_signs_out_meanwhile_is_closed(self) -> None:
        self.lost.connect()
        self.service.authenticator.revoked.add("s1")
        self.answer.callback(None)
        self.lost.client.deliver()
        self.assertEqual((self.lost.client.messages, self.lost.client.close), ([], (1008, "Signed out")))
        self.assertEqual(self.app.connections(), [])

    def test_a_fault_closes_this_client_only(self) -> None:
        self.lost.connect()

        def broken(*arguments: Any) -> None:
            raise RuntimeError("a fault")

        self.patch(self.service.factory.recoveries, "begin", broken)
        self.answer.callback(None)
        self.lost.client.deliver()
        self.assertEqual(self.lost.client.close, (1011, "Internal error"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class CountingAdapter:
    """Asks the other processes how many connections the user has."""

    def __init__(self, hub: Any) -> None:
        self.hub = hub
        self.answer: Deferred[bool] = Deferred()

    def admit(self, connection: Any) -> Deferred[bool]:
        return self.answer

    def broadcast(self, broadcast: Any) -> None:
        self.hub.deliver(broadcast)


class AdmissionTests(ComebackCase):
    def setUp(self) -> None:
        super().setUp()
        self.lost = self.peer()
        self.lost.drop()
        self.emit(1)
        self.adapter = self.service.hub.adapter = CountingAdapter(self.service.hub)  # type: ignore[assignment]
        self.lost.connect()
        self.assertEqual(self.lost.welcome["recovered"], False)

    def test_what_is_sent_while_it_is_counted_is_missed_too(self) -> None:
        self.emit(2)
        self.adapter.answer.callback(True)
        self.emit(3)
        self.lost.read()
        self.assertEqual((self.lost.outcome, self.lost.events), ((True, None), [("n", 1), ("n", 2), ("n", 3)]))

    def test_one_too_many_gives_back_what_it_took(self) -> None:
        self.adapter.answer.callback(False)
        self.lost.read()
        self.assertEqual(self.lost.client.close, (4429, "Too many connections"))
        self.adapter.answer = Deferred()
        self.emit(2)
        self.lost.connect()
        self.adapter.answer.callback(True)
        self.lost.read()
        self.assertEqual((self.lost.outcome, self.lost.events), ((True, None), [("n", 1), ("n", 2)]))

    def test_one_that_leaves_meanwhile_does_too(self) -> None:
        self.lost.drop()
        self.adapter.answer.callback(True)
        self.adapter.answer = Deferred()
        self.lost.connect()
        self.adapter.answer.callback(True)
        self.lost.read()
        self.assertEqual((self.lost.outcome, self.lost.events), ((True, None), [("n", 1)]))


class QueryTests(SynchronousTestCase):
    def read(self, query: str) -> Any:
        return read_comeback(make_handshake("GET", f"/ws?{query}", (), peer="", secure=False))

    def test_who_asks(self) -> None:
        for query in ("", "a=1", "recovered=1", "x=recover", "offset=1"):
            self.assertIsNone(self.read(query), query)
        for query in ("recover", "recover=", "recover=1", "a=1&recover=1", "recover=x&recover=1"):
            self.assertIsNone(self.read(query).claim, query)
        claim = self.read("recover=s%41&offset=o%2B1&x").claim
        self.assertEqual((claim.pid, claim.offset, claim.is_exact), ("sA", "o+1", True))
        self.assertIsNone(self.read("recover=s&offset=").claim.offset)
        self.assertNotIn("sA", repr(claim))

    def test_what_is_taken_out(self) -> None:
        for query, expected in (
            ("recover=1", ""),
            ("a=1&recover=1&recover=2&b", "a=1&b"),
            ("%72ecover=1&off%73et=2&offsets=3&Recover=4", "offsets=3&Recover=4"),
        ):
            handshake = make_handshake("GET", f"/ws?{query}", (), peer="", secure=False)
            self.assertEqual(without_claim(handshake).query_string, expected)


class Machine(RuleBasedStateMachine):
    """Three clients of one user, whatever happens to their connections: each has what it was to get, once, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.case = case = ComebackCase()
        case.start(recovery={"window": 1e9})
        self.number = 0
        self.peers = [case.peer() for _ in range(3)]
        self.open = [True] * 3
        self.expected: list[list[int]] = [[], [], []]
        self.ids = [peer.welcome["id"] for peer in self.peers]
        for index, peer in enumerate(self.peers):
            peer.say("join", f"room {index}")

    @rule(to=st.sampled_from([None, 0, 1, 2]), count=st.integers(1, 5))
    def emit(self, to: int | None, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.case.emit(self.number, room=None if to is None else f"room {to}")
            for index in range(3):
                if to in (None, index):
                    self.expected[index].append(self.number)

    @rule(skipped=st.integers(0, 2))
    def emit_to_the_others(self, skipped: int) -> None:
        self.number += 1
        self.case.emit(self.number, skip=self.ids[skipped])
        for index in range(3):
            if index != skipped:
                self.expected[index].append(self.number)

    @rule(index=st.integers(0, 2))
    def read(self, index: int) -> None:
        if self.open[index]:
            self.peers[index].client.deliver()
            self.peers[index].read()

    @rule(index=st.integers(0, 2))
    def drop(self, index: int) -> None:
        if self.open[index]:
            self.peers[index].drop()
            self.open[index] = False

    @rule(index=st.integers(0, 2))
    def come_back(self, index: int) -> None:
        self.peers[index].client.transport.clear()
        self.peers[index].connect()
        self.open[index] = True
        assert self.peers[index].outcome == (True, None)
        assert self.numbers(index) == self.expected[index]

    @rule(index=st.integers(0, 2))
    def come_back_to_a_dead_line(self, index: int) -> None:
        """The service hears of it, and the client hears nothing."""
        self.peers[index].copy().connect()
        self.open[index] = False

    @rule(seconds=st.integers(1, 30))
    def wait(self, seconds: int) -> None:
        for index in range(3):
            self.read(index)
        self.case.service.clock.advance(seconds)
        for index in range(3):
            self.read(index)

    @invariant()
    def what_came_is_the_beginning_of_what_was_sent(self) -> None:
        for index in range(3):
            numbers = self.numbers(index)
            if self.open[index] and self.peers[index].welcome["id"] == self.ids[index]:
                assert numbers == self.expected[index][: len(numbers)]

    def numbers(self, index: int) -> list[int]:
        return [data for _, data in self.peers[index].events]


class ModelTests(SynchronousTestCase):
    def test_each_gets_everything_once_and_in_order(self) -> None:
        run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
