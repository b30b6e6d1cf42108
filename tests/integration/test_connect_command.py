"""`wsservice connect` against the real service: scripts by pipe, a person at a terminal, breaks and refusals."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.program import COMMAND, Done, environment, run
from tests.integration.relay import Relay
from tests.integration.service import PATIENCE, RunningService

#: not the arrow of what was sent
_PROMPT = "(?<!-)> "


class Base(SynchronousTestCase):
    arguments: tuple[str, ...] = ("--dev",)

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.service = self.enterContext(RunningService(*self.arguments, cwd=self.folder))

    def connect(self, script: str, *arguments: str, user: str = "alice") -> Done:
        """Run a script as a user of `--dev`."""
        return run(
            "connect",
            f"localhost:{self.service.port}",
            "--login",
            user,
            *arguments,
            cwd=self.folder,
            input=script,
            WSSERVICE_PASSWORD=self.service.users[user],
        )


class ScriptTests(Base):
    def test_a_text_an_event_a_call_and_a_ping(self) -> None:
        done = self.connect('hello\n/wait\n/call message "again"\n/event nope\n/wait\n/ping\n')
        self.assertEqual((done.status, done.error), (0, ""))
        for part in (
            "-> hello (5 bytes)",
            '"message":"hello"} (',
            'message answered {"delivered":true} (',
            '"code":"unknown_event"',
            "<- pong (",
            "-- closed",
        ):
            self.assertIn(part, done.out)

    def test_the_same_by_socketio(self) -> None:
        done = self.connect('hello\n/wait\n/call message "again"\n/ping\n/binary 00ff\n/wait\n', "--socketio")
        self.assertEqual((done.status, done.error), (0, ""))
        for part in (
            "-- joined / as ",
            '-> message "hello" (',
            '<- message {"user":',
            'message answered {"delivered":true} (',
            "<- pong (",
            "-> message 2 bytes (",
        ):
            self.assertIn(part, done.out)

    def test_what_a_script_reads_is_bare_when_quiet(self) -> None:
        done = self.connect("hello\n/wait\n", "--quiet")
        self.assertRegex(done.out, r'^\{"user":"[^"]+","message":"hello"\}\n$')

    def test_a_bad_line_ends_a_script(self) -> None:
        done = self.connect("/nope\nhello\n")
        self.assertEqual(done.status, 2)
        self.assertIn("there is no /nope", done.error)
        self.assertNotIn("-> hello", done.out)

    def test_an_answer_that_does_not_come_ends_a_script(self) -> None:
        done = self.connect("/wait 1\n", "--timeout", "0.2")
        self.assertEqual(done.status, 1)
        self.assertIn("no answer within 0.2 s", done.error)

    def test_a_close_of_ones_own(self) -> None:
        done = self.connect("/close 4000 Enough\nhello\n")
        self.assertEqual(done.status, 0)
        self.assertNotIn("hello", done.out)

    def test_a_cookie_is_read_and_never_shown(self) -> None:
        cookie = self.service.log_in("alice")
        url = self.service.url
        (self.folder / "cookie").write_text(cookie)
        for arguments, env, script in (
            (("--cookie", "@cookie"), {}, ""),
            (("--cookie", "-"), {}, f"{cookie}\n"),
            ((), {"WSSERVICE_COOKIE": cookie}, ""),
        ):
            done = run("connect", url, *arguments, cwd=self.folder, input=f"{script}hi\n/wait\n", **env)
            self.assertEqual((done.status, done.error), (0, ""))
            self.assertIn('"message":"hi"', done.out)
            self.assertNotIn("eyJ", done.out)
        done = run("connect", url, "--cookie", cookie, cwd=self.folder, input="hi\n/wait\n")
        self.assertEqual(done.status, 0)
        self.assertIn("stands in the process list", done.error)
        self.assertNotIn("eyJ", done.out + done.error)

    def test_a_password_from_the_input_comes_before_the_script(self) -> None:
        password = self.service.users["bob"]
        arguments = ("connect", self.service.url, "--login", "bob", "--password-stdin")
        done = run(*arguments, cwd=self.folder, input=f"{password}\nhi\n/wait\n")
        self.assertEqual((done.status, done.error), (0, ""))
        self.assertIn('"message":"hi"', done.out)
        self.assertNotIn(password, done.out)

    def test_refusals_say_the_fix(self) -> None:
        url, cwd = self.service.url, self.folder
        for arguments, part in (
            ((url,), "closed by 1008 'Missing authentication token'"),
            ((url, "--cookie-name", "other", "--cookie", "-"), "Missing authentication token"),
            (
                (f"localhost:{self.service.port}", "--socketio"),
                "Missing authentication token; give --cookie or --login",
            ),
            ((url, "--origin", "https://elsewhere.example"), "403 Forbidden; the origin is not allowed"),
            ((f"{url}x",), "404 Not Found; nothing is at that path"),
            ((url.replace("ws:", "wss:"),), "no TLS"),
            ((url, "--login", "alice", "--password-stdin"), "the login was refused: Wrong user name or password."),
        ):
            done = run("connect", *arguments, cwd=cwd, input="a.b.c\n/wait\n")
            self.assertEqual(done.status, 1, done)
            self.assertIn(part, done.out + done.error)
        self.assertEqual(run("connect", url, "--namespace", "/x", cwd=cwd).status, 2)
        self.assertEqual(run("connect", url, "-H", "nonsense", cwd=cwd).status, 2)


class StopTests(Base):
    def test_a_service_that_stops_is_told_with_the_advice(self) -> None:
        arguments = ("connect", self.service.url, "--login", "alice", "--stay")
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=environment(WSSERVICE_PASSWORD=self.service.users["alice"]),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        self.assertIn("connected", process.stdout.readline())
        self.service.stop()
        out, _ = process.communicate(timeout=PATIENCE)
        self.assertEqual(process.returncode, 1)
        self.assertIn("closed by 1001 'Server shutting down': it goes away", out)
        self.assertIn("come back, with backoff", out)


class RecoveryTests(Base):
    arguments = ("--dev", "--recovery", "60")

    def test_it_comes_back_and_misses_nothing(self) -> None:
        for more in ((), ("--socketio",)):
            with Relay(self.service.port) as relay:
                self.come_back(relay, more)

    def come_back(self, relay: Relay, more: tuple[str, ...]) -> None:
        """Its connection is cut, another user says something meanwhile, and it has to show that."""
        process = subprocess.Popen(
            [*COMMAND, "connect", f"127.0.0.1:{relay.port}", "--login", "alice", "--recover", *more],
            cwd=self.folder,
            env=environment(WSSERVICE_PASSWORD=self.service.users["alice"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        assert process.stdin is not None
        assert process.stdout is not None

        def read_until(*wanted: str) -> None:
            """Until each has been shown, in whatever order: Socket.IO has what was missed before the welcome."""
            missing = set(wanted)
            while missing:
                line = process.stdout.readline()  # type: ignore[union-attr]
                self.assertTrue(line, missing)
                missing = {one for one in missing if one not in line}

        process.stdin.write("first\n")
        read_until('"message":"first"')
        relay.cut()
        read_until("coming back in")
        self.assertEqual(self.connect("missed\n/wait\n", user="bob").status, 0)
        relay.mend()
        read_until("continued where it broke off", '"message":"missed"')
        process.stdin.close()
        self.assertIn("-- closed", process.stdout.read())
        self.assertEqual(process.wait(PATIENCE), 0)
        process.stdout.close()


class ChallengeTests(Base):
    def test_a_person_at_a_terminal(self) -> None:
        """`newuser` must choose a password; then a line, a wrong one, /help, Ctrl-D."""
        out = self.type(
            "newuser",
            ("New password: ", "Correct-Horse-7\n"),
            (_PROMPT, "hello\n"),
            ('"message":"hello"', "/nope\n"),
            ("there is no /nope", "/help\n"),
            ("/binary HEX", ""),
            # at the prompt it is readline's, and the terminal's own before
            (_PROMPT, "\x04"),
        )
        self.assertEqual(self.status, 0, out)
        self.assertNotIn("Correct-Horse-7", out)

    def test_ctrl_c_closes_and_leaves_the_terminal_as_it_was(self) -> None:
        out = self.type("alice", (_PROMPT, "hello\n"), ('"message":"hello"', "half a li"), ("half a li", "\x03"))
        self.assertEqual(self.status, 130, out)
        self.assertIn("interrupted: closing", out)
        self.assertNotIn("Traceback", out)

    def test_an_interrupt_that_another_thread_gets_is_one(self) -> None:
        """The system may choose any thread; here it is the one that reads the keyboard."""

        def interrupt(pid: int) -> None:
            (reader,) = {int(name) for name in os.listdir(f"/proc/{pid}/task")} - {pid}
            os.kill(reader, signal.SIGINT)

        out = self.type("alice", (_PROMPT, "hello\n"), ('"message":"hello"', interrupt))
        self.assertEqual(self.status, 130, out)
        self.assertIn("interrupted: closing", out)

    def type(self, user: str, *steps: tuple[str, str | Callable[[int], None]]) -> str:
        """At a terminal of its own: wait for a text, then type, or do something to the process; gives what came."""
        leader, follower = pty.openpty()
        self.addCleanup(os.close, leader)
        command = [*COMMAND, "connect", self.service.url, "--login", user]
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=environment(WSSERVICE_PASSWORD=self.service.users[user], TERM="xterm"),
            stdin=follower,
            stdout=follower,
            stderr=follower,
            preexec_fn=lambda: _take_terminal(follower),
            start_new_session=True,
        )
        self.addCleanup(lambda: process.poll() is None and process.send_signal(signal.SIGKILL))
        os.close(follower)
        shown, place = "", 0
        for wanted, typed in steps:
            while (found := re.compile(wanted).search(shown, place)) is None:
                more = self.read(leader)
                self.assertTrue(more, f"{wanted} is not in {shown}")
                shown += more
            place = found.end()
            if isinstance(typed, str):
                os.write(leader, typed.encode())
            else:
                typed(process.pid)
        while more := self.read(leader):
            shown += more
        self.status = process.wait(PATIENCE)
        return shown

    def read(self, leader: int) -> str:
        """What is shown next; empty at the end."""
        readable, _, _ = select.select([leader], [], [], PATIENCE)
        self.assertTrue(readable, "nothing is shown any more")
        try:
            return os.read(leader, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            return ""


def _take_terminal(descriptor: int) -> None:
    import fcntl
    import termios

    signal.signal(signal.SIGINT, signal.SIG_DFL)  # in the background of a script it is ignored, and that is inherited
    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)
