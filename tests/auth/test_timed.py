"""Tests of wsservice.auth.timed."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.fetch import BoundedFetcher, FetchError, Response
from wsservice.auth.timed import TimedFetcher
from wsservice.counters import Counters

URL = "https://id.example/"
LOGIN = {"X-Amz-Target": "AWSCognitoIdentityProviderService.InitiateAuth"}


class FakeFetcher:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.request: Deferred[Any] = Deferred()

    def get(self, url: str) -> Deferred[bytes]:
        return self.request

    def post(self, url: str, body: bytes, headers: Any) -> Deferred[Response]:
        return self.request


class TimedFetcherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.counters, self.fetcher = Clock(), Counters(), FakeFetcher()
        self.timed = TimedFetcher(cast(BoundedFetcher, self.fetcher), self.counters, self.clock.seconds)

    def observed(self) -> list[tuple[tuple[str, ...], float]]:
        return [(labels, one.total) for _, labels, one in self.counters.histograms()]

    def test_keys_are_timed_and_arrive(self) -> None:
        got = self.timed.get(URL)
        self.clock.advance(2)
        self.fetcher.request.callback(b"keys")
        self.assertEqual(self.successResultOf(got), b"keys")
        self.assertEqual(self.observed(), [(("keys", "ok"), 2.0)])

    def test_an_operation_is_timed_by_its_name_and_the_class_of_its_status(self) -> None:
        for status, word in ((200, "ok"), (400, "4xx"), (503, "5xx")):
            self.setUp()
            got = self.timed.post(URL, b"", LOGIN)
            self.fetcher.request.callback(Response(status, {}, b""))
            self.assertEqual(self.successResultOf(got).status, status)
            self.assertEqual(self.observed(), [(("InitiateAuth", word), 0.0)])

    def test_a_failure_is_timed_by_its_word_and_stays_a_failure(self) -> None:
        for error, word in ((FetchError("timeout", "x"), "timeout"), (RuntimeError(), "error")):
            self.setUp()
            got = self.timed.post(URL, b"", {})
            self.fetcher.request.errback(error)
            self.assertIs(self.failureResultOf(got).value, error)
            self.assertEqual(self.observed(), [(("post", word), 0.0)])

    def test_a_request_that_is_cancelled_is_cancelled_below_too(self) -> None:
        got = self.timed.get(URL)
        got.cancel()
        self.failureResultOf(got).trap(CancelledError)
        self.assertEqual(self.observed(), [(("keys", "cancelled"), 0.0)])
