"""What a Deferred or a coroutine gives, without a reactor."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure


def result_of(awaitable: Awaitable[Any], settle: Callable[[], None]) -> Any:
    """See `ServiceInMemory.result_of`; `settle` lets everything happen that can without time passing."""
    if not isinstance(awaitable, Deferred):
        assert iscoroutine(awaitable) or isawaitable(awaitable), "this is nothing that one can wait for"
        awaitable = Deferred.fromCoroutine(_wait(awaitable))
    results: list[Any] = []
    is_waiting = True

    def came(result: Any) -> Any:
        results.append(result)
        return None if is_waiting and isinstance(result, Failure) else result  # whoever asks again gets it, too

    awaitable.addBoth(came)
    settle()
    is_waiting = False
    if not results:
        raise AssertionError("the result has not come: let what it waits for happen, as by advance(seconds)")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]


async def _wait(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
