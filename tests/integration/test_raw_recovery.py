"""Raw clients that come back to one process, which keeps what they missed in its memory."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import TestCase

from tests.integration.provider import Provider
from tests.integration.raw_client import RawClient
from tests.integration.service import RunningService


class RawRecoveryTests(TestCase):
    def setUp(self) -> None:
        self.provider = Provider()
        self.provider.__enter__()
        self.addCleanup(self.provider.__exit__)
        self.service = self.start("--recovery", "60", "--log-level", "debug")

    def start(self, *arguments: str) -> RunningService:
        name = self.mktemp()
        os.makedirs(name)
        service = RunningService(
            *("--app", "tests.integration.recovery_app:app", "--host", "127.0.0.1", "--cookie-secure", "never"),
            *arguments,
            cwd=name,
            env=self.provider.environment,
        )
        self.addCleanup(service.__exit__, None, None, None)
        return service.__enter__()

    def connect(self, user: str = "alice", query: str = "recover=1") -> RawClient:
        client = RawClient(self.service.port, self.provider.cookie(user), query)
        self.addCleanup(client.cut)
        return client

    def come_back(self, client: RawClient, user: str = "alice") -> RawClient:
        again = client.come_back(self.service.port, self.provider.cookie(user))
        self.addCleanup(again.cut)
        return again

    def test_a_client_gets_what_it_missed_again_and_again(self) -> None:
        client, other = self.connect(), self.connect("bob")
        client.ask("join", "room")
        client.ask("note", "name", [1])
        sent = 0
        for _ in range(10):
            client.cut()
            for _ in range(10):
                other.ask("say", "room" if sent % 2 else None, sent)
                sent += 1
            session = client.pid
            client = self.come_back(client)
            self.assertEqual((client.welcome["recovered"], client.pid), (True, session))
            self.assertEqual(client.read_until(10), list(range(sent - 10, sent)))
        state = client.ask("state")
        self.assertEqual((state["rooms"], state["data"], state["id"]), (["room"], {"name": [1]}, client.sid))
        other.ask("say", "room", "live")
        self.assertEqual(client.read_until(11)[-1], "live")

    def test_the_session_is_in_no_log(self) -> None:
        client = self.connect()
        client.cut()
        client = self.come_back(client)
        self.assertTrue(client.welcome["recovered"])
        for path in (f"/ws?recover={client.pid}&offset={client.offset}", f"/nothing?recover={client.pid}"):
            self.service.request("GET", path)
        self.assertEqual(self.connect("bob", f"recover={client.pid}").welcome["reason"], "foreign")
        self.service.stop(signal.SIGTERM)
        self.assertIn("connection of alice opened", self.service.log)
        self.assertNotIn(client.pid, self.service.log)

    def test_after_a_restart_it_is_unknown(self) -> None:
        client = self.connect()
        self.service.stop(signal.SIGTERM)
        self.service = self.start("--recovery", "60")
        again = self.come_back(client)
        self.assertEqual((again.welcome["recovered"], again.welcome["reason"]), (False, "unknown"))

    def test_where_it_is_off_the_welcome_says_so(self) -> None:
        self.service = self.start()
        client = self.connect()
        self.assertEqual((client.pid, client.offset, client.welcome["reason"]), (None, None, "off"))
        client.ask("say", None, 1)
        self.assertEqual(client.read_until(1), [1])
