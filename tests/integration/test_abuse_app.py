"""Faults around the service: an app that misbehaves, a log that cannot be written, clocks that jump."""

from __future__ import annotations

import resource
import signal
import socket
from pathlib import Path

from tests.integration.abuse import (
    SOCKETIO,
    AbuseCase,
    Victim,
    dial,
    frame,
    open_socket,
    read_close,
    read_to_end,
    reset,
    scaled,
    until,
)
from tests.needs import missing

#: Debian's libfaketime
FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


class HandlerTests(AbuseCase):
    expected = ("Traceback",)

    def test_a_handler_that_raises_all_the_time(self) -> None:
        victim = self.start_dev()
        before = self.holds(victim)
        with self.unnoticed(victim):
            raw, session = open_socket(victim.port, self.bob), open_socket(victim.port, self.bob, path=SOCKETIO)
            count = scaled(500)
            raw.sendall(frame(b'{"event": "boom", "id": 1}') * count)
            session.sendall(frame(b"40") + frame(b'421["boom"]') * count)
            until(lambda: self.watcher.counter("handler_errors") == 2 * count)
            for sock in (raw, session):
                sock.sendall(frame(b"\x03\xe8", 8))
                self.assertEqual(read_to_end(sock).count(b"internal_error"), count)
        self.comes_back(victim, before)
        self.assertIn("the application's own trouble", victim.log)

    def test_a_handler_that_never_returns(self) -> None:
        victim = self.start_dev("--pause-timeout", "1", "--inbox-messages", "10", "--drain-timeout", "1")
        before = self.holds(victim)
        with self.unnoticed(victim):
            # Its own client waits, is not read from, and is closed in the end.
            for path, never in (("/ws", b'{"event": "never"}'), (SOCKETIO, b'42["never"]')):
                sock = open_socket(victim.port, self.bob, path=path)
                if path == SOCKETIO:
                    sock.sendall(frame(b"40"))
                sock.sendall(frame(never) * 20)
                self.assertEqual(read_close(sock), (1013, "Messages wait too long"))
                sock.close()
        running = until(lambda: self.holds(victim).tables["running"] == 2 + before.tables["running"])
        self.assertTrue(running)
        self.assertEqual(self.watcher.counter("pauses_timed_out"), 2)
        self.assertEqual(self.watcher.counter("reading_paused inbox"), 2)
        self.assertGreaterEqual(self.watcher.counter("events_dropped closing"), 2 * 10)

    def test_a_handler_that_blocks_briefly(self) -> None:
        victim = self.start_dev("--ping-interval", "2000", "--ping-timeout", "2000")
        with self.unnoticed(victim):
            sock = open_socket(victim.port, self.bob)
            for _ in range(2):  # nobody dies of a pong that the service was too busy to read
                sock.sendall(frame(b'{"event": "block", "data": 2.5}'))
                for _ in range(3):
                    self.watcher.ask("echo")
            sock.close()
        self.assertEqual(self.watcher.counter("pings_unanswered"), 0)
        self.assertEqual(self.watcher.counter("engine_sessions_ended ping timeout"), 0)


class FloodTests(AbuseCase):
    expected = ("Traceback",)

    def test_floods_leave_few_lines_in_the_log(self) -> None:
        victim = self.start_dev()
        before = self.holds(victim)
        with self.unnoticed(victim):
            count = scaled(500)
            for head in (b"X" * 20_000, b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"):
                for _ in range(count):
                    sock = dial(victim.port)
                    sock.sendall(head)
                    sock.recv(1)
                    reset(sock)
            raw = open_socket(victim.port, self.bob)
            raw.sendall(frame(b'{"event": "boom", "id": 1}') * count + frame(b"\x03\xe8", 8))
            read_to_end(raw)
            raw.close()
        for counter in ("heads_refused head_too_large", "http_refused not_found", "http_refused bad_request"):
            self.assertEqual(self.watcher.counter(counter), count)
        self.assertEqual(self.watcher.counter("handler_errors"), count)
        self.comes_back(victim, before)
        self.assertEqual(victim.stop(), 0)
        self.assertLess(victim.log.count("Traceback"), 20)
        self.assertLess(len(victim.log.splitlines()), 500)
        for cause in (
            "request refused: head_too_large",
            "answered 404",
            "request refused: bad_request",
            "RuntimeError",
        ):
            self.assertRegex(victim.log, rf"\d+ more in \d+ s: {cause}")


class LogTests(AbuseCase):
    def start_logging(self, log: str, **options: object) -> Victim:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        provider = self.provide()
        victim = self.start(
            "--login-burst", "1000", fixed_port=port, env=provider.environment, twistd=("--logfile", log), **options
        )  # fmt: skip
        self.alice, self.bob, self.carol = (provider.cookie(name) for name in ("alice", "bob", "carol"))
        until(lambda: victim.ready["checks"]["keys"]["ready"])
        self.watcher = self.watch(victim, self.carol)
        return victim

    def chatter(self, victim: Victim, requests: int) -> None:
        """Something to log, that others provoke."""
        for _ in range(requests):
            sock = dial(victim.port)
            sock.sendall(b"OPTIONS /auth/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            self.assertIn(b" 204 ", read_to_end(sock))
            sock.close()

    def test_a_log_that_takes_nothing(self) -> None:
        victim = self.start_logging("/dev/full")
        before = self.holds(victim)
        with self.unnoticed(victim):
            self.chatter(victim, 500)
        self.comes_back(victim, before)
        self.assertEqual(victim.stop(), 0)

    def test_a_disk_that_becomes_full_and_is_emptied(self) -> None:
        # A file that may not grow is as good as a full disk, and needs no rights to make.
        full = 65536
        victim = self.start_logging("service.log", before=("prlimit", f"--fsize={full}:unlimited"))
        log = victim.cwd / "service.log"
        with self.unnoticed(victim):
            for _ in range(100):
                self.chatter(victim, 50)
                if log.stat().st_size >= full - 1000:
                    break
            self.chatter(victim, 500)
            self.assertLessEqual(log.stat().st_size, full)
            resource.prlimit(victim.process.pid, resource.RLIMIT_FSIZE, (-1, -1))
            self.chatter(victim, 1)
            until(lambda: log.stat().st_size > full)
        self.assertEqual(victim.stop(), 0)
        text = log.read_text()
        self.assertIn("stopped", text)
        self.assertGreater(text.count("OPTIONS /auth/me 204"), 500)  # nothing of it was lost


class ClockTests(AbuseCase):
    def test_a_wall_clock_that_jumps_by_an_hour(self) -> None:
        if FAKETIME is None:
            raise missing("libfaketime not installed: apt-get install libfaketime")
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        rc = folder.absolute() / "clock"
        rc.write_text("+0")
        env = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(rc),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        victim = self.start_dev(
            "--dev-token-lifetime", "86400", "--ping-interval", "500", "--ping-timeout", "500",
            "--handshake-timeout", "1", env=env,
        )  # fmt: skip
        before = self.holds(victim)
        with self.unnoticed(victim):
            for hours in ("-1h", "+1h", "-1h", "+0"):
                silent = [open_socket(victim.port, self.bob, path=path) for path in ("/ws", SOCKETIO)]
                waiting = dial(victim.port)
                closed = self.watcher.counter("pings_unanswered")
                ended = self.watcher.counter("engine_sessions_ended ping timeout")
                rc.write_text(hours)
                # Deadlines are kept whatever the clock shows, and nobody else's time is up.
                self.assertIn(b" 408 ", read_to_end(waiting))
                until(lambda closed=closed: self.watcher.counter("pings_unanswered") == closed + 1)
                until(lambda ended=ended: self.watcher.counter("engine_sessions_ended ping timeout") == ended + 1)
                for sock in (waiting, *silent):
                    sock.close()
        self.comes_back(victim, before)
        victim.process.send_signal(signal.SIGTERM)
        self.assertEqual(victim.wait(), 0)
