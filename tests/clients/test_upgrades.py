"""A session moves from long-polling to a WebSocket: nothing is lost, doubled or stolen. SOCKETIO.md 1.9."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.error import ConnectionLost

from tests.clients.bench import BenchCase, Poller, Socketeer, event, join, make_head
from tests.tables import by_row, rows
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings

ELSEWHERE = (1008, "Session elsewhere")
MISMATCH = {"code": 3, "message": "Bad request"}
UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class UpgradeCase(BenchCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def begin(self) -> None:
        self.poller = self.bench.poller("alice", "/")
        self.connection = self.bench.connection()

    def open_socket(self, sid: str = "") -> Socketeer:
        """A WebSocket for the session, of which it knows nothing yet."""
        socket = Socketeer(self.bench, sid=sid or self.poller.sid)
        socket.deliver()
        return socket

    def probe(self) -> Socketeer:
        """A WebSocket that was tried: it has its `3probe`."""
        socket = self.open_socket()
        socket.say("2probe")
        self.assertEqual(socket.messages, ["3probe"])
        socket.hear()
        return socket

    def finish(self, socket: Socketeer) -> None:
        """The client moves."""
        self.poller.hear()
        socket.say("5")
        self.bench.pollers.clear()

    def assertWorks(self, peer: Poller | Socketeer) -> None:
        """Events and acknowledgements come and go."""
        peer.say(event("echo", "works", id=7))
        self.assertEqual(peer.hear(), ['437["works"]'])

    def assertPollingGoesOn(self) -> None:
        self.connection.emit("to polling")
        self.assertEqual(self.poller.hear(), ['42["to polling"]'])
        self.assertWorks(self.poller)


class NoopTests(UpgradeCase):
    """Better than the reference: its noop takes up to 100 ms."""

    def test_the_open_get_is_answered_in_the_turn_of_the_probe(self) -> None:
        waiting = self.poller.get()
        self.bench.turn()
        self.assertEqual(waiting.received(), [])
        timers = self.bench.clock.getDelayedCalls()
        self.probe()
        self.assertEqual(waiting.answer().body, b"6")
        self.assertEqual(self.bench.clock.getDelayedCalls(), timers)

    def test_a_get_behind_the_probe_is_answered_at_once(self) -> None:
        self.probe()
        for _ in range(3):
            self.assertEqual(self.poller.get().answer().body, b"6")

    def test_a_socket_that_has_not_probed_releases_nothing(self) -> None:
        waiting = self.poller.get()
        self.open_socket()
        self.bench.clock.advance(1)
        self.assertEqual(waiting.received(), [])
        self.connection.emit("x")
        self.bench.turn()
        self.assertEqual(waiting.answer().body, b'42["x"]')

    def test_what_is_buffered_is_the_answer_in_place_of_a_noop(self) -> None:
        self.connection.emit("x")
        self.connection.emit("y")
        self.probe()
        self.assertEqual(self.poller.get().answer().body, b'42["x"]\x1e42["y"]')
        self.assertEqual(self.poller.get().answer().body, b"6")

    def test_the_socket_is_sent_no_data_before_the_five(self) -> None:
        socket = self.probe()
        self.connection.emit("x", b"\x01")
        self.bench.advance(26)
        self.assertEqual(socket.hear(), [])


class OrderTests(UpgradeCase):
    def test_what_is_emitted_all_along_arrives_once_and_in_order(self) -> None:
        heard: list[str | bytes] = []
        number = 0

        def emit() -> None:
            nonlocal number
            for _ in range(3):
                self.connection.emit("n", number, b"%d" % number)
                number += 1

        emit()
        socket = self.open_socket()
        emit()
        socket.say("2probe")
        emit()
        heard += self.poller.hear()
        emit()
        socket.hear()
        socket.say("5")
        emit()
        heard += socket.hear()
        emit()
        heard += socket.hear()
        expected: list[str | bytes] = []
        for one in range(number):
            expected += [f'451-["n",{one},{{"_placeholder":true,"num":0}}]', b"%d" % one]
        self.assertEqual(heard, expected)
        self.assertEqual(number, 18)

    def test_what_waits_for_the_end_of_the_turn_is_not_doubled(self) -> None:
        waiting = self.poller.get()
        socket = self.open_socket()
        self.connection.emit("x")  # the GET would be answered at the end of the turn
        socket.say("2probe")
        self.assertEqual(waiting.answer().body, b'42["x"]')
        self.assertEqual(socket.hear(), ["3probe"])
        self.finish(socket)
        self.assertEqual(socket.hear(), [])

    def test_a_post_behind_the_probe_is_handled(self) -> None:
        socket = self.probe()
        self.poller.say(event("back", 1))
        self.assertEqual(self.poller.hear(), ['42["back",1]'])
        self.finish(socket)
        self.assertWorks(socket)

    def test_a_post_under_way_at_the_five_comes_first(self) -> None:
        socket = self.probe()
        body = join((event("m", 1), event("m", 2))).encode()
        posting = self.bench.request("POST", self.poller.query, f"Content-Length: {len(body)}")
        posting.send(body[:9])
        self.finish(socket)
        socket.say(event("m", 3), "3", event("m", 4))
        self.assertEqual(self.bench.steps[1:], [])
        posting.send(body[9:])
        self.assertEqual(posting.answer().body, b"ok")
        self.assertEqual(self.bench.steps[1:], [("m", 1), ("m", 2), ("m", 3), ("m", 4)])
        socket.say(event("m", 5))
        self.assertEqual(self.bench.steps[-1], ("m", 5))

    def test_a_post_under_way_at_the_five_that_is_given_up_ends_the_session(self) -> None:
        socket = self.probe()
        posting = self.bench.request("POST", self.poller.query, "Content-Length: 20")
        self.finish(socket)
        socket.say(event("m", 1))
        posting.disconnect()
        self.assertEqual(self.bench.steps[1:], [("disconnect", "/", "transport error")])
        socket.deliver()
        self.assertEqual(socket.close, (1002, "transport error"))

    def test_what_is_held_for_such_a_post_is_bounded(self) -> None:
        self.start(Settings(engine=EngineSettings(max_payload=2000)))
        self.begin()
        socket = self.probe()
        self.bench.request("POST", self.poller.query, "Content-Length: 20")
        self.finish(socket)
        socket.say(*[event("m")] * 40)
        self.assertEqual(socket.close, (1002, "transport error"))

    def test_a_binary_packet_may_straddle_the_move(self) -> None:
        socket = self.probe()
        self.poller.say('452-["m",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]', b"first")
        self.finish(socket)
        socket.say(b"second", event("m", "then"))
        self.assertEqual(self.bench.steps[1:], [("m", b"second", b"first"), ("m", "then")])

    def test_an_answer_to_a_call_may_come_by_the_other_transport(self) -> None:
        answer = self.connection.call("question")
        self.poller.hear()
        socket = self.probe()
        self.finish(socket)
        socket.say("431[42]")
        self.assertEqual(self.successResultOf(answer), 42)

    def test_what_on_connect_holds_back_moves_along(self) -> None:
        poller = self.bench.poller("bob")
        poller.say("40/slow,")
        connection = self.bench.connection("bob", "/slow")
        connection.emit("early", b"\x01")
        socket = self.bench.move(poller)
        socket.hear()
        self.bench.waiting[0].callback(None)
        heard = socket.hear()
        self.assertRegex(heard[0], r'^40/slow,\{"sid":')  # type: ignore[arg-type]
        self.assertEqual(
            heard[1:],
            ['451-/slow,["early",{"_placeholder":true,"num":0}]', b"\x01", '42/slow,["welcome"]'],
        )

    def test_the_wire_of_each_namespace_moves(self) -> None:
        self.poller.join("/other", "/room-7")
        socket = self.probe()
        self.finish(socket)
        self.bench.app.namespace("/other").emit("a")
        self.bench.app.namespace("/room-7").emit("b", b"c")
        self.assertEqual(socket.hear(), ['42/other,["a"]', '451-/room-7,["b",{"_placeholder":true,"num":0}]', b"c"])


@dataclass(frozen=True)
class First:
    """What a WebSocket begins with, in place of a `2probe`."""

    name: str
    packet: str | bytes


FIRSTS = (
    First("a bare five", "5"),
    First("a plain ping", "2"),
    First("a pong", "3probe"),
    First("a message", '42["m"]'),
    First("a binary message", b"x"),
    First("an empty text", ""),
    First("a close", "1"),
    First("a probe in bytes", b"2probe"),
    First("a longer probe", "2probe2"),
)


@by_row
class FailureTests(UpgradeCase):
    @rows(FIRSTS)
    def test_a_socket_is_closed_that_begins_with(self, row: First) -> None:
        socket = self.open_socket()
        socket.say(row.packet)
        self.assertEqual(socket.close, (1000, ""))
        self.assertEqual(self.bench.steps[1:], [])
        self.assertPollingGoesOn()
        self.assertWorks(self.bench.move(self.poller))

    @rows(FIRSTS)
    def test_a_socket_that_has_probed_is_closed_by(self, row: First) -> None:
        if row.packet == "5":
            return
        socket = self.probe()
        socket.say(row.packet)
        self.assertEqual(socket.close, (1000, ""))
        self.assertEqual(self.bench.steps[1:], [])
        self.assertPollingGoesOn()

    def test_each_repeated_probe_is_answered(self) -> None:
        socket = self.probe()
        socket.say("2probe", "2probe", "2probe")
        self.assertEqual(socket.messages, ["3probe"] * 4)
        socket.hear()
        self.finish(socket)
        self.assertWorks(socket)

    def test_a_move_that_takes_too_long_is_given_up(self) -> None:
        for probed in (False, True):
            with self.subTest(probed=probed):
                socket = self.probe() if probed else self.open_socket()
                self.bench.advance(9.9, step=0.1)
                self.assertFalse(socket.is_over)
                self.bench.advance(0.2, step=0.1)
                socket.deliver()
                self.assertEqual(socket.close, (1000, ""))
                self.assertPollingGoesOn()
                socket.drop()

    def test_a_five_that_comes_too_late_is_not_heard(self) -> None:
        socket = self.probe()
        self.bench.clock.advance(10)
        socket.deliver()
        self.assertEqual(socket.close, (1000, ""))
        socket.raw(b"\x81\x81\x00\x00\x00\x005")
        self.assertPollingGoesOn()

    def test_a_socket_that_goes_away_leaves_the_session_on_polling(self) -> None:
        for probed in (False, True):
            for cleanly in (False, True):
                with self.subTest(probed=probed, cleanly=cleanly):
                    socket = self.probe() if probed else self.open_socket()
                    if cleanly:
                        socket.client.send_close(1000)
                        socket.deliver()
                    socket.drop()
                    self.assertPollingGoesOn()
        self.assertWorks(self.bench.move(self.poller))

    def test_a_frame_that_breaks_the_protocol_ends_the_try_only(self) -> None:
        socket = self.probe()
        socket.raw(b"\xf1\x80\x00\x00\x00\x00")
        self.assertEqual(socket.close[0] if socket.close else 0, 1002)
        socket.drop()
        self.assertPollingGoesOn()

    def test_a_second_socket_is_closed_and_the_first_goes_on(self) -> None:
        first = self.probe()
        second = self.open_socket()
        self.assertEqual(second.close, ELSEWHERE)
        second.drop()
        self.assertFalse(first.is_over)
        self.finish(first)
        self.assertWorks(first)

    def test_the_end_of_the_session_closes_both(self) -> None:
        socket = self.probe()
        waiting = self.bench.poller("bob", "/")
        self.connection.disconnect(1012, "restart")
        socket.deliver()
        self.assertEqual(socket.close, (1000, ""))
        self.assertEqual(self.poller.get().answer().body, b"1")
        self.assertWorks(waiting)

    def test_the_client_may_end_the_session_while_it_moves(self) -> None:
        socket = self.probe()
        self.poller.say("1")
        self.assertEqual(self.bench.steps[1:], [("disconnect", "/", "transport close")])
        socket.deliver()
        self.assertEqual(socket.close, (1000, ""))

    def test_a_get_that_is_given_up_while_a_socket_is_tried_ends_both(self) -> None:
        waiting = self.poller.get()
        socket = self.open_socket()
        waiting.transport.drop(ConnectionLost())
        self.assertEqual(self.bench.steps[1:], [("disconnect", "/", "transport error")])
        socket.deliver()
        self.assertEqual(socket.close, (1000, ""))


class AfterwardsTests(UpgradeCase):
    def setUp(self) -> None:
        super().setUp()
        self.socket = self.bench.move(self.poller)

    def test_polling_is_refused_and_does_no_harm(self) -> None:
        for method, body in (("GET", None), ("POST", b'42["m"]'), ("POST", b"1"), ("POST", b"")):
            answer = self.bench.ask(method, self.poller.query, body=body)
            self.assertEqual((answer.status, answer.json), (400, MISMATCH))
        self.assertWorks(self.socket)

    def test_a_post_that_is_refused_may_be_aborted_or_too_large(self) -> None:
        self.bench.request("POST", self.poller.query, "Content-Length: 20").disconnect()
        self.assertEqual(self.bench.ask("POST", self.poller.query, "Content-Length: 1000001").status, 413)
        self.assertWorks(self.socket)

    def test_another_socket_is_closed_and_does_no_harm(self) -> None:
        thief = self.open_socket()
        self.assertEqual(thief.close, ELSEWHERE)
        thief.raw(b"\x81\x86\x00\x00\x00\x002probe" + b"\x81\x81\x00\x00\x00\x005")
        self.assertEqual(thief.messages, [])
        thief.drop()
        self.assertWorks(self.socket)

    def test_a_get_that_is_open_while_probe_and_five_come_at_once_gets_what_waits_for_it(self) -> None:
        poller = self.bench.poller("bob", "/")
        socket = Socketeer(self.bench, "bob", sid=poller.sid)
        socket.deliver()
        connection = self.bench.connection("bob")
        waiting = poller.get()
        socket.client.send_text(b"2probe")
        socket.client.send_text(b"5")
        connection.emit("x")
        socket.deliver()
        self.assertEqual(waiting.answer().body, b'42["x"]')
        self.assertEqual(socket.hear(), ["3probe"])

    def test_the_end_of_the_socket_is_the_end_of_the_session(self) -> None:
        self.socket.drop()
        self.assertEqual(self.bench.steps[1:], [("disconnect", "/", "transport error")])
        self.assertEqual(self.bench.ask("GET", self.poller.query).json, UNKNOWN)


class TheftTests(BenchCase):
    """Better than the reference, where a leaked sid is enough to take a WebSocket session over."""

    def test_a_session_that_began_on_a_websocket_does_not_move(self) -> None:
        owner = self.bench.socketeer("alice", "/")
        for query in ("", "&b64=1", "&x=1"):
            thief = Socketeer(self.bench, "mallory", query=f"EIO=4&transport=websocket&sid={owner.sid}{query}")
            thief.deliver()
            self.assertEqual(thief.close, ELSEWHERE)
            thief.drop()
        for method, body in (("GET", None), ("POST", b"1")):
            answer = self.bench.ask(method, f"EIO=4&transport=polling&sid={owner.sid}", body=body, user="mallory")
            self.assertEqual((answer.status, answer.json), (400, MISMATCH))
        self.bench.connection().emit("x")
        self.assertEqual(owner.hear(), ['42["x"]'])

    def test_no_session_moves_where_that_is_off(self) -> None:
        self.start(Settings(engine=EngineSettings(allow_upgrades=False)))
        poller = self.bench.poller("alice", "/")
        self.assertEqual(poller.handshake["upgrades"], [])
        socket = Socketeer(self.bench, sid=poller.sid)
        socket.deliver()
        self.assertEqual(socket.close, ELSEWHERE)
        poller.say(event("echo", id=1))
        self.assertEqual(poller.hear(), ["431[]"])

    def test_the_public_id_of_a_connection_opens_nothing(self) -> None:
        poller = self.bench.poller("alice", "/")
        sid = self.bench.connection().id
        answer = self.bench.ask("GET", f"EIO=4&transport=polling&sid={sid}")
        self.assertEqual((answer.status, answer.json), (400, UNKNOWN))
        socket = Socketeer(self.bench, sid=sid)
        self.assertEqual((socket.refusal.status, socket.refusal.json), (400, UNKNOWN))
        self.assertNotIn(poller.sid, repr(poller.client))


class LateUpgradeTests(UpgradeCase):
    def test_the_socket_may_come_on_a_connection_that_polled_before(self) -> None:
        socket = Socketeer(self.bench, sid=self.poller.sid)
        handshake = socket.flush()
        socket.current.dataReceived(make_head("POST", self.poller.query, body=b"3") + b"3" + handshake)
        answer, _, upgrade = socket.transport.value().partition(b"ok")
        self.assertTrue(answer.startswith(b"HTTP/1.1 200 "))
        self.assertTrue(upgrade.startswith(b"HTTP/1.1 101 "))
        socket.transport.clear()
        socket.client.receive_data(upgrade)
        socket.say("2probe")
        self.assertEqual(socket.messages, ["3probe"])
        self.finish(socket)
        socket.heard_frames = 1
        self.assertWorks(socket)
        self.assertEqual(self.bench.sizes()["channels"], 0)
