"""Tests of wsservice.auth.jwks, on a `Clock`, with a provider played by hand."""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.fetch import FetchError
from wsservice.auth.jwks import RemoteKeySet
from wsservice.auth.keys import VerifyKey
from wsservice.counters import Counters
from wsservice.errors import InvalidToken, KeysUnavailable
from wsservice.testing import jwk, jwks_document, private_key

URL = "https://provider.example/jwks.json"


def document(*kids: str) -> bytes:
    """A key set with a key of each id."""
    return jwks_document(jwk(kid, private_key().public_key()) for kid in kids)


class Provider:
    """Counts what is fetched; each fetch waits for `answer` or `fails`."""

    def __init__(self) -> None:
        self.fetches = 0
        self.cancelled = 0
        self.urls: set[str] = set()
        self.pending: list[Deferred[bytes]] = []

    def fetch(self, url: str) -> Deferred[bytes]:
        self.fetches += 1
        self.urls.add(url)
        self.pending.append(Deferred(self._cancel))
        return self.pending[-1]

    def _cancel(self, _: Any) -> None:
        self.cancelled += 1
        self.pending.pop(0)

    def answer(self, *kids: str) -> None:
        self.pending.pop(0).callback(document(*kids))

    def answer_with(self, body: bytes) -> None:
        self.pending.pop(0).callback(body)

    def fails(self, word: Any = "refused") -> None:
        self.pending.pop(0).errback(FetchError(word, "as the test says"))


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.provider = Provider()
        self.counters = Counters()
        self.part = 1.0
        self.keys = self.make()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def make(self, **settings: Any) -> RemoteKeySet:
        arguments: dict[str, Any] = {"ttl": 86400.0, "random": lambda: self.part} | settings
        return RemoteKeySet(self.provider.fetch, URL, clock=self.clock, counters=self.counters, **arguments)

    def logged(self, level: LogLevel) -> list[Any]:
        return [event for event in self.events if event.get("log_level") is level]

    def assert_has(self, kid: str) -> None:
        self.assertEqual(self.successResultOf(self.keys.get(kid)).kid, kid)

    def assert_invalid(self, kid: str) -> None:
        self.failureResultOf(self.keys.get(kid), InvalidToken)

    def assert_unavailable(self, kid: str) -> None:
        self.failureResultOf(self.keys.get(kid), KeysUnavailable)

    def loaded(self, *kids: str) -> None:
        """Start, and let the first fetch succeed."""
        self.keys.start()
        self.provider.answer(*kids)

    def advance_to_refresh(self) -> None:
        """Let the time pass until the next request is under way."""
        (timer,) = self.clock.getDelayedCalls()
        self.clock.advance(timer.getTime() - self.clock.seconds())


class StartTests(Case):
    def test_nothing_is_fetched_before_the_start(self) -> None:
        self.assert_unavailable("a")
        self.assertEqual(self.provider.fetches, 0)

    def test_the_start_fetches_the_url_and_does_not_wait(self) -> None:
        self.keys.start()
        self.assertEqual((self.provider.fetches, self.provider.urls), (1, {URL}))
        self.assertFalse(self.keys.readiness().ready)

    def test_a_loaded_key_is_there_at_once(self) -> None:
        self.loaded("a", "b")
        self.assert_has("a")
        self.assert_has("b")
        self.assertIsInstance(self.successResultOf(self.keys.get("a")), VerifyKey)
        self.assertEqual(self.provider.fetches, 1)
        self.assertEqual(self.counters.get("jwks_fetch", "ok"), 1)

    def test_a_handshake_that_comes_before_the_keys_waits_for_them(self) -> None:
        self.keys.start()
        waiting = self.keys.get("a")
        self.clock.advance(2.9)
        self.assertNoResult(waiting)
        self.provider.answer("a")
        self.assertEqual(self.successResultOf(waiting).kid, "a")
        self.assertEqual(self.provider.fetches, 1)

    def test_it_waits_three_seconds_at_most(self) -> None:
        self.keys.start()
        waiting = self.keys.get("a")
        self.clock.advance(3)
        self.failureResultOf(waiting, KeysUnavailable)
        self.assertEqual(self.counters.get("jwks_timeouts"), 1)
        self.provider.answer("a")  # too late for the first, in time for the next
        self.assert_has("a")

    def test_a_failure_at_the_start_fails_who_waits_and_not_the_service(self) -> None:
        self.keys.start()
        waiting = self.keys.get("a")
        self.provider.fails()
        self.failureResultOf(waiting, KeysUnavailable)
        self.assertEqual(self.counters.get("jwks_fetch", "refused"), 1)
        (event,) = self.logged(LogLevel.warn)
        self.assertIn("as the test says", event["reason"])

    def test_a_fetch_that_raises_is_a_failure_like_another(self) -> None:
        def fetch(url: str) -> Deferred[bytes]:
            raise RuntimeError("a bug")

        keys = RemoteKeySet(fetch, URL, clock=self.clock, counters=self.counters)
        keys.start()
        self.failureResultOf(keys.get("a"), KeysUnavailable)
        self.assertEqual(self.counters.get("jwks_fetch", "error"), 2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertIn("error", keys.readiness().detail)

    def test_a_fetch_that_ends_at_once_serves_who_asked_for_it(self) -> None:
        bodies = [document("a"), document("a", "b")]
        keys = RemoteKeySet(lambda _: succeed(bodies.pop(0)), URL, clock=self.clock, counters=self.counters)
        keys.start()
        self.assertEqual(self.successResultOf(keys.get("b")).kid, "b")
        self.successResultOf(keys.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RetryTests(Case):
    def delays(self, number: int) -> list[float]:
        delays = []
        self.keys.start()
        for _ in range(number):
            self.provider.fails()
            (timer,) = self.clock.getDelayedCalls()
            delays.append(timer.getTime() - self.clock.seconds())
            self.advance_to_refresh()
        return delays

    def test_retries_double_from_half_a_second_to_thirty(self) -> None:
        self.assertEqual(self.delays(9), [0.5, 1, 2, 4, 8, 16, 30, 30, 30])

    def test_the_whole_delay_is_random(self) -> None:
        self.part = 0.25
        self.assertEqual(self.delays(3), [0.125, 0.25, 0.5])

    def test_an_outage_of_hours_is_outlived(self) -> None:
        self.delays(3000)
        self.provider.answer("a")
        self.assert_has("a")

    def test_a_success_resets_the_delays(self) -> None:
        self.delays(5)
        self.provider.answer("a")
        self.advance_to_refresh()
        self.provider.fails()
        (timer,) = self.clock.getDelayedCalls()
        self.assertAlmostEqual(timer.getTime() - self.clock.seconds(), 0.5)

    def test_an_answer_without_a_usable_key_is_a_failure(self) -> None:
        bodies = (b"", b"<html>", b"[]", b"{}", b'{"keys": 1}', b'{"keys": []}', b'{"keys": [{"kty": "oct"}]}', b"\xff")
        self.keys.start()
        for number, body in enumerate(bodies):
            self.provider.answer_with(body)
            self.assertEqual(self.counters.get("jwks_fetch", "invalid"), number + 1, body)
            self.advance_to_refresh()

    def test_who_comes_between_two_tries_joins_the_next_if_it_is_due_in_time(self) -> None:
        self.keys.start()
        self.provider.fails()
        self.keys.get("a").addErrback(lambda _: None)  # the one request of ten seconds
        self.provider.fails()
        waiting = self.keys.get("a")
        self.assertNoResult(waiting)
        self.assertEqual(self.provider.fetches, 2)
        self.clock.advance(1)
        self.provider.answer("a")
        self.assertEqual(self.successResultOf(waiting).kid, "a")

    def test_who_comes_between_two_tries_is_told_at_once_if_the_next_is_not_due_in_time(self) -> None:
        self.delays(6)
        self.clock.advance(10)
        self.provider.fails()  # the next try is 30 s away
        self.keys.get("a").addErrback(lambda _: None)
        self.provider.fails()
        for _ in range(1000):
            self.assert_unavailable("a")
        self.assertEqual(self.provider.fetches, 8)

    def test_a_handshake_during_a_long_pause_brings_the_next_try_forward_once_in_ten_seconds(self) -> None:
        self.delays(7)
        self.provider.fails()
        fetches = self.provider.fetches
        waiting = self.keys.get("a")
        self.assertEqual(self.provider.fetches, fetches + 1)
        self.provider.answer("a")
        self.assertEqual(self.successResultOf(waiting).kid, "a")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_readiness_says_why_there_is_no_key(self) -> None:
        self.assertIn("not fetched yet", self.keys.readiness().detail)
        self.keys.start()
        self.provider.fails("timeout")
        readiness = self.keys.readiness()
        self.assertFalse(readiness.ready)
        self.assertIn("timeout", readiness.detail)


class RefreshTests(Case):
    def test_the_set_is_refreshed_ahead_of_its_end_with_jitter(self) -> None:
        due = []
        for self.part in (0.0, 1.0):
            self.keys = self.make(ttl=1000.0)
            self.loaded("a")
            (timer,) = self.clock.getDelayedCalls()
            due.append(timer.getTime() - self.clock.seconds())
            self.keys.stop()
        self.assertEqual(due, [750, 900])

    def test_a_tiny_ttl_does_not_make_a_flood(self) -> None:
        self.keys = self.make(ttl=0.001)
        self.loaded("a")
        (timer,) = self.clock.getDelayedCalls()
        self.assertEqual(timer.getTime() - self.clock.seconds(), 10)

    def test_a_known_key_does_not_wait_for_a_refresh(self) -> None:
        self.loaded("a")
        self.advance_to_refresh()
        self.assertEqual(self.provider.fetches, 2)
        self.assert_has("a")

    def test_a_rotated_key_is_there_after_the_refresh_and_the_old_one_is_not(self) -> None:
        self.loaded("old", "stays")
        self.advance_to_refresh()
        self.provider.answer("stays", "new")
        self.assert_has("stays")
        self.assert_has("new")
        refused = self.keys.get("old")
        self.provider.answer("stays", "new")
        self.failureResultOf(refused, InvalidToken)

    def test_the_keys_serve_on_while_the_provider_is_down(self) -> None:
        self.loaded("a")
        self.advance_to_refresh()
        for _ in range(20):
            self.provider.fails("timeout")
            self.assert_has("a")
            self.assertTrue(self.keys.readiness().ready)
            self.advance_to_refresh()
        self.assertEqual(len(self.logged(LogLevel.warn)), 20)

    def test_a_broken_answer_does_not_cost_the_good_keys(self) -> None:
        self.loaded("a")
        for body in (b"<html>", b'{"keys": []}'):
            self.advance_to_refresh()
            self.provider.answer_with(body)
            self.assert_has("a")

    def test_readiness_says_number_and_age_and_staleness(self) -> None:
        self.keys = self.make(ttl=100.0)
        self.loaded("a", "b")
        self.clock.advance(41)
        readiness = self.keys.readiness()
        self.assertTrue(readiness.ready)
        self.assertEqual(readiness.detail, "2 keys, 41 s old")
        self.advance_to_refresh()
        self.clock.advance(20)
        self.provider.fails("lost")
        self.assertEqual(self.keys.readiness().detail, "2 keys, 110 s old, stale (lost)")

    def test_keys_that_nobody_confirmed_for_too_long_are_dropped(self) -> None:
        self.keys = self.make(ttl=100.0, max_stale=50.0)
        self.loaded("a")
        self.advance_to_refresh()
        self.clock.advance(60)
        self.provider.fails()
        self.assert_has("a")
        self.advance_to_refresh()
        self.provider.fails()
        self.assertEqual(len(self.logged(LogLevel.error)), 1)
        self.assertFalse(self.keys.readiness().ready)
        waiting = self.keys.get("a")
        self.provider.fails()
        self.failureResultOf(waiting, KeysUnavailable)
        self.advance_to_refresh()
        self.provider.answer("a")
        self.assert_has("a")

    def test_the_log_tells_new_sets_and_not_every_refresh(self) -> None:
        self.loaded("a")
        for kids in (("a",), ("b\x1b[31m",)):
            self.advance_to_refresh()
            self.provider.answer(*kids)
        infos = self.logged(LogLevel.info)
        self.assertEqual([event["kids"] for event in infos], [["'a'"], ["'b\\x1b[31m'"]])


class UnknownKeyTests(Case):
    def setUp(self) -> None:
        super().setUp()
        self.loaded("a")

    def test_an_unknown_key_is_fetched(self) -> None:
        waiting = self.keys.get("b")
        self.assertNoResult(waiting)
        self.assertEqual(self.provider.fetches, 2)
        self.provider.answer("a", "b")
        self.assertEqual(self.successResultOf(waiting).kid, "b")

    def test_a_key_that_the_provider_does_not_know_is_invalid(self) -> None:
        waiting = self.keys.get("b")
        self.provider.answer("a")
        self.failureResultOf(waiting, InvalidToken)

    def test_a_thousand_tokens_with_forged_kids_make_one_fetch(self) -> None:
        waiting = [self.keys.get(f"forged-{number}") for number in range(1000)]
        self.assertEqual(self.provider.fetches, 2)
        self.assert_has("a")
        self.provider.answer("a")
        for result in waiting:
            self.failureResultOf(result, InvalidToken)
        for number in range(1000):
            self.assert_invalid(f"more-{number}")
        self.assertEqual(self.provider.fetches, 2)
        self.assertEqual(self.counters.get("jwks_unknown_kid"), 2000)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_forged_kids_make_at_most_one_fetch_in_ten_seconds_whether_it_succeeds_or_fails(self) -> None:
        self.part = 20 / 30  # failures are retried in the background, too; keep them apart from what is counted
        for outcome in (lambda: self.provider.answer("a"), self.provider.fails):
            before = self.provider.fetches
            self.keys.get("forged").addErrback(lambda _: None)
            outcome()
            for _ in range(9):
                self.clock.advance(0.01)
                for number in range(100):
                    self.assert_invalid(f"forged-{number}")
            self.assertEqual(self.provider.fetches, before + 1)
            self.clock.advance(10 - 9 * 0.01)
            while self.provider.pending:
                self.provider.answer("a")

    def test_after_ten_seconds_the_next_unknown_kid_fetches_again(self) -> None:
        self.keys.get("b").addErrback(lambda _: None)
        self.provider.answer("a")
        self.clock.advance(9.9)
        self.assert_invalid("b")
        self.clock.advance(0.1)
        waiting = self.keys.get("b")
        self.assertEqual(self.provider.fetches, 3)
        self.provider.answer("b")
        self.assertEqual(self.successResultOf(waiting).kid, "b")

    def test_a_clock_that_is_set_back_does_not_lock_new_keys_out(self) -> None:
        self.keys.get("b").addErrback(lambda _: None)
        self.provider.answer("a")
        self.clock.rightNow -= 3600
        waiting = self.keys.get("b")
        self.provider.answer("b")
        self.assertEqual(self.successResultOf(waiting).kid, "b")

    def test_it_joins_a_refresh_that_is_under_way(self) -> None:
        self.advance_to_refresh()
        waiting = self.keys.get("b")
        self.assertEqual(self.provider.fetches, 2)
        self.provider.answer("b")
        self.assertEqual(self.successResultOf(waiting).kid, "b")

    def test_it_replaces_the_scheduled_refresh(self) -> None:
        self.keys.get("b").addErrback(lambda _: None)
        self.provider.answer("a")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_a_fetch_that_fails_leaves_it_open_and_the_known_keys_in_force(self) -> None:
        waiting = self.keys.get("b")
        self.provider.fails("timeout")
        self.failureResultOf(waiting, KeysUnavailable)
        self.assert_has("a")

    def test_a_slow_fetch_costs_three_seconds_and_goes_on(self) -> None:
        waiting = self.keys.get("b")
        self.clock.advance(3)
        self.failureResultOf(waiting, KeysUnavailable)
        self.provider.answer("a", "b")
        self.assert_has("b")

    def test_a_client_that_goes_away_is_forgotten(self) -> None:
        first, second = self.keys.get("b"), self.keys.get("b")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.provider.answer("a", "b")
        self.assertEqual(self.successResultOf(second).kid, "b")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_a_callback_may_cancel_another_waiter(self) -> None:
        first, second = self.keys.get("b"), self.keys.get("b")
        first.addCallback(lambda _: second.cancel())
        self.provider.answer("b")
        self.successResultOf(first)
        self.failureResultOf(second, CancelledError)

    def test_a_callback_may_ask_again(self) -> None:
        again: list[Deferred[VerifyKey]] = []
        self.keys.get("c").addErrback(lambda _: again.append(self.keys.get("d")))
        self.provider.answer("a")
        self.failureResultOf(again[0], InvalidToken)


class StopTests(Case):
    def test_stopping_leaves_no_timer(self) -> None:
        self.loaded("a")
        self.successResultOf(self.keys.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_cancels_the_fetch_and_fails_who_waits(self) -> None:
        self.keys.start()
        waiting = self.keys.get("a")
        self.successResultOf(self.keys.stop())
        self.assertEqual(self.provider.cancelled, 1)
        self.failureResultOf(waiting, KeysUnavailable)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.logged(LogLevel.warn), [])

    def test_stopping_waits_until_the_fetch_has_ended(self) -> None:
        closing: Deferred[None] = Deferred()

        def fetch(_: str) -> Deferred[bytes]:
            async def slow_to_end() -> bytes:
                try:
                    return await Deferred[bytes]()
                except CancelledError:
                    await closing
                    raise

            return Deferred.fromCoroutine(slow_to_end())

        keys = RemoteKeySet(fetch, URL, clock=self.clock, counters=self.counters)
        keys.start()
        stopped = keys.stop()
        self.assertNoResult(stopped)
        closing.callback(None)
        self.successResultOf(stopped)

    def test_after_the_stop_known_keys_serve_and_nothing_is_fetched(self) -> None:
        self.loaded("a")
        self.keys.stop()
        self.assert_has("a")
        self.assert_unavailable("b")
        self.assertEqual(self.provider.fetches, 1)

    def test_an_answer_that_arrives_with_the_stop_schedules_nothing(self) -> None:
        answer: Deferred[bytes] = Deferred(lambda this: this.callback(document("a")))
        keys = RemoteKeySet(lambda _: answer, URL, clock=self.clock, counters=self.counters)
        keys.start()
        self.successResultOf(keys.stop())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopping_twice_and_before_the_start_is_harmless(self) -> None:
        self.successResultOf(self.keys.stop())
        self.loaded("a")
        self.successResultOf(self.keys.stop())
        self.successResultOf(self.keys.stop())


class BugTests(Case):
    def test_a_bug_in_the_key_set_is_logged_and_does_not_hang_the_stop(self) -> None:
        keys = self.make(random=lambda: 1 / 0)
        keys.start()
        self.provider.answer("a")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(keys.stop())


class RandomLifeTests(SynchronousTestCase):
    """Any mix of events, time and outages: the promises of the docstring hold at every step."""

    def test_at_most_one_request_and_one_in_ten_seconds_for_unknown_kids(self) -> None:
        for seed in range(60):
            self.live(random.Random(seed))

    def live(self, dice: random.Random) -> None:
        clock, provider, counters = Clock(), Provider(), Counters()
        keys = RemoteKeySet(
            provider.fetch, URL, clock=clock, counters=counters, ttl=200, max_stale=100, random=dice.random
        )
        keys.start()
        waiting: list[tuple[float, Deferred[VerifyKey]]] = []
        for _ in range(300):
            step = dice.random()
            before = provider.fetches
            if step < 0.3:
                clock.advance(dice.choice([0.01, 0.4, 1, 5, 20]))
            elif step < 0.7:
                deferred = keys.get(dice.choice(["a", "b", "forged"]))
                waiting.append((clock.seconds(), deferred))
                deferred.addErrback(lambda failure: failure.trap(InvalidToken, KeysUnavailable) and None)
                self.assertLessEqual(provider.fetches - before, 1)
            elif provider.pending and step < 0.85:
                provider.answer(*dice.sample(["a", "b", "c"], 2))
            elif provider.pending:
                provider.fails()
            self.assertLessEqual(len(provider.pending), 1)
            late = [since for since, deferred in waiting if not deferred.called and clock.seconds() - since >= 3]
            self.assertEqual(late, [])
            waiting = [(since, deferred) for since, deferred in waiting if not deferred.called]
            self.assertLessEqual(len(clock.getDelayedCalls()), 1 + len(waiting))
        self.successResultOf(keys.stop())
        self.assertEqual(clock.getDelayedCalls(), [])
        self.assertEqual([deferred for _, deferred in waiting if not deferred.called], [])


class FailingProviderTests(SynchronousTestCase):
    def test_a_fetch_that_fails_at_once_is_retried_later_and_not_in_a_loop(self) -> None:
        clock = Clock()
        keys = RemoteKeySet(lambda _: fail(FetchError("tls", "x")), URL, clock=clock, counters=Counters())
        keys.start()
        self.assertEqual(len(clock.getDelayedCalls()), 1)
