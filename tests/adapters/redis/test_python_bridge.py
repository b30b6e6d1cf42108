"""The channel of python-socketio."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import Process
from wsservice.adapters.redis.python_bridge import PythonBridge
from wsservice.messages import Broadcast, Target

CHANNEL = b"socketio"
HOST = "0" * 32


class PythonBridgeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process()
        self.link = self.process.link
        self.emitted: list[Broadcast] = []
        PythonBridge(self.link, "socketio", self.process.local, self.process.refusals, self.emit)
        self.alice, self.bob = self.process.connect("alice"), self.process.connect("bob")

    def emit(self, channel: bytes, broadcast: Broadcast) -> None:
        self.assertEqual(channel, CHANNEL)
        self.emitted.append(broadcast)

    def receive(self, method: str, **members: Any) -> None:
        message = {"method": method, "host_id": HOST, "namespace": "/", **members}
        self.link.receive(CHANNEL, json.dumps(message).encode())

    def test_an_event_is_emitted(self) -> None:
        self.receive("emit", event="news", data=["a", 1], room="r", skip_sid="x", callback=None)
        (broadcast,) = self.emitted
        self.assertEqual((broadcast.event, broadcast.args), ("news", ("a", 1)))
        self.assertEqual(broadcast.target, Target(rooms=frozenset({"r"}), skip=frozenset({"x"})))

    def test_answers_of_clients_go_back_to_who_asked(self) -> None:
        for data, args in (("yes", ["yes"]), (None, [])):
            sid = self.alice.connection.id
            self.receive("emit", event="q", data=[], room=sid, skip_sid=None, callback=[sid, "/", 7])
            self.alice.acknowledge(self.alice.link.messages[-1]["id"], data)
            channel, payload = self.link.published.pop()
            said = json.loads(payload)
            self.assertEqual((channel, said["method"], said["host_id"]), (CHANNEL, "callback", HOST))
            self.assertEqual((said["sid"], said["namespace"], said["id"], said["args"]), (sid, "/", 7, args))
            self.link.receive(CHANNEL, payload)  # it comes back, and is for others
        self.assertEqual((self.emitted, self.bob.link.messages), ([], []))

    def test_who_does_not_answer_is_forgotten(self) -> None:
        sid = self.alice.connection.id
        self.receive("emit", event="q", data=[], room=sid, skip_sid=None, callback=[sid, "/", 7])
        self.process.core.clock.advance(61)
        self.alice.acknowledge(self.alice.link.messages[-1]["id"], "late")
        self.assertEqual(self.link.published, [])

    def test_clients_enter_and_leave_rooms_and_go(self) -> None:
        sid = self.alice.connection.id
        self.receive("enter_room", sid=sid, room="a")
        self.receive("enter_room", sid=sid, room="b")
        self.receive("enter_room", sid="somebody else", room="b")
        self.assertEqual(self.alice.connection.rooms, {"a", "b"})
        self.receive("leave_room", sid=sid, room="a")
        self.assertEqual(self.alice.connection.rooms, {"b"})
        self.bob.connection.join("b")
        self.receive("close_room", room="b")
        self.assertEqual((self.alice.connection.rooms, self.bob.connection.rooms), (set(), set()))
        self.receive("disconnect", sid=sid)
        self.assertEqual((len(self.alice.link.closes), len(self.bob.link.closes)), (1, 0))

    def test_what_is_no_message_is_refused(self) -> None:
        for payload in (b"", b"\x80\x04K\x01.", b"[]", b"{}", b'{"method":"emit"}', b'{"method":"fly"}'):
            self.link.receive(CHANNEL, payload)
        self.assertEqual(sum(self.process.refused().values()), 6)
        self.receive("emit", event="connect", data=[], room=None, skip_sid=None, callback=None)
        self.assertEqual(self.emitted, [])
