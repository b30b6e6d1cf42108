"""Settings and flags that the pages name exist."""

from __future__ import annotations

import argparse
import re

from twisted.scripts.twistd import ServerOptions
from twisted.trial.unittest import SynchronousTestCase

from tests.docs import blocks
from tests.docs.blocks import ROOT, read
from wsservice.cli.program import make_parsers
from wsservice.config import Config
from wsservice.settings import declared
from wsservice.tap import make_parser

_CODE = re.compile(r"`([^`\n]+)`")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]+")
_NAME = re.compile(r"\b(?:WSSERVICE|AUTH|COOKIE|JWKS|TLS|CORS|TRUSTED|REFRESH|REQUIRE|LOG|AWS_COGNITO)_[A-Z_]+\b")
#: of other programs, and where they are named
FOREIGN = {
    "--no-binary", "--boot", "--offline", "--now", "--stop-timeout",
    "--generate-secret", "--refresh-token-validity", "--enable-token-revocation", "--prevent-user-existence-errors",
    "--json", "--python27", "--env", "--outdir", "--cases", "--write", "--connections", "--minutes",
    "--pidfile", "--logfile", "--reactor", "--syslog", "--logger",
}  # fmt: skip
#: read by other parts than `Config`
NAMES = {"WSSERVICE_PASSWORD", "WSSERVICE_COOKIE", "WSSERVICE_ABUSE_FIGURES"}
#: these name the flags of programs of their own
_OTHERS = ("benchmarks/", "fuzz/")

#: what in the program's own source begins so is a setting
_SETTINGS = ("CORS_", "COOKIE_S", "TRUSTED_", "AUTH_", "JWKS_", "AWS_COGNITO")
PAGES = [page for page in blocks.pages() if not page.startswith(_OTHERS)]


def flags() -> set[str]:
    """Of the service, of twistd, and of the commands of `wsservice`."""
    parsers: list[argparse.ArgumentParser] = [make_parser(), *make_parsers()[1].values()]
    found = {option for parser in parsers for action in parser._actions for option in action.option_strings}
    return found | {f"--{name.rstrip('=')}" for name in ServerOptions().longOpt}


class SettingTests(SynchronousTestCase):
    def test_every_flag_is_one(self) -> None:
        known = flags() | FOREIGN
        wrong = [
            f"{page}: {flag}"
            for page in PAGES
            for code in _CODE.findall(read(page))
            for flag in _FLAG.findall(code)
            if flag not in known
        ]
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_every_name_is_one(self) -> None:
        known = {name for setting in declared(Config) for name in setting.env} | NAMES
        wrong = [
            f"{page}: {name}"
            for page in PAGES
            for code in _CODE.findall(read(page))
            for name in _NAME.findall(code)
            if name.removesuffix("_FILE") not in known and name not in known and not name.endswith("_")
        ]
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_every_name_that_the_doctor_advises_is_one(self) -> None:
        known = {name for setting in declared(Config) for name in setting.env} | NAMES
        for path in (ROOT / "wsservice/cli").rglob("*.py"):
            named = {name for name in _NAME.findall(path.read_text()) if name.startswith(_SETTINGS)}
            self.assertEqual({name for name in named if name.removesuffix("_FILE") not in known}, set(), path)
