"""What the real service tells systemd, over a socket of the test's own in place of the manager's."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import connect

from tests.integration.service import PATIENCE, RunningService

#: of the watchdog of these tests; the service pings twice in it
WATCHDOG = 0.2


class NotifyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="wsservice-"))  # trial's own is too deep for a Unix socket
        self.addCleanup(shutil.rmtree, self.folder)
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.settimeout(PATIENCE)
        self.manager.bind(str(self.folder / "notify"))

    def start(self, *arguments: str, **environ: str) -> RunningService:
        env = {"NOTIFY_SOCKET": str(self.folder / "notify"), **environ}
        service = RunningService("--dev", *arguments, cwd=self.folder, env=env)
        self.addCleanup(service.__exit__, None, None, None)
        return service.__enter__()

    def hear(self, wanted: str) -> list[str]:
        """The lines of all datagrams up to that with the wanted line."""
        found: list[str] = []
        while wanted not in found:
            found += self.manager.recv(4096).decode().split("\n")
        return found

    def test_its_whole_life(self) -> None:
        service = self.start()
        self.hear("READY=1")
        self.assertEqual(service.request("GET", "/health").status, 200)
        os.kill(service.process.pid, signal.SIGHUP)
        self.assertEqual(self.hear("READY=1")[0], "RELOADING=1")
        service.process.terminate()
        heard = self.hear("STOPPING=1")
        self.assertIn("EXTEND_TIMEOUT_USEC=45000000", heard)
        self.assertIn("STATUS=stopping: 0 connections", heard)
        self.assertEqual(service.wait(), 0)

    def test_the_status_tells_where_it_listens(self) -> None:
        service = self.start()
        self.assertIn(f"STATUS=serving 0 connections on 127.0.0.1:{service.port}", self.hear("READY=1"))

    def test_a_service_that_cannot_start_never_says_that_it_is_ready(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            env = {"NOTIFY_SOCKET": str(self.folder / "notify")}
            service = RunningService("--dev", "--port", port, cwd=self.folder, env=env)
            self.addCleanup(service.__exit__, None, None, None)
            self.assertEqual(service.wait(), 2)
        self.manager.setblocking(False)
        self.assertRaises(BlockingIOError, self.manager.recv, 4096)

    def test_a_reload_reads_the_settings_anew(self) -> None:
        (self.folder / ".env").write_text("WSSERVICE_DRAIN_TIMEOUT=5\n")
        service = self.start()
        self.hear("READY=1")
        (self.folder / ".env").write_text("WSSERVICE_DRAIN_TIMEOUT=9\nLOG_LEVEL=debug\nWSSERVICE_WS_PATH=/socket\n")
        service.process.send_signal(signal.SIGHUP)
        self.hear("READY=1")
        service.wait_for_line(lambda line: "reloaded: drain_timeout=9, log_level=debug" in line)
        service.wait_for_line(lambda line: "restart the service for --ws-path" in line)
        service.process.terminate()
        self.assertIn("EXTEND_TIMEOUT_USEC=24000000", self.hear("STOPPING=1"))

    def test_a_loop_that_is_blocked_pings_no_more(self) -> None:
        app = "tests.integration.notify_app:app"
        service = self.start("--app", app, WATCHDOG_USEC=str(int(WATCHDOG * 1e6)))
        self.hear("WATCHDOG=1")
        cookie = service.log_in("alice")
        with connect(service.url, origin=service.origin, additional_headers={"Cookie": cookie}) as client:
            client.send(f'{{"event": "block", "data": {5 * WATCHDOG}}}')
            self.hear("X_BLOCKED=1")
            # The handler's own words stand in the same queue, so nobody's clock is compared.
            self.assertEqual(self.hear("X_FREE=1"), ["X_FREE=1"])
            self.hear("WATCHDOG=1")
