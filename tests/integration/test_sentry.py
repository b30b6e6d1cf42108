"""Errors reach a Sentry on loopback as real envelopes, with ids and without what a client sent."""

from __future__ import annotations

import json
import signal
import threading
from pathlib import Path
from typing import Any

from tests.integration.sentry import PATIENCE, Sentry
from tests.integration.test_service import Base

APP = ("--dev", "--app", "tests.integration.sentry_app:app")
#: what a client sends: not to be seen anywhere else
BODY = "what-a-client-wrote"


class SentryTests(Base):
    def sentry(self, **options: Any) -> Sentry:
        sentry = Sentry(**options)
        self.addCleanup(sentry.__exit__)
        return sentry.__enter__()

    def fail(self, service: Any, *events: str) -> str:
        """Send events as alice, and wait until they are handled; gives her cookie."""
        cookie: str = service.log_in("alice")
        client = self.connect(service, cookie)
        for event in events:
            client.send(json.dumps({"event": event, "data": BODY}))
        client.send(json.dumps({"event": "echo", "data": "done", "id": 1}))
        while json.loads(client.recv(timeout=PATIENCE)).get("ack") != 1:
            pass
        return cookie

    def test_a_failure_of_a_handler_is_reported_with_ids_and_without_secrets(self) -> None:
        sentry = self.sentry()
        service = self.start(*APP, env={"SENTRY_DSN": sentry.dsn, "SENTRY_ENVIRONMENT": "staging"})
        cookie = self.fail(service, "fail")
        event = sentry.event()
        (exception,) = event["exception"]["values"]
        self.assertEqual((exception["type"], exception["stacktrace"]["frames"][-1]["function"]), ("ValueError", "fail"))
        ids = {name: event["tags"][name] for name in ("connection_id", "request_id")}
        line = service.wait_for_line(lambda line: "ValueError" in line or ids["connection_id"] in line)
        self.assertIn(ids["connection_id"], line)
        self.assertIn(ids["request_id"], service.log)
        self.assertEqual((event["environment"], event["release"][:10]), ("staging", "wsservice@"))
        token = cookie.partition("=")[2].partition(";")[0]
        for body in sentry.bodies:
            for secret in (BODY, token, "authToken=ey", "additional_headers", service.users["alice"]):
                self.assertNotIn(secret.encode(), body)
        self.assertFalse(any("vars" in frame for frame in exception["stacktrace"]["frames"]))
        self.assertFalse({"request", "user", "extra", "breadcrumbs", "modules"} & event.keys())

    def test_the_whole_chain_is_there_also_of_a_handler_that_waited(self) -> None:
        sentry = self.sentry()
        service = self.start(*APP, env={"SENTRY_DSN": sentry.dsn})
        self.fail(service, "fail_later")
        event = sentry.event()
        self.assertEqual([one["type"] for one in event["exception"]["values"]], ["ValueError", "RuntimeError"])
        self.assertIn("connection_id", event["tags"])
        self.assertNotIn(BODY.encode(), b"".join(sentry.bodies))

    def test_what_exceptions_say_comes_along_if_it_is_wanted_but_for_tokens(self) -> None:
        sentry = self.sentry()
        service = self.start(*APP, "--sentry-text", env={"SENTRY_DSN": sentry.dsn})
        self.fail(service, "fail")
        (exception,) = sentry.event()["exception"]["values"]
        self.assertEqual(exception["value"], f"cannot handle {BODY} of authToken=[redacted]")

    def test_of_a_thousand_faults_at_one_place_the_first_are_reported(self) -> None:
        sentry = self.sentry()
        service = self.start(*APP, env={"SENTRY_DSN": sentry.dsn})
        self.fail(service, *["fail"] * 100)
        self.assertEqual(service.stop(signal.SIGTERM), 0)
        self.assertEqual(sum(b'"ValueError"' in body for body in sentry.bodies), 5)

    def test_a_stop_sends_what_waits_and_does_not_wait_for_a_sentry_that_is_silent(self) -> None:
        answers = threading.Event()
        self.addCleanup(answers.set)
        sentry = self.sentry(answers=answers)
        service = self.start(*APP, env={"SENTRY_DSN": sentry.dsn})
        self.fail(service, "fail", "fail_later")
        sentry.event()
        self.assertEqual(service.stop(signal.SIGTERM), 0)
        self.assertFalse(answers.is_set())

    def test_a_sentry_that_is_away_harms_nobody(self) -> None:
        with Sentry() as sentry:
            dsn = sentry.dsn
        service = self.start(*APP, env={"SENTRY_DSN": dsn})
        self.fail(service, "fail", "fail_later")
        self.assertEqual(service.stop(signal.SIGTERM), 0)

    def test_the_key_is_never_shown(self) -> None:
        sentry = self.sentry()
        file = Path(self.mktemp())
        file.write_text(sentry.dsn)
        service = self.start(*APP, "--sentry-dsn-file", str(file.absolute()))
        service.stop()
        self.assertIn("sentry_dsn=****", service.log)
        self.assertNotIn("publickey", service.log)
