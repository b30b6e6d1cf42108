"""Telling when a limit bites: a counter each time, a line in the log now and then, and a word in `/ready`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from twisted.logger import Logger

from wsservice.counters import Counters

log = Logger()

#: seconds between two lines of the log about one limit: an attacker decides how often it bites
QUIET = 10.0
#: seconds for which `/ready` tells of a limit that bit
RECENT = 60.0


#: counts that grow when a limit bites -> the limit's name, and what an operator would change
WATCHED = {
    ("admin_dropped", ""): ("admin_events", "--admin-event-rate, or --admin-mode production"),
    ("heads_refused", "head_too_large"): ("head", "--max-head-size, --max-headers"),
    ("http_refused", "head_too_large"): ("head", "--max-head-size, --max-headers"),
    ("heads_refused", "timeout"): ("head_time", "--handshake-timeout"),
    ("http_refused", "timeout"): ("request_time", "--handshake-timeout, --body-timeout; 5 s for a body of /auth"),
    ("http_refused", "too_large"): (
        "body",
        "--max-http-buffer-size; fixed at 8 KiB for /auth, and at 16 KiB for clients of Socket.IO that are not known",
    ),
    ("frames_refused", "1009"): (
        "message_size",
        "--max-message-size, --max-http-buffer-size; fixed at 16 KiB for clients of Socket.IO that are not known",
    ),
    ("frames_refused", "1008"): ("fragments", "--max-fragments"),
    ("namespaces_refused", "too_many"): ("namespaces", "--max-namespaces"),
    ("namespaces_refused", "open"): ("open_namespaces", "--max-open-namespaces"),
    ("protocol_violations", "too many attachments"): ("attachments", "--max-attachments"),
    ("protocol_violations", "attachments too large"): ("attachments_size", "--max-attachment-bytes"),
    ("protocol_violations", "nested too deep"): ("nesting", "fixed at 200"),
    ("protocol_violations", "too many early events"): ("early_events", "fixed at 100 in a namespace"),
    ("namespace_timeouts", ""): ("connect_time", "--connect-timeout"),
    ("http_dropped", "unread"): ("unread", "--unread-timeout"),
    ("connections_cut", "unread"): ("unread", "--unread-timeout"),
    ("reading_paused", "inbox"): ("inbox", "--inbox-messages, --inbox-bytes"),
    ("reading_paused", "traffic"): ("traffic", "--message-rate, --byte-rate"),
    ("reading_paused", "early"): ("early_bytes", "fixed at 64 KiB while a token is checked"),
    ("slow_consumers", ""): ("send_queue", "--send-queue-bytes, --send-queue-messages"),
    ("slow_consumers", "on_connect"): ("send_queue", "--send-queue-bytes"),
    ("pauses_timed_out", ""): ("pause", "--pause-timeout"),
    ("pings_unanswered", ""): ("ping", "--ping-interval, --ping-timeout"),
    ("engine_sessions_ended", "ping timeout"): ("ping", "--ping-interval, --ping-timeout"),
    ("logins", "rate_limited"): ("logins", "--login-burst, --login-interval, or the provider's own"),
    ("me", "rate_limited"): ("sessions", "--session-burst, --session-interval"),
    ("logouts", "rate_limited"): ("sessions", "--session-burst, --session-interval"),
    ("refreshes", "rate_limited"): (
        "refreshes",
        "--refresh-burst, --refresh-interval; fixed at 300, then ten a second for a name; or the provider's own",
    ),
    ("jwks_timeouts", ""): ("keys_time", "--auth-timeout"),
    ("jwks_cooldown", ""): ("unknown_keys", "fixed at one fetch in 10 s"),
    ("drain_cut_off", "clients"): ("drain", "--drain-timeout"),
    ("drain_cut_off", "handlers"): ("drain", "--drain-timeout"),
    ("drain_cut_off", "requests"): ("drain", "--drain-timeout"),
    ("cluster_dropped", "queue_full"): ("cluster_queue", "--adapter-queue-bytes"),
    ("cluster_dropped", "too_large"): ("cluster_message", "fixed at 8 MiB"),
    ("cluster_refused", "too_large"): ("cluster_message", "fixed at 8 MiB"),
    ("passed_on_failed", "full"): ("peer_connections", "a quarter of the open files: ulimit -n"),
    ("history_dropped", "bytes"): ("recovery", "--recovery-bytes"),
    ("history_dropped", "events"): ("recovery", "fixed at 20,000 events"),
    ("history_dropped", "sessions"): ("recovery", "fixed at 10,000 clients that are away"),
    ("tables_full", "revocations"): ("revocations", "fixed at 100,000 sessions and as many users that were signed out"),
    ("tables_full", "rates"): ("rates", "fixed at 10,000 addresses or user names"),
    ("tables_full", "refreshes"): ("shared_refreshes", "fixed at 1,000"),
}


class Alarms:
    """Counts `limits_hit` by the limit's name; `watch` the counters for those limits that are far from here.

    Args:
        now: monotonic seconds.
    """

    def __init__(self, counters: Counters, now: Callable[[], float]) -> None:
        self._counters = counters
        self._now = now
        self._hit: dict[str, float] = {}
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}

    def watch(self) -> None:
        """Be told of the limits in `WATCHED` by the counters."""
        for (name, reason), (limit, option) in WATCHED.items():
            self._counters.watch(name, reason, partial(self.hit, limit, option))

    def hit(self, limit: str, option: str, about: str = "") -> None:
        """A limit bit.

        Args:
            limit: its name, one of a fixed few.
            option: what an operator would change.
            about: whom, for the log; printable.
        """
        now = self._now()
        self._counters.add("limits_hit", limit)
        self._hit[limit] = now
        if now - self._told.get(limit, float("-inf")) < QUIET:
            self._untold[limit] = self._untold.get(limit, 0) + 1
            return
        self._told[limit] = now
        untold = self._untold.pop(limit, 0)
        log.warn(
            "limit {limit} reached ({option}){about}{more}",
            limit=limit,
            option=option,
            about=f": {about}" if about else "",
            more=f", and {untold} times since the last such line" if untold else "",
        )

    def recent(self) -> list[str]:
        """The limits that bit within the last minute, sorted."""
        since = self._now() - RECENT
        return sorted(limit for limit, when in self._hit.items() if when > since)
