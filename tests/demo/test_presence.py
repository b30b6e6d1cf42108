"""Tests of wsservice.demo.presence."""

from __future__ import annotations

from typing import Any
from unittest import mock

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Client, Core
from wsservice.adapters.base import Adapter, Presence, Present
from wsservice.demo import presence
from wsservice.demo.app import make_app
from wsservice.errors import CallTimeout


def user(name: str, connections: int = 1) -> dict[str, Any]:
    """A user of the list; the fakes' have their names as ids."""
    return {"id": name, "username": name, "connections": connections}


class PresenceTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.app = make_app(self.clock)
        self.core = Core(self.app)
        self.app.serve(self.core.hub)

    def ask(self, client: Client) -> Any:
        """What the client is answered."""
        client.send("who", None, id=1)
        return client.link.messages[-1]

    def told(self, client: Client) -> list[Any]:
        """The lists that the client was sent at the next look."""
        before = len(client.link.messages)
        self.clock.advance(presence.INTERVAL)
        news = client.link.messages[before:]
        self.assertEqual([one["event"] for one in news], ["presence"] * len(news))
        return [one["data"] for one in news]


class PresenceTests(PresenceTestCase):
    """One process."""

    def test_who_asks_gets_a_list_by_name(self) -> None:
        bob, _, _ = (self.core.connect(name) for name in ("bob", "alice", "bob"))
        self.assertEqual(self.ask(bob), {"ack": 1, "data": [user("alice"), user("bob", 2)]})

    def test_who_asked_is_told_of_changes_and_others_are_not(self) -> None:
        alice, bob = self.core.connect("alice"), self.core.connect("bob")
        self.ask(alice)
        carol = self.core.connect("carol")
        self.assertEqual(self.told(alice), [[user("alice"), user("bob"), user("carol")]])
        self.assertEqual(self.told(alice), [])
        carol.leave()
        self.assertEqual(self.told(alice), [[user("alice"), user("bob")]])
        self.assertEqual(bob.link.writes, [])

    def test_a_storm_of_arrivals_is_one_event(self) -> None:
        alice = self.core.connect("alice")
        self.ask(alice)
        for _ in range(500):
            self.core.connect("bob")
        self.assertEqual(self.told(alice), [[user("alice"), user("bob", 500)]])

    def test_one_that_came_and_went_is_no_change(self) -> None:
        alice = self.core.connect("alice")
        self.ask(alice)
        self.core.connect("bob").leave()
        self.assertEqual(self.told(alice), [])

    def test_who_asks_between_two_looks_hears_that_somebody_came_back_before_the_second(self) -> None:
        alice, bob, carol = (self.core.connect(name) for name in ("alice", "bob", "carol"))
        self.ask(alice)
        carol.leave()
        self.assertEqual(self.ask(bob)["data"], [user("alice"), user("bob")])
        self.core.connect("carol")
        self.assertEqual(self.told(bob), [[user("alice"), user("bob"), user("carol")]])
        self.assertEqual(self.told(bob), [])

    def test_the_list_is_bounded(self) -> None:
        clients = [self.core.connect(f"user-{number:03}") for number in range(presence.MOST_USERS + 1)]
        found = self.ask(clients[0])["data"]
        self.assertEqual(found, [user(f"user-{number:03}") for number in range(presence.MOST_USERS)])

    def test_nobody_looks_when_nobody_wants_to_know(self) -> None:
        alice = self.core.connect("alice")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.ask(alice)
        self.ask(alice)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        alice.leave()
        self.clock.advance(presence.INTERVAL)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        bob = self.core.connect("bob")
        self.ask(bob)
        self.core.connect("carol")
        self.assertEqual(self.told(bob), [[user("bob"), user("carol")]])


class ClusterTests(PresenceTestCase):
    """Users of other processes, by an adapter that answers for them."""

    def setUp(self) -> None:
        super().setUp()
        self.members = [Present("1", "alice"), Present("2", "id-of-bob")]
        self.adapter = mock.create_autospec(Adapter, instance=True)
        self.adapter.admit.return_value = None
        self.adapter.presence.side_effect = lambda name, room: succeed(Presence(tuple(self.members)))
        self.adapter.server_call.return_value = succeed([{"id-of-bob": "bob"}])
        self.core.hub.adapter = self.adapter
        self.alice = self.core.connect("alice")

    def test_the_others_are_asked_once_what_their_users_are_called(self) -> None:
        bob = {"id": "id-of-bob", "username": "bob", "connections": 1}
        for _ in range(2):
            self.assertEqual(self.ask(self.alice)["data"], [user("alice"), bob])
        self.adapter.server_call.assert_called_once_with("/", "names", (["id-of-bob"],), presence.NAMES_TIMEOUT)

    def test_an_id_stands_for_a_name_that_nobody_tells(self) -> None:
        nameless = {"id": "id-of-bob", "username": "id-of-bob", "connections": 1}
        for answer in (lambda: succeed([None, 7]), lambda: fail(CallTimeout("late", answers=({},)))):
            self.adapter.server_call.side_effect = lambda *args, answer=answer: answer()
            self.assertEqual(self.ask(self.alice)["data"], [user("alice"), nameless])

    def test_another_process_is_told_the_names_of_those_who_are_here(self) -> None:
        answer = self.app.handle_server_event("names", (["alice", "id-of-bob"],))
        assert isinstance(answer, Deferred)
        self.assertEqual(self.successResultOf(answer), {"alice": "alice"})

    def test_every_process_tells_its_own_watchers(self) -> None:
        self.ask(self.alice)
        self.members.pop()
        self.assertEqual(self.told(self.alice), [[user("alice")]])
        self.adapter.broadcast.assert_not_called()

    def test_a_look_that_fails_is_logged_and_the_next_one_tells(self) -> None:
        self.ask(self.alice)
        with mock.patch.object(self.app, "presence", side_effect=RuntimeError("away")):
            self.assertEqual(self.told(self.alice), [])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.members.pop()
        self.assertEqual(self.told(self.alice), [[user("alice")]])
