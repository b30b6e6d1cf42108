"""The examples in deploy/ for nginx and HAProxy, run as they stand but for ports and files, before real processes."""

from __future__ import annotations

import http.client
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.certificates import make_certificate, write_pem
from tests.integration.cluster import PATIENCE, ClusterCase, free_port
from tests.integration.proxies import nginx, wait_until_it_listens
from tests.integration.service import ROOT
from tests.needs import find, require

#: the client's own address: not the proxy's, which is 127.0.0.1
CLIENT = "127.0.0.2"
ORIGIN = "https://localhost"
#: what a machine's limit of open files may allow
_FEWER = ("maxconn 100000", "maxconn 1000")


class ProxyCase(ClusterCase):
    """Two processes, and a proxy before them that is asked over TLS."""

    program = ""
    #: of each process
    arguments: tuple[str, ...] = ("--host", "127.0.0.1", "--trusted-proxy", "127.0.0.1")

    def setUp(self) -> None:
        super().setUp()
        require(self.program)
        self.pem = write_pem(self.folder / "both.pem", *make_certificate("localhost"))
        self.nodes = [self.start(name, "--log-level", "debug", *self.tls, *self.arguments) for name in ("one", "two")]
        kept, self.port = free_port()
        kept.close()
        with (self.folder / "proxy.log").open("w") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log)
        self.addCleanup(self.end)
        wait_until_it_listens(self.process, self.port, (self.folder / "proxy.log").read_text)

    @property
    def tls(self) -> tuple[str, ...]:
        return ()

    def command(self) -> list[str]:
        raise NotImplementedError

    def example(self, path: str, *others: tuple[str, str]) -> Path:
        """A copy of an example with the places of this test."""
        text = (ROOT / "deploy" / path).read_text()
        for place, node in zip(("127.0.0.1:3021", "127.0.0.1:3022"), self.nodes, strict=True):
            others = (*others, (place, f"127.0.0.1:{node.port}"))
        for old, new in others:
            self.assertIn(old, text)
            text = text.replace(old, new)
        copy = self.folder / Path(path).name
        copy.write_text(text)
        return copy

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)

    def ask(self, path: str, **headers: str) -> tuple[int, bytes]:
        context = ssl._create_unverified_context()
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, context=context, source_address=(CLIENT, 0)
        )
        sent = {"Host": "localhost", "Origin": ORIGIN, "Cookie": self.pool.cookie("alice"), **headers}
        try:
            connection.request("GET", path, headers=sent)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def open(self) -> ClientConnection:
        options: dict[str, Any] = {
            "ssl": ssl._create_unverified_context(),
            "origin": ORIGIN,
            "additional_headers": {"Cookie": self.pool.cookie("alice"), "X-Forwarded-For": "203.0.113.66"},
            "sock": socket.create_connection(("127.0.0.1", self.port), PATIENCE, (CLIENT, 0)),
            "server_hostname": "localhost",
            "open_timeout": PATIENCE,
        }
        return connect("wss://localhost/ws", proxy=None, **options)


class Tests:
    """What holds behind each of them."""

    def test_a_websocket_and_whose_it_is(self: Any) -> None:
        with self.open() as client:
            client.send('{"event": "echo", "data": "x", "id": 1}')
            self.assertIn('"ack":1', str(client.recv(PATIENCE)).replace(" ", ""))
        self.assertEqual(self.ask("/auth/me", **{"X-Forwarded-For": "203.0.113.66"})[0], 200)
        logs = "".join(node.log for node in self.nodes)
        self.assertIn(f", {CLIENT})", logs)
        self.assertNotIn("203.0.113.66", logs)

    def test_the_services_own_page_is_no_foreign_one_and_others_are(self: Any) -> None:
        polling = "/socket.io/?EIO=4&transport=polling"
        status, body = self.ask(polling)
        self.assertEqual((status, body[:1]), (200, b"0"))
        self.assertEqual(self.ask(polling, Origin="https://evil.example")[0], 403)

    def test_a_process_that_ends_is_not_missed(self: Any) -> None:
        self.assertEqual(self.nodes[0].stop(), 0)
        self.assertEqual([self.ask("/auth/me")[0] for _ in range(10)], [200] * 10)


class NginxTests(Tests, ProxyCase):
    program = "nginx"

    def command(self) -> list[str]:
        example = self.example(
            "nginx/wsservice.conf",
            ("listen 443 ssl;", f"listen 127.0.0.1:{self.port} ssl;"),
            ("    listen [::]:443 ssl;\n", ""),
            ("/etc/ssl/wsservice/fullchain.pem", str(self.pem)),
            ("/etc/ssl/wsservice/privkey.pem", str(self.pem)),
        )
        return nginx(self.folder, f"include {example};")

    def test_readiness_is_not_for_everybody(self) -> None:
        self.assertEqual((self.ask("/ready")[0], self.ask("/health")[0]), (403, 200))


class HaproxyTests(Tests, ProxyCase):
    program = "haproxy"

    def command(self) -> list[str]:
        config = self.example(
            "haproxy/haproxy.cfg",
            _FEWER,
            ("bind :443 ssl crt /etc/haproxy/wsservice.pem", f"bind 127.0.0.1:{self.port} ssl crt {self.pem}"),
        )
        return [str(find("haproxy")), "-db", "-f", str(config)]


class PassthroughTests(Tests, ProxyCase):
    """The PROXY protocol before TLS."""

    program = "haproxy"
    arguments = ("--listen", "haproxy:tcp:0:interface=127.0.0.1")

    @property
    def tls(self) -> tuple[str, ...]:
        return ("--tls-cert", str(self.pem))

    def command(self) -> list[str]:
        config = self.example("haproxy/passthrough.cfg", _FEWER, ("bind :443", f"bind 127.0.0.1:{self.port}"))
        return [str(find("haproxy")), "-db", "-f", str(config)]

    def test_one_that_does_not_say_whom_it_speaks_for_is_not_served(self) -> None:
        with socket.create_connection(("127.0.0.1", self.nodes[0].port), timeout=PATIENCE) as sock:
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertEqual(sock.recv(100), b"")
