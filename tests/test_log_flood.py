"""Tests of wsservice.log_flood."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from wsservice.log_flood import FIRST, KINDS, WINDOW, LogFlood


def divide() -> Failure:
    try:
        raise ZeroDivisionError
    except ZeroDivisionError:
        return Failure()


def look_up() -> Failure:
    try:
        raise KeyError("key")
    except KeyError:
        return Failure()


def sink(depth: int, failures: list[Failure]) -> None:
    if depth:
        sink(depth - 1, failures)
        return
    raise RecursionError(f"text of a client {len(failures)}")


def sunk(depth: int) -> Failure:
    try:
        sink(depth, [])
    except RecursionError:
        return Failure()
    raise AssertionError


class LogFloodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[LogEvent] = []
        self.flood = LogFlood(self.clock.seconds, self.clock.callLater)
        self.flood.tell = self.told.append

    def event(self, **fields: Any) -> LogEvent:
        return {"log_namespace": "wsservice.part", "log_level": LogLevel.info, "log_format": "refused", **fields}

    def passed(self, count: int, **fields: Any) -> int:
        """How many of so many equal events pass."""
        return sum(self.flood.lets(self.event(**fields)) for _ in range(count))

    @property
    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.told]

    def test_the_first_pass_and_of_the_others_one_line_tells_how_many_there_were(self) -> None:
        self.assertEqual(self.passed(1000, log_flood="request refused: timeout"), FIRST)
        self.assertEqual(self.told, [])
        self.clock.advance(WINDOW)
        self.assertEqual(self.lines, [f"{1000 - FIRST} more in 10 s: request refused: timeout"])
        told = self.told[0]
        self.assertEqual((told["log_namespace"], told["log_level"]), ("wsservice.part", LogLevel.info))

    def test_while_it_goes_on_there_is_one_line_in_a_window(self) -> None:
        self.passed(FIRST, log_flood="a")
        for _ in range(100):  # for a hundred seconds
            self.passed(1000, log_flood="a")
            self.clock.advance(1)
        self.assertEqual(len(self.told), 10)
        self.assertEqual(sum(event["count"] for event in self.told), 100_000)

    def test_once_it_is_over_the_first_pass_again_and_nothing_is_kept(self) -> None:
        self.passed(FIRST + 1, log_flood="a")
        self.clock.advance(WINDOW)
        self.clock.advance(WINDOW)
        self.assertEqual((len(self.flood), self.clock.getDelayedCalls(), len(self.told)), (0, [], 1))
        self.assertEqual(self.passed(FIRST, log_flood="a"), FIRST)

    def test_few_lines_are_told_by_nobody(self) -> None:
        self.assertEqual(self.passed(FIRST, log_flood="a"), FIRST)
        self.clock.advance(WINDOW)
        self.assertEqual((self.told, len(self.flood)), ([], 0))

    def test_each_kind_has_lines_of_its_own(self) -> None:
        self.assertEqual(self.passed(10, log_flood="a"), FIRST)
        self.assertEqual(self.passed(10, log_flood="b"), FIRST)

    def test_what_has_no_kind_passes(self) -> None:
        self.assertEqual(self.passed(1000), 1000)
        self.assertEqual(len(self.flood), 0)

    def test_the_same_fault_is_one_kind_whatever_it_says(self) -> None:
        faults = [sunk(depth) for depth in (1, 2, 3, 500)]
        self.assertEqual(sum(self.passed(10, log_failure=fault) for fault in faults), FIRST)
        self.clock.advance(WINDOW)
        (line,) = self.lines
        self.assertRegex(line, rf"^{40 - FIRST} more in 10 s: RecursionError at test_log_flood\.py:\d+ \(refused\)$")
        self.assertNotIn("client", line)

    def test_a_cause_has_no_value_of_an_event(self) -> None:
        self.passed(FIRST + 1, log_failure=divide(), log_format="the handler of {event} raised", event="a client's")
        self.clock.advance(WINDOW)
        self.assertTrue(self.lines[0].endswith(" (the handler of … raised)"), self.lines)

    def test_another_place_or_another_type_is_another_fault(self) -> None:
        for fault in (divide(), look_up(), sunk(0), Failure(ValueError()), Failure(KeyError())):
            self.assertEqual(self.passed(100, log_failure=fault), FIRST)

    def test_a_place_is_found_in_a_failure_without_its_traceback(self) -> None:
        fault = divide()
        fault.cleanFailure()
        self.passed(FIRST + 1, log_failure=fault)
        self.clock.advance(WINDOW)
        self.assertRegex(self.lines[0], r"ZeroDivisionError at test_log_flood\.py:\d+")

    def test_whatever_an_application_gives_breaks_nothing(self) -> None:
        for fields in (
            {"log_failure": "no failure"},
            {"log_failure": divide(), "log_format": b"bytes {x}"},
            {"log_failure": SimpleNamespace(type=[], frames=5)},
            {"log_flood": ["no", "words"]},
            {"log_failure": Failure("text")},
        ):
            self.assertEqual(self.passed(FIRST + 1, **fields), FIRST)
            self.flood.tell_all()

    def test_nothing_is_kept_of_a_failure_nor_of_an_event(self) -> None:
        fault = divide()
        self.passed(10, log_failure=fault, secret="hush")
        self.assertNotIn("hush", repr(vars(self.flood)))
        self.assertNotIn(fault, list(vars(self.flood).values()))

    def test_the_number_of_kinds_is_bounded_and_what_is_beyond_shares_one(self) -> None:
        passed = sum(self.flood.lets(self.event(log_flood=f"kind {number}")) for number in range(100_000))
        self.assertEqual((passed, len(self.flood)), (KINDS + FIRST, KINDS + 1))
        self.clock.advance(WINDOW)
        self.assertEqual(self.lines, [f"{100_000 - KINDS - FIRST} more in 10 s: of many kinds"])

    def test_what_was_not_yet_told_is_told_at_the_end(self) -> None:
        self.passed(FIRST + 7, log_flood="a")
        self.passed(FIRST, log_flood="b")
        self.clock.advance(3)
        self.flood.tell_all()
        self.assertEqual(self.lines, ["7 more in 3 s: a"])
        self.clock.advance(WINDOW)
        self.assertEqual(len(self.told), 1)

    def test_what_is_logged_while_it_decides_does_not_lock_it(self) -> None:
        # As a Deferred does that is collected just then: "Unhandled error in Deferred".
        self.flood = LogFlood(self.clock.seconds, lambda *_: self.flood.lets(self.event(log_flood="a")))
        thread = threading.Thread(target=self.passed, args=(1,), kwargs={"log_flood": "a"}, daemon=True)
        thread.start()
        thread.join(timeout=30)
        self.assertFalse(thread.is_alive())

    def test_threads_may_log_too(self) -> None:
        passed: list[int] = []
        threads = [threading.Thread(target=lambda: passed.append(self.passed(1000, log_flood="a"))) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.clock.advance(WINDOW)
        self.assertEqual((sum(passed), self.told[0]["count"]), (FIRST, 4000 - FIRST))
