"""The table of all metrics, made of what a service exports that nobody has connected to."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client.metrics_core import Metric
from twisted.internet.testing import MemoryReactorClock

from wsservice.assembly import assemble
from wsservice.config import load_config

#: what a metric of each type is called by, in queries
_SUFFIX = {"counter": "_total", "info": "_info"}


def collect() -> list[Metric]:
    """Every family that there is."""
    with TemporaryDirectory() as folder:
        config = load_config({"dev": "yes", "metrics_listen": "tcp:0"}, {}, directory=Path(folder))
    parts = assemble(config, MemoryReactorClock(), lambda: False)
    assert parts.metering is not None
    return parts.metering.exposition.families()


def metrics_table() -> str:
    """A row for each, in the order in which they are exported."""
    rows = "".join(_row(family) for family in collect())
    return f"| metric | type | labels | meaning |\n|---|---|---|---|\n{rows}"


def _row(family: Metric) -> str:
    labels = dict.fromkeys((*getattr(family, "_labelnames", ()), *_labels_of(family)))
    shown = ", ".join(f"`{label}`" for label in labels if label != "le")
    name = f"{family.name}{_SUFFIX.get(family.type, '')}"
    kind = "gauge" if family.type == "info" else family.type
    return f"| `{name}` | {kind} | {shown} | {family.documentation.rstrip('.')}. |\n"


def _labels_of(family: Metric) -> list[str]:
    return [label for sample in family.samples for label in sample.labels]
