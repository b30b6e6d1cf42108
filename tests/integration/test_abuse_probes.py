"""Probes while all places are taken: whoever asks how the service is gets an answer, and nobody else gets in."""

from __future__ import annotations

import re
import select
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.certificates import make_certificate, write_pem
from tests.integration.abuse import AbuseCase, Victim, dial, read_to_end, reset, until, upgrade
from wsservice.open_files import SPARE_CONNECTIONS
from wsservice.transports.probes import SPARE_TIME

_PORTS = re.compile(r"listening on .*:(\d+) \(https?\)")
#: connections that the tests' service lets in
MOST = 20


def asking(line: str) -> bytes:
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class ProbeTests(AbuseCase):
    def fill(self, victim: Victim) -> list[socket.socket]:
        """Take all places that are left, by connections that say nothing."""
        held = [dial(victim.port) for _ in range(MOST - self.watcher.tables["admitted"])]
        for sock in held:
            self.addCleanup(sock.close)
        until(lambda: self.watcher.tables["admitted"] == MOST)
        return held

    def ask(self, sock: socket.socket, data: bytes) -> bytes:
        with sock:
            sock.sendall(data)
            return read_to_end(sock)

    def test_probes_are_answered_on_every_kind_of_endpoint(self) -> None:
        folder = Path(self.mktemp()).resolve()
        folder.mkdir()
        short = tempfile.mkdtemp()  # a socket's path has 107 bytes at most
        self.addCleanup(shutil.rmtree, short)
        chain, secret = folder / "chain.pem", folder / "key.pem"
        certificate, key = make_certificate("service")
        write_pem(chain, certificate)
        write_pem(secret, key)
        tls = f"interface=127.0.0.1:privateKey={secret}:certKey={chain}"
        victim = self.start_dev(
            "--max-connections", str(MOST), "--handshake-timeout", "300",
            "--listen", "tcp:0:interface=127.0.0.1", "--listen", f"ssl:0:{tls}",
            "--listen", "haproxy:tcp:0:interface=127.0.0.1", "--listen", f"haproxy:ssl:0:{tls}",
            "--listen", f"unix:{short}/s",
        )  # fmt: skip
        plain, secure, proxied, both = map(int, _PORTS.findall(victim.log))
        before = self.holds(victim)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        lines = (b"PROXY TCP4 192.0.2.%d 127.0.0.1 40000 80\r\n" % number for number in range(1, 200))

        def behind(port: int) -> socket.socket:
            sock = dial(port)
            sock.sendall(next(lines))
            return sock

        def local() -> socket.socket:
            sock = socket.socket(socket.AF_UNIX)
            sock.connect(f"{short}/s")
            return sock

        kinds: dict[str, Callable[[], socket.socket]] = {
            "tcp": lambda: dial(plain),
            "tls": lambda: context.wrap_socket(dial(secure)),
            "proxy": lambda: behind(proxied),
            "proxy, tls": lambda: context.wrap_socket(dial(both)),
            "unix": local,
        }
        with self.unnoticed(victim):
            held = self.fill(victim)
            for name, connect in kinds.items():
                for line, status in (("GET /health", b"200"), ("HEAD /health", b"200"), ("GET /ready", b"503")):
                    start = next(lines) if name == "proxy, tls" else b""  # within TLS, as Twisted has it
                    answer = self.ask(connect(), start + asking(line))
                    self.assertEqual(answer[9:12], status, (name, answer))
                    self.assertIn(b"\r\nConnection: close\r\n", answer)
                    self.assertNotIn(b"too_many_connections", answer)
                self.assertIn(
                    b'"limits":{"ready":false,"detail":"reached within the last minute: connections"}', answer
                )
                for data in (asking("GET /"), asking("POST /health"), upgrade(plain, self.bob)):
                    start = next(lines) if name == "proxy, tls" else b""
                    answer = self.ask(connect(), start + data)
                    self.assertEqual(answer[9:12], b"503", (name, answer))
                    self.assertIn(b"\r\nRetry-After: 5\r\n", answer)
                    self.assertIn(b"too_many_connections", answer)
            for sock in held:
                sock.close()
        self.comes_back(victim, before)

    def test_who_says_nothing_has_a_spare_place_for_a_second_and_the_place_is_given_back(self) -> None:
        victim = self.start_dev("--max-connections", str(MOST), "--handshake-timeout", "300")
        before = self.holds(victim)
        with self.unnoticed(victim):
            held = self.fill(victim)
            for _ in range(3):
                began = time.monotonic()
                silent = [dial(victim.port) for _ in range(SPARE_CONNECTIONS + 1)]
                self.assertIn(b" 503 ", read_to_end(silent.pop(0)))  # one too many: the first makes way for the last
                answered = select.select(silent, [], [], 0)[0]
                if time.monotonic() < began + SPARE_TIME:
                    self.assertEqual(answered, [])
                for number, sock in enumerate(silent):
                    if number % 4 == 0:
                        reset(sock)
                    elif number % 4 == 1:
                        sock.close()
                    else:
                        answer = read_to_end(sock)
                        self.assertTrue(b" 503 " in answer and b"Retry-After: " in answer, answer)
                until(lambda: self.watcher.tables["admitted"] == MOST)
                self.assertEqual(victim.request("GET", "/health").status, 200)
            for sock in held:
                sock.close()
        self.comes_back(victim, before)

    def test_a_flood_of_clients_that_come_again_and_again_does_not_hide_how_the_service_is(self) -> None:
        victim = self.start_dev("--max-connections", str(MOST), "--handshake-timeout", "300")
        before = self.holds(victim)
        with self.unnoticed(victim):
            held = self.fill(victim)
            for _ in range(20):
                flood = [dial(victim.port) for _ in range(SPARE_CONNECTIONS // 2)]
                for sock in flood:
                    sock.sendall(upgrade(victim.port, self.bob))
                self.assertEqual(victim.request("GET", "/health").status, 200)
                self.assertEqual(victim.ready["checks"]["limits"]["ready"], False)
                for sock in flood:
                    self.assertIn(b" 503 ", read_to_end(sock))
            for sock in held:
                sock.close()
        self.comes_back(victim, before)
