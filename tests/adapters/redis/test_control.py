"""What nodes tell each other beside events."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, Process
from wsservice.adapters.redis.control import Control
from wsservice.errors import RedisUnavailable
from wsservice.messages import EndSession, EndUser, Renew


class ControlTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process()
        self.link = self.process.link
        self.taken: list[str] = []
        self.control = self.make("me")
        self.alice = self.process.connect("alice")

    def make(self, node: str) -> Control:
        return Control(
            self.link,
            KEYS,
            node,
            self.process.local,
            taken=self.taken.append,
            refusals=self.process.refusals,
            now=self.process.core.clock.seconds,
        )

    def receive(self, **members: Any) -> None:
        self.link.receive(KEYS.control, json.dumps({"node": "other", **members}).encode())

    def sent(self) -> list[Any]:
        published, self.link.published = self.link.published, []
        self.assertLessEqual({channel for channel, _ in published}, {KEYS.control})
        return [json.loads(payload) for _, payload in published]

    def test_what_is_sent_is_understood_by_another_node_and_not_by_this_one(self) -> None:
        bob, carol = self.process.connect("bob"), self.process.connect("carol")
        self.control.renew(Renew("session-alice", "alice", 9000.0))
        self.control.end_session(EndSession("session-bob", 5000.0))
        self.control.end_user(EndUser("carol", 90.0, 5000.0))
        self.control.take("pid")
        payloads = [payload for _, payload in self.link.published]
        for payload in payloads:
            self.link.receive(KEYS.control, payload)
        self.assertEqual((self.alice.connection.expires_at, self.taken), (3600.0, []))
        self.assertEqual((bob.link.closes, carol.link.closes), ([], []))
        self.make("another")
        for payload in payloads:
            self.link.receive(KEYS.control, payload)
        self.assertEqual(self.alice.connection.expires_at, 9000.0)
        self.assertEqual([one.link.closes for one in (bob, carol)], [[(1008, "Signed out")]] * 2)
        self.assertEqual(self.taken, ["pid"])

    def test_who_has_signed_out_stands_in_redis_too(self) -> None:
        self.control.end_session(EndSession("s", 5000.0))
        self.control.end_user(EndUser("two words", 91.0, 5000.0))
        self.assertEqual(
            self.link.queued,
            [(b"ZADD", KEYS.ended, "5000.0", "s"), (b"ZADD", KEYS.ended_users, "5000.0", "91 two words")],
        )

    def test_one_too_many_is_closed_here_and_the_others_are_told(self) -> None:
        self.control.replace(self.alice.connection.id)
        self.assertEqual(self.alice.link.closes, [(4409, "Replaced by a newer connection")])
        self.assertEqual(self.sent(), [{"type": "replaced", "node": "me", "connection": self.alice.connection.id}])
        bob = self.process.connect("bob")
        self.receive(type="replaced", connection=bob.connection.id)
        self.receive(type="replaced", connection="nobody")
        self.assertEqual(bob.link.closes, [(4409, "Replaced by a newer connection")])

    def test_what_was_signed_out_while_redis_was_away_is_shared_when_it_is_back(self) -> None:
        for session, until in (("here", 5000.0), ("known", 6000.0), ("over", 50.0)):
            self.process.local.end_session(EndSession(session, until))
        for user, until in (("ann", 5000.0), ("ben", 6000.0), ("over", 50.0)):
            self.process.local.end_user(EndUser(user, 90.0, until))
        self.process.core.clock.advance(100)
        self.link.come_up()
        self.link.answer([b"known", b"6000"])
        self.link.answer([b"90 ben", b"6000"])
        self.assertEqual(self.sent(), [])  # not before it stands in Redis
        self.assertEqual(self.link.answer(1), (b"ZADD", KEYS.ended, "5000.0", "here"))
        self.assertEqual(self.sent(), [])
        self.assertEqual(self.link.answer(1), (b"ZADD", KEYS.ended_users, "5000.0", "90 ann"))
        self.assertEqual(self.sent(), [{"type": "more_ended", "node": "me"}])

    def test_others_read_what_was_ended_meanwhile(self) -> None:
        self.receive(type="more_ended")
        self.link.answer([b"session-alice", b"5000"])
        self.assertEqual(self.alice.link.closes, [(1008, "Signed out")])
        bob = self.process.connect("bob")
        self.link.answer([b"90 bob", b"5000", b"91 ", b"7000", b"x bob", b"8000", b"bob", b"9000"])
        self.assertEqual(bob.link.closes, [(1008, "Signed out")])
        self.assertEqual(self.process.revocations.users(), [("bob", 90.0, 5000.0)])
        self.assertEqual(self.link.published, [])

    def test_what_was_missed_is_read_when_redis_is_there(self) -> None:
        self.process.core.clock.advance(100)
        self.link.come_up()
        self.assertEqual(self.link.told, [(b"ZREMRANGEBYSCORE", KEYS.ended, b"-inf", "100.0")])
        words = self.link.answer([b"session-alice", b"5000", b"\xff", b"6000"])
        self.assertEqual(words, (b"ZRANGEBYSCORE", KEYS.ended, "100.0", b"+inf", b"WITHSCORES"))
        self.assertEqual(self.alice.link.closes, [(1008, "Signed out")])
        self.assertTrue(self.process.revocations.is_revoked("session-alice"))
        self.link.come_up()
        self.link.answer(RedisUnavailable("gone"))

    def test_what_is_no_message_is_refused(self) -> None:
        for payload in (
            b"",
            b"{}",
            b"\x80\x04K\x01.",
            b"[" * 10_000,
            b'{"type":"ended","node":"n"}',
            b'{"type":"ended","node":"n","session":5,"until":1}',
            b'{"type":"ended_user","node":"n","user":"alice","before":"1","until":1}',
            b'{"type":"stop","node":"n"}',
            b'{"type":"taken","node":"n","pid":"%s"}' % (b"x" * 20_000),
            b'{"type":"taken","node":"n","pid":"\xff"}',
        ):
            self.link.receive(KEYS.control, payload)
        self.assertEqual(self.process.refused(), {"malformed": 10})
        self.assertEqual(self.taken, [])
