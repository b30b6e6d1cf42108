"""Coming back to a connection that broke, better than the reference in each point of SOCKETIO.md 1.17."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from tests.clients.bench import BenchCase, Poller, Socketeer, event, principal
from tests.tables import by_row, rows
from wsservice.auth.revocations import Revocations
from wsservice.clients.settings import Settings
from wsservice.errors import ClientError, ExpiredToken, RedisUnavailable
from wsservice.sessions import Sessions

Peer = Poller | Socketeer


@dataclass(frozen=True)
class Transport:
    """Where a test's client is."""

    name: str


TRANSPORTS = (Transport("polling"), Transport("websocket"))


@dataclass
class Memory:
    """What a stock client remembers: its ids, and the last text that was the last argument of an event."""

    sid: str = ""
    pid: str | None = None
    offset: str | None = None
    recovered: bool = False

    def take(self, packets: list[str | bytes]) -> list[Any]:
        """Read packets as a client does; gives the events without their offsets."""
        events: list[Any] = []
        for packet in packets:
            if isinstance(packet, bytes):
                continue
            if packet.startswith("40"):
                body = json.loads(packet[packet.index("{") :])
                self.recovered = self.pid is not None and body["pid"] == self.pid
                self.sid, self.pid = body["sid"], body["pid"]
                events.append("CONNECT")
            elif match := re.fullmatch(r"4(?:2|5[0-9]+-)(?:/[^,]*,)?([0-9]*)(\[.*\])", packet):
                name, *args = json.loads(match[2])
                if args and isinstance(args[-1], str) and not match[1]:
                    self.offset = args.pop()
                events.append((name, *args))
        return events

    def connect(self, namespace: str = "/") -> str:
        """The packet by which the client comes back."""
        auth = {key: value for key, value in (("pid", self.pid), ("offset", self.offset)) if value is not None}
        return f"40{'' if namespace == '/' else namespace + ','}{json.dumps(auth)}"


class RecoveryCase(BenchCase):
    def setUp(self) -> None:
        self.begin()

    def begin(self, settings: Settings | None = None, **recovery: Any) -> None:
        self.start(settings, recovery=recovery)
        #: never leaves
        self.other = self.bench.socketeer("bob", "/", "/other")

    def connect(self, transport: str, user: str = "alice", namespace: str = "/") -> tuple[Peer, Memory]:
        """A first connection."""
        peer, memory = self.bench.peer(transport, user), Memory()
        peer.say(f"40{namespace},")
        self.assertEqual(memory.take(peer.hear()), ["CONNECT"])
        return peer, memory

    def lose(self, peer: Peer) -> None:
        """The connection breaks."""
        if isinstance(peer, Socketeer):
            peer.drop()
        else:
            peer.listen()
            peer.drop()
            self.bench.pollers.remove(peer)

    def come_back(
        self, memory: Memory, transport: str, user: str = "alice", namespace: str = "/"
    ) -> tuple[Peer, list[Any]]:
        """A new session, and the events that came until the client was connected, and behind that."""
        peer = self.bench.peer(transport, user)
        peer.say(memory.connect(namespace))
        return peer, memory.take(peer.hear())

    def emit(self, *names: str, **options: Any) -> None:
        for name in names:
            self.bench.app.emit(name, 1, **options)

    def outcome(self, name: str) -> int:
        return self.bench.counters.get("recoveries", name)


@by_row
class ComingBackTests(RecoveryCase):
    @rows(TRANSPORTS)
    def test_what_was_missed_comes_before_connect_with_id_rooms_and_data(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        first = self.bench.connection()
        first.join("room")
        first.data["notes"] = [1]
        self.emit("seen")
        self.assertEqual(memory.take(peer.hear()), [("seen", 1)])
        sid, pid = memory.sid, memory.pid
        self.lose(peer)
        self.emit("a")
        self.emit("b", room="room")
        self.emit("no", room="elsewhere")
        self.bench.app.emit("c", b"\x01", user="alice")
        self.bench.app.emit("d", room=first.id)
        self.bench.app.namespace("/other").emit("no")
        self.emit("no", except_room="room")
        self.emit("no", skip=first)
        self.bench.steps.clear()
        again, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("a", 1), ("b", 1), ("c", {"_placeholder": True, "num": 0}), ("d",), "CONNECT"])
        self.assertEqual((memory.sid, memory.pid, memory.recovered), (sid, pid, True))
        second = self.bench.connection()
        self.assertTrue(second.recovered)
        self.assertFalse(first.recovered)
        self.assertEqual((second.id, second.rooms, second.data), (first.id, {"room"}, {"notes": [1]}))
        self.emit("e", room="room")
        second.emit("f", 1)
        self.assertEqual(memory.take(again.hear()), [("e", 1), ("f", 1)])
        self.assertEqual(self.bench.steps, [("connect", "/", "alice")])
        self.assertEqual(self.outcome("ok"), 1)

    def test_on_polling_it_is_one_payload(self) -> None:
        peer, memory = self.connect("polling")
        self.lose(peer)
        self.emit("a", "b")
        poller = self.bench.poller("alice")
        poller.say(memory.connect())
        packets = poller.fetch()
        self.assertEqual(memory.take(packets), [("a", 1), ("b", 1), "CONNECT"])

    @rows(TRANSPORTS)
    def test_a_client_that_got_no_event_comes_back_too(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.emit("a")
        self.assertIsNone(memory.offset)
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), ([("a", 1), "CONNECT"], True))

    @rows(TRANSPORTS)
    def test_one_that_got_nothing_for_longer_than_the_window_comes_back_too(self, row: Transport) -> None:
        self.begin(window=60.0)
        peer, memory = self.connect(row.name)
        if isinstance(peer, Poller):
            peer.listen()
        for _ in range(10):
            self.emit("for others", user="bob")
            self.bench.advance(20)
        self.lose(peer)
        self.emit("a")
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), ([("a", 1), "CONNECT"], True))

    @rows(TRANSPORTS)
    def test_what_was_held_back_when_a_ping_was_sent_is_behind_it(self, row: Transport) -> None:
        deciding: Deferred[None] = Deferred()
        slow = self.bench.app.namespace("/held")
        slow.on_connect(lambda connection: deciding)
        peer, memory = self.bench.peer(row.name, "alice"), Memory()
        peer.say("40/held,")
        if isinstance(peer, Poller):
            peer.listen()
        slow.emit("early", 1)
        self.bench.advance(26)
        deciding.callback(None)
        self.bench.advance(1)
        memory.take(peer.hear())
        memory.offset = None  # as if none of it had arrived
        self.lose(peer)
        self.bench.app.namespace("/held").emit("late", 1)
        _, events = self.come_back(memory, row.name, namespace="/held")
        self.assertEqual(events, [("early", 1), ("late", 1), "CONNECT"])

    @rows(TRANSPORTS)
    def test_so_it_does_where_nothing_happened_at_all(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        for _ in range(3):
            self.lose(peer)
            peer, events = self.come_back(memory, row.name)
            self.assertEqual((events, memory.recovered), (["CONNECT"], True))

    @rows(TRANSPORTS)
    def test_what_was_sent_into_the_broken_connection_is_sent_again(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.emit("seen")
        memory.take(peer.hear())
        if isinstance(peer, Poller):
            peer.listen()
        self.emit("sent and not seen")
        self.bench.turn()
        self.lose(peer) if isinstance(peer, Socketeer) else self.bench.pollers.remove(peer)
        _, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("sent and not seen", 1), "CONNECT"])

    @rows(TRANSPORTS)
    def test_a_second_break_before_anything_arrived_loses_nothing(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.emit("a")
        lost = self.bench.peer(row.name, "alice")
        lost.say(memory.connect())  # what it is answered never arrives
        self.lose(lost) if isinstance(lost, Socketeer) else lost.get().disconnect()
        if isinstance(lost, Poller):
            self.bench.pollers.remove(lost)
        self.emit("b")
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), ([("a", 1), ("b", 1), "CONNECT"], True))

    def test_it_may_come_back_by_the_other_transport_and_move(self) -> None:
        peer, memory = self.connect("websocket")
        self.lose(peer)
        self.emit("a")
        poller, events = self.come_back(memory, "polling")
        self.assertEqual(events, [("a", 1), "CONNECT"])
        assert isinstance(poller, Poller)
        if poller.open_get is not None:
            socket = self.bench.move(poller)
        self.emit("b")
        self.assertEqual(memory.take(socket.hear()), [("b", 1)])
        self.lose(socket)
        self.emit("c")
        _, events = self.come_back(memory, "websocket")
        self.assertEqual(events, [("c", 1), "CONNECT"])

    @rows(TRANSPORTS)
    def test_each_namespace_comes_back_by_itself(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice")
        memories = {"/": Memory(), "/other": Memory()}
        for namespace, memory in memories.items():
            peer.say(f"40{namespace},")
            memory.take(peer.hear())
        self.lose(peer)
        self.emit("main")
        self.bench.app.namespace("/other").emit("other")
        again = self.bench.peer(row.name, "alice")
        for namespace, name in (("/other", "other"), ("/", "main")):
            again.say(memories[namespace].connect(namespace))
            events = memories[namespace].take(again.hear())
            self.assertEqual(events[0][0], name)
            self.assertTrue(memories[namespace].recovered)

    @rows(TRANSPORTS)
    def test_the_ids_of_the_recovery_are_not_told_to_the_application(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        again = self.bench.peer(row.name, "alice")
        again.say(f'40{{"pid":"{memory.pid}","offset":null,"token":"t"}}')
        again.hear()
        self.assertEqual(dict(self.bench.connection().handshake.auth), {"token": "t"})


@by_row
class SeekingTests(RecoveryCase):
    """What a client comes back to may be elsewhere, and has to be asked for."""

    def lost(self, transport: str) -> tuple[Memory, Deferred[None]]:
        peer, memory = self.connect(transport)
        self.lose(peer)
        self.emit("a")
        answer: Deferred[None] = Deferred()
        self.patch(self.bench.history, "seek", lambda *arguments: answer)
        return memory, answer

    @rows(TRANSPORTS)
    def test_it_is_connected_once_that_is_known(self, row: Transport) -> None:
        memory, answer = self.lost(row.name)
        peer, events = self.come_back(memory, row.name)
        self.assertEqual(events, [])
        answer.callback(None)
        self.assertEqual((memory.take(peer.hear()), memory.recovered), ([("a", 1), "CONNECT"], True))

    @rows(TRANSPORTS)
    def test_where_nobody_can_be_asked_what_is_here_counts(self, row: Transport) -> None:
        memory, answer = self.lost(row.name)
        peer, _ = self.come_back(memory, row.name)
        answer.errback(RedisUnavailable("away"))
        self.assertEqual((memory.take(peer.hear()), memory.recovered), ([("a", 1), "CONNECT"], True))

    @rows(TRANSPORTS)
    def test_who_signs_out_meanwhile_is_refused(self, row: Transport) -> None:
        memory, answer = self.lost(row.name)
        peer, _ = self.come_back(memory, row.name)
        self.bench.revoked.add(principal("alice").session)
        answer.callback(None)
        self.assertEqual(peer.hear()[:1], ['44{"message":"Invalid authentication token"}'])
        self.assertEqual([one.user.id for one in self.bench.connections()], ["bob"])

    @rows(TRANSPORTS)
    def test_who_leaves_meanwhile_gives_back_what_was_found(self, row: Transport) -> None:
        given_back: list[Any] = []
        self.patch(self.bench.history, "give_back", given_back.append)
        for leave in (lambda peer: peer.say("41"), self.lose):
            memory, answer = self.lost(row.name)
            peer, _ = self.come_back(memory, row.name)
            leave(peer)
            if isinstance(peer, Poller):
                self.bench.advance(60)
            answer.callback(None)
            self.assertEqual([one.pid for one in given_back], [memory.pid])
            given_back.clear()


@dataclass(frozen=True)
class End:
    """An end, and whether the client can come back from it."""

    name: str
    end: Any
    recovers: bool


def closes(code: int, reason: str) -> Any:
    return lambda case, peer: case.bench.connection().disconnect(code, reason)


ENDS = (
    End("a lost connection", lambda case, peer: case.lose(peer), True),
    End("silence", lambda case, peer: case.fall_silent(peer), True),
    End("its own close", lambda case, peer: peer.say("1"), True),
    End("an expired token", closes(1008, "Authentication expired"), True),
    End("the end of the service", lambda case, peer: case.bench.clients.end(case.bench.clients.get(peer.sid)), True),
    End("slow handlers", closes(1013, "Messages wait too long"), True),
    End("its own disconnect", lambda case, peer: peer.say("41"), False),
    End("a disconnect by the application", closes(1000, ""), False),
    End("a disconnect with a code of the application", closes(4000, ""), False),
    End("a signing out", closes(1008, "Signed out"), False),
    End("a parse error", lambda case, peer: peer.say("47"), False),
    End("a broken rule", lambda case, peer: peer.say("40"), False),
)


@by_row
class EndTests(RecoveryCase):
    def fall_silent(self, peer: Peer) -> None:
        peer.pongs = False
        if isinstance(peer, Poller):
            self.bench.pollers.remove(peer)
        self.bench.advance(46)

    @rows(ENDS)
    def test_on_polling_after(self, row: End) -> None:
        self.check(row, "polling")

    @rows(ENDS)
    def test_on_a_websocket_after(self, row: End) -> None:
        self.check(row, "websocket")

    def check(self, row: End, transport: str) -> None:
        peer, memory = self.connect(transport)
        row.end(self, peer)
        self.assertEqual([one.user.id for one in self.bench.connections()], ["bob"])
        self.emit("a")
        _, events = self.come_back(memory, transport)
        self.assertEqual(memory.recovered, row.recovers)
        self.assertEqual(events, [("a", 1), "CONNECT"] if row.recovers else ["CONNECT"])
        self.assertEqual(self.bench.history._saved, {})  # type: ignore[union-attr]


@by_row
class GuardTests(RecoveryCase):
    @rows(TRANSPORTS)
    def test_a_private_id_serves_one_connection_at_a_time(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        thief = Memory(memory.sid, memory.pid)
        self.lose(peer)
        again, _ = self.come_back(memory, row.name)
        self.assertTrue(memory.recovered)
        # The same user from elsewhere, as a second tab with copied storage: it takes over, and the first one is out.
        self.come_back(thief, row.name)
        again.hear()
        self.assertTrue(again.is_over)
        self.assertEqual(len([one for one in self.bench.connections() if one.user.id == "alice"]), 1)

    @rows(TRANSPORTS)
    def test_a_connection_that_only_looks_alive_is_taken_over(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        old = self.bench.connection()
        old.join("room")
        self.emit("seen")
        memory.take(peer.hear())
        self.emit("lost in the half-open connection")
        again, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("lost in the half-open connection", 1), "CONNECT"])
        self.assertTrue(memory.recovered)
        self.assertEqual(self.bench.connection().rooms, {"room"})
        if isinstance(peer, Socketeer):
            peer.deliver()
            self.assertEqual(peer.close, (1013, "Continued on another connection"))
        else:
            self.assertEqual(peer.hear()[-1:], ["1"])
        self.assertEqual(
            [step for step in self.bench.steps if step[0] == "disconnect"],
            [("disconnect", "/", "Continued on another connection")],
        )
        again.say(event("echo", id=1))
        self.assertEqual(again.hear(), ["431[]"])

    @rows(TRANSPORTS)
    def test_a_handler_of_the_connection_that_was_taken_over_does_no_harm(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        peer.say(event("wait", 1, id=1))
        old = self.bench.connection()
        again, _ = self.come_back(memory, row.name)
        new = self.bench.connection()
        old.join("room")
        old.emit("to its successor, who has its id")
        old.disconnect()
        self.bench.waiting.pop().callback(None)
        self.assertTrue(new.is_open)
        self.assertEqual(new.rooms, set())
        self.assertEqual(len(self.bench.connections()), 2)
        self.assertEqual(memory.take(again.hear()), [("to its successor, who has its id",)])

    @rows(TRANSPORTS)
    def test_another_user_gets_nothing_and_the_owner_still_everything(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.bench.connection().data["secret"] = 1
        self.lose(peer)
        self.emit("a")
        stolen = Memory(memory.sid, memory.pid)
        _, events = self.come_back(stolen, row.name, "mallory")
        self.assertEqual((events, stolen.recovered), (["CONNECT"], False))
        self.assertNotEqual(stolen.sid, memory.sid)
        self.assertEqual(self.bench.connection("mallory").data, {})
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), ([("a", 1), "CONNECT"], True))
        self.assertEqual(self.outcome("foreign"), 1)

    @rows(TRANSPORTS)
    def test_another_user_cannot_end_a_living_connection(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        stolen = Memory(memory.sid, memory.pid)
        self.come_back(stolen, row.name, "mallory")
        self.assertFalse(stolen.recovered)
        peer.say(event("echo", id=1))
        self.assertEqual(peer.hear(), ["431[]"])

    @rows(TRANSPORTS)
    def test_a_private_id_is_for_its_namespace(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        wrong = Memory(memory.sid, memory.pid)
        self.come_back(wrong, row.name, namespace="/other")
        self.assertFalse(wrong.recovered)
        self.come_back(memory, row.name)
        self.assertTrue(memory.recovered)

    @rows(TRANSPORTS)
    def test_who_signed_out_does_not_come_back(self, row: Transport) -> None:
        sessions = Sessions(
            self.bench.registry, Revocations(self.bench.clock.seconds), self.bench.clock.seconds, self.bench.history
        )
        for before in (True, False):
            with self.subTest(before=before):
                peer, memory = self.connect(row.name)
                if before:
                    sessions.end(principal("alice"))
                else:
                    self.lose(peer)
                    sessions.end(principal("alice"))
                self.come_back(memory, row.name)
                self.assertFalse(memory.recovered)
                self.bench.connection().disconnect()

    @rows(TRANSPORTS)
    def test_an_expired_token_is_refused_and_a_refreshed_one_recovers(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.emit("a")
        self.bench.gate.answers["alice"] = ExpiredToken("x")
        refused = self.bench.peer(row.name, "alice")
        refused.say(memory.connect())
        self.assertEqual(refused.hear(), ['44{"message":"Invalid authentication token"}'])
        self.bench.gate.answers["alice"] = principal("alice", session="session-alice", expires_at=1e5)
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), ([("a", 1), "CONNECT"], True))

    @rows(TRANSPORTS)
    def test_a_room_of_one_who_is_away_cannot_be_entered(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.other.say(event("enter", memory.sid, id=1))
        self.assertIn("error", str(self.other.hear()))
        self.bench.app.emit("private", room=memory.sid)
        self.assertEqual(self.other.hear(), [])
        _, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("private",), "CONNECT"])
        self.flushLoggedErrors(ValueError)


@dataclass(frozen=True)
class Claim:
    """What a client may say instead of what it was given, as JSON."""

    name: str
    auth: str
    outcome: str


CLAIMS = (
    Claim("no private id", "{}", "none"),
    Claim("an unknown private id", '{"pid":"AAAAAAAAAAAAAAAAAAAA"}', "unknown"),
    Claim("an empty private id", '{"pid":""}', "unknown"),
    Claim("a private id that is a number", '{"pid":7}', "none"),
    Claim("a private id that is a list", '{"pid":["PID"]}', "none"),
    Claim("a private id that is null", '{"pid":null}', "none"),
    Claim("an offset of another process", '{"pid":"PID","offset":"AAAAAAAA.1"}', "lost"),
    Claim("an offset of the future", '{"pid":"PID","offset":"PREFIX.99"}', "lost"),
    Claim("a negative offset", '{"pid":"PID","offset":"PREFIX.-1"}', "lost"),
    Claim("an offset of Arabic digits", '{"pid":"PID","offset":"PREFIX.\\u0661"}', "lost"),
    Claim("an offset of 5000 digits", f'{{"pid":"PID","offset":"PREFIX.{"9" * 5000}"}}', "lost"),
    Claim("an offset that is a number", '{"pid":"PID","offset":1}', "lost"),
    Claim("an offset that is an object", '{"pid":"PID","offset":{}}', "lost"),
    Claim("an empty offset", '{"pid":"PID","offset":""}', "lost"),
    Claim("an offset without a number", '{"pid":"PID","offset":"PREFIX."}', "lost"),
)


@by_row
class ClaimTests(RecoveryCase):
    @rows(CLAIMS)
    def test_it_connects_anew_with(self, row: Claim) -> None:
        peer, memory = self.connect("websocket")
        self.emit("seen")
        memory.take(peer.hear())
        assert memory.offset is not None
        prefix = memory.offset.rpartition(".")[0]
        self.lose(peer)
        self.emit("a")
        again = self.bench.socketeer("alice")
        again.say("40" + row.auth.replace("PID", str(memory.pid)).replace("PREFIX", prefix))
        fresh = Memory(memory.sid, memory.pid)
        self.assertEqual(fresh.take(again.hear()), ["CONNECT"])
        self.assertFalse(fresh.recovered)
        self.assertNotEqual(fresh.sid, memory.sid)
        self.assertFalse(self.bench.connection().recovered)
        if row.outcome != "none":
            self.assertEqual(self.outcome(row.outcome), 1)
        self.assertEqual(self.outcome("ok"), 0)


@by_row
class OffsetTests(RecoveryCase):
    """The client takes the last text of an event for its offset, whatever it is."""

    @rows(TRANSPORTS)
    def test_no_kind_of_message_spoils_it(self, row: Transport) -> None:
        senders: tuple[Any, ...] = (
            lambda connection: connection.emit("x", "text"),
            lambda connection: connection.emit("x", "text", volatile=True),
            lambda connection: self.bench.app.emit("x", "text", volatile=True),
            lambda connection: connection.send("text"),
            lambda connection: connection.send(b"bytes"),
            lambda connection: connection.call("x", "text").addErrback(lambda _: None),
            lambda connection: self.bench.app.call("x", "text").addErrback(lambda _: None),
            lambda connection: connection.broadcast("x", "text"),
        )
        for number, send in enumerate(senders):
            with self.subTest(number=number):
                peer, memory = self.connect(row.name)
                peer.listen()
                send(self.bench.connection())
                self.assertLessEqual(len(memory.take(peer.hear())), 1)
                self.lose(peer)
                self.emit("missed")
                again, events = self.come_back(memory, row.name)
                self.assertEqual((events, memory.recovered), ([("missed", 1), "CONNECT"], True))
                self.bench.connection().disconnect()
                again.hear()

    @rows(TRANSPORTS)
    def test_what_is_sent_by_send_can_be_recovered_like_any_event(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        connection = self.bench.connection()
        connection.send("seen")
        self.assertEqual(memory.take(peer.hear()), [("message", "seen")])
        connection.send("sent into nowhere")
        self.bench.pollers.clear()
        _, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("message", "sent into nowhere"), "CONNECT"])
        with self.assertRaises(TypeError):
            self.bench.connection().send({"a": 1})  # type: ignore[arg-type]

    @rows(TRANSPORTS)
    def test_volatile_messages_are_not_sent_again(self, row: Transport) -> None:
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.emit("a", volatile=True)
        self.emit("b")
        self.emit("c", volatile=True)
        _, events = self.come_back(memory, row.name)
        self.assertEqual(events, [("b", 1), "CONNECT"])

    def test_without_recovery_there_is_neither_offset_nor_private_id(self) -> None:
        self.start()
        for transport in ("polling", "websocket"):
            peer = self.bench.peer(transport, "alice")
            peer.say('40{"pid":"P","offset":"O"}')
            self.assertRegex(str(peer.hear()[0]), r'^40\{"sid":"[^"]+"\}$')
            self.assertEqual(dict(self.bench.connection().handshake.auth), {"pid": "P", "offset": "O"})
            self.bench.connection().emit("x")
            self.assertEqual(peer.hear(), ['42["x"]'])
            self.bench.connection().disconnect()


@by_row
class BoundTests(RecoveryCase):
    @rows(TRANSPORTS)
    def test_time(self, row: Transport) -> None:
        self.begin(window=30.0)
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.bench.advance(29)
        self.come_back(memory, row.name)
        self.assertTrue(memory.recovered)

    @rows(TRANSPORTS)
    def test_more_time(self, row: Transport) -> None:
        self.begin(window=30.0)
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.bench.advance(31)
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), (["CONNECT"], False))

    @rows(TRANSPORTS)
    def test_time_in_which_the_loop_was_blocked_before_does_not_shorten_it(self, row: Transport) -> None:
        self.bench.clock.advance(1000)
        peer, memory = self.connect(row.name)
        self.lose(peer)
        self.bench.advance(60)
        self.come_back(memory, row.name)
        self.assertTrue(memory.recovered)

    @rows(TRANSPORTS)
    def test_bytes(self, row: Transport) -> None:
        self.begin(max_bytes=10_000)
        peer, memory = self.connect(row.name)
        self.lose(peer)
        for _ in range(200):
            self.bench.app.emit("x", "y" * 100)
        assert self.bench.history is not None
        self.assertLessEqual(self.bench.history.size, 10_000)
        _, events = self.come_back(memory, row.name)
        self.assertEqual((events, memory.recovered), (["CONNECT"], False))
        self.assertEqual(self.outcome("lost"), 1)

    @rows(TRANSPORTS)
    def test_connections(self, row: Transport) -> None:
        self.begin(max_sessions=2)
        lost = []
        for number in range(3):
            peer, memory = self.connect(row.name, f"user-{number}")
            lost.append(memory)
            self.lose(peer)
        for number, memory in enumerate(lost):
            self.come_back(memory, row.name, f"user-{number}")
        self.assertEqual([memory.recovered for memory in lost], [False, True, True])

    def test_nor_are_many_small_messages(self) -> None:
        self.begin(Settings(max_queue_messages=50))
        for count, recovers in ((25, True), (26, False)):
            peer, memory = self.connect("polling")
            self.lose(peer)
            self.emit(*["x"] * count)
            self.other.hear()
            self.come_back(memory, "polling")
            self.assertEqual(memory.recovered, recovers)
            self.bench.connection().disconnect()

    def test_what_was_missed_is_no_reason_to_be_slow(self) -> None:
        self.begin(Settings(max_queue=5_000))
        peer, memory = self.connect("polling")
        self.lose(peer)
        for _ in range(100):
            self.bench.app.emit("x", "y" * 100)
        self.other.hear()
        poller = self.bench.poller("alice")
        poller.say(memory.connect())
        events = memory.take(poller.hear())
        self.assertEqual((events, memory.recovered), (["CONNECT"], False))
        self.assertEqual(self.outcome("lost"), 1)
        self.lose(poller)
        for _ in range(10):
            self.bench.app.emit("x", b"y" * 90)
        self.come_back(memory, "polling")
        self.assertTrue(memory.recovered)


class QuietTests(RecoveryCase):
    """A client without an offset has what was sent before the last ping that it answered, and no more than that."""

    def test_a_quiet_client_is_not_sent_again_what_arrived(self) -> None:
        self.begin(max_bytes=2_000)
        peer, memory = self.connect("websocket")
        for _ in range(3):
            self.emit(*["not for it"] * 20, user="bob")
            self.bench.advance(26)
        self.lose(peer)
        self.emit("a")
        _, events = self.come_back(memory, "websocket")
        self.assertEqual((events, memory.recovered), ([("a", 1), "CONNECT"], True))

    def test_what_a_handler_sends_behind_a_ping_has_not_arrived_by_its_pong(self) -> None:
        peer, memory = self.connect("websocket")
        assert isinstance(peer, Socketeer)
        peer.pongs = False
        self.bench.clock.advance(25.0)  # the timer sends the ping
        peer.client.send_text(event("back", 1).encode())
        peer.current.dataReceived(peer.flush())
        data = peer.transport.value()
        self.assertLess(data.index(b"\x81\x012"), data.index(b"back"))
        peer.client.send_text(b"3")  # it got the ping, and the rest gets lost
        peer.current.dataReceived(peer.flush())
        self.lose(peer)
        _, events = self.come_back(memory, "websocket")
        self.assertEqual(events, [("back", 1), "CONNECT"])


@by_row
class PendingTests(RecoveryCase):
    """The application takes its time, and the connection breaks again."""

    def setUp(self) -> None:
        super().setUp()
        self.deciding: list[Deferred[Any]] = []
        namespace = self.bench.app.namespace("/deciding")

        @namespace.use
        async def decide(connection: Any) -> None:
            if connection.recovered:
                self.deciding.append(Deferred())
                await self.deciding[-1]

    @rows(TRANSPORTS)
    def test_what_was_missed_waits_for_the_decision_and_what_comes_meanwhile_is_not_doubled(
        self, row: Transport
    ) -> None:
        peer, memory = self.connect(row.name, namespace="/deciding")
        self.lose(peer)
        self.bench.app.namespace("/deciding").emit("a")
        again, events = self.come_back(memory, row.name, namespace="/deciding")
        self.assertEqual(events, [])
        self.bench.app.namespace("/deciding").emit("b")
        self.deciding[0].callback(None)
        self.assertEqual(memory.take(again.hear()), [("a",), "CONNECT", ("b",)])

    @rows(TRANSPORTS)
    def test_a_break_before_the_decision_loses_nothing(self, row: Transport) -> None:
        peer, memory = self.connect(row.name, namespace="/deciding")
        self.lose(peer)
        self.bench.app.namespace("/deciding").emit("a")
        again, _ = self.come_back(memory, row.name, namespace="/deciding")
        self.lose(again)
        self.bench.app.namespace("/deciding").emit("b")
        third, _ = self.come_back(memory, row.name, namespace="/deciding")
        for decision in self.deciding:
            decision.callback(None)
        self.assertEqual(memory.take(third.hear()), [("a",), ("b",), "CONNECT"])
        self.assertTrue(memory.recovered)

    @rows(TRANSPORTS)
    def test_a_break_before_the_first_decision_is_no_connection_that_broke(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice")
        peer.say("40/slow,")
        self.lose(peer)
        self.bench.waiting.pop().callback(None)
        assert self.bench.history is not None
        self.assertEqual((self.bench.history._saved, len(self.bench.history.live)), ({}, 2))

    @rows(TRANSPORTS)
    def test_a_refusal_does_not_use_the_private_id_up(self, row: Transport) -> None:
        peer, memory = self.connect(row.name, namespace="/deciding")
        self.lose(peer)
        again, _ = self.come_back(memory, row.name, namespace="/deciding")
        self.deciding[0].errback(ClientError("no"))
        self.assertEqual(again.hear(), ['44/deciding,{"message":"no"}'])
        again.say(memory.connect("/deciding"))
        self.deciding[1].callback(None)
        memory.take(again.hear())
        self.assertTrue(memory.recovered)
