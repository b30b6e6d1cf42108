"""Keeping floods out of the log: of lines of one kind the first few are written, and then how many more there were.

    the first FIRST of a kind       written as they are
    those behind                    counted
    WINDOW seconds after the first  one line for those that were counted, and so every WINDOW seconds while they come
    a window without any            the kind is forgotten: the next ones are the first again

A line has a kind if it says so by a field `log_flood`, of fixed words, never a client's text; and if it has a failure:
then the kind is the exception's type and the lines of code that it went through, so that each fault stands in the log
with its traceback, but not a thousand times. Every other line is written, whatever comes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import PurePath
from threading import RLock
from typing import Any

from twisted.logger import LogEvent, LogLevel
from twisted.python.failure import Failure

#: lines of a kind that are written before the others are only counted
FIRST = 5
#: seconds between two lines that tell of the others; precedent: `alarms.QUIET`
WINDOW = 10.0
#: kinds that are told apart at a time; code has fewer, but an application may make types as it runs
KINDS = 500

_OTHERS = "of many kinds"
#: characters of a cause
_CAUSE = 200
#: what stands in a message for a value
_FIELD = re.compile(r"\{[^}]*\}")


@dataclass(slots=True)
class _Flood:
    """A kind of which lines came within this window.

    Attributes:
        since: when the window began, monotonic seconds.
        written, held: lines of this window.
        cause, level, namespace: for the line that tells of those that were held.
    """

    since: float
    cause: str
    level: Any
    namespace: str
    written: int = 0
    held: int = 0


class LogFlood:
    """Decides which events are written; may be asked by several threads.

    Args:
        seconds: monotonic time.
        later: calls a function in so many seconds, in the reactor's thread or with what else it can be asked.

    Attributes:
        tell: gets an event for each kind of which some were held; to be set before the first event comes.
    """

    def __init__(self, seconds: Callable[[], float], later: Callable[[float, Callable[[], None]], object]) -> None:
        self._seconds = seconds
        self._later = later
        self._floods: dict[Hashable, _Flood] = {}
        # Not a plain one: a Deferred that is collected while it is held may log its error.
        self._lock = RLock()
        self.tell: Callable[[LogEvent], None] = _to_nobody

    def __len__(self) -> int:
        return len(self._floods)

    def lets(self, event: LogEvent) -> bool:
        """Whether an event is to be written; if not, it is counted and told of later."""
        kind = _kind(event)
        if kind is None:
            return True
        with self._lock:
            flood = self._floods.get(kind)
            if flood is None:
                if len(self._floods) >= KINDS:
                    kind = _OTHERS
                    flood = self._floods.get(kind)
                if flood is None:
                    flood = self._begin(kind, event)
            if flood.written < FIRST:
                flood.written += 1
                return True
            flood.held += 1
            return False

    def tell_all(self) -> None:
        """Tell of everything that is not told yet: the service ends."""
        with self._lock:
            floods, self._floods = self._floods, {}
        for flood in floods.values():
            self._tell(flood)

    def _begin(self, kind: Hashable, event: LogEvent) -> _Flood:
        flood = self._floods[kind] = _Flood(
            self._seconds(),
            _OTHERS if kind is _OTHERS else _cause(event),
            event.get("log_level", LogLevel.info),
            event.get("log_namespace", ""),
        )
        self._later(WINDOW, lambda: self._end(kind, flood))
        return flood

    def _end(self, kind: Hashable, flood: _Flood) -> None:
        """A window is over."""
        with self._lock:
            if self._floods.get(kind) is not flood:  # told at the end of the service
                return
            if not flood.held:
                del self._floods[kind]
                return
            ended = _Flood(flood.since, flood.cause, flood.level, flood.namespace, held=flood.held)
            flood.since, flood.held = self._seconds(), 0
            self._later(WINDOW, lambda: self._end(kind, flood))
        self._tell(ended)

    def _tell(self, flood: _Flood) -> None:
        if flood.held:
            self.tell(
                {
                    "log_namespace": flood.namespace,
                    "log_level": flood.level,
                    "log_format": "{count} more in {seconds} s: {cause}",
                    "count": flood.held,
                    "seconds": round(self._seconds() - flood.since),
                    "cause": flood.cause,
                }
            )


def failure_of(event: LogEvent) -> Any:
    """The event's failure; Twisted's old logging, which `log_text` gives away, has it under another name."""
    return event.get("log_failure", event.get("failure") if "log_text" in event else None)


def _kind(event: LogEvent) -> Hashable | None:
    """None of a line that is always written.

    What makes a fault this one. The lines that it went through are a set: a recursion may be of any depth.
    """
    failure = failure_of(event)
    if failure is None:
        words = event.get("log_flood")
        return None if words is None else str(words)
    return _type(failure), hash(frozenset(_places(failure))), event.get("log_namespace")


def _cause(event: LogEvent) -> str:
    """For people: the words of a kind, or the type and place of a fault, and nothing that the exception says."""
    failure = failure_of(event)
    if failure is None:
        return str(event["log_flood"])[:_CAUSE]
    name = getattr(_type(failure), "__name__", "a fault")
    places = _places(failure)
    place = f" at {PurePath(places[-1][0]).name}:{places[-1][1]}" if places else ""
    what = _FIELD.sub("…", str(event.get("log_format") or "unhandled"))
    return f"{name}{place} ({what})"[:_CAUSE]


def _places(failure: Any) -> list[tuple[str, int]]:
    """File and line of each frame, the innermost last; none of what is no Failure."""
    return [(file, line) for _, file, line, *_ in failure.frames] if isinstance(failure, Failure) else []


def _type(failure: Any) -> Any:
    return failure.type if isinstance(failure, Failure) else None


def _to_nobody(event: LogEvent) -> None:
    return None
