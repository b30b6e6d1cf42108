"""Tests of wsservice.admin.commands: what people can do."""

from __future__ import annotations

from tests.admin.bench import AdminCase
from wsservice.app import App
from wsservice.testing.client import Refused


class CommandTests(AdminCase):
    def setUp(self) -> None:
        self.app = App()
        self.app.namespace("/chat")
        self.start(self.app)
        self.alice = self.service.connect("alice")
        self.bob = self.service.connect("bob", protocol="socketio")
        self.chat = self.service.connect("carol", protocol="socketio", namespace="/chat")
        self.viewer = self.look()

    def test_an_event_goes_to_a_namespace_a_room_or_one(self) -> None:
        self.bob.connection.join("lobby")
        self.viewer.call("emit", "/", None, "news", 1)
        self.viewer.call("emit", "/", "lobby", "news", 2)
        self.viewer.call("emit", "/", self.alice.connection.id, "news", 3)
        self.viewer.call("emit", "/chat", "", "news", 4)
        heard = [[one[1] for one in client.received("news")] for client in (self.alice, self.bob, self.chat)]
        self.assertEqual(heard, [[1, 3], [1, 2], [4]])

    def test_joining_and_leaving(self) -> None:
        id = self.alice.connection.id
        self.viewer.call("join", "/", "lobby", id)
        self.assertEqual((self.alice.rooms, self.bob.rooms), ({"lobby"}, set()))
        self.viewer.call("join", "/", "all")
        self.viewer.call("leave", "/", "lobby", id)
        self.assertEqual((self.alice.rooms, self.bob.rooms), ({"all"}, {"all"}))
        self.viewer.call("leave", "/", "all")
        self.assertEqual((self.alice.rooms, self.bob.rooms), (set(), set()))

    def test_one_is_disconnected_and_told_by_whom(self) -> None:
        self.viewer.call("_disconnect", "/", False, self.alice.connection.id)
        self.assertEqual(self.alice.closed, (1000, "Disconnected by an administrator"))
        self.assertIsNone(self.bob.closed)
        self.viewer.call("_disconnect", "/", True, self.bob.connection.id)
        self.assertIsNotNone(self.bob.closed)
        self.assertIsNone(self.chat.closed)
        self.assertEqual(self.counted("admin_commands", "disconnect"), 2)

    def test_a_room_and_a_namespace_are_disconnected(self) -> None:
        self.bob.connection.join("lobby")
        self.viewer.call("_disconnect", "/", False, "lobby")
        self.assertEqual([one.closed is None for one in (self.alice, self.bob, self.chat)], [True, False, True])
        self.viewer.call("_disconnect", "/")
        self.assertEqual([one.closed is None for one in (self.alice, self.chat)], [False, True])

    def test_what_is_no_room_is_not_everybody(self) -> None:
        for command in (
            ("_disconnect", "/", False, 0),
            ("_disconnect", "/", False, False),
            ("_disconnect", "/", True, []),
            ("_disconnect", "/", False, {"id": 1}),
            ("_disconnect", None),
            ("emit", "/", 7, "news"),
            ("emit", "/", None, None),
            ("emit", "/", None, "connect"),
            ("join", "/"),
            ("join", "/", ""),
            ("join", "/", 7),
            ("leave", "/", None),
            ("emit",),
        ):
            refused = self.assertRaises(Refused, self.viewer.call, *command)
            self.assertEqual(refused.code, "bad_arguments", command)
        self.assertRaises(Refused, self.viewer.call, "_disconnect", "/nowhere", False, None)
        self.assertEqual([one.closed for one in (self.alice, self.bob, self.chat)], [None] * 3)

    def test_read_only_has_none(self) -> None:
        self.start(App(), admin_read_only=True)
        alice, viewer = self.service.connect("alice"), self.look()
        for command in (("_disconnect", "/"), ("emit", "/", None, "news"), ("join", "/", "a"), ("leave", "/", "a")):
            self.assertRaises(Refused, viewer.call, *command)
        self.assertIsNone(alice.closed)
        self.assertEqual(alice.received(), [])
