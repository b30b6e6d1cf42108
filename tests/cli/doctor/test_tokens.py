"""Tests of wsservice.cli.doctor: a token's claims, and the cookies of a login."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.cli.client.address import Address
from wsservice.cli.client.cookies import SetCookie
from wsservice.cli.doctor import tokens
from wsservice.cli.doctor.report import Report
from wsservice.cli.doctor.sessions import check_cookies


class ClaimTests(SynchronousTestCase):
    def levels(self, claims: dict[str, Any]) -> list[tuple[str, str]]:
        report = Report(quiet=True)
        tokens.check_times(report, claims, 0.0, 1000.0)
        return [(one.step, str(one.level)) for one in report.findings]

    def test_times(self) -> None:
        self.assertEqual(self.levels({"exp": 5000}), [("exp", "ok")])
        self.assertEqual(self.levels({"exp": 1030}), [("exp", "warn")])
        self.assertEqual(self.levels({"exp": 1000}), [("exp", "fail")])
        self.assertEqual(self.levels({}), [("exp", "fail")])
        for exp in (10**400, 1e300, True, "5000"):  # which the service takes for no times, either
            self.assertEqual(self.levels({"exp": exp, "nbf": exp, "iat": exp}), [("exp", "fail")])
        self.assertEqual(self.levels({"exp": 5000, "nbf": 1001, "iat": 1301})[1:], [("nbf", "fail"), ("iat", "fail")])

    def test_a_token_of_no_client(self) -> None:
        report = Report(quiet=True)
        tokens.check_client(report, {"iss": "https://a.example"}, None)
        self.assertEqual([(one.step, str(one.level)) for one in report.findings], [("aud", "fail")])

    def test_only_public_https_issuers_are_asked_for_keys(self) -> None:
        below = tokens._jwks_below
        self.assertEqual(below("https://a.example/p"), "https://a.example/p/.well-known/jwks.json")
        for issuer in (
            "http://a.example",
            "https://10.0.0.1",
            "https://localhost",
            "https://a.internal",
            "https://u@a.example",
            "https://a.example/?x",
            "https://[::1",
            None,
        ):
            self.assertEqual(below(issuer), "", issuer)


class CookieTests(SynchronousTestCase):
    def fixes(self, url: str, header: str, origin: str | None = None) -> str:
        report = Report(quiet=True)
        check_cookies(report, Address.parse(url), [SetCookie.parse(header)], origin)
        return " ".join(one.fix for one in report.findings)

    def test_what_browsers_drop_or_do_not_send(self) -> None:
        good = "authToken=x; Path=/; HttpOnly; SameSite=Lax"
        self.assertEqual(self.fixes("ws://localhost:1", good), "")
        self.assertIn("COOKIE_SECURE=never", self.fixes("ws://a.example", f"{good}; Secure"))
        self.assertIn("TRUSTED_PROXIES", self.fixes("wss://a.example", good))
        self.assertIn("COOKIE_SAME_SITE=None", self.fixes("wss://a.example", f"{good}; Secure", "https://b.example"))
        self.assertEqual(self.fixes("wss://ws.a.example", f"{good}; Secure", "https://app.a.example"), "")
        self.assertIn("proxy_cookie_domain", self.fixes("wss://a.example", f"{good}; Secure; Domain=b.example"))
