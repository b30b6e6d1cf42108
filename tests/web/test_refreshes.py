"""Calls shared by those who ask for the same."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.errors import RateLimited, SessionExpired
from wsservice.web.refreshes import SharedCalls


class SharedCallsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls: list[Deferred[str]] = []
        self.forgotten: list[None] = []
        self.shared: SharedCalls[str] = SharedCalls(
            self.clock, keep=10.0, capacity=3, forgot=lambda: self.forgotten.append(None)
        )

    def ask(self, secret: str = "a") -> Deferred[str]:
        return self.shared.share(secret, self.call)

    def call(self) -> Deferred[str]:
        self.calls.append(Deferred())
        return self.calls[-1]

    def test_those_who_come_at_once_share_one_call(self) -> None:
        first, second = self.ask(), self.ask()
        self.assertNoResult(first)
        self.calls[0].callback("result")
        self.assertEqual([self.successResultOf(one) for one in (first, second)], ["result", "result"])
        self.assertEqual(len(self.calls), 1)

    def test_who_comes_a_little_late_gets_the_same_result(self) -> None:
        self.ask()
        self.calls[0].callback("result")
        self.clock.advance(9)
        self.assertEqual(self.successResultOf(self.ask()), "result")
        self.clock.advance(1)
        self.assertNoResult(self.ask())
        self.assertEqual(len(self.calls), 2)

    def test_other_secrets_have_their_own_call(self) -> None:
        self.ask("a")
        self.ask("b")
        self.assertEqual(len(self.calls), 2)

    def test_a_failure_is_shared_but_not_kept(self) -> None:
        first, second = self.ask(), self.ask()
        self.calls[0].errback(SessionExpired("x"))
        for one in (first, second):
            self.failureResultOf(one, SessionExpired)
        self.assertNoResult(self.ask())
        self.assertEqual(len(self.calls), 2)

    def test_a_call_that_cannot_start_is_not_remembered(self) -> None:
        def refuse() -> Deferred[str]:
            raise RateLimited

        with self.assertRaises(RateLimited):
            self.shared.share("a", refuse)
        self.assertNoResult(self.ask())

    def test_a_call_that_has_its_result_at_once(self) -> None:
        def call() -> Deferred[str]:
            self.call().callback("now")
            return self.calls[-1]

        self.assertEqual(self.successResultOf(self.shared.share("a", call)), "now")

    def test_giving_up_takes_nothing_from_the_others(self) -> None:
        first, second = self.ask(), self.ask()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.calls[0].callback("result")
        self.assertEqual(self.successResultOf(second), "result")

    def test_calls_under_way_are_bounded(self) -> None:
        for secret in "abc":
            self.ask(secret)
        with self.assertRaises(RateLimited):
            self.ask("d")
        self.assertNoResult(self.ask("a"))

    def test_results_are_bounded_and_the_oldest_goes(self) -> None:
        for number in range(4):
            self.ask(str(number))
            self.calls[-1].callback("result")
        self.successResultOf(self.ask("1"))
        self.assertEqual(len(self.forgotten), 1)
        self.assertNoResult(self.ask("0"))

    def test_any_text_is_a_secret(self) -> None:
        self.assertNoResult(self.ask("\ud800"))

    def test_the_secret_is_not_kept(self) -> None:
        self.ask("SECRET")
        self.calls[0].callback("result")
        self.assertNotIn("SECRET", repr(vars(self.shared)))
