"""All metrics as a text: what Prometheus asks for, and how it wants it.

Nothing is added up while the service works: at a scrape the counters and the parts are read (`families`, `state`),
beside the process's own figures and the garbage collector's.
"""

# mypy: allow-untyped-calls
# (prometheus_client has few annotations for OpenMetrics)

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from wsservice.counters import Counters
from wsservice.metrics.families import counter_families, timing_families
from wsservice.metrics.state import State, state_families

_TEXT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text"
_OPENMETRICS_TYPE = f"{_OPENMETRICS}; version=1.0.0; charset=utf-8"


class ServiceCollector(Collector):
    """What this service counts, and how it stands."""

    def __init__(self, counters: Counters, state: State) -> None:
        self._counters = counters
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """Called at each scrape."""
        yield from state_families(self._state)
        yield from counter_families(self._counters)
        yield from timing_families(self._counters)

    def describe(self) -> Iterator[Metric]:
        """Nothing: else all would be read once more when it is registered."""
        yield from ()


class Exposition:
    """Writes it all."""

    def __init__(self, counters: Counters, state: State) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(ServiceCollector(counters, state))
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def families(self) -> list[Metric]:
        """All of them, as they are now."""
        return list(self._registry.collect())

    def write(self, accept: str) -> tuple[str, bytes]:
        """The Content-Type and the text, for a request's Accept.

        OpenMetrics 1.0 for whoever names it, else Prometheus's own format, version 0.0.4, whatever else is asked for.
        """
        if _names_openmetrics(accept):
            return _OPENMETRICS_TYPE, openmetrics.generate_latest(self._registry)
        return _TEXT_TYPE, generate_latest(self._registry)


def _names_openmetrics(accept: str) -> bool:
    for item in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in item.split(";"))
        is_refused = any(part.startswith("q=") and not part.strip("q=.0") for part in parameters)
        if kind == _OPENMETRICS and not is_refused:
            return True
    return False
