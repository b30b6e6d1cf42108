"""The client tells the offsets of Socket.IO events from texts of people: every kind that the service makes."""

from __future__ import annotations

import re

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import CLIENT
from wsservice.adapters.redis.positions import Mark, parse_position, with_mark, write_position
from wsservice.counters import Counters
from wsservice.history import History

PATTERN = re.search(r"^const OFFSET = /(.+)/;$", (CLIENT / "src/offsets.js").read_text(), re.MULTILINE)
MARK = Mark("d68fcea53796", 2, 1)


class OffsetTests(SynchronousTestCase):
    def is_offset(self, text: str) -> bool:
        """As `isOffset` of offsets.js has it."""
        assert PATTERN is not None
        return re.search(PATTERN[1], text, re.ASCII) is not None

    def test_those_of_a_process_that_is_alone(self) -> None:
        for _ in range(100):  # its prefix is random
            self.assertTrue(self.is_offset(History(Clock().seconds, Counters()).offset(17)))

    def test_those_of_a_cluster(self) -> None:
        position = parse_position("1795544611431-3")
        assert position is not None
        for number in (position, with_mark(position, MARK), with_mark(0, MARK)):
            offset = write_position(number)
            self.assertTrue(self.is_offset(offset), offset)

    def test_no_texts_of_people(self) -> None:
        for text in ("", "no offset", "1.5.", "2026-11", "a.b", "1-2-3"):
            self.assertFalse(self.is_offset(text), text)
