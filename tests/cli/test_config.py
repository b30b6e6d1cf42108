"""Tests of wsservice.cli.config: `wsservice config`."""

from __future__ import annotations

import json

from tests.cli.memory import Bench

_POOL = "AWS_REGION=us-east-1\nAWS_COGNITO_USER_POOL_ID=us-east-1_AbCdEf123\nAWS_COGNITO_CLIENT_ID=client\n"


class ConfigTests(Bench):
    def setUp(self) -> None:
        super().setUp()
        self.environ.clear()

    def found(self, *arguments: str) -> dict[str, dict[str, object]]:
        found: dict[str, dict[str, object]] = json.loads(self.done("config", "--json", *arguments))
        return found

    def test_each_source_is_told(self) -> None:
        (self.folder / ".env").write_text(f"# a comment\n\n{_POOL}export PORT=8000\nAWS_COGNITO_CLIENT_SECRET=hush\n")
        self.environ["LOG_LEVEL"] = "debug"
        found = self.found("--", "--log-format", "json")
        self.assertEqual(found["port"]["source"], ".env line 6 PORT")
        self.assertEqual(found["log_level"]["source"], "environment LOG_LEVEL")
        self.assertEqual(found["log_format"]["source"], "flag --log-format")
        self.assertEqual(found["host"]["source"], "default")
        self.assertEqual(found["cognito_client_secret"]["value"], "****")
        changed = self.done("config", "--changed")
        self.assertNotIn("--host", changed)
        self.assertIn("8000", changed)
        self.assertNotIn("hush", changed)

    def test_what_follows_from_another_setting(self) -> None:
        found = self.found("--", "--dev", "--adapter", "redis://:hush@there/0?key=chat")
        self.assertEqual((found["host"]["value"], found["host"]["source"]), ("127.0.0.1", "--dev"))
        self.assertEqual(found["adapter_key"]["source"], "?key= of --adapter")
        self.assertNotIn("hush", json.dumps(found))

    def test_bad_settings_are_told_as_twistd_tells_them(self) -> None:
        self.environ["PORT"] = "eighty"
        told = self.refused("config")
        self.assertIn("2 problems with the settings", told)
        self.assertIn("PORT 'eighty' is not a port", told)
        self.assertIn("or try --dev", told)
        self.assertIn("see twistd wsservice --help", self.refused("config", "--", "--nope"))
