"""Settings become parts: which provider, which limits, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import make_certificate, write_pem
from tests.fakes import make_handshake
from tests.transports.memory import MemoryTransport
from wsservice.assembly import Parts, assemble
from wsservice.auth.providers.cognito import CognitoProvider
from wsservice.auth.providers.dev import DevProvider
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.config import load_config
from wsservice.counters import Counters
from wsservice.errors import ConfigurationError
from wsservice.handshake import parse_head
from wsservice.identity import make_provider

POOL = {
    "AWS_REGION": "us-east-1",
    "AWS_COGNITO_USER_POOL_ID": "us-east-1_AbCdEf123",
    "AWS_COGNITO_CLIENT_ID": "client1,client2",
}
ISSUER = {"AUTH_ISSUER": "https://id.example", "AUTH_JWKS_URL": "https://id.example/jwks", "AUTH_AUDIENCE": "app"}


class Base(SynchronousTestCase):
    def config(self, environ: dict[str, str] | None = None, **flags: Any) -> Any:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return load_config(flags, environ or {}, directory=folder)

    def assemble(self, environ: dict[str, str] | None = None, **flags: Any) -> Parts:
        if environ is None:
            flags.setdefault("dev", "yes")
        return assemble(self.config(environ, **flags), MemoryReactorClock(), lambda: False)


class ProviderTests(Base):
    def provider(self, environ: dict[str, str] | None = None, **flags: Any) -> Any:
        return make_provider(self.config(environ, **flags), MemoryReactorClock(), Counters())

    def test_dev_makes_the_provider_inside_the_process(self) -> None:
        self.assertIsInstance(self.provider(dev="yes"), DevProvider)

    def test_a_pool_makes_a_cognito_provider_that_logs_in(self) -> None:
        provider = self.provider({**POOL, "AWS_COGNITO_CLIENT_SECRET": "s" * 30})
        self.assertIsInstance(provider, CognitoProvider)
        self.assertTrue(provider.can_login)
        self.assertFalse(provider.readiness().ready)

    def test_the_admin_flow_takes_the_aws_keys(self) -> None:
        keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "x" * 40}
        self.assertIsInstance(self.provider({**POOL, **keys, "AUTH_FLOW": "admin"}), CognitoProvider)

    def test_another_issuer_is_for_verification_only(self) -> None:
        provider = self.provider(ISSUER)
        self.assertIs(type(provider), OidcProvider)
        self.assertFalse(provider.can_login)

    def test_an_address_that_must_not_be_fetched_is_refused(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            self.provider({**ISSUER, "AUTH_JWKS_URL": "http://id.example/jwks"})
        self.assertIn("https", str(caught.exception))


class AssemblyTests(Base):
    def get(self, parts: Parts, path: str, lines: Sequence[str] = ("Host: localhost",)) -> bytes:
        """The whole answer to a GET."""
        transport = MemoryTransport()
        protocol = transport.protocol = parts.port.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        protocol.dataReceived("\r\n".join([f"GET {path} HTTP/1.1", *lines, "", ""]).encode())
        answer = transport.value()
        transport.finish()
        return answer

    def test_the_limits_reach_every_connection(self) -> None:
        parts = self.assemble(max_message_size="1000", send_queue_bytes="70000", inbox_messages="7", reject="http")
        protocol = parts.raw.buildProtocol(None)
        self.assertEqual(protocol.maxMessagePayloadSize, 1000)
        self.assertEqual(protocol.max_backlog, 70000)
        self.assertEqual(parts.hub.inbox_limit, 7)
        self.assertTrue(parts.raw.settings.reject_by_http)
        parts = self.assemble(max_fragments="9")
        self.assertEqual([one.buildProtocol(None).max_fragments for one in (parts.raw, parts.socketio)], [9, 9])

    def test_the_limits_of_a_head_hold_on_every_way(self) -> None:
        for path in ("/health", "/ws", "/socket.io/?EIO=4&transport=polling", "/socket.io/?EIO=4&transport=websocket"):
            for lines, size, status in ((100, 1, 431), (10, 30_000, 431), (150, 1, 0), (10, 50_000, 0)):
                parts = self.assemble(**({} if status else {"max_head_size": "65536", "max_headers": "200"}))
                answer = self.ask_with(parts, path, lines, size)
                self.assertEqual(answer.startswith(b"HTTP/1.1 431 "), status == 431, (path, lines, size, answer[:50]))

    def ask_with(self, parts: Parts, path: str, lines: int, size: int) -> bytes:
        """The answer to a request with so many more header lines, the last of them of such a size."""
        head = ["Host: localhost", *(f"X-{number}: x" for number in range(lines - 1)), f"X-Last: {'x' * size}"]
        if path in ("/ws",) or path.endswith("websocket"):
            head += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
            head += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        return self.get(parts, path, head)

    def test_other_limits_reach_those_who_hold_to_them(self) -> None:
        parts = self.assemble(
            unread_timeout="7", body_timeout="3", max_attachment_bytes="2000", refresh_burst="9", session_interval="4"
        )
        protocols = [one.buildProtocol(None) for one in (parts.raw, parts.socketio)]
        self.assertEqual([one.unread_timeout for one in protocols], [7, 7])
        self.assertEqual((parts.web.limits.write_timeout, parts.web.limits.body_timeout), (7, 3))
        self.assertEqual(parts.clients.settings.max_attachment_bytes, 2000)
        self.assertEqual(self.assemble(body_timeout="50").web.limits.body_timeout, 5)
        upload = parts.web.uploads["/socket.io"](parse_head(b"POST / HTTP/1.0\r\n\r\n", "192.0.2.1", False))
        self.assertEqual(upload.timeout, 3)

    def test_the_path_of_the_websocket_can_be_set(self) -> None:
        parts = self.assemble(ws_path="/socket")
        self.assertEqual(list(parts.port.websockets), [b"/socket", b"/socket.io", b"/socket.io/"])

    def test_the_page_knows_the_path_of_the_websocket(self) -> None:
        self.assertIn(b'<meta name="ws-path" content="/a&amp;b">', self.get(self.assemble(ws_path="/a&b"), "/"))

    def test_the_page_can_be_left_out(self) -> None:
        self.assertIn(b"static", self.assemble().web.resource.children)
        self.assertNotIn(b"static", self.assemble(page="no").web.resource.children)

    def test_the_users_are_told_only_in_development(self) -> None:
        self.assertIn("alice", "\n".join(self.assemble().greeting))
        self.assertEqual(self.assemble(POOL).greeting, [])

    def test_a_certificate_is_read(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        both = write_pem(folder / "both.pem", *make_certificate("localhost"))
        self.assertIsNotNone(self.assemble(tls_cert=str(both)).certificate)
        self.assertIsNone(self.assemble().certificate)

    def test_readiness_turns_red_while_the_service_stops(self) -> None:
        stopping = False
        clock = MemoryReactorClock()
        parts = assemble(self.config(dev="yes"), clock, lambda: stopping)
        for stopping, status in ((False, b"200"), (True, b"503")):  # noqa: B007 - the lambda reads it
            self.assertEqual(self.get(parts, "/ready")[:12], b"HTTP/1.1 " + status)

    def test_what_cannot_be_used_is_refused_with_its_option(self) -> None:
        for flags, word in [
            ({"cors_origin": ["https://x.example/path"]}, "x.example"),
            ({"cookie_same_site": "None", "cookie_secure": "never"}, "--cookie-same-site"),
            ({"refresh_cookie_name": "__Host-refresh"}, "__Host-"),
            ({"app": "no_such_module:app"}, "--app"),
            ({"tls_cert": "/no/such/file.pem"}, "--tls-cert"),
            ({"listen": ["nonsense"]}, "--listen"),
        ]:
            with self.assertRaises(ConfigurationError, msg=str(flags)) as caught:
                self.assemble(**flags)
            self.assertIn(word, str(caught.exception))

    def test_everything_that_cannot_be_used_is_told_at_once(self) -> None:
        flags = {"app": "no_such_module:app", "tls_cert": "/no/such/file.pem", "listen": ["unix:a", "tcp:x"]}
        environ = {**ISSUER, "CORS_ORIGIN": "https://a.example"}
        with self.assertRaises(ConfigurationError) as caught:
            self.assemble(environ, **flags)
        self.assertEqual([one.split(" ")[0] for one in caught.exception.problems], ["--tls-cert", "--app", "--listen"])


class ApiTests(Base):
    def test_without_a_key_there_is_no_api(self) -> None:
        self.assertNotIn(b"api", self.assemble().web.resource.children)

    def test_a_key_brings_it_with_the_limits(self) -> None:
        key = "k" * 32
        environ = {**POOL, "WSSERVICE_API_KEY": key}
        parts = self.assemble(environ, max_http_buffer_size="5000", api_rate="1")
        self.assertEqual(set(parts.web.resource.children[b"api"].children), {b"emit", b"disconnect"})
        self.assertEqual(parts.web.uploads["/api/emit"](make_handshake()).limit, 5000)
        answers = [self.post(parts, key) for _ in range(3)]
        self.assertEqual([answer[9:12] for answer in answers], [b"202", b"202", b"429"])
        unlimited = self.assemble(environ, api_rate="0")
        self.assertEqual([self.post(unlimited, key)[9:12] for _ in range(5)], [b"202"] * 5)

    def post(self, parts: Parts, key: str) -> bytes:
        """The whole answer to a message."""
        transport = MemoryTransport()
        protocol = transport.protocol = parts.port.buildProtocol(transport.getPeer())
        protocol.makeConnection(transport)
        head = f"POST /api/emit HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n"
        body = b'{"event": "news"}'
        protocol.dataReceived(
            f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        answer = transport.value()
        transport.finish()
        return answer
