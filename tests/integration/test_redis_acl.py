"""The user of docs/scaling.md may do in Redis what a node does, and nothing is refused."""

from __future__ import annotations

import re
import urllib.parse
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import ROOT, RunningService
from tests.integration.socketio_client import SocketIoClient

LINE = re.compile(r"^user (wsservice on >SECRET .*)$", re.MULTILINE)


class AclTests(TestCase):
    def test_the_user_of_the_documentation_is_enough(self) -> None:
        folder = Path(self.mktemp())
        redis = RedisServer(folder / "redis")
        self.addCleanup(redis.stop)
        found = LINE.search((ROOT / "docs/scaling.md").read_text())
        assert found is not None
        self.assertEqual(redis.ask("ACL", "SETUSER", *found[1].split()), "OK")
        address = urllib.parse.urlsplit(redis.url)
        url = f"redis://wsservice:SECRET@127.0.0.1:{address.port}/0"
        arguments = ("--app", "tests.integration.recovery_app:app", "--recovery", "60", "--adapter", url)
        with (
            Provider() as provider,
            RunningService(*arguments, "--host", "127.0.0.1", cwd=folder, env=provider.environment) as one,
            RunningService(*arguments, "--host", "127.0.0.1", cwd=folder, env=provider.environment) as two,
        ):
            clients = [SocketIoClient(node.port, provider.cookie("alice")) for node in (one, two)]
            for client in clients:
                self.addCleanup(client.cut)
                client.ask("join", "room")
            clients[0].ask("say", "room", 1)
            self.assertEqual([client.read_until(1) for client in clients], [[1], [1]])
            clients[0].cut()
            again = clients[0].come_back(two.port, provider.cookie("alice"))
            self.addCleanup(again.cut)
            self.assertEqual(again.sid, clients[0].sid)
            self.assertEqual(one.request("GET", "/ready").status, 200)
            for node in (one, two):
                self.assertNotIn("NOPERM", node.log)
                self.assertNotIn("refused", node.log)
        self.assertEqual([entry for entry in redis.ask("ACL", "LOG") if b"wsservice" in entry], [])
