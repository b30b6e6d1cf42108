"""Tests of wsservice.wire."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import FakeLink
from wsservice.clients.wires import Wires
from wsservice.envelope import RawWire
from wsservice.frames import PLAIN
from wsservice.messages import Broadcast, Target
from wsservice.recorded import Entry
from wsservice.socketio.packet import encode_event
from wsservice.wire import Link, Wire


class LinkTests(SynchronousTestCase):
    def test_a_link_that_forgets_a_method_cannot_be_made_and_is_told_which(self) -> None:
        for name in ("accept", "refuse", "write", "is_behind", "close", "pause_reading", "resume_reading"):
            methods = {key: value for key, value in vars(FakeLink).items() if callable(value) and key != name}
            error = self.assertRaises(TypeError, type("Incomplete", (Link,), methods))
            self.assertIn(name, str(error))

    def test_a_link_adds_no_dict_to_a_slotted_class(self) -> None:
        methods = {key: value for key, value in vars(FakeLink).items() if key in Link.__abstractmethods__}
        slotted = type("Slotted", (Link,), {"__slots__": (), **methods})
        self.assertFalse(hasattr(slotted(), "__dict__"))


class WireTests(SynchronousTestCase):
    def test_the_raw_wire_and_those_of_socketio_are_some(self) -> None:
        wires: list[Wire] = [RawWire(PLAIN), Wires().get("/", None), Wires().get("/", PLAIN)]
        for wire in wires:
            for name in ("event", "recoverable", "payload", "result", "error"):
                self.assertTrue(callable(getattr(wire, name)))
        self.assertEqual([wire.is_recoverable for wire in wires], [False, True, True])

    def test_where_clients_cannot_recover_an_event_of_the_history_has_no_offset(self) -> None:
        entry = Entry(1, Broadcast("news", (1,), Target()), "offset", encode_event("/", "news", (1, "offset")), 0, 0.0)
        wires: list[Wire] = [RawWire(PLAIN), Wires().get("/", PLAIN)]
        self.assertEqual([b"offset" in wire.recoverable(entry) for wire in wires], [False, True])
