"""Clients that read slowly but steadily: they get all that was sent, and see why they are closed."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from tests.certificates import make_certificate, write_pem
from tests.integration.abuse import (
    CLOSE,
    MIB,
    SOCKETIO,
    AbuseCase,
    Victim,
    close_of,
    frame,
    read_head,
    reset,
    until,
    upgrade,
)
from tests.integration.service import PATIENCE

#: what a client's system holds for it: as little as it may be
SMALL = 8192
#: how often (seconds) a slow client reads
PERIOD = 0.05


class SlowReader:
    """A WebSocket that is read at a rate, by a thread, from `begin` on and until its end.

    Args:
        rate: bytes a second; 0 reads nothing at all.
        unix: the path of a Unix socket to come by.
    """

    def __init__(self, victim: Victim, cookie: str, path: str, rate: int, *, tls: bool = False, unix: str = "") -> None:
        self.rate = rate
        self.data = bytearray()
        #: how it ended: `fin` or the error's name
        self.end = ""
        sock = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.settimeout(PATIENCE)
        sock.connect(unix or ("127.0.0.1", victim.port))
        self.sock = ssl._create_unverified_context().wrap_socket(sock) if tls else sock
        self.sock.sendall(upgrade(victim.port, cookie, path=path))
        assert b" 101 " in read_head(self.sock)
        is_raw = path == "/ws"
        self.sock.sendall(frame(b'{"event": "join", "data": "room"}') if is_raw else frame(b"40"))
        if not is_raw:
            self.sock.sendall(frame(b'42["join","room"]'))
        self._thread = threading.Thread(target=self._read, daemon=True)

    def begin(self) -> None:
        """Read from now on."""
        self._thread.start()

    def join(self, patience: float = 2 * PATIENCE) -> None:
        """Wait for its end."""
        self._thread.join(patience)
        assert not self._thread.is_alive(), "the connection does not end"

    @property
    def close(self) -> tuple[int, str] | None:
        """The close frame that it got."""
        return close_of(bytes(self.data))

    @property
    def messages(self) -> int:
        """How many messages of the flood it got whole."""
        return self.data.count(b'"flood"')

    def _read(self) -> None:
        began, got = time.monotonic(), 0
        try:
            while True:
                wanted = int((time.monotonic() - began) * self.rate) - got
                if wanted <= 0:
                    time.sleep(PERIOD)
                    continue
                data = self.sock.recv(min(wanted, 16384))
                if not data:
                    self.end = "fin"
                    return
                got += len(data)
                self.data += data
                if len(data) < 200 and self.close is not None:
                    self.sock.sendall(frame(b"\x03\xe8", CLOSE))
        except OSError as error:
            self.end = type(error).__name__


class ClosingCase(AbuseCase):
    """Bob's slow clients are in the room `room`."""

    def readers(self, victim: Victim, *rates: int, tls: bool = False) -> list[SlowReader]:
        """One of each kind at each rate; they read nothing yet."""
        made = [SlowReader(victim, self.bob, path, rate, tls=tls) for rate in rates for path in ("/ws", SOCKETIO)]
        for one in made:
            self.addCleanup(one.sock.close)
        until(lambda: self.watcher.ask("members", "room") == len(made))
        return made

    def start_tls(self, *arguments: str) -> Victim:
        """The service over TLS."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        certificate, key = make_certificate("localhost")
        chain, secret = write_pem(folder / "cert.pem", certificate), write_pem(folder / "key.pem", key)
        return self.start_dev(
            "--tls-cert", str(chain.resolve()), "--tls-key", str(secret.resolve()), *arguments, tls=True
        )

    def watch(self, victim: Victim, cookie: str) -> Any:
        """Over TLS, too."""
        options = {"ssl": ssl._create_unverified_context()} if victim._tls else {}
        return super().watch(victim, cookie, **options)

    def ends(self, readers: list[SlowReader]) -> list[tuple[tuple[int, str] | None, str]]:
        """How each was closed, and how its connection ended."""
        for one in readers:
            one.join()
        return [(one.close, one.end) for one in readers]


class SteadyTests(ClosingCase):
    def test_who_is_too_slow_sees_4408(self) -> None:
        victim = self.start_dev()
        before = self.holds(victim)
        with self.unnoticed(victim):
            readers = self.readers(victim, 100_000, 200_000, 400_000)
            for one in readers:
                one.begin()
            self.watcher.ask("flood", {"room": "room", "size": 16384, "rate": MIB, "seconds": 12})
            self.assertEqual(self.ends(readers), [((4408, "Client reads too slowly"), "fin")] * 6)
        self.assertEqual(self.watcher.counter("connections_closed 4408"), 6)
        self.assertEqual(self.watcher.counter("connections_cut unread"), 0)
        self.comes_back(victim, before)

    def closed_behind_two_mebibytes(self, victim: Victim, *, tls: bool = False) -> list[SlowReader]:
        readers = self.readers(victim, 400_000, tls=tls)
        self.watcher.ask("burst", {"room": "room", "size": 16384, "count": 128})
        for one in readers:
            one.begin()
        return readers

    def test_a_logout_behind_two_mebibytes_is_seen_and_nothing_is_lost(self) -> None:
        for tls in (False, True):
            victim = (self.start_tls if tls else self.start_dev)("--send-queue-bytes", str(8 * MIB))
            before = self.holds(victim)
            with nullcontext() if tls else self.unnoticed(victim):
                readers = self.closed_behind_two_mebibytes(victim, tls=tls)
                self.assertEqual(victim.request("POST", "/auth/logout", {}, cookie=self.bob).status, 204)
                self.assertEqual(self.ends(readers), [((1008, "Signed out"), "fin")] * 2)
                self.assertEqual([one.messages for one in readers], [128, 128])
            self.assertEqual(self.watcher.counter("messages_dropped lost"), 0)
            self.comes_back(victim, before)

    def test_so_it_is_however_short_the_time_to_read_is(self) -> None:
        victim = self.start_dev("--send-queue-bytes", str(8 * MIB), "--unread-timeout", "2")
        readers = self.closed_behind_two_mebibytes(victim)
        self.assertEqual(victim.request("POST", "/auth/logout", {}, cookie=self.bob).status, 204)
        self.assertEqual(self.ends(readers), [((1008, "Signed out"), "fin")] * 2)
        self.assertEqual([one.messages for one in readers], [128, 128])
        self.assertEqual(self.watcher.counter("connections_cut unread"), 0)

    def test_who_closes_and_goes_on_sending_gets_what_was_sent_before(self) -> None:
        victim = self.start_dev("--send-queue-bytes", str(8 * MIB))
        readers = self.readers(victim, 800_000)
        self.watcher.ask("burst", {"room": "room", "size": 16384, "count": 100})
        for one in readers:
            one.sock.sendall(frame(b"\x03\xe8", CLOSE) + frame(b"x" * 100_000))
            one.begin()
        self.assertEqual([end for _, end in self.ends(readers)], ["fin"] * 2)
        self.assertEqual([one.messages for one in readers], [100, 100])

    def test_a_stop_behind_two_mebibytes_is_seen_and_nothing_is_lost(self) -> None:
        for tls in (False, True):
            victim = (self.start_tls if tls else self.start_dev)("--send-queue-bytes", str(8 * MIB))
            readers = self.closed_behind_two_mebibytes(victim, tls=tls)
            victim.process.send_signal(signal.SIGTERM)
            self.assertEqual(self.ends(readers), [((1001, "Server shutting down"), "fin")] * 2)
            self.assertEqual([one.messages for one in readers], [128, 128])
            self.assertEqual(victim.wait(), 0)
            self.assertNotIn("drain_cut_off", victim.log)

    def test_who_goes_on_sending_sees_it_too(self) -> None:
        victim = self.start_dev()
        readers = self.closed_behind_two_mebibytes(victim)
        self.assertEqual(victim.request("POST", "/auth/logout", {}, cookie=self.bob).status, 204)
        while any(one._thread.is_alive() and one.close is None for one in readers):
            for one in readers:
                if one.close is None and one._thread.is_alive():
                    try:
                        one.sock.sendall(frame(b'{"event": "echo"}'))
                    except OSError:
                        pass
            time.sleep(PERIOD)
        self.assertEqual([end[0] for end in self.ends(readers)], [(1008, "Signed out")] * 2)
        self.assertEqual([one.messages for one in readers], [128, 128])
        self.assertGreater(self.watcher.counter("events_dropped closing"), 0)


class StuckTests(ClosingCase):
    def test_who_takes_nothing_more_is_cut_off_in_time(self) -> None:
        victim = self.start_dev("--unread-timeout", "4")
        before = self.holds(victim)
        with self.unnoticed(victim):
            readers = self.readers(victim, 0)
            self.watcher.ask("burst", {"room": "room", "size": 16384, "count": 512})
            began = time.monotonic()
            until(lambda: self.watcher.counter("connections_closed 4408") == 2, seconds=15)
            self.assertGreater(time.monotonic() - began, 3)
        for one in readers:
            one.rate = 64 * MIB
            one.begin()
        self.assertEqual([end for _, end in self.ends(readers)], ["ConnectionResetError"] * 2)
        self.assertEqual(self.watcher.counter("connections_cut unread"), 2)
        self.assertIn("unread", victim.ready["checks"]["limits"]["detail"])
        self.comes_back(victim, before)

    def test_a_stop_does_not_wait_for_them_longer_than_its_drain_time(self) -> None:
        victim = self.start_dev("--drain-timeout", "3")
        stuck = self.readers(victim, 0)
        slow = self.readers_of_all(victim, 400_000)
        self.watcher.ask("burst", {"room": "room", "size": 16384, "count": 128})
        for one in slow:
            one.begin()
        began = time.monotonic()
        self.assertEqual(victim.stop(), 0)
        self.assertLess(time.monotonic() - began, 3 + 5)
        # What the system has, it brings to them when the process has ended.
        self.assertEqual([end[0] for end in self.ends(slow)], [(1001, "Server shutting down")] * 2)
        self.assertEqual([one.messages for one in slow], [128, 128])
        for one in stuck:
            one.sock.close()

    def readers_of_all(self, victim: Victim, rate: int) -> list[SlowReader]:
        made = [SlowReader(victim, self.bob, path, rate) for path in ("/ws", SOCKETIO)]
        for one in made:
            self.addCleanup(one.sock.close)
        until(lambda: self.watcher.ask("members", "room") == 4)
        return made


class LostTests(ClosingCase):
    def count_lost(self, kind: str, messages: int, *arguments: str, count: int = 2) -> None:
        """Clients of each kind of socket that go away without having read a byte of so many large messages."""
        start = self.start_tls if kind == "tls" else self.start_dev
        listen = ("--listen", "unix:ws.sock", "--listen", "tcp:0:interface=127.0.0.1") if kind == "unix" else ()
        victim = start("--send-queue-bytes", str(64 * MIB), *listen, *arguments)
        unix = str(victim.cwd / "ws.sock") if kind == "unix" else ""
        made = [
            SlowReader(victim, self.bob, path, 0, tls=kind == "tls", unix=unix)
            for path in ("/ws", SOCKETIO)
            for _ in range(count)
        ]
        until(lambda: self.watcher.ask("members", "room") == 2 * count)
        self.watcher.ask("burst", {"room": "room", "size": 8 * MIB, "count": messages})
        if arguments:
            time.sleep(2)  # they are pinged
        for one in made:
            if unix:
                one.sock.close()
            else:
                reset(one.sock)
        until(lambda: self.watcher.ask("members", "room") == 0)
        self.assertEqual(self.watcher.counter("messages_dropped lost"), 2 * count * messages, (kind, messages))

    def test_what_nobody_read_is_counted_to_the_message_over_every_kind_of_socket(self) -> None:
        for kind in ("tcp", "tls", "unix"):
            for messages in (1, 3):
                self.count_lost(kind, messages)

    def test_pings_are_no_messages(self) -> None:
        for kind in ("tcp", "tls", "unix"):
            self.count_lost(kind, 1, "--ping-interval", "500", "--ping-timeout", "30000")


class PollingTests(ClosingCase):
    """Over a Unix socket, as nginx connects: the system takes little of what is unread there."""

    def poll(self, victim: Victim, path: str, body: bytes | None = None) -> socket.socket:
        """Send a request; its answer is not read."""
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE)
        sock.connect(str(victim.cwd / "ws.sock"))
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.bob}\r\n"
        head += "" if body is None else f"Content-Length: {len(body)}\r\n"
        sock.sendall(head.encode() + b"\r\n" + (body or b""))
        self.addCleanup(sock.close)
        return sock

    def ask(self, victim: Victim, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """A request and its answer."""
        return self.read(self.poll(victim, path, body))

    def read(self, sock: socket.socket, rate: int = 1 << 30) -> tuple[int, bytes]:
        """Read an answer at so many bytes a second; the status, and what came of the body."""
        head = read_head(sock)
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r")[0])
        body, began = b"", time.monotonic()
        while len(body) < length:
            wanted = int((time.monotonic() - began) * rate) - len(body)
            if wanted <= 0:
                time.sleep(PERIOD)
                continue
            data = sock.recv(min(wanted, 65536))
            if not data:
                break
            body += data
        return int(head[9:12]), body

    def session(self) -> tuple[Victim, str]:
        """Bob on long-polling, in the room."""
        victim = self.start_dev("--listen", "unix:ws.sock", "--listen", "tcp:0:interface=127.0.0.1")
        path = "/socket.io/?EIO=4&transport=polling"
        _, opened = self.ask(victim, path)
        path += "&sid=" + json.loads(opened[1:])["sid"]
        self.assertEqual(self.ask(victim, path, b"40"), (200, b"ok"))
        self.assertEqual(self.ask(victim, path)[1][:3], b"40{")
        self.assertEqual(self.ask(victim, path, b'42["join","room"]'), (200, b"ok"))
        until(lambda: self.watcher.ask("members", "room") == 1)
        return victim, path

    def test_who_asks_on_has_the_answer_whatever_becomes_of_the_next_ones(self) -> None:
        victim, path = self.session()
        polling = self.poll(victim, path)
        self.watcher.ask("burst", {"room": "room", "size": 5, "count": 1})
        self.assertEqual(self.read(polling), (200, b'42["flood","xxxxx"]'))
        polling.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200)
        time.sleep(0.5)
        polling.close()
        self.watcher.ask("burst", {"room": "room", "size": 6, "count": 1})
        self.assertEqual(self.ask(victim, path), (200, b'42["flood","xxxxxx"]'))
        self.assertEqual(self.watcher.counter("messages_dropped lost"), 0)

    def test_an_answer_that_is_read_slowly_but_steadily_arrives_whole(self) -> None:
        victim, path = self.session()
        polling = self.poll(victim, path)
        self.watcher.ask("burst", {"room": "room", "size": 900_000, "count": 1})
        status, body = self.read(polling, 50_000)  # 18 s
        self.assertEqual((status, len(body)), (200, len('42["flood",""]') + 900_000))
        self.watcher.ask("burst", {"room": "room", "size": 5, "count": 1})
        self.assertEqual(self.ask(victim, path), (200, b'42["flood","xxxxx"]'))
        self.assertEqual(self.watcher.counter("http_dropped unread"), 0)

    def lost(self, victim: Victim, path: str) -> None:
        """The session has ended, and its event is counted."""
        until(lambda: self.watcher.ask("members", "room") == 0)
        self.assertEqual(self.watcher.counter("messages_dropped lost"), 1)
        self.assertEqual(self.watcher.counter("engine_sessions_ended transport error"), 1)
        status, body = self.ask(victim, path)
        self.assertEqual((status, json.loads(body)["code"]), (400, 1))

    def test_an_answer_that_nobody_reads_ends_the_session(self) -> None:
        victim, path = self.session()
        self.poll(victim, path)
        self.watcher.ask("burst", {"room": "room", "size": 900_000, "count": 1})
        self.lost(victim, path)
        self.assertEqual(self.watcher.counter("http_dropped unread"), 1)

    def test_an_answer_whose_reader_goes_away_ends_the_session(self) -> None:
        victim, path = self.session()
        polling = self.poll(victim, path)
        self.watcher.ask("burst", {"room": "room", "size": 900_000, "count": 1})
        polling.recv(5000)
        polling.close()
        self.lost(victim, path)

    def test_over_tcp_what_the_system_had_counts_too(self) -> None:
        victim, path = self.session()
        polling = socket.socket()
        polling.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        polling.connect(("127.0.0.1", victim.port))
        polling.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {self.bob}\r\n\r\n".encode())
        self.watcher.ask("burst", {"room": "room", "size": 900_000, "count": 1})
        polling.recv(5000)
        reset(polling)
        self.lost(victim, path)
