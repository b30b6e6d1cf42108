"""Tests of `adapters.redis.endpoint`; connecting is tested with a real Redis (tests/integration)."""

from __future__ import annotations

from pathlib import Path

from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.endpoint import make_endpoint
from wsservice.adapters.redis.url import RedisUrl
from wsservice.errors import ConfigurationError


class MakeEndpointTests(SynchronousTestCase):
    def test_by_the_kind_of_url(self) -> None:
        self.assertIsInstance(make_endpoint(Clock(), RedisUrl(path="/run/redis.sock"), 5.0), UNIXClientEndpoint)
        self.assertIsInstance(make_endpoint(Clock(), RedisUrl(host="cache"), 5.0), HostnameEndpoint)
        self.assertNotIsInstance(make_endpoint(Clock(), RedisUrl(host="cache", tls=True), 5.0), HostnameEndpoint)

    def test_authorities_that_cannot_be_used(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        for content in (b"", b"no certificate", b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"):
            (folder / "ca.pem").write_bytes(content)
            url = RedisUrl(host="cache", tls=True, ca=str(folder / "ca.pem"))
            with self.assertRaises(ConfigurationError) as caught:
                make_endpoint(Clock(), url, 5.0)
            self.assertIn("not a certificate", str(caught.exception))
        url = RedisUrl(host="cache", tls=True, ca=str(folder / "none.pem"))
        with self.assertRaises(ConfigurationError) as caught:
            make_endpoint(Clock(), url, 5.0)
        self.assertIn("No such file", str(caught.exception))
