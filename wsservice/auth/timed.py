"""Requests to the identity provider, with how long each took and how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from wsservice.auth.fetch import BoundedFetcher, FetchError, Response
from wsservice.counters import Counters
from wsservice.metrics.names import PROVIDER

T = TypeVar("T")

#: a GET is for the keys; a POST names the operation, behind the API's name (`cognito_api`)
_KEYS = "keys"
_TARGET = "X-Amz-Target"


class TimedFetcher:
    """The same as a `BoundedFetcher`, which it asks.

    Args:
        counters: have the histogram `PROVIDER`: by `keys` or the operation, and by `ok`, the class of an answer's
            status (`4xx`), the word of a `FetchError`, or `cancelled`, `error`.
        seconds: monotonic.
    """

    def __init__(self, fetcher: BoundedFetcher, counters: Counters, seconds: Callable[[], float]) -> None:
        self._fetcher = fetcher
        self._counters = counters
        self._seconds = seconds

    def get(self, url: str) -> Deferred[bytes]:
        """As `BoundedFetcher.get`."""
        return self._timed(self._fetcher.get(url), _KEYS, lambda _: "ok")

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Deferred[Response]:
        """As `BoundedFetcher.post`."""
        operation = headers.get(_TARGET, "").rpartition(".")[2] or "post"
        return self._timed(self._fetcher.post(url, body, headers), operation, _class_of)

    def _timed(self, request: Deferred[T], name: str, word: Callable[[T], str]) -> Deferred[T]:
        started = self._seconds()

        def ended(result: T | Failure) -> T | Failure:
            how = _word_of(result) if isinstance(result, Failure) else word(result)
            self._counters.histogram(PROVIDER, name, how).observe(self._seconds() - started)
            return result

        return request.addBoth(ended)


def _class_of(response: Response) -> str:
    return "ok" if response.status == 200 else f"{response.status // 100}xx"


def _word_of(failure: Failure) -> str:
    if isinstance(failure.value, FetchError):
        return failure.value.word
    return "cancelled" if failure.check(CancelledError) else "error"
