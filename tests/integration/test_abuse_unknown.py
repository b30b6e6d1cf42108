"""Abuse by clients of whom nobody knows who they are: what they send is bounded, and counted when it is dropped."""

from __future__ import annotations

import json
import socket

from tests.integration.abuse import (
    MIB,
    SOCKETIO,
    AbuseCase,
    Victim,
    dial,
    frame,
    open_socket,
    read_close,
    read_head,
    read_to_end,
    scaled,
    until,
)

POLLING = "/socket.io/?EIO=4&transport=polling"


class UnknownCase(AbuseCase):
    def ask(self, victim: Victim, path: str, body: bytes = b"") -> bytes:
        """A request without a token; the whole answer."""
        head = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
        with dial(victim.port) as sock:
            sock.sendall(head % (b"POST" if body else b"GET", path.encode(), len(body)) + body)
            return read_to_end(sock)

    def sid(self, victim: Victim) -> str:
        """A session on long-polling, without a token."""
        sid: str = json.loads(self.ask(victim, POLLING).split(b"\r\n\r\n0")[1])["sid"]
        return sid


class EventTests(UnknownCase):
    def dropped(self, expected: int) -> None:
        until(lambda: self.watcher.counter("events_dropped closing") == expected, f"{expected} events are counted")

    def test_events_behind_a_refusal_are_counted(self) -> None:
        victim = self.start_dev()
        raw = open_socket(victim.port)
        raw.sendall(frame(b'{"event": "echo"}') * 5)
        self.assertEqual(read_close(raw), (1008, "Missing authentication token"))
        self.dropped(5)
        for cookie in ("", "authToken=x.y.z"):
            sock = open_socket(victim.port, cookie, path=SOCKETIO)
            sock.sendall(frame(b"40") + frame(b'42["echo"]') * 5)
        self.dropped(15)
        sock = open_socket(victim.port, self.bob, path=SOCKETIO)
        sock.sendall(frame(b"40/nowhere,") + frame(b'42/nowhere,["echo"]') * 5)
        self.dropped(20)
        path = f"{POLLING}&sid={self.sid(victim)}"
        self.assertIn(b" 200 ", self.ask(victim, path, b"\x1e".join([b"40", *[b'42["echo"]'] * 5])))
        self.dropped(25)


class SizeTests(UnknownCase):
    def test_who_is_not_known_holds_little_memory(self) -> None:
        victim = self.start_dev()
        before, memory = self.holds(victim), victim.memory
        count = scaled(100)
        head = b"POST %s&sid=%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 990000\r\n\r\n"
        with self.unnoticed(victim):
            posts = []
            for _ in range(count):
                sock = dial(victim.port)
                sock.sendall(head % (POLLING.encode(), self.sid(victim).encode()))
                posts.append(sock)
            for sock in posts:
                self.assertIn(b" 413 ", read_head(sock))
            fragments = []
            for _ in range(count):
                sock = open_socket(victim.port, path=SOCKETIO)
                try:
                    sock.sendall(frame(b"4" + b"x" * 989_999, fin=False))
                except ConnectionError:
                    pass
                fragments.append(sock)
            for sock in fragments:
                self.assertEqual((read_close(sock) or (0, ""))[0], 1009)
            self.assertLess(victim.peak - memory, 24 * MIB)
            for sock in (*posts, *fragments):
                sock.close()
        self.comes_back(victim, before)
        self.assertIn("body, message_size", victim.ready["checks"]["limits"]["detail"])

    def test_who_is_known_sends_a_megabyte(self) -> None:
        victim = self.start_dev()
        sock: socket.socket = open_socket(victim.port, self.bob, path=SOCKETIO)
        sock.sendall(frame(b"40") + frame(b'420["echo","%s"]' % (b"x" * 900_000)))
        data = b""
        while b'430["' not in data:
            data += sock.recv(65536)
