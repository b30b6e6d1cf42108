"""Tests of wsservice.emissions: what backends write in JSON."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.emissions import MAX_EVENT, MAX_NAME, NotAnEmission, read_broadcast, read_disconnect
from wsservice.messages import Broadcast, Disconnect, Target

MANY = frozenset({"a", "b"})


class Base(SynchronousTestCase):
    def refused(self, read: Any, body: Any) -> str:
        """What is said about a message."""
        return str(self.assertRaises(NotAnEmission, read, body))


class BroadcastTests(Base):
    def test_the_least_is_an_event(self) -> None:
        self.assertEqual(read_broadcast({"event": "news"}), Broadcast("news", (), Target()))

    def test_one_argument_or_several(self) -> None:
        for body, args in (
            ({"data": {"a": [1]}}, ({"a": [1]},)),
            ({"data": None}, (None,)),
            ({"data": []}, ([],)),
            ({"args": []}, ()),
            ({"args": [1, "two"]}, (1, "two")),
        ):
            self.assertEqual(read_broadcast({"event": "news", **body}), Broadcast("news", args, Target()), body)

    def test_everything_that_can_be_said(self) -> None:
        body = {
            "event": "news",
            "room": "a",
            "user": ["a", "b"],
            "session": ["b", "a"],
            "except_room": "b",
            "namespace": "/admin",
            "volatile": True,
        }
        target = Target("/admin", frozenset({"a"}), MANY, MANY, frozenset(), frozenset({"b"}))
        self.assertEqual(read_broadcast(body), Broadcast("news", (), target, volatile=True))

    def test_an_empty_list_is_nobody(self) -> None:
        self.assertIsNone(read_broadcast({"event": "news", "room": []}))
        self.assertIsNotNone(read_broadcast({"event": "news", "room": [], "user": "ann"}))

    def test_what_is_wrong_is_told_by_its_member(self) -> None:
        for body, told in (
            ({}, "event must be a text"),
            ({"event": ""}, "event must be a text"),
            ({"event": 5}, "event must be a text"),
            ({"event": "x" * (MAX_EVENT + 1)}, "event must be a text"),
            ({"event": "connect"}, "event is a name that Socket.IO keeps"),
            ({"event": "news", "args": [], "data": 1}, "args and data cannot both"),
            ({"event": "news", "args": {"a": 1}}, "args must be a list"),
            ({"event": "news", "args": None}, "args must be a list"),
            ({"event": "news", "volatile": "yes"}, "volatile must be true or false"),
            ({"event": "news", "volatile": None}, "volatile must be true or false"),
            ({"event": "news", "namespace": "admin"}, "namespace must be a text that begins with /"),
            ({"event": "news", "namespace": None}, "namespace must be a text that begins with /"),
            ({"event": "news", "rooms": ["a"]}, "'rooms' is no member of a message: event, args, data, room"),
            ({"event": "news", "x" * 100: 1}, "'" + "x" * 39 + " is no member"),
        ):
            self.assertTrue(self.refused(read_broadcast, body).startswith(told), (body, told))
        for body in (None, "news", ["news"], 1):
            self.assertEqual(self.refused(read_broadcast, body), "a message must be a JSON object")

    def test_a_name_that_is_missing_by_mistake_is_not_everybody(self) -> None:
        for member in ("room", "user", "session", "except_room"):
            for value in (None, "", 5, True, {}, [""], ["a", None], [["a"]], "x" * (MAX_NAME + 1)):
                told = self.refused(read_broadcast, {"event": "news", member: value})
                self.assertTrue(told.startswith(f"{member} must be a text"), (value, told))

    def test_values_are_never_repeated(self) -> None:
        for body in ({"event": "news", "room": {"SECRET": 1}}, {"event": "news", "volatile": "SECRET"}):
            self.assertNotIn("SECRET", self.refused(read_broadcast, body))


class DisconnectTests(Base):
    def test_somebody(self) -> None:
        self.assertEqual(
            read_disconnect({"user": "a", "reason": "Gone"}), Disconnect(Target(users=frozenset({"a"})), 1000, "Gone")
        )

    def test_everybody_must_be_meant(self) -> None:
        for body in ({}, {"everybody": False}, {"except_room": "a"}, {"namespace": "/admin"}):
            self.assertIn("or everybody must be true", self.refused(read_disconnect, body))
        expected = Disconnect(Target(except_rooms=frozenset({"a"})), 4001, "Disconnected by the server")
        self.assertEqual(read_disconnect({"everybody": True, "except_room": "a", "code": 4001}), expected)

    def test_nobody(self) -> None:
        self.assertIsNone(read_disconnect({"user": []}))

    def test_what_is_wrong_is_told_by_its_member(self) -> None:
        for body, told in (
            ({"code": "1000"}, "code must be a whole number"),
            ({"code": True}, "code must be a whole number"),
            ({"code": 1006}, "code must be one that a server may send"),
            ({"reason": "é" * 62}, "reason must be a text of at most 123 bytes"),
            ({"reason": None}, "reason must be a text of at most 123 bytes"),
            ({"event": "news"}, "'event' is no member"),
        ):
            self.assertTrue(self.refused(read_disconnect, {"user": "a", **body}).startswith(told), (body, told))
