"""Endpoints: by host and port, by description, with TLS or without, and what cannot be had."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import TCP4ServerEndpoint, TCP6ServerEndpoint, UNIXServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.certificates import make_certificate, write_pem
from wsservice.errors import ConfigurationError
from wsservice.transports.listen import listen_on, make_endpoints
from wsservice.transports.tls import Certificate


class EndpointTests(SynchronousTestCase):
    def make(self, **arguments: Any) -> list[tuple[str, Any]]:
        defaults: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 3020,
            "listen": (),
            "backlog": 4096,
            "certificate": None,
        }
        return make_endpoints(MemoryReactor(), **{**defaults, **arguments})

    def listen(self, endpoints: list[tuple[str, Any]], reactor: MemoryReactor) -> None:
        self.successResultOf(ensureDeferred(listen_on(endpoints, Factory())))

    def test_an_address_is_ipv4_or_ipv6(self) -> None:
        self.assertIsInstance(self.make()[0][1], TCP4ServerEndpoint)
        self.assertIsInstance(self.make(host="::1")[0][1], TCP6ServerEndpoint)

    def test_the_backlog_is_long_however_it_is_described(self) -> None:
        for arguments in ({}, {"listen": ("tcp:3020",)}):
            reactor = MemoryReactor()
            endpoints = make_endpoints(
                reactor,
                **{"host": "127.0.0.1", "port": 3020, "listen": (), "backlog": 4096, "certificate": None, **arguments},
            )
            self.listen(endpoints, reactor)
            self.assertEqual(reactor.tcpServers[0][2], 4096)

    def test_a_backlog_that_was_given_stays(self) -> None:
        reactor = MemoryReactor()
        self.listen(
            make_endpoints(reactor, host="", port=1, listen=("tcp:3020:backlog=7",), backlog=4096, certificate=None),
            reactor,
        )
        self.assertEqual(reactor.tcpServers[0][2], 7)

    def test_with_a_certificate_all_but_unix_sockets_speak_tls(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        both = write_pem(folder / "both.pem", *make_certificate("x"))
        endpoints = self.make(listen=("tcp:1", "unix:/run/x.sock"), certificate=Certificate(both, both))
        self.assertNotIsInstance(endpoints[0][1], TCP4ServerEndpoint)
        self.assertIsInstance(endpoints[1][1], UNIXServerEndpoint)

    def test_what_is_no_endpoint_is_refused_with_an_example(self) -> None:
        for description in ("nonsense", "tcp:", "tcp:abc", "systemd:domain=INET:index=0", "systemd:name=x", "no:such"):
            with self.assertRaises(ConfigurationError, msg=description) as caught:
                self.make(listen=(description,))
            self.assertIn(f"--listen {description}", str(caught.exception))
            self.assertIn("tcp:3020", str(caught.exception))


class ListenTests(TestCase):
    async def test_a_port_that_is_taken_is_named_and_nothing_else_listens(self) -> None:
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        self.addCleanup(taken.close)
        number = taken.getsockname()[1]
        endpoints = make_endpoints(
            real_reactor,
            host="",
            port=0,
            listen=("tcp:0:interface=127.0.0.1", f"tcp:{number}:interface=127.0.0.1"),
            backlog=50,
            certificate=None,
        )
        with self.assertRaises(ConfigurationError) as caught:
            await Deferred.fromCoroutine(listen_on(endpoints, Factory()))
        self.assertIn(str(number), str(caught.exception))
        self.assertIn("Address already in use", str(caught.exception))
        self.assertIn("--port", str(caught.exception))
