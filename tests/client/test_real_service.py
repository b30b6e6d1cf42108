"""The core of `client/` in Node, against the real service: what a break made it miss comes back, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.client.package import CLIENT
from tests.integration.nodejs import run_scenario
from tests.integration.provider import Provider
from tests.integration.raw_client import RawClient
from tests.integration.service import RunningService

FILE = "client_core.js"
SOURCE = str(CLIENT / "src")


class RecoveryTests(TestCase):
    """With `--recovery 120`."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        provider = Provider()
        provider.__enter__()
        self.addCleanup(provider.__exit__)
        service = RunningService(
            *("--app", "tests.integration.recovery_app:app", "--host", "127.0.0.1", "--cookie-secure", "never"),
            *("--recovery", "120"),
            cwd=folder,
            env=provider.environment,
        )
        self.addCleanup(service.__exit__, None, None, None)
        service.__enter__()
        self.settings = {"url": service.origin, "cookie": provider.cookie("alice"), "source": SOURCE}
        self.bob = RawClient(service.port, provider.cookie("bob"))
        self.addCleanup(self.bob.cut)

    def say(self, numbers: list[int]) -> None:
        """Bob says them in the room."""
        for number in numbers:
            self.bob.ask("say", "room", number)

    def run_one(self, scenario: str, **settings: Any) -> None:
        run_scenario(FILE, scenario, {**self.settings, **settings}, {"say": self.say})

    def test_a_websocket_gets_what_it_missed(self) -> None:
        self.run_one("raw_recovers")

    def test_socketio_gets_what_it_missed_by_websocket(self) -> None:
        self.run_one("socketio_recovers", transports=["websocket"])

    def test_socketio_gets_what_it_missed_by_polling(self) -> None:
        self.run_one("socketio_recovers", transports=["polling"])


class SessionTests(TestCase):
    """With `--dev`."""

    def test_a_session_from_its_login_to_its_logout_with_both_clients(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        with RunningService("--dev", cwd=folder) as service:
            settings = {"url": service.origin, "source": SOURCE}
            password = service.users["alice"]
            run_scenario(FILE, "session_of_both", {**settings, "username": "alice", "password": password})
