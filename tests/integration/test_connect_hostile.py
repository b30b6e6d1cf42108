"""`wsservice connect` and `check` at what is no wsservice, or a bad one, and by shells that close descriptors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.hostile import Hostile
from tests.integration.program import Done, environment, run
from wsservice.cli.doctor import tokens
from wsservice.frames import frame

_ROOT = Path(__file__).parents[2]


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def start(self, answer: bytes = b"", *, frames: bytes | None = None, then: tuple[bytes, ...] = ()) -> Hostile:
        service = Hostile(answer, frames=frames, then=then)
        self.addCleanup(service.stop)
        return service

    def run_at(self, service: Hostile, *arguments: str, input: str = "", **env: str) -> Done:
        command, *more = arguments
        return run(command, f"127.0.0.1:{service.port}", "--timeout", "1", *more, cwd=self.folder, input=input, **env)

    def shell(self, service: Hostile, redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        program = f'exec "{sys.executable}" -m wsservice "$@" {redirections}'
        command = ["/bin/sh", "-c", program, "sh", "connect", f"127.0.0.1:{service.port}", *arguments]
        return subprocess.run(
            command, cwd=_ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=60
        )


class AnswerTests(Base):
    def test_numbers_that_are_none_are_told_without_a_traceback(self) -> None:
        for answer, told in (
            ("HTTP/1.1 ²²² x\r\n\r\n", "speaks no HTTP"),
            ("HTTP/1.1 403 x\r\nContent-Length: ²\r\n\r\n", "answered by 403"),
            (f"HTTP/1.1 403 x\r\nContent-Length: {'9' * 5000}\r\n\r\n", "answered by 403"),
        ):
            done = self.run_at(self.start(answer.encode("latin-1")), "connect")
            self.assertEqual(done.status, 1)
            self.assertIn(told, done.error)
            self.assertNotIn("Traceback", done.error)

    def test_who_greets_nobody_is_waited_for_no_longer_than_the_timeout(self) -> None:
        for more, told in ((["--recover"], "no welcome within 1 s"), (["--socketio"], "no handshake of Socket.IO")):
            done = self.run_at(self.start(frames=b""), "connect", *more)
            self.assertEqual(done.status, 1)
            self.assertIn(told, done.error)

    def test_an_issuer_that_speaks_no_http(self) -> None:
        issuer = self.start(b"\x00 SSH-2.0\r\n\r\n")
        self.assertRaises(ValueError, tokens.fetch_keys, f"http://127.0.0.1:{issuer.port}/", 5.0)


class OutputTests(Base):
    def test_what_the_terminal_cannot_show_is_escaped(self) -> None:
        service = self.start(frames=frame("é".encode()) + frame(b"\xe2\x82\xac\x1b[31m"))
        done = self.run_at(service, "connect", "--quiet", input="/wait\n", PYTHONIOENCODING="ascii")
        self.assertNotIn("Traceback", done.error)
        self.assertIn("\\xe9\n", done.out)

    def test_what_is_no_utf8_to_be_sent_is_told(self) -> None:
        done = self.run_at(self.start(frames=b""), "connect", input='/event news "\\ud800"\n')
        self.assertEqual(done.status, 2)
        self.assertIn("surrogate", done.error)


class DescriptorTests(Base):
    def test_without_an_input_nothing_of_the_services_is_taken_for_one(self) -> None:
        opening = frame(b'0{"sid":"x","pingInterval":25000,"pingTimeout":20000}')
        joined = frame(b'40{"sid":"y"}') + frame(b"2")  # and once it has answered the ping:
        then = joined, frame(b'42["news"]') + b"\x88\x02\x03\xe8"
        done = self.shell(self.start(frames=opening, then=then), "<&-", "--stay", "--socketio")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("<- news", done.stdout)

    def test_without_outputs_it_works(self) -> None:
        service = self.start(frames=b"\x88\x02\x03\xe8")
        self.assertEqual(self.shell(service, ">&- 2>&-", "--stay").returncode, 0)


class WaitTests(Base):
    def test_an_answer_that_is_faster_than_the_line_that_waits_for_it(self) -> None:
        service = self.start(frames=frame(b"hello"), then=(frame(b"first"), frame(b"second")))
        command = [sys.executable, "-m", "wsservice", "connect", "-q", f"127.0.0.1:{service.port}", "--timeout", "30"]
        with subprocess.Popen(
            command, cwd=_ROOT, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            self.addCleanup(process.kill)
            self.assertEqual(process.stdout.readline(), "hello\n")
            for answer in ("first\n", "second\n"):
                process.stdin.write("a line\n")
                process.stdin.flush()
                self.assertEqual(process.stdout.readline(), answer)
            process.stdin.write("/wait 2\n")
            process.stdin.close()
            self.assertEqual(process.wait(60), 0)


class ArgumentTests(Base):
    def test_what_makes_no_sense_is_told_without_a_traceback(self) -> None:
        for arguments, told in (
            (["ws://a..b/"], "host"),
            ([f"ws://{'a' * 70}.example/"], "host"),
            (["localhost:1", "--timeout", "-1"], "--timeout"),
            (["localhost:1", "--timeout", "nan"], "--timeout"),
            (["localhost:1", "--timeout", "inf"], "--timeout"),
            (["localhost:1", "--timeout", "0"], "--timeout"),
        ):
            for command in ("connect", "check"):
                done = run(command, *arguments, cwd=self.folder)
                self.assertEqual(done.status, 2, done)
                self.assertIn(told, done.error)
                self.assertNotIn("Traceback", done.error)
