"""Sessions: what a refresh and a logout do to connections."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.transports.fixtures import ALICE, Service
from tests.transports.memory import MemoryClient
from wsservice.auth.revocations import Revocations
from wsservice.history import History, Saved
from wsservice.sessions import LONGEST_TOKEN, Sessions

BOB = replace(ALICE, id="bob", username="bob", session="s2")


class SessionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.service = Service()
        self.revocations = Revocations(self.service.clock.seconds)
        self.history = History(self.service.clock.seconds, self.service.counters)
        self.sessions = Sessions(self.service.registry, self.revocations, self.service.clock.seconds, self.history)

    def connect(self, principal: object) -> MemoryClient:
        self.service.authenticator.answer = principal
        client = MemoryClient(self.service.factory)
        client.deliver()
        return client

    def test_a_logout_closes_exactly_the_sessions_sockets(self) -> None:
        first, second, other = self.connect(ALICE), self.connect(ALICE), self.connect(BOB)
        self.sessions.end(ALICE)
        for client in (first, second, other):
            client.read()
        self.assertEqual([first.close, second.close, other.close], [(1008, "Signed out")] * 2 + [None])

    def test_a_signed_out_session_stays_out_for_as_long_as_any_token_of_it_can_live(self) -> None:
        self.sessions.end(ALICE)
        self.assertTrue(self.revocations.is_revoked("s1"))
        self.service.clock.advance(LONGEST_TOKEN - 1)
        self.assertTrue(self.revocations.is_revoked("s1"))
        self.service.clock.advance(2)
        self.assertFalse(self.revocations.is_revoked("s1"))

    def test_nobody_comes_back_to_a_session_that_was_signed_out(self) -> None:
        for principal in (ALICE, BOB):
            self.history.save(
                Saved(principal.id, principal.id, "/", principal.id, principal.session, frozenset(), {}, position=0)
            )
        self.sessions.end(ALICE)
        self.assertIsNone(self.history.take("alice"))
        self.assertIsNotNone(self.history.take("bob"))

    def test_without_recovery_a_logout_is_the_same(self) -> None:
        client = self.connect(ALICE)
        Sessions(self.service.registry, self.revocations, self.service.clock.seconds).end(ALICE)
        client.read()
        self.assertEqual((client.close, self.revocations.is_revoked("s1")), ((1008, "Signed out"), True))

    def test_a_refresh_moves_the_expiry_of_the_sessions_sockets_only(self) -> None:
        first, other = self.connect(ALICE), self.connect(BOB)
        self.sessions.renew(replace(ALICE, expires_at=7200.0))
        self.service.clock.pump([10.0] * 361)
        for client in (first, other):
            client.read()
        self.assertEqual([first.close, other.close], [None, (1008, "Authentication expired")])
        self.service.clock.pump([10.0] * 360)
        first.read()
        self.assertEqual(first.close, (1008, "Authentication expired"))

    def test_a_refresh_of_another_user_in_a_session_of_that_name_moves_nothing(self) -> None:
        client = self.connect(ALICE)
        self.sessions.renew(replace(BOB, session="s1", expires_at=7200.0))
        self.service.clock.pump([10.0] * 361)
        client.read()
        self.assertEqual(client.close, (1008, "Authentication expired"))
