"""What leaves for Sentry, before anything does: see tests/integration/test_sentry.py for the wire."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from wsservice.log_context import serving
from wsservice.log_flood import FIRST, LogFlood
from wsservice.redaction import Redactor
from wsservice.reports import WITHHELD, Reports

DSN = "http://publickey@127.0.0.1:9/42"
TOKEN = "eyJ" + "a" * 40


class ReportsTests(TestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[dict[str, Any]] = []

    def make(self, **options: Any) -> Reports:
        reports = Reports(
            DSN,
            environment="test",
            release="wsservice@1",
            redact=Redactor(secrets=["a-known-secret"]),
            flood=LogFlood(self.clock.seconds, self.clock.callLater),
            **options,
        )
        reports.start()
        self.addCleanup(reports.stop)
        assert reports._client is not None
        reports._client.transport.capture_envelope = self.keep  # type: ignore[method-assign,union-attr]
        return reports

    def keep(self, envelope: Any) -> None:
        self.events.append(envelope.get_event())

    def fail(self, reports: Reports, error: Exception, **fields: Any) -> None:  # type: ignore[override]
        """Log a failure as handlers' are."""
        body_of_a_client = f"{error} in a variable"
        try:
            assert body_of_a_client
            raise error
        except type(error):
            event = {
                "log_level": LogLevel.critical,
                "log_namespace": "wsservice.namespace",
                "log_format": "a handler of {event} failed",
                "log_failure": Failure(),
                "event": "the-name-of-an-event",
                **fields,
            }
        reports(event)

    def test_an_event_has_ids_the_template_and_places_and_nothing_else_of_what_was_logged(self) -> None:
        with serving("connection-1", "request-1"):
            self.fail(self.make(), ValueError(f"a-body {TOKEN}"))
        (event,) = self.events
        self.assertEqual(
            event["tags"],
            {"connection_id": "connection-1", "request_id": "request-1", "namespace": "wsservice.namespace"},
        )
        self.assertEqual(event["logentry"]["message"], "a handler of {event} failed")
        (exception,) = event["exception"]["values"]
        self.assertEqual((exception["type"], exception["value"]), ("ValueError", WITHHELD))
        for secret in ("a-body", TOKEN, "the-name-of-an-event", "body_of_a_client\\"):
            self.assertNotIn(secret, repr(event))
        self.assertNotIn("vars", repr(event["exception"]))

    def test_text_that_is_wanted_is_searched_for_secrets(self) -> None:
        self.fail(self.make(with_text=True), ValueError(f"a-body {TOKEN} a-known-secret"))
        (exception,) = self.events[0]["exception"]["values"]
        self.assertEqual(exception["value"], "a-body [redacted] [redacted]")

    def test_whatever_the_sdk_adds_stays_here(self) -> None:
        reports = self.make()
        scrubbed = reports._scrub({"request": {"cookies": TOKEN}, "user": {"id": 1}, "level": "error"}, {})
        self.assertEqual({name for name, value in scrubbed.items() if value}, {"level"})

    def test_of_one_fault_the_first_few_are_reported(self) -> None:
        reports = self.make()
        for _ in range(20):
            self.fail(reports, ValueError("x"))
        self.assertEqual(len(self.events), FIRST)

    def test_lines_without_a_failure_are_none_of_its_business(self) -> None:
        reports = self.make()
        reports({"log_level": LogLevel.error, "log_format": "x", "log_namespace": "y"})
        self.assertEqual(self.events, [])

    def test_what_cannot_be_reported_is_a_line_of_the_log(self) -> None:
        reports = self.make()
        lines: list[str] = []
        self.patch(Logger, "warn", lambda log, template, **fields: lines.append(template.format(**fields)))
        self.patch(reports, "_redact", None)
        reports._client.capture_event = None  # type: ignore[method-assign,union-attr,assignment]
        self.fail(reports, ValueError("x"))
        self.assertEqual(lines, ["an error could not be reported: TypeError"])

    def test_nothing_is_reported_after_the_stop(self) -> None:
        reports = self.make()
        stopping = reports.stop()
        self.fail(reports, ValueError("x"))
        self.assertEqual(self.events, [])
        return stopping  # type: ignore[return-value]
