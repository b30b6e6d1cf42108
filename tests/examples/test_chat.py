"""examples/chat against the real service, by the clients `websockets` and python-socketio."""

from __future__ import annotations

import json

import socketio
from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from tests.examples.readme import start
from tests.integration.service import PATIENCE


class ChatTests(SynchronousTestCase):
    def test_a_raw_client_and_one_of_socketio_hear_each_other_and_a_newcomer_what_was_said(self) -> None:
        with start("chat") as service, socketio.SimpleClient() as bob:
            bob.connect(service.origin, headers={"Cookie": service.log_in("bob")}, wait_timeout=PATIENCE)
            cookie = {"Cookie": service.log_in("alice")}
            with connect(service.url, additional_headers=cookie, proxy=None) as alice:
                alice.send("hello")
                said = [{"user": "alice", "message": "hello"}, {"user": "bob", "message": "hi"}]
                self.assertEqual(json.loads(alice.recv(PATIENCE)), said[0])
                self.assertEqual(bob.receive(PATIENCE), ["message", said[0]])
                self.assertEqual(bob.call("message", "hi", timeout=int(PATIENCE)), {"delivered": True})
                self.assertEqual(json.loads(alice.recv(PATIENCE)), said[1])
                bob.emit("typing")
                self.assertEqual(json.loads(alice.recv(PATIENCE)), {"event": "typing", "data": "bob"})
            with connect(service.url, additional_headers=cookie, proxy=None) as newcomer:
                self.assertEqual([json.loads(newcomer.recv(PATIENCE)) for _ in said], said)
        self.assertNotIn("Traceback", service.log)
