"""The service dies by SIGKILL and is started again, while two people chat: nothing that was promised is lost.

What is promised, and what it takes (docs/reliability.md, docs/scaling.md): with Redis and `--recovery` every event
that was recorded reaches every client once, in order, whether its process died or not; and what somebody writes while
there is no connection waits in the page. The keys are the user pool's, so that the sessions outlive the process.
"""

from __future__ import annotations

import signal
import socket

from tests.integration.browser import Window
from tests.integration.browser_case import REFUSED, BrowserTestCase
from tests.integration.provider import Provider
from tests.integration.raw_client import RawClient
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService

BACK = "back, and nothing was missed"


class KillTests(BrowserTestCase):
    def start_service(self) -> None:
        """Start a user pool, a Redis, and the service at a port that it keeps."""
        self.provider = Provider().__enter__()
        self.addCleanup(self.provider.__exit__)
        self.redis = RedisServer(self.folder())
        self.addCleanup(self.redis.stop)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.node = self.start(self.port)

    def start(self, port: int) -> RunningService:
        """One process of the service."""
        node = RunningService(
            *("--host", "127.0.0.1", "--adapter", self.redis.url, "--recovery", "60", "--port", str(port)),
            cwd=self.folder(),
            env=self.provider.environment,
        )
        self.addCleanup(node.__exit__, None, None, None)
        return node.__enter__()

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}/"

    def person(self, user: str) -> Window:
        """A window with a session of the pool."""
        window = self.window()
        window.bring_cookie("authToken", self.provider.issuer.token(user))
        window.open()
        window.until_state("connected")
        return window

    def test_both_windows_come_back_by_themselves_and_miss_nothing(self) -> None:
        self.expected = [REFUSED, "/auth/refresh - Failed to load resource"]
        both = alice, bob = self.person("alice"), self.person("bob")
        other = self.start(0)
        witness = RawClient(other.port, self.provider.cookie("carol"))
        self.addCleanup(witness.cut)
        names = ["alice (you)", "bob", "carol"]  # carol is connected to the other process
        alice.until(lambda: [row.text for row in alice.find_all("#who .who-name")] == names, "all three in the list")
        alice.say("before")
        for window in both:
            for pane in ("#raw", "#socketio"):
                window.until_messages("before", pane=pane)
        self.assertEqual(self.node.stop(signal.SIGKILL), -signal.SIGKILL)
        for window in both:
            for pane in ("#raw", "#socketio"):
                window.until(lambda w=window, p=pane: w.state_of(p) != "connected", "the loss noticed")
        said = ["one", "two", "three"]
        for text in said:  # by somebody on another process
            witness.say(text)
        alice.say("by alice, meanwhile", "#socketio")
        bob.say("by bob, meanwhile")
        self.start(self.port)
        for window in both:
            window.until_state("connected")
            for pane in ("#raw", "#socketio"):
                window.until(lambda w=window, p=pane: len(w.messages_of(p)) == 6, "six messages")
                texts = [text for _, text in window.messages_of(pane)]
                self.assertEqual(texts[:4], ["before", *said])
                self.assertEqual(set(texts[4:]), {"by alice, meanwhile", "by bob, meanwhile"})
                self.assertEqual(window.text(f"{pane} .badge-cause"), BACK)
