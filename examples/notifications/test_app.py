"""As you would test an app of yours; docs/testing.md explains it. Run by: python -m unittest test_app"""

import unittest

from app import make_app

from wsservice.testing import ServiceInMemory

KEY = "0123456789abcdef" * 2


class NotificationTests(unittest.TestCase):
    def setUp(self):
        self.service = ServiceInMemory(make_app(), api_key=KEY)

    def emit(self, **message):
        """What a backend does."""
        headers = {"Authorization": f"Bearer {KEY}"}
        return self.service.request("POST", "/api/emit", message, headers=headers).json

    def test_every_page_of_the_user_is_told_and_nobody_elses(self):
        tabs = [self.service.connect("alice"), self.service.connect("alice", protocol="socketio")]
        bob = self.service.connect("bob")
        answer = self.emit(event="notification", data={"order": 7}, room="user:alice")
        self.assertEqual(answer, {"accepted": 1, "connections": 2})
        self.assertEqual([tab.received() for tab in tabs], [[("notification", {"order": 7})]] * 2)
        self.assertEqual(bob.received(), [])

    def test_what_was_seen_in_one_tab_is_taken_off_the_others(self):
        one, two = self.service.connect("alice"), self.service.connect("alice")
        one.emit("seen", 7)
        self.assertEqual((one.received(), two.received()), ([], [("seen", 7)]))
