"""Reports of errors to Sentry: each failure that is logged becomes an event, with the ids of whom it was served for.

    twisted.logger -> Reports: LogFlood -> an event -> scrubbed -> the SDK's queue -> its own thread -> HTTPS

What leaves is made here, and is little: the exceptions' types and places, with the lines of code around them, and the
log line's template. No local variables, no arguments, no headers, cookies, bodies; none of the SDK's integrations,
which would add them. What an exception says may repeat what a client sent: it goes along only if it is asked for, and
then without what looks like a secret.

Nothing here waits. The SDK keeps at most a hundred events for a Sentry that is slow or away, and drops the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import ILogObserver, LogEvent, Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from wsservice.log_flood import LogFlood, failure_of
from wsservice.logs import with_ids
from wsservice.redaction import Redactor

if TYPE_CHECKING:
    from sentry_sdk import Client

log = Logger()

#: seconds that a stop waits for what is still to be sent
FLUSH = 2.0
#: characters of what an exception says
MAX_TEXT = 1024
#: in place of it, where it is not wanted
WITHHELD = "(--sentry-text would tell; the log does)"

_TAGS = ("connection_id", "request_id", "log_namespace")
#: parts of an event that are ours; whatever else the SDK may put there in some version stays here
_KEPT = frozenset(
    {
        *("event_id", "timestamp", "platform", "level", "logger", "logentry", "exception", "tags", "contexts"),
        *("environment", "release", "server_name", "sdk"),
    }
)
_KEPT_OF_FRAMES = frozenset(
    {
        *("abs_path", "filename", "function", "module", "lineno", "in_app"),
        *("pre_context", "context_line", "post_context"),
    }
)
_KEPT_CONTEXTS = frozenset({"trace", "runtime"})


@implementer(ILogObserver)
class Reports:
    """A log observer. Call `start` once the process is the one that serves, and `stop` in the end.

    Args:
        dsn: of the Sentry project.
        release: what Sentry calls the code that runs.
        with_text: whether to send what exceptions say.
        flood: lets the first few of each fault through.
    """

    def __init__(
        self,
        dsn: str,
        *,
        environment: str,
        release: str,
        redact: Redactor,
        flood: LogFlood,
        with_text: bool = False,
    ) -> None:
        self._options: dict[str, Any] = {"dsn": dsn, "environment": environment, "release": release}
        self._redact = redact
        self._flood = flood
        self._with_text = with_text
        self._client: Client | None = None

    def start(self) -> None:
        """Report from now on. Not before a daemon has forked: the SDK has a thread."""
        from sentry_sdk import Client  # an extra

        self._client = Client(
            **self._options,
            before_send=self._scrub,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            send_default_pii=False,
            max_request_body_size="never",
            max_breadcrumbs=0,
            auto_session_tracking=False,
            send_client_reports=False,
            spotlight=False,
        )

    def stop(self) -> Deferred[None]:
        """Report no more; fires when all is sent, or after `FLUSH` seconds."""
        client, self._client = self._client, None
        if client is None:
            return succeed(None)
        return deferToThread(client.close, timeout=FLUSH)

    def __call__(self, event: LogEvent) -> None:
        """Report an event that has a failure; never raises."""
        failure = failure_of(event)
        if self._client is None or not isinstance(failure, Failure) or not self._flood.lets(event):
            return
        try:
            made, hint = _make_event(failure, with_ids(event), self._client.options)
            self._client.capture_event(made, hint)
        except Exception as error:  # without its failure, which would come here again
            log.warn("an error could not be reported: {kind}", kind=type(error).__name__)

    def _scrub(self, event: Any, hint: Any) -> Any:
        """Called by the SDK with what it is about to send."""
        kept = {name: value for name, value in event.items() if name in _KEPT}
        kept["contexts"] = {name: one for name, one in kept.get("contexts", {}).items() if name in _KEPT_CONTEXTS}
        for exception in _values(kept, "exception"):
            text = str(exception.get("value") or "")
            exception["value"] = self._redact(text, MAX_TEXT) if self._with_text else WITHHELD if text else ""
            stack = exception.get("stacktrace") or {}
            for number, frame in enumerate(stack.get("frames", ())):
                stack["frames"][number] = _mapped(
                    {name: value for name, value in frame.items() if name in _KEPT_OF_FRAMES}, self._redact
                )
        for name in ("logentry", "tags"):
            kept[name] = _mapped(kept.get(name, {}), self._redact)
        return kept


def _make_event(failure: Failure, event: LogEvent, options: Any) -> tuple[Any, Any]:
    from sentry_sdk.utils import event_from_exception

    exception: Any = (failure.type, failure.value, failure.getTracebackObject())
    made: Any
    made, hint = event_from_exception(
        exception,
        client_options=options,
        mechanism={"type": "twisted", "handled": True},
    )
    made["logger"] = event.get("log_namespace") or "-"
    # The template: what stands in its places may be a client's.
    made["logentry"] = {"message": str(event.get("why") or event.get("log_format") or "Unhandled error")[:MAX_TEXT]}
    made["tags"] = {name.removeprefix("log_"): str(event[name]) for name in _TAGS if event.get(name)}
    return made, hint


def _values(event: Any, name: str) -> Iterator[Any]:
    yield from (event.get(name) or {}).get("values") or ()


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same with every text changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_mapped(item, change) for item in value]
    if isinstance(value, dict):
        return {name: _mapped(item, change) for name, item in value.items()}
    return value
