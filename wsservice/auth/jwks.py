"""A provider's key set, fetched without blocking and kept fresh.

Theory of operation. At any time the set is in one of three states, and there is at most one request:

    fetching    a request is under way; it ends by itself (the fetcher bounds its time)
    scheduled   a timer runs to the next request: a refresh ahead of `ttl`, or a retry after a failure
    stopped     before `start` and after `stop`: no request, no timer

Whoever asks for a key that is in the set has it at once, however old the set is (up to `ttl + max_stale`)
and whatever the provider does. Whoever asks for another one waits for the request that is under way, or
starts one; the latter at most once in `cooldown` seconds for the whole process, however many tokens with
made-up key ids arrive, and whether the request succeeds or fails. Nobody waits longer than `wait`.

A success replaces the whole set: a key that left it is refused from then on. A failure (an answer without
a usable key is one) leaves the set as it is and is retried, for ever, after a random part of 0.5 s, 1 s,
2 s ... 30 s ("full jitter", so that many nodes do not come back together).
"""

from __future__ import annotations

import random as _random
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.auth.fetch import FetchError
from wsservice.auth.keys import KeySetError, VerifyKey, parse_key_set
from wsservice.auth.providers.base import KeySource, Readiness
from wsservice.counters import Counters
from wsservice.errors import AuthenticationError, InvalidToken, KeysUnavailable

log = Logger()

#: seconds; precedent for the retries: AWS's own SDKs (full jitter), for the cooldown: aws-jwt-verify's penalty box
FIRST_RETRY = 0.5
LAST_RETRY = 30.0
#: a refresh is due at this part of `ttl`, at the earliest and at the latest
REFRESH_FROM, REFRESH_TO = 0.75, 0.9


class RemoteKeySet(KeySource):
    """The keys of a JWKS URL. Call `start` once, and `stop` in the end.

    Args:
        fetch: brings the body of a URL; fails, soon enough, with `FetchError`; see `BoundedFetcher.get`.
        url: of the JWKS document.
        clock: for the timers and the age of the set.
        ttl: seconds that a set counts as fresh (`JWKS_CACHE_TTL`); it is refreshed before that.
        wait: seconds that `get` takes at most; below Autobahn's 5 s for a whole handshake.
        cooldown: seconds between requests that unknown key ids cause.
        max_stale: seconds past `ttl` that the set still serves while no request succeeds. It bounds how long
            someone who keeps us from the provider can keep a withdrawn key alive.
        random: a float in [0, 1).
        counters: gets `jwks_fetch` (by result), `jwks_unknown_kid` and `jwks_cooldown`.
    """

    def __init__(
        self,
        fetch: Callable[[str], Deferred[bytes]],
        url: str,
        *,
        clock: IReactorTime,
        counters: Counters,
        ttl: float = 86400.0,
        wait: float = 3.0,
        cooldown: float = 10.0,
        max_stale: float = 86400.0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._fetch = fetch
        self._url = url
        self._clock = clock
        self._counters = counters
        self._ttl = ttl
        self._wait = wait
        self._cooldown = cooldown
        self._max_stale = max_stale
        self._random = random
        self._keys: dict[str, VerifyKey] = {}
        self._loaded_at = 0.0
        self._failures = 0
        self._last_error = ""
        self._demanded_at: float | None = None
        self._stopped = True
        self._timer: IDelayedCall | None = None
        self._request: Deferred[Any] | None = None
        self._waiting: dict[Deferred[VerifyKey], str] = {}

    def start(self) -> None:
        """Fetch the keys in the background, now and from now on."""
        self._stopped = False
        self._begin()

    def stop(self) -> Deferred[None]:
        """End it; whoever waits gets `KeysUnavailable`. Fires when the request under way, if any, is gone."""
        self._stopped = True
        self._cancel_timer()
        stopped: Deferred[None] = Deferred()
        request: Deferred[Any] = self._request or succeed(None)
        request.addCallback(lambda _: stopped.callback(None))
        request.cancel()
        self._answer_waiting(KeysUnavailable("the service stops"))
        return stopped

    def get(self, kid: str) -> Deferred[VerifyKey]:
        """Fire with a key: at once if it is in the set, else within `wait` seconds.

        Fails with `InvalidToken` if the provider's set has no such key, or if it was asked for another unknown
        key less than `cooldown` ago; with `KeysUnavailable` if the set cannot be had.
        """
        key = self.known(kid)
        if key is not None:
            return succeed(key)
        self._counters.add("jwks_unknown_kid")
        if self._stopped:
            return fail(KeysUnavailable("no key is fetched before the start or after the stop"))
        if self._request is not None:
            return self._join(kid)
        if self._cooling_down():
            return self._while_cooling_down(kid)
        joined = self._join(kid)  # before the request, which may end at once
        self._demanded_at = self._clock.seconds()
        self._begin()
        return joined

    def known(self, kid: str) -> VerifyKey | None:
        """A key that is in the set."""
        return self._keys.get(kid)

    def readiness(self) -> Readiness:
        """Ready with at least one key; says their number and age, and why there is none."""
        if not self._keys:
            return Readiness(False, f"no keys ({self._last_error or 'not fetched yet'})")
        age = self._clock.seconds() - self._loaded_at
        stale = f", stale ({self._last_error})" if age > self._ttl else ""
        return Readiness(True, f"{len(self._keys)} keys, {age:.0f} s old{stale}")

    # -- waiting

    def _while_cooling_down(self, kid: str) -> Deferred[VerifyKey]:
        """What an unknown key id gets while none may start a request: only for want of any key it may wait."""
        self._counters.add("jwks_cooldown")
        if self._keys:
            return fail(InvalidToken("unknown key id; the keys were asked for moments ago"))
        if self._timer is not None and self._timer.getTime() - self._clock.seconds() < self._wait:
            return self._join(kid)
        return fail(KeysUnavailable(f"no keys ({self._last_error}); the next try is not due yet"))

    def _join(self, kid: str) -> Deferred[VerifyKey]:
        """Wait for the end of the request that is under way, or due."""
        deferred: Deferred[VerifyKey] = Deferred(self._forget)
        self._waiting[deferred] = kid
        return deferred.addTimeout(self._wait, self._clock, onTimeoutCancel=self._waited_too_long)

    def _waited_too_long(self, _result: object, timeout: float) -> Any:
        self._counters.add("jwks_timeouts")
        raise KeysUnavailable(f"the keys did not come within {timeout:g} s")

    def _forget(self, waiting: Deferred[VerifyKey]) -> None:
        self._waiting.pop(waiting, None)

    def _answer_waiting(self, error: AuthenticationError | None = None) -> None:
        """Give everyone who waits the key, or `error`, or the news that there is no such key."""
        waiting, self._waiting = self._waiting, {}
        for deferred, kid in waiting.items():
            if deferred.called:  # cancelled by the callback of another one
                continue
            key = self._keys.get(kid)
            if key is not None:
                deferred.callback(key)
            else:
                deferred.errback(error or InvalidToken("unknown key id"))

    def _cooling_down(self) -> bool:
        if self._demanded_at is None:
            return False
        # from zero: a clock that was set back must not prolong it
        return 0 <= self._clock.seconds() - self._demanded_at < self._cooldown

    # -- fetching

    def _begin(self) -> None:
        """Start the one request, in place of the one that was scheduled."""
        self._cancel_timer()
        request: Deferred[Any] = maybeDeferred(self._fetch, self._url)
        self._request = request  # before its callbacks, which may run at once
        request.addCallback(parse_key_set).addCallbacks(self._loaded, self._failed)
        request.addErrback(lambda failure: log.failure("a bug in the key set", failure))

    def _loaded(self, keys: dict[str, VerifyKey]) -> None:
        self._request = None
        self._counters.add("jwks_fetch", "ok")
        if keys.keys() != self._keys.keys() or self._failures:
            log.info("signing keys loaded from {url}: {kids}", url=self._url, kids=[ascii(kid) for kid in keys])
        self._keys = keys
        self._loaded_at = self._clock.seconds()
        self._failures = 0
        self._last_error = ""
        part = REFRESH_FROM + (REFRESH_TO - REFRESH_FROM) * self._random()
        self._schedule(max(self._cooldown, self._ttl * part))
        self._answer_waiting()

    def _failed(self, failure: Failure) -> None:
        self._request = None
        if self._stopped:
            return
        self._failures += 1
        self._last_error = self._describe(failure)
        self._counters.add("jwks_fetch", self._last_error)
        self._drop_if_too_old()
        # the exponent is bounded, too: an outage of hours must not overflow a float
        limit = min(LAST_RETRY, FIRST_RETRY * 2 ** min(self._failures - 1, 16))
        delay = limit * self._random()
        self._schedule(delay)
        log.warn(
            "no signing keys from {url}: {reason} (failure {failures}, {held} keys held, next try in {delay} s)",
            url=self._url,
            reason=ascii(failure.getErrorMessage()[:200]),
            failures=self._failures,
            held=len(self._keys),
            delay=round(delay, 1),
        )
        self._answer_waiting(KeysUnavailable(f"the keys could not be fetched: {self._last_error}"))

    def _describe(self, failure: Failure) -> str:
        """A fixed word for a failure; an unforeseen one goes to the log whole."""
        if isinstance(failure.value, FetchError):
            return failure.value.word
        if isinstance(failure.value, KeySetError):
            return "invalid"
        log.failure("unforeseen failure while fetching {url}", failure, url=self._url)
        return "error"

    def _drop_if_too_old(self) -> None:
        age = self._clock.seconds() - self._loaded_at
        if self._keys and age > self._ttl + self._max_stale:
            self._keys = {}
            log.error("the signing keys are {age} s old and no longer trusted", age=round(age))

    def _schedule(self, delay: float) -> None:
        if not self._stopped:
            self._timer = self._clock.callLater(delay, self._begin)

    def _cancel_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
