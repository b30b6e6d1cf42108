"""Tests of wsservice.adapters.redis.python_packets."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis import recorded
from tests.tables import by_row, rows
from wsservice.adapters.redis.channels import NOBODY
from wsservice.adapters.redis.foreign import MAX_BYTES, ForeignMessage
from wsservice.adapters.redis.python_packets import (
    Callback,
    CloseRoom,
    DisconnectClient,
    Emit,
    EnterRoom,
    LeaveRoom,
    Message,
    ReplyTo,
    decode_message,
    encode_message,
)
from wsservice.messages import Broadcast, Target

RECORDED = recorded.python()
HOSTS = {name: json.loads(payload)["host_id"] for name, payload in RECORDED.items()}


def emit(name: str, *args: Any, target: Target | None = None, reply_to: ReplyTo | None = None) -> Emit:
    """An event `ev` of the host that did something."""
    return Emit(HOSTS.get(name, "h"), Broadcast("ev", args, target or Target()), reply_to)


class Row(NamedTuple):
    """What python-socketio did, and the message that it is."""

    name: str
    message: Message


ROWS = [
    Row("emit", emit("emit", "a", 1, target=Target("/x", frozenset("r"), skip=frozenset("s")))),
    Row("none", emit("none")),
    Row("empty tuple", emit("empty tuple")),
    Row("list", emit("list", [1, 2])),
    Row("rooms", emit("rooms", "x", target=Target(rooms=frozenset("ab"), skip=frozenset("st")))),
    Row("empty rooms", emit("empty rooms", "x", target=Target(rooms=frozenset({NOBODY})))),
    Row("binary", emit("binary", b"\1\2", {"deep": [b"\3"]})),
    Row("int room", emit("int room", "x", target=Target(rooms=frozenset("7")))),
    Row("surrogate", emit("surrogate", "\ufffd é")),
    Row("big", emit("big", float(2**70))),
    Row("callback", emit("callback", "x", target=Target(rooms=frozenset({"sid1"})), reply_to=ReplyTo("sid1", "/", 1))),
    Row("return_callback", Callback("ab" * 16, ReplyTo("sid1", "/", 1), ("ans",))),
    Row("disconnect", DisconnectClient(HOSTS["disconnect"], "/", "sid1")),
    Row("enter", EnterRoom(HOSTS["enter"], "/", "sid1", "room")),
    Row("leave", LeaveRoom(HOSTS["leave"], "/", "sid1", "room")),
    Row("close", CloseRoom(HOSTS["close"], "/", "room")),
]
#: those that we would write with the same members
SAME = [row for row in ROWS if row.name not in ("none", "rooms", "empty rooms", "int room", "surrogate", "big", "emit")]


class Bad(NamedTuple):
    """Members of a message that is none, and the word."""

    name: str
    members: dict[str, Any]
    word: str


EMIT = {"method": "emit", "event": "ev", "data": [], "host_id": "h"}
PLACED = {"_placeholder": True, "num": 0}
BAD = [
    Bad("no method", {"host_id": "h"}, "unknown type"),
    Bad("another method", {"method": "x", "host_id": "h"}, "unknown type"),
    Bad("a method that is no text", {"method": [], "host_id": "h"}, "unknown type"),
    Bad("no host", {"method": "close_room", "room": "r"}, "ill-typed"),
    Bad("a long host", {"method": "close_room", "room": "r", "host_id": "h" * 1000}, "ill-typed"),
    Bad("a namespace that is no text", EMIT | {"namespace": 5}, "ill-typed"),
    Bad("no event", {"method": "emit", "host_id": "h"}, "ill-typed"),
    Bad("an event that is no text", EMIT | {"event": 5}, "ill-typed"),
    Bad("a reserved event", EMIT | {"event": "connect"}, "reserved name"),
    Bad("an empty event", EMIT | {"event": ""}, "reserved name"),
    Bad("a room that is none", EMIT | {"room": {}}, "ill-typed"),
    Bad("a room that is none among others", EMIT | {"room": ["a", {}]}, "ill-typed"),
    Bad("a boolean for a room", EMIT | {"room": True}, "ill-typed"),
    Bad("a callback that is none", EMIT | {"callback": ["r", "/", "1"]}, "ill-typed"),
    Bad("binary that is none", EMIT | {"binary": True, "data": "x"}, "ill-typed"),
    Bad("binary without arguments", EMIT | {"binary": True, "data": []}, "ill-typed"),
    Bad("binary that is no base64", EMIT | {"binary": True, "data": [[PLACED], "*"]}, "malformed"),
    Bad("binary that is no text", EMIT | {"binary": True, "data": [[PLACED], 5]}, "malformed"),
    Bad("binary that is no ASCII", EMIT | {"binary": True, "data": [[PLACED], "é"]}, "malformed"),
    Bad("a placeholder of nothing", EMIT | {"binary": True, "data": [[PLACED]]}, "malformed"),
    Bad("huge binary", EMIT | {"binary": True, "data": [[PLACED] * 6000, "AAAA" * 300]}, "too large"),
    Bad("no id of a connection", {"method": "disconnect", "host_id": "h"}, "ill-typed"),
    Bad("no room to enter", {"method": "enter_room", "sid": "s", "host_id": "h"}, "ill-typed"),
    Bad("no number of a callback", {"method": "callback", "sid": "s", "host_id": "h", "args": []}, "ill-typed"),
    Bad("no answer", {"method": "callback", "sid": "s", "host_id": "h", "id": 1, "args": "x"}, "ill-typed"),
]


def decoded(members: dict[str, Any]) -> Message:
    """The message of such members."""
    return decode_message(json.dumps(members).encode())


@by_row
class PythonPacketsTests(SynchronousTestCase):
    @rows(ROWS)
    def test_what_python_published_is_understood(self, row: Row) -> None:
        self.assertEqual(decode_message(RECORDED[row.name]), row.message)

    def test_all_that_python_published_is_in_the_table_or_here(self) -> None:
        self.assertEqual(set(RECORDED) - {row.name for row in ROWS}, {"dict"})
        message = decode_message(RECORDED["dict"])
        assert isinstance(message, Emit)
        self.assertTrue(math.isnan(message.broadcast.args[0]["a"]))

    @rows(SAME)
    def test_we_write_the_same(self, row: Row) -> None:
        self.assertEqual(json.loads(encode_message(row.message)), json.loads(RECORDED[row.name]))

    def test_what_we_write_is_understood(self) -> None:
        for row in ROWS:
            self.assertEqual(decode_message(encode_message(row.message)), row.message)

    def test_one_room_is_a_text_and_several_are_a_list(self) -> None:
        for names, room in (("", None), ("a", "a"), ("ab", ["a", "b"])):
            message = json.loads(encode_message(emit("", target=Target(rooms=frozenset(names)))))
            self.assertEqual(message["room"], room)

    def test_what_the_channel_has_no_word_for_is_refused(self) -> None:
        name = frozenset("a")
        for target in (Target(users=name), Target(sessions=name), Target(except_rooms=name)):
            self.assertRaises(ValueError, encode_message, emit("", target=target))
        self.assertRaises(ValueError, encode_message, Emit("h", Broadcast("connect", (), Target())))
        for message in (emit("", object()), CloseRoom("h", "/", "\ud800")):
            self.assertRaises(TypeError, encode_message, message)

    @rows(BAD)
    def test_what_is_none_is_refused(self, row: Bad) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, decoded, row.members).word, row.word)

    def test_a_pickle_is_refused_and_never_loaded(self) -> None:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            word = self.assertRaises(ForeignMessage, decode_message, pickle.dumps(Bomb(), protocol)).word
            self.assertEqual(word, "pickle" if protocol >= 2 else "malformed")
        self.assertFalse(Bomb.exploded)

    def test_huge_and_deep_ones_are_refused(self) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, decode_message, b" " * (MAX_BYTES + 1)).word, "too large")
        payload = json.dumps(EMIT | {"data": "#"}).replace('"#"', "[" * 100_000 + "]" * 100_000).encode()
        self.assertEqual(self.assertRaises(ForeignMessage, decode_message, payload).word, "nested too deep")

    def test_odd_senders_are_understood(self) -> None:
        for members, message in (
            ({"data": "x"}, emit("", "x")),
            ({"data": {"a": 1}}, emit("", {"a": 1})),
            ({"data": None}, emit("")),
            ({"namespace": None}, emit("")),
            ({"room": ["a", None]}, emit("")),
            ({"room": ""}, emit("", target=Target(rooms=frozenset({""})))),
            ({"skip_sid": ["a", None, 5]}, emit("", target=Target(skip=frozenset("a")))),
            ({"callback": ["r", "/"]}, emit("")),
        ):
            self.assertEqual(decoded(EMIT | members), message)

    def test_an_attachment_may_be_used_twice(self) -> None:
        message = decoded(EMIT | {"binary": True, "data": [[PLACED, {"a": PLACED}], "AQI="]})
        self.assertEqual(message, emit("", b"\1\2", {"a": b"\1\2"}))

    @given(st.binary())
    def test_random_bytes_raise_nothing_else(self, payload: bytes) -> None:
        for whole in (payload, b'{"method":"emit","host_id":"h","event":"e"' + payload):
            try:
                decode_message(whole)
            except ForeignMessage as error:
                self.assertIsInstance(error.word, str)

    @given(st.sampled_from(sorted(RECORDED)), st.data())
    def test_what_was_damaged_raises_nothing_else(self, name: str, data: st.DataObject) -> None:
        payload = bytearray(RECORDED[name])
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode_message(bytes(payload))
        except ForeignMessage as error:
            self.assertIsInstance(error.word, str)


class Bomb:
    """Notes that it was loaded."""

    exploded = False

    @classmethod
    def explode(cls) -> None:
        cls.exploded = True

    def __reduce__(self) -> Any:
        return Bomb.explode, ()
