"""From log events to lines: text for people, JSON for machines.

    twisted.logger -> Observer: level, LogFlood -> TextFormat or JsonFormat: redaction, escapes -> LineWriter

Everything that a client sent and that ends up in a line is short, harmless to terminals and cannot begin a line of
its own; nor can what a program prints. In JSON a failure's traceback is one field; in text it follows, indented.
Whatever is logged while a client's message is handled has that connection's ids, whoever logs it (`log_context`).
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.reflect import safe_str
from zope.interface import implementer

from wsservice import log_context
from wsservice.log_flood import LogFlood, failure_of
from wsservice.log_writer import LineWriter
from wsservice.redaction import MARK, Redactor
from wsservice.terminal import escape

#: characters of a value
MAX_VALUE = 256
#: characters of a message, and of what a program prints
MAX_MESSAGE = 8192
#: items of a list
MAX_ITEMS = 32
#: characters of a line of a traceback; the exception's own text can be of any length
MAX_TRACEBACK_LINE = 1024
#: lines of a traceback: half from its begin, half from its end
MAX_TRACEBACK_LINES = 64

_RANKS = {
    LogLevel.debug: 0,
    LogLevel.info: 1,
    LogLevel.warn: 2,
    LogLevel.error: 3,
    LogLevel.critical: 4,
}
#: what syslog(3) and the journal call them
_PRIORITIES = {"debug": 7, "info": 6, "warn": 4, "error": 3, "critical": 2}
_THRESHOLDS = {"debug": 0, "info": 1, "warn": 2, "error": 3, "critical": 4, "silent": 5}
_SILENT = _THRESHOLDS["silent"]
#: namespaces with a threshold of their own, and all below them: libraries that tell at info what we tell ourselves
_QUIET = {"autobahn": _THRESHOLDS["error"], "twisted.web.client": _THRESHOLDS["warn"]}
#: what `print` becomes; it has no level, and people who print want to see it
_PRINTED = "stdout"

#: events of Twisted's old logging carry these besides what their caller gave
_LEGACY = frozenset({"time", "system", "message", "isError", "format", "why", "failure", "printed"})
#: what a caller may write at length
_LONG = frozenset({"log_io", "log_text", "log_format"})
_IDS = ("request_id", "connection_id")


@implementer(ILogObserver)
class Observer:
    """Writes the events from a level upward. It never raises, and never blocks.

    Args:
        writer: takes the lines.
        level: the lowest one that is written.
        format: makes a line of an event; None leaves it out.
        flood: holds lines back that come by the thousand; by default, all are written.
    """

    def __init__(
        self,
        writer: LineWriter,
        *,
        level: str,
        format: Callable[[LogEvent], str | None],
        flood: LogFlood | None = None,
    ) -> None:
        self._writer = writer
        self._threshold = _THRESHOLDS[level]
        self._format = format
        self._flood = flood
        if flood is not None:
            flood.tell = lambda event: self._write({**event, "log_time": time.time()})
        self._told = 0
        #: by namespace, found out once for each
        self._thresholds: dict[str, int] = {}

    def __call__(self, event: LogEvent) -> None:
        """Write an event, if its level is high enough."""
        namespace = event.get("log_namespace", "")
        threshold = self._thresholds.get(namespace)
        if threshold is None:
            threshold = self._thresholds[namespace] = self._threshold_of(namespace)
        if _RANKS.get(event.get("log_level"), 1) < threshold:
            return
        if self._flood is not None and not self._flood.lets(event):
            return
        self._write(with_ids(event))
        dropped = self._writer.dropped - self._told
        if dropped and not self._writer.is_behind:
            self._told += dropped
            self._write(_event("{dropped} log lines were dropped, since nothing took them", dropped=dropped))

    def set_level(self, level: str) -> None:
        """Write from this level upward from now on."""
        self._threshold = _THRESHOLDS[level]
        self._thresholds.clear()

    def tell_all(self) -> None:
        """Write how many lines were held back and are not told of yet: the service ends."""
        if self._flood is not None:
            self._flood.tell_all()

    def reopen(self) -> None:
        """Begin a new log file, after the old one was renamed."""
        self._writer.reopen()

    def _threshold_of(self, namespace: str) -> int:
        if namespace == _PRINTED and self._threshold < _SILENT:
            return 0
        while namespace and namespace not in _QUIET:
            namespace = namespace.rpartition(".")[0]
        return max(self._threshold, _QUIET.get(namespace, 0))

    def _write(self, event: LogEvent) -> None:
        try:
            line = self._format(event)
        except Exception as error:
            # Twisted would switch the observer off.
            line = self._format(_event("an event could not be written: {kind}", kind=type(error).__name__))
        if line is not None:
            self._writer.write(line)


class TextFormat:
    """One line for people: local time, level, namespace, message, ids; a traceback follows, indented."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, event: LogEvent) -> str | None:
        """The line (or lines) of an event; None if it says nothing."""
        # Escapes are longer than what they stand for.
        message = _cut(escape(_message(event, self._redact)), MAX_MESSAGE)
        traceback = _traceback(event, self._redact)
        if not message and not traceback and event.get("log_namespace") != _PRINTED:
            return None
        when = datetime.fromtimestamp(event["log_time"]).astimezone().isoformat(" ", "milliseconds")
        ids = ((name, safe_str(event[name])) for name in _IDS if event.get(name))
        tail = "".join(f" {name}={escape(_cut(value))}" for name, value in ids if value not in message)
        head = f"{when} {_level(event):<8} {event.get('log_namespace') or '-'}: {message}{tail}"
        rest = (_cut(escape(line), MAX_TRACEBACK_LINE) for line in traceback.splitlines())
        return "\n".join([head, *(f"    {line}" for line in rest)])


class JsonFormat:
    """One JSON object: `ts`, `level`, `msg`, `event` (the message's template), `namespace`, the event's own fields."""

    def __init__(self, redact: Redactor) -> None:
        self._redact = redact

    def __call__(self, event: LogEvent) -> str:
        """The object of an event, in ASCII and without a line break."""
        when = datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")
        fields = {
            "ts": when.replace("+00:00", "Z"),
            "level": _level(event),
            "msg": _message(event, self._redact),
            "event": None if "log_text" in event or "log_io" in event else event.get("log_format"),
            "namespace": event.get("log_namespace"),
            "traceback": _traceback(event, self._redact) or None,
        }
        found = {name: value for name, value in fields.items() if value is not None}
        for name, value in _own_fields(event):
            name = f"{name}_" if name in fields else name
            found[name] = MARK if self._redact.is_secret_name(name) else self._simple(value)
        # The DEL character is the one control that JSON lets stand.
        return json.dumps(_encodable(found)).replace("\x7f", "\\u007f")

    def _simple(self, value: Any) -> Any:
        """A value that JSON has, and that is short."""
        if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
            return value
        if isinstance(value, list | tuple | set | frozenset):
            return [self._simple(item) for item in list(value)[:MAX_ITEMS]]
        return _cut(self._redact(safe_str(value)))


class JournalFormat:
    """Another format's lines with their priority before them (sd-daemon(3)); the journal takes it off."""

    def __init__(self, format: Callable[[LogEvent], str | None]) -> None:
        self._format = format

    def __call__(self, event: LogEvent) -> str | None:
        """The line (or lines, each with it) of an event; None if it says nothing."""
        text = self._format(event)
        if text is None:
            return None
        prefix = f"<{_PRIORITIES.get(_level(event), 6)}>"
        return "\n".join(f"{prefix}{line}" for line in text.split("\n"))


def is_journal(fd: int, environ: Mapping[str, str]) -> bool:
    """Whether a descriptor is the journal of systemd (systemd.exec(5), `JOURNAL_STREAM`), and not a file or a pipe."""
    try:
        status = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def make_observer(
    writer: LineWriter,
    *,
    level: str,
    format: Literal["text", "json"],
    redact: Redactor | None = None,
    flood: LogFlood | None = None,
    journal: bool = False,
) -> Observer:
    """An observer for twistd; see `Observer`.

    Args:
        journal: the lines go to the journal of systemd, which reads a priority before them.
    """
    formats: dict[str, Callable[[LogEvent], str | None]] = {
        "text": TextFormat(redact or Redactor()),
        "json": JsonFormat(redact or Redactor()),
    }
    chosen = JournalFormat(formats[format]) if journal else formats[format]
    return Observer(writer, level=level, format=chosen, flood=flood)


def with_ids(event: LogEvent) -> LogEvent:
    """The event with the ids of the connection that is served right now, unless it is about another one."""
    ids = log_context.current()
    if ids is None:
        return event
    found = dict(zip(("connection_id", "request_id"), ids, strict=True))
    if any(event.get(name, value) != value for name, value in found.items()):
        return event
    return {**event, **found}


def _level(event: LogEvent) -> str:
    return str(event.get("log_level", LogLevel.info).name)


def _message(event: LogEvent, redact: Redactor) -> str:
    if "log_text" in event and failure_of(event) is not None:  # the text has the traceback in it
        return _cut(redact(safe_str(event.get("why") or "Unhandled error")))
    # Secrets go before anything is cut: half a token is not known for one.
    short = {name: _shorten(value, redact) if name not in _LONG else value for name, value in event.items()}
    return _cut(redact(formatEvent(short)), MAX_MESSAGE)


def _shorten(value: Any, redact: Redactor) -> Any:
    return _cut(redact(value)) if isinstance(value, str) and len(value) > MAX_VALUE else value


def _traceback(event: LogEvent, redact: Redactor) -> str:
    """The failure's traceback, bounded: a client's text may be in it, and a recursion has a thousand frames."""
    failure = failure_of(event)
    if failure is None:
        return ""
    lines = failure.getTraceback().rstrip().splitlines()
    excess = len(lines) - MAX_TRACEBACK_LINES
    if excess > 0:
        half = MAX_TRACEBACK_LINES // 2
        lines[half:-half] = [f"    … {excess} lines are left out …"]
    text = "\n".join(redact.shorten(line, MAX_TRACEBACK_LINE) for line in lines)
    return redact(text, len(text))


def _own_fields(event: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in event.items():
        if not name.startswith("log_") and name not in _LEGACY:
            yield name, value


def _event(template: str, **fields: Any) -> LogEvent:
    """An event of ours, about the log itself."""
    return {
        "log_time": time.time(),
        "log_namespace": __name__,
        "log_level": LogLevel.warn,
        "log_format": template,
        **fields,
    }


def _cut(text: str, limit: int = MAX_VALUE) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def _encodable(value: Any) -> Any:
    """The same without lone surrogates, which JSON's own escapes would pass on to whoever reads it."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, list):
        return [_encodable(item) for item in value]
    if isinstance(value, dict):
        return {_encodable(name): _encodable(item) for name, item in value.items()}
    return value
