"""What the counters and histograms are called in `/metrics`, and what they mean: the one list of them. Pure.

Each reason of a counter is a label's value, so the reasons must be few and fixed. What is told of here is there from
the start, at 0: a rate of what was never counted would be unknown rather than 0, and no alert would see the first one.
"""

from __future__ import annotations

from dataclasses import dataclass

#: before every name
PREFIX = "wsservice_"


@dataclass(frozen=True, slots=True)
class Count:
    """How a counter is told.

    Attributes:
        name: without `PREFIX` and `_total`.
        help: one sentence.
        label: of the reasons; empty if there are none.
        reasons: those that are told before they are first counted.
        unnamed: stands for the empty reason, where there are others.
    """

    name: str
    help: str
    label: str = ""
    reasons: tuple[str, ...] = ()
    unnamed: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """How a histogram is told; `name` without `PREFIX`, in seconds."""

    name: str
    help: str
    labels: tuple[str, ...] = ()


FAN_OUT, LOOP_LAG, PROVIDER = "fan_out", "loop_lag", "provider"

#: by the names in `Counters.histogram`
TIMINGS = {
    FAN_OUT: Timing("fan_out_seconds", "How long a broadcast took to reach the sockets of this process's connections."),
    LOOP_LAG: Timing("event_loop_lag_seconds", "How late a timer was that runs four times a second."),
    PROVIDER: Timing(
        "provider_request_seconds",
        "Requests to the identity provider: for its keys, and each operation of Cognito's API.",
        ("request", "result"),
    ),
}

_FAULTS = "Faults of the service itself, each with a traceback in the log."

#: by the names in `Counters.add`
COUNTS = {
    "acks_ignored": Count("acks_ignored", "Acknowledgements from clients that nobody waited for."),
    "admin_commands": Count("admin_commands", "What people did in the admin view.", "command"),
    "admin_dropped": Count("admin_events_dropped", "Events that the admin view was not told of (--admin-event-rate)."),
    "admin_logins": Count("admin_logins", "Logins to the admin view.", "result"),
    "api_messages": Count("api_messages", "Messages that backends sent by HTTP.", "kind"),
    "auth": Count("authentications", "Tokens that were looked at, with or without a connection.", "result", ("ok",)),
    "cluster_connections_lost": Count(
        "adapter_connections_lost",
        "Connections to Redis that broke.",
        "connection",
        ("commands", "subscriptions"),
    ),
    "cluster_dropped": Count(
        "adapter_messages_dropped",
        "Messages for other processes that did not reach Redis, or may not have.",
        "reason",
        ("queue_full", "too_large", "uncertain", "refused", "stopped"),
    ),
    "cluster_faults": Count("adapter_faults", "What Redis, or no other process, did as it was asked.", "reason"),
    "cluster_gaps": Count("adapter_gaps", "Times that Redis had forgotten recorded events which were still wanted."),
    "cluster_lost": Count("adapter_messages_lost", "Messages of other processes that did not arrive here."),
    "cluster_refused": Count("adapter_messages_refused", "Messages from Redis that nobody here could take.", "reason"),
    "connections_closed": Count(
        "connections_closed", "WebSockets that ended, by the close code (0: one of the application's).", "code"
    ),
    "connections_cut": Count("connections_cut", "WebSockets cut off at their close.", "reason", ("unread",)),
    "connections_expired": Count("connections_expired", "Connections closed at the end of their token."),
    "connections_refused": Count(
        "connections_refused",
        "Connections refused after the handshake.",
        "reason",
        ("user", "application"),
    ),
    "deliveries": Count("deliveries", "Broadcasts, counted once for each connection here that they are for."),
    "drain_cut_off": Count("drain_cut_off", "What had not ended when a stop's time was over.", "what"),
    "engine_sessions": Count(
        "engine_sessions",
        "Sessions of Engine.IO that began, by the first transport.",
        "transport",
        ("polling", "websocket"),
    ),
    "engine_sessions_ended": Count("engine_sessions_ended", "Sessions of Engine.IO that ended.", "reason"),
    "events_dropped": Count(
        "events_dropped", "Events from clients that were not handled.", "reason", ("closing", "traffic")
    ),
    "events_refused": Count("events_refused", "Events that were answered by an error.", "code"),
    "frames_refused": Count(
        "frames_refused", "WebSocket frames that ended their connection, by the close code.", "code", ("1009",)
    ),
    "handler_errors": Count("handler_errors", "Exceptions of the application's handlers."),
    "handshakes": Count("handshakes", "WebSocket handshakes.", "result", ("ok",)),
    "heads_refused": Count("heads_refused", "First requests of a connection that were refused unread.", "reason"),
    "history_dropped": Count(
        "recovery_dropped", "What recovery forgot before its time.", "what", ("bytes", "events", "sessions")
    ),
    "http_dropped": Count("http_dropped", "HTTP connections cut off.", "reason", ("unread",)),
    "http_refused": Count("http_refused", "HTTP requests that were refused for what they are.", "reason"),
    "internal_errors": Count("internal_errors", _FAULTS),
    "jwks_cooldown": Count("jwks_cooldown", "Tokens refused since their key had been asked for moments before."),
    "jwks_fetch": Count("jwks_fetches", "Fetches of the issuer's keys.", "result", ("ok",)),
    "jwks_timeouts": Count("jwks_timeouts", "Handshakes for which the issuer's keys came too late."),
    "jwks_unknown_kid": Count("jwks_unknown_kid", "Tokens signed by a key that was not known."),
    "limits_hit": Count("limits_hit", "Times that a limit bit, by its name in /ready and in the log.", "limit"),
    "logins": Count("logins", "Logins, and answers to their challenges.", "result", ("ok", "rate_limited")),
    "logouts": Count("logouts", "Logouts.", "result", ("ok",)),
    "me": Count("me_refused", "Questions who is logged in that were refused.", "reason"),
    "messages_dropped": Count(
        "messages_dropped",
        "Messages for clients that they did not get.",
        "reason",
        ("closed", "lost", "slow", "volatile"),
    ),
    "namespace_timeouts": Count("namespace_timeouts", "Socket.IO clients that joined no namespace in time."),
    "namespaces_refused": Count("namespaces_refused", "Requests to join a namespace that were refused.", "reason"),
    "passed_on": Count("passed_on", "Requests that were another process's, and went there.", "kind"),
    "passed_on_failed": Count("passed_on_failed", "Requests that could not be passed on.", "reason"),
    "pauses_timed_out": Count("pauses_timed_out", "Connections closed since their handlers were too slow."),
    "pings_unanswered": Count("pings_unanswered", "WebSockets cut off since no answer to a ping came."),
    "polls_refused": Count("polls_refused", "Requests of long-polling refused by Engine.IO's rules.", "reason"),
    "protocol_violations": Count("protocol_violations", "Socket.IO clients that broke the protocol.", "reason"),
    "reading_paused": Count(
        "reading_paused", "Times that a client was not read from.", "reason", ("inbox", "traffic", "early")
    ),
    "recoveries": Count("recoveries", "Clients that asked to continue a broken connection.", "result", ("ok",)),
    "refreshes": Count("refreshes", "Refreshes of sessions.", "result", ("ok",)),
    "slow_consumers": Count(
        "slow_consumers",
        "Clients closed since they did not read.",
        "when",
        ("open", "on_connect"),
        unnamed="open",
    ),
    "tables_full": Count("tables_full", "Entries that a full table of fixed size forgot.", "table"),
}
