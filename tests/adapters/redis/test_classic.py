"""A member of the classic cluster: what it subscribes to, and what it does when it is asked."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import Process
from tests.fakes import Client
from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_packets import encode_request
from wsservice.errors import ClientError
from wsservice.messages import Broadcast, Target

REQUEST, RESPONSE = b"socket.io-request#/#", b"socket.io-response#/#"
OWN_CHANNELS = {REQUEST, RESPONSE, b"socket.io-response#/#me,#"}


class ClassicTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process()
        self.link = self.process.link
        self.link.is_strict = True
        self.broadcasts: list[tuple[str, bytes, bytes]] = []
        self.answers: list[tuple[bytes, bytes]] = []
        self.classic = Classic(
            self.link,
            "socket.io",
            "me",
            self.process.local,
            self.process.refusals,
            broadcast=lambda channels, channel, payload: self.broadcasts.append((channels.namespace, channel, payload)),
            answer=lambda channel, payload: self.answers.append((channel, payload)),
            call_timeout=5.0,
        )
        self.process.core.registry.observer = Observer(self.classic)  # type: ignore[assignment]
        self.classic.open("/")
        self.alice, self.bob = self.process.connect("alice"), self.process.connect("bob")

    def ask(self, request: requests.Request) -> None:
        self.link.receive(REQUEST, encode_request(request))

    def ask_plainly(self, **members: Any) -> None:
        self.link.receive(REQUEST, json.dumps(members).encode())

    def responses(self) -> list[Any]:
        """What was answered, decoded, without the node's name."""
        found = []
        for channel, payload in self.link.published:
            self.assertEqual(channel, RESPONSE)
            found.append(json.loads(payload) if payload[:1] == b"{" else msgspec.msgpack.decode(payload))
            self.assertEqual(found[-1].pop("node"), "me")
        self.link.published.clear()
        return found

    def test_an_open_namespace_is_subscribed_to_and_a_closed_one_is_not(self) -> None:
        self.assertEqual(self.link.channels.keys(), OWN_CHANNELS)
        self.assertEqual(self.link.patterns.keys(), {b"socket.io#/#*"})
        self.classic.open("/")
        self.classic.open("/admin")
        self.assertEqual(len(self.link.channels), 6)
        self.classic.close("/admin")
        self.classic.close("/admin")
        self.assertEqual(self.link.channels.keys(), OWN_CHANNELS)
        self.assertEqual(self.classic.channels("/admin").request, b"socket.io-request#/admin#")

    def test_no_namespace_has_the_channels_of_another_one(self) -> None:
        self.classic.open("/chat")
        for name in ("/chat#me", "/chat#me#", "/chat#", "/chat##", "/chat#request", "/#me", "/#"):
            before = set(self.link.channels)
            self.classic.open(name)
            self.assertEqual(len(self.link.channels), len(before) + 3, name)
            self.classic.close(name)
            self.assertEqual(set(self.link.channels), before, name)

    def test_a_namespace_whose_channels_are_taken_is_not_open_and_takes_nothing_away(self) -> None:
        taken = self.classic.channels("/chat").request
        self.link.subscribe(taken, lambda channel, payload: None)
        before = dict(self.link.channels)
        for _ in range(2):
            self.assertRaises(ValueError, self.classic.open, "/chat")
            self.classic.close("/chat")
            self.assertEqual(self.link.channels, before)
            self.assertEqual(self.link.patterns.keys(), {b"socket.io#/#*"})

    def test_broadcasts_and_answers_are_passed_on_unread(self) -> None:
        self.link.patterns[b"socket.io#/#*"](b"socket.io#/#r#", b"whatever")
        self.link.receive(RESPONSE, b"answer")
        self.assertEqual(self.broadcasts, [("/", b"socket.io#/#r#", b"whatever")])
        self.assertEqual(self.answers, [(RESPONSE, b"answer")])

    def test_a_namespace_of_clients_is_open_while_it_has_some(self) -> None:
        one, two = (self.process.connect(user, namespace="/room-1") for user in ("ann", "ben"))
        self.assertIn(b"socket.io-request#/room-1#", self.link.channels)
        one.leave()
        self.assertIn(b"socket.io-request#/room-1#", self.link.channels)
        two.leave()
        self.assertNotIn(b"socket.io-request#/room-1#", self.link.channels)
        self.alice.leave()
        self.bob.leave()
        self.assertIn(REQUEST, self.link.channels)

    def test_a_namespace_stays_open_while_a_question_is_asked_there(self) -> None:
        self.classic.begin_asking("/room-1")
        self.classic.begin_asking("/room-1")
        self.process.connect("ann", namespace="/room-1").leave()
        self.classic.end_asking("/room-1")
        self.assertIn(b"socket.io-request#/room-1#", self.link.channels)
        self.classic.end_asking("/room-1")
        self.assertNotIn(b"socket.io-request#/room-1#", self.link.channels)
        self.classic.begin_asking("/")
        self.classic.end_asking("/")
        self.assertIn(REQUEST, self.link.channels)

    def test_own_requests_are_not_carried_out_again(self) -> None:
        self.ask(requests.DisconnectSockets("me,", Target()))
        self.ask(requests.Fetch("me,", "r", Target()))
        self.assertEqual((self.alice.link.closes, self.responses()), ([], []))

    def test_what_is_no_request_is_refused(self) -> None:
        for payload in (b"", b"{}", b"\x80\x04K", b"[" * 9000, b'{"uid":"x","type":99}', b"\x91" * 9000):
            self.link.receive(REQUEST, payload)
        self.assertEqual(sum(self.process.refused().values()), 6)
        self.assertEqual(self.responses(), [])

    def test_targets_enter_and_leave_rooms_and_go(self) -> None:
        alice = Target(rooms=frozenset({self.alice.connection.id}))
        self.ask(requests.Join("n", Target(), frozenset({"a", "b"})))
        self.ask(requests.Leave("n", alice, frozenset({"a"})))
        self.assertEqual((self.alice.connection.rooms, self.bob.connection.rooms), ({"b"}, {"a", "b"}))
        self.ask(requests.DisconnectSockets(None, alice))
        self.assertEqual(self.alice.link.closes, [(1000, "Disconnected by the server")])
        self.ask(requests.DisconnectSockets("n", Target(), code=4001, reason="Go"))
        self.assertEqual(self.bob.link.closes, [(4001, "Go")])
        self.assertEqual(self.responses(), [])

    def test_the_old_forms_are_answered_by_who_has_the_connection(self) -> None:
        sid = self.alice.connection.id
        self.ask(requests.OldJoin("n", "r1", sid, "a"))
        self.ask(requests.OldLeave("n", "r2", sid, "a"))
        self.ask(requests.OldJoin("n", "r3", "somebody else", "a"))
        self.ask(requests.OldJoin("n", None, sid, "b"))
        self.assertEqual(self.alice.connection.rooms, {"b"})
        self.ask(requests.OldDisconnect("n", "r4", sid))
        self.assertEqual(len(self.alice.link.closes), 1)
        self.assertEqual([one["requestId"] for one in self.responses()], ["r1", "r2", "r4"])

    def test_questions_of_who_is_here(self) -> None:
        self.alice.connection.join("a")
        ids = {self.alice.connection.id, self.bob.connection.id}
        self.ask(requests.AllRooms("n", "r1"))
        self.ask(requests.Sockets("n", "r2", frozenset({"a"})))
        self.ask(requests.Sockets("n", "r3"))
        self.ask(requests.Fetch("n", "r4", Target(rooms=frozenset({"a", "nobody"}))))
        self.ask(requests.Fetch("n", "r5", Target(rooms=frozenset({"nobody"}))))
        rooms, some, everybody, described, nobody = self.responses()
        self.assertEqual(set(rooms["rooms"]), ids | {"a"})
        self.assertEqual(some["sockets"], [self.alice.connection.id])
        self.assertEqual(set(everybody["sockets"]), ids)
        (alice,) = described["sockets"]
        self.assertEqual((alice["id"], set(alice["rooms"])), (self.alice.connection.id, {"a", alice["id"]}))
        self.assertEqual(alice["handshake"]["user"], "alice")
        self.assertEqual(nobody, {"requestId": "r5", "sockets": []})

    def test_notes_that_are_no_json_are_left_out(self) -> None:
        self.alice.connection.data["what"] = object()
        self.ask(requests.Fetch("n", "r", Target(users=frozenset({"alice"}))))
        (answer,) = self.responses()
        self.assertEqual([one["id"] for one in answer["sockets"]], [self.alice.connection.id])

    def call(self, *args: Any, timeout: float | None = None) -> None:
        self.ask(requests.CallClients("n", "r", Broadcast("q", args, Target()), timeout))

    def acknowledge(self, client: Client, *args: Any, **error: Any) -> None:
        client.acknowledge(client.link.messages[-1]["id"], *args, **error)

    def test_clients_are_asked_and_each_answer_is_sent(self) -> None:
        self.call(1)
        self.assertEqual(self.responses(), [{"type": 8, "requestId": "r", "clientCount": 2}])
        self.acknowledge(self.alice, {"deep": [1]})
        self.assertEqual(self.responses(), [{"type": 9, "requestId": "r", "packet": {"deep": [1]}}])
        self.acknowledge(self.bob, error={"code": "no"})
        self.assertEqual(self.responses(), [{"type": 10, "requestId": "r"}])

    def test_clients_have_the_time_that_the_asker_gives_within_reason(self) -> None:
        for given, seconds in ((100, 0.1), (None, 5.0), (9e9, 60.0)):
            self.call(timeout=given)
            self.responses()
            self.process.core.clock.advance(seconds - 0.01)
            self.assertEqual(self.responses(), [], given)
            self.process.core.clock.advance(0.02)
            self.assertEqual([one["type"] for one in self.responses()], [10, 10], given)

    def test_without_clients_the_count_is_told_all_the_same(self) -> None:
        self.alice.leave()
        self.bob.leave()
        self.call()
        self.assertEqual(self.responses(), [{"type": 8, "requestId": "r", "clientCount": 0}])

    def test_server_events_are_answered_where_that_is_wanted(self) -> None:
        heard: list[Any] = []

        @self.process.core.app.on_server("add")
        def add(one: int, two: int) -> int:
            heard.append((one, two))
            return one + two

        self.process.core.app.on_server("odd")(lambda: object())

        @self.process.core.app.on_server("refuse")
        def refuse() -> None:
            raise ClientError("no", "No")

        self.ask(requests.ServerSideEmit("n", "add", (1, 2)))
        self.assertEqual(self.responses(), [])
        for event, args in (("add", (3, 4)), ("unknown", ()), ("odd", ()), ("refuse", ())):
            self.ask(requests.ServerSideEmit("n", event, args, "r"))
        self.assertEqual([one.get("data") for one in self.responses()], [7, None, None, None])
        self.assertEqual(heard, [(1, 2), (3, 4)])
        self.assertEqual(len(self.flushLoggedErrors(ClientError)), 1)

    def test_what_is_sent_goes_to_the_channel_of_requests(self) -> None:
        self.classic.send("/admin", requests.AllRooms("me", "r"))
        self.assertEqual(self.link.published[0][0], b"socket.io-request#/admin#")


class Observer:
    """Tells the member alone."""

    def __init__(self, classic: Classic) -> None:
        self.added, self.removed = classic.added, classic.removed

    def joined(self, connection: Any, room: str) -> None:
        pass

    left = joined
