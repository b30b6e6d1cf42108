"""Tests of `wsservice.log_context`."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.trial.unittest import SynchronousTestCase

from wsservice.log_context import Ids, current, serving


class ContextTests(SynchronousTestCase):
    def test_outside_of_any_connection_there_are_no_ids(self) -> None:
        self.assertIsNone(current())

    def test_within_there_are_those_of_the_innermost(self) -> None:
        with serving("c1", "r1"):
            with serving("c2", "r2"):
                self.assertEqual(current(), ("c2", "r2"))
            self.assertEqual(current(), ("c1", "r1"))
        self.assertIsNone(current())

    def test_an_error_ends_it_too(self) -> None:
        with self.assertRaises(ValueError), serving("c1", "r1"):
            raise ValueError
        self.assertIsNone(current())

    def test_a_coroutine_keeps_them_in_its_later_turns_whoever_brings_them_about(self) -> None:
        seen: list[Ids | None] = []
        gate: Deferred[None] = Deferred()

        async def handle() -> None:
            await gate
            seen.append(current())

        @inlineCallbacks
        def handle_in_the_old_way() -> Generator[Deferred[None], Any, None]:
            yield gate
            seen.append(current())

        with serving("c1", "r1"):
            Deferred.fromCoroutine(handle())
        with serving("c2", "r2"):
            handle_in_the_old_way()
        with serving("c3", "r3"):
            gate.callback(None)
            self.assertEqual(current(), ("c3", "r3"))
        self.assertEqual(seen, [("c1", "r1"), ("c2", "r2")])
