"""examples/presence on two real nodes with a real Redis, of which one is killed."""

from __future__ import annotations

import json
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import ClientConnection, connect

from tests.examples.readme import EXAMPLES
from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import PATIENCE, RunningService


class PresenceTests(SynchronousTestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        redis = RedisServer(Path(self.mktemp()).absolute())
        stack.callback(redis.stop)
        self.provider = stack.enter_context(Provider())
        self.stack = stack
        arguments = ("--app", "app:app", "--adapter", redis.url)
        env = {**self.provider.environment, "PYTHONDONTWRITEBYTECODE": "1"}
        nodes = [RunningService(*arguments, cwd=EXAMPLES / "presence", env=env) for _ in range(2)]
        self.nodes = [stack.enter_context(node) for node in nodes]

    def connect(self, user: str, node: int) -> ClientConnection:
        cookie = {"Cookie": self.provider.cookie(user)}
        return self.stack.enter_context(connect(self.nodes[node].url, additional_headers=cookie, proxy=None))

    def hear(self, client: ClientConnection) -> tuple[str, Any]:
        message = json.loads(client.recv(PATIENCE))
        return message["event"], message["data"]

    def test_each_user_comes_and_goes_once_whatever_becomes_of_tabs_and_nodes(self) -> None:
        def changes(user: str, online: bool) -> tuple[str, Any]:
            return "presence", {"user": user, "online": online}

        alice = self.connect("alice", 0)
        self.assertEqual(self.hear(alice), ("online", ["alice"]))
        tabs = [self.connect("bob", node) for node in (1, 0, 1)]
        for tab in tabs:
            self.assertEqual(self.hear(tab), ("online", ["alice", "bob"]))
        self.assertEqual(self.hear(alice), changes("bob", True))
        for tab in tabs:
            tab.close()
        self.assertEqual(self.hear(alice), changes("bob", False))  # and nothing of his other tabs before
        carol = self.connect("carol", 1)
        self.assertEqual(self.hear(carol), ("online", ["alice", "carol"]))
        self.assertEqual(self.hear(alice), changes("carol", True))
        self.nodes[1].stop(signal.SIGKILL)
        self.assertEqual(self.hear(alice), changes("carol", False))
        self.assertNotIn("Traceback", self.nodes[0].log)
