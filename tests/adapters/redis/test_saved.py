"""Tests of wsservice.adapters.redis.saved: what is written of a connection while it is open."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.adapters.redis.keys import Keys
from wsservice.adapters.redis.saved import SavedConnections, _owner
from wsservice.adapters.redis.shared_history import parse_position


class FakeLink:
    """Writes down what it is told."""

    is_up = True

    def __init__(self) -> None:
        self.on_up: list[Any] = []
        self.told: list[tuple[Any, ...]] = []

    def tell(self, *words: Any) -> None:
        self.told.append(words)


class PositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.link = Clock(), FakeLink()
        self.saved = SavedConnections(
            self.link,  # type: ignore[arg-type]
            Keys("test"),
            self.clock,
            node="n",
            window=60.0,
            barrier=Deferred,
            take=lambda pid: None,
        )
        self.saved.start()
        self.addCleanup(self.saved.stop)
        self.connection = Core().connect("alice").connection
        self.saved.opened("P", self.connection, self.position("100-0"))
        self.pump(1)
        self.assertEqual(self.written(), ["100-0"])

    def position(self, text: str) -> int:
        position = parse_position(text)
        assert position is not None
        return position

    def pump(self, seconds: int) -> None:
        self.clock.pump([0.5] * (2 * seconds))

    def written(self) -> list[str]:
        """The positions of the entries that were written since the last call; a prolongation is `prolonged`."""
        told, self.link.told = self.link.told, []
        start = len(_owner("alice", "/"))
        return [
            "prolonged" if words[0] == b"PEXPIRE" else msgspec.msgpack.decode(words[2][start:])[3] for words in told
        ]

    def test_an_entry_is_prolonged_while_nothing_changes(self) -> None:
        self.pump(41)
        self.assertEqual(self.written(), ["prolonged", "prolonged"])

    def test_how_far_the_client_has_come_is_written_when_it_is_prolonged(self) -> None:
        self.saved.marked("P", self.position("105-0"))
        self.saved.marked("P", self.position("110-2"))
        self.saved.marked("of nobody", self.position("110-2"))
        self.assertEqual(self.written(), [])
        self.pump(41)
        self.assertEqual(self.written(), ["110-2", "prolonged"])
