"""Endpoints: by host and port, by description, with TLS or without, and what cannot be had."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor as real_reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    SSL4ServerEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    _SystemdParser,
)
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactor
from twisted.python.systemd import ListenFDs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.certificates import make_certificate, write_pem
from wsservice.errors import ConfigurationError
from wsservice.transports.listen import (
    HandedOverEndpoint,
    describe,
    handed_over,
    listen_on,
    make_endpoints,
    page_at,
    scheme_of,
)
from wsservice.transports.tls import Certificate

_REST: dict[str, Any] = {"listen": (), "backlog": 50, "certificate": None}


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

    def test_an_endpoint_that_speaks_tls_itself_is_not_wrapped_in_it_again(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        both = write_pem(folder / "both.pem", *make_certificate("x"))
        description = f"ssl:1:privateKey={both}:certKey={both}"
        endpoints = self.make(listen=(description,), certificate=Certificate(both, both))
        self.assertIsInstance(endpoints[0][1], SSL4ServerEndpoint)

    def refusal(self, description: str) -> str:
        with self.assertRaises(ConfigurationError, msg=description) as caught:
            self.make(listen=(description,))
        self.assertTrue(str(caught.exception).startswith(f"--listen {description}: "), str(caught.exception))
        return str(caught.exception)

    def test_a_socket_that_systemd_did_not_hand_over_is_told_so(self) -> None:
        for description in ("systemd:domain=INET:index=0", "systemd:domain=INET:name=other"):
            self.assertIn(
                "no such socket was handed over; start the service by a .socket unit", self.refusal(description)
            )

    def test_files_that_are_no_certificate_are_told_so(self) -> None:
        self.assertIn(
            "its privateKey or certKey is no PEM file", self.refusal("ssl:1:privateKey=/etc/passwd:certKey=/etc/passwd")
        )
        self.assertIn("No such file", self.refusal("ssl:1:privateKey=/nonexistent"))

    def test_a_refusal_repeats_what_was_given_and_no_more(self) -> None:
        for description in ("tcp:abc", "tcp:1:foo=2", "systemd:name=x", "systemd:domain=X:index=0", "tcp"):
            message = self.refusal(description)
            self.assertNotIn("backlog", message)
            self.assertNotIn("_parse", message)

    def test_what_is_no_endpoint_is_refused_with_an_example(self) -> None:
        for description in ("nonsense", "tcp:", "tcp:abc", "systemd:domain=INET:index=0", "systemd:name=x", "no:such"):
            with self.assertRaises(ConfigurationError, msg=description) as caught:
                self.make(listen=(description,))
            self.assertIn(f"--listen {description}", str(caught.exception))
            self.assertIn("tcp:3020", str(caught.exception))


class WordsTests(SynchronousTestCase):
    """What people are told of an address."""

    def test_what_is_spoken_at_an_endpoint(self) -> None:
        for description, plain, with_certificate in (
            ("tcp:1", "http", "https"),
            ("systemd:domain=INET:index=0", "http", "https"),
            ("haproxy:tcp:1", "http", "https"),
            ("unix:/a", "http", "http"),
            ("haproxy:unix:/a", "http", "http"),
            ("systemd:domain=UNIX:index=0", "http", "http"),
            ("systemd:index=0:domain=UNIX", "http", "http"),
            ("ssl:1:privateKey=a", "https", "https"),
        ):
            found = scheme_of(description, tls=False), scheme_of(description, tls=True)
            self.assertEqual(found, (plain, with_certificate), description)

    def test_an_address_is_described_as_people_write_it(self) -> None:
        self.assertEqual(describe(IPv4Address("TCP", "127.0.0.1", 80)), "127.0.0.1:80")
        self.assertEqual(describe(IPv6Address("TCP", "::1", 80)), "[::1]:80")
        self.assertEqual(describe(UNIXAddress(b"/run/ws.sock")), "unix:/run/ws.sock")
        self.assertEqual(describe(UNIXAddress(None)), "a Unix socket without a name")

    def test_a_page_has_an_address_that_a_browser_can_open(self) -> None:
        for host, page in (
            ("127.0.0.1", "http://localhost:80/"),
            ("0.0.0.0", "http://localhost:80/"),
            ("127.0.0.2", "http://127.0.0.2:80/"),
        ):
            self.assertEqual(page_at(IPv4Address("TCP", host, 80), "http"), page)
        self.assertEqual(page_at(IPv6Address("TCP", "::1", 80), "https"), "https://[::1]:80/")
        self.assertEqual(page_at(IPv6Address("TCP", "::", 80), "https"), "https://localhost:80/")
        self.assertIsNone(page_at(UNIXAddress(b"/a"), "http"))


class ListenTests(TestCase):
    async def test_whatever_an_address_that_cannot_be_had_raises_is_told(self) -> None:
        for description in ("tcp:99999999", "unix:/nonexistent/\udcff.sock", "unix:a\0b", "tcp:0:interface=a.invalid"):
            endpoints = make_endpoints(
                real_reactor, host="", port=0, listen=(description,), backlog=50, certificate=None
            )
            with self.assertRaises(ConfigurationError, msg=description) as caught:
                await Deferred.fromCoroutine(listen_on(endpoints, Factory()))
            self.assertTrue(str(caught.exception).startswith(f"cannot listen on {description}: "))

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


class SharedPortTests(TestCase):
    """Sockets of several listeners at one address."""

    async def listen(self, host: str, port: int, **options: Any) -> Any:
        endpoints = make_endpoints(real_reactor, host=host, port=port, **{**_REST, **options})
        (listening,) = await listen_on(endpoints, Factory())
        self.addCleanup(listening.stopListening)
        return listening

    async def test_each_has_one_of_its_own_and_who_does_not_share_gets_none(self) -> None:
        for host, kind in (("127.0.0.1", IPv4Address), ("::1", IPv6Address)):
            first = await self.listen(host, 0, reuse_port=True)
            second = await self.listen(host, first.getHost().port, reuse_port=True)
            self.assertEqual((second.getHost(), type(second.getHost())), (first.getHost(), kind))
            with self.assertRaises(ConfigurationError) as caught:
                await self.listen(host, first.getHost().port)
            self.assertIn("cannot listen on", str(caught.exception))
            taken = socket.create_server((host, 0), family=first.addressFamily)
            self.addCleanup(taken.close)
            with self.assertRaises(ConfigurationError):
                await self.listen(host, taken.getsockname()[1], reuse_port=True)

    async def test_a_unix_socket_that_was_handed_over_stays_with_its_file(self) -> None:
        path = self.mktemp()[-40:].replace("/", "-")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path)
            os.chmod(path, 0o640)
            made.listen()
            adopted = AdoptedStreamServerEndpoint(real_reactor, os.dup(made.fileno()), socket.AF_UNIX)
            port: Any = await HandedOverEndpoint(real_reactor, adopted).listen(Factory())
            self.assertEqual(describe(port.getHost()), f"unix:{path}")
            await port.stopListening()
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o640)
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(path)  # it would be refused, had our end shut the socket down
        os.unlink(path)

    async def test_what_was_handed_over_is_found_and_a_stranger_is_no_place_to_listen(self) -> None:
        self.assertEqual(handed_over(real_reactor), [])
        with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as unix:
            datagrams, nothing = socket.socket(type=socket.SOCK_DGRAM), os.open(os.devnull, os.O_RDONLY)
            self.addCleanup(datagrams.close)
            self.addCleanup(os.close, nothing)
            fds = [tcp.fileno(), unix.fileno(), datagrams.fileno(), nothing]
            self.patch(_SystemdParser, "_sddaemon", ListenFDs(fds, ["a", "b", "c", "d"]))
            self.assertEqual(
                handed_over(real_reactor),
                [("systemd:domain=INET:index=0", "127.0.0.1"), ("systemd:domain=UNIX:index=1", "")],
            )
        closed = AdoptedStreamServerEndpoint(real_reactor, os.dup(nothing), socket.AF_UNIX)
        with self.assertRaises(OSError):
            await HandedOverEndpoint(real_reactor, closed).listen(Factory())
        os.close(closed.fileno)
