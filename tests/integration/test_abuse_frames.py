"""Abuse by frames on open connections: cut, bombs, pieces without end, floods."""

from __future__ import annotations

import json
import select
import socket
import zlib
from collections.abc import Sequence

from tests.integration.abuse import (
    BINARY,
    MIB,
    PING,
    SOCKETIO,
    TEXT,
    AbuseCase,
    Victim,
    close_of,
    dial,
    frame,
    open_socket,
    read_close,
    read_head,
    read_to_end,
    scaled,
    until,
    upgrade,
)

CONTINUATION = 0
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover"


def bomb(size: int) -> bytes:
    """A compressed frame that inflates to so many zeros (RFC 7692)."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = b"".join(deflate.compress(bytes(MIB)) for _ in range(size // MIB)) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(data[:-4], BINARY, rsv=4)


class Flood:
    """Sends the same over and over on several sockets as fast as it is taken, and drops what comes back."""

    def __init__(self, socks: Sequence[socket.socket], piece: bytes) -> None:
        self._piece = piece
        self.sent = dict.fromkeys(socks, 0)
        self.ended: dict[socket.socket, bytes] = {}
        self._got = dict.fromkeys(socks, b"")
        for sock in socks:
            sock.setblocking(False)

    def turn(self) -> None:
        """Send to all that take something; at most a piece each."""
        live = [sock for sock in self.sent if sock not in self.ended]
        readable, writable, _ = select.select(live, live, [], 0.02)
        for sock in readable:
            try:
                data = sock.recv(65536)
            except ConnectionError:
                data = b""
            self._got[sock] = self._got[sock][-200:] + data
            if not data:
                self.ended[sock] = self._got[sock]
        for sock in writable:
            try:
                at = self.sent[sock] % len(self._piece)
                self.sent[sock] += sock.send(self._piece[at:])
            except (BlockingIOError, ConnectionError):
                pass

    @property
    def closes(self) -> list[int]:
        """The codes of the close frames with which it ended; 0 for none."""
        return [(close_of(end[end.rfind(b"\x88") :]) or (0,))[0] for end in self.ended.values()]

    def close(self) -> None:
        """End it."""
        for sock in self.sent:
            sock.close()


class CutTests(AbuseCase):
    def test_frames_that_are_cut_at_every_byte(self) -> None:
        victim = self.start_dev()
        before = self.holds(victim)
        texts = [json.dumps({"event": "echo", "data": "x" * size, "id": size}) for size in (1, 200)]
        talk = b"".join(frame(text.encode()) for text in texts)
        long = frame(texts[1].encode())
        pieces = frame(texts[0].encode()[:9], fin=False) + frame(b"hi", PING) + frame(texts[0].encode()[9:], 0)
        with self.unnoticed(victim):
            for data, answers in ((talk, 2), (long, 1), (pieces, 1)):
                socks = []
                for cut in range(len(data) + 1):
                    left, stayed = open_socket(victim.port, self.bob), open_socket(victim.port, self.bob)
                    left.sendall(data[:cut])
                    left.close()
                    stayed.sendall(data[:cut])
                    socks.append((cut, stayed))
                for cut, sock in socks:  # two parts make a whole
                    sock.sendall(data[cut:] + frame(b"\x03\xe8", 8))
                    got = read_to_end(sock)
                    self.assertEqual(got.count(b'"ack":'), answers, cut)
                    self.assertEqual(close_of(got), (1000, ""))
                    sock.close()
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("internal_errors"), 0)


class BombTests(AbuseCase):
    def test_a_hundred_kilobytes_that_inflate_to_a_hundred_megabytes_close_1009(self) -> None:
        victim = self.start_dev("--compression", "--max-message-size", "1000000")
        before = self.holds(victim)
        data = bomb(100 * MIB)
        self.assertLess(len(data), 110_000)
        memory = victim.memory
        with self.unnoticed(victim):
            for _ in range(20):
                for path in ("/ws", SOCKETIO):
                    sock = dial(victim.port)
                    sock.sendall(upgrade(victim.port, self.bob, path=path, extra=DEFLATE))
                    self.assertIn(b"permessage-deflate", read_head(sock))
                    sock.sendall(data)
                    closed = read_close(sock)
                    self.assertEqual(closed and closed[0], 1009)
                    sock.close()
            self.assertLess(victim.peak - memory, 24 * MIB)
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("connections_closed 1009"), 40)

    def test_what_cannot_be_inflated_closes_1007(self) -> None:
        victim = self.start_dev("--compression")
        with self.unnoticed(victim):
            sock = open_socket(victim.port, self.bob, extra=DEFLATE)
            sock.sendall(frame(b"\xff" * 100, BINARY, rsv=4))
            closed = read_close(sock)
            self.assertEqual(closed and closed[0], 1007)


class FragmentTests(AbuseCase):
    def endless(self, victim: Victim, piece: bytes) -> Flood:
        socks = [open_socket(victim.port, self.bob, path=path) for path in ("/ws", SOCKETIO)]
        for sock in socks:
            sock.sendall(frame(b"4", TEXT, fin=False))
        flood = Flood(socks, piece * 2000)
        self.addCleanup(flood.close)
        until(lambda: flood.turn() or len(flood.ended) == len(socks))
        return flood

    def test_endless_empty_fragments(self) -> None:
        victim = self.start_dev("--message-rate", "0", "--byte-rate", "0", "--max-fragments", "20000")
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            flood = self.endless(victim, frame(b"", CONTINUATION, fin=False))
            self.assertEqual(flood.closes, [1008] * 2)
            self.assertLess(victim.peak - memory, 16 * MIB)
            flood.close()
        self.comes_back(victim, before)
        self.assertEqual(self.watcher.counter("connections_closed 1008"), 2)

    def test_endless_tiny_fragments_cost_no_more_than_their_bytes(self) -> None:
        victim = self.start_dev("--message-rate", "0", "--byte-rate", "0", "--max-message-size", "1000000")
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            flood = self.endless(victim, frame(b"ab", CONTINUATION, fin=False))
            self.assertEqual(flood.closes, [1008] * 2)
            self.assertLess(victim.peak - memory, 8 * MIB)  # a list of them would be 15
            flood.close()
        self.comes_back(victim, before)

    def test_by_default_a_flood_of_fragments_and_pings_is_read_slowly(self) -> None:
        victim = self.start_dev("--pause-timeout", "1")
        before, memory = self.holds(victim), victim.memory
        for piece in (frame(b"", CONTINUATION, fin=False), frame(b"", PING)):
            with self.unnoticed(victim):
                flood = self.endless(victim, piece)
                self.assertEqual(flood.closes, [4429] * 2)
                self.assertLess(victim.peak - memory, 24 * MIB)
                flood.close()
            self.comes_back(victim, before)
        self.assertGreater(self.watcher.counter("reading_paused traffic"), 4)


class FloodTests(AbuseCase):
    def test_connections_of_one_user_that_send_all_they_can_starve_nobody(self) -> None:
        victim = self.start_dev()
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            socks = [open_socket(victim.port, self.bob) for _ in range(scaled(200))]
            flood = Flood(socks, frame(b'{"event": "echo"}') * 500)
            self.addCleanup(flood.close)
            # By then each of them is over the user's rate: alone, a connection may pause a hundred times a second.
            until(lambda: flood.turn() or self.watcher.counter("reading_paused traffic") > 2 * len(socks))
            flood.close()
        self.assertLess(victim.peak - memory, 60 * MIB)
        self.comes_back(victim, before)

    def test_a_client_over_its_rate_is_paused_and_then_closed(self) -> None:
        victim = self.start_dev("--message-rate", "500", "--pause-timeout", "1")
        before, memory = self.holds(victim), victim.memory
        with self.unnoticed(victim):
            for path, text in (("/ws", b'{"event": "echo"}'), (SOCKETIO, b'42["echo",1]')):
                socks = [open_socket(victim.port, self.bob, path=path) for _ in range(scaled(50))]
                if path == SOCKETIO:
                    for sock in socks:
                        sock.sendall(frame(b"40"))
                flood = Flood(socks, frame(text) * 500)
                self.addCleanup(flood.close)
                until(lambda flood=flood, socks=socks: flood.turn() or len(flood.ended) == len(socks))
                self.assertEqual(flood.closes, [4429] * len(socks))
            self.assertLess(victim.peak - memory, 40 * MIB)
        self.comes_back(victim, before)
        self.assertGreater(self.watcher.counter("reading_paused traffic"), 0)
        self.assertEqual(self.watcher.counter("connections_closed 4429"), 2 * scaled(50))
        self.assertIn("traffic", victim.ready["checks"]["limits"]["detail"])
