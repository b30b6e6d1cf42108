"""Joining and leaving namespaces: who is let in, in what order, and what is told when. SOCKETIO.md 1.12 to 1.14."""

from __future__ import annotations

import gc
import json
import re
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from tests.clients.bench import BenchCase, Poller, Socketeer, event, join, principal
from tests.tables import by_row, rows
from wsservice.clients.settings import Settings
from wsservice.errors import ClientError, ExpiredToken, InvalidToken, KeysUnavailable, MissingToken

CONNECT = re.compile(r'^40\{"sid":"[A-Za-z0-9_-]{20}"\}$')
MISSING = "Missing authentication token"
INVALID = "Invalid authentication token"
FAILED = "Authentication failed"
LEFT = "client namespace disconnect"


@dataclass(frozen=True)
class Transport:
    """Where a test's client is."""

    name: str


TRANSPORTS = (Transport("polling"), Transport("websocket"))


def error(message: str, namespace: str = "/", data: Any = None) -> str:
    """The packet of a CONNECT_ERROR."""
    body = {"message": message} if data is None else {"message": message, "data": data}
    return f"44{'' if namespace == '/' else namespace + ','}{json.dumps(body, separators=(',', ':'))}"


class NamespaceCase(BenchCase):
    def peer(self, row: Transport, *namespaces: str, user: str | None = "alice") -> Poller | Socketeer:
        return self.bench.peer(row.name, user, *namespaces)

    def ends(self) -> list[tuple[Any, ...]]:
        return [step for step in self.bench.steps if step[0] == "disconnect"]

    def slow_goes_on(self, result: Any = None) -> None:
        """The oldest `on_connect` of `/slow` finishes."""
        waiting = self.bench.waiting.pop(0)
        if isinstance(result, Exception):
            waiting.errback(result)
        else:
            waiting.callback(result)


@by_row
class JoinTests(NamespaceCase):
    @rows(TRANSPORTS)
    def test_connect_is_answered_by_a_public_id(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40")
        self.assertHears(peer, CONNECT)
        connection = self.bench.connection()
        self.assertNotEqual(connection.id, peer.sid)
        self.assertEqual(dict(connection.handshake.auth), {})

    @rows(TRANSPORTS)
    def test_each_way_to_write_the_main_namespace(self, row: Transport) -> None:
        for packet in ("40", "40/,", "40/", "40{}", '40/,{"a":1}'):
            with self.subTest(packet=packet):
                peer = self.peer(row)
                peer.say(packet)
                self.assertHears(peer, CONNECT)

    @rows(TRANSPORTS)
    def test_a_namespace_without_its_comma(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/other")
        self.assertHears(peer, re.compile(r'^40/other,\{"sid":"[A-Za-z0-9_-]{20}"\}$'))

    @rows(TRANSPORTS)
    def test_what_the_client_says_of_itself_is_in_the_handshake_and_nothing_secret(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say('40{"token":"x","pid":"P","offset":"O","n":[1]}')
        peer.hear()
        handshake = self.bench.connection().handshake
        self.assertEqual(dict(handshake.auth), {"token": "x", "pid": "P", "offset": "O", "n": [1]})
        self.assertIsNone(handshake.header("cookie"))
        self.assertEqual(handshake.query["EIO"], "4")

    @rows(TRANSPORTS)
    def test_an_unknown_namespace_is_refused_and_the_session_stays(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say('40/random,{"x":1}')
        self.assertHears(peer, '44/random,{"message":"Invalid namespace"}')
        peer.say("40/other?x=1,")
        self.assertHears(peer, '44/other?x=1,{"message":"Invalid namespace"}')
        self.assertEqual(self.bench.counters.get("namespaces_refused", "unknown"), 2)
        peer.say("40")
        self.assertHears(peer, CONNECT)

    @rows(TRANSPORTS)
    def test_a_name_by_a_pattern_is_a_namespace_of_its_own(self, row: Transport) -> None:
        peer = self.peer(row, "/room-1", "/room-2")
        self.bench.app.namespace("/room-1").emit("only")
        self.assertHears(peer, '42/room-1,["only"]')
        self.bench.app.namespace(re.compile(r"/room-[0-9]+")).emit("all")
        self.assertEqual(sorted(map(str, peer.hear())), ['42/room-1,["all"]', '42/room-2,["all"]'])
        peer.say("41/room-1,", "41/room-2,", "40/room-x,")
        self.assertHears(peer, error("Invalid namespace", "/room-x"))
        self.assertEqual(self.bench.sizes()["_namespaces"], 0)

    @rows(TRANSPORTS)
    def test_connect_comes_first_and_what_on_connect_emits_behind_it(self, row: Transport) -> None:
        greeting = self.bench.app.namespace("/greeting")

        @greeting.on_connect
        def greet(connection: Any) -> None:
            connection.emit("first")
            greeting.emit("second")
            connection.join("room")
            greeting.emit("third", room="room")

        peer = self.peer(row)
        peer.say("40/greeting,")
        self.assertHears(
            peer,
            re.compile("^40/greeting,"),
            '42/greeting,["first"]',
            '42/greeting,["second"]',
            '42/greeting,["third"]',
        )

    @rows(TRANSPORTS)
    def test_events_behind_connect_in_one_payload_are_handled(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40", event("echo", 1, id=1), "40/slow,", event("x", namespace="/slow"), event("echo", 2, id=2))
        self.assertHears(peer, CONNECT, "431[1]", "432[2]")
        self.assertEqual([step[0] for step in self.bench.steps], ["connect", "echo", "echo"])
        self.slow_goes_on()
        self.assertHears(peer, re.compile("^40/slow,"), '42/slow,["welcome"]')
        self.assertEqual(self.bench.steps[-1], ("x",))

    @rows(TRANSPORTS)
    def test_a_room_of_somebodys_id_cannot_be_entered(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        victim = self.bench.socketeer("victim", "/", "/other")
        for namespace in ("/", "/other"):
            peer.say(event("enter", self.bench.connection("victim", namespace).id, id=1))
            self.assertEqual(["error" in str(packet) for packet in peer.hear()], [True])
        self.bench.app.emit("private", room=self.bench.connection("victim").id)
        self.assertHears(victim, '42["private"]')
        self.assertHears(peer)
        self.assertEqual(self.flushLoggedErrors(), [])  # the name is the client's fault


@by_row
class PendingTests(NamespaceCase):
    """The application takes its time to decide."""

    @rows(TRANSPORTS)
    def test_nothing_of_the_client_is_handled_before(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,", *[event("early", number, namespace="/slow") for number in range(5)])
        self.bench.advance(10)
        self.assertEqual((self.bench.steps, peer.hear()), ([], []))
        self.slow_goes_on()
        self.assertEqual(self.bench.steps, [("connect", "/slow", "alice"), *[("early", number) for number in range(5)]])

    @rows(TRANSPORTS)
    def test_a_second_connect_ends_the_session_and_makes_no_second_connection(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say("40/slow,", "40/slow,")
        self.assertEqual(len(self.bench.waiting), 1)
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1002, "forced server close"))
        self.slow_goes_on()
        self.assertEqual(self.bench.sizes()["_by_id"], 0)
        self.assertEqual(
            self.ends(), [("disconnect", "/", "forced server close"), ("disconnect", "/slow", "forced server close")]
        )

    @rows(TRANSPORTS)
    def test_a_disconnect_takes_the_request_back(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say("40/slow,", event("early", namespace="/slow"), "41/slow,")
        self.assertHears(peer)
        self.slow_goes_on()
        self.assertHears(peer)
        self.assertEqual(self.bench.steps[1:2], [("connect", "/slow", "alice")])
        peer.say(event("echo", id=1))
        self.assertHears(peer, "431[]")
        self.assertEqual(self.bench.sizes()["_by_id"], 1)

    @rows(TRANSPORTS)
    def test_taken_back_and_asked_for_again_it_is_decided_anew(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,", "41/slow,", "40/slow,")
        self.assertEqual(len(self.bench.waiting), 2)
        self.slow_goes_on()
        self.assertHears(peer)
        self.slow_goes_on()
        self.assertHears(peer, re.compile("^40/slow,"), '42/slow,["welcome"]')
        self.assertEqual(len(self.bench.connections("/slow")), 1)

    @rows(TRANSPORTS)
    def test_too_many_early_events_wait_with_their_transport(self, row: Transport) -> None:
        peer = self.peer(row)
        packets = ["40/slow,", *[event("early", number, namespace="/slow") for number in range(101)]]
        if isinstance(peer, Socketeer):  # is not read any more
            peer.say(*packets)
            self.assertTrue(peer.transport.paused)
        else:  # has no answer
            exchange = peer.post(join(packets))
            self.assertEqual(exchange.received(), [])
            exchange.transport.drop()
        self.assertEqual(self.bench.steps, [])

    @rows(TRANSPORTS)
    def test_attachments_before_ends_the_session(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,", '451-/slow,["m",{"_placeholder":true,"num":0}]')
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1002, "forced server close"))

    @rows(TRANSPORTS)
    def test_the_client_goes_away_before(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,", event("early", namespace="/slow"))
        peer.say("1")
        self.assertEqual((self.bench.sizes()["_by_id"], self.ends()), (0, []))
        self.slow_goes_on()
        self.assertEqual(self.ends(), [("disconnect", "/slow", "transport close")])

    @rows(TRANSPORTS)
    def test_a_refusal_after_the_client_has_gone_is_no_end(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,")
        peer.say("1")
        self.slow_goes_on(ClientError("no"))
        self.assertEqual(self.bench.steps, [])

    @rows(TRANSPORTS)
    def test_the_application_may_close_it_before(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say("40/slow,")
        self.bench.connection("alice", "/slow").disconnect()
        self.assertHears(peer, "41/slow,")
        self.slow_goes_on()
        self.assertHears(peer)
        peer.say("40/slow,")
        self.slow_goes_on()
        self.assertHears(peer, re.compile("^40/slow,"), '42/slow,["welcome"]')


@by_row
class RefusalTests(NamespaceCase):
    @rows(TRANSPORTS)
    def test_a_middleware_refuses_with_message_and_data_and_the_client_may_ask_again(self, row: Transport) -> None:
        picky = self.bench.app.namespace("/picky")
        ran: list[str] = []

        @picky.use
        async def first(connection: Any) -> None:
            ran.append("first")
            if "key" not in connection.handshake.auth:
                raise ClientError("no", "not authorized", {"why": "no key"})

        @picky.use
        def second(connection: Any) -> None:
            ran.append("second")

        peer = self.peer(row, "/")
        peer.say("40/picky,")
        self.assertHears(peer, error("not authorized", "/picky", {"why": "no key"}))
        self.assertEqual(ran, ["first"])
        peer.say(event("m", namespace="/picky"), "41/picky,", "43/picky,1[]")  # it did not know yet
        peer.say('40/picky,{"key":1}')
        self.assertHears(peer, re.compile("^40/picky,"))
        self.assertEqual(ran, ["first", "first", "second"])
        self.assertEqual(self.bench.counters.get("connections_refused", "application"), 1)

    @rows(TRANSPORTS)
    def test_a_refused_client_is_told_at_each_try_and_may_try_again(self, row: Transport) -> None:
        for answer, message in (
            (MissingToken("x"), MISSING),
            (InvalidToken("x"), INVALID),
            (ExpiredToken("x"), INVALID),
            (KeysUnavailable("x"), FAILED),
        ):
            with self.subTest(message=message):
                self.bench.gate.answers["alice"] = answer
                peer = self.peer(row)
                for namespace in ("/", "/other", "/nope", "/"):
                    peer.say(f"40{namespace},")
                    self.assertHears(peer, error(message, namespace))
                self.assertEqual(self.bench.connections(), [])

    @rows(TRANSPORTS)
    def test_whoever_brings_no_cookie_is_missing_one(self, row: Transport) -> None:
        peer = self.peer(row, user=None)
        peer.say("40")
        self.assertHears(peer, error(MISSING))
        self.assertEqual(self.bench.sizes()["_by_id"], 0)

    def test_a_poller_comes_back_with_a_cookie_on_the_same_session(self) -> None:
        poller = self.bench.poller(None)
        poller.say("40")
        self.assertHears(poller, error(MISSING))
        poller.user = "alice"
        poller.say("40", event("echo", id=1))
        self.assertHears(poller, CONNECT, "431[]")
        self.assertEqual(self.bench.connection().user.id, "alice")

    def test_a_websocket_whose_keys_could_not_be_had_comes_back(self) -> None:
        self.bench.gate.answers["alice"] = KeysUnavailable("x")
        socket = self.bench.socketeer("alice")
        socket.say("40")
        self.assertHears(socket, error(FAILED))
        del self.bench.gate.answers["alice"]
        socket.say("40")
        self.assertHears(socket, CONNECT)

    @rows(TRANSPORTS)
    def test_a_bad_token_is_verified_once_however_often_the_client_tries(self, row: Transport) -> None:
        self.bench.gate.answers["alice"] = InvalidToken("x")
        peer = self.peer(row)
        peer.say(*["40"] * 500)
        self.assertHears(peer, *[error(INVALID)] * 500)
        self.assertLessEqual(len(self.bench.gate.seen), 3)

    def test_a_known_client_cannot_be_made_another_by_a_cookie(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.user = "mallory"
        poller.say("40/other,")
        poller.hear()
        self.assertEqual(self.bench.connections("/other")[0].user.id, "alice")


@by_row
class TokenCheckTests(NamespaceCase):
    """The token of a second try is checked, which takes a while."""

    def trying(self, row: Transport) -> tuple[Poller | Socketeer, Deferred[Any]]:
        self.bench.gate.answers["alice"] = KeysUnavailable("x")
        peer = self.peer(row)
        peer.say("40")
        self.assertHears(peer, error(FAILED))
        checking: Deferred[Any] = Deferred()
        followers: list[Deferred[Any]] = []

        def decided(result: Any) -> None:
            for follower in followers:
                follower.callback(result)

        def ask() -> Deferred[Any]:
            followers.append(Deferred())
            return followers[-1]

        checking.addBoth(decided)
        self.bench.gate.answers["alice"] = ask
        peer.say("40")
        return peer, checking

    @rows(TRANSPORTS)
    def test_a_good_one_joins(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        self.assertHears(peer)
        checking.callback(principal("alice"))
        self.assertHears(peer, CONNECT)
        peer.say("40/other,")
        self.assertHears(peer, re.compile("^40/other,"))

    @rows(TRANSPORTS)
    def test_a_good_one_does_not_make_a_namespace(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        peer.say("41", "40/nope,", event("m", namespace="/nope"))
        checking.callback(principal("alice"))
        self.assertHears(peer, error("Invalid namespace", "/nope"))

    @rows(TRANSPORTS)
    def test_a_bad_one_is_refused(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        checking.errback(InvalidToken("x"))
        self.assertHears(peer, error(INVALID))

    @rows(TRANSPORTS)
    def test_a_broken_authenticator_is_a_failure_for_this_client_only(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        checking.errback(RuntimeError("SECRET"))
        self.assertHears(peer, error(FAILED))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        del self.bench.gate.answers["alice"]
        peer.say("40")
        self.assertHears(peer, CONNECT)

    @rows(TRANSPORTS)
    def test_what_is_said_meanwhile_is_handled_afterwards(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        peer.say(event("m", 1), event("echo", 2, id=1))
        self.assertEqual(self.bench.steps, [])
        checking.callback(principal("alice"))
        self.assertHears(peer, CONNECT, "431[2]")
        self.assertEqual(self.bench.steps[1:], [("m", 1), ("echo", 2)])

    @rows(TRANSPORTS)
    def test_what_is_said_meanwhile_is_dropped_with_a_bad_one(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        peer.say(event("m", 1))
        checking.errback(InvalidToken("x"))
        self.assertHears(peer, error(INVALID))
        self.assertEqual(self.bench.steps, [])

    @rows(TRANSPORTS)
    def test_a_client_that_leaves_meanwhile_leaves_nothing(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        peer.say(event("m", 1), "1")
        checking.callback(principal("alice"))
        self.assertEqual((self.bench.sizes()["_by_id"], self.bench.steps), (0, []))

    @rows(TRANSPORTS)
    def test_a_request_that_is_taken_back_meanwhile_is_not_answered(self, row: Transport) -> None:
        for result in (principal("alice"), InvalidToken("x")):
            with self.subTest(result=result):
                peer, checking = self.trying(row)
                peer.say("41")
                if isinstance(result, Exception):
                    checking.errback(result)
                else:
                    checking.callback(result)
                self.assertHears(peer)
                self.assertEqual(self.bench.connections(), [])

    @rows(TRANSPORTS)
    def test_a_request_that_is_made_anew_meanwhile_is_answered_once(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        second: Deferred[Any] = Deferred()
        self.bench.gate.answers["alice"] = second
        peer.say(event("m", 1), "41", "40", event("m", 2))
        checking.callback(principal("alice"))
        self.assertHears(peer)
        second.callback(principal("alice"))
        self.assertHears(peer, CONNECT)
        self.assertEqual(self.bench.steps[1:], [("m", 2)])

    @rows(TRANSPORTS)
    def test_a_second_request_meanwhile_ends_the_session(self, row: Transport) -> None:
        peer, checking = self.trying(row)
        peer.say("40")
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1002, "forced server close"))
        checking.callback(principal("alice"))
        self.assertEqual(self.bench.connections(), [])


@by_row
class ExpiryTests(NamespaceCase):
    @rows(TRANSPORTS)
    def test_a_namespace_can_still_be_joined_after_a_refresh(self, row: Transport) -> None:
        self.bench.gate.answers["alice"] = principal("alice", expires_at=100.0)
        peer = self.peer(row, "/")
        self.bench.connection().renew(10_000.0)
        self.bench.gate.answers["alice"] = ExpiredToken("x")
        self.bench.advance(200)
        peer.say("40/other,")
        self.assertHears(peer, re.compile("^40/other,"))
        self.assertEqual(self.bench.connection("alice", "/other").expires_at, 10_000.0)
        self.bench.advance(10)
        self.assertEqual(self.ends(), [])

    @rows(TRANSPORTS)
    def test_but_not_after_the_session_was_signed_out(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        self.bench.revoked.add("session-alice")
        self.bench.gate.answers["alice"] = InvalidToken("x")
        peer.say("40/other,")
        heard = peer.hear()
        self.assertEqual(len(heard), 1)
        self.assertRegex(str(heard[0]), "^44/other,")

    def test_a_poller_whose_token_expired_joins_by_a_newer_cookie(self) -> None:
        self.bench.gate.answers["alice"] = principal("alice", expires_at=50.0)
        poller = self.bench.poller("alice")
        self.bench.gate.answers["alice"] = ExpiredToken("x")
        self.bench.clients._by_sid[poller.sid].namespaces.session._connect_deadline = None
        self.bench.advance(60)
        poller.say("40")
        self.assertHears(poller, error(INVALID))
        self.bench.gate.answers["newer"] = principal("alice")
        poller.user = "newer"
        poller.say("40")
        self.assertHears(poller, CONNECT)


@by_row
class LeaveTests(NamespaceCase):
    @rows(TRANSPORTS)
    def test_a_client_leaves_and_comes_back_at_once(self, row: Transport) -> None:
        peer = self.peer(row, "/", "/other")
        first = self.bench.connection()
        first.join("room")
        peer.say("41", "40")
        self.assertHears(peer, CONNECT)
        self.assertEqual(self.ends(), [("disconnect", "/", LEFT)])
        self.assertNotEqual(self.bench.connection().id, first.id)
        self.assertEqual(self.bench.app.connections(room="room"), [])
        peer.say("41", event("m"))
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1002, "forced server close"))

    @rows(TRANSPORTS)
    def test_the_session_stays_with_no_namespace_at_all(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say("41")
        self.bench.advance(200)
        self.assertIsNotNone(self.bench.clients.get(peer.sid))
        peer.say("431[]")
        peer.say("40")
        self.assertHears(peer, CONNECT)

    @rows(TRANSPORTS)
    def test_what_waits_for_a_handler_is_still_handled_and_its_answer_dropped(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say(event("wait", 1, id=1), event("m", 2), "41")
        self.assertEqual(self.ends(), [])
        self.slow_goes_on()
        self.assertEqual(self.bench.steps[1:], [("wait", 1), ("m", 2), ("disconnect", "/", LEFT)])
        self.assertHears(peer)

    @rows(TRANSPORTS)
    def test_calls_fail_when_the_namespace_is_left(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        answer = self.bench.connection().call("q")
        failures: list[Any] = []
        answer.addErrback(failures.append)
        peer.hear()
        peer.say("41")
        self.assertEqual(len(failures), 1)
        left = {call.func.__name__ for call in self.bench.clock.getDelayedCalls()}
        self.assertLessEqual(left, {"_tick", "_fire", "__timedOut"})  # of expirations, deadlines, an idle connection

    @rows(TRANSPORTS)
    def test_a_call_takes_the_first_answer_and_no_other(self, row: Transport) -> None:
        peer = self.peer(row, "/", "/other")
        answer = self.bench.connection().call("q", 1)
        (packet,) = peer.hear()
        number = re.fullmatch(r'42([0-9]+)\["q",1\]', str(packet))
        assert number is not None
        peer.say(f"43/other,{number[1]}[0]")
        self.assertNoResult(answer)
        peer.say(f'43{number[1]}["a","b"]', f"43{number[1]}[2]")
        self.assertEqual(self.successResultOf(answer), ("a", "b"))
        self.assertEqual(self.bench.counters.get("acks_ignored"), 2)

    @rows(TRANSPORTS)
    def test_an_answer_may_be_binary(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        answer = self.bench.connection().call("q")
        (packet,) = peer.hear()
        number = str(packet)[2 : str(packet).index("[")]
        peer.say(f'461-{number}[{{"_placeholder":true,"num":0}}]', b"\x00\xff")
        self.assertEqual(self.successResultOf(answer), b"\x00\xff")

    @rows(TRANSPORTS)
    def test_an_event_is_answered_once_with_its_id_and_namespace(self, row: Transport) -> None:
        peer = self.peer(row, "/", "/other")
        peer.say(event("echo", 1, id=0), event("echo", namespace="/other", id=2**53 - 1), event("m", 1, id=5))
        self.assertHears(peer, "430[1]", f"43/other,{2**53 - 1}[]", "435[]")

    @rows(TRANSPORTS)
    def test_each_try_of_a_client_that_retries_is_answered(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        for number in range(3):
            peer.say(event("echo", "same", id=number))
            self.assertHears(peer, f'43{number}["same"]')


@by_row
class ConnectTimeoutTests(NamespaceCase):
    def setUp(self) -> None:
        self.start(Settings(connect_timeout=10.0))

    @rows(TRANSPORTS)
    def test_a_client_that_joins_nothing_is_closed(self, row: Transport) -> None:
        peer = self.peer(row)
        self.bench.advance(9.5)
        self.assertIsNotNone(self.bench.clients.get(peer.sid))
        self.bench.advance(1)
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1008, "forced server close"))

    @rows(TRANSPORTS)
    def test_a_refusal_does_not_count(self, row: Transport) -> None:
        peer = self.peer(row)
        for _ in range(3):
            self.bench.advance(3)
            peer.say("40/nope,")
            peer.hear()
        self.bench.advance(1.5)
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1008, "forced server close"))

    @rows(TRANSPORTS)
    def test_a_decision_that_takes_too_long_does_not_either(self, row: Transport) -> None:
        peer = self.peer(row)
        peer.say("40/slow,")
        self.bench.advance(10.5)
        self.assertTrue(peer.hear() == ["1"] or peer.close == (1008, "forced server close"))
        self.slow_goes_on()
        self.assertEqual(self.ends(), [("disconnect", "/slow", "forced server close")])

    @rows(TRANSPORTS)
    def test_one_namespace_is_enough(self, row: Transport) -> None:
        peer = self.peer(row)
        self.bench.advance(9)
        peer.say("40")
        self.bench.advance(100)
        self.assertHears(peer, CONNECT)

    def test_a_flood_of_other_packets_does_not_lengthen_it(self) -> None:
        socket = self.bench.socketeer("alice")
        for _ in range(11):
            socket.say("3", "6")
            self.bench.advance(1)
        self.assertEqual(socket.close, (1008, "forced server close"))


@by_row
class AttachmentTests(NamespaceCase):
    @rows(TRANSPORTS)
    def test_binary_data_comes_and_goes_at_any_depth(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say('452-1["echo",{"a":[{"_placeholder":true,"num":1}]},{"_placeholder":true,"num":0}]', b"zero", b"one")
        self.assertHears(
            peer,
            '462-1[{"a":[{"_placeholder":true,"num":0}]},{"_placeholder":true,"num":1}]',
            b"one",
            b"zero",
        )

    @rows(TRANSPORTS)
    def test_nothing_of_another_namespace_comes_in_between(self, row: Transport) -> None:
        peer = self.peer(row, "/", "/other")
        for _ in range(3):
            self.bench.app.emit("x", b"1", b"2")
            self.bench.app.namespace("/other").emit("y", [b"3"])
        self.assertEqual(
            peer.hear(),
            [
                '452-["x",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
                b"1",
                b"2",
                '451-/other,["y",[{"_placeholder":true,"num":0}]]',
                b"3",
            ]
            * 3,
        )

    @rows(TRANSPORTS)
    def test_what_does_not_arrive_ends_the_session(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say('452-["m",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]')
        self.bench.advance(40)
        peer.say(b"1")
        self.bench.advance(40)
        self.assertEqual(self.ends(), [])
        self.bench.advance(6)
        self.assertEqual(self.ends(), [("disconnect", "/", "parse error")])

    @rows(TRANSPORTS)
    def test_a_packet_that_waits_is_dropped_with_the_client(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        client = self.bench.clients.get(peer.sid)
        assert client is not None
        peer.say('452-["m"]', b"x" * 1000)
        self.assertIsNotNone(client.namespaces.session._decoder.pending)
        if isinstance(peer, Socketeer):
            peer.drop()
        else:
            peer.get().disconnect()
        self.assertIsNone(client.namespaces.session._decoder.pending)
        self.assertIsNone(client.namespaces.session.get_timer())

    @rows(TRANSPORTS)
    def test_all_together_are_bounded(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say('4510-["m"]')
        for _ in range(6):
            peer.say(b"x" * 740_000)
            self.assertEqual(self.ends(), [])
        peer.say(b"x" * 740_000)
        self.assertEqual(self.ends(), [("disconnect", "/", "parse error")])

    @rows(TRANSPORTS)
    def test_the_namespace_may_be_refused_between_header_and_attachment(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        peer.say('451-["m",{"_placeholder":true,"num":0}]')
        self.bench.connection().disconnect()
        peer.say(b"late", "40")
        self.assertHears(peer, "41", CONNECT)
        self.assertNotIn("m", [step[0] for step in self.bench.steps])


@by_row
class ManyTests(NamespaceCase):
    def setUp(self) -> None:
        self.start(Settings(max_namespaces=3))

    @rows(TRANSPORTS)
    def test_no_more_than_so_many_namespaces(self, row: Transport) -> None:
        peer = self.peer(row, "/", "/other", "/room-1")
        peer.say("40/room-2,")
        self.assertHears(peer, error("Too many namespaces", "/room-2"))
        self.assertEqual(self.bench.hub.counters.get("namespaces_refused", "too_many"), 1)
        peer.say("41/other,", "40/room-2,")
        self.assertHears(peer, re.compile("^40/room-2,"))
        self.assertEqual(self.bench.sizes()["_by_id"], 3)

    @rows(TRANSPORTS)
    def test_coming_and_going_leaves_no_traces(self, row: Transport) -> None:
        peer = self.peer(row, "/")
        client = self.bench.clients.get(peer.sid)
        assert client is not None
        for number in range(50):
            peer.say(f"40/room-{number},", f"41/room-{number},", f"40/nope-{number},")
            peer.hear()
        self.assertLessEqual(len(client.namespaces.session._gone), 3)
        self.assertEqual((len(client.namespaces), self.bench.sizes()["_by_id"]), (1, 1))
        gc.collect()
        self.assertLess(len(self.bench.clients.wires._wires), 10)


@by_row
class OpenTests(NamespaceCase):
    def setUp(self) -> None:
        self.start(Settings(max_open_namespaces=3))

    @rows(TRANSPORTS)
    def test_clients_may_not_open_any_number_of_namespaces_of_their_own_naming(self, row: Transport) -> None:
        first = self.peer(row, "/room-1", "/room-2", "/room-3")
        second = self.peer(row, user="bob")
        second.say("40/room-4,", "40/room-3,", "40/other,", "40")
        heard = second.hear()
        self.assertEqual(heard[0], error("Too many namespaces", "/room-4"))
        self.assertEqual([str(one)[:2] for one in heard[1:]], ["40"] * 3)
        self.assertEqual(self.bench.hub.counters.get("namespaces_refused", "open"), 1)
        second.say("41/other,", "41")
        first.say("41/room-1,")
        second.say("40/room-4,")
        self.assertHears(second, re.compile("^40/room-4,"))
