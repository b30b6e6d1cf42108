"""Our Socket.IO packets against the reference's parser, npm's socket.io-parser: each reads what the other wrote.

Hostile texts go to both. We take nothing that the reference refuses; what it takes and we refuse stands in `STRICTER`,
each with its reason (SOCKETIO.md 1.15).
"""

from __future__ import annotations

import base64
import json
import random
from functools import cache
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.nodejs import run_script
from tests.socketio import test_decoder
from wsservice.socketio.decoder import MAX_DEPTH, MAX_ID, MAX_NAMESPACE, Decoder, Packet, ParseError
from wsservice.socketio.packet import (
    Encoded,
    PacketType,
    encode_ack,
    encode_connect,
    encode_connect_error,
    encode_disconnect,
    encode_event,
)

#: the corpus is the same in every run
SEED = 20261124
PACKETS = 1500
MUTANTS = 6000
P0 = test_decoder.P0

#: what the reference takes and we refuse, by text -> why
STRICTER = {
    "": "a CONNECT to the reference, since Number('') is 0",
    '51-["m",{"_placeholder":true,"num":0.0}]': "no client writes an integer so",
    '51-["m",{"_placeholder":true,"num":0.5}]': "null to the reference",
    "2": "an event needs a payload; the reference ignores it later",
    "2/admin,": "the same",
    "212": "the same",
    '2/admin["m"]': "all of it is the namespace's name, so that there is no payload",
    '2 ["m",1]': "a space is the id zero to the reference",
    '21 ["m",1]': "a space is a digit to the reference",
    f'2{MAX_ID + 1}["m"]': "an id beyond the doubles could not be answered",
    f'2{"1" * 30}["m"]': "the same",
    f'2{"1" * 5000}["m"]': "the same",
    '2["m",1e400]': "infinity to the reference, which JSON cannot hold",
    '2["m",-1e400]': "the same",
    f'2["m",{"9" * 5000}]': "the same",
    f"2[{'9' * 5000}]": "the same",
    '2["m","\ud83d"]': "no UTF-8 holds it",
    "0/\ud83d,": "no UTF-8 holds it",
    f"0/{'a' * MAX_NAMESPACE},": "a bound that the reference lacks",
    "3[]": "an acknowledgement needs an id; the reference ignores it later",
    "3": "an acknowledgement needs an id and a payload; the reference ignores it later",
    "399": "an acknowledgement needs a payload; the reference ignores it later",
    "15": "only an event and an acknowledgement have an id",
    "01": "the same",
    "01{}": "the same",
    '4"no"': "the string is of Socket.IO 2",
    "4": "a refusal needs a payload; the reference ignores it later",
    '51e0-["m"]': "ASCII digits only",
    "51-": "an event needs a payload; the reference fails later",
    f"61-[{P0}]": "an acknowledgement needs an id; the reference ignores it later",
    test_decoder._nested(MAX_DEPTH + 1): "a bound that the reference lacks",
    test_decoder._nested(4000): "the same",
    test_decoder._nested(100_000): "the same",
    '2["m",' + '{"a":' * MAX_DEPTH + "1" + "}" * MAX_DEPTH + "]": "the same",
    '2["\\ud83d",' + "[" * 4000 + "]" * 4000 + "]": "the same",
    '0{"a":' + "[" * MAX_DEPTH + "]" * MAX_DEPTH + "}": "the same",
}


@cache
def reference(work: str) -> Any:
    """What the reference makes of the work; see parser_agreement.js."""
    return json.loads(run_script("parser_agreement.js", work))


def decoded_by_reference(messages: list[list[str]]) -> list[Any]:
    """A packet, `{"error": ...}` or `{"waiting": true}` for each text with its attachments, as base64."""
    answers: list[Any] = reference(json.dumps({"decode": messages, "encode": []}))["decode"]
    return answers


def tagged(value: Any) -> Any:
    """Data with bytes as parser_agreement.js has them, and with the only strings that UTF-8 has."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {tagged(key): tagged(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [tagged(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def as_doubles(data: Any) -> Any:
    """JSON as JavaScript has it: it writes a double over 2**53 as an integer of as few digits as tell it apart."""
    return json.loads(json.dumps(data), parse_int=float)


def in_reference_s_words(packet: Packet) -> dict[str, Any]:
    """A packet of ours as parser_agreement.js writes it."""
    words = {"type": int(packet.type), "nsp": packet.namespace, "id": packet.id, "data": tagged(packet.data)}
    return {key: value for key, value in words.items() if value is not None}


def decode(text: str, *attachments: str) -> Packet | None:
    """A packet by our decoder, None while attachments are missing."""
    decoder = Decoder()
    packet = decoder.feed_text(text)
    for attachment in attachments:
        packet = decoder.feed_binary(base64.b64decode(attachment))
    return packet


class Corpus:
    """Packets by chance, the same in every run."""

    def __init__(self) -> None:
        self.random = random.Random(SEED)

    def value(self, depth: int = 0) -> Any:
        """Anything that both languages hold alike."""
        pick = self.random.random
        leaves = [
            lambda: None,
            lambda: pick() < 0.5,
            lambda: self.random.randint(-MAX_ID, MAX_ID),
            lambda: (pick() - 0.5) * 10 ** self.random.randint(-300, 300),
            self.text,
            lambda: self.random.randbytes(self.random.randint(0, 20)),
        ]
        nodes = [
            lambda: [self.value(depth + 1) for _ in range(self.random.randint(0, 3))],
            lambda: {self.text(): self.value(depth + 1) for _ in range(self.random.randint(0, 3))},
        ]
        value: Any = self.random.choice(leaves + nodes * (depth < 4))()
        return value

    def text(self) -> str:
        """Letters of one to four bytes, quotes, backslashes and controls."""
        alphabet = 'abc"\\/\x00\n\x7f\u00e9\u2028\u20ac\ufffd\N{PILE OF POO},-[]{}019'
        return "".join(self.random.choices(alphabet, k=self.random.randint(0, 8)))

    def packet(self) -> dict[str, Any]:
        """An event or an acknowledgement in the words of the reference, bytes untagged, of few attachments."""
        while True:
            data = [self.value() for _ in range(self.random.randint(0, 4))]
            if repr(tagged(data)).count("$bytes") <= 10:
                break
        kind = self.random.choice([PacketType.EVENT, PacketType.ACK])
        packet_id = self.random.choice([0, 7, MAX_ID] if kind is PacketType.ACK else [None, 0, 7, MAX_ID])
        namespace = self.random.choice(["/", "/", "/admin", "/caf\u00e9", "/a?b=c"])
        name = [f"m{self.text()}"] if kind is PacketType.EVENT else []
        return {"type": int(kind), "nsp": namespace, "id": packet_id, "data": [*name, *data]}


def ours(packet: dict[str, Any]) -> Encoded:
    """The same packet by our encoder."""
    if packet["type"] == PacketType.ACK:
        return encode_ack(packet["nsp"], packet["id"], packet["data"])
    name, *args = packet["data"]
    return encode_event(packet["nsp"], name, args, packet["id"])


def on_the_wire(encoded: Encoded) -> list[str]:
    """A packet of ours as parser_agreement.js reads it."""
    return [encoded.text.decode(), *(base64.b64encode(attachment).decode() for attachment in encoded.attachments)]


class AgreementTests(SynchronousTestCase):
    def setUp(self) -> None:
        corpus = Corpus()
        self.packets = [corpus.packet() for _ in range(PACKETS)]

    def test_the_reference_reads_what_we_write(self) -> None:
        answers = decoded_by_reference([on_the_wire(ours(packet)) for packet in self.packets])
        for packet, answer in zip(self.packets, answers, strict=True):
            expected = {key: tagged(value) for key, value in packet.items() if value is not None}
            self.assertEqual(as_doubles(answer), as_doubles(expected))

    def test_we_read_what_the_reference_writes(self) -> None:
        work = {"decode": [], "encode": [{**packet, "data": tagged(packet["data"])} for packet in self.packets]}
        for packet, written in zip(self.packets, reference(json.dumps(work))["encode"], strict=True):
            decoded = decode(*written)
            assert decoded is not None
            self.assertEqual((decoded.type, decoded.namespace), (packet["type"], packet["nsp"]))
            self.assertEqual(decoded.id, packet["id"])
            self.assertEqual(as_doubles(tagged(decoded.data)), as_doubles(tagged(packet["data"])))

    def test_the_reference_reads_our_other_packets(self) -> None:
        written = [
            encode_connect("/", "abc"),
            encode_connect("/admin", "abc", "def"),
            encode_connect_error("/random", "Invalid namespace"),
            encode_connect_error("/", "no", {"a": [1]}),
            encode_disconnect("/"),
            encode_disconnect("/admin"),
        ]
        packets = [decode(encoded.text.decode()) for encoded in written]
        expected = [in_reference_s_words(packet) for packet in packets if packet is not None]
        self.assertEqual(decoded_by_reference([on_the_wire(encoded) for encoded in written]), expected)


class HostileTests(SynchronousTestCase):
    def test_what_we_refuse_is_refused_there_or_known(self) -> None:
        texts = [row.text for row in test_decoder.BAD]
        # Placeholders are looked at there when the last attachment has arrived.
        answers = decoded_by_reference([[text, *["AA=="] * text.startswith(("51-", "61-"))] for text in texts])
        taken = {text for text, answer in zip(texts, answers, strict=True) if "error" not in answer}
        self.assertEqual({text[:60] for text in taken ^ STRICTER.keys()}, set())

    def test_what_we_take_is_taken_there(self) -> None:
        messages = [
            [row.text, *(base64.b64encode(attachment).decode() for attachment in row.attachments)]
            for row in test_decoder.GOOD
        ]
        for message, answer in zip(messages, decoded_by_reference(messages), strict=True):
            self.check_taken(message, answer)

    def test_of_mutants_we_take_none_that_is_refused_there(self) -> None:
        chance = random.Random(SEED)
        seeds = [row.text for row in test_decoder.GOOD if len(row.text) < 200]
        letters = '0123456789-/,[]{}":\\u d8DcaefnNI.+"\n\x00\u0661\u00b2'
        messages = []
        for _ in range(MUTANTS):
            text = chance.choice(seeds)
            for _ in range(chance.randint(1, 3)):
                at = chance.randint(0, len(text))
                text = text[:at] + chance.choice(["", chance.choice(letters)]) + text[at + chance.randint(0, 1) :]
            messages.append([text, *["AA=="] * chance.choice([0, 0, 0, 1])])
        taken = 0
        for message, answer in zip(messages, decoded_by_reference(messages), strict=True):
            try:
                packet = decode(*message)
            except ParseError:
                continue
            taken += 1
            if packet is None:
                self.assertEqual(answer, {"waiting": True}, message)
            else:
                self.check_taken(message, answer)
        self.assertGreater(taken, MUTANTS // 10)

    def check_taken(self, message: list[str], answer: dict[str, Any]) -> None:
        """Ours and the reference's reading are the same, but for what is documented."""
        packet = decode(*message)
        assert packet is not None
        answer = {key: tagged(value) for key, value in answer.items()}
        data = answer.get("data")
        if packet.type is PacketType.CONNECT:
            answer.setdefault("data", {})
        elif packet.type is PacketType.EVENT and isinstance(data, list) and not isinstance(data[0], str):
            data[0] = packet.data[0] if float(packet.data[0]) == data[0] else data[0]
        self.assertEqual(as_doubles(in_reference_s_words(packet)), as_doubles(answer), message)
