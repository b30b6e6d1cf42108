"""Sessions: what a refresh and a logout do to connections."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.fixtures import ALICE, Service
from tests.transports.memory import MemoryClient
from wsservice.auth.principal import Principal
from wsservice.auth.revocations import Revocations
from wsservice.history import History, Saved
from wsservice.messages import EndUser
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

    def user(self, name: str, session: str, issued: float) -> Principal:
        payload = msgspec.json.encode({"iat": issued, "auth_time": issued})
        return replace(ALICE, id=name, username=name, session=session, payload=payload)

    def test_a_logout_everywhere_closes_all_of_the_user_and_nobody_elses(self) -> None:
        self.service.clock.advance(100.5)
        users = [self.user("alice", "s1", 90), self.user("alice", "s2", 100), self.user("bob", "s3", 90)]
        clients = [self.connect(user) for user in users]
        message = self.sessions.end_all(users[0])
        for client in clients:
            client.read()
        self.assertEqual([client.close for client in clients], [(1008, "Signed out")] * 2 + [None])
        self.assertEqual(message, EndUser("alice", 101.0, 100.5 + LONGEST_TOKEN))
        self.assertEqual(self.sessions.ended_users(), [message])

    def test_who_logs_in_when_the_second_is_over_stays_even_if_it_is_told_again(self) -> None:
        self.service.clock.advance(100.5)
        message = self.sessions.end_all(self.user("alice", "s1", 90))
        client = self.connect(self.user("alice", "s4", 101))
        self.sessions.ended_user(message)
        self.sessions.ended_user(replace(message, before=100.0))
        client.read()
        self.assertIsNone(client.close)

    def test_news_that_come_late_close_who_was_there_before(self) -> None:
        self.service.clock.advance(200.5)
        old, new = self.connect(self.user("alice", "s1", 90)), self.connect(self.user("alice", "s4", 101))
        self.sessions.ended_user(EndUser("alice", 101.0, 1000.0))
        for client in (old, new):
            client.read()
        self.assertEqual([old.close, new.close], [(1008, "Signed out"), None])

    def test_a_user_who_signed_out_everywhere_is_remembered_as_long_as_it_is_asked_for(self) -> None:
        old = self.user("alice", "s1", 0)
        message = self.sessions.end_all(old)
        self.sessions.keep_ended(message, 3 * LONGEST_TOKEN)
        self.service.clock.advance(3 * LONGEST_TOKEN - 1)
        self.assertTrue(self.revocations.refuses(old))
        self.service.clock.advance(2)
        self.assertFalse(self.revocations.refuses(old))
        message = self.sessions.end_all(replace(old, expires_at=self.service.clock.seconds() + 2 * LONGEST_TOKEN))
        self.assertEqual(message.until, self.service.clock.seconds() + 2 * LONGEST_TOKEN)
        self.sessions.keep_ended(message, 10)
        self.assertEqual(self.sessions.ended_users(), [message])

    def test_nobody_comes_back_to_a_connection_of_who_signed_out_everywhere(self) -> None:
        for pid, user in (("a", "alice"), ("b", "alice"), ("c", "bob")):
            self.history.save(Saved(pid, pid, "/", user, f"session-{pid}", frozenset(), {}, position=0))
        message = self.sessions.end_all(ALICE)
        self.assertEqual([self.history.take(pid) is not None for pid in "abc"], [False, False, True])
        self.assertEqual(self.history.away, set())
        self.history.save(Saved("d", "d", "/", "alice", "session-d", frozenset(), {}, position=0))
        self.sessions.ended_user(message)  # told again: this one is of a new login
        self.assertIsNotNone(self.history.take("d"))

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
