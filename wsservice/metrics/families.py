"""From counters and histograms to Prometheus's families of samples."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from wsservice.counters import Counters
from wsservice.metrics.names import COUNTS, PREFIX, TIMINGS, Count, Timing


def counter_families(counters: Counters) -> Iterator[Metric]:
    """Everything that is counted; all families each time, whether there is anything in them or not."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for name, reason, number in counters.items():
        found[name][reason] = number
    for name, count in COUNTS.items():
        yield _counter(count, found[name])
    for name, total in (("received", counters.received), ("sent", counters.sent)):
        helped = _TOTALS[name]
        yield CounterMetricFamily(f"{PREFIX}{name}_messages", helped.format("Messages"), value=total.messages)
        yield CounterMetricFamily(f"{PREFIX}{name}_bytes", helped.format("Bytes of the messages"), value=total.bytes)


def timing_families(counters: Counters) -> Iterator[Metric]:
    """Every histogram."""
    families = {name: _histogram(timing) for name, timing in TIMINGS.items()}
    for name, labels, histogram in counters.histograms():
        bounds = [*(str(bound) for bound in histogram.bounds), "+Inf"]
        buckets = list(zip(bounds, histogram.cumulated(), strict=True))
        families[name].add_metric(list(labels), buckets, histogram.total)
    yield from families.values()


_TOTALS = {
    "received": "{} from clients to handlers, acknowledgements among them.",
    "sent": "{} from handlers and broadcasts to clients, those that were dropped among them.",
}


def _counter(count: Count, numbers: dict[str, int]) -> CounterMetricFamily:
    if not count.label:
        return CounterMetricFamily(f"{PREFIX}{count.name}", count.help, value=sum(numbers.values()))
    family = CounterMetricFamily(f"{PREFIX}{count.name}", count.help, labels=[count.label])
    told = dict.fromkeys(count.reasons, 0) | {reason or count.unnamed: number for reason, number in numbers.items()}
    for reason, number in sorted(told.items()):
        family.add_metric([reason], number)
    return family


def _histogram(timing: Timing) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"{PREFIX}{timing.name}", timing.help, labels=list(timing.labels))
