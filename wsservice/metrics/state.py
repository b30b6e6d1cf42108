"""How things stand at the moment of a scrape, read from the parts themselves: nothing is kept up to date for it.

What waits for clients is summed up over all of them: about a tenth of a microsecond for each connection.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sized
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Protocol

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from wsservice.adapters.base import Adapter
from wsservice.admission import Admission
from wsservice.auth.providers.base import Readiness
from wsservice.clients.table import Clients
from wsservice.hub import Hub
from wsservice.metrics.names import PREFIX


class Queue(Protocol):
    """A client's transport."""

    @property
    def queued(self) -> tuple[int, int]:
        """Messages, and bytes of them, that wait for it."""


@dataclass(frozen=True, slots=True)
class State:
    """What is looked at.

    Attributes:
        version: of wsservice.
        raw: the open connections of `/ws`, by anything that has their number.
        raw_queues, websocket_queues: the WebSockets of raw and of Socket.IO clients.
        checks: those of `/ready`.
    """

    version: str
    hub: Hub
    clients: Clients
    raw: Sized
    raw_queues: Collection[Queue]
    websocket_queues: Collection[Queue]
    admission: Admission
    adapter: Adapter | None = None
    checks: Mapping[str, Callable[[], Readiness]] = field(default_factory=dict)


def state_families(state: State) -> Iterator[Metric]:
    """Every gauge."""
    yield InfoMetricFamily(f"{PREFIX}build", "What runs here.", value=_build(state.version))
    yield _gauge("ready", "Whether a part is ready, as /ready has it.", "check", _ready(state.checks))
    yield from _connections(state)
    yield from _queues(state)
    yield from _adapter(state.adapter)


def _build(own: str) -> dict[str, str]:
    return {
        "version": own,
        "python": platform.python_version(),
        "twisted": version("twisted"),
        "autobahn": version("autobahn"),
    }


def _ready(checks: Mapping[str, Callable[[], Readiness]]) -> dict[str, float]:
    return {name: float(check().ready) for name, check in checks.items()}


def _connections(state: State) -> Iterator[Metric]:
    on_websocket = sum(client.socket is not None for client in state.clients)
    yield _gauge(
        "connections",
        "Clients that are connected.",
        "transport",
        {"raw": len(state.raw), "websocket": on_websocket, "polling": len(state.clients) - on_websocket},
    )
    registry = state.hub.registry
    yield _single("members", "Connections as handlers see them: one for each namespace of a client.", len(registry))
    yield _single("users", "Users who are connected.", registry.user_count)
    yield _single("namespaces", "Namespaces that somebody is in.", registry.namespace_count)
    yield _single("tcp_connections", "TCP connections that are open, of whatever kind.", len(state.admission))
    yield _single("tcp_connections_limit", "How many there may be.", state.admission.most)


def _queues(state: State) -> Iterator[Metric]:
    hub = state.hub
    waiting = {
        "raw": _sum(state.raw_queues),
        "websocket": _sum(state.websocket_queues),
        "polling": _sum(client for client in state.clients if client.socket is None),
    }
    yield _gauge(
        "send_queue_messages",
        "Messages that wait for clients, beside what their sockets hold.",
        "transport",
        {name: messages for name, (messages, _) in waiting.items()},
    )
    yield _gauge(
        "send_queue_bytes",
        "Bytes of the messages that wait for clients.",
        "transport",
        {name: size for name, (_, size) in waiting.items()},
    )
    events = sum(connection.events_waiting for connection in hub.registry)
    yield _single("inbox_events", "Events from clients that wait for handlers.", events)
    yield _single("handlers_running", "Connections of which a handler has not finished.", hub.running)
    history = hub.history
    yield _single("recovery_events", "Events that are kept for recovery.", 0 if history is None else len(history))
    yield _single("recovery_bytes", "Bytes of the events kept for recovery.", 0 if history is None else history.size)


def _adapter(adapter: Adapter | None) -> Iterator[Metric]:
    up, queued, size, lags = {}, {}, {}, {}
    if adapter is not None:
        load = adapter.load()
        up, queued, size = {"": adapter.readiness().ready}, {"": load.queued}, {"": load.queued_bytes}
        lags = dict(load.lags)
    yield _gauge("adapter_up", "Whether other processes can be reached; none with a process alone.", "", up)
    yield _gauge("adapter_queue_messages", "Messages and commands that wait for Redis.", "", queued)
    yield _gauge("adapter_queue_bytes", "Bytes of what waits for Redis.", "", size)
    yield _gauge("adapter_lag_seconds", "How long Redis took to answer, behind all before.", "connection", lags)


def _sum(queues: Iterable[Queue]) -> tuple[int, int]:
    messages = size = 0
    for queue in queues:
        more, bytes_more = queue.queued
        messages += more
        size += bytes_more
    return messages, size


def _single(name: str, help: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}{name}", help, value=value)


def _gauge(name: str, help: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}{name}", help, labels=[label] if label else [])
    for word, value in values.items():
        family.add_metric([word] if label else [], float(value))
    return family
