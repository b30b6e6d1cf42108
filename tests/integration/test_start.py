"""Starting the service as users do: what refuses to start, from a .tac file, as a daemon."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import make_certificate, write_pem
from tests.tables import by_row, rows

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
#: seconds; a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60
# The script `twistd` may belong to another Python than the one that runs the tests.
TWISTD = "import sys; sys.argv[0] = 'twistd'; from twisted.scripts.twistd import run; run()"
_POOL = {
    "AWS_REGION": "us-east-1",
    "AWS_COGNITO_USER_POOL_ID": "us-east-1_AbCdEf123",
    "AWS_COGNITO_CLIENT_ID": "client",
}


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def environment(self, **more: str) -> dict[str, str]:
        """The caller's environment without any setting of a service."""
        kept = ("PATH", "HOME", "LANG", "TMPDIR")
        found = {name: value for name, value in os.environ.items() if name in kept or name.startswith("COVERAGE")}
        return {**found, "PYTHONPATH": str(ROOT), **more}

    def popen(self, *arguments: str, **environ: str) -> subprocess.Popen[str]:
        """Start twistd in the folder of the test, with its output in a pipe."""
        return self.popen_command(sys.executable, "-c", TWISTD, *arguments, **environ)

    def popen_command(self, *command: str, **environ: str) -> subprocess.Popen[str]:
        """Start a program in the same way."""
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(**environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(self.end, process)
        return process

    def end(self, process: subprocess.Popen[str]) -> None:
        if process.poll() is None:
            process.kill()
        process.communicate()

    def run_to_its_end(self, *arguments: str, **environ: str) -> tuple[int, str, str]:
        """The status, and what was written to stdout and stderr."""
        process = self.popen(*arguments, **environ)
        stdout, stderr = process.communicate(timeout=PATIENCE)
        return process.returncode, stdout, stderr

    def taken_port(self) -> int:
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        return int(taken.getsockname()[1])

    def wait_for(self, find: Callable[[], T | None]) -> T:
        """What `find` gives, once it is anything."""
        deadline = time.monotonic() + PATIENCE
        while not (found := find()):
            self.assertLess(time.monotonic(), deadline, "it does not come")
            time.sleep(0.05)
        return found

    def assert_healthy(self, port: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/health")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()


@dataclass(frozen=True)
class Refusal:
    """A start that must fail: what is given, and what the message must say."""

    name: str
    flags: tuple[str, ...]
    says: tuple[str, ...]
    environ: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


DEV = ("--dev", "--port", "0")
REFUSALS = [
    Refusal("no user pool", (), ("No user pool: set AWS_REGION, AWS_COGNITO_USER_POOL_ID", "or try --dev")),
    Refusal("a value that does not parse", ("--dev",), ("PORT 'eighty' is not a port",), {"PORT": "eighty"}),
    Refusal(
        "several problems",
        ("--port", "x", "--drain-timeout", "soon"),
        ("3 problems", "--port 'x'", "--drain-timeout", "No user pool"),
    ),
    Refusal("an unknown option", ("--prot", "80"), ("unrecognized arguments: --prot 80", "twistd wsservice --help")),
    Refusal("a broken dotenv file", DEV, ("line 2: not NAME=value",), files={".env": "A=1\n'''\n"}),
    Refusal("a missing certificate", (*DEV, "--tls-cert", "c.pem"), ("--tls-cert", "c.pem: No such file")),
    Refusal("a folder for a key", (*DEV, "--tls-cert", "good.pem", "--tls-key", "."), ("--tls-key", "Is a directory")),
    Refusal(
        "no PEM", (*DEV, "--tls-cert", "bad.pem"), ("--tls-cert", "no certificate in it"), files={"bad.pem": "bad"}
    ),
    Refusal(
        "a key that is none",
        (*DEV, "--tls-cert", "good.pem", "--tls-key", "bad.pem"),
        ("--tls-key", "not a private key"),
        files={"bad.pem": "-----BEGIN PRIVATE KEY-----\nbad\n-----END PRIVATE KEY-----\n"},
    ),
    Refusal("no endpoint", ("--dev", "--listen", "tcp:x:interface=127.0.0.1"), ("--listen tcp:x", "tcp:3020")),
    Refusal("an endpoint of no known type", ("--dev", "--listen", "foo:1"), ("--listen foo:1: unknown endpoint type",)),
    Refusal(
        "an endpoint with files that are no certificate",
        ("--dev", "--listen", "ssl:0:interface=127.0.0.1:privateKey=/etc/passwd:certKey=/etc/passwd"),
        ("--listen ssl:0", "no PEM file"),
    ),
    Refusal("an endpoint of no text", ("--dev", "--listen", "unix:/nonexist/\udcff.sock"), ("--listen is not UTF-8",)),
    Refusal("an empty certificate", (*DEV, "--tls-cert", ""), ("--tls-cert is empty",)),
    Refusal(
        "several things that cannot be used",
        (*DEV, "--tls-cert", "none.pem", "--app", "nowhere:app"),
        ("2 problems", "--tls-cert", "no module 'nowhere'"),
    ),
    Refusal("everybody's development", (*DEV, "--host", "0.0.0.0"), ("--dev is for this machine only",)),
    Refusal("a module that is not there", (*DEV, "--app", "nowhere:app"), ("no module 'nowhere'",)),
    Refusal("a name that is not there", (*DEV, "--app", "chat:app"), ("has no 'app'",), files={"chat.py": ""}),
    Refusal("no App", (*DEV, "--app", "chat:app"), ("app is a int",), files={"chat.py": "app = 3"}),
    Refusal(
        "a syntax error",
        (*DEV, "--app", "chat:app"),
        ("importing it failed: SyntaxError", "chat.py"),
        files={"chat.py": "def broken(:\n"},
    ),
    Refusal(
        "an app that fails",
        (*DEV, "--app", "chat:app"),
        ("importing it failed: ZeroDivisionError", "chat.py, line 2"),
        files={"chat.py": "\napp = 1 / 0\n"},
    ),
    Refusal(
        "an app that is cancelled",
        (*DEV, "--app", "chat:app"),
        ("importing it failed: CancelledError", "chat.py, line 2"),
        files={"chat.py": "import asyncio\nraise asyncio.CancelledError\n"},
    ),
    Refusal(
        "an app that commands the terminal",
        (*DEV, "--app", "chat:app"),
        (r"ValueError: \x1b[2J",),
        files={"chat.py": "raise ValueError('\\x1b[2J')\n"},
    ),
    Refusal(
        "a secret that is no text",
        (),
        ("AWS_COGNITO_CLIENT_SECRET is not UTF-8",),
        {**_POOL, "AWS_COGNITO_CLIENT_SECRET": "hush\udcff"},
    ),
    Refusal(
        "a secret that is not there",
        (),
        ("AWS_COGNITO_CLIENT_SECRET_FILE 'none': No such file",),
        {**_POOL, "AWS_COGNITO_CLIENT_SECRET_FILE": "none"},
    ),
]


@by_row
class RefusalTests(Base):
    @rows(REFUSALS)
    def test_one_message_and_status_2_for(self, row: Refusal) -> None:
        certificate, key = make_certificate("localhost")
        write_pem(self.folder / "good.pem", certificate, key)
        for name, content in row.files.items():
            (self.folder / name).write_text(content)
        status, stdout, stderr = self.run_to_its_end("-n", "wsservice", *row.flags, **row.environ)
        self.assertEqual((status, stdout), (2, ""), stderr)
        self.assertTrue(stderr.startswith("wsservice: "), stderr)
        for part in row.says:
            self.assertIn(part, stderr)
        self.assertNotIn("Traceback", stderr)
        self.assertNotIn("\x1b", stderr)
        self.assertNotIn("hush", stderr)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_files_of_twistd_that_cannot_be_written(self) -> None:
        options = ("-n", "--pidfile=none/a.pid", "--logfile=none/a.log")
        status, stdout, stderr = self.run_to_its_end(*options, "wsservice", *DEV)
        self.assertEqual((status, stdout), (2, ""), stderr)
        self.assertTrue(stderr.startswith("wsservice: 2 problems"), stderr)
        self.assertNotIn("Traceback", stderr)

    def test_a_port_that_is_taken(self) -> None:
        port = self.taken_port()
        status, stdout, stderr = self.run_to_its_end("-n", "wsservice", "--dev", "--port", str(port))
        self.assertEqual(status, 2, stdout + stderr)
        self.assertEqual(stderr.count("\n"), 1, stderr)
        self.assertIn("wsservice: cannot listen on", stderr)
        self.assertIn("Address already in use; choose another --port", stderr)
        self.assertNotIn("Traceback", stdout)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_the_same_from_a_tac_file(self) -> None:
        tac = str(ROOT / "service.tac")
        status, stdout, stderr = self.run_to_its_end("-n", "-y", tac)
        self.assertEqual((status, stdout), (2, ""))
        self.assertTrue(stderr.startswith("wsservice: No user pool"), stderr)
        port = self.taken_port()
        status, stdout, stderr = self.run_to_its_end("-n", "-y", tac, WSSERVICE_DEV="1", PORT=str(port))
        self.assertEqual((status, "Traceback" in stdout), (2, False), stdout + stderr)
        self.assertTrue(stderr.startswith("wsservice: cannot listen on"), stderr)
        self.assertFalse((self.folder / "twistd.pid").exists())

    def test_a_daemon_that_cannot_start_tells_it_before_it_is_one(self) -> None:
        status, stdout, stderr = self.run_to_its_end("wsservice", "--app", "nowhere:app", "--dev")
        self.assertEqual((status, stdout), (2, ""))
        self.assertTrue(stderr.startswith("wsservice: --app nowhere:app: no module"), stderr)
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_daemon_whose_port_is_taken_tells_it_at_the_terminal_and_in_its_log(self) -> None:
        port = self.taken_port()
        status, stdout, stderr = self.run_to_its_end("wsservice", "--dev", "--port", str(port))
        self.assertEqual((status, stdout, stderr.count("\n")), (2, "", 1), stderr)
        log = (self.folder / "twistd.log").read_text()
        for text in (stderr, log):
            self.assertIn("cannot listen on", text)
            self.assertNotIn("Traceback", text)
        self.assertFalse((self.folder / "twistd.pid").exists())


class StartTests(Base):
    def test_help_is_there_without_any_setting(self) -> None:
        status, stdout, stderr = self.run_to_its_end("wsservice", "--help")
        self.assertEqual((status, stderr), (0, ""))
        self.assertIn("--port PORT", stdout)

    def test_a_tac_file_starts_the_same_service(self) -> None:
        process = self.popen("-n", "--logfile=a.log", "-y", str(ROOT / "service.tac"), WSSERVICE_DEV="1", PORT="0")
        log = self.folder / "a.log"
        found = self.wait_for(lambda: re.search(r"listening on .*:(\d+)", log.read_text() if log.exists() else ""))
        self.assert_healthy(int(found[1]))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        self.assertRegex(log.read_text(), r"info +wsservice.server: stopped")

    def test_a_daemon_logs_to_its_file_and_begins_a_new_one_when_it_is_moved(self) -> None:
        status, _, stderr = self.run_to_its_end("wsservice", "--dev", "--port", "0", "--log-format", "json")
        self.assertEqual((status, stderr), (0, ""))
        pid = int((self.folder / "twistd.pid").read_text())
        log = self.folder / "twistd.log"
        try:
            found = self.wait_for(lambda: re.search(r"listening on 127.0.0.1:(\d+)", log.read_text()))
            self.assert_healthy(int(found[1]))
            old = log.rename(self.folder / "old.log")
        finally:
            os.kill(pid, signal.SIGTERM)
        self.wait_for(lambda: re.search("Server Shut Down", log.read_text() if log.exists() else ""))
        self.assertNotIn('"msg": "stopped"', old.read_text())
        self.assertIn('"msg": "stopped"', log.read_text())

    def test_a_daemon_of_development_says_at_the_terminal_who_can_log_in(self) -> None:
        status, stdout, stderr = self.run_to_its_end("wsservice", "--dev", "--port", "0")
        os.kill(int((self.folder / "twistd.pid").read_text()), signal.SIGTERM)
        self.assertEqual((status, stderr), (0, ""))
        self.assertRegex(stdout, r"Open http://localhost:\d+/\n")
        password = re.search(r"alice +password (\S+)", stdout)
        assert password is not None, stdout
        log = self.folder / "twistd.log"
        self.wait_for(lambda: "Server Shut Down" in log.read_text())
        self.assertNotIn(password[1], log.read_text())

    def test_without_a_stdout_it_runs_and_logs_nothing(self) -> None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", TWISTD]
        process = self.popen_command(*command, "-n", "wsservice", "--dev", "--listen", "unix:a.sock")
        self.wait_for(lambda: (self.folder / "a.sock").exists() or process.poll() is not None)
        # Once it is there, the signals are the service's own.
        process.terminate()
        stdout, stderr = process.communicate(timeout=PATIENCE)
        self.assertEqual((process.returncode, stdout, stderr), (0, "", ""))

    def test_a_reader_of_the_log_that_goes_away_does_not_end_the_service(self) -> None:
        process = self.popen("-n", "wsservice", "--dev", "--port", "0", "--log-level", "debug")
        assert process.stdout is not None
        printed = ""
        while "newuser" not in printed:  # the greeting's last line
            printed += process.stdout.readline()
        found = re.search(r"listening on .*:(\d+)", printed)
        assert found is not None
        process.stdout.close()
        for _ in range(3):
            self.assert_healthy(int(found[1]))
        process.terminate()
        self.assertEqual(process.wait(PATIENCE), 0)
        process.stdout = None
