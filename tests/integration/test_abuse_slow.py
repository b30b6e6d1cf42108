"""Abuse by slowness: who does not read, who dribbles, who is gone without a word."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys

from tests.integration.abuse import (
    MIB,
    SOCKETIO,
    AbuseCase,
    Victim,
    dial,
    frame,
    more_files,
    open_socket,
    read_head,
    scaled,
    until,
    upgrade,
)
from tests.integration.service import ROOT

#: what a socket of this machine may hold for us, that nobody reads: it is the kernel's, not the service's
SMALL = 8192


class ReaderTests(AbuseCase):
    def open_narrow(self, victim: Victim, *, path: str = "/ws") -> socket.socket:
        """Bob's WebSocket, whose system takes little that he has not read."""
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        sock.connect(("127.0.0.1", victim.port))
        sock.sendall(upgrade(victim.port, self.bob, path=path))
        self.assertIn(b" 101 ", read_head(sock))
        return sock

    def test_a_thousand_clients_that_stopped_reading_while_a_megabyte_a_second_is_broadcast(self) -> None:
        count = scaled(1000)
        more_files(count + 200)
        victim = self.start_dev("--max-connections-per-user", "0")
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            slow = []
            for number in range(count):
                is_raw = number % 2
                sock = self.open_narrow(victim, path="/ws" if is_raw else SOCKETIO)
                # its own namespace's `join`; no answer is read
                sock.sendall(frame(b'{"event": "join", "data": "room"}') if is_raw else frame(b"40"))
                if not is_raw:
                    sock.sendall(frame(b'42["join","room"]'))
                slow.append(sock)
            until(lambda: len(self.watcher.ask("state")["tables"]) and self.watcher.ask("members", "room") == count)
            victim.forget_peak()
            self.watcher.ask("flood", {"room": "room", "size": 16384, "rate": MIB, "seconds": 8})
            gone = until(lambda: self.watcher.counter("slow_consumers") == count)
            self.assertTrue(gone)
            # --send-queue-bytes is a mebibyte for each, but the messages are the same ones for all.
            self.assertLess(victim.peak - memory, 160 * MIB)
            self.shared = (victim.peak - memory) / MIB
            for sock in slow:
                sock.close()
        until(lambda: self.holds(victim) == before)
        self.watcher.ask("trim")
        self.assertLess(victim.memory - memory, 48 * MIB)
        self.assertGreater(self.watcher.counter("messages_dropped slow"), 0)
        self.assertIn("send_queue", victim.ready["checks"]["limits"]["detail"])
        self.say(f"{count} slow readers: +{self.shared:.0f} MiB at most, {victim.memory / MIB:.0f} MiB afterwards")

    def test_clients_that_are_sent_messages_of_their_own_and_do_not_read(self) -> None:
        # Nothing is shared here: each has a queue of its own, full to its bound.
        count = scaled(300)
        more_files(count + 200)
        victim = self.start_dev(
            "--max-connections-per-user", "0", "--send-queue-bytes", "262144", "--message-rate", "100000"
        )  # fmt: skip
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            slow = []
            for _ in range(count):
                slow.append(self.open_narrow(victim))
            asking = frame(b'{"event": "big", "data": 16384}')
            poll = {sock.fileno(): sock for sock in slow}
            while self.watcher.counter("slow_consumers") < count:
                for sock in list(poll.values()):
                    try:
                        sock.sendall(asking * 20)
                    except ConnectionError:
                        del poll[sock.fileno()]
            self.assertLess(victim.peak - memory, count * (262144 + 131072) + 64 * MIB)
            self.shared = (victim.peak - memory) / MIB
            for sock in slow:
                sock.close()
        until(lambda: self.holds(victim) == before)
        self.say(f"{count} full queues of 256 KiB: +{self.shared:.0f} MiB at most")

    def test_answers_of_http_that_nobody_reads(self) -> None:
        victim = self.start_dev()
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            slow = []
            for _ in range(10):
                sock = socket.socket()
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
                sock.connect(("127.0.0.1", victim.port))
                sock.setblocking(False)
                asking = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4000
                try:
                    sock.send(asking)
                except BlockingIOError:
                    pass
                slow.append(sock)
            until(lambda: self.watcher.counter("http_dropped unread") == 10)
            self.assertLess(victim.peak - memory, 48 * MIB)
            for sock in slow:
                sock.close()
        self.comes_back(victim, before)


class WriterTests(AbuseCase):
    def test_bodies_and_frames_that_come_a_byte_at_a_time(self) -> None:
        victim = self.start_dev("--ping-interval", "500", "--ping-timeout", "500")
        before, memory = self.holds(victim), victim.memory
        head = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        with self.unnoticed(victim):
            bodies = [dial(victim.port) for _ in range(50)]
            for number, sock in enumerate(bodies):
                chunked = b"Transfer-Encoding: chunked\r\n\r\n1000\r\n"
                sock.sendall(head + (chunked if number % 2 else b"Content-Length: 4096\r\n\r\n"))
            frames = [open_socket(victim.port, self.bob, path=path) for path in ("/ws", SOCKETIO) for _ in range(25)]
            long = frame(b"x" * 60000)
            waiting, sent = set(bodies), 0
            while waiting:  # who has no time left for its body is told so
                for sock in [*waiting, *frames]:
                    try:
                        sock.send(long[sent : sent + 1])
                    except ConnectionError:
                        waiting.discard(sock)
                sent += 1
                for sock in select.select(list(waiting), [], [], 0.1)[0]:
                    self.assertIn(b" 408 ", sock.recv(65536))
                    waiting.discard(sock)
            self.assertGreater(sent, 10)
            # A frame has no deadline; but who answers no pings is gone.
            until(lambda: self.watcher.counter("pings_unanswered") == 25)
            until(lambda: self.watcher.counter("engine_sessions_ended ping timeout") == 25)
            for sock in (*bodies, *frames):
                sock.close()
            self.assertLess(victim.peak - memory, 16 * MIB)
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("http_refused timeout"), 50)


class HalfOpenTests(AbuseCase):
    def test_peers_that_are_gone_without_a_word(self) -> None:
        victim = self.start_dev("--ping-interval", "1000", "--ping-timeout", "1000")
        before = self.holds(victim)
        stopped = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.innocents", str(victim.port), self.bob],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        try:
            assert stopped.stdin is not None
            assert stopped.stdout is not None
            stopped.stdin.write(b"?\n")
            stopped.stdin.flush()
            self.assertIn(b"echoes", stopped.stdout.readline())
            os.kill(stopped.pid, signal.SIGSTOP)  # its machine sleeps
            with self.unnoticed(victim):
                paths = ["/ws"] * 20 + [SOCKETIO] * 20
                silent = [open_socket(victim.port, self.bob, path=path) for path in paths]
                for sock in silent[20:]:
                    sock.sendall(frame(b"40"))
                until(lambda: self.watcher.counter("pings_unanswered") == 21)
                until(lambda: self.watcher.counter("engine_sessions_ended ping timeout") == 21)
                self.assertEqual(self.watcher.counter("limits_hit ping"), 42)
                for sock in silent:
                    sock.close()
        finally:
            os.kill(stopped.pid, signal.SIGCONT)
            stopped.kill()
            stopped.communicate()
        self.comes_back(victim, before)
