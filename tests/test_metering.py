"""Where metrics are, by the settings: nowhere, at an address of their own, or behind a token."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.metrics.scrape import get, make_parts
from wsservice.assembly import Parts
from wsservice.errors import ConfigurationError

TOKEN = "t" * 32
WITH_TOKEN = {"WSSERVICE_METRICS_TOKEN": TOKEN}


class MeteringTests(SynchronousTestCase):
    def make(self, environ: dict[str, str] | None = None, **flags: Any) -> Parts:
        return make_parts(self.mktemp(), environ, **flags)

    def status(self, port: Any, *lines: str) -> str:
        head, _ = get(port, "/metrics", *lines)
        return head.split(" ")[1]

    def test_it_is_off_unless_it_is_asked_for(self) -> None:
        parts = self.make(metrics_listen=None)
        self.assertIsNone(parts.metering)
        hub = parts.hub
        self.assertEqual({hub.fan_out, hub.received, hub.sent, hub.registry.sent}, {None})
        self.assertEqual(self.status(parts.port), "404")

    def test_an_address_of_its_own_has_nothing_else_and_the_service_does_not_have_it(self) -> None:
        parts = self.make()
        assert parts.metering is not None
        assert parts.metering.address is not None
        self.assertEqual(self.status(parts.metering.address.port), "200")
        self.assertEqual(self.status(parts.port), "404")
        head, _ = get(parts.metering.address.port, "/health")
        self.assertIn(" 404 ", head)

    def test_a_token_alone_opens_it_at_the_services_own_address(self) -> None:
        parts = self.make(WITH_TOKEN, metrics_listen=None)
        assert parts.metering is not None
        self.assertIsNone(parts.metering.address)
        self.assertEqual(self.status(parts.port), "401")
        self.assertEqual(self.status(parts.port, f"Authorization: Bearer {TOKEN}"), "200")

    def test_with_both_it_is_at_the_address_of_its_own_for_who_has_the_token(self) -> None:
        parts = self.make(WITH_TOKEN)
        assert parts.metering is not None
        assert parts.metering.address is not None
        self.assertEqual(self.status(parts.metering.address.port), "401")
        self.assertEqual(self.status(parts.metering.address.port, f"Authorization: Bearer {TOKEN}"), "200")
        self.assertEqual(self.status(parts.port, f"Authorization: Bearer {TOKEN}"), "404")

    def test_an_address_that_is_none_is_refused_with_the_option(self) -> None:
        with self.assertRaises(ConfigurationError) as caught:
            self.make(metrics_listen="nonsense:9100")
        self.assertIn("--metrics-listen nonsense:9100", str(caught.exception))
