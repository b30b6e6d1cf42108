"""Hostile and ordinary clients on both transports: what ends whom, and that nothing else is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.clients.bench import BenchCase, Poller, Socketeer, event
from tests.tables import by_row, rows

TRANSPORTS = ("polling", "websocket")
PARSE_ERROR, TRANSPORT_ERROR, FORCED = "parse error", "transport error", "forced server close"
#: a binary event of one attachment
HEADER = '451-["m",{"_placeholder":true,"num":0}]'


@dataclass(frozen=True)
class Attack:
    """What a client sends that has joined `/` and `/other`, and why its session then ends.

    Attributes:
        reason: None: nothing happens.
        status: of the POST.
        only: the one transport on which it can be said.
    """

    name: str
    packets: tuple[str | bytes, ...]
    reason: str | None = PARSE_ERROR
    status: int = 200
    only: str = ""
    steps: list[tuple[Any, ...]] = field(default_factory=list)


def attack(packet: str, reason: str | None = PARSE_ERROR, **options: Any) -> Attack:
    """One packet, which is its own name."""
    name = " ".join(character if character.isalnum() else f"{ord(character):x}" for character in packet[:40])
    return Attack(options.pop("name", name), (packet,), reason, **options)


RESERVED = ("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener")
ATTACKS = (
    # 1.15, row by row
    *(attack(packet) for packet in ("4", "47", "48", "49", "4a", "4-1", "4 2")),
    *(
        attack(packet)
        for packet in ("42{}", '42"x"', '42["m"', "42[]", "42[null]", "42[true]", "42[{}]", "42[[]]", "42")
    ),
    *(attack(f'42["{name}"]') for name in RESERVED),
    attack('42["connect",{"fake":1},{"admin":true}]', name="a forged connect"),
    attack('42["disconnect","because I say so"]', name="a forged disconnect"),
    *(attack(packet) for packet in ('42abc["m"]', '421.5["m"]', '42-1["m"]', '42²["m"]', '42+1["m"]', '421_0["m"]')),
    attack('42 ["m",1]', name="a space as an id"),
    attack('42\u0661["m",1]', name="an Arabic digit as an id"),
    attack('42\uff11["m",1]', name="a full width digit as an id"),
    *(attack(f'42["m",{number}]') for number in ("NaN", "Infinity", "-Infinity")),
    *(attack(packet) for packet in ("43[]", "4399", "43x[]", "431{}", '431"x"')),
    attack(f"43{'9' * 30}[1]", name="an id of 30 digits"),
    attack(f'42{"9" * 400}["m"]', name="an id of 400 digits"),
    attack(f'42{2**53}["m"]', name="an id that no double holds"),
    attack("43999[1]", None, name="an acknowledgement that nobody waits for"),
    attack(f"43{2**53 - 1}[]", None, name="an acknowledgement of the largest id"),
    attack("41{}"),
    attack('411["x"]', name="a disconnect with an id"),
    attack('44{"message":"x"}', FORCED, name="a connect error from the client"),
    attack('44/other,{"message":"x"}', FORCED, name="a connect error for a namespace"),
    attack("40", FORCED, name="a second connect"),
    attack("40/other,", FORCED, name="a second connect of a namespace"),
    attack("40[]"),
    attack('40"x"'),
    attack("401{}", name="a connect with an id"),
    attack('42/nope,["x"]', FORCED, name="an event for a namespace that is not joined"),
    attack("41/nope,", FORCED, name="a disconnect of a namespace that is not joined"),
    attack("43/nope,1[]", FORCED, name="an acknowledgement for a namespace that is not joined"),
    attack(f'42["m",{"[" * 4000}{"]" * 4000}]', name="arrays nested 4000 deep"),
    attack(f'42["m",{"[" * 400_000}', name="arrays nested 400000 deep and left open"),
    attack(f'42["m",{"1" * 5000}]', name="an integer of 5000 digits"),
    attack('42["m",1e400]', name="a number beyond doubles"),
    attack("2", TRANSPORT_ERROR, status=400),
    attack("2probe", TRANSPORT_ERROR, status=400),
    *(attack(packet, None) for packet in ("0", "5", "6", "0{}", "5x", "6x")),
    # 1.5, 1.6
    attack("7", status=400),
    attack("x", status=400),
    attack("", status=400, name="an empty packet"),
    attack(" ", status=400),
    attack("bAQ!D", status=400),
    attack("bA", status=400),
    attack("b4AQI", name="base64 behind a four is an attachment that nobody announced"),
    # 1.14
    Attack("an attachment that no packet announced", (b"x",)),
    Attack("an empty attachment that no packet announced", (b"",)),
    Attack("a text where an attachment is missing", (HEADER, '42["m"]')),
    Attack("a disconnect where an attachment is missing", (HEADER, "41")),
    Attack("one attachment too many", (HEADER, b"1", b"2"), steps=[("m", b"1")]),
    attack('450-["m"]', name="a binary event of no attachments"),
    attack('45-["m"]', name="a binary event of no number"),
    attack('4511-["m"]', name="eleven attachments"),
    attack('4599999-["m"]', name="99999 attachments"),
    attack(f'45{"9" * 5000}-["m"]', name="attachments of a number of 5000 digits"),
    attack('421-["m"]', name="a plain event with attachments"),
    attack('451["m"]', name="a binary event with an id only"),
    *(
        attack(f'451-["m",{{"_placeholder":true,"num":{num}}}]', name=f"the attachment {word}")
        for num, word in (
            ("1", "one too far"),
            ("-1", "before the first"),
            ("0.5", "of half a number"),
            ("true", "of a truth"),
            ('"0"', "of a text"),
            ('"toString"', "of a function's name"),
            ("null", "of nothing"),
            ("1e2", "of a large float"),
        )
    ),
    attack('451-["m",{"_placeholder":true}]', name="a placeholder of no number"),
    attack('451-/nope,["m",{"_placeholder":true,"num":0}]', FORCED, name="attachments for a namespace not joined"),
    attack('451-["connect",{"_placeholder":true,"num":0}]', name="a reserved name with attachments"),
    Attack(
        "a placeholder in a plain event",
        ('42["m",{"_placeholder":true,"num":0}]',),
        None,
        steps=[("m", {"_placeholder": True, "num": 0})],
    ),
    Attack(
        "an attachment used twice",
        ('451-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}]', b"1"),
        None,
        steps=[("m", b"1", b"1")],
    ),
    Attack("an attachment that is not used", ('451-["m"]', b"1"), None, steps=[("m",)]),
    Attack("an empty attachment", (HEADER, b""), None, steps=[("m", b"")]),
    Attack("a ping between header and attachment", (HEADER, "3", b"1"), None, steps=[("m", b"1")]),
    # 1.18
    attack('42[{"toString":"foo"}]', name="an event name that is an object"),
    attack('42["error","x"]', None, name="the event error without a handler"),
    attack('42["nobody"]', None, name="an event without a handler"),
    attack('42["__proto__",{"__proto__":{"x":1}}]', None, name="an event called proto"),
    attack('42["_handlers"]', None, name="an event called as an attribute of ours"),
    attack('42[7,"x"]', None, name="an event name that is a number"),
    # 1.19
    attack('42["m","\\ud800"]', None, name="a lone surrogate", steps=[("m", "\ufffd")]),
    attack(f'42/{"x" * 2000},["m"]', name="a namespace of 2000 characters"),
    attack("3", None, name="a pong that nobody asked for"),
    attack('42["m","\\u001e"]', None, name="an escaped separator", steps=[("m", "\x1e")]),
)
#: a client's own end
GOODBYES = (
    Attack("one", ("1",), "transport close"),
    Attack("one with data", ("1x",), "transport close"),
    Attack("one, and an event behind it", ("1", '42["m"]'), "transport close"),
    Attack("an event, and one behind it", ('42["m"]', "1"), "transport close", steps=[("m",)]),
)


class HostileCase(BenchCase):
    """There is a witness, who must notice nothing."""

    def setUp(self) -> None:
        super().setUp()
        self.witness = self.bench.socketeer("witness", "/", "/other")
        self.bench.connection("witness").join("room")
        self.before = self.bench.sizes()
        self.bench.steps.clear()

    def attacker(self, transport: str) -> Poller | Socketeer:
        """In two namespaces and a room, with a call that it has not answered."""
        attacker = self.bench.peer(transport, "mallory", "/", "/other")
        connection = self.bench.connection("mallory")
        connection.join("room")
        connection.join("own room")
        self.failed_calls: list[Any] = []
        connection.call("question").addErrback(lambda failure: self.failed_calls.append(failure.value))
        self.assertEqual(len(attacker.hear()), 1)
        self.bench.steps.clear()
        return attacker

    def check_witness(self) -> None:
        """Nobody has harmed it, and all that is kept is kept for it."""
        for exchange in self.bench.exchanges:
            exchange.transport.drop()
        for socketeer in self.bench.socketeers:
            if socketeer is not self.witness:
                socketeer.drop()
        self.witness.hear()
        self.witness.say(event("echo", "still here", id=1), event("echo", id=2, namespace="/other"))
        self.assertEqual(self.witness.hear(), ['431["still here"]', "43/other,2[]"])
        self.assertIsNone(self.witness.close)
        self.assertEqual(self.bench.sizes(), self.before)

    def check_end(self, attacker: Poller | Socketeer, row: Attack) -> None:
        """Both namespaces have ended, once, and the call has failed."""
        ends = [step for step in self.bench.steps if step[0] == "disconnect"]
        self.assertEqual(sorted(ends), [("disconnect", "/", row.reason), ("disconnect", "/other", row.reason)])
        self.assertEqual(len(self.failed_calls), 1)
        if isinstance(attacker, Socketeer):
            code = 1000 if row.reason == "transport close" else 1002
            self.assertEqual(attacker.close, (code, row.reason))
        else:
            assert attacker.posted is not None
            self.assertEqual(attacker.posted.status, row.status)
            self.assertEqual(attacker.posted.body == b"ok", row.status == 200)
            self.assertEqual(self.bench.ask("GET", attacker.query).json, {"code": 1, "message": "Session ID unknown"})

    def check_goes_on(self, attacker: Poller | Socketeer) -> None:
        """The session lives."""
        attacker.hear()
        attacker.say(event("echo", id=1))
        self.assertEqual(attacker.hear(), ["431[]"])
        self.assertEqual([step for step in self.bench.steps if step[0] == "disconnect"], [])


@by_row
class AttackTests(HostileCase):
    @rows(ATTACKS)
    def test_polling(self, row: Attack) -> None:
        self.check(row, "polling")

    @rows(ATTACKS)
    def test_websocket(self, row: Attack) -> None:
        self.check(row, "websocket")

    @rows(GOODBYES)
    def test_goodbye_on_polling(self, row: Attack) -> None:
        self.check(row, "polling", farewell="6")

    @rows(GOODBYES)
    def test_goodbye_on_websocket(self, row: Attack) -> None:
        self.check(row, "websocket")

    def check(self, row: Attack, transport: str, farewell: str = "1") -> None:
        attacker = self.attacker(transport)
        attacker.say(*row.packets)
        steps = [step for step in self.bench.steps if step[0] != "disconnect"]
        self.assertEqual(steps, row.steps)
        if row.reason is None:
            self.check_goes_on(attacker)
        else:
            if isinstance(attacker, Poller):
                attacker.listen()
                self.assertEqual(attacker.heard[-1:], [farewell])
            self.check_end(attacker, row)
        self.check_witness()
