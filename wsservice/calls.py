"""Calls to clients that wait for their acknowledgements: one table a connection."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from wsservice.errors import CallRefused, CallTimeout, ConnectionClosed
from wsservice.messages import Ack


class Calls:
    """The pending calls of a connection; each ends by an answer, a cancellation, or `close`."""

    __slots__ = ("_pending",)

    def __init__(self) -> None:
        self._pending: dict[int, Deferred[Any]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def expect(self, call_id: int) -> Deferred[Any]:
        """What fires with the answer to that call.

        It fails with `CallRefused` if the client answers an error, and with `ConnectionClosed` by `close`.
        Bound it in time (`bound_call`), or cancel it: else it may stay for as long as the connection.
        """
        pending: Deferred[Any] = Deferred()
        self._pending[call_id] = pending

        def ended(result: Any) -> Any:
            self._pending.pop(call_id, None)
            return result

        return pending.addBoth(ended)

    def settle(self, ack: Ack) -> bool:
        """Take the client's answer; False if nobody waits for it (late, twice, or invented)."""
        pending = self._pending.pop(ack.id, None)
        if pending is None:
            return False
        if ack.error is not None:
            pending.errback(CallRefused(ack.error))
        else:
            pending.callback(ack.args if len(ack.args) > 1 else ack.args[0] if ack.args else None)
        return True

    def close(self) -> None:
        """The connection ended: whoever waits is told so."""
        pending, self._pending = self._pending, {}
        for call in pending.values():
            call.errback(ConnectionClosed("the connection ended before the client answered"))


def bound_call(pending: Deferred[Any], clock: IReactorTime, timeout: float) -> None:
    """Let a call fail with `CallTimeout` after so many seconds."""

    def timed_out(result: Any, seconds: float) -> Failure:
        return Failure(CallTimeout(f"no acknowledgement within {seconds:g} s"))

    pending.addTimeout(timeout, clock, timed_out)


def gather(
    answers: Iterable[Deferred[Any]],
    clock: IReactorTime,
    timeout: float,
    *,
    received: list[Any] | None = None,
    elsewhere: Iterable[Deferred[None]] = (),
) -> Deferred[list[Any]]:
    """The answers of many clients to one call, in the order in which they come.

    Of an answer of several arguments the first counts. Clients that answer an error, or leave, are left out. After
    `timeout` seconds it fails with `CallTimeout`, whose `answers` are those that came in time.

    Args:
        received: where answers from elsewhere are put, too.
        elsewhere: each fires when no more come from there, and fails when that is not known.
    """
    waiting: set[Deferred[Any]] = set()
    collected: list[Any] = [] if received is None else received
    missing: list[Failure] = []

    def give_up(_: Any) -> None:
        left = list(waiting)
        waiting.clear()
        for one in left:
            one.cancel()

    def ended(one: Deferred[Any]) -> None:
        if one not in waiting:
            return
        waiting.discard(one)
        if not waiting:
            finish()

    def finish() -> None:
        if missing:
            done.errback(too_late())
        else:
            done.callback(collected)

    def answered(result: Any, one: Deferred[Any]) -> None:
        if one in waiting and not isinstance(result, Failure):
            collected.append(result[0] if isinstance(result, tuple) else result)
        ended(one)

    def told(result: Any, one: Deferred[Any]) -> None:
        if one in waiting and isinstance(result, Failure):
            missing.append(result)
        ended(one)

    def too_late() -> CallTimeout:
        text = f"{len(collected)} acknowledgements came, and others not within {timeout:g} s"
        return CallTimeout(text, answers=tuple(collected))

    done: Deferred[list[Any]] = Deferred(give_up)
    clients, processes = list(answers), list(elsewhere)
    waiting.update(clients, processes)
    if not waiting:
        done.callback(collected)
    for one in clients:
        one.addBoth(answered, one)
    for one in processes:
        one.addBoth(told, one)
    return done.addTimeout(timeout, clock, lambda result, seconds: Failure(too_late()))
