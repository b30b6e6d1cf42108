"""Abuse before and during the opening handshake: an innocent client must not notice, and nothing may stay behind."""

from __future__ import annotations

import random
import re
import select
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import BinaryIO

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
    read_to_end,
    reset,
    scaled,
    until,
    upgrade,
)

POLLING = "/socket.io/?EIO=4&transport=polling"
_PORTS = re.compile(r"listening on .*:(\d+) \(http\)")


def try_to_send(sock: socket.socket, data: bytes) -> None:
    """Send to a peer that may have gone already."""
    try:
        sock.sendall(data)
    except ConnectionError:
        pass


def try_to_read(sock: socket.socket) -> bytes:
    """What is there; nothing of a peer that has gone."""
    try:
        return sock.recv(65536)
    except ConnectionError:
        return b""


def read_answer(file: BinaryIO) -> str:
    """Read an answer to its end; gives its status."""
    status, size = file.readline().split()[1].decode(), 0
    while (line := file.readline().lower()) != b"\r\n":
        if line.startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    file.read(size)
    return status


class HeadTests(AbuseCase):
    def test_heads_that_come_a_byte_at_a_time_are_refused_in_time(self) -> None:
        victim = self.start_dev("--handshake-timeout", "2")
        before = self.holds(victim)
        with self.unnoticed(victim):
            slow = [dial(victim.port) for _ in range(200)]
            for sock in slow[:100]:  # the second request of a connection has the same deadline
                sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                read_head(sock)
            head, began = upgrade(victim.port), time.monotonic()
            answers: dict[socket.socket, bytes] = dict.fromkeys(slow, b"")
            number = 0
            while not all(b" 408 " in answer for answer in answers.values()):
                self.assertLess(number, 120)
                for sock in slow:
                    try_to_send(sock, head[number : number + 1])
                number += 1
                select.select([], [], [], max(0.0, began + number / 4 - time.monotonic()))  # not faster than that
                for sock in select.select(slow, [], [], 0)[0]:
                    answers[sock] += try_to_read(sock)
            for sock in slow:
                sock.close()
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("heads_refused timeout"), 100)
        self.assertEqual(self.watcher.counter("http_refused timeout"), 100)

    def test_random_bytes_in_every_state_of_the_port(self) -> None:
        victim = self.start_dev("--handshake-timeout", "1")
        port = victim.port
        before = self.holds(victim)
        post = b"POST /auth/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        states: dict[str, Callable[[], socket.socket]] = {
            "new": lambda: dial(port),
            "inside a head": lambda: self.said(port, upgrade(port)[:60]),
            "between headers": lambda: self.said(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n"),
            "kept alive": lambda: self.said(port, b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            "inside a body": lambda: self.said(port, post + b"Content-Length: 5000\r\n\r\n{"),
            "inside chunks": lambda: self.said(port, post + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabc"),
            "behind an upgrade": lambda: self.said(port, upgrade(port, self.bob)),
            "refused": lambda: self.said(port, upgrade(port)),
            "open": lambda: open_socket(port, self.bob),
            "inside a frame": lambda: self.said_open(port, frame(b"x" * 100)[:50]),
            "inside a message": lambda: self.said_open(port, frame(b"abc", fin=False)),
            "closing": lambda: self.said_open(port, frame(b"\x03\xe8", 8)),
            "a new session": lambda: open_socket(port, self.bob, path=SOCKETIO),
            "a session that joined": lambda: self.said_open(port, frame(b"40"), path=SOCKETIO),
            "inside an event": lambda: self.said_open(port, frame(b"40") + frame(b'451-["echo"'), path=SOCKETIO),
        }
        with self.unnoticed(victim):
            dice = random.Random(4)
            for make in states.values():
                socks = []
                for _ in range(40):
                    sock = make()
                    noise = dice.randbytes(dice.choice((1, 7, 100, 3000)))
                    # half of it looks like frames, so that it gets beyond their heads
                    try_to_send(sock, noise if dice.random() < 0.5 else frame(noise, dice.choice((1, 2, 0, 8, 9, 10))))
                    socks.append(sock)
                for sock in socks:
                    sock.close()
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("internal_errors"), 0)
        counters = self.watcher.ask("state")["counters"]
        for name in ("http_refused bad_request", "connections_closed 1002", "protocol_violations parse error"):
            self.assertGreater(counters.get(name, 0), 0, counters)

    def said(self, port: int, data: bytes) -> socket.socket:
        sock = dial(port)
        sock.sendall(data)
        return sock

    def said_open(self, port: int, data: bytes, path: str = "/ws") -> socket.socket:
        sock = open_socket(port, self.bob, path=path)
        sock.sendall(data)
        return sock


class NumbersTests(AbuseCase):
    def test_ten_thousand_connections_that_are_opened_and_left(self) -> None:
        victim = self.start_dev("--handshake-timeout", "300", "--max-connections-per-user", "0")
        before = self.holds(victim)
        wanted = more_files(scaled(10_000))
        wanted = min(wanted, self.most(victim) - 50)
        with self.unnoticed(victim):
            socks: list[socket.socket] = []
            while len(socks) < wanted:
                batch = [dial(victim.port) for _ in range(min(500, wanted - len(socks)))]
                for number, sock in enumerate(batch):  # silent; half a head; a whole one; open; a session
                    head = upgrade(victim.port, self.bob, path=SOCKETIO if number % 5 == 4 else "/ws")
                    sock.sendall(head[: (0, 30, len(head), len(head), len(head))[number % 5]])
                socks += batch
                victim.request("GET", "/health")  # the service keeps up
            until(lambda: self.watcher.tables["admitted"] >= wanted, "all are in")
            self.open_memory = victim.memory
            for number, sock in enumerate(socks):
                reset(sock) if number % 2 else sock.close()
        self.comes_back(victim, before)
        self.watcher.ask("trim")
        self.assertLess(victim.memory, 63 * MIB + 60 * MIB)
        self.say(f"{wanted} connections: {self.open_memory / MIB:.0f} MiB, after {victim.memory / MIB:.0f} MiB")

    def test_resets_at_twenty_points_of_the_handshake(self) -> None:
        victim = self.start_dev()
        before = self.holds(victim)
        head = upgrade(victim.port, self.bob)
        points = [len(head) * number // 19 for number in range(20)]
        times = scaled(1000)
        with self.unnoticed(victim):
            for number in range(times):
                for point in points:
                    sock = dial(victim.port)
                    if point:
                        sock.sendall(head[:point])
                    reset(sock)
                if number % 10 == 0:
                    victim.request("GET", "/health")  # the service keeps up
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("internal_errors"), 0)

    def test_a_flood_over_all_connections_is_refused(self) -> None:
        victim = self.start_dev("--max-connections", "100", "--handshake-timeout", "300")
        with self.unnoticed(victim):
            socks = [dial(victim.port) for _ in range(400)]
            refused: list[socket.socket] = []
            while len(refused) < 303:  # the watcher and the innocents have places, too
                refused = until(lambda: select.select(socks, [], [], 0)[0])
            for sock in refused:
                answer = read_to_end(sock)
                self.assertTrue(b" 503 " in answer and b"Retry-After: " in answer, answer)
            for sock in socks:
                sock.close()
            until(lambda: self.watcher.tables["admitted"] < 10)
        detail = until(lambda: victim.ready["checks"]["limits"])
        self.assertEqual(detail, {"ready": True, "detail": "reached within the last minute: connections"})
        self.assertEqual(self.watcher.counter("limits_hit connections"), len(refused))
        self.assertEqual(self.watcher.counter("heads_refused too_many_connections"), len(refused))
        self.assertIn("--max-connections", victim.log)

    def test_a_flood_from_one_address_is_refused_and_others_are_not(self) -> None:
        # This machine's own addresses are exempt; behind the PROXY protocol clients have theirs.
        victim = self.start_with(
            self.provide(), "--max-connections-per-address", "20",
            "--listen", "tcp:0:interface=127.0.0.1", "--listen", "haproxy:tcp:0:interface=127.0.0.1",
        )  # fmt: skip
        behind = int(_PORTS.findall(victim.log)[1])
        before = self.holds(victim)
        with self.unnoticed(victim):
            socks = [self.proxied(behind, "192.0.2.7") for _ in range(60)]
            answers = [read_head(sock) for sock in socks]
            self.assertEqual([b" 101 " in answer for answer in answers], [True] * 20 + [False] * 40)
            self.assertTrue(all(b" 429 " in answer for answer in answers[20:]))
            self.assertIn(b" 101 ", read_head(self.proxied(behind, "192.0.2.8")))
            for sock in socks:
                sock.close()
        self.assertEqual(self.watcher.counter("limits_hit connections_per_address"), 40)
        until(lambda: self.watcher.tables["admitted"] == before.tables["admitted"] + 1)
        again = self.proxied(behind, "192.0.2.7")
        self.assertIn(b" 101 ", read_head(again))

    def test_sessions_of_long_polling_that_are_begun_and_left(self) -> None:
        # One connection can begin as many as it likes; the proxy tells whose they are.
        arguments = ("--trusted-proxy", "127.0.0.1", "--max-connections-per-address", "1000")
        victim = self.start_dev(*arguments, "--ping-interval", "2000", "--ping-timeout", "1000")
        before, memory = self.holds(victim), victim.memory
        head = f"GET {POLLING} HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n"
        count, answers = max(1200, scaled(4000)), Counter[str]()
        with self.unnoticed(victim):
            sock = dial(victim.port)
            while answers.total() < count:
                sock.sendall(head.encode() * 100)
                with sock.makefile("rb") as file:
                    answers.update(read_answer(file) for _ in range(100))
            # on a busy machine the first have ended by their pings before the last is begun, and made room
            self.assertGreaterEqual(answers["200"], 1000)
            self.assertEqual(answers["429"], count - answers["200"])
            self.assertLess(victim.peak - memory, 16 * MIB)
            sock.close()
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("http_refused too_many_from_address"), answers["429"])
        self.assertEqual(self.watcher.counter("engine_sessions_ended ping timeout"), answers["200"])

    def proxied(self, port: int, address: str) -> socket.socket:
        sock = dial(port)
        self.addCleanup(sock.close)
        sock.sendall(f"PROXY TCP4 {address} 127.0.0.1 40000 {port}\r\n".encode() + upgrade(port, self.bob))
        return sock

    def most(self, victim: Victim) -> int:
        """How many connections the service lets in."""
        found = re.search(r"and (\d+) connections", victim.log)
        assert found is not None
        return int(found[1])


class OpenFilesTests(AbuseCase):
    def test_without_file_descriptors_accepting_pauses_and_resumes(self) -> None:
        victim = self.start_dev(before=("prlimit", "--nofile=150:150"))
        before = self.holds(victim)
        with self.unnoticed(victim):
            socks = [dial(victim.port) for _ in range(400)]  # most of them wait in the system's backlog
            until(lambda: self.watcher.counter("limits_hit open_files"))
            self.assertLess(victim.files, 150)
            cpu, began = victim.cpu, time.monotonic()
            while time.monotonic() < began + 2:  # its processor time is what is measured here
                self.watcher.ask("echo")
            self.assertLess(victim.cpu - cpu, 0.9 * (time.monotonic() - began))
            for sock in socks:
                sock.close()
            until(lambda: victim.request("GET", "/health").status == 200)
        self.comes_back(victim, before)
        self.assertIn("open_files", victim.ready["checks"]["limits"]["detail"])
        self.assertIn("ulimit -n", victim.log)
