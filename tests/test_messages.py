"""Tests of wsservice.messages."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.messages import ROOT, Ack, Broadcast, Disconnect, Event, Renew, Target

EACH: list[Any] = [
    Event("message", ("x",)),
    Ack(1, (None,)),
    Target(),
    Broadcast("message", (), Target()),
    Disconnect(Target(), 1000, ""),
    Renew("session", "alice", 10.0),
]


class MessagesTests(SynchronousTestCase):
    def test_none_can_be_changed_or_given_other_members(self) -> None:
        for value in EACH:
            name = fields(value)[0].name if is_dataclass(value) else value.__struct_fields__[0]
            self.assertRaises(AttributeError, setattr, value, name, None)
            self.assertFalse(hasattr(value, "__dict__"), value)

    def test_equal_ones_are_equal_and_hash_alike(self) -> None:
        self.assertEqual(
            {Target(rooms=frozenset({"a"})), Target(rooms=frozenset({"a"}))}, {Target(ROOT, frozenset({"a"}))}
        )

    def test_what_is_left_out_is_harmless(self) -> None:
        self.assertIsNone(Event("message", ()).ack_id)
        self.assertIsNone(Ack(1, ()).error)
        self.assertEqual(Target(), Target("/", frozenset(), frozenset(), frozenset(), frozenset()))
        self.assertFalse(Broadcast("message", (), Target()).volatile)
