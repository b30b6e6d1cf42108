"""As you would test an app of yours; docs/testing.md explains it. Run by: python -m unittest test_app"""

import unittest

from app import make_app

from wsservice.testing import Refused, ServiceInMemory


class RoomsTests(unittest.TestCase):
    def setUp(self):
        self.service = ServiceInMemory(make_app())
        self.alice = self.service.connect("alice", roles={"admin"})
        self.bob = self.service.connect("bob", protocol="socketio")

    def assert_refused(self, code, client, event, data):
        with self.assertRaises(Refused) as caught:
            client.call(event, data)
        self.assertEqual(caught.exception.code, code)

    def test_the_lobby_is_open_to_all(self):
        self.assertEqual(self.alice.call("enter", "lobby"), ["alice"])
        self.assertEqual(self.bob.call("enter", "lobby"), ["alice", "bob"])
        self.bob.emit("say", {"room": "lobby", "text": "hello"})
        self.assertEqual(self.alice.received("said"), [("said", {"room": "lobby", "user": "bob", "text": "hello"})])

    def test_the_staff_room_is_for_staff(self):
        self.assert_refused("forbidden", self.bob, "enter", "staff")
        self.assertEqual(self.bob.rooms, set())
        self.assertEqual(self.service.connect("carol", roles={"staff"}).call("enter", "staff"), ["carol"])

    def test_who_is_not_inside_says_nothing(self):
        self.alice.call("enter", "lobby")
        self.assert_refused("not_inside", self.bob, "say", {"room": "lobby", "text": "psst"})
        self.assertEqual(self.alice.received("said"), [])

    def test_a_moderator_puts_somebody_out_for_good(self):
        for client in (self.alice, self.bob):
            client.call("enter", "lobby")
        self.alice.call("kick", {"room": "lobby", "user": "bob"})
        self.assertEqual(self.bob.received("kicked"), [("kicked", {"room": "lobby", "user": "bob", "by": "alice"})])
        self.assertEqual((self.alice.rooms, self.bob.rooms), ({"lobby"}, set()))
        self.assert_refused("forbidden", self.bob, "enter", "lobby")

    def test_what_is_malformed_is_refused_and_does_no_harm(self):
        for data in (None, "lobby", {"room": "lobby"}, {"room": 1, "text": []}):
            self.assert_refused("malformed", self.bob, "say", data)
        self.assert_refused("no_such_room", self.bob, "enter", ["lobby"])

    def test_nobody_else_may(self):
        self.alice.call("enter", "lobby")
        self.assert_refused("forbidden", self.bob, "kick", {"room": "lobby", "user": "alice"})
        self.assert_refused("forbidden", self.bob, "close", "lobby")
        self.assertEqual(self.alice.rooms, {"lobby"})

    def test_a_room_can_be_closed(self):
        for client in (self.alice, self.bob):
            client.call("enter", "lobby")
        self.alice.call("close", "lobby")
        self.assertEqual((self.bob.rooms, self.bob.received("closed")[0][1]["by"]), (set(), "alice"))
