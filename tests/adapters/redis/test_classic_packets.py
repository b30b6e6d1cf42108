"""Tests of wsservice.adapters.redis.classic_packets, and of the values of classic_requests and classic_responses."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any, NamedTuple

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis import recorded
from tests.tables import by_row, rows
from wsservice.adapters.redis.channels import NOBODY
from wsservice.adapters.redis.classic_packets import (
    MAX_ID,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
    head_of,
)
from wsservice.adapters.redis.classic_requests import (
    AllRooms,
    CallClients,
    DisconnectSockets,
    Fetch,
    Join,
    Leave,
    OldDisconnect,
    OldJoin,
    OldLeave,
    Request,
    ServerSideEmit,
    Sockets,
)
from wsservice.adapters.redis.classic_responses import (
    ClientAck,
    ClientCount,
    FetchAnswer,
    OldDone,
    RemoteSocket,
    Response,
    RoomsAnswer,
    ServerSideAnswer,
    SocketsAnswer,
)
from wsservice.adapters.redis.foreign import MAX_ANSWER_BYTES, MAX_BYTES, ForeignMessage
from wsservice.messages import Broadcast, Target

REQUESTS = recorded.classic("request")
RESPONSES = recorded.classic("response")
NODE, SID = "Jpd0lj", "83ywfvJTDhfTNfDGAAAA"
ALL = Target()
ROOM1 = Target(rooms=frozenset({"room1"}))
USERS = Target(users=frozenset({"u"}), sessions=frozenset({"s"}), skip=frozenset({"i"}), except_rooms=frozenset({"x"}))


def rooms_of(*names: str) -> frozenset[str]:
    return frozenset(names)


def question(name: str, *args: Any, target: Target = ALL) -> Broadcast:
    return Broadcast(name, args, target)


class Asked(NamedTuple):
    """What Node did, and the request that it is."""

    name: str
    request: Request


ASKED = [
    Asked("allRooms", AllRooms(NODE, "to4oGg")),
    Asked("specific allRooms", AllRooms(NODE, "DnKCeo")),
    Asked("fetchSockets", Fetch(NODE, "yedNH3", replace(ROOM1, except_rooms=rooms_of("zz")))),
    Asked("socketsJoin", Join(NODE, ROOM1, rooms_of("j", "k"))),
    Asked("socketsJoin one", Join(NODE, ALL, rooms_of("j"))),
    Asked("socketsLeave", Leave(NODE, Target(except_rooms=rooms_of("x")), rooms_of("j"))),
    Asked("serverSideEmit", ServerSideEmit(NODE, "sse", (1,))),
    Asked(
        "serverSideEmit bytes",
        ServerSideEmit(NODE, "sse", ({"type": "Buffer", "data": [1]}, "1970-01-01T00:00:00.000Z")),
    ),
    Asked("serverSideEmit ack", ServerSideEmit(NODE, "sse", (1,), "8jluyX")),
    Asked("three: serverSideEmit ack", ServerSideEmit(NODE, "sse", (1,), "s7WzNe")),
    Asked("broadcast ack", CallClients(NODE, "rQ6r1r", question("q", 1, target=ROOM1), 1000)),
    Asked("broadcast ack binary", CallClients(NODE, "676JhA", question("qbin"), 1000)),
    Asked("broadcast ack void", CallClients(NODE, "DHfAuQ", question("qvoid"), 1000)),
    Asked(
        "remote socket ack 2",
        CallClients(NODE, "PcVHXv", question("q", 1, target=Target(rooms=rooms_of(SID))), 1000),
    ),
    Asked(
        "broadcast ack nobody",
        CallClients(NODE, "XwPI7S", question("q", 1, target=Target(rooms=rooms_of("nowhere"))), 300),
    ),
    Asked("old sockets", Sockets("u", "r", rooms_of("room1"))),
    Asked("old join", OldJoin("u", "r", SID, "x")),
    Asked("emitter join", Join(None, ROOM1, rooms_of("j"))),
    Asked("emitter leave", Leave(None, ROOM1, rooms_of("j"))),
    Asked("emitter sse", ServerSideEmit("emitter", "sse", (2,))),
    Asked("disconnectSockets", DisconnectSockets(NODE, ROOM1, True)),
    Asked("emitter disconnect", DisconnectSockets(None, ALL, True)),
]


class Answered(NamedTuple):
    """What Node did, and the answer that it is."""

    name: str
    response: Response


ANSWERED = [
    Answered("allRooms", RoomsAnswer("to4oGg", (SID, "room1", "7"))),
    Answered("specific allRooms", RoomsAnswer("DnKCeo", ())),
    Answered("specific allRooms 2", RoomsAnswer("DnKCeo", (SID, "room1", "7", "k", "x"))),
    Answered("serverSideEmit ack", ServerSideAnswer("8jluyX", "pong")),
    Answered("three: serverSideEmit ack", ServerSideAnswer("s7WzNe", "pong")),
    Answered("broadcast ack", ClientCount("rQ6r1r", 1)),
    Answered("broadcast ack 2", ClientAck("rQ6r1r", "answer")),
    Answered("broadcast ack binary", ClientCount("676JhA", 1)),
    Answered("broadcast ack binary 2", ClientAck("676JhA", b"\1\2")),
    Answered("broadcast ack void", ClientCount("DHfAuQ", 1)),
    Answered("broadcast ack void 2", ClientAck("DHfAuQ", None)),
    Answered("broadcast ack nobody", ClientCount("XwPI7S", 0)),
    Answered("old sockets", SocketsAnswer("r", (SID,))),
    Answered("old sockets 2", FetchAnswer("r", ())),
    Answered("old join", OldDone("r")),
]

#: all kinds of requests and answers, with all that they can have
OURS: list[Request] = [
    Sockets("u", "r"),
    AllRooms(None, "r"),
    Join("u", USERS, rooms_of("a")),
    Leave(None, ROOM1, rooms_of()),
    DisconnectSockets("u", USERS),
    Fetch("u", "r", USERS),
    ServerSideEmit("u", "ev", (1, {"a": [None]}), "r"),
    CallClients("u", "r", Broadcast("ev", (b"\1", {"a": 1}), USERS, True), 1.5),
    CallClients("u", "r", question("ev")),
    OldJoin(None, None, "s", "x"),
    OldLeave("u", "r", "s", "x"),
    OldDisconnect("u", "r", "s", True),
]
OUR_ANSWERS: list[Response] = [
    SocketsAnswer("r", ("a", "b")),
    RoomsAnswer("r", ("a",)),
    FetchAnswer("r", (RemoteSocket("a", rooms_of("x"), {"auth": {}, "time": "t"}, [1]), RemoteSocket("b"))),
    ServerSideAnswer("r", {"a": 1}),
    ServerSideAnswer("r"),
    ClientCount("r", 0),
    ClientAck("r", [b"\1", "x"]),
    ClientAck("r"),
    OldDone("r"),
]


class Bad(NamedTuple):
    """Text that is no message, and the word."""

    name: str
    text: str
    word: str


BAD_REQUESTS = [
    Bad("nothing", "", "malformed"),
    Bad("no json", "{", "malformed"),
    Bad("an array", "[1]", "malformed"),
    Bad("no type", "{}", "unknown type"),
    Bad("another type", '{"type":10}', "unknown type"),
    Bad("an answer's type", '{"type":8,"requestId":"r"}', "unknown type"),
    Bad("a type that is no number", '{"type":"1","requestId":"r"}', "unknown type"),
    Bad("a boolean for a type", '{"type":true,"requestId":"r"}', "unknown type"),
    Bad("no request id", '{"type":1}', "no request id"),
    Bad("null for a request id", '{"type":0,"requestId":null}', "no request id"),
    Bad("a request id that is no text", '{"type":1,"requestId":5}', "ill-typed"),
    Bad("an empty request id", '{"type":1,"requestId":""}', "ill-typed"),
    Bad("a long request id", json.dumps({"type": 1, "requestId": "x" * (MAX_ID + 1)}), "ill-typed"),
    Bad("a uid that is no text", '{"type":1,"requestId":"r","uid":{}}', "ill-typed"),
    Bad("rooms that are no list", '{"type":0,"requestId":"r","rooms":"x"}', "ill-typed"),
    Bad("nothing to fetch", '{"type":5,"requestId":"r"}', "ill-typed"),
    Bad("opts that are no object", '{"type":2,"opts":[],"rooms":[]}', "ill-typed"),
    Bad("rooms to join that are no list", '{"type":2,"opts":{},"rooms":"x"}', "ill-typed"),
    Bad("neither opts nor an id", '{"type":2}', "ill-typed"),
    Bad("an old one without a room", '{"type":3,"sid":"s"}', "ill-typed"),
    Bad("an old one without an id", '{"type":4,"close":true}', "ill-typed"),
    Bad("no event", '{"type":6,"data":[]}', "ill-typed"),
    Bad("event that is no list", '{"type":6,"data":{"0":"x"}}', "ill-typed"),
    Bad("a reserved name", '{"type":6,"data":["connect"]}', "reserved name"),
    Bad("no packet", '{"type":7,"requestId":"r","opts":{}}', "ill-typed"),
    Bad("no opts", '{"type":7,"requestId":"r","packet":{"type":2,"data":["q"]}}', "ill-typed"),
    Bad("another packet", '{"type":7,"requestId":"r","opts":{},"packet":{"type":3,"data":["q"]}}', "no event"),
    Bad(
        "another namespace",
        '{"type":7,"requestId":"r","opts":{},"packet":{"type":2,"data":["q"],"nsp":"/x"}}',
        "another namespace",
    ),
    Bad("deep", '{"type":1,"requestId":"r","x":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
]
BAD_RESPONSES = [
    Bad("nothing", "", "malformed"),
    Bad("no request id", "{}", "no request id"),
    Bad("another type", '{"requestId":"r","type":1}', "unknown type"),
    Bad("no count", '{"requestId":"r","type":8}', "ill-typed"),
    Bad("a count of less than none", '{"requestId":"r","type":8,"clientCount":-1}', "ill-typed"),
    Bad("a boolean for a count", '{"requestId":"r","type":8,"clientCount":true}', "ill-typed"),
    Bad("rooms that are no list", '{"requestId":"r","rooms":{}}', "ill-typed"),
    Bad("sockets that are no list", '{"requestId":"r","sockets":5}', "ill-typed"),
    Bad("a socket that is none", '{"requestId":"r","sockets":[{"id":"a"},5]}', "ill-typed"),
    Bad("a socket without an id", '{"requestId":"r","sockets":[{}]}', "ill-typed"),
    Bad("a handshake that is none", '{"requestId":"r","sockets":[{"id":"a","handshake":5}]}', "ill-typed"),
]


@by_row
class RequestTests(SynchronousTestCase):
    @rows(ASKED)
    def test_what_node_asked_is_understood_and_asked_the_same_way(self, row: Asked) -> None:
        channel, payload = REQUESTS[row.name]
        self.assertEqual(channel, b"socket.io-request#/#")
        self.assertEqual(decode_request(payload, "/"), row.request)
        again = encode_request(row.request)
        self.assertEqual(again[:1] == b"{", payload[:1] == b"{")
        self.assertEqual(_same_order(_raw(again)), _same_order(_raw(payload)))

    def test_all_that_node_asked_is_in_the_table(self) -> None:
        self.assertEqual(set(REQUESTS), {row.name for row in ASKED})

    def test_what_we_ask_is_understood(self) -> None:
        for request in OURS:
            self.assertEqual(decode_request(encode_request(request), "/"), request)

    def test_each_may_come_as_json_and_as_messagepack(self) -> None:
        for request in OURS:
            message = _raw(encode_request(request))
            self.assertEqual(decode_request(msgspec.msgpack.encode(message), "/"), request)

    def test_a_request_is_for_the_namespace_of_its_channel(self) -> None:
        request = decode_request(encode_request(Fetch("u", "r", ROOM1)), "/admin")
        self.assertEqual(request, Fetch("u", "r", replace(ROOM1, namespace="/admin")))

    def test_what_is_absent_is_not_written(self) -> None:
        self.assertEqual(encode_request(OldJoin(None, None, "s", "x")), b'{"type":2,"sid":"s","room":"x"}')

    def test_users_are_nobody_to_node(self) -> None:
        opts = _raw(encode_request(Fetch("u", "r", USERS)))["opts"]
        self.assertEqual((opts["rooms"], sorted(opts["except"])), ([NOBODY], ["i", "x"]))

    def test_nothing_but_undefined_rooms_is_nobody_and_not_everybody(self) -> None:
        request = decode_request(b'{"type":4,"opts":{"rooms":[null]},"close":true}', "/")
        self.assertEqual(request, DisconnectSockets(None, Target(rooms=rooms_of(NOBODY)), True))
        request = decode_request(b'{"type":0,"requestId":"r","rooms":[null]}', "/")
        self.assertEqual(request, Sockets(None, "r", rooms_of(NOBODY)))

    def test_numbers_are_names(self) -> None:
        request = decode_request(b'{"type":2,"opts":{"rooms":[1]},"rooms":[2.5,3,null]}', "/")
        self.assertEqual(request, Join(None, Target(rooms=rooms_of("1")), rooms_of("2.5", "3")))
        self.assertEqual(decode_request(b'{"type":3,"sid":"s","room":7}', "/"), OldLeave(None, None, "s", "7"))

    @rows(BAD_REQUESTS)
    def test_what_is_none_is_refused(self, row: Bad) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, decode_request, row.text.encode(), "/").word, row.word)

    def test_what_is_none_in_messagepack_is_refused(self) -> None:
        for payload, word in (
            (msgspec.msgpack.encode([1]), "ill-typed"),
            (pickle.dumps({"type": 1}), "malformed"),
            (b"{" + b" " * MAX_BYTES, "too large"),
        ):
            self.assertEqual(self.assertRaises(ForeignMessage, decode_request, payload, "/").word, word)

    def test_what_cannot_be_sent_is_refused(self) -> None:
        for request in (ServerSideEmit("u", "ev", ("\ud800",)), CallClients("u", "r", question("ev", object()))):
            self.assertRaises(TypeError, encode_request, request)
        for request in (ServerSideEmit("u", "connect"), CallClients("u", "r", question(""))):
            self.assertRaises(ValueError, encode_request, request)

    @given(st.binary())
    def test_random_bytes_raise_nothing_else(self, payload: bytes) -> None:
        for whole in (payload, b'{"type":' + payload, b"\x82\xa4type" + payload):
            try:
                decode_request(whole, "/")
            except ForeignMessage as error:
                self.assertIsInstance(error.word, str)

    @given(st.sampled_from(OURS), st.data())
    def test_what_was_damaged_raises_nothing_else(self, request: Request, data: st.DataObject) -> None:
        payload = _damaged(encode_request(request), data)
        try:
            decode_request(payload, "/")
        except ForeignMessage as error:
            self.assertIsInstance(error.word, str)


@by_row
class ResponseTests(SynchronousTestCase):
    @rows(ANSWERED)
    def test_what_node_answered_is_understood_and_answered_the_same_way(self, row: Answered) -> None:
        payload = RESPONSES[row.name][1]
        self.assertEqual(decode_response(payload), row.response)
        self.assertEqual(_request_id(payload), row.response.request_id)
        again = encode_response(row.response)
        self.assertEqual(again[:1] == b"{", payload[:1] == b"{")
        self.assertEqual(decode_response(again), row.response)

    def test_all_that_node_answered_is_in_the_table_or_here(self) -> None:
        self.assertEqual(set(RESPONSES) - {row.name for row in ANSWERED}, {"fetchSockets"})
        response = decode_response(RESPONSES["fetchSockets"][1])
        assert isinstance(response, FetchAnswer)
        (socket,) = response.sockets
        self.assertEqual((socket.id, socket.rooms), (SID, rooms_of(SID, "room1", "7")))
        self.assertEqual(socket.data, {"name": "bob"})
        members = {"headers", "time", "address", "xdomain", "secure", "issued", "url", "query", "auth"}
        self.assertEqual(set(socket.handshake), members)
        message = _raw(RESPONSES["fetchSockets"][1])["sockets"][0]
        self.assertEqual(set(_raw(encode_response(response))["sockets"][0]), set(message))

    def test_the_bytes_are_nodes(self) -> None:
        for name in ("serverSideEmit ack", "broadcast ack", "broadcast ack 2", "old sockets", "old join"):
            payload = RESPONSES[name][1]
            self.assertEqual(encode_response(decode_response(payload)), payload)

    def test_what_we_answer_is_understood(self) -> None:
        for response in OUR_ANSWERS:
            self.assertEqual(decode_response(encode_response(response)), response)
            self.assertEqual(_request_id(encode_response(response)), "r")

    def test_an_answer_without_a_value_is_an_answer(self) -> None:
        self.assertEqual(decode_response(b'{"type":6,"requestId":"r"}'), ServerSideAnswer("r", None))
        self.assertEqual(decode_response(b"\x82\xa4type\x09\xa9requestId\xa1r"), ClientAck("r", None))

    @rows(BAD_RESPONSES)
    def test_what_is_none_is_refused(self, row: Bad) -> None:
        self.assertEqual(self.assertRaises(ForeignMessage, decode_response, row.text.encode()).word, row.word)

    def test_too_large_ones_are_refused(self) -> None:
        payload = b"{" + b" " * MAX_ANSWER_BYTES
        self.assertEqual(self.assertRaises(ForeignMessage, decode_response, payload).word, "too large")

    def test_a_node_of_many_connections_may_answer(self) -> None:
        sockets = tuple(RemoteSocket(f"{number:020}", rooms_of("a"), {"headers": {}}) for number in range(20_000))
        payload = encode_response(FetchAnswer("r", sockets))
        self.assertEqual(decode_response(payload), FetchAnswer("r", sockets))
        self.assertEqual(_request_id(payload), "r")

    def test_what_is_no_answer_is_nobodys(self) -> None:
        for payload in (b"", b"{", b"{}", b'{"requestId":5}', b"\x80", b"\x91" * 100_000, b'{"a":' + b"[" * 100_000):
            self.assertIs(_request_id(payload), None)

    @given(st.binary())
    def test_random_bytes_raise_nothing_else(self, payload: bytes) -> None:
        for whole in (payload, b'{"requestId":"r"' + payload, b"\x82\xa9requestId\xa1r" + payload):
            _request_id(whole)
            try:
                decode_response(whole)
            except ForeignMessage as error:
                self.assertIsInstance(error.word, str)

    @given(st.sampled_from(OUR_ANSWERS), st.data())
    def test_what_was_damaged_raises_nothing_else(self, response: Response, data: st.DataObject) -> None:
        payload = _damaged(encode_response(response), data)
        _request_id(payload)
        try:
            decode_response(payload)
        except ForeignMessage as error:
            self.assertIsInstance(error.word, str)


def _raw(payload: bytes) -> Any:
    return json.loads(payload) if payload[:1] == b"{" else msgspec.msgpack.decode(payload)


def _same_order(message: dict[str, Any]) -> dict[str, Any]:
    """Lists of names in one order: ours come from sets. What only Node says of one request is left out."""
    opts = message.get("opts", {})
    opts.get("flags", {}).pop("expectSingleResponse", None)
    for holder in (message, opts):
        if "rooms" in holder:
            holder["rooms"] = sorted(holder["rooms"])
    return message


def _damaged(payload: bytes, data: st.DataObject) -> bytes:
    damaged = bytearray(payload)
    damaged[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    return bytes(damaged)


def _request_id(payload: bytes) -> str | None:
    head = head_of(payload)
    return None if head is None else head.request_id or None
