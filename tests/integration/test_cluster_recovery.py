"""Recovery over nodes: a client that was cut off comes back elsewhere, and misses nothing, and gets nothing twice."""

from __future__ import annotations

import signal

from twisted.trial.unittest import TestCase

from tests.integration.provider import Provider
from tests.integration.raw_client import RawClient
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService
from tests.integration.socketio_client import SocketIoClient

Client = SocketIoClient | RawClient


class RecoveryTests(TestCase):
    #: the clients that come back
    client_class: type[Client] = SocketIoClient

    def setUp(self) -> None:
        self.redis = RedisServer(self.mktemp())
        self.addCleanup(self.redis.stop)
        self.provider = self.enter(Provider())
        self.first, self.second = self.start(), self.start()

    def enter(self, context: object) -> object:
        made = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return made

    def start(self, *arguments: str) -> RunningService:
        node = self.enter(
            RunningService(
                *("--app", "tests.integration.recovery_app:app", "--recovery", "60"),
                *("--adapter", self.redis.url, "--host", "127.0.0.1", "--cookie-secure", "never"),
                *arguments,
                cwd=self.make_directory(),
                env=self.provider.environment,
            )
        )
        for name in ("commands", "subscriptions"):  # it listens before it has its Redis
            node.wait_for_line(lambda line, name=name: f"the connection for {name} is up" in line)
        return node

    def make_directory(self) -> str:
        import os

        name = self.mktemp()
        os.makedirs(name)
        return name

    def connect(self, node: RunningService, user: str = "alice") -> Client:
        client = self.client_class(node.port, self.provider.cookie(user))
        self.addCleanup(client.cut)
        return client

    def come_back(self, client: Client, node: RunningService, user: str = "alice") -> Client:
        again: Client = client.come_back(node.port, self.provider.cookie(user))
        self.addCleanup(again.cut)
        return again

    def test_a_client_that_was_cut_off_gets_what_it_missed_on_another_node(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        client.ask("note", "name", {"a": [1, None]})
        other.ask("say", "room", 1)
        client.read_until(1)
        client.cut()
        for number in range(2, 12):
            other.ask("say", "room" if number % 2 else None, number)
        again = self.come_back(client, self.second)
        self.assertEqual((again.sid, again.pid), (client.sid, client.pid))
        self.assertEqual(again.read_until(10), list(range(2, 12)))
        state = again.ask("state")
        self.assertEqual(state["rooms"], ["room"])
        self.assertEqual((state["recovered"], state["data"]), (True, {"name": {"a": [1, None]}}))
        other.ask("say", "room", 12)
        self.assertEqual(again.read_until(11)[-1], 12)

    def test_a_node_that_was_killed_cannot_say_goodbye(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        other.ask("say", "room", 1)
        client.read_until(1)
        self.first.stop(signal.SIGKILL)
        for number in range(2, 12):
            other.ask("say", "room", number)
        again = self.come_back(client, self.second)
        self.assertEqual((again.sid, again.pid), (client.sid, client.pid), self.second.log)
        self.assertEqual(again.read_until(10), list(range(2, 12)))
        self.assertEqual(again.ask("state")["rooms"], ["room"])
        third = self.start()
        again.cut()
        other.ask("say", "room", 12)
        last = self.come_back(again, third)
        self.assertEqual(last.read_until(1), [12])
        self.assertEqual(last.sid, client.sid)

    def test_a_client_that_got_nothing_moves_between_nodes_of_different_age(self) -> None:
        client = self.connect(self.second)
        for node in (self.first, self.start(), self.first):
            client.cut()
            sid = client.sid
            client = self.come_back(client, node)
            self.assertEqual(client.sid, sid)

    def test_many_clients_of_a_node_that_is_killed_amid_a_stream(self) -> None:
        other = self.connect(self.second, "bob")
        clients = [self.connect(self.first, f"user-{number}") for number in range(20)]
        for client in clients:
            client.ask("join", "room")
        for number in range(300):
            if number == 150:
                self.first.process.kill()
            other.ask("say", "room", number)
        self.first.wait()
        for number, client in enumerate(clients):
            seen = client.read_to_the_end()
            again = self.come_back(client, self.second, f"user-{number}")
            self.assertEqual(seen + again.read_until(300 - len(seen)), list(range(300)))
            self.assertEqual(again.sid, client.sid)


class RawRecoveryTests(RecoveryTests):
    client_class = RawClient

    def raw(self, client: Client) -> RawClient:
        assert isinstance(client, RawClient)
        return client

    def test_a_connection_that_looks_alive_on_another_node_is_ended(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        other.ask("say", "room", 0)
        client.read_until(1)  # so Redis has the room, too, which it is told of behind the answer
        again = self.come_back(client, self.second)
        self.assertEqual(self.raw(client).read_close(), (1013, "Continued on another connection"))
        self.assertEqual(again.ask("state")["rooms"], ["room"])
        other.ask("say", "room", 1)
        self.assertEqual(again.read_until(1), [1])

    def test_a_node_that_stops_sends_its_clients_on(self) -> None:
        client, other = self.connect(self.first), self.connect(self.second, "bob")
        client.ask("join", "room")
        self.first.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.raw(client).read_close(), (1001, "Server shutting down"))
        self.first.wait()
        other.ask("say", "room", 1)
        again = self.come_back(client, self.second)
        self.assertEqual(again.read_until(1), [1])
        self.assertTrue(self.raw(again).welcome["recovered"])

    def test_who_does_not_get_back_what_it_came_for_is_told_why(self) -> None:
        client = self.connect(self.first)
        client.cut()
        stranger = self.raw(self.come_back(client, self.second, "mallory"))
        self.assertEqual((stranger.welcome["recovered"], stranger.welcome["reason"]), (False, "unknown"))
        self.assertNotEqual((stranger.sid, stranger.pid), (client.sid, client.pid))
        again = self.raw(self.come_back(client, self.second))
        self.assertEqual((again.welcome["recovered"], again.welcome["reason"]), (True, None))
        again.cut()
        again.offset = "99999999999999-0"
        lost = self.raw(self.come_back(again, self.first))
        self.assertEqual((lost.welcome["recovered"], lost.welcome["reason"]), (False, "lost"))
        for node in (self.first, self.second):
            self.assertNotIn(client.pid, node.log)

    def test_both_protocols_share_rooms_and_each_recovers(self) -> None:
        raw = self.connect(self.first)
        stock = SocketIoClient(self.first.port, self.provider.cookie("bob"))
        self.addCleanup(stock.cut)
        other = self.connect(self.second, "carol")
        for client in (raw, stock):
            client.ask("join", "room")
            client.cut()
        for number in range(5):
            other.ask("say", "room", number)
        self.assertEqual(self.come_back(raw, self.second).read_until(5), list(range(5)))
        again = stock.come_back(self.second.port, self.provider.cookie("bob"))
        self.addCleanup(again.cut)
        self.assertEqual((again.sid, again.pid), (stock.sid, stock.pid), self.second.log)
        self.assertEqual(again.read_until(5), list(range(5)))
