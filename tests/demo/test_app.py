"""Tests of wsservice.demo.app."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.demo.app import make_app


class DemoTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        app = make_app(self.clock)
        self.core = Core(app)
        app.serve(self.core.hub)
        self.alice, self.bob = self.core.connect("alice"), self.core.connect("bob")

    def test_a_text_is_heard_by_everybody_the_sender_too(self) -> None:
        self.alice.send("message", "hello")
        for client in (self.alice, self.bob):
            self.assertEqual(client.link.writes, [b'{"user":"alice","message":"hello"}'])

    def test_a_message_may_be_anything(self) -> None:
        for said, heard in ((b"\x00", "AA=="), (None, None), ({"event": 1}, {"event": 1}), ([1], [1])):
            self.alice.send("message", said)
            self.assertEqual(self.bob.link.messages[-1], {"user": "alice", "message": heard})

    def test_who_asks_is_told_that_it_was_delivered(self) -> None:
        self.alice.send("message", "hello", id=1)
        self.assertEqual(self.alice.link.messages[1:], [{"ack": 1, "data": {"delivered": True}}])
        self.assertEqual(len(self.bob.link.writes), 1)

    def test_a_custom_event_is_answered_to_its_sender_only(self) -> None:
        self.alice.send("customEvent", {"a": 1})
        self.assertEqual(
            self.alice.link.messages,
            [{"event": "customResponse", "data": {"message": "Hello from the server", "received": {"a": 1}}}],
        )
        self.assertEqual(self.bob.link.writes, [])

    def test_a_ping_returns_what_it_brought(self) -> None:
        self.alice.send("ping", 123.5, id=7)
        self.assertEqual(self.alice.link.messages, [{"ack": 7, "data": 123.5}])

    def test_two_demo_apps_are_apart(self) -> None:
        self.assertIsNot(make_app(self.clock), make_app(self.clock))
