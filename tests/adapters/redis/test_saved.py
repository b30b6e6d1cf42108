"""Connections saved in Redis: who comes back gets its own, wherever it is, and no other node spoils it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.cluster import Client, Cluster, Node
from wsservice.messages import EndSession


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.first, self.second = self.cluster.start(), self.cluster.start()
        self.one = self.cluster.client(self.first, "alice")
        self.cluster.settle()

    def connection(self, node: Node) -> Any:
        (found,) = node.bench.connections()
        return found

    def entry(self, client: Client) -> bytes | None:
        return self.cluster.redis.get(b"socket.io:ws:saved:" + (client.pid or "").encode())

    def come(self, client: Client, node: Node) -> None:
        client.come(node)
        self.cluster.settle()

    def assertIsBack(self, node: Node, *rooms: str, **data: Any) -> None:
        self.assertTrue(self.one.recovered)
        connection = self.connection(node)
        self.assertEqual((set(connection.rooms), connection.data), (set(rooms), data))


class ComingBackTests(Case):
    def test_a_node_is_killed_and_rooms_and_notes_are_there(self) -> None:
        self.connection(self.first).join("room")
        self.connection(self.first).data["name"] = {"a": [1, b"x"]}
        self.cluster.advance(1.5)
        self.first.kill()
        self.one.lose()
        self.come(self.one, self.second)
        self.assertIsBack(self.second, "room", name={"a": [1, b"x"]})

    def test_notes_that_cannot_be_written_are_left_out_and_rooms_that_cannot_too(self) -> None:
        other = self.cluster.client(self.first, "bob")
        alice = next(one for one in self.first.bench.connections() if one.user.id == "alice")
        alice.join("room")
        alice.join("\ud800")
        alice.data.update(good=1, bad=object())
        self.cluster.advance(1.5)
        self.first.kill()
        self.one.lose()
        self.come(self.one, self.second)
        self.assertIsBack(self.second, "room", good=1)
        other.lose()

    def test_who_did_not_get_to_open_finds_it_at_the_next_node(self) -> None:
        third = self.cluster.start()
        self.one.cut()
        self.cluster.settle()
        self.one.come(self.second)
        self.second.link.execute()  # it is the second's now
        self.one.cut()
        self.come(self.one, third)
        self.assertIsBack(third)

    def test_at_two_nodes_at_once_there_is_one_connection_in_the_end(self) -> None:
        self.one.cut()
        self.cluster.settle()
        twin = Client("alice")
        twin.pid, twin.offset = self.one.pid, self.one.offset
        self.cluster.clients.append(twin)
        self.one.come(self.first)
        twin.come(self.second)
        self.cluster.settle()
        self.assertEqual(len(self.first.bench.connections()) + len(self.second.bench.connections()), 1)

    def test_there_and_back_again_at_once(self) -> None:
        for node in (self.second, self.first, self.second, self.first):
            self.one.come(node)
            self.one.peer.listen() if self.one.peer is not None else None
            self.second.link.execute()
            self.first.link.execute()
        self.cluster.settle()
        self.assertIsBack(self.first)
        self.cluster.advance(2.0)
        self.assertIsNot(self.one.node, None)

    def test_a_node_that_starts_has_those_wait_who_come_before_redis(self) -> None:
        third = Node(self.cluster)
        self.cluster.nodes.append(third)
        self.first.kill()
        self.one.lose()
        self.come(self.one, third)
        self.assertEqual(third.bench.connections(), [])
        third.link.connect()
        self.cluster.settle()
        self.assertIsBack(third)

    def test_who_was_there_before_redis_can_come_back_elsewhere(self) -> None:
        for says_goodbye in (False, True):
            third = Node(self.cluster)
            self.cluster.nodes.append(third)
            client = self.cluster.client(third)
            third.link.connect()
            self.cluster.settle()
            if says_goodbye:
                client.cut()
                self.cluster.settle()
            third.kill()
            client.lose()
            self.come(client, self.second)
            self.assertTrue(client.recovered)

    def test_without_redis_for_long_nobody_waits(self) -> None:
        self.second.link.cut_commands()
        self.cluster.advance(4.0)
        self.come(self.one, self.second)
        self.assertFalse(self.one.recovered)
        self.assertEqual(len(self.second.bench.connections()), 1)

    def test_when_redis_does_not_come_back_soon_it_is_a_new_connection(self) -> None:
        self.second.link.cut_commands()
        self.one.come(self.second)
        self.cluster.advance(4.0)
        self.assertEqual(len(self.second.bench.connections()), 1)

    def test_what_redis_has_forgotten_its_own_node_still_knows(self) -> None:
        self.connection(self.first).join("room")
        self.one.cut()
        self.cluster.settle()
        self.cluster.redis.values.clear()
        self.come(self.one, self.first)
        self.assertIsBack(self.first, "room")

    def test_who_broke_while_redis_was_away_is_saved_when_it_is_back(self) -> None:
        self.first.link.cut_commands()
        self.connection(self.first).join("room")
        self.one.cut()
        self.cluster.heal()
        self.come(self.one, self.second)
        self.assertIsBack(self.second, "room")


class OwnersTests(Case):
    def test_a_node_that_did_not_hear_of_it_neither_writes_nor_removes_it(self) -> None:
        stale = self.connection(self.first)
        self.first.link.cut_subscriptions()
        self.one.peer = None  # gone, and the first node has not noticed
        self.come(self.one, self.second)
        self.connection(self.second).join("room")
        self.cluster.settle()
        entry = self.entry(self.one)
        self.first.link.connect()
        self.cluster.settle()
        self.assertEqual(self.entry(self.one), entry)
        self.assertFalse(stale.is_open)
        self.assertTrue((entry or b"").startswith(self.second.id.encode()))
        self.second.kill()
        self.one.lose()
        self.come(self.one, self.first)
        self.assertIsBack(self.first, "room")

    def test_who_leaves_for_good_is_removed(self) -> None:
        assert self.one.peer is not None
        self.one.peer.say("41")
        self.cluster.settle()
        self.assertIs(self.entry(self.one), None)

    def test_another_user_gets_nothing_and_the_owner_still_everything(self) -> None:
        self.one.cut()
        self.cluster.settle()
        thief = Client("mallory")
        thief.pid = self.one.pid
        self.cluster.clients.append(thief)
        for node in (self.second, self.first):
            thief.pid = self.one.pid
            self.come(thief, node)
            self.assertFalse(thief.recovered)
        thief.cut()
        self.cluster.settle()
        self.come(self.one, self.second)
        self.assertTrue(self.one.recovered)

    def test_who_was_signed_out_meanwhile_does_not_come_back(self) -> None:
        session = self.connection(self.first).user.session
        self.first.kill()
        self.one.lose()
        self.second.sessions.ended(EndSession(session, 1e6))
        self.come(self.one, self.second)
        self.assertFalse(self.one.recovered)

    def test_an_entry_of_another_version_is_none(self) -> None:
        self.one.cut()
        self.cluster.settle()
        key = b"socket.io:ws:saved:" + (self.one.pid or "").encode()
        whose = (self.entry(self.one) or b"")[:12]
        for rest in (b"5:alice1:/", b"5:alice1:/\xc1", b"5:alice1:/\x93\x01\x02\x03", b""):
            self.cluster.redis.put(key, b"0" * 12 + rest, b"60000")
            self.first.bench.history.take(self.one.pid or "")  # type: ignore[union-attr]
            again = Client("alice")
            again.pid = self.one.pid
            self.cluster.clients.append(again)
            self.come(again, self.second)
            self.assertFalse(again.recovered, rest)
            again.cut()
        self.assertEqual(len(whose), 12)

    def test_it_lives_as_long_as_its_node_prolongs_it_and_a_window_longer(self) -> None:
        self.cluster.advance(100.0)
        self.first.kill()
        self.one.lose()
        self.cluster.advance(55.0)
        self.assertIsNot(self.entry(self.one), None)
        self.cluster.advance(30.0)
        self.assertIs(self.entry(self.one), None)

    def test_how_far_a_quiet_client_has_come_is_known_when_its_node_is_killed(self) -> None:
        other = self.cluster.client(self.first, "bob")
        bob = next(one for one in self.first.bench.connections() if one.user.id == "bob")
        for number in range(1, 100):  # for others than alice
            self.first.bench.app.emit("said", number, room=bob.id)
            self.cluster.advance(1.0)
            for peer in self.first.bench.socketeers:
                peer.listen()
        self.first.kill()
        other.lose()
        self.one.lose()
        self.come(self.one, self.second)
        self.assertTrue(self.one.recovered)
        self.assertEqual(self.one.events, [])


class ManyTests(Case):
    def refuse(self, words: str) -> None:
        self.cluster.redis.refuses = words

    def test_very_many_that_broke_are_written_again_in_slices(self) -> None:
        clients = [self.cluster.client(self.first, f"user{number}") for number in range(450)]
        self.first.link.cut_commands()
        for client in clients:
            client.cut()
        self.cluster.redis.forget()
        self.first.link.connect()
        self.first.bench.turn()
        self.assertLessEqual(self.writes(), 250)  # with a sign of life and the like
        self.cluster.settle()
        for client in clients:
            self.assertIsNotNone(self.entry(client))

    def writes(self) -> int:
        return len(self.first.link.sent)

    def test_one_that_was_refused_is_written_when_it_would_be_prolonged(self) -> None:
        self.refuse("OOM command not allowed when used memory > 'maxmemory'.")
        two = self.cluster.client(self.first, "bob")
        self.refuse("")
        self.assertIsNone(self.entry(two))
        self.cluster.advance(25.0)
        self.assertIsNotNone(self.entry(two))
