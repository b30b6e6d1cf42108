"""Tests of `wsservice.logs`."""

from __future__ import annotations

import json
import re
from enum import Enum
from pathlib import Path
from typing import Any, Literal

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, LogLevel, globalLogPublisher
from twisted.python import log as legacy
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wsservice.log_context import serving
from wsservice.log_flood import FIRST, WINDOW, LogFlood
from wsservice.log_writer import LineWriter
from wsservice.logs import (
    MAX_ITEMS,
    MAX_MESSAGE,
    MAX_TRACEBACK_LINE,
    MAX_TRACEBACK_LINES,
    MAX_VALUE,
    is_journal,
    make_observer,
)
from wsservice.redaction import MARK, Redactor
from wsservice.testing import Issuer

TIME = 1_700_000_000.0625


class Awkward:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    __str__ = __repr__


class Base(SynchronousTestCase):
    format: Literal["text", "json"] = "text"

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.begin()

    def begin(self, level: str = "info", limit: int = 100_000, **redaction: Any) -> None:
        self.writer = LineWriter.to_file(self.path, limit=limit)
        redact = Redactor(**redaction) if redaction else None
        self.observer = make_observer(self.writer, level=level, format=self.format, redact=redact)
        self.log = Logger(namespace="wsservice.part", observer=self.observer)

    def emit(self, template: str | None, namespace: str = "wsservice.part", **fields: Any) -> None:
        event: LogEvent = {"log_namespace": namespace, "log_level": LogLevel.info, "log_time": TIME}
        self.observer({**event, "log_format": template, **fields})

    @property
    def text(self) -> str:
        return self.path.read_text()

    @property
    def line(self) -> str:
        lines = self.text.splitlines()
        self.assertEqual(len(lines), 1, lines)
        return lines[0]


class FloodTests(Base):
    def begin(self, *args: Any, **kwargs: Any) -> None:
        super().begin(*args, **kwargs)
        self.clock = Clock()
        flood = LogFlood(self.clock.seconds, self.clock.callLater)
        self.observer = make_observer(self.writer, level="info", format=self.format, flood=flood)
        self.log = Logger(namespace="wsservice.part", observer=self.observer)

    def test_a_flood_of_refusals_is_a_few_lines(self) -> None:
        for number in range(10_000):
            self.log.info("refused {number}", number=number, log_flood="refused: timeout")
            self.log.debug("refused {number}", number=number, log_flood="refused: timeout")
        self.clock.advance(WINDOW)
        lines = self.text.splitlines()
        self.assertEqual(len(lines), FIRST + 1)
        self.assertRegex(lines[-1], rf" info     wsservice\.part: {10_000 - FIRST} more in 10 s: refused: timeout$")

    def test_a_fault_that_comes_again_has_few_tracebacks(self) -> None:
        for _ in range(1000):
            try:
                raise ZeroDivisionError
            except ZeroDivisionError:
                self.log.failure("the handler raised")
        self.observer.tell_all()
        self.assertEqual(self.text.count("Traceback"), FIRST)
        last = self.text.splitlines()[-1]
        self.assertRegex(last, r"critical .* 995 more in 0 s: ZeroDivisionError at test_logs\.py:\d+ \(the handler ra")

    def test_without_a_bound_all_is_written(self) -> None:
        super().begin()
        for _ in range(100):
            self.log.info("refused", log_flood="refused")
        self.observer.tell_all()
        self.assertEqual(len(self.text.splitlines()), 100)


class LevelTests(Base):
    def written(self, level: str, namespace: str = "wsservice.part") -> list[str]:
        self.path.unlink(missing_ok=True)
        self.begin(level)
        log = Logger(namespace=namespace, observer=self.observer)
        for one in (LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical):
            log.emit(one, "told")
        return [line.split()[2] for line in self.text.splitlines()]

    def test_what_is_below_the_level_is_not_written(self) -> None:
        self.assertEqual(self.written("debug"), ["debug", "info", "warn", "error", "critical"])
        self.assertEqual(self.written("warn"), ["warn", "error", "critical"])
        self.assertEqual(self.written("silent"), [])

    def test_what_is_below_the_level_is_not_even_formatted(self) -> None:
        self.begin("error")
        self.log.info("{awkward}", awkward=Awkward())
        self.assertEqual(self.text, "")

    def test_the_level_can_be_changed(self) -> None:
        self.begin("error")
        self.log.info("one")
        self.observer.set_level("info")
        self.log.info("two")
        self.observer.set_level("error")
        self.log.info("three")
        self.assertEqual([line.split()[-1] for line in self.text.splitlines()], ["two"])

    def test_autobahn_is_heard_from_error_upward(self) -> None:
        self.assertEqual(self.written("debug", "autobahn.websocket.protocol"), ["error", "critical"])
        self.assertEqual(self.written("critical", "autobahn"), ["critical"])
        self.assertEqual(len(self.written("debug", "autobahnish")), 5)

    def test_a_librarys_threshold_is_that_of_its_longest_name(self) -> None:
        self.assertEqual(self.written("info", "twisted.web.client"), ["warn", "error", "critical"])
        self.assertEqual(self.written("info", "twisted.web.client._HTTP11ClientFactory"), ["warn", "error", "critical"])
        self.assertEqual(len(self.written("info", "twisted.web")), 4)
        self.assertEqual(len(self.written("info", "twisted.web.clients")), 4)

    def test_what_is_printed_has_no_level(self) -> None:
        self.begin("critical")
        self.emit("{log_io}", "stdout", log_io="  printed")
        self.assertTrue(self.line.endswith(" info     stdout:   printed"), self.line)

    def test_silent_is_silent(self) -> None:
        self.begin("silent")
        self.emit("{log_io}", "stdout", log_io="printed")
        self.assertEqual(self.text, "")

    def test_an_event_without_a_level_counts_as_info(self) -> None:
        self.observer({"log_format": "told", "log_time": TIME})
        self.assertRegex(self.line, r" info     -: told$")


class TextTests(Base):
    def test_a_line_has_time_level_namespace_and_message(self) -> None:
        self.emit("hello {who}", who="world")
        expected = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.062[+-]\d\d:\d\d info     wsservice\.part: hello world$"
        self.assertRegex(self.line, expected)

    def test_ids_follow_unless_the_message_has_them(self) -> None:
        self.emit("opened", request_id="r1", connection_id="c1", user="alice")
        self.assertTrue(self.line.endswith(": opened request_id=r1 connection_id=c1"), self.line)
        self.path.write_text("")
        self.emit("refused ({request_id})", request_id="r1", connection_id=None)
        self.assertTrue(self.line.endswith(": refused (r1)"), self.line)

    def test_a_traceback_follows_indented(self) -> None:
        try:
            raise ValueError("bad\nFAKE line \x1b[2J")
        except ValueError:
            self.log.failure("it failed", connection_id="c1")
        first, *rest = self.text.splitlines()
        self.assertTrue(first.endswith("critical wsservice.part: it failed connection_id=c1"), first)
        self.assertEqual(rest[0], "    Traceback (most recent call last):")
        self.assertIn(r"    FAKE line \x1b[2J", rest)
        self.assertTrue(all(line.startswith("    ") for line in rest))

    def test_nobody_can_begin_a_line_or_command_a_terminal(self) -> None:
        self.emit("{what}", what="a\nb\r\x1b[2J\x07\x7f\x85\u2028\u202e\t", request_id="x\ny")
        self.assertIn(r"a\nb\r\x1b[2J\x07\x7f\x85\u2028\u202e\t request_id=x\ny", self.line)

    def test_nobody_can_forge_a_line_by_printing_it(self) -> None:
        self.emit("real")
        self.emit("{log_io}", "stdout", log_io=self.line)
        self.emit("{log_io}", "stdout", log_io="")
        heads = [re.sub(r"^.{29} ", "", line)[:30] for line in self.text.splitlines()]
        self.assertEqual(heads[0], "info     wsservice.part: real")
        self.assertTrue(heads[1].startswith("info     stdout: 20"), heads)
        self.assertEqual(heads[2], "info     stdout: ")

    def test_lone_surrogates_are_escaped(self) -> None:
        self.emit("{what}", what="\ud800")
        self.assertIn(r"\ud800", self.line)

    def test_values_are_cut_and_messages_bounded(self) -> None:
        self.emit("{what}.", what="x" * 1000)
        self.assertTrue(self.line.endswith("x" * (MAX_VALUE - 1) + "…."))
        self.path.write_text("")
        self.emit("{log_io}", log_io="y" * (2 * MAX_MESSAGE))
        self.assertIn("y" * (MAX_MESSAGE - 1) + "…", self.line)

    def test_secrets_go_before_anything_is_cut(self) -> None:
        token = Issuer().token()
        self.begin(secrets=("hush-hush",), cookies=("sid",))
        self.emit("{what} {more} {cookie}", what="x" * 240 + token, more="hush-hush", cookie="sid=abc")
        self.assertNotIn("eyJ", self.line)
        self.assertNotIn("hush", self.line)
        self.assertTrue(self.line.endswith(f"{MARK} sid={MARK}"), self.line)

    def test_a_traceback_holds_no_secret(self) -> None:
        try:
            raise ValueError(Issuer().token())
        except ValueError:
            self.log.failure("it failed")
        self.assertIn(f"ValueError: {MARK}", self.text)

    def test_a_traceback_is_bounded_in_its_lines_and_as_a_whole(self) -> None:
        def deep(depth: int) -> None:
            if depth:
                deep(depth - 1)
            raise ValueError("\x1b" * 20_000)

        try:
            deep(200)
        except ValueError:
            self.log.failure("it failed")
        first, *rest = self.text.splitlines()
        self.assertTrue(first.endswith("it failed"))
        self.assertEqual(len(rest), MAX_TRACEBACK_LINES + 1)
        self.assertEqual(max(map(len, rest)), 4 + MAX_TRACEBACK_LINE)
        self.assertTrue(any("lines are left out" in line for line in rest))
        self.assertTrue(rest[-1].startswith(r"    builtins.ValueError: \x1b\x1b"), rest[-1][:60])

    def test_an_event_that_says_nothing_is_left_out(self) -> None:
        self.emit(None)
        self.assertEqual(self.text, "")

    def test_an_event_that_cannot_be_formatted_is_told(self) -> None:
        self.emit("{awkward}", awkward=Awkward())
        self.emit("{who.x.y}", who="world")
        self.emit("fine", log_time="yesterday")
        self.assertEqual(len(self.text.splitlines()), 3)
        self.assertIn("wsservice.logs: an event could not be written: TypeError", self.text)

    def test_events_of_the_old_logging_are_understood(self) -> None:
        globalLogPublisher.addObserver(self.observer)
        self.addCleanup(globalLogPublisher.removeObserver, self.observer)
        legacy.msg("old", "style")
        self.assertTrue(self.line.endswith(": old style"), self.line)
        self.path.write_text("")
        for reason in ("it failed", None):
            legacy.err(Failure(ValueError("bad")), reason)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)
        heads = [line.split(": ")[-1] for line in self.text.splitlines() if not line.startswith(" ")]
        self.assertEqual(heads, ["it failed", "Unhandled error"])
        self.assertIn("    Failure: builtins.ValueError: bad\n", self.text)


class ContextTests(Base):
    """Events within `log_context.serving`."""

    def told(self) -> str:
        tail = self.line.partition(": ")[2]
        self.path.write_text("")
        return tail

    def test_the_ids_of_the_connection_that_is_served_are_added(self) -> None:
        with serving("c1", "r1"):
            self.log.info("told")
        self.assertEqual(self.told(), "told request_id=r1 connection_id=c1")
        self.log.info("told")
        self.assertEqual(self.told(), "told")

    def test_an_event_that_has_its_own_keeps_them(self) -> None:
        with serving("c1", "r1"):
            self.log.info("told", connection_id="c1")
            self.assertEqual(self.told(), "told request_id=r1 connection_id=c1")
            self.log.info("told", connection_id="c2")
            self.assertEqual(self.told(), "told connection_id=c2")

    def test_what_is_printed_has_them_too(self) -> None:
        with serving("c1", "r1"):
            self.emit("{log_io}", "stdout", log_io="printed")
        self.assertEqual(self.told(), "printed request_id=r1 connection_id=c1")


class JsonContextTests(Base):
    format = "json"

    def test_the_ids_are_fields(self) -> None:
        with serving("c1", "r1"):
            self.log.info("told")
        found = json.loads(self.line)
        self.assertEqual((found["connection_id"], found["request_id"]), ("c1", "r1"))


class JsonTests(Base):
    format = "json"

    @property
    def object(self) -> dict[str, Any]:
        return dict(json.loads(self.line))

    def test_an_object_has_the_time_the_message_and_the_fields(self) -> None:
        self.emit("user {user} came", user="alice", connection_id="c1", count=3, ok=True, nothing=None)
        self.assertEqual(
            self.object,
            {
                "ts": "2023-11-14T22:13:20.062Z",
                "level": "info",
                "msg": "user alice came",
                "event": "user {user} came",
                "namespace": "wsservice.part",
                "user": "alice",
                "connection_id": "c1",
                "count": 3,
                "ok": True,
                "nothing": None,
            },
        )

    def test_a_failure_is_one_field(self) -> None:
        try:
            raise ValueError("x" * 1000)
        except ValueError:
            self.log.failure("it failed")
        self.assertEqual(self.object["level"], "critical")
        self.assertIn("Traceback (most recent call last):\n", self.object["traceback"])
        self.assertIn("x" * 1000, self.object["traceback"])

    def test_values_are_simple_and_short(self) -> None:
        class Color(Enum):
            RED = 1

        self.emit(
            "told",
            long="x" * 1000,
            many=tuple(range(100)),
            mixed=["a", Color.RED],
            nan=float("nan"),
            half=0.5,
            table={"a": 1},
            awkward=Awkward(),
        )
        found = self.object
        self.assertEqual(found["long"], "x" * (MAX_VALUE - 1) + "…")
        self.assertEqual(found["many"], list(range(MAX_ITEMS)))
        self.assertEqual((found["mixed"], found["nan"], found["half"]), (["a", "Color.RED"], "nan", 0.5))
        self.assertEqual(found["table"], "{'a': 1}")
        self.assertIn("Awkward", found["awkward"])

    def test_a_field_does_not_replace_the_events_own(self) -> None:
        self.emit("told", level="high", msg="other")
        self.assertEqual((self.object["level"], self.object["level_"], self.object["msg_"]), ("info", "high", "other"))

    def test_one_line_of_ascii_whatever_is_in_it(self) -> None:
        self.emit("{what}", what="a\nb\x1b\x7f\x85\u2028\ud800\u00e4", names={"\ud800"})
        self.assertTrue(re.fullmatch(r"[\x20-\x7e]+", self.line))
        self.assertEqual(self.object["what"], "a\nb\x1b\x7f\x85\u2028\\ud800\u00e4")

    def test_secrets_are_taken_out_by_shape_and_by_name(self) -> None:
        self.begin(secrets=("hush-hush",))
        token = Issuer().token()
        self.emit("{what}", what=f"{token} hush-hush", password=["a"], answer='{"IdToken":"x"}')
        self.assertNotIn("eyJ", self.line)
        self.assertNotIn("hush", self.line)
        self.assertEqual((self.object["password"], self.object["answer"]), (MARK, f'{{"IdToken":{MARK}}}'))

    def test_what_is_printed_has_no_template(self) -> None:
        self.emit("{log_io}", "stdout", log_io="printed")
        self.assertEqual((self.object["msg"], "event" in self.object), ("printed", False))


class LossTests(Base):
    def test_lost_lines_are_told_once_when_writing_works_again(self) -> None:
        self.begin(limit=200)
        real, self.writer._fd = self.writer._fd, -1
        for _ in range(5):
            self.emit("told {what}", what="x" * 100)
        self.assertEqual((self.text, self.writer.dropped), ("", 4))
        self.writer._fd = real
        self.emit("again")
        self.emit("and again")
        lines = [line.split(": ", 1)[1] for line in self.text.splitlines()]
        self.assertEqual(lines[1:], ["again", "4 log lines were dropped, since nothing took them", "and again"])

    def test_a_new_file_can_be_asked_for(self) -> None:
        self.emit("one")
        old = self.path.rename(f"{self.path}.1")
        self.observer.reopen()
        self.assertTrue(self.path.exists())
        self.emit("two")
        self.assertIn("one", old.read_text())
        self.assertIn("two", self.line)


class JournalTests(Base):
    """Lines for the journal of systemd: a priority before each."""

    def begin(self, level: str = "debug", limit: int = 100_000, **redaction: Any) -> None:
        self.observer = make_observer(LineWriter.to_file(self.path), level=level, format=self.format, journal=True)
        self.log = Logger(namespace="wsservice.part", observer=self.observer)

    def test_each_level_has_its_own(self) -> None:
        for one in (LogLevel.debug, LogLevel.info, LogLevel.warn, LogLevel.error, LogLevel.critical):
            self.log.emit(one, "told")
        self.assertEqual([line[:3] for line in self.text.splitlines()], ["<7>", "<6>", "<4>", "<3>", "<2>"])

    def test_each_line_of_a_traceback_has_it(self) -> None:
        try:
            raise ValueError("<0>forged\n<0>forged")
        except ValueError:
            self.log.failure("failed")
        lines = self.text.splitlines()
        self.assertGreater(len(lines), 3)
        self.assertEqual({line[:3] for line in lines}, {"<2>"})

    def test_what_says_nothing_is_left_out(self) -> None:
        self.emit(None)
        self.assertEqual(self.text, "")

    def test_the_journal_is_known_by_its_file(self) -> None:
        with self.path.open("w") as file:
            status = self.path.stat()
            self.assertTrue(is_journal(file.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}))
            self.assertFalse(is_journal(file.fileno(), {"JOURNAL_STREAM": f"{status.st_dev}:1"}))
            self.assertFalse(is_journal(file.fileno(), {}))
        self.assertFalse(is_journal(-1, {}))


class JsonJournalTests(JournalTests):
    format = "json"

    def test_each_line_of_a_traceback_has_it(self) -> None:
        self.log.error("failed")
        self.assertEqual(json.loads(self.text.removeprefix("<3>"))["msg"], "failed")

    def test_what_says_nothing_is_left_out(self) -> None:
        self.emit(None)
        self.assertEqual(self.text.count("\n"), 1)
