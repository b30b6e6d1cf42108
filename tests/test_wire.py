"""Tests of wsservice.wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import FakeLink
from wsservice.envelope import RawWire
from wsservice.frames import PLAIN
from wsservice.wire import Link, Wire


class LinkTests(SynchronousTestCase):
    def test_a_link_that_forgets_a_method_cannot_be_made_and_is_told_which(self) -> None:
        for name in ("write", "is_behind", "close", "pause_reading", "resume_reading"):
            methods = {key: value for key, value in vars(FakeLink).items() if callable(value) and key != name}
            error = self.assertRaises(TypeError, type("Incomplete", (Link,), methods))
            self.assertIn(name, str(error))

    def test_a_link_adds_no_dict_to_a_slotted_class(self) -> None:
        methods = {key: value for key, value in vars(FakeLink).items() if key in Link.__abstractmethods__}
        slotted = type("Slotted", (Link,), {"__slots__": (), **methods})
        self.assertFalse(hasattr(slotted(), "__dict__"))


class WireTests(SynchronousTestCase):
    def test_the_raw_wire_is_one(self) -> None:
        wire: Wire = RawWire(PLAIN)
        for name in ("event", "payload", "result", "error"):
            self.assertTrue(callable(getattr(wire, name)))
