"""A service in memory, and what Prometheus would make of it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from twisted.internet.testing import MemoryReactorClock

from tests.transports.memory import MemoryTransport
from wsservice.assembly import Parts, assemble
from wsservice.config import load_config

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"


def make_parts(folder: str, environ: dict[str, str] | None = None, **flags: Any) -> Parts:
    """A service of `--dev` that nobody has connected to."""
    path = Path(folder)
    path.mkdir(parents=True)
    given = {"dev": "yes", "metrics_listen": "tcp:9100:interface=127.0.0.1", **flags}
    return assemble(load_config(given, environ or {}, directory=path), MemoryReactorClock(), lambda: False)


def get(port: Any, path: str = "/metrics", *lines: str, method: str = "GET") -> tuple[str, str]:
    """The head and the body of an answer."""
    transport = MemoryTransport()
    protocol = transport.protocol = port.buildProtocol(transport.getPeer())
    protocol.makeConnection(transport)
    protocol.dataReceived("\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *lines, "", ""]).encode())
    head, _, body = transport.value().decode("utf-8", "replace").partition("\r\n\r\n")
    transport.finish()
    return head, body


def scrape(parts: Parts, *, accept: str = "") -> dict[str, Metric]:
    """The families by name, as the parser of the format has them."""
    assert parts.metering is not None
    assert parts.metering.address is not None
    head, body = get(parts.metering.address.port, "/metrics", *([f"Accept: {accept}"] if accept else []))
    parse = parse_openmetrics if "openmetrics" in head else parse_text
    return {family.name: family for family in parse(body)}


def samples(families: Iterable[Metric]) -> dict[tuple[str, tuple[str, ...]], float]:
    """Every sample by its name and its labels' values, sorted by the labels' names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def label_names(families: Iterable[Metric]) -> dict[str, set[str]]:
    """The labels that samples of a name have."""
    found: dict[str, set[str]] = {}
    for family in families:
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


#: the names of Prometheus's base units, and what is none
UNITS = re.compile(r"_(seconds|bytes|ratio|celsius|meters|volts|amperes|joules|grams)(_|$)")
NOT_BASE = re.compile(r"(milliseconds|microseconds|_ms|_us|minutes|hours|kilobytes|megabytes|_kb|_mb|percent)(_|$)")
