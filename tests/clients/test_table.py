"""The table of clients: their ids, the end of the service, and that nothing is left of those that are gone."""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred

from tests.clients.bench import A_LIFETIME, BenchCase, Poller, Socketeer, event, principal
from tests.tables import by_row, rows
from wsservice.admission import Admission
from wsservice.alarms import Alarms
from wsservice.clients.client import Client
from wsservice.clients.secret_ids import make_secret
from wsservice.clients.settings import Settings
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.errors import InvalidToken

UNKNOWN = {"code": 1, "message": "Session ID unknown"}
SHUTTING_DOWN = "Server shutting down"


@dataclass(frozen=True)
class Transport:
    """Where a test's client is."""

    name: str


TRANSPORTS = (Transport("polling"), Transport("websocket"))


class IdTests(BenchCase):
    def test_ids_are_random_unique_and_of_120_bits(self) -> None:
        ids = {make_secret() for _ in range(100_000)}
        self.assertEqual(len(ids), 100_000)
        for sid in list(ids)[:1000]:
            self.assertRegex(sid, r"^[A-Za-z0-9_-]{20}$")
        first = [sid[0] for sid in ids]
        self.assertEqual(len(set(first)), 64)
        self.assertLess(max(map(first.count, set(first))), 2 * 100_000 / 64)

    def test_a_session_has_three_of_them_and_none_follows_from_another(self) -> None:
        self.start(recovery={})
        socket = self.bench.socketeer("alice")
        socket.say("40")
        (packet,) = socket.hear()
        ids = [socket.sid, *re.findall(r'"([A-Za-z0-9_-]{20})"', str(packet))]
        self.assertEqual(len(set(ids)), 3)
        (client,) = self.bench.clients
        self.assertIs(self.bench.clients.get(socket.sid), client)
        self.assertIsNone(self.bench.clients.get(ids[1]))
        self.assertIn(socket.sid, self.bench.clients)
        self.assertNotIn(socket.sid, repr(client))


class KeptTests(BenchCase):
    def test_of_a_refused_handshake_only_its_reason_is_kept(self) -> None:
        self.start()

        def refuse() -> InvalidToken:
            try:
                raise InvalidToken("bad")
            except InvalidToken as error:
                return error

        self.bench.gate.answers["alice"] = refuse
        for begin in (lambda: self.bench.ask("GET", "EIO=4&transport=polling"), self.bench.socketeer):
            before = set(self.bench.clients)
            begin()
            (client,) = set(self.bench.clients) - before
            speaker = client.namespaces._speaker
            self.assertIsInstance(speaker, InvalidToken)
            self.assertIsNone(speaker.__traceback__)


class AdmissionTests(BenchCase):
    def test_a_session_of_long_polling_has_a_place_until_it_is_forgotten(self) -> None:
        alarms = Alarms(self.bench.counters, self.bench.clock.seconds)
        self.bench.clients.admission = admission = Admission(most=9, per_address=2, alarms=alarms)
        self.bench.socketeer("alice", "/")  # has its connection's
        self.assertEqual(len(admission), 0)
        for status in (200, 200, 429, 429):
            answer = self.bench.ask("GET", "EIO=4&transport=polling")
            self.assertEqual((answer.status, answer.header("Retry-After")), (status, "5" if status == 429 else None))
        self.assertEqual((len(admission), len(self.bench.clients)), (2, 3))
        self.assertEqual(self.bench.counters.get("http_refused", "too_many_from_address"), 2)
        self.bench.advance(100)
        self.assertEqual((len(admission), len(self.bench.clients)), (0, 1))


@by_row
class DrainTests(BenchCase):
    def drain(self) -> None:
        """As the server does it."""
        self.bench.site.finish_up()
        self.bench.clients.drain()
        self.bench.sockets.drain()

    def test_each_client_is_told_in_its_way_and_none_by_a_41(self) -> None:
        socket = self.bench.socketeer("alice", "/", "/other")
        poller = self.bench.poller("bob", "/")
        waiting = poller.get()
        later = self.bench.poller("carol", "/")
        moving = self.bench.poller("dave", "/")
        tried = Socketeer(self.bench, "dave", sid=moving.sid)
        tried.deliver()
        self.bench.steps.clear()
        self.drain()
        socket.deliver()
        self.assertEqual((socket.close, socket.hear()), ((1001, SHUTTING_DOWN), []))
        answer = waiting.answer()
        self.assertEqual((answer.status, answer.error), (503, "stopping"))  # not `1`: python-socketio would stay away
        self.assertEqual((answer.header("Retry-After"), answer.header("Connection")), ("5", "close"))
        for gone in (later, moving):
            self.assertEqual(self.bench.ask("GET", gone.query).status, 400)
        tried.deliver()
        self.assertIsNotNone(tried.close)
        self.assertEqual({step[-1] for step in self.bench.steps}, {SHUTTING_DOWN})
        self.assertEqual(len(self.bench.steps), 5)
        self.assertEqual(len(self.bench.clients), 0)

    def test_new_handshakes_are_answered_503(self) -> None:
        self.drain()
        answer = self.bench.ask("GET", "EIO=4&transport=polling", "Origin: https://app.example")
        self.assertEqual((answer.status, answer.error), (503, "stopping"))
        self.assertEqual(answer.header("Retry-After"), "5")
        self.assertEqual(answer.header("Access-Control-Allow-Origin"), "https://app.example")
        socket = Socketeer(self.bench)
        self.assertEqual(socket.refusal.status, 503)
        self.assertEqual(socket.refusal.header("Retry-After"), "5")
        self.assertEqual(len(self.bench.clients), 0)

    @rows(TRANSPORTS)
    def test_a_handshake_whose_token_is_being_checked_is_answered_503(self, row: Transport) -> None:
        checking: Deferred[Any] = Deferred()
        self.bench.gate.answers["alice"] = checking
        if row.name == "polling":
            exchange = self.bench.request("GET", "EIO=4&transport=polling")
        else:
            socket = Socketeer(self.bench)
            socket.current.dataReceived(socket.flush())
        self.drain()
        checking.callback(principal("alice"))
        answer = exchange.answer() if row.name == "polling" else socket.refusal
        self.assertEqual(answer.status, 503)
        self.assertEqual(len(self.bench.clients), 0)

    def test_what_waits_for_a_poller_is_fetched_without_a_farewell(self) -> None:
        poller = self.bench.poller("alice", "/")
        self.bench.app.emit("x", 1)
        self.drain()
        self.assertEqual(poller.fetch(), ['42["x",1]'])
        self.assertEqual(self.bench.ask("GET", poller.query).status, 400)

    def test_what_is_posted_meanwhile_is_taken_and_not_handled(self) -> None:
        poller = self.bench.poller("alice", "/")
        self.bench.app.emit("x", 1)
        self.drain()
        self.assertEqual(poller.send(event("m")).body, b"ok")
        self.assertNotIn(("m",), self.bench.steps)
        self.assertEqual(self.bench.counters.get("events_dropped", "closing"), 1)

    def test_those_that_do_not_fetch_their_end_are_forgotten_when_it_is_over(self) -> None:
        self.bench.poller("alice", "/")
        self.bench.app.emit("x", 1)
        self.drain()
        self.assertEqual(len(self.bench.clients), 1)
        self.bench.clients.stop()
        self.assertEqual((len(self.bench.clients), len(self.bench.clients.deadlines)), (0, 0))

    def test_a_handler_that_is_under_way_may_finish(self) -> None:
        socket = self.bench.socketeer("alice", "/")
        socket.say(event("wait", 1, id=1))
        self.drain()
        self.assertEqual(self.bench.hub.running, 1)
        self.bench.waiting.pop().callback(None)
        self.assertEqual(self.bench.steps[-2:], [("wait", 1), ("disconnect", "/", SHUTTING_DOWN)])
        self.assertEqual(self.bench.hub.running, 0)


class ChurnTests(BenchCase):
    def test_two_hundred_clients_come_and_go_in_every_way(self) -> None:
        witness = self.bench.socketeer("witness", "/")
        before = self.bench.sizes()
        for number in range(200):
            user = f"user-{number % 7}"
            peer: Poller | Socketeer
            if number % 2:
                peer = self.bench.socketeer(user, "/", "/other")
            else:
                peer = self.bench.poller(user, "/", "/room-1")
                if number % 4 == 0:
                    peer = self.bench.move(peer)
                    peer.hear()
            peer.say(event("enter", f"room {number % 5}"), event("all", number), event("nobody"))
            peer.hear()
            client = self.bench.clients.get(peer.sid)
            assert client is not None
            way = number % 6
            if way == 0:
                peer.say("1")
            elif way == 1:
                peer.say("47")
            elif way == 2:
                client.end("because", code=1012)
            elif (isinstance(peer, Poller) and peer.open_get is not None) or isinstance(peer, Socketeer):
                peer.drop()
            if isinstance(peer, Poller):
                self.bench.pollers.remove(peer)
        for exchange in self.bench.exchanges:
            exchange.transport.drop()
        for socketeer in self.bench.socketeers:
            if socketeer is not witness:
                socketeer.drop()
        self.bench.exchanges.clear()
        self.bench.socketeers[:] = [witness]
        self.bench.advance(A_LIFETIME)
        self.assertEqual(self.bench.sizes(), before)
        self.assertEqual(len(self.bench.clients.deadlines._heap), 1)
        del client, peer
        gc.collect()
        alive = [one for one in gc.get_objects() if type(one) is Client and one._table is self.bench.clients]
        self.assertEqual(alive, list(self.bench.clients))
        self.assertGreaterEqual(len([one for one in witness.hear() if "all" in str(one)]), 200)

    def test_handshakes_that_nobody_uses_end_by_themselves(self) -> None:
        self.start(Settings(connect_timeout=10.0, engine=EngineSettings(close_grace=5.0)))
        for _ in range(50):
            self.bench.ask("GET", "EIO=4&transport=polling")
        self.assertEqual(len(self.bench.clients), 50)
        self.bench.advance(15.5)
        self.assertEqual((len(self.bench.clients), self.bench.clients.deadlines._heap), (0, []))

    def test_who_is_refused_leaves_no_more_than_anybody(self) -> None:
        self.bench.gate.answers["mallory"] = InvalidToken("x")
        for _ in range(20):
            self.bench.ask("GET", "EIO=4&transport=polling", user="mallory")
        self.bench.advance(A_LIFETIME)
        self.assertEqual(len(self.bench.clients), 0)

    def test_a_fault_in_one_answer_leaves_the_others_theirs(self) -> None:
        pollers = [self.bench.poller(user, "/") for user in ("alice", "bob", "carol")]
        waiting = [poller.get() for poller in pollers]
        self.bench.app.emit("x")
        client = pollers[0].client
        assert client is not None
        client._answer = fail
        self.bench.turn()
        self.assertEqual([one.answer().body for one in waiting[1:]], [b'42["x"]'] * 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_one_timer_answers_all(self) -> None:
        pollers = [self.bench.poller(user, "/") for user in ("alice", "bob", "carol")]
        waiting = [poller.get() for poller in pollers]
        before = self.bench.sizes()["timers"]
        self.bench.app.emit("x")
        self.assertEqual(len(self.bench.clock.getDelayedCalls()), before + 2)  # and that of the expirations
        self.bench.turn()
        self.assertEqual([one.answer().body for one in waiting], [b'42["x"]'] * 3)


def fail(body: bytes | None) -> None:
    raise ZeroDivisionError
