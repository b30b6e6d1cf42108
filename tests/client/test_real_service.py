"""The core of `client/` in Node, against the real service: what a break made it miss comes back, in order."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.client.package import CLIENT
from tests.integration.nodejs import run_scenario
from tests.integration.provider import Provider
from tests.integration.raw_client import RawClient
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService

FILE = "client_core.js"
SOURCE = str(CLIENT / "src")


class RecoveryTestCase(TestCase):
    """Starts services with `--recovery 120`, and lets bob speak in the room."""

    def setUp(self) -> None:
        self.provider = Provider()
        self.provider.__enter__()
        self.addCleanup(self.provider.__exit__)

    def start(self, *arguments: str) -> RunningService:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        service = RunningService(
            *("--app", "tests.integration.recovery_app:app", "--host", "127.0.0.1", "--cookie-secure", "never"),
            *("--recovery", "120", *arguments),
            cwd=folder,
            env=self.provider.environment,
        )
        self.addCleanup(service.__exit__, None, None, None)
        return service.__enter__()

    def run_one(self, scenario: str, service: RunningService, bobs: RunningService, **settings: Any) -> None:
        """Run a scenario for alice at a service; bob is at the same, or at another one."""
        bob = RawClient(bobs.port, self.provider.cookie("bob"))
        self.addCleanup(bob.cut)

        def say(numbers: list[int]) -> None:
            for number in numbers:
                bob.ask("say", "room", number)

        def kill() -> int:
            service.stop(signal.SIGKILL)
            return bobs.port

        settings = {"url": service.origin, "cookie": self.provider.cookie("alice"), "source": SOURCE, **settings}
        run_scenario(FILE, scenario, settings, {"say": say, "kill": kill})


class RecoveryTests(RecoveryTestCase):
    """One process, of which the connection is lost."""

    def setUp(self) -> None:
        super().setUp()
        self.service = self.start()

    def test_a_websocket_gets_what_it_missed(self) -> None:
        self.run_one("raw_recovers", self.service, self.service)

    def test_socketio_gets_what_it_missed_by_websocket(self) -> None:
        self.run_one("socketio_recovers", self.service, self.service, transports=["websocket"])

    def test_socketio_gets_what_it_missed_by_polling(self) -> None:
        self.run_one("socketio_recovers", self.service, self.service, transports=["polling"])


class ClusterTests(RecoveryTestCase):
    """Two processes and Redis."""

    def setUp(self) -> None:
        super().setUp()
        redis = RedisServer(self.mktemp())
        self.addCleanup(redis.stop)
        self.first, self.second = [self.start("--adapter", redis.url) for _ in range(2)]
        for node in (self.first, self.second):
            for name in ("commands", "subscriptions"):  # it listens before it has its Redis
                node.wait_for_line(lambda line, name=name: f"the connection for {name} is up" in line)

    def test_a_websocket_gets_what_it_missed_when_its_process_is_killed(self) -> None:
        self.run_one("raw_survives_a_kill", self.first, self.second)

    def test_socketio_gets_what_it_missed_and_no_offset_of_the_cluster_with_it(self) -> None:
        self.run_one("socketio_recovers", self.first, self.second, transports=["websocket"])


class SessionTests(TestCase):
    """With `--dev`."""

    def test_a_session_from_its_login_to_its_logout_with_both_clients(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        with RunningService("--dev", cwd=folder) as service:
            settings = {"url": service.origin, "source": SOURCE}
            password = service.users["alice"]
            run_scenario(FILE, "session_of_both", {**settings, "username": "alice", "password": password})
