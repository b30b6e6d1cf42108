"""As you would test an app of yours; docs/testing.md explains it. Run by: python -m unittest test_app"""

import time
import unittest

from app import GRACE, make_app

from wsservice.testing import ServiceInMemory, SteppingClock


def came(user):
    return ("presence", {"user": user, "online": True})


def went(user):
    return ("presence", {"user": user, "online": False})


class PresenceTests(unittest.TestCase):
    def setUp(self):
        clock = SteppingClock(time.time())  # the app waits on it, too
        self.service = ServiceInMemory(make_app(clock), clock=clock)
        self.alice = self.service.connect("alice")

    def test_who_comes_is_told_who_is_there_and_the_others_who_came(self):
        self.assertEqual(self.alice.received(), [("online", ["alice"])])
        bob = self.service.connect("bob", protocol="socketio")
        self.assertEqual(bob.received(), [("online", ["alice", "bob"])])
        self.assertEqual(self.alice.received(), [came("bob")])

    def test_a_user_comes_and_goes_once_however_many_tabs(self):
        tabs = [self.service.connect("bob", protocol=protocol) for protocol in ("raw", "socketio", "polling")]
        self.assertEqual(self.alice.received("presence"), [came("bob")])
        for tab in tabs:
            self.assertEqual(self.alice.received("presence"), [])
            tab.close()
            self.service.advance(GRACE)
        self.assertEqual(self.alice.received("presence"), [went("bob")])

    def test_a_page_that_is_loaded_anew_is_not_seen(self):
        self.service.connect("bob").close()
        self.service.advance(GRACE / 2)
        self.service.connect("bob")
        self.service.advance(3600 - 60)
        self.assertEqual(self.alice.received("presence"), [came("bob")])

    def test_who_signs_out_goes(self):
        self.service.connect("bob")
        self.service.sign_out("bob")
        self.service.advance(GRACE)
        self.assertEqual(self.alice.received("presence"), [came("bob"), went("bob")])
