"""Tests of `wsservice.log_writer`."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from wsservice.log_writer import LineWriter


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.writer = LineWriter.to_file(self.path)

    def test_lines_are_added_to_the_end(self) -> None:
        self.writer.write("one")
        LineWriter.to_file(self.path).write("two")
        self.assertEqual(self.path.read_text(), "one\ntwo\n")

    def test_what_utf8_has_no_form_for_is_escaped(self) -> None:
        self.writer.write("\u00e4 \ud800")
        self.assertEqual(self.path.read_bytes(), b"\xc3\xa4 \\ud800\n")

    def test_a_file_is_not_for_everybody(self) -> None:
        self.assertEqual(self.path.stat().st_mode & 0o137, 0)

    def test_after_a_rename_a_new_file_begins(self) -> None:
        self.writer.write("one")
        old = self.path.rename(f"{self.path}.1")
        self.writer.write("two")
        self.assertEqual((old.read_text(), self.path.read_text()), ("one\n", "two\n"))
        self.path.unlink()
        self.writer.write("three")
        self.assertEqual(self.path.read_text(), "three\n")

    def test_a_file_that_was_emptied_goes_on_from_its_start(self) -> None:
        self.writer.write("one")
        os.truncate(self.path, 0)
        self.writer.write("two")
        self.assertEqual(self.path.read_bytes(), b"two\n")

    def test_if_a_new_file_cannot_be_opened_the_old_one_stays(self) -> None:
        self.writer.write("one")
        old = self.path.rename(f"{self.path}.1")
        self.path.mkdir()
        self.writer.write("two")
        self.assertEqual(old.read_text(), "one\ntwo\n")

    def test_a_full_disk_loses_nothing_that_fits_into_memory(self) -> None:
        self.writer = LineWriter.to_file(self.path, limit=10)
        real, os.write = os.write, self._full
        self.addCleanup(setattr, os, "write", real)
        self.writer.write("one")
        self.writer.write("two")
        self.writer.write("three")
        self.assertEqual((self.writer.dropped, self.writer.is_behind), (1, True))
        os.write = real
        self.writer.write("four")
        self.assertEqual(self.path.read_text(), "one\ntwo\nfour\n")

    def _full(self, fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    def test_a_file_that_cannot_be_opened_is_told_at_once(self) -> None:
        self.assertRaises(OSError, LineWriter.to_file, Path("/nonexistent/log"))


class PipeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.reader, self.fd = os.pipe()
        self.addCleanup(self.close)

    def close(self) -> None:
        for fd in (self.reader, self.fd):
            try:
                os.close(fd)
            except OSError:
                pass

    def read_all(self) -> bytes:
        fcntl.fcntl(self.reader, fcntl.F_SETFL, os.O_NONBLOCK)
        data = b""
        while True:
            try:
                data += os.read(self.reader, 65536)
            except BlockingIOError:
                return data

    def test_a_reader_that_does_not_read_blocks_nobody(self) -> None:
        writer = LineWriter(self.fd, limit=10_000)
        for number in range(1000):
            writer.write(f"{number:04} {'x' * 994}")
        self.assertTrue(writer.is_behind)
        dropped = writer.dropped
        self.assertGreater(dropped, 900)
        data = self.read_all()
        writer.write("the end")
        data += self.read_all()
        self.assertFalse(writer.is_behind)
        self.assertEqual(writer.dropped, dropped)
        lines = data.decode().splitlines()
        # Whole lines, in order, and after the gap the last one.
        expected = [f"{number:04} {'x' * 994}" for number in range(1000 - dropped)]
        self.assertEqual(lines, [*expected, "the end"])

    def test_a_line_may_be_longer_than_what_a_pipe_takes_at_once(self) -> None:
        LineWriter(self.fd).write("x" * 30_000)
        self.assertEqual(len(self.read_all()), 30_001)

    def test_a_reader_that_has_gone_harms_nobody(self) -> None:
        writer = LineWriter(self.fd, limit=10)
        os.close(self.reader)
        writer.write("one")
        writer.write("two")
        writer.write("three")
        self.assertEqual(writer.dropped, 1)

    def test_a_closed_descriptor_harms_nobody(self) -> None:
        writer = LineWriter(self.fd, limit=3)
        os.close(self.fd)
        writer.write("one")
        self.assertEqual(writer.dropped, 1)

    def test_only_a_file_is_opened_anew(self) -> None:
        writer = LineWriter(self.fd)
        writer.reopen()
        writer.write("one")
        self.assertEqual(self.read_all(), b"one\n")


class TerminalTests(SynchronousTestCase):
    def test_a_terminal_stays_as_the_shell_knows_it(self) -> None:
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, terminal)
        writer = LineWriter(terminal)
        writer.write("one")
        self.assertEqual(os.read(master, 100), b"one\r\n")
        self.assertFalse(fcntl.fcntl(terminal, fcntl.F_GETFL) & os.O_NONBLOCK)

    def test_a_terminal_that_nobody_reads_blocks_nobody(self) -> None:
        master, terminal = pty.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, terminal)
        writer = LineWriter(terminal, limit=10_000)
        for _ in range(100):
            writer.write("x" * 1000)
        self.assertGreater(writer.dropped, 0)
