"""What is compared: the rows of the table, the peers of each, and the bar that a ratio must reach."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from benchmarks import servers

#: how clients speak -> name of a server -> the server; the first is the one that is compared
PEERS: dict[str, dict[str, servers.Server]] = {
    "raw": {
        "wsservice": servers.wsservice,
        "fastify": servers.fastify,
        "plain autobahn": servers.plain_autobahn,
        "floor": servers.floor,
    },
    "socketio": {
        "wsservice": servers.wsservice,
        "floor": servers.floor,
        "socket.io": servers.socketio,
        "python-socketio": servers.python_socketio,
    },
    "tls": {"wsservice": servers.wsservice_tls, "fastify": servers.fastify_tls},
    "polling": {"wsservice": servers.wsservice, "socket.io": servers.socketio},
    **{
        name: {"wsservice": servers.wsservice_cluster(count), "socket.io": servers.socketio_cluster(count)}
        for count, name in enumerate(("one node", "two nodes", "three nodes"), 1)
    },
}
OWN = "wsservice"
#: the columns, in their order
PEER_NAMES = [name for name in dict.fromkeys(name for peers in PEERS.values() for name in peers) if name != OWN]
#: a peer that is slow to open connections, and has no bar there, is left out above so many
MOST_CLIENTS = {"python-socketio": 5000}
#: a run takes its steps in this order (generator/steps.c); `idle` is alone, with servers of its own
STEPS = ("handshakes", "handshakes-again", "open", "echo", "events", "broadcast", "rooms", "idle")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        protocol: a name of PEERS.
        step: of STEPS.
        clients: how many; of handshakes: how many at a time.
        figure: "rate" (more is better), or "p50_us", "p99_us", "kib" (less is better).
        bars: peer -> how many times as good as it wsservice is to be at least; of issue 5.
    """

    protocol: str
    step: str
    clients: int
    figure: str = "rate"
    bars: Mapping[str, float] = field(default_factory=dict)

    @property
    def peers(self) -> dict[str, servers.Server]:
        """The servers that this is measured at."""
        every = PEERS[self.protocol].items()
        return {name: server for name, server in every if self.clients <= MOST_CLIENTS.get(name, self.clients)}


#: fewer would charge them with what Node's heap takes in steps of some MiB
IDLE = 5000
_GROWTH = (500, 1000, 5000, 10000)


def _messages(protocol: str, bars: Mapping[tuple[str, int], Mapping[str, float]]) -> dict[str, Row]:
    """Echoes and deliveries, as the number of clients grows."""
    rows = {"echo/s, 64 clients": Row(protocol, "echo", 64, bars=bars.get(("echo", 64), {}))}
    for step, name in (("echo", "echo/s"), ("broadcast", "deliveries/s")):
        for count in _GROWTH:
            rows[f"{name}, {count:,} clients"] = Row(protocol, step, count, bars=bars.get((step, count), {}))
    for count in (64, 1000):
        for figure in ("p50", "p99"):
            name = f"echo round trip, {count:,} clients, {figure}, us"
            rows[name] = Row(protocol, "echo", count, f"{figure}_us")
    for count in (1000, 5000):
        rows[f"first to last of {count:,}, us"] = Row(protocol, "broadcast", count, "p50_us")
    rows["handshakes/s until 10,000 are open"] = Row(protocol, "open", 10000)
    return rows


def _headed(head: str, rows: dict[str, Row]) -> dict[str, Row]:
    return {f"{head}: {name}": row for name, row in rows.items()}


ROWS: dict[str, Row] = {
    "handshakes/s, new tokens": Row("raw", "handshakes", 32, bars={"fastify": 2.2}),
    "handshakes/s, tokens seen before": Row("raw", "handshakes-again", 32, bars={"fastify": 2.8}),
    "handshake, new token, p99, us": Row("raw", "handshakes", 32, "p99_us"),
    **_messages(
        "raw",
        {
            ("echo", 64): {"fastify": 1.15},
            ("echo", 1000): {"fastify": 1.35},
            ("broadcast", 1000): {"fastify": 1.8, "floor": 0.82},
            ("broadcast", 5000): {"fastify": 1.4, "floor": 0.72},
        },
    ),
    "echo of events/s, 64 clients": Row("raw", "events", 64),
    "echo of events/s, 1,000 clients": Row("raw", "events", 1000),
    "rooms: deliveries/s, 5,000 clients in 500": Row("raw", "rooms", 5000),
    "KiB per idle connection": Row("raw", "idle", IDLE, "kib", bars={"fastify": 1 / 0.55}),
    **_headed(
        "Socket.IO",
        {
            "handshakes/s, new tokens": Row("socketio", "handshakes", 32, bars={"socket.io": 2}),
            "handshake, new token, p99, us": Row("socketio", "handshakes", 32, "p99_us"),
            **_messages(
                "socketio",
                {
                    ("echo", 64): {"socket.io": 1.5, "python-socketio": 15},
                    ("echo", 1000): {"socket.io": 1.5, "python-socketio": 15},
                    ("broadcast", 1000): {"socket.io": 1.6, "python-socketio": 15},
                    ("broadcast", 5000): {"socket.io": 1.6, "python-socketio": 15},
                },
            ),
            "rooms: deliveries/s, 5,000 clients in 500": Row("socketio", "rooms", 5000, bars={"socket.io": 1.5}),
            "KiB per idle connection": Row("socketio", "idle", IDLE, "kib", bars={"socket.io": 1 / 0.5}),
        },
    ),
    **_headed(
        "TLS",
        {
            "echo/s, 1,000 clients": Row("tls", "echo", 1000),
            "deliveries/s, 1,000 clients": Row("tls", "broadcast", 1000, bars={"fastify": 1}),
        },
    ),
    **_headed(
        "long-polling",
        {
            "echo/s, 1,000 clients": Row("polling", "echo", 1000),
            "deliveries/s, 1,000 clients": Row("polling", "broadcast", 1000),
        },
    ),
    **{
        f"Redis, {nodes}: {name}": Row(nodes, "broadcast", clients, figure, bars)
        for nodes, name, clients, figure, bars in (
            ("one node", "deliveries/s, 1,000 clients", 1000, "rate", {}),
            ("two nodes", "deliveries/s, 1,000 clients", 1000, "rate", {"socket.io": 1.15}),
            ("two nodes", "first to last of 2, p50, us", 2, "p50_us", {}),
            ("two nodes", "first to last of 2, p99, us", 2, "p99_us", {}),
            ("three nodes", "deliveries/s, 1,000 clients", 1000, "rate", {}),
        )
    },
}


@dataclass(frozen=True, slots=True)
class Run:
    """What is measured at each server with the same clients: all rows of one protocol and number of clients."""

    protocol: str
    clients: int
    rows: dict[str, Row]

    @property
    def steps(self) -> list[str]:
        """One after the other."""
        wanted = {row.step for row in self.rows.values()}
        if "handshakes-again" in wanted:
            wanted.add("handshakes")
        return [step for step in STEPS if step in wanted]

    @property
    def peers(self) -> dict[str, servers.Server]:
        """The servers that this is measured at."""
        return next(iter(self.rows.values())).peers

    @property
    def is_idle(self) -> bool:
        """Whether it measures memory, which takes a new server."""
        return self.steps == ["idle"]


def runs(names: Iterable[str]) -> list[Run]:
    """The rows of these names, gathered into as few runs as can be."""
    groups: dict[tuple[str, int, bool], dict[str, Row]] = defaultdict(dict)
    for name in names:
        row = ROWS[name]
        groups[row.protocol, row.clients, row.step == "idle"][name] = row
    return [Run(protocol, clients, rows) for (protocol, clients, _), rows in groups.items()]
