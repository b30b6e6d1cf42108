"""Tests of wsservice.recovery, beside those of each protocol (clients/test_recovery, transports/test_comeback)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.errors import RedisUnavailable
from wsservice.messages import Broadcast, Target
from wsservice.recovery import FOREIGN, LOST, UNKNOWN, Claim, Recoveries, Trail

#: is never known
NOBODYS = "A" * 20


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core(recovery=True)
        assert self.core.hub.history is not None
        self.history = self.core.hub.history
        recoveries = Recoveries.of(self.core.hub, max_queue=20_000, max_queue_messages=100)
        assert recoveries is not None
        self.recoveries = recoveries

    def add(self, *numbers: int, **target: Any) -> None:
        for number in numbers:
            self.history.add(Broadcast("n", (number,), Target(**target)))

    def open(self, claim: Claim | None = None, user: str = "alice", namespace: str = "/") -> tuple[Trail, Any]:
        """A trail, and the client whose it is."""
        client = self.core.connect(user)
        trail = self.recoveries.begin(claim, client.connection.user, namespace)
        trail.open(client.connection)
        return trail, client

    def numbers(self, trail: Trail) -> list[int]:
        return [entry.broadcast.args[0] for entry in trail.missed]


class TrailTests(Base):
    def test_it_is_fresh_for_who_claims_nothing(self) -> None:
        self.add(1)
        trail, client = self.open()
        self.assertEqual((trail.position, trail.start, trail.reason, trail.saved), (1, 1, None, None))
        self.assertEqual(trail.start_offset, self.history.offset(1))
        self.assertIs(self.history.live[trail.pid], client.connection)
        self.assertEqual(self.core.counters.get("recoveries", "ok"), 0)

    def test_it_goes_on_where_another_broke_off(self) -> None:
        first, client = self.open()
        self.add(1, 2, 3)
        first.end(is_broken=True)
        self.assertEqual(self.history.live, {})
        trail, _ = self.open(Claim(first.pid, self.history.offset(1)))
        self.assertEqual((trail.pid, trail.position, trail.start), (first.pid, 0, 1))
        self.assertEqual(self.numbers(trail), [2, 3])
        self.assertEqual(trail.saved and trail.saved.id, client.connection.id)

    def test_one_that_has_ended_is_not_saved_twice(self) -> None:
        first, _ = self.open()
        first.end(is_broken=True)
        second, client = self.open(Claim(first.pid))
        first.end(is_broken=False)
        first.end(is_broken=True)
        self.assertIs(self.history.live[second.pid], client.connection)
        self.assertIsNone(self.history.take(second.pid))

    def test_a_farewell_leaves_nothing(self) -> None:
        first, _ = self.open()
        first.end(is_broken=False)
        trail, _ = self.open(Claim(first.pid))
        self.assertEqual(trail.reason, UNKNOWN)

    def test_what_is_sent_before_it_enters_the_registry_was_missed_too(self) -> None:
        first, _ = self.open()
        self.add(1)
        first.end(is_broken=True)
        trail, _ = self.open(Claim(first.pid))
        self.add(2)
        self.add(-1, rooms=frozenset({"elsewhere"}))
        trail.enter()
        self.add(3)
        self.assertEqual(self.numbers(trail), [1, 2])

    def test_a_fresh_one_has_missed_nothing(self) -> None:
        trail, _ = self.open()
        self.add(1)
        trail.enter()
        self.assertEqual(trail.missed, ())
        self.assertEqual((trail.position, trail.start), (1, 1))  # where it entered, however long it had to wait


class PingTests(Base):
    def broken_after_pong(self) -> Trail:
        trail, _ = self.open()
        self.add(1, 2)
        trail.pinged(self.history.position)
        self.add(3)
        trail.ponged()
        trail.ponged()
        self.assertEqual((trail.position, trail.pinged_at), (2, None))
        trail.end(is_broken=True)
        return trail

    def test_what_was_sent_before_a_ping_that_was_answered_has_arrived(self) -> None:
        first = self.broken_after_pong()
        trail, _ = self.open(Claim(first.pid, self.history.offset(1)))
        self.assertEqual(self.numbers(trail), [3])

    def test_an_exact_offset_counts_more(self) -> None:
        first = self.broken_after_pong()
        trail, _ = self.open(Claim(first.pid, self.history.offset(1), is_exact=True))
        self.assertEqual((self.numbers(trail), trail.start), ([2, 3], 1))

    def test_unless_what_was_behind_it_is_no_longer_kept(self) -> None:
        first = self.broken_after_pong()
        self.history._drop_first()
        self.history._drop_first()
        trail, _ = self.open(Claim(first.pid, self.history.offset(1), is_exact=True))
        self.assertEqual((self.numbers(trail), trail.start), ([3], 2))

    def test_of_one_that_is_not_accepted_it_tells_nothing(self) -> None:
        deciding: Deferred[None] = Deferred()
        self.core.app.on_connect(lambda connection: deciding)
        trail, _ = self.open()
        self.add(1)
        trail.pinged(self.history.position)
        trail.ponged()
        self.assertEqual(trail.position, 0)


class ClaimTests(Base):
    def test_outcomes(self) -> None:
        first, _ = self.open(user="alice")
        live, _ = self.open(user="alice")
        first.end(is_broken=True)
        for claim, reason in (
            (Claim(NOBODYS), UNKNOWN),
            (Claim("no secret"), UNKNOWN),
            (Claim(first.pid), FOREIGN),
            (Claim(live.pid), FOREIGN),
        ):
            trail, _ = self.open(claim, user="mallory")
            self.assertEqual((trail.reason, trail.saved, trail.missed), (reason, None, ()))
        trail, _ = self.open(Claim(first.pid, "nonsense"))
        self.assertEqual(trail.reason, LOST)
        counts = [self.core.counters.get("recoveries", word) for word in (UNKNOWN, FOREIGN, LOST)]
        self.assertEqual(counts, [2, 2, 1])

    def test_another_namespace_is_foreign(self) -> None:
        first, _ = self.open()
        first.end(is_broken=True)
        trail, _ = self.open(Claim(first.pid), namespace="/other")
        self.assertEqual(trail.reason, FOREIGN)

    def test_the_id_is_in_no_repr(self) -> None:
        self.assertNotIn("secret", repr(Claim("secret", "1")))

    def test_where_recovery_is_off_there_are_none(self) -> None:
        self.assertIsNone(Recoveries.of(Core().hub, max_queue=1, max_queue_messages=1))


class SeekTests(Base):
    def seek(self, claim: Claim | None) -> Deferred[None] | None:
        user = self.core.connect("alice").connection.user
        return self.recoveries.seek(claim, user, "/")

    def test_nobody_is_asked_for_what_is_no_id(self) -> None:
        self.patch(self.history, "seek", lambda *arguments: self.fail())
        for claim in (None, Claim(""), Claim("x" * 65), Claim("a b" * 8), Claim("é" * 20)):
            self.assertIsNone(self.seek(claim))

    def test_a_failure_finds_nothing(self) -> None:
        self.patch(self.history, "seek", lambda *arguments: fail(RedisUnavailable("away")))
        seeking = self.seek(Claim(NOBODYS))
        assert seeking is not None
        self.assertIsNone(self.successResultOf(seeking))

    def test_who_gives_up_leaves_it_where_it_can_be_found(self) -> None:
        first, client = self.open()
        first.end(is_broken=True)
        given_back = []
        give_back = self.history.give_back
        self.patch(self.history, "give_back", lambda saved: (given_back.append(saved.pid), give_back(saved)))
        self.recoveries.give_up(Claim(NOBODYS), client.connection.user, "/")
        self.assertEqual(given_back, [])
        self.recoveries.give_up(Claim(first.pid), client.connection.user, "/")
        self.assertEqual(given_back, [first.pid])
        trail, _ = self.open(Claim(first.pid))
        self.assertIsNotNone(trail.saved)
