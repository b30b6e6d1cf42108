"""As you would test an app of yours; docs/testing.md explains it. Run by: python -m unittest test_app"""

import unittest

from app import make_app

from wsservice.testing import Refused, ServiceInMemory


class ChatTests(unittest.TestCase):
    def setUp(self):
        self.service = ServiceInMemory(make_app())

    def test_both_protocols_hear_each_other(self):
        alice = self.service.connect("alice")
        bob = self.service.connect("bob", protocol="socketio")
        alice.send("hello")
        self.assertEqual(bob.call("message", "hi"), {"delivered": True})
        said = [("message", {"user": "alice", "message": "hello"}), ("message", {"user": "bob", "message": "hi"})]
        self.assertEqual([alice.received(), bob.received()], [said, said])

    def test_who_comes_later_sees_the_last_twenty(self):
        alice = self.service.connect("alice")
        for number in range(25):
            alice.send(f"message {number}")
        seen = [data["message"] for _, data in self.service.connect("bob").received()]
        self.assertEqual(seen, [f"message {number}" for number in range(5, 25)])

    def test_nothing_and_too_much_are_refused(self):
        alice = self.service.connect("alice")
        for text, code in (("  ", "empty"), ("x" * 501, "too_long")):
            with self.assertRaises(Refused) as caught:
                alice.call("message", text)
            self.assertEqual(caught.exception.code, code)
        self.assertEqual(alice.received(), [])

    def test_others_see_who_types(self):
        alice, bob = self.service.connect("alice"), self.service.connect("bob")
        alice.emit("typing")
        self.assertEqual((alice.received(), bob.received()), ([], [("typing", "alice")]))
