"""The key set under faults of its provider: real treq, real sockets on loopback, a server that misbehaves.

The key set's own time (refresh, retries, waiting) is a `Clock`'s, so that nothing here depends on the
machine's speed. The only real timeout is that of answers which never end. After each test trial itself
looks for timers and sockets that were left behind; the server looks that its side is closed, too.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

from OpenSSL.crypto import X509, PKey
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, LoopingCall
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.client import BrowserLikePolicyForHTTPS

from tests.certificates import make_certificate
from wsservice.auth.fetch import BoundedFetcher, FetchError
from wsservice.auth.jwks import RemoteKeySet
from wsservice.counters import Counters
from wsservice.errors import InvalidToken, KeysUnavailable
from wsservice.testing import Issuer

#: seconds until an answer that never ends is given up
SHORT = 0.5
#: seconds that no healthy answer takes, on however busy a machine
LONG = 60.0


class Conversation(Protocol):
    """One connection of the server: when the request's head is there, the server's behaviour takes over."""

    server: FaultServer

    def __init__(self) -> None:
        self.received = b""
        self.when_closed: Callable[[], None] = lambda: None

    def connectionMade(self) -> None:
        self.server.open.add(self)
        self.server.greet(self)

    def dataReceived(self, data: bytes) -> None:
        before, self.received = self.received, self.received + data
        if b"\r\n\r\n" in self.received and b"\r\n\r\n" not in before:
            self.server.requests.append(self.received.split(b"\r\n")[0].decode())
            self.server.behave(self)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self.when_closed()
        self.server.lost(self)

    def write(self, data: bytes) -> None:
        self.server.written += len(data)
        self.transport.write(data)

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
        self.write("\r\n".join(lines).encode() + body)
        self.transport.loseConnection()


class FaultServer(Factory[Conversation]):
    """A server on loopback that answers as it is told."""

    noisy = False

    def __init__(self, behave: Callable[[Conversation], None]) -> None:
        self.behave = behave
        self.greet = says_nothing
        self.requests: list[str] = []
        self.open: set[Conversation] = set()
        self.written = 0
        self._waiting: list[Deferred[None]] = []

    def buildProtocol(self, addr: Any) -> Conversation:
        conversation = Conversation()
        conversation.server = self
        return conversation

    def lost(self, conversation: Conversation) -> None:
        self.open.discard(conversation)
        if not self.open:
            waiting, self._waiting = self._waiting, []
            for deferred in waiting:
                deferred.callback(None)

    async def all_closed(self) -> None:
        """Wait until every connection is closed, as this side sees it."""
        if self.open:
            self._waiting.append(Deferred())
            await self._waiting[-1]


def answers(body: bytes, status: str = "200 OK", *headers: str) -> Callable[[Conversation], None]:
    return lambda conversation: conversation.answer(body, status, *headers)


def says_nothing(conversation: Conversation) -> None:
    """Take the request and leave it at that."""


def dribbles(head: bytes) -> Callable[[Conversation], None]:
    """Send the head, then a byte now and then."""

    def behave(conversation: Conversation) -> None:
        conversation.write(head)
        loop = LoopingCall(conversation.write, b" ")
        loop.start(SHORT / 20)
        conversation.when_closed = loop.stop

    return behave


def floods(head: bytes, piece: bytes) -> Callable[[Conversation], None]:
    """Send the head, then as much as the other side takes."""

    class Flood:
        def __init__(self, conversation: Conversation) -> None:
            self.conversation = conversation

        def resumeProducing(self) -> None:
            self.conversation.write(piece)

        def stopProducing(self) -> None:
            """The connection is gone."""

    def behave(conversation: Conversation) -> None:
        conversation.write(head)
        conversation.transport.registerProducer(Flood(conversation), False)  # type: ignore[arg-type]

    return behave


def breaks_off(conversation: Conversation) -> None:
    """Send part of an answer, and reset the connection once it is out."""
    conversation.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"keys": [')
    reactor.callLater(0, conversation.transport.abortConnection)  # type: ignore[attr-defined]


HEAD = b"HTTP/1.1 200 OK\r\n"
GIGABYTE = 1 << 30
ISSUER = Issuer()

#: what the provider does, how the counter calls it
FAULTS: dict[str, tuple[Callable[[Conversation], None], str]] = {
    "no_answer": (says_nothing, "timeout"),
    "a_head_that_dribbles": (dribbles(b"HTTP/1.1 200 OK\r\nX:"), "timeout"),
    "a_body_that_dribbles": (dribbles(HEAD + b"Content-Length: 9999\r\n\r\n"), "timeout"),
    "a_500": (answers(b"oops", "500 Internal Server Error"), "status"),
    "a_404": (answers(b"no such pool", "404 Not Found"), "status"),
    "a_redirect": (answers(b"", "302 Found", "Location: /elsewhere"), "redirect"),
    "html": (answers(b"<html>It works!</html>", "200 OK", "Content-Type: text/html"), "invalid"),
    "what_is_not_json": (answers(b'{"keys": ['), "invalid"),
    "json_that_is_no_object": (answers(b"[1]"), "invalid"),
    "no_keys": (answers(b"{}"), "invalid"),
    "an_empty_set": (answers(b'{"keys": []}'), "invalid"),
    "deeply_nested_json": (answers(b'{"keys":' + b"[" * 50_000), "invalid"),
    "an_announced_gigabyte": (floods(HEAD + b"Content-Length: %d\r\n\r\n" % GIGABYTE, b"x" * 65536), "too_large"),
    "endless_chunks": (
        floods(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        "too_large",
    ),
    "an_endless_body": (floods(HEAD + b"\r\n", b"x" * 65536), "too_large"),
    "an_endless_head": (floods(HEAD, b"X-More: and more\r\n" * 4000), "too_large"),
    "a_gzip_bomb": (answers(gzip.compress(bytes(1 << 24)), "200 OK", "Content-Encoding: gzip"), "encoding"),
    "a_reset_inside_the_body": (breaks_off, "lost"),
    "a_close_without_answer": (lambda conversation: conversation.transport.loseConnection(), "lost"),
    "what_is_not_http": (answers(b"", "2OO"), "malformed"),
}


class Case(TestCase):
    timeout = 120

    async def listen(self, behave: Callable[[Conversation], None], tls: Any = None) -> FaultServer:
        """Serve on loopback until the test ends."""
        server = FaultServer(behave)
        if tls is None:
            port: Any = reactor.listenTCP(0, server, interface="127.0.0.1")  # type: ignore[attr-defined]
        else:
            port = reactor.listenSSL(0, server, tls, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.port = port.getHost().port
        self.addCleanup(port.stopListening)
        return server

    def make(self, timeout: float = LONG) -> RemoteKeySet:
        self.clock = Clock()
        self.counters = Counters()
        self.fetcher = BoundedFetcher(reactor, timeout=timeout)
        return RemoteKeySet(
            lambda url: self.fetcher.get(url),
            f"http://localhost:{self.port}/keys",
            clock=self.clock,
            counters=self.counters,
            random=lambda: 1.0,
        )

    async def outcome(self, keys: RemoteKeySet, kid: str) -> type[Exception] | None:
        """What asking for a key ends with; None for the key itself."""
        try:
            await keys.get(kid)
        except (InvalidToken, KeysUnavailable) as error:
            return type(error)
        return None

    def next_request(self) -> None:
        """Let the key set's time pass until its next request starts."""
        (timer,) = self.clock.getDelayedCalls()
        self.clock.advance(timer.getTime() - self.clock.seconds())

    async def end(self, keys: RemoteKeySet, server: FaultServer) -> None:
        await keys.stop()
        await server.all_closed()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class FaultsTests(Case):
    """Each fault: at the start, and when keys are there."""

    async def at_the_start(self, behave: Callable[[Conversation], None], word: str) -> None:
        server = await self.listen(behave)
        keys = self.make(SHORT if word == "timeout" else LONG)
        keys.start()
        self.assertIs(await self.outcome(keys, ISSUER.kid), KeysUnavailable)
        self.assertEqual(self.counters.get("jwks_fetch", word), 1, self.counters.items())
        self.assertFalse(keys.readiness().ready)
        await server.all_closed()
        self.assertLess(server.written, 32 << 20)  # what sockets buffer, not a gigabyte
        server.behave = answers(ISSUER.jwks())
        self.fetcher = BoundedFetcher(reactor, timeout=LONG)
        server.requests.clear()
        self.next_request()
        self.assertIsNone(await self.outcome(keys, ISSUER.kid))
        self.assertEqual(server.requests, ["GET /keys HTTP/1.1"])
        await self.end(keys, server)

    async def later(self, behave: Callable[[Conversation], None], word: str) -> None:
        server = await self.listen(answers(ISSUER.jwks()))
        keys = self.make(LONG)
        keys.start()
        self.assertIsNone(await self.outcome(keys, ISSUER.kid))
        self.fetcher = BoundedFetcher(reactor, timeout=SHORT if word == "timeout" else LONG)
        server.behave = behave
        self.next_request()
        unknown = self.outcome(keys, "unknown")
        self.successResultOf(keys.get(ISSUER.kid))  # does not wait
        self.assertIs(await unknown, KeysUnavailable)
        self.successResultOf(keys.get(ISSUER.kid))
        self.assertEqual(self.counters.get("jwks_fetch", word), 1, self.counters.items())
        self.assertTrue(keys.readiness().ready)
        await self.end(keys, server)


def _add_tests() -> None:
    for name, (behave, word) in FAULTS.items():

        async def at_the_start(self: FaultsTests, behave: Any = behave, word: str = word) -> None:
            await self.at_the_start(behave, word)

        async def later(self: FaultsTests, behave: Any = behave, word: str = word) -> None:
            await self.later(behave, word)

        setattr(FaultsTests, f"test_{name}_at_the_start_is_outlived", at_the_start)
        setattr(FaultsTests, f"test_{name}_later_leaves_the_keys_in_force", later)


_add_tests()


class LifeTests(Case):
    async def test_a_provider_that_is_down_at_the_start_is_outlived(self) -> None:
        port = reactor.listenTCP(0, FaultServer(says_nothing), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.port = port.getHost().port
        await port.stopListening()
        keys = self.make()
        keys.start()
        self.assertIs(await self.outcome(keys, ISSUER.kid), KeysUnavailable)
        self.assertEqual(self.counters.get("jwks_fetch", "refused"), 1)
        await keys.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    async def test_rotated_keys_are_found(self) -> None:
        issuer = Issuer()
        server = await self.listen(lambda conversation: conversation.answer(issuer.jwks()))
        keys = self.make()
        keys.start()
        old = issuer.kid
        self.assertIsNone(await self.outcome(keys, old))
        new = issuer.rotate()
        self.assertIsNone(await self.outcome(keys, new))
        self.successResultOf(keys.get(old))
        self.assertEqual(len(server.requests), 2)
        newest = issuer.rotate(keep=False)
        self.next_request()
        self.assertIsNone(await self.outcome(keys, newest))
        self.clock.advance(10)
        self.assertIs(await self.outcome(keys, old), InvalidToken)
        await self.end(keys, server)

    async def test_a_thousand_tokens_with_forged_kids_make_one_fetch(self) -> None:
        server = await self.listen(answers(ISSUER.jwks()))
        keys = self.make()
        keys.start()
        self.assertIsNone(await self.outcome(keys, ISSUER.kid))
        before = len(server.requests)
        for forged in [keys.get(f"forged-{number}") for number in range(1000)]:
            with self.assertRaises(InvalidToken):
                await forged
        for number in range(1000):
            self.failureResultOf(keys.get(f"forged-{number}"), InvalidToken)
        self.assertEqual(len(server.requests), before + 1)
        await self.end(keys, server)

    async def test_stopping_inside_an_answer_closes_the_connection(self) -> None:
        asked: Deferred[None] = Deferred()

        def behave(conversation: Conversation) -> None:
            conversation.write(HEAD + b"Content-Length: 1000\r\n\r\n{")
            asked.callback(None)

        server = await self.listen(behave)
        keys = self.make()
        keys.start()
        waiting = keys.get("any")
        await asked
        await self.end(keys, server)
        self.failureResultOf(waiting, KeysUnavailable)


class TlsTests(Case):
    async def fetch(self, host: str = "localhost", trusted: bool = True) -> bytes:
        """Fetch from a server whose certificate is for localhost."""
        certificate, key = make_certificate("localhost")
        own = ssl.PrivateCertificate.fromCertificateAndKeyPair(
            ssl.Certificate(X509.from_cryptography(certificate)), ssl.KeyPair(PKey.from_cryptography_key(key))
        )
        server = await self.listen(answers(ISSUER.jwks()), own.options())
        trust = ssl.Certificate(X509.from_cryptography(certificate)) if trusted else None
        policy: Any = BrowserLikePolicyForHTTPS(trustRoot=trust)
        try:
            return await BoundedFetcher(reactor, timeout=LONG, tls_policy=policy).get(f"https://{host}:{self.port}/")
        finally:
            await server.all_closed()

    async def test_a_certificate_that_is_trusted_and_fits_is_accepted(self) -> None:
        self.assertEqual(await self.fetch(), ISSUER.jwks())

    async def test_a_certificate_that_nobody_trusts_is_refused(self) -> None:
        error = await self.assertFailure(Deferred.fromCoroutine(self.fetch(trusted=False)), FetchError)
        self.assertEqual(error.word, "tls")

    async def test_a_certificate_for_another_name_is_refused(self) -> None:
        error = await self.assertFailure(Deferred.fromCoroutine(self.fetch(host="127.0.0.1")), FetchError)
        self.assertEqual(error.word, "tls")

    async def test_plain_http_behind_an_https_url_is_refused(self) -> None:
        server = await self.listen(says_nothing)
        server.greet = answers(b"", "400 Bad Request")
        fetcher = BoundedFetcher(reactor, timeout=LONG)
        error = await self.assertFailure(fetcher.get(f"https://localhost:{self.port}/"), FetchError)
        self.assertEqual(error.word, "tls")
        await server.all_closed()
