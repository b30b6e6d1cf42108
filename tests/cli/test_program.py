"""Tests of wsservice.cli.program, .cluster and .command: the program around its commands."""

from __future__ import annotations

import os
import subprocess
import sys

import wsservice
from tests.cli.memory import URL, Bench
from tests.integration.service import ROOT
from wsservice import cli
from wsservice.cli import program
from wsservice.errors import RedisRefused

#: runs the program, and prints what it has loaded of Twisted
_LOADED = """
import contextlib, io, sys, wsservice.cli
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    wsservice.cli.main(sys.argv[1:])
print([name for name in sys.modules if name.split(".")[0] == "twisted"])
"""


class ProgramTests(Bench):
    def test_without_a_command_it_tells_what_there_is(self) -> None:
        status, out, error = self.run_program()
        self.assertEqual((status, error), (2, ""))
        for command in program.COMMANDS:
            self.assertIn(command.name, out)

    def test_help_and_version(self) -> None:
        self.assertEqual(self.done("--version"), f"wsservice {wsservice.__version__}\n")
        self.assertIn("emit", self.done("--help"))
        for command in program.COMMANDS:
            out = self.done(command.name, "--help")
            self.assertIn(f"usage: wsservice {command.name}", out)
            self.assertIn("exit status" if command.name == "token" else "example", out)
            if command.name in ("emit", "join", "leave", "disconnect", "server-emit"):
                self.assertIn("REDIS_URL", out)

    def test_nothing_of_twisted_is_loaded_before_a_command_needs_it(self) -> None:
        for arguments in ("", "config --help", "token --help", "connect nonsense://", "check nonsense://"):
            done = subprocess.run(
                [sys.executable, "-c", _LOADED, *arguments.split()],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            self.assertEqual(done.stdout, "[]\n", arguments)

    def test_what_there_is_not(self) -> None:
        self.assertIn("invalid choice: 'emti'", self.refused("emti"))
        self.assertIn("see wsservice emit --help", self.refused("emit"))
        self.assertIn("unrecognized arguments: --loud", self.refused("emit", "news", "--loud"))

    def test_redis_refusals_come_with_the_remedy(self) -> None:
        for text, remedy in (
            ("NOAUTH Authentication required.", "redis://:password@host"),
            ("NOPERM no permissions", "ACL SETUSER"),
            ("ERR something else", "Redis refuses: ERR something else"),
        ):
            self.error = RedisRefused(text)
            told = self.refused("emit", "news", status=1)
            self.assertIn(text, told)
            self.assertIn(remedy, told)

    def test_ctrl_c_ends_it_without_a_traceback(self) -> None:
        self.error = KeyboardInterrupt()  # type: ignore[assignment]
        self.assertEqual(self.run_program("emit", "news"), (130, "", ""))

    def test_a_reader_that_has_gone_is_told_nothing(self) -> None:
        command = [sys.executable, "-m", "wsservice", "--help"]
        read, write = os.pipe()
        os.close(read)
        with os.fdopen(write, "w") as gone:
            done = subprocess.run(
                command, cwd=ROOT, env={"PATH": ""}, stdout=gone, stderr=subprocess.PIPE, check=False, timeout=60
            )
        self.assertNotIn(b"Traceback", done.stderr)

    def test_it_is_the_script_that_setup_names(self) -> None:
        self.assertIn('"wsservice = wsservice.cli:main"', (ROOT / "setup.py").read_text())
        self.assertTrue(callable(cli.main))


class SettingsTests(Bench):
    def opened_by(self, *arguments: str) -> tuple[str, float]:
        """The Redis that is reached."""
        self.opened.clear()
        self.done("emit", "news", *arguments)
        return self.opened[0]

    def test_a_flag_is_stronger_than_the_environment_and_that_than_a_file(self) -> None:
        (self.folder / ".env").write_text("REDIS_URL=redis://file\nWSSERVICE_ADAPTER_TIMEOUT=2\n")
        self.assertEqual(self.opened_by(), (URL, 2.0))
        self.assertEqual(self.opened_by("--adapter", "redis://flag"), ("redis://flag:6379/0", 2.0))
        del self.environ["REDIS_URL"]
        self.assertEqual(self.opened_by(), ("redis://file:6379/0", 2.0))
        (self.folder / "other").write_text("WSSERVICE_ADAPTER=redis://other")
        self.assertEqual(self.opened_by("--env-file", "other"), ("redis://other:6379/0", 5.0))

    def test_the_key_is_the_flags_or_the_urls(self) -> None:
        for arguments, key in (
            ((), "socket.io"),
            (("--adapter", "redis://there?key=chat"), "chat"),
            (("--adapter", "redis://there?key=chat", "--adapter-key", "mine"), "mine"),
        ):
            self.redis.published.clear()
            self.done("emit", "news", *arguments)
            self.assertEqual(self.redis.published[0][0], f"{key}#/#".encode())

    def test_no_redis_is_told_with_the_remedy(self) -> None:
        self.environ.clear()
        self.assertIn("--adapter redis://host:6379/0, or set REDIS_URL", self.refused("emit", "news"))
        self.assertIn("POST /api/emit", self.refused("emit", "news", "--adapter", "memory"))

    def test_all_problems_are_told_at_once_and_no_password(self) -> None:
        told = self.refused(
            "emit", "news", "--adapter", "http://:SECRET@there", "--adapter-key", "a*", "--env-file", "nowhere"
        )
        self.assertIn("3 problems", told)
        self.assertNotIn("SECRET", told)
