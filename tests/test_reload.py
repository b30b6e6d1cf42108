"""Tests of `wsservice.reload`: what of the settings changes while the service runs, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import make_certificate, write_pem
from tests.fakes import make_handshake
from wsservice.config import Config, load_config
from wsservice.errors import OriginNotAllowed, RateLimited
from wsservice.reload import CHANGEABLE, is_credential
from wsservice.server import Server
from wsservice.settings import declared
from wsservice.web.rates import Buckets

APP = "https://app.example.com"


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.flags: dict[str, Any] = {"dev": "yes", "port": "0"}
        self.logged: list[str] = []
        self.told: list[Config] = []
        globalLogPublisher.addObserver(self.note)
        self.addCleanup(globalLogPublisher.removeObserver, self.note)

    def note(self, event: Any) -> None:
        if event.get("log_namespace", "").startswith("wsservice"):
            self.logged.append(f"{event['log_level'].name}: {formatEvent(event)}")

    def start(self, *lines: str, **flags: str) -> Server:
        self.flags |= flags
        self.write(*lines)
        self.server = Server(
            self.read(), reactor=MemoryReactorClock(), signals=False, reread=self.read, reloaded=self.told.append
        )
        return self.server

    def write(self, *lines: str) -> None:
        (self.folder / ".env").write_text("".join(f"{line}\n" for line in lines))

    def read(self) -> Config:
        return load_config(self.flags, {}, directory=self.folder)

    def reload(self, *lines: str) -> None:
        self.logged.clear()
        self.write(*lines)
        self.server.reload()


class ChangeTests(Base):
    def allows(self, origin: str) -> bool:
        try:
            self.server.parts.origins.check(make_handshake(headers=(("host", "localhost"), ("origin", origin))))
        except OriginNotAllowed:
            return False
        return True

    def test_origins(self) -> None:
        self.start()
        self.assertFalse(self.allows(APP))
        self.reload(f"CORS_ORIGIN={APP}")
        self.assertTrue(self.allows(APP))
        self.assertEqual(self.logged, [f"info: the settings were reloaded: cors_origin={APP}"])
        self.reload()
        self.assertFalse(self.allows(APP))

    def test_connections_in_all_and_of_an_address(self) -> None:
        self.start("WSSERVICE_MAX_CONNECTIONS_PER_ADDRESS=0")
        admission = self.server.parts.port.admission
        for _ in range(3):
            self.assertIsNone(admission.admit("192.0.2.1"))
        self.reload("WSSERVICE_MAX_CONNECTIONS_PER_ADDRESS=3", "WSSERVICE_MAX_CONNECTIONS=4")
        self.assertIsNotNone(admission.admit("192.0.2.1"))
        self.assertIsNone(admission.admit("192.0.2.2"))
        self.assertIsNotNone(admission.admit("192.0.2.3"))
        for _ in range(3):
            admission.release("192.0.2.1")
        self.assertIsNone(admission.admit("192.0.2.1"))

    def test_what_a_user_and_a_connection_may_have(self) -> None:
        hub = self.start().parts.hub
        assert hub.traffics is not None
        traffic = hub.traffics.of("alice")
        self.reload(
            "WSSERVICE_MAX_ROOMS=7",
            "WSSERVICE_MESSAGE_RATE=2",
            "WSSERVICE_WHEN_USER_IS_FULL=replace",
            "WSSERVICE_INBOX_MESSAGES=9",
            "WSSERVICE_CALL_TIMEOUT=1.5",
        )
        self.assertEqual((hub.limits.rooms, hub.limits.when_full), (7, "replace"))
        self.assertEqual((hub.inbox_limit, hub.call_timeout), (9, 1.5))
        self.assertEqual([traffic.take(1) > 0 for _ in range(5)], [False] * 4 + [True])
        self.reload("WSSERVICE_MESSAGE_RATE=0")
        self.assertEqual(traffic.take(1, 10_000), 0.0)

    def test_rates(self) -> None:
        rate = self.start().parts.auth.login_rate
        buckets = Buckets(rate, lambda: 0.0)
        self.reload("WSSERVICE_LOGIN_BURST=2")
        for _ in range(2):
            buckets.take("a")
        self.assertRaises(RateLimited, buckets.take, "a")

    def test_the_level_of_the_log_and_the_time_to_drain(self) -> None:
        self.start()
        self.reload("LOG_LEVEL=debug", "WSSERVICE_DRAIN_TIMEOUT=7")
        self.assertEqual((self.told[-1].log_level, self.server._config.drain_timeout), ("debug", 7.0))
        self.assertTrue(self.server.parts.hub.logs_debug and self.server.parts.web.logs_quiet)

    def test_another_certificate_by_another_name(self) -> None:
        for name in ("one", "two"):
            write_pem(self.folder / f"{name}.pem", *make_certificate("localhost"))
        self.start(f"TLS_CERT={self.folder}/one.pem")
        certificate = self.server.parts.certificate
        assert certificate is not None
        before = certificate._context
        self.reload(f"TLS_CERT={self.folder}/two.pem")
        self.assertIsNot(certificate._context, before)
        self.assertIn("info: the certificate was reloaded", self.logged)


class RefusalTests(Base):
    def test_a_bad_file_changes_nothing(self) -> None:
        self.start("WSSERVICE_MAX_ROOMS=5")
        for line, word in (
            ("WSSERVICE_MAX_CALLS=many", "WSSERVICE_MAX_CALLS"),
            ("CORS_ORIGIN=*", "CORS_ORIGIN"),
            ("'''", ".env, line 2"),
        ):
            self.reload("WSSERVICE_MAX_ROOMS=6", line)
            self.assertEqual(self.server.parts.hub.limits.rooms, 5)
            self.assertEqual(len(self.logged), 1)
            self.assertTrue(self.logged[0].startswith("error: nothing was reloaded: "), self.logged)
            self.assertIn(word, self.logged[0])
        self.assertEqual(self.told, [])

    def test_a_bad_certificate_changes_nothing_else_either(self) -> None:
        both = write_pem(self.folder / "both.pem", *make_certificate("localhost"))
        self.start("WSSERVICE_MAX_ROOMS=5", tls_cert=str(both))
        both.write_text("nonsense")
        self.reload("WSSERVICE_MAX_ROOMS=6")
        self.assertEqual(self.server.parts.hub.limits.rooms, 5)
        self.assertIn("error: nothing was reloaded: --tls-cert", self.logged[0])

    def test_what_cannot_change_is_named_and_what_can_is_changed(self) -> None:
        self.start("WSSERVICE_MESSAGE_RATE=0", byte_rate="0")
        lines = ("WSSERVICE_MAX_ROOMS=6", "WSSERVICE_WS_PATH=/socket", "WSSERVICE_MESSAGE_RATE=9")
        self.reload(*lines, f"TLS_CERT={self.folder}/none.pem")
        self.assertEqual(self.server.parts.hub.limits.rooms, 6)
        self.assertEqual(
            self.logged[1],
            "warn: restart the service for --tls-cert, --tls-key, --ws-path, --message-rate: they cannot change while "
            "it runs",
        )
        self.reload(*lines)
        self.assertIn("--ws-path", self.logged[1])  # told each time, since it still is so

    def test_no_secret_is_told(self) -> None:
        self.start()
        self.reload(f"WSSERVICE_API_KEY={'k' * 40}")
        self.assertIn("--api-key-file", self.logged[1])
        self.assertNotIn("kkkk", "".join(self.logged))

    def test_one_that_stops_reads_nothing(self) -> None:
        self.start()._stopping = True
        self.reload("WSSERVICE_MAX_ROOMS=6")
        self.assertEqual(self.logged, [])


class TableTests(SynchronousTestCase):
    def test_every_name_is_a_settings(self) -> None:
        self.assertEqual(CHANGEABLE - {one.name for one in declared(Config)}, set())

    def test_none_is_a_secret(self) -> None:
        self.assertEqual([one.name for one in declared(Config) if one.secret and one.name in CHANGEABLE], [])

    def test_a_credential_is_known_by_its_folder(self) -> None:
        environ = {"CREDENTIALS_DIRECTORY": "/run/credentials/wsservice.service"}
        self.assertTrue(is_credential(Path("/run/credentials/wsservice.service/TLS_CERT"), environ))
        self.assertFalse(is_credential(Path("/etc/wsservice/chain.pem"), environ))
        self.assertFalse(is_credential(Path("/etc/wsservice/chain.pem"), {}))
        self.assertFalse(is_credential(None, environ))
