"""Tests of `wsservice.parsers`."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import parsers


class ParserTests(SynchronousTestCase):
    def accept(self, parse: Callable[[str], Any], values: dict[str, Any]) -> None:
        for text, expected in values.items():
            self.assertEqual(parse(text), expected, text)

    def refuse(self, parse: Callable[[str], Any], texts: list[str], reason: str) -> None:
        for text in texts:
            with self.assertRaises(ValueError, msg=text) as caught:
                parse(text)
            self.assertIn(reason, str(caught.exception), text)

    def test_a_text_is_what_it_is(self) -> None:
        self.accept(parsers.text("THING").parse, {"a b": "a b"})

    def test_a_switch_is_on_or_off_in_the_usual_words(self) -> None:
        self.accept(parsers.boolean, {"1": True, "TRUE": True, "Yes": True, "on": True, "0": False, "off": False})
        self.refuse(parsers.boolean, ["2", "maybe", "t"], "is neither true nor false")

    def test_a_port_is_a_whole_number_up_to_65535(self) -> None:
        self.accept(parsers.port, {"0": 0, "3020": 3020, "65535": 65535})
        wrong = ["eighty", "-1", "65536", "80.0", "1_0", "\u0661", "999999999999", "0x50", "+80"]
        self.refuse(parsers.port, wrong, "is not a port")

    def test_a_whole_number_has_bounds(self) -> None:
        parse = parsers.integer(1, 10, "bytes").parse
        self.accept(parse, {"1": 1, "10": 10})
        self.refuse(parse, ["0", "11", "1.5", "1k", "1" * 5000], "is not a whole number of bytes from 1 to 10")

    def test_a_decimal_number_has_bounds(self) -> None:
        parse = parsers.number(0, 60, "seconds").parse
        self.accept(parse, {"0": 0.0, "2.5": 2.5, "60": 60.0})
        wrong = ["61", "-1", "nan", "inf", "1e1", "5s", "1" * 5000]
        self.refuse(parse, wrong, "is not a number of seconds from 0 to 60")

    def test_one_of_a_few_words_in_any_case(self) -> None:
        parse = parsers.one_of("Lax", "None").parse
        self.accept(parse, {"lax": "Lax", "NONE": "None"})
        self.refuse(parse, ["lux", "LaxNone"], "is not one of Lax, None")

    def test_a_host_is_an_address_or_a_name(self) -> None:
        good = {"0.0.0.0": "0.0.0.0", "[::1]": "::1", "::": "::", "localhost": "localhost", "ws.example.com": None}
        self.accept(parsers.host, {text: value or text for text, value in good.items()})
        wrong = ["http://localhost", "localhost:3020", "*", "1.2.3", "256.1.1.1", "[localhost]", "-a", "a b"]
        self.refuse(parsers.host, wrong, "is not an address")

    def test_loopback_is_this_machine(self) -> None:
        for name in ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost", "LOCALHOST"):
            self.assertTrue(parsers.is_loopback(name), name)
        for name in ("0.0.0.0", "::", "10.0.0.1", "localhost.example.com", "example.com", ""):
            self.assertFalse(parsers.is_loopback(name), name)

    def test_a_network_is_in_cidr_form(self) -> None:
        good = {"10.0.0.0/8": "10.0.0.0/8", "192.0.2.1": "192.0.2.1/32", "fd00::/8": "fd00::/8"}
        self.accept(parsers.network, {text: ipaddress.ip_network(value) for text, value in good.items()})
        self.refuse(parsers.network, ["10.0.0.1/8", "proxy", "10.0.0.0/33"], "is not a network such as 10.0.0.0/8 (")

    def test_a_file_is_made_absolute(self) -> None:
        self.assertEqual(parsers.path("key.pem"), Path.cwd() / "key.pem")
        self.assertEqual(parsers.path("~/key.pem"), Path.home() / "key.pem")

    def test_an_address_to_fetch_is_https_but_on_this_machine(self) -> None:
        good = ["https://example.com/jwks.json?a=1", "http://127.0.0.1:5000", "http://localhost/x", "http://[::1]:8/"]
        self.accept(parsers.url, {url: url for url in good})
        self.refuse(parsers.url, ["http://example.com/", "ftp://localhost/"], "is not an https URL")
        wrong = ["example.com", "https://", "https://a:b@example.com/", "https://example.com:99999/", "https://[::1"]
        wrong += ["https://example.com:0/", "https://ex\u00e4mple.com/", "https://example.com/a b", "https://a/\x01"]
        self.refuse(parsers.url, wrong, "is not a URL such as")

    def test_an_issuer_is_kept_as_it_is(self) -> None:
        good = ["https://a.example/pool", "http://keycloak:8080/realms/x/", "https://a.example/"]
        self.accept(parsers.issuer, {url: url for url in good})
        wrong = [
            "a.example",
            "https://a.example/?x",
            "https://a.example/#x",
            "https://a b/",
            "https://\u00e4/",
            "https://",
        ]
        self.refuse(parsers.issuer, wrong, "is not an issuer such as")

    def test_an_origin_is_checked_by_the_policy_that_will_use_it(self) -> None:
        good = ["https://app.example.com", "http://localhost:5173", "https://*.example.com"]
        self.accept(parsers.origin, {origin: origin for origin in good})
        self.refuse(
            parsers.origin, ["*", "null", "app.example.com", "https://*", "https://a.example/x"], "is refused: "
        )

    def test_a_cookies_name_is_a_token(self) -> None:
        self.accept(parsers.cookie_name, {"authToken": "authToken", "__Host-a": "__Host-a"})
        self.refuse(parsers.cookie_name, ["a b", "a=b", "a;b", "\u00e4", 'a"'], "is not the name of a cookie")

    def test_a_path_must_not_be_one_of_the_services_own(self) -> None:
        self.accept(parsers.url_path, {"/ws": "/ws", "/v1/socket": "/v1/socket", "/healthy": "/healthy"})
        self.refuse(parsers.url_path, ["ws", "/", "/ws/", "/a?b", "/a%20b", "/a b", "//a"], "is not a path such as /ws")
        self.refuse(parsers.url_path, ["/auth", "/auth/login", "/health", "/ready/x", "/api/emit"], "is taken")

    def test_levels_have_the_names_of_pino_and_of_python(self) -> None:
        good = {"INFO": "info", "trace": "debug", "fatal": "critical", "warning": "warn", "silent": "silent"}
        self.accept(parsers.log_level, good)
        self.refuse(parsers.log_level, ["verbose", "30"], "is not one of debug, info")
