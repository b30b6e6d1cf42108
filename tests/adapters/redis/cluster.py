"""Several nodes on one `FakeRedis` and one Clock, each with all of Socket.IO in memory, and clients that come back."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

from twisted.internet.task import Clock

from tests.adapters.redis.fake_redis import FakeLink, FakeRedis
from tests.clients.bench import Bench, Socketeer
from wsservice.adapters.local import Local
from wsservice.adapters.redis.adapter import RedisAdapter
from wsservice.adapters.redis.classic_broadcast import encode_broadcast
from wsservice.adapters.redis.positions import entry_of, parse_position
from wsservice.adapters.redis.shared_history import SharedHistory
from wsservice.auth.revocations import Revocations
from wsservice.messages import Broadcast, Target
from wsservice.sessions import Sessions


class Node:
    """A process: its link, and its service in memory."""

    def __init__(self, cluster: Cluster, **options: Any) -> None:
        self.link = FakeLink(cluster.redis)
        self.adapter = RedisAdapter(self.link, "socket.io", python_channel="socketio", **options)  # type: ignore[arg-type]
        self.bench = bench = Bench(
            recovery={"window": 60.0}, hub={"adapter": self.adapter}, clock=cluster.clock, history_class=SharedHistory
        )
        self.sessions = Sessions(
            bench.registry, Revocations(bench.clock.seconds), bench.clock.seconds, bench.history, self.adapter
        )
        self.adapter.serve(Local(bench.hub, bench.app, self.sessions))
        self.is_alive = True
        self.adapter.start()

    @property
    def id(self) -> str:
        return self.adapter.nodes.id

    def count(self, name: str, reason: str = "") -> int:
        """One of its counters."""
        return self.bench.counters.get(name, reason)

    def say(self, number: Any, room: str | None = None, **options: Any) -> None:
        """Its application sends an event."""
        self.bench.app.emit("said", number, room=room, **options)

    def kill(self) -> None:
        """SIGKILL: nothing more comes of it."""
        self.is_alive = False
        self.link.die()
        self.adapter._broadcasts.stop()
        assert self.adapter._saved is not None
        for loop in (self.adapter._saved._looking, self.adapter._saved._prolonging, self.adapter.nodes._loop):
            if loop.running:
                loop.stop()


class Client:
    """A client that remembers what it got, whatever node it is at.

    Attributes:
        events: numbers, as they came; of a connection that was not recovered nothing is left.
        is_new: whether it has been a new connection since the test said that it is not.
        recovered: whether the last connection continued the one before; None while that is not known.
    """

    def __init__(self, user: str) -> None:
        self.user = user
        self.node: Node | None = None
        self.peer: Socketeer | None = None
        self.sid = ""
        self.pid: str | None = None
        self.offset: str | None = None
        self.offsets: list[int] = []
        self.events: list[Any] = []
        self.recovered: bool | None = None
        self.is_new = True

    def come(self, node: Node) -> None:
        """Connect, with what is known of the connection before."""
        self.cut()
        self.node, self.recovered = node, None
        self.peer = node.bench.socketeer(self.user)
        auth = {name: value for name, value in (("pid", self.pid), ("offset", self.offset)) if value is not None}
        self.peer.say("40" + json.dumps(auth))

    def cut(self) -> None:
        """The connection breaks; what had arrived is read."""
        if self.peer is not None:
            if self.node is not None and self.node.is_alive:
                self.hear()
            if self.peer is not None:
                self.peer.drop()
        self.node = self.peer = None

    def lose(self) -> None:
        """The connection breaks, and what is on its way is lost."""
        if self.peer is not None:
            self.peer.drop()
        self.node = self.peer = None

    def hear(self) -> None:
        """Read what has come."""
        if self.peer is None or self.node is None or not self.node.is_alive:
            return
        for packet in self.peer.hear():
            self._take(packet)
        if self.peer is not None and self.peer.close is not None:
            self.peer.drop()
            self.node = self.peer = None

    def _take(self, packet: str | bytes) -> None:
        assert isinstance(packet, str)
        if packet.startswith("40"):
            body = json.loads(packet[2:])
            self.recovered = None if self.pid is None else body["pid"] == self.pid
            if not self.recovered:
                self.is_new = True
                self.offset, self.offsets, self.events = None, [], []
            self.sid, self.pid = body["sid"], body["pid"]
        elif packet.startswith("42"):
            name, *args, offset = json.loads(packet[2:])
            assert name == "said", packet
            position = parse_position(offset)
            assert position is not None, offset
            self.offsets.append(entry_of(position))
            assert self.offsets == sorted(self.offsets), "offsets ascend"
            self.offset = offset
            self.events += args
        elif packet.startswith("41"):
            self.lose()


class Cluster:
    """The nodes, and their Redis."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.redis = FakeRedis(self.clock)
        self.nodes: list[Node] = []
        self.clients: list[Client] = []
        self._numbers = count(1)

    def start(self, **options: Any) -> Node:
        """A node more, which has Redis at once."""
        node = Node(self, **options)
        self.nodes.append(node)
        node.link.connect()
        self.settle()
        return node

    def client(self, node: Node, user: str | None = None) -> Client:
        """A client more."""
        client = Client(user or f"user{len(self.clients)}")
        self.clients.append(client)
        client.come(node)
        self.settle()
        return client

    def number(self) -> int:
        """Of an event that was not there before."""
        return next(self._numbers)

    def emit(self, number: Any, room: str | None = None, namespace: str = "/") -> None:
        """Another program sends an event."""
        rooms = frozenset() if room is None else frozenset({room})
        _, payload = encode_broadcast("emitter", Broadcast("said", (number,), Target(namespace, rooms)))
        self.redis.publish(f"socket.io#{namespace}#{room + '#' if room else ''}".encode(), payload)

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes if node.is_alive]

    def settle(self) -> None:
        """Everything that is on its way arrives, where there are connections."""
        for _ in range(60):
            self.redis.be_late()
            self.clock.advance(0)
            links = [node.link for node in self.alive]
            busy = [link for link in links if link.sent or link.answers or link.messages]
            for link in links:
                link.execute()
                link.hear()
                link.answer()
            for client in self.clients:
                client.hear()
            if not busy and not any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
                return
        raise AssertionError("it does not settle")

    def advance(self, seconds: float) -> None:
        """Time passes."""
        for _ in range(int(seconds * 2)):
            self.clock.advance(0.5)
            self.settle()

    def heal(self) -> None:
        """All have Redis again."""
        for node in self.alive:
            node.link.connect()
        self.settle()
