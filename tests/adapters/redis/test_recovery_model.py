"""Any order of cuts, kills, restarts and come-backs: nobody gets an event twice, and nobody loses one uncounted."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.cluster import Client, Cluster, Node

_CLIENTS = st.integers(0, 3)
_NODES = st.integers(0, 5)
_FEW = st.integers(1, 4)


class Recovery(RuleBasedStateMachine):
    """Two nodes and more, four clients; each event is for all. In `settled` all is as it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        #: number -> the node that sent it, None for another program
        self.sent: dict[int, Node | None] = {}
        #: what each client was there for, since it was last a new one
        self.since: dict[Client, int] = {}
        #: other programs' events that not all nodes may have heard
        self.doubtful: set[int] = set()
        self.is_settled = 0
        self.has_lost = False
        self.was_cut = False

    @initialize()
    def begin(self) -> None:
        for _ in range(2):
            self.cluster.start()
        for index in range(4):
            client = self.cluster.client(self.node(index))
            client.is_new = False
            self.since[client] = 0

    def node(self, index: int) -> Node:
        alive = self.cluster.alive
        return alive[index % len(alive)]

    def client(self, index: int) -> Client:
        return self.cluster.clients[index]

    def take(self) -> int:
        return self.cluster.number()

    @rule(node=_NODES, count=_FEW)
    def say(self, node: int, count: int) -> None:
        for _ in range(count):
            number = self.take()
            self.sent[number] = self.node(node)
            self.node(node).say(number)

    @rule(count=_FEW)
    def another_program(self, count: int) -> None:
        if all(node.link.hears for node in self.cluster.alive):
            for _ in range(count):
                number = self.take()
                self.sent[number] = None
                self.cluster.emit(number)

    @rule(node=_NODES, count=_FEW)
    def execute(self, node: int, count: int) -> None:
        self.node(node).link.execute(count)

    @rule(node=_NODES, count=_FEW)
    def answer(self, node: int, count: int) -> None:
        self.node(node).link.answer(count)

    @rule(node=_NODES, count=_FEW)
    def listen(self, node: int, count: int) -> None:
        self.node(node).link.hear(count)

    @rule()
    def turn(self) -> None:
        self.cluster.clock.advance(0)

    @rule(seconds=st.sampled_from((0.3, 1.2)))
    def wait(self, seconds: float) -> None:
        self.cluster.clock.advance(seconds)

    @rule(node=_NODES, late=st.booleans())
    def cut_commands(self, node: int, late: bool) -> None:
        self.was_cut = True
        self.node(node).link.cut_commands(late=late)

    @rule(node=_NODES)
    def cut_subscriptions(self, node: int) -> None:
        self.was_cut = True
        self.doubt()
        self.node(node).link.cut_subscriptions()

    @rule(node=_NODES, commands=st.booleans(), subscriptions=st.booleans())
    def connect(self, node: int, commands: bool, subscriptions: bool) -> None:
        self.node(node).link.connect(commands=commands, subscriptions=subscriptions)

    @rule()
    def be_late(self) -> None:
        self.cluster.redis.be_late()

    @precondition(lambda self: not self.has_lost)
    @rule(skew=st.sampled_from((0.0, 0.0, -20.0)))
    def restart_redis(self, skew: float) -> None:
        self.has_lost = True
        self.doubt()
        self.cluster.redis.skew = skew
        self.cluster.redis.restart()

    @precondition(lambda self: len(self.cluster.nodes) < 6)
    @rule(node=_NODES)
    def kill(self, node: int) -> None:
        killed = self.node(node)
        self.doubt()
        for client in self.cluster.clients:
            if client.node is killed:
                client.hear()  # what had arrived
        killed.kill()
        for client in self.cluster.clients:
            if client.node is killed:
                client.lose()
        if len(self.cluster.alive) < 2:
            self.cluster.nodes.append(Node(self.cluster))
            self.cluster.nodes[-1].link.connect()

    @rule(client=_CLIENTS)
    def cut(self, client: int) -> None:
        self.client(client).cut()

    @rule(client=_CLIENTS, node=_NODES)
    def come(self, client: int, node: int) -> None:
        self.client(client).come(self.node(node))

    @rule()
    def settle(self) -> None:
        self.cluster.heal()
        self.cluster.advance(6.0)  # leases end, and are taken
        last = max(self.sent, default=0)
        self.sent = {number: node for number, node in self.sent.items() if number not in self.doubtful}
        self.is_settled = last
        for client in self.cluster.clients:
            if client.node is None:
                client.come(self.cluster.alive[0])
        self.cluster.settle()
        for client in self.cluster.clients:
            assert client.peer is not None
            if client.is_new:
                assert self.is_excused(client), f"{client.user} was not recovered"
                client.is_new = False
                self.since[client] = last
            missing = [number for number in self.wanted(last) if number > self.since[client]]
            missing = [number for number in missing if number not in client.events]
            assert not missing or self.has_lost, f"{client.user} lost {missing}"

    def doubt(self) -> None:
        self.doubtful |= {number for number, node in self.sent.items() if node is None and number > self.is_settled}

    def wanted(self, last: int) -> list[int]:
        """What everybody gets: not what a node was killed with before it was recorded."""
        return [number for number, node in self.sent.items() if node is None or node.is_alive]

    def is_excused(self, client: Client) -> bool:
        return self.has_lost or self.was_cut

    @invariant()
    def nothing_twice(self) -> None:
        for client in self.cluster.clients:
            client.hear()
            twice = [number for number in client.events if client.events.count(number) > 1]
            assert not twice, f"{client.user} got {sorted(set(twice))} twice"

    def teardown(self) -> None:
        if self.cluster.nodes:
            self.settle()
            self.nothing_twice()
        for node in self.cluster.alive:
            node.kill()


class RecoveryTests(SynchronousTestCase):
    def test_nothing_is_lost_and_nothing_comes_twice(self) -> None:
        def run() -> None:
            case: Any = Recovery.TestCase()
            case.settings = settings(
                max_examples=150,
                stateful_step_count=40,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                derandomize=True,
            )
            case.runTest()

        run()
