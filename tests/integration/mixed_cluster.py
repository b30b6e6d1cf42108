"""A cluster under test: one Redis, two processes of wsservice, one of Node's socket.io, and clients of each.

    class SomeTests(ClusterCase):
        def test_something(self) -> None:
            cluster, crowd = self.shared()
            cluster.one.emit("news", 1, room="r")
            crowd.settle()
            self.assertEqual(crowd.heard("raw1"), [["news", 1]])

The shared cluster lives as long as the test run; a test that harms one makes its own (`self.make()`). What clients
hear is told as [event, data], for all kinds of clients in the same way.
"""

from __future__ import annotations

import atexit
import re
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.cluster_clients import SOON, Board, NodeClient, RawClient
from tests.integration.node_program import NodeProgram
from tests.integration.nodejs import node_modules
from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService

APP = "tests.integration.cluster_app:app"
NAMESPACES = ("/", "/admin")
#: seconds between two looks at what does not tell by itself
PAUSE = 0.02


def until(true: Callable[[], Any], what: str, seconds: float = SOON) -> Any:
    """Wait until it is so, and give what it gives; fails past the deadline."""
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {what}"
        time.sleep(PAUSE)
    return found


class OurNode:
    """A process of wsservice; what its app can do, its driver asks for.

    Attributes:
        driver: a raw client of its own namespace's user, which hears what all clients of `/` hear.
    """

    def __init__(self, name: str, service: RunningService, connect: Callable[..., RawClient]) -> None:
        self.name = name
        self.service = service
        self._connect = connect
        self.driver: RawClient

    def drive(self, name: str) -> RawClient:
        """Connect the driver."""
        self.driver = self._connect(name, self)
        return self.driver

    def run(self, do: str, *args: Any, namespace: str = "/", **options: Any) -> Any:
        """Have the app do it; gives its result."""
        return self.driver.ask("run", {"do": do, "namespace": namespace, "args": args, "options": options})

    def emit(self, event: str, *args: Any, namespace: str = "/", **options: Any) -> None:
        """`app.emit`."""
        self.run("emit", event, *args, namespace=namespace, **options)

    @property
    def url(self) -> str:
        """For socket.io's clients."""
        return f"http://127.0.0.1:{self.service.port}"

    @property
    def is_ready(self) -> bool:
        """Whether `/ready` is green."""
        return self.service.request("GET", "/ready").status == 200


class Cluster:
    """All of it; use it by `with`.

    Args:
        arguments: more of each process of wsservice.
        env: instead of the pool of `Provider`.
        with_node: whether there are Node's server, and its clients.
    """

    def __init__(self, *arguments: str, env: dict[str, str] | None = None, with_node: bool = True) -> None:
        self.arguments = arguments
        self._env = env
        self._with_node = with_node
        self._stack = ExitStack()
        self.board = Board()
        self.cookies = 0

    def __enter__(self) -> Cluster:
        with ExitStack() as stack:
            if self._with_node:
                node_modules()
            self.folder = Path(tempfile.mkdtemp(prefix="cluster-"))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.redis = RedisServer(self.folder / "redis")
            stack.callback(self.redis.stop)
            self.provider = stack.enter_context(Provider())
            self._services = stack.enter_context(ExitStack())
            self.one, self.two = self.start_node("one"), self.start_node("two")
            if self._with_node:
                self._start_node_programs(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def start_node(self, name: str, *, is_ready: bool = True) -> OurNode:
        """Start one more process of wsservice, and wait until it is one of the cluster if it is to be."""
        folder = self.folder / f"{name}-{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        arguments = ["--host", "127.0.0.1", "--app", APP, "--adapter", self.redis.url, *self.arguments]
        env = {**(self._env or self.provider.environment), "CLUSTER_NODE": name}
        service = self._services.enter_context(RunningService(*arguments, cwd=folder, env=env))
        node = OurNode(name, service, self.raw)
        if is_ready:
            until(lambda: node.is_ready, f"{name} is ready")
        return node

    def raw(self, name: str, node: OurNode, *, user: str = "", cookie: str = "") -> RawClient:
        """A raw WebSocket client of one of our nodes; its user is named after it."""
        return RawClient(self.board, name, node.service.url, cookie or self.provider.cookie(user or name))

    def socketio(
        self, name: str, at: OurNode | None, namespace: str = "/", *, user: str = "", **options: Any
    ) -> NodeClient:
        """A client of npm's socket.io-client, of one of our nodes or (None) of Node's."""
        url = f"http://127.0.0.1:{self.node_port}" if at is None else at.url
        if at is not None:
            options["extraHeaders"] = {"cookie": self.provider.cookie(user or name)}
        return NodeClient(self.board, name, self.clients, url + namespace, options)

    @property
    def served(self) -> list[list[Any]]:
        """What other servers told Node's app."""
        return [what[1:] for what in self.board.told if what[0] == "served"]

    def subscribers(self, namespace: str = "/") -> int:
        """How many nodes are in a namespace, as Redis knows."""
        return int(self.redis.ask("PUBSUB", "NUMSUB", f"socket.io-request#{namespace}#")[1])

    def wait_until_counted(self) -> None:
        """Wait until each of our nodes has looked how many there are (see `gathering`)."""

        def looks() -> int:
            found = re.search(rb"numsub:calls=(\d+)", self.redis.ask("INFO", "commandstats"))
            return int(found[1]) if found else 0

        before = looks()
        until(lambda: looks() >= before + 6, "each node knows how many there are")

    def _start_node_programs(self, stack: ExitStack) -> None:
        self.node = NodeProgram("cluster_server.js", self.board.tell)
        stack.callback(self.node.stop)
        self.clients = NodeProgram("cluster_clients.js", self.board.tell)
        stack.callback(self.clients.stop)
        self.node_port = self.node.call("start", self.redis.port, NAMESPACES)
        self.clients.call("startEmitter", self.redis.port)
        until(lambda: self.subscribers() == 3, "three nodes are in the cluster")


class Crowd:
    """Five clients in `/`: raw ones and socket.io's at each of our nodes, one at Node's.

    The raw ones are the drivers of their nodes.
    """

    NAMES = ("raw1", "sio1", "raw2", "sio2", "node")

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.clients: dict[str, RawClient | NodeClient] = {}
        self.ids: dict[str, str] = {}
        self._fences = 0

    def gather(self) -> None:
        """Let them connect."""
        one, two = self.cluster.one, self.cluster.two
        for name, node in (("raw1", one), ("raw2", two)):
            self.clients[name] = node.drive(name)
            found = node.run("fetch", user=name)
            assert len(found) == 1, found
            self.ids[name] = found[0]["id"]
        for name, at, transport in (("sio1", one, "websocket"), ("sio2", two, "polling"), ("node", None, "websocket")):
            client = self.clients[name] = self.cluster.socketio(name, at, transports=[transport])
            client.has_offsets = at is not None and "--recovery" in self.cluster.arguments
            self.ids[name] = client.id

    def enter(self, **rooms: str) -> None:
        """Let clients enter rooms, each by its own node: `enter(raw1="a b", node="a")`."""
        for name, text in rooms.items():
            for room in text.split():
                if name == "node":
                    self.cluster.node.call("join", {"to": [self.ids[name]]}, [room])
                else:
                    node = self.cluster.one if name.endswith("1") else self.cluster.two
                    node.run("join", room, room=self.ids[name])
        for name, text in rooms.items():
            expected = {*text.split()}
            until(lambda name=name, expected=expected: expected <= self._rooms_of(name), f"{name} is in {expected}")

    def _rooms_of(self, name: str) -> set[str]:
        found = self.cluster.node.call("fetch", {"to": [self.ids[name]]})
        return {room for one in found for room in one["rooms"]}

    def settle(self) -> None:
        """Wait until everybody has heard what was sent before, and whatever may come twice."""
        self._fences += 1
        marks = [f"fence {self._fences} of {where}" for where in ("one", "two", "node", "emitter")]
        self.cluster.one.emit("fence", marks[0])
        self.cluster.two.emit("fence", marks[1])
        self.cluster.node.call("emit", {}, "fence", marks[2])
        self.cluster.clients.call("emitterEmit", {}, "fence", marks[3])
        for client in self.clients.values():
            client.wait(lambda client=client: all(["fence", mark] in client.all_heard for mark in marks), "the fences")
            assert [client.all_heard.count(["fence", mark]) for mark in marks] == [1] * len(marks)

    def heard(self, name: str) -> list[Any]:
        """What a client heard; settle first."""
        return self.clients[name].heard

    def who_heard(self, event: str) -> dict[str, int]:
        """Who heard an event, and how often."""
        counts = {name: sum(one[0] == event for one in client.heard) for name, client in self.clients.items()}
        return {name: count for name, count in counts.items() if count}

    def leave(self) -> None:
        """All go, and nobody is left anywhere."""
        for client in self.clients.values():
            client.close()
        node = self.cluster.node
        for namespace in NAMESPACES:
            until(lambda name=namespace: not node.call("fetch", {"namespace": name}), f"nobody is left in {namespace}")


@cache
def _shared(*arguments: str) -> Cluster:
    cluster = Cluster(*arguments).__enter__()
    atexit.register(cluster.__exit__)
    return cluster


class ClusterCase(SynchronousTestCase):
    """A test with a cluster.

    Attributes:
        arguments: of each process of wsservice of the shared cluster.
    """

    arguments: tuple[str, ...] = ()

    def shared(self) -> tuple[Cluster, Crowd]:
        """The cluster that all tests share, and a crowd of this test's own."""
        cluster = _shared(*self.arguments)
        crowd = Crowd(cluster)
        self.addCleanup(self.check_logs, cluster)
        self.addCleanup(crowd.leave)
        crowd.gather()
        return cluster, crowd

    def make(self, *arguments: str, **options: Any) -> Cluster:
        """A cluster of this test's own."""
        cluster = Cluster(*arguments, **options).__enter__()
        self.addCleanup(cluster.__exit__)
        self.addCleanup(self.check_logs, cluster)
        return cluster

    def check_logs(self, cluster: Cluster) -> None:
        """Whatever is done, nothing breaks inside."""
        for node in (cluster.one, cluster.two):
            for word in ("Traceback", "Unhandled", "internal_error"):
                self.assertNotIn(word, node.service.log)

    def everybody_once(self, *names: str) -> dict[str, int]:
        """Each of these heard it once."""
        return dict.fromkeys(names, 1)
