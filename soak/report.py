"""What a soak found: the verdicts, the table, and the JSON."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from soak.plan import Plan
from soak.watcher import Sample

#: how much more memory may be in use at the end than at minute 2
GROWTH = 0.05
#: seconds: when memory is measured first; samples this much before and after count, and as many at the end
_MINUTE_2, _WINDOW = 120.0, 15.0
#: seconds that a soak must take for a verdict about memory
_LONG = 240.0
_MIB = 2**20
#: what must be gone when its client is; the watcher still has one of some
_MORTAL = {
    "wsservice.connection.Connection": 1,
    "wsservice.transports.websocket.ConfiguredRawProtocol": 1,
    "twisted.internet.tcp.Server": 1,
    "wsservice.transports.opening.ConfiguredSocketIoProtocol": 0,
    "wsservice.clients.client.Client": 0,
    "wsservice.engineio.session.Session": 0,
    "wsservice.web.channel.WsChannel": 0,
    "wsservice.web.request.WsRequest": 0,
}
_BAD = ("error", "critical", "fatal")


@dataclass(slots=True)
class Report:
    """Everything that was measured.

    Attributes:
        samples: while everybody was connected or connecting.
        load: what the load process counted.
        idle_files, last_files: descriptors before the crowd came and after it left.
        idle_resident, last_resident: bytes, likewise.
        returned: seconds until all descriptors were back.
        counters: the service's own.
        faults: what the app noticed.
        census: of objects, by the moment.
    """

    plan: Plan
    samples: list[Sample] = field(default_factory=list)
    load: dict[str, Any] = field(default_factory=dict)
    log: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    idle_files: int = 0
    last_files: int = 0
    idle_resident: int = 0
    last_resident: int = 0
    last_connections: int = 0
    returned: float = 0.0
    status: int | None = None
    counters: list[Any] = field(default_factory=list)
    faults: dict[str, int] = field(default_factory=dict)
    census: dict[str, Any] = field(default_factory=dict)

    @property
    def memory(self) -> tuple[float, float] | None:
        """Resident bytes at minute 2 and at the end; None where the soak was too short."""
        if self.plan.seconds < _LONG or not self.samples:
            return None
        early = [one.resident for one in self.samples if abs(one.at - _MINUTE_2) <= _WINDOW]
        last = self.samples[-1].at
        late = [one.resident for one in self.samples if one.at >= last - 2 * _WINDOW]
        return statistics.median(early), statistics.median(late)

    @property
    def left(self) -> int:
        """How many objects outlived the clients that they were made for, after a garbage collection."""
        ours = self.census.get("afterwards", {}).get("ours", {})
        return sum(max(0, ours.get(name, 0) - rightly) for name, rightly in _MORTAL.items())

    @property
    def verdicts(self) -> list[tuple[str, str, bool]]:
        """What was demanded, what was found, and whether that is good."""
        load, memory = self.load, self.memory
        unexpected = sum(load["unexpected"].values()) + sum(self.faults.values())
        heard = sum(load["heard"].values())
        found = [
            ("messages lost by healthy clients", f"{load['lost']} of {heard + load['lost']:,}", load["lost"] == 0),
            ("messages that came twice", str(load["twice"]), load["twice"] == 0),
            ("anything else unexpected", str(unexpected), unexpected == 0),
            ("errors and tracebacks in the log", str(self.log.total()), not self.log),
            (
                "open files before, and after the clients left",
                f"{self.idle_files}, {self.last_files} (after {self.returned:.0f} s)",
                self.last_files == self.idle_files,
            ),
            ("connections still known then", str(self.last_connections - 1), self.last_connections == 1),
            ("objects left of clients that left", str(self.left), self.left == 0),
            ("exit status after SIGTERM", str(self.status), self.status == 0),
            ("messages heard", f"{heard:,}", heard > 0),
        ]
        if memory is not None:
            early, late = memory
            grown = late / early - 1
            text = f"{early / _MIB:.1f} MiB, {late / _MIB:.1f} MiB ({grown:+.1%})"
            found.insert(0, ("memory at minute 2, and at the end", text, grown <= GROWTH))
        return found

    @property
    def is_good(self) -> bool:
        """Whether all verdicts are."""
        return all(good for _, _, good in self.verdicts)

    def read_log(self, text: str) -> None:
        """Find what must not stand in the log: errors, tracebacks, and what is no JSON behind the greeting."""
        greeted = False
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                if greeted and line.strip():
                    self.log[f"no JSON: {line[:100]}"] += 1
                greeted = greeted or "newuser" in line
                continue
            level, what = entry.get("level"), str(entry.get("event", entry.get("msg")))[:100]
            if level in _BAD or "Traceback" in line:
                self.log[what] += 1
            elif level == "warn":
                self.warnings[what] += 1

    def table(self) -> str:
        """For people, in Markdown."""
        rows = [(what, found, "" if good else "**no**") for what, found, good in self.verdicts]
        middle = self._middle()
        done = self.load.get("done", {})
        rows += [
            ("connections at the end, healthy ones", str(done.get("connected at the end", 0)), ""),
            ("connections made", str(sum(count for name, count in done.items() if name.endswith(": connected"))), ""),
            ("memory before, and after the clients left", self._idle_memory(), ""),
            ("CPU of the service, median and most", _pair(middle, "cpu", "{:.0%}"), ""),
            ("open files, median and most", _pair(middle, "files", "{:.0f}"), ""),
            ("answers took, median and most", _pair(middle, "answer", "{:.3f} s"), ""),
        ]
        lines = ["| what | found | |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)]
        for title, counts in (
            ("done", done),
            ("unexpected", {**self.load.get("unexpected", {}), **self.faults}),
            ("errors in the log", self.log),
            ("warnings in the log", self.warnings),
        ):
            if counts:
                lines += ["", f"{title}:", *(f"  {count:>9,}  {name}" for name, count in sorted(counts.items()))]
        return "\n".join(lines)

    def as_json(self) -> str:
        """For machines."""
        value = {
            "good": self.is_good,
            "verdicts": [{"what": a, "found": b, "good": c} for a, b, c in self.verdicts],
            "plan": self.plan.as_dict(),
            "load": self.load,
            "log": dict(self.log),
            "warnings": dict(self.warnings),
            "faults": self.faults,
            "memory": self.memory,
            "resident": {"before": self.idle_resident, "after": self.last_resident},
            "files": {"before": self.idle_files, "after": self.last_files, "seconds": self.returned},
            "counters": self.counters,
            "census": self.census,
            "samples": [asdict(sample) for sample in self.samples],
        }
        return json.dumps(value, indent=1)

    def _middle(self) -> list[Sample]:
        """Samples without those of the first part, in which the crowd comes."""
        return self.samples[len(self.samples) // 4 :]

    def _idle_memory(self) -> str:
        return f"{self.idle_resident / _MIB:.1f} MiB, {self.last_resident / _MIB:.1f} MiB"


def _pair(samples: Iterable[Sample], name: str, form: str) -> str:
    values = [getattr(sample, name) for sample in samples] or [0]
    return ", ".join(form.format(value) for value in (statistics.median(values), max(values)))
