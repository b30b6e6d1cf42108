"""Recovery over nodes: a client that was cut off comes back elsewhere, and misses nothing, and gets nothing twice."""

from __future__ import annotations

import signal

from twisted.trial.unittest import TestCase

from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService
from tests.integration.socketio_client import SocketIoClient


class RecoveryTests(TestCase):
    def setUp(self) -> None:
        self.redis = RedisServer(self.mktemp())
        self.addCleanup(self.redis.stop)
        self.provider = self.enter(Provider())
        self.first, self.second = self.start(), self.start()

    def enter(self, context: object) -> object:
        made = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return made

    def start(self, *arguments: str) -> RunningService:
        return self.enter(
            RunningService(
                *("--app", "tests.integration.recovery_app:app", "--recovery", "60"),
                *("--adapter", self.redis.url, "--host", "127.0.0.1", "--cookie-secure", "never"),
                *arguments,
                cwd=self.make_directory(),
                env=self.provider.environment,
            )
        )

    def make_directory(self) -> str:
        import os

        name = self.mktemp()
        os.makedirs(name)
        return name

    def connect(self, node: RunningService, user: str = "alice") -> SocketIoClient:
        client = SocketIoClient(node.port, self.provider.cookie(user))
        self.addCleanup(client.cut)
        return client

    def come_back(self, client: SocketIoClient, node: RunningService, user: str = "alice") -> SocketIoClient:
        again = client.come_back(node.port, self.provider.cookie(user))
        self.addCleanup(again.cut)
        return again

    def test_a_client_that_was_cut_off_gets_what_it_missed_on_another_node(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        client.ask("note", "name", {"a": [1, None]})
        other.ask("say", "room", 1)
        client.read_until(1)
        client.cut()
        for number in range(2, 12):
            other.ask("say", "room" if number % 2 else None, number)
        again = self.come_back(client, self.second)
        self.assertEqual((again.sid, again.pid), (client.sid, client.pid))
        self.assertEqual(again.read_until(10), list(range(2, 12)))
        state = again.ask("state")
        self.assertEqual(state["rooms"], ["room"])
        self.assertEqual((state["recovered"], state["data"]), (True, {"name": {"a": [1, None]}}))
        other.ask("say", "room", 12)
        self.assertEqual(again.read_until(11)[-1], 12)

    def test_a_node_that_was_killed_cannot_say_goodbye(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        other.ask("say", "room", 1)
        client.read_until(1)
        self.first.stop(signal.SIGKILL)
        for number in range(2, 12):
            other.ask("say", "room", number)
        again = self.come_back(client, self.second)
        self.assertEqual((again.sid, again.pid), (client.sid, client.pid), self.second.log)
        self.assertEqual(again.read_until(10), list(range(2, 12)))
        self.assertEqual(again.ask("state")["rooms"], ["room"])
        third = self.start()
        again.cut()
        other.ask("say", "room", 12)
        last = self.come_back(again, third)
        self.assertEqual(last.read_until(1), [12])
        self.assertEqual(last.sid, client.sid)
