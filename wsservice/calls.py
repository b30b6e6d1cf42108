"""Calls to a client that wait for its acknowledgement: one table a connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from wsservice.errors import CallRefused, CallTimeout, ConnectionClosed
from wsservice.messages import Ack


class Calls:
    """The pending calls of a connection; each ends by an answer, its timeout, a cancellation, or `close`."""

    __slots__ = ("_clock", "_last_id", "_pending")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last_id = 0
        self._pending: dict[int, Deferred[Any]] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def start(self, timeout: float) -> tuple[int, Deferred[Any]]:
        """A new call: the id to send, and what fires with the answer.

        The Deferred fails with `CallTimeout` after `timeout` seconds, with `CallRefused` if the client
        answers an error, and with `ConnectionClosed` by `close`.
        """
        self._last_id = call_id = self._last_id + 1
        pending: Deferred[Any] = Deferred()
        self._pending[call_id] = pending

        def timed_out(result: Any, seconds: float) -> Failure:
            return Failure(CallTimeout(f"no acknowledgement within {seconds:g} s"))

        def ended(result: Any) -> Any:
            self._pending.pop(call_id, None)
            return result

        pending.addTimeout(timeout, self._clock, timed_out).addBoth(ended)
        return call_id, pending

    def settle(self, ack: Ack) -> bool:
        """Take the client's answer; False if nobody waits for it (late, twice, or invented)."""
        pending = self._pending.pop(ack.id, None)
        if pending is None:
            return False
        if ack.error is not None:
            pending.errback(CallRefused(ack.error))
        else:
            pending.callback(ack.args[0] if len(ack.args) == 1 else ack.args)
        return True

    def close(self) -> None:
        """The connection ended: whoever waits is told so."""
        pending, self._pending = self._pending, {}
        for call in pending.values():
            call.errback(ConnectionClosed("the connection ended before the client answered"))
