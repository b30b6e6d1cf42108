"""One client's life: the heartbeat, the end, handlers and readers that are slow, and faults of our own."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import succeed

from tests.clients.bench import A_LIFETIME, BystanderCase, Poller, Socketeer, event, join, principal, split
from tests.tables import by_row, rows
from wsservice.clients.client import SLICE, Client
from wsservice.clients.namespaces import Namespaces
from wsservice.clients.settings import Settings
from wsservice.connection_limits import ConnectionLimits
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import CallTimeout, ClientError, ConnectionClosed
from wsservice.traffic import TrafficLimits

UNKNOWN = {"code": 1, "message": "Session ID unknown"}
MISMATCH = {"code": 3, "message": "Bad request"}
INTERVAL, TIMEOUT = 25.0, 20.0


@dataclass(frozen=True)
class Transport:
    """Where a test's client is."""

    name: str


TRANSPORTS = (Transport("polling"), Transport("websocket"))


class ClientCase(BystanderCase):
    """There is somebody else, whom nothing of this may harm."""

    def come(self) -> None:
        self.other = self.bench.socketeer("bob", "/")

    def tearDown(self) -> None:
        self.other.hear()
        self.assertWorks(self.other)
        super().tearDown()

    def ends(self) -> list[tuple[Any, ...]]:
        """The ends that the application was told of."""
        return [step for step in self.bench.steps if step[0] == "disconnect"]

    def received(self) -> list[tuple[Any, ...]]:
        """The events that reached handlers."""
        return [step for step in self.bench.steps if step[0] not in ("connect", "disconnect")]

    def assertGone(self, peer: Poller | Socketeer, code: int, reason: str) -> None:
        """The client learns of the end in its transport's way; there was no `41`."""
        heard = peer.hear()
        self.assertNotIn("41", heard)
        if isinstance(peer, Socketeer):
            self.assertEqual(peer.close, (code, reason))
        else:
            self.assertEqual(heard[-1:], ["1"])
            self.assertEqual(self.bench.ask("GET", peer.query).json, UNKNOWN)


@by_row
class HeartbeatTests(ClientCase):
    @rows(TRANSPORTS)
    def test_a_ping_comes_each_interval(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        self.bench.advance(4 * INTERVAL + 2)
        self.assertEqual(self.ends(), [])
        if isinstance(peer, Socketeer):
            self.assertEqual(peer.messages.count("2"), 4)
        else:
            self.assertEqual(peer.heard.count("2"), 4)
        idle = isinstance(peer, Poller)  # the connection of its GET has one, which is left alone while the GET waits
        self.assertEqual(self.bench.sizes()["timers"], 1 + idle)

    @rows(TRANSPORTS)
    def test_a_client_without_a_pong_is_dead_at_the_instant(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        peer.pongs = False
        if isinstance(peer, Poller):
            self.bench.pollers.remove(peer)  # it does not even poll
        self.bench.advance(INTERVAL + TIMEOUT - 0.1)
        self.assertEqual(self.ends(), [])
        self.bench.clock.advance(0.1)
        self.assertEqual(self.ends(), [("disconnect", "/", "ping timeout")])
        self.assertEqual(self.bench.counters.get("engine_sessions_ended", "ping timeout"), 1)
        if isinstance(peer, Socketeer):
            peer.deliver()
            self.assertEqual(peer.close, (1000, "ping timeout"))
        else:
            answer = peer.get().answer()
            self.assertEqual((answer.status, answer.json), (400, UNKNOWN))

    @rows(TRANSPORTS)
    def test_half_a_second_is_exact_too(self, row: Transport) -> None:
        self.begin(Settings(engine=EngineSettings(ping_interval=0.3, ping_timeout=0.2)))
        peer = self.bench.peer(row.name, "alice", "/")
        self.assertEqual((peer.handshake["pingInterval"], peer.handshake["pingTimeout"]), (300, 200))
        peer.pongs = False
        self.bench.pollers.clear()
        self.bench.advance(0.49, step=0.01)
        self.assertEqual(self.ends(), [])
        self.bench.advance(0.01)
        self.assertEqual(self.ends(), [("disconnect", "/", "ping timeout")])

    @rows(TRANSPORTS)
    def test_ten_thousand_pongs_are_one_timer_and_no_ping(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        if isinstance(peer, Poller):
            peer.say(*["3"] * 10_000)
        else:
            peer.raw(b"\x81\x81\x00\x00\x00\x003" * 10_000)
        self.assertEqual(self.bench.sizes()["timers"], 1)
        self.assertLess(len(self.bench.clients.deadlines._heap), 5)
        self.assertEqual(peer.hear(), [])
        self.bench.advance(INTERVAL + 1)
        heard = peer.messages if isinstance(peer, Socketeer) else peer.heard
        self.assertEqual(heard.count("2"), 1)
        self.assertEqual(self.ends(), [])

    @rows(TRANSPORTS)
    def test_traffic_without_a_pong_lengthens_the_wait_once(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        peer.pongs = False
        self.bench.advance(INTERVAL + 15)
        peer.say(event("m", 1))
        self.bench.advance(15)
        peer.say(event("m", 2))
        self.assertEqual(self.ends(), [])
        self.bench.advance(6)
        self.assertEqual(self.ends(), [("disconnect", "/", "ping timeout")])

    def test_no_zombie_is_left_by_a_move_with_a_ping_outstanding(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        self.bench.advance(INTERVAL + 1)
        poller.listen()
        self.assertEqual(poller.heard, ["2"])
        socket = self.bench.move(poller)
        socket.pongs = False
        self.bench.advance(TIMEOUT)
        self.assertEqual(self.ends(), [("disconnect", "/", "ping timeout")])
        socket.deliver()
        self.assertEqual(socket.close, (1000, "ping timeout"))

    def test_a_pong_behind_the_move_keeps_the_session(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        self.bench.advance(INTERVAL + 1)
        socket = self.bench.move(poller)
        socket.say("3")
        self.bench.advance(100)
        self.assertWorks(socket)

    def test_a_ping_that_nobody_fetched_goes_first_on_the_websocket(self) -> None:
        poller = self.bench.poller("alice", "/")
        socket = Socketeer(self.bench, sid=poller.sid)
        self.bench.pollers.clear()
        self.bench.advance(INTERVAL + 1)
        socket.drop()
        socket = Socketeer(self.bench, sid=poller.sid)
        socket.deliver()
        socket.pongs = False
        socket.say("2probe", "5")
        self.assertEqual(socket.messages, ["3probe", "2"])

    @rows(TRANSPORTS)
    def test_what_came_while_the_loop_was_blocked_is_read_before_anybody_is_dead(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        self.bench.clock.rightNow += 300.0  # the process was stopped; input is read before timers run
        peer.say(event("echo", id=1))
        self.bench.turn()
        self.assertEqual(self.ends(), [])
        self.assertEqual(peer.hear(), ["431[]"])
        self.bench.advance(60)
        self.assertEqual(self.ends(), [])

    @rows(TRANSPORTS)
    def test_the_clock_may_jump(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        for _ in range(5):
            self.bench.clock.advance(3600)
            peer.hear()
            self.other.hear()
            self.assertEqual(self.ends(), [])
        self.assertWorks(peer)


@by_row
class EndTests(ClientCase):
    @rows(TRANSPORTS)
    def test_a_namespace_is_left_by_a_41_and_the_session_stays(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/", "/other")
        self.bench.connection().disconnect()
        self.bench.connection("alice", "/other").disconnect(4000, "go")
        self.assertEqual(peer.hear(), ["41", "41/other,"])
        self.assertEqual(self.ends(), [("disconnect", "/", "server disconnect"), ("disconnect", "/other", "go")])
        self.bench.advance(100)
        peer.say("40")
        self.assertRegex(str(peer.hear()[0]), '^40{"sid"')
        self.assertWorks(peer)

    @rows(TRANSPORTS)
    def test_other_codes_end_the_session_without_a_41(self, row: Transport) -> None:
        for code in (1001, 1008, 1011, 1012, 1013, 4408):
            with self.subTest(code=code):
                peer = self.bench.peer(row.name, "alice", "/", "/other")
                self.bench.steps.clear()
                self.bench.connection().emit("last")
                self.bench.connection().disconnect(code, "because")
                heard = peer.hear()
                self.assertIn('42["last"]', heard)
                self.assertEqual(heard[1:], [] if isinstance(peer, Socketeer) else ["1"])
                self.assertEqual(peer.close, (code, "because") if isinstance(peer, Socketeer) else None)
                self.assertEqual(self.ends(), [("disconnect", "/", "because"), ("disconnect", "/other", "because")])

    @rows(TRANSPORTS)
    def test_an_expired_token_ends_the_session_without_a_41(self, row: Transport) -> None:
        self.bench.gate.answers["alice"] = principal("alice", expires_at=100.0)
        peer = self.bench.peer(row.name, "alice", "/", "/other")
        self.bench.advance(99)
        self.assertEqual(self.ends(), [])
        self.bench.advance(3)
        self.assertEqual(
            sorted(self.ends()),
            [("disconnect", "/", "Authentication expired"), ("disconnect", "/other", "Authentication expired")],
        )
        self.assertGone(peer, 1008, "Authentication expired")

    def test_what_is_queued_goes_ahead_of_the_1(self) -> None:
        poller = self.bench.poller("alice", "/")
        self.bench.connection().emit("a")
        self.bench.connection().disconnect(1012, "restart")
        self.assertEqual(poller.fetch(), ['42["a"]', "1"])
        self.assertEqual(self.bench.ask("GET", poller.query).json, UNKNOWN)

    def test_the_1_waits_for_a_get_and_not_for_ever(self) -> None:
        poller = self.bench.poller("alice", "/")
        self.bench.pollers.clear()
        self.bench.connection().disconnect(1012, "restart")
        self.assertEqual(self.bench.sizes()["clients"], 2)
        self.assertEqual(poller.send('42["m"]').body, b"ok")
        self.assertEqual(self.received(), [])
        self.bench.advance(29.9)
        self.assertEqual(self.bench.sizes()["clients"], 2)
        self.bench.advance(0.2)
        self.assertEqual(self.bench.sizes()["clients"], 1)
        self.assertEqual(self.bench.ask("GET", poller.query).json, UNKNOWN)
        self.assertEqual(self.ends(), [("disconnect", "/", "restart")])

    def test_a_close_frame_is_a_clean_end_and_a_lost_connection_is_not(self) -> None:
        for cleanly, reason in ((True, "transport close"), (False, "transport error")):
            socket = self.bench.socketeer("alice", "/", "/other")
            self.bench.steps.clear()
            if cleanly:
                socket.client.send_close(1000)
                socket.deliver()
            socket.drop()
            self.assertEqual(sorted(self.ends()), [("disconnect", "/", reason), ("disconnect", "/other", reason)])

    def test_a_client_that_does_not_answer_the_close_frame_is_closed(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        self.bench.connection().disconnect(1012, "restart")
        self.bench.clock.advance(3)
        self.assertEqual(socket.transport.ended, "lost")

    def test_what_is_said_behind_the_end_is_not_heard(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.raw(b"\x81\x81\x00\x00\x00\x001" + b"\x81\x87\x00\x00\x00\x00" + b'42["m"]')
        self.bench.connections()
        self.assertEqual(self.received(), [])
        self.assertEqual(self.ends(), [("disconnect", "/", "transport close")])

    def test_a_handler_may_leave_in_the_middle_of_a_payload(self) -> None:
        @self.bench.app.on("leave")
        def leave(connection: Any, code: int) -> None:
            connection.disconnect(code, "asked for")

        for code, further in ((1000, []), (1012, [])):
            for name in ("polling", "websocket"):
                with self.subTest(code=code, transport=name):
                    peer = self.bench.peer(name, "alice", "/")
                    self.bench.steps.clear()
                    peer.say(event("leave", code), event("m", 1))
                    self.assertEqual(self.received(), further)
                    self.assertEqual(self.ends(), [("disconnect", "/", "asked for")])

    @rows(TRANSPORTS)
    def test_what_ends_first_counts(self, row: Transport) -> None:
        @self.bench.app.on("end")
        def end(connection: Any) -> None:
            other = self.bench.connection("alice", "/other")
            connection.disconnect(1012, "first")
            other.emit("x", "y" * 2_000_000)
            other.disconnect(1013, "second")
            connection.disconnect()

        peer = self.bench.peer(row.name, "alice", "/", "/other")
        self.bench.steps.clear()
        if isinstance(peer, Socketeer):
            peer.current.pauseProducing()
        peer.say(event("end"), event("m"), event("m", namespace="/other"))
        self.assertEqual(self.ends(), [("disconnect", "/", "first"), ("disconnect", "/other", "second")])
        self.assertEqual(self.received(), [])
        if isinstance(peer, Socketeer):
            self.assertEqual(peer.close, (1012, "first"))

    @rows(TRANSPORTS)
    def test_a_namespace_that_is_left_behind_a_clients_own_end_is_left(self, row: Transport) -> None:
        @self.bench.app.on("leave")
        def leave(connection: Any) -> None:
            connection.disconnect(1000, "asked for")

        peer = self.bench.peer(row.name, "alice", "/", "/other")
        self.bench.steps.clear()
        peer.say(event("leave"), event("m"), "1")
        self.assertEqual(
            sorted(self.ends()), [("disconnect", "/", "asked for"), ("disconnect", "/other", "transport close")]
        )
        self.assertEqual(self.received(), [])

    @rows(TRANSPORTS)
    def test_an_end_may_end_the_others_of_the_same_client(self, row: Transport) -> None:
        ends: list[tuple[str, str]] = []
        namespaces = [self.bench.app.namespace(f"/n{number}") for number in range(3)]
        for namespace in namespaces:

            @namespace.on_disconnect
            def left(connection: Any, reason: str) -> None:
                ends.append((connection.namespace, reason))
                for one in namespaces:
                    one.disconnect(user="alice", reason="and all")

        peer = self.bench.peer(row.name, "alice", "/n0", "/n1", "/n2")
        peer.say("1")
        self.assertEqual(sorted(ends), [("/n0", "transport close"), ("/n1", "and all"), ("/n2", "and all")])

    def test_rooms_are_readable_when_the_end_is_told_and_nobody_is_in_them(self) -> None:
        seen: list[Any] = []
        namespace = self.bench.app.namespace("/rooms")

        @namespace.on_disconnect
        def left(connection: Any, reason: str) -> None:
            seen.append((set(connection.rooms), namespace.connections(room="lobby"), connection.is_open))

        for name in ("polling", "websocket"):
            peer = self.bench.peer(name, "alice", "/rooms")
            self.bench.connection("alice", "/rooms").join("lobby")
            peer.say("41/rooms,")
        self.assertEqual(seen, [({"lobby"}, [], False)] * 2)


@by_row
class SlowHandlerTests(ClientCase):
    def begin(self, settings: Settings | None = None, **options: Any) -> None:
        super().begin(settings, **{"hub": {"inbox_limit": 3, "pause_timeout": 30.0}, **options})

    def waits(self, *numbers: int, namespace: str = "/") -> list[str]:
        return [event("wait", number, namespace=namespace) for number in numbers]

    def go_on(self) -> None:
        """The oldest handler finishes."""
        self.bench.waiting.pop(0).callback(None)
        self.bench.turn()

    def test_a_websocket_is_not_read_until_they_have_caught_up(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.say(*self.waits(1, 2, 3))
        self.assertFalse(socket.transport.paused)
        socket.say(*self.waits(4))
        self.assertTrue(socket.transport.paused)
        socket.raw(b"".join(b"\x81\x89\x00\x00\x00\x00" + b'42["m",%d]' % number for number in range(3)))
        while self.bench.waiting:
            self.assertEqual([step for step in self.received() if step[0] == "m"], [])
            self.go_on()
        self.assertFalse(socket.transport.paused)
        self.assertEqual(
            self.received(), [("wait", 1), ("wait", 2), ("wait", 3), ("wait", 4), ("m", 0), ("m", 1), ("m", 2)]
        )

    def test_the_ok_of_a_post_waits_until_they_have_caught_up(self) -> None:
        poller = self.bench.poller("alice", "/")
        posting = poller.post(join(self.waits(1, 2, 3, 4)))
        self.assertEqual(posting.received(), [])
        self.bench.connection().emit("polling goes on")
        self.assertEqual(poller.hear(), ['42["polling goes on"]'])
        self.go_on()
        self.assertEqual(posting.received(), [])
        self.go_on()
        self.go_on()
        self.assertEqual(posting.answer().body, b"ok")
        self.go_on()
        self.assertEqual(self.received(), [("wait", 1), ("wait", 2), ("wait", 3), ("wait", 4)])

    def test_a_second_post_meanwhile_ends_the_session(self) -> None:
        poller = self.bench.poller("alice", "/")
        posting = poller.post(join(self.waits(1, 2, 3, 4)))
        second = self.bench.ask("POST", poller.query, body=b'42["m"]')
        self.assertEqual((second.status, second.json), (400, MISMATCH))
        self.assertEqual(posting.answer().body, b"ok")
        self.assertEqual([step for step in self.received() if step[0] == "m"], [])
        self.go_on()
        while self.bench.waiting:
            self.go_on()
        self.assertEqual(self.ends(), [("disconnect", "/", "transport error")])

    def test_a_client_may_give_that_post_up(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.post(join(self.waits(1, 2, 3, 4))).disconnect()
        while self.bench.waiting:
            self.go_on()
        self.assertWorks(poller)

    @rows(TRANSPORTS)
    def test_handlers_that_never_catch_up_end_the_session(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        self.bench.advance(20)
        if isinstance(peer, Poller):
            peer.pongs = False  # a client makes one POST at a time
            posting = peer.post(join(self.waits(1, 2, 3, 4)))
        else:
            peer.say(*self.waits(1, 2, 3, 4))
        self.bench.advance(29.9)
        self.assertEqual(self.bench.sizes()["clients"], 2)
        self.bench.advance(0.2)
        self.assertEqual(self.received(), [])
        self.assertGone(peer, 1013, "Messages wait too long")
        if isinstance(peer, Poller):
            self.assertEqual(posting.answer().body, b"ok")
        self.assertEqual(self.ends(), [])
        self.go_on()
        self.assertEqual(self.received(), [("wait", 1)])
        self.assertEqual(self.ends(), [("disconnect", "/", "Messages wait too long")])

    @rows(TRANSPORTS)
    def test_nobody_dies_of_a_pong_that_we_do_not_read(self, row: Transport) -> None:
        self.begin(hub={"inbox_limit": 3, "pause_timeout": 200.0})
        peer = self.bench.peer(row.name, "alice", "/")
        for rest in (24.0, 1.0, 30.0):  # the ping comes while we do not listen, just before, or long before the end
            peer.hear()
            self.bench.advance(rest)
            posting = None
            if isinstance(peer, Poller):
                peer.pongs = False
                posting = peer.post(join(self.waits(1, 2, 3, 4)))
            else:
                peer.say(*self.waits(1, 2, 3, 4))
            self.bench.advance(100 + rest)
            while self.bench.waiting:
                self.go_on()
            self.bench.advance(TIMEOUT - 1)
            self.assertEqual(self.ends(), [])
            if isinstance(peer, Poller):
                assert posting is not None
                self.assertEqual(posting.answer().body, b"ok")
                peer.pongs = True
                peer.say("3")
            self.assertWorks(peer)
        peer.pongs = False
        self.bench.advance(INTERVAL + TIMEOUT)
        self.assertEqual(self.ends(), [("disconnect", "/", "ping timeout")])

    def test_namespaces_wait_for_each_other(self) -> None:
        socket = self.bench.socketeer("alice", "/", "/other")
        both = zip(self.waits(1, 2, 3, 4), self.waits(5, 6, 7, 8, namespace="/other"), strict=True)
        frames = [f"\x81{chr(0x80 | len(packet))}\0\0\0\0{packet}" for pair in both for packet in pair]
        socket.raw("".join(frames).encode("latin-1"))
        self.assertTrue(socket.transport.paused)
        while self.bench.waiting:
            self.go_on()
        self.assertFalse(socket.transport.paused)
        self.assertEqual([step[1] for step in self.received() if step[1] < 5], [1, 2, 3, 4])
        self.assertEqual([step[1] for step in self.received() if step[1] > 4], [5, 6, 7, 8])
        one, other = (self.bench.connection("alice", name)._link for name in ("/", "/other"))
        for link in (one, other):
            link.pause_reading()
        one.resume_reading()
        one.resume_reading()
        self.assertTrue(socket.transport.paused)
        other.resume_reading()
        self.assertFalse(socket.transport.paused)

    def test_a_namespace_that_is_left_holds_up_nobody(self) -> None:
        socket = self.bench.socketeer("alice", "/", "/other")
        socket.say(*self.waits(1, 2, 3, 4))
        self.assertTrue(socket.transport.paused)
        self.bench.connection().disconnect()
        self.assertFalse(socket.transport.paused)
        self.assertEqual(socket.hear(), ["41"])
        socket.say(event("echo", id=1, namespace="/other"))
        self.assertEqual(socket.hear(), ["43/other,1[]"])

    def test_a_pause_moves_to_the_websocket(self) -> None:
        poller = self.bench.poller("alice", "/")
        posting = poller.post(join(self.waits(1, 2, 3, 4)))
        socket = self.bench.move(poller)
        self.assertTrue(socket.transport.paused)
        socket.raw(b"\x81\x89\x00\x00\x00\x00" + b'42["m",5]')
        while self.bench.waiting:
            self.assertEqual([step for step in self.received() if step[0] == "m"], [])
            self.go_on()
        self.assertEqual(self.received()[-1], ("m", 5))
        self.assertEqual(posting.answer().body, b"ok")
        self.assertFalse(socket.transport.paused)

    def test_a_pause_ends_while_a_websocket_is_tried(self) -> None:
        poller = self.bench.poller("alice", "/")
        posting = poller.post(join(self.waits(1, 2, 3, 4)))
        socket = Socketeer(self.bench, sid=poller.sid)
        socket.deliver()
        socket.say("2probe")
        while self.bench.waiting:
            self.go_on()
        self.assertEqual(posting.answer().body, b"ok")
        socket.say("5")
        self.assertFalse(socket.transport.paused)
        socket.hear()
        self.assertWorks(socket)

    @rows(TRANSPORTS)
    def test_a_client_that_leaves_meanwhile_is_let_go(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        if isinstance(peer, Poller):
            posting = peer.post(join(self.waits(1, 2, 3, 4)))
            waiting = peer.get()
            waiting.disconnect()
            self.assertEqual(posting.answer().body, b"ok")
        else:
            peer.say(*self.waits(1, 2, 3, 4))
            peer.drop()
        self.assertEqual(self.bench.sizes()["clients"], 1)
        while self.bench.waiting:
            self.go_on()
        self.assertEqual(len(self.received()), 4)
        self.assertEqual(self.ends(), [("disconnect", "/", "transport error")])

    def test_a_thousand_packets_of_one_payload_are_handled_in_order(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.say(*[event("m", number) for number in range(1000)])
        self.assertEqual(self.received(), [("m", number) for number in range(1000)])

    def test_a_thousand_asynchronous_ones_too(self) -> None:
        @self.bench.app.on("later")
        async def later(connection: Any, number: int) -> int:
            await succeed(None)
            self.bench.steps.append(("later", number))
            return number

        poller = self.bench.poller("alice", "/")
        poller.say(*[event("later", number, id=number) for number in range(1000)])
        self.assertEqual(self.received(), [("later", number) for number in range(1000)])
        self.assertEqual(poller.hear(), [f"43{number}[{number}]" for number in range(1000)])


@by_row
class FastSenderTests(ClientCase):
    """Ten messages a second, twenty at once."""

    def begin(self, settings: Settings | None = None, **options: Any) -> None:
        limits = ConnectionLimits(traffic=TrafficLimits(messages=10, octets=0, burst=2.0))
        hub = {"inbox_limit": 3, "pause_timeout": 30.0, "limits": limits, **options.pop("hub", {})}
        super().begin(settings, hub=hub, **options)

    def send_too_much(self, peer: Poller | Socketeer, count: int = 60) -> Any:
        """So many messages at once; gives the POST."""
        if isinstance(peer, Poller):
            peer.pongs = False
            return peer.post(join([event("m", number) for number in range(count)]))
        packets = [event("m", number) for number in range(count)]
        peer.raw("".join(f"\x81{chr(0x80 | len(one))}\0\0\0\0{one}" for one in packets).encode("latin-1"))
        return None

    def test_the_ok_of_a_post_waits(self) -> None:
        poller = self.bench.poller("alice", "/")
        posting = self.send_too_much(poller, 59)
        self.assertEqual(len(self.received()), 59)
        self.bench.advance(3.9, step=0.1)
        self.assertEqual(posting.received(), [])
        self.bench.advance(0.2, step=0.1)
        self.assertEqual(posting.answer().body, b"ok")
        self.assertEqual(self.bench.counters.get("reading_paused", "traffic"), 1)
        self.bench.advance(2)
        self.assertWorks(poller)

    def test_a_websocket_is_not_read(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        self.send_too_much(socket)
        self.assertLess(len(self.received()), 25)
        self.assertTrue(socket.transport.paused)
        self.bench.advance(5, step=0.1)
        self.assertEqual(self.received(), [("m", number) for number in range(60)])
        self.bench.advance(2)
        self.assertWorks(socket)

    @rows(TRANSPORTS)
    def test_nobody_dies_of_a_pong_that_we_do_not_read(self, row: Transport) -> None:
        self.begin(hub={"pause_timeout": 100.0})
        peer = self.bench.peer(row.name, "alice", "/")
        peer.hear()
        self.bench.advance(24)
        posting = self.send_too_much(peer, 500)  # 240 more than the seconds before allow
        peer.pongs = False
        self.bench.advance(23, step=0.1)
        self.assertEqual(self.ends(), [])
        if isinstance(peer, Poller):
            self.assertEqual(posting.received(), [])
            self.bench.advance(2)
            self.assertEqual(posting.answer().body, b"ok")
            peer.say("3")
        peer.pongs = True
        self.bench.advance(15)
        self.assertEqual(self.ends(), [])

    def test_a_client_that_goes_away_meanwhile_leaves_no_timer(self) -> None:
        timers = self.bench.sizes()["timers"]
        poller = self.bench.poller("alice", "/")
        posting = self.send_too_much(poller, 100)
        poller.get().disconnect()
        self.assertEqual(posting.answer().body, b"ok")
        posting.transport.drop()
        self.assertEqual(self.bench.sizes()["timers"], timers)
        self.assertEqual(self.ends(), [("disconnect", "/", "transport error")])

    def test_what_ends_the_session_itself_waits_for_nothing(self) -> None:
        poller = self.bench.poller("alice", "/")
        packets = [*["3"] * 100, "1"]
        self.assertEqual(poller.send(join(packets)).body, b"ok")

    def test_slow_handlers_and_a_fast_sender_are_waited_for_both(self) -> None:
        for handlers_first in (True, False):
            with self.subTest(handlers_first=handlers_first):
                poller = self.bench.poller("alice", "/")
                poller.pongs = False
                posting = poller.post(join([*[event("wait", number) for number in range(4)], *["3"] * 36]))
                if handlers_first:
                    while self.bench.waiting:
                        self.bench.waiting.pop(0).callback(None)
                    self.assertEqual(posting.received(), [])
                    self.bench.advance(2.1, step=0.1)
                else:
                    self.bench.advance(2.1, step=0.1)
                    self.assertEqual(posting.received(), [])
                    while self.bench.waiting:
                        self.bench.waiting.pop(0).callback(None)
                self.assertEqual(posting.answer().body, b"ok")
                self.bench.connection().disconnect()
                self.bench.advance(10)

    def test_a_websocket_that_never_keeps_to_its_rate_is_closed(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        for _ in range(70):
            if socket.close is None:
                self.send_too_much(socket, 15)
                self.bench.advance(1, step=0.1)
        self.assertEqual(socket.close, (4429, "Too many messages"))
        self.assertEqual(self.ends(), [("disconnect", "/", "Too many messages")])
        protocol = socket.current
        socket.drop()
        protocol.too_much()

    def test_whoever_says_who_it_is_later_has_no_rate_of_its_own(self) -> None:
        pollers = [self.bench.poller(None) for _ in range(2)]
        for poller in pollers:
            poller.pongs = False
            poller.user = "alice"
            poller.join("/")
            poller.user = None
        self.assertEqual(self.send_too_much(pollers[0], 15).answer().body, b"ok")
        posting = self.send_too_much(pollers[1], 15)
        self.assertEqual(posting.received(), [])
        self.bench.advance(2)
        self.assertEqual(posting.answer().body, b"ok")

    def test_a_refused_payload_does_not_lock_its_user_out(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        self.assertEqual(self.send_too_much(poller, 5000).answer().status, 429)
        self.bench.advance(3)
        self.assertWorks(self.bench.poller("alice", "/"))

    def test_a_poller_that_never_keeps_to_its_rate_is_told_and_its_events_are_counted(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        answer = self.send_too_much(poller, 400).answer()
        self.assertEqual((answer.status, answer.json["error"]), (429, "too_much_traffic"))
        self.assertEqual(answer.header("retry-after"), "5")
        self.assertEqual(self.received(), [])
        self.assertEqual(self.ends(), [("disconnect", "/", "Too many messages")])
        self.assertEqual(self.bench.counters.get("events_dropped", "traffic"), 400)
        self.assertEqual(self.bench.counters.get("engine_sessions_ended", "4429"), 1)

    def test_a_session_that_moves_is_not_read_for_its_pause(self) -> None:
        poller = self.bench.poller("alice", "/")
        socket = Socketeer(self.bench, sid=poller.sid)
        socket.deliver()
        socket.say(*["2probe"] * 25)
        self.assertTrue(socket.transport.paused)
        self.bench.advance(2)
        socket.say("5")
        self.bench.advance(2)
        socket.hear()
        self.assertWorks(socket)


@by_row
class SlowReaderTests(ClientCase):
    def begin(self, settings: Settings | None = None, **options: Any) -> None:
        super().begin(settings or Settings(max_queue=10_000), **options)

    def test_a_websocket_that_is_not_read_is_closed(self) -> None:
        socket = self.bench.socketeer("alice", "/", "/other")
        protocol = socket.current
        protocol.pauseProducing()  # the transport is full
        self.bench.steps.clear()
        for _ in range(95):
            self.bench.app.emit("x", "y" * 90)
        self.assertEqual(self.ends(), [])
        for _ in range(24):
            self.bench.app.emit("x", "y" * 90)
        self.bench.clock.advance(0)
        self.assertEqual(
            sorted(self.ends()),
            [("disconnect", "/", "Client reads too slowly"), ("disconnect", "/other", "Client reads too slowly")],
        )
        socket.deliver()
        self.assertEqual(socket.close, (4408, "Client reads too slowly"))
        self.assertEqual(self.bench.counters.get("slow_consumers"), 1)
        self.assertEqual(self.dropped(), {"slow": 119})
        self.assertEqual(len(self.other.hear()), 119)

    def test_a_poller_that_does_not_come_is_closed(self) -> None:
        poller = self.bench.poller("alice", "/")
        self.bench.steps.clear()
        for _ in range(95):
            self.bench.app.emit("x", "y" * 90)
        self.assertEqual(self.ends(), [])
        for _ in range(24):
            self.bench.app.emit("x", "y" * 90)
        self.bench.clock.advance(0)
        self.assertEqual(self.ends(), [("disconnect", "/", "Client reads too slowly")])
        self.assertEqual(poller.fetch(), ["1"])
        self.assertEqual(self.dropped(), {"slow": 101, "closed": 18})
        self.assertEqual(self.bench.counters.get("engine_sessions_ended", "4408"), 1)
        self.assertEqual(self.bench.ask("GET", poller.query).json, UNKNOWN)
        self.assertEqual(len(self.other.hear()), 119)

    def test_what_nobody_fetches_any_more_is_counted(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        for _ in range(5):
            self.bench.app.emit("x", 1)
        poller.send("1")
        self.assertEqual(self.dropped(), {"lost": 5})

    def test_so_is_what_waits_when_the_grace_is_over(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.pongs = False
        self.bench.app.emit("x", 1)
        self.bench.clients.end(poller.client)
        self.assertEqual(self.dropped(), {})
        self.bench.advance(A_LIFETIME)
        self.assertEqual(self.dropped(), {"lost": 1})

    def test_so_is_what_waits_for_a_websocket_that_is_reset(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.current.pauseProducing()  # the transport is full
        for _ in range(3):
            self.bench.app.emit("x", 1)
        socket.drop()
        self.assertEqual(self.dropped(), {"lost": 3})

    def dropped(self) -> dict[str, int]:
        """Messages, by reason."""
        items = self.bench.counters.items()
        return {reason: number for name, reason, number in items if name == "messages_dropped"}

    def test_a_hundred_thousand_messages_of_one_post_leave_others_their_turns(self) -> None:
        self.bench.app.on("many")(lambda connection, number: self.bench.steps.append(("many", number)))
        poller = self.bench.poller("alice", "/")
        self.bench.steps.clear()
        exchange = poller.post(join([event("many", number) for number in range(2000)]))
        self.assertEqual((len(self.bench.steps), exchange.received()), (SLICE, []))
        self.bench.turn()
        self.assertEqual([number for _, number in self.bench.steps], list(range(2000)))
        self.assertEqual(exchange.answer().body, b"ok")
        exchange.transport.drop()

    def test_many_at_once_do_not_nest(self) -> None:
        pollers = [self.bench.poller("alice", "/") for _ in range(200)]
        left: list[str] = []
        depth = 0

        def gone(connection: Any, reason: str) -> None:
            nonlocal depth
            depth += 1
            left.append(reason)
            self.assertEqual(depth, 1)
            self.bench.app.emit("gone", connection.id)
            depth -= 1

        self.bench.app._on_disconnect = gone
        for _ in range(119):
            self.bench.app.emit("x", "y" * 90)
        self.bench.clock.advance(0)
        self.assertEqual(left, ["Client reads too slowly"] * 200)
        self.assertEqual(len(pollers), 200)

    def test_a_poller_that_floods_us_with_requests_and_never_polls_is_closed(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.say(*[event("echo", "y" * 90, id=number) for number in range(200)])
        self.assertEqual(self.ends(), [("disconnect", "/", "Client reads too slowly")])
        self.assertLess(len(self.received()), 110)
        self.assertEqual(poller.fetch(), ["1"])

    def test_a_held_answer_is_no_slow_reader(self) -> None:
        poller = self.bench.poller("alice", "/")
        poller.listen()
        for _ in range(300):
            self.bench.app.emit("x", "y" * 90)
            poller.listen()
        self.assertEqual(len(poller.hear()), 300)

    def test_one_answer_is_bounded_and_the_rest_follows(self) -> None:
        self.begin(Settings(engine=EngineSettings(max_payload=1000)))
        poller = self.bench.poller("alice", "/")
        for number in range(50):
            self.bench.app.emit("x", number, "y" * 90)
        sizes, heard = [], []
        while len(heard) < 50:
            body = poller.get().answer().body
            sizes.append(len(body))
            heard += split(body)
        self.assertLessEqual(max(sizes), 1000)
        self.assertEqual(heard, [event("x", number, "y" * 90) for number in range(50)])

    def test_volatile_messages_are_dropped_where_they_would_wait(self) -> None:
        poller, socket = self.bench.poller("alice", "/"), self.bench.socketeer("carol", "/")
        self.bench.app.emit("lost on polling", volatile=True)
        poller.listen()
        for number in range(5):
            self.bench.app.emit("burst", number, volatile=True)
        self.assertEqual(poller.hear(), ['42["burst",0]'])
        self.assertEqual(len(socket.hear()), 6)
        socket.current.pauseProducing()
        self.bench.app.emit("lost on the websocket", volatile=True)
        self.bench.app.emit("not lost")
        socket.current.resumeProducing()
        self.assertEqual(socket.hear(), ['42["not lost"]'])


@by_row
class FaultTests(ClientCase):
    def tearDown(self) -> None:
        super().tearDown()
        self.flushLoggedErrors(RuntimeError, TypeError)

    def break_for(self, peer: Poller | Socketeer, cls: type, name: str, find: Any) -> None:
        """Let a method raise for one client, until `mend`."""
        broken, method = self.bench.clients.get(peer.sid), getattr(cls, name)

        def fails(this: Any, *args: Any) -> Any:
            if find(this) is broken:
                raise RuntimeError("ours")
            return method(this, *args)

        self.mend = self.patch(cls, name, fails).restore

    @rows(TRANSPORTS)
    def test_a_handler_raises(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        peer.say(event("raise", id=1), event("raise"))
        heard = peer.hear()
        body = '"code":"internal_error","message":"The server could not handle this."'
        self.assertEqual(heard, [f'431[{{"error":{{{body}}}}}]', f'42["error",{{{body},"event":"raise"}}]'])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertWorks(peer)

    @rows(TRANSPORTS)
    def test_a_handler_returns_what_no_wire_can_carry(self, row: Transport) -> None:
        @self.bench.app.on("strange")
        def strange(connection: Any) -> Any:
            return object()

        @self.bench.app.on("stranger")
        def stranger(connection: Any) -> Any:
            raise ClientError("code", "message", data=object())

        peer = self.bench.peer(row.name, "alice", "/")
        peer.say(event("strange", id=1), event("stranger", id=2))
        heard = peer.hear()
        self.assertEqual(["internal_error" in str(packet) for packet in heard], [True, True])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 2)
        self.assertWorks(peer)

    @rows(TRANSPORTS)
    def test_what_cannot_be_sent_is_told_to_the_application_and_nobody_else(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/")
        circle: list[Any] = []
        circle.append(circle)
        for argument in (object(), circle, {1: object()}, "\ud800", 10**5000):
            with self.assertRaises(TypeError):
                self.bench.app.emit("x", argument)
            with self.assertRaises(TypeError):
                self.bench.connection().emit("x", argument)
        for name in ("connect", "disconnect", ""):
            with self.assertRaises(ValueError):
                self.bench.app.emit(name)
        self.bench.app.emit("x", float("nan"), float("inf"))
        self.assertEqual(peer.hear(), ['42["x",null,null]'])
        self.assertEqual(self.other.hear(), ['42["x",null,null]'])

    @rows(TRANSPORTS)
    def test_on_connect_raises(self, row: Transport) -> None:
        broken = self.bench.app.namespace("/broken")

        @broken.on_connect
        def connected(connection: Any) -> None:
            connection.emit("never seen")
            raise RuntimeError("SECRET")

        peer = self.bench.peer(row.name, "alice", "/")
        for _ in range(2):
            peer.say("40/broken,")
            self.assertEqual(peer.hear(), ['44/broken,{"message":"The server could not handle this."}'])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertWorks(peer)

    @rows(TRANSPORTS)
    def test_on_disconnect_raises_and_the_other_namespaces_still_end(self, row: Transport) -> None:
        broken = self.bench.app.namespace("/broken")

        @broken.on_disconnect
        def left(connection: Any, reason: str) -> None:
            raise RuntimeError("SECRET")

        peer = self.bench.peer(row.name, "alice", "/broken", "/", "/other")
        peer.say("1")
        self.assertEqual(
            self.ends(), [("disconnect", "/", "transport close"), ("disconnect", "/other", "transport close")]
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    @rows(TRANSPORTS)
    def test_a_refusal_whose_data_cannot_be_sent_is_told_without_it(self, row: Transport) -> None:
        picky = self.bench.app.namespace("/picky")

        @picky.use
        def refuse(connection: Any) -> None:
            raise ClientError("no", "not authorized", data=object())

        peer = self.bench.peer(row.name, "alice", "/")
        peer.say("40/picky,")
        self.assertEqual(peer.hear(), ['44/picky,{"message":"not authorized"}'])
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)

    @rows(TRANSPORTS)
    def test_a_fault_of_ours_ends_this_client_only(self, row: Transport) -> None:
        peer = self.bench.peer(row.name, "alice", "/", "/other")
        for name in ("receive", "receive_common"):
            self.break_for(peer, Namespaces, name, lambda namespaces: namespaces._client)
        peer.say(event("m"), event("m"))
        self.assertGone(peer, 1011, "Internal error")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(
            self.ends(), [("disconnect", "/", "Internal error"), ("disconnect", "/other", "Internal error")]
        )
        self.assertEqual(self.bench.counters.get("internal_errors"), 1)

    @rows(TRANSPORTS)
    def test_a_fault_where_a_deadline_is_handled_leaves_the_others_theirs(self, row: Transport) -> None:
        broken = self.bench.peer(row.name, "alice", "/")
        broken.pongs = False
        self.break_for(broken, Client, "_flush", lambda client: client)
        quiet = self.bench.peer(row.name, "carol", "/")
        quiet.pongs = False
        self.bench.advance(50)
        self.assertIn(("disconnect", "/", "ping timeout"), self.ends())
        self.assertEqual(self.bench.connections().count(self.bench.connection("bob")), 1)
        self.mend()

    @rows(TRANSPORTS)
    def test_one_recipient_whose_write_fails_stops_nobody(self, row: Transport) -> None:
        broken = self.bench.peer(row.name, "alice", "/")
        later = self.bench.peer(row.name, "carol", "/")
        self.break_for(broken, Client, "write", lambda client: client)
        for _ in range(3):
            self.bench.app.emit("all", 1)
        self.mend()
        self.assertEqual(len(later.hear()), 3)
        self.assertEqual(len(self.other.hear()), 3)

    def test_calls_end_by_their_time_an_error_or_the_end(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        connection = self.bench.connection()
        late, dead = connection.call("a"), connection.call("b", timeout=60)
        self.bench.advance(6)
        self.failureResultOf(late, CallTimeout)
        first = str(socket.hear()[0])
        socket.say(f"43{first[2 : first.index('[')]}[1]")
        self.assertEqual(self.bench.sizes()["calls"], 1)
        socket.say("1")
        self.failureResultOf(dead, ConnectionClosed)
        self.failureResultOf(connection.call("c"), ConnectionClosed)

    def test_an_idle_client_keeps_no_queue_that_is_empty(self) -> None:
        client = self.bench.socketeer("alice", "/").server
        (link,) = client.namespaces._links.values()
        for owner in (client, client._engine, client.namespaces, link, link.connection):
            self.assertFalse(hasattr(owner, "__dict__"), owner)
            for name in type(owner).__slots__:
                self.assertFalse(isinstance(getattr(owner, name), deque | list | set), name)

    def test_a_client_shows_no_secret(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        self.assertEqual(repr(socket.server), "<Client of 1 namespaces, websocket>")
        self.assertNotIn(socket.sid, repr(self.bench.connection().handshake))
        self.assertNotEqual(socket.sid, self.bench.connection().id)
