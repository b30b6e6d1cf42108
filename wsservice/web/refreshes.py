"""One refresh at a time for each refresh token, and one result for all who ask with it.

A refresh token may be good for a single use. Two tabs that spend it at once would end the session, as the
second use looks like theft. So requests with the same token share one call to the provider, and its result is
kept a little longer, for a tab whose request was sent before the browser had the new cookie.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from wsservice.errors import RateLimited

T = TypeVar("T")

#: seconds that a result is kept; Cognito's own grace period for rotated tokens can be 0 to 60
KEEP = 10.0


class SharedCalls(Generic[T]):
    """Calls by a secret key, of which only a digest is kept.

    Args:
        keep: seconds that a good result answers later calls; failures are not kept.
        capacity: calls under way at most, and results kept at most.
        forgot: called for each result that made room before its time.
    """

    def __init__(
        self,
        clock: IReactorTime,
        *,
        keep: float = KEEP,
        capacity: int = 1000,
        forgot: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._keep = keep
        self._capacity = capacity
        self._forgot = forgot
        self._waiting: dict[bytes, list[Deferred[T]]] = {}
        #: digest -> the result and until when it counts; the oldest first
        self._kept: OrderedDict[bytes, tuple[T, float]] = OrderedDict()

    def share(self, secret: str, call: Callable[[], Deferred[T]]) -> Deferred[T]:
        """The result of `call`, or of the same secret's call that runs already or has just ended well.

        Cancelling the Deferred gives this result up; the call itself goes on.

        Raises:
            RateLimited: too many calls are under way.
            Exception: what `call` raises.
        """
        key = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        self._drop_old()
        if key in self._kept:
            return succeed(self._kept[key][0])
        mine: Deferred[T] = Deferred()
        if key in self._waiting:
            self._waiting[key].append(mine)
            return mine
        if len(self._waiting) >= self._capacity:
            raise RateLimited("too many refreshes under way", retry_after=1)
        started = call()
        self._waiting[key] = [mine]
        started.addCallbacks(self._succeeded, self._failed, callbackArgs=(key,), errbackArgs=(key,))
        return mine

    def _succeeded(self, result: T, key: bytes) -> None:
        self._kept[key] = (result, self._clock.seconds() + self._keep)
        if len(self._kept) > self._capacity:
            self._kept.popitem(last=False)
            self._forgot()
        for waiting in self._waiting.pop(key):
            waiting.callback(result)

    def _failed(self, failure: Failure, key: bytes) -> None:
        for waiting in self._waiting.pop(key):
            waiting.errback(failure)

    def _drop_old(self) -> None:
        now = self._clock.seconds()
        while self._kept and next(iter(self._kept.values()))[1] <= now:
            self._kept.popitem(last=False)
