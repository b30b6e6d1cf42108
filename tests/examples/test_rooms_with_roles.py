"""examples/rooms_with_roles against the real service: alice is a moderator there, bob is not."""

from __future__ import annotations

import socketio
from twisted.trial.unittest import SynchronousTestCase

from tests.examples.readme import start
from tests.integration.service import PATIENCE, RunningService


class RoomsTests(SynchronousTestCase):
    def connect(self, service: RunningService, user: str) -> socketio.SimpleClient:
        client = socketio.SimpleClient()
        self.addCleanup(client.disconnect)
        client.connect(service.origin, headers={"Cookie": service.log_in(user)}, wait_timeout=PATIENCE)
        return client

    def test_a_moderator_puts_somebody_out(self) -> None:
        with start("rooms_with_roles") as service:
            alice, bob = self.connect(service, "alice"), self.connect(service, "bob")

            def ask(client: socketio.SimpleClient, event: str, data: object) -> object:
                return client.call(event, data, timeout=int(PATIENCE))

            def code(answer: object) -> object:
                assert isinstance(answer, dict)
                return answer["error"]["code"]

            self.assertEqual(code(ask(bob, "enter", "staff")), "forbidden")
            self.assertEqual(ask(bob, "enter", "lobby"), ["bob"])
            self.assertEqual(ask(alice, "enter", "lobby"), ["alice", "bob"])
            kick = {"room": "lobby", "user": "bob"}
            self.assertEqual(code(ask(bob, "kick", kick)), "forbidden")
            ask(alice, "kick", kick)
            heard = [bob.receive(PATIENCE) for _ in range(3)]
            self.assertEqual([event for event, _ in heard], ["entered", "entered", "kicked"])
            self.assertEqual(heard[-1][1], {**kick, "by": "alice"})
            self.assertEqual(code(ask(bob, "enter", "lobby")), "forbidden")
            self.assertEqual(code(ask(bob, "say", {"room": "lobby", "text": "why?"})), "not_inside")
        self.assertNotIn("Traceback", service.log)
