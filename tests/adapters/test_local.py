"""What others do to this process's connections."""

from __future__ import annotations

from datetime import datetime
from time import gmtime
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import Process
from wsservice.adapters.base import RemoteConnection
from wsservice.connection_limits import ConnectionLimits
from wsservice.messages import Broadcast, Disconnect, EndSession, EndUser, Join, Leave, Renew, Target


class LocalTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process(limits=ConnectionLimits(rooms=2))
        self.local = self.process.local
        self.alice, self.bob = self.process.connect("alice"), self.process.connect("bob")

    def ids(self, *clients: Any) -> set[str]:
        return {client.connection.id for client in clients}

    def test_a_broadcast_is_delivered_here_and_counted(self) -> None:
        self.alice.connection.join("r")
        self.assertEqual(self.local.deliver(Broadcast("news", (1,), Target(rooms=frozenset({"r"})))), 1)
        self.assertEqual(self.alice.link.messages, [{"event": "news", "data": 1}])
        self.assertEqual(self.bob.link.messages, [])

    def test_namespaces_and_rooms_are_those_of_the_app_and_of_clients(self) -> None:
        self.process.core.app.namespace("/admin")
        self.assertEqual(self.local.namespaces(), {"/", "/admin"})
        self.assertTrue(self.local.has_namespace("/"))
        self.assertTrue(self.local.has_namespace("/admin"))
        self.assertFalse(self.local.has_namespace("/other"))
        self.alice.connection.join("r")
        self.assertEqual(self.local.rooms("/"), {"r"} | self.ids(self.alice, self.bob))
        self.assertTrue(self.local.has_room("/", "r"))
        self.assertTrue(self.local.has_room("/", self.bob.connection.id))
        self.assertFalse(self.local.has_room("/admin", "r"))

    def test_targets_enter_and_leave_rooms_but_for_those_who_may_not(self) -> None:
        for room in ("a", "b"):
            self.alice.connection.join(room)
        self.local.join(Join(Target(), frozenset({"c", "d"})))
        self.assertEqual(self.alice.connection.rooms, {"a", "b"})
        self.assertEqual(self.bob.connection.rooms, {"c", "d"})
        self.local.join(Join(Target(), frozenset({self.alice.connection.id})))  # would hear what is hers
        self.assertEqual(self.bob.connection.rooms, {"c", "d"})
        self.local.leave(Leave(Target(), frozenset({"a", "c"})))
        self.assertEqual((self.alice.connection.rooms, self.bob.connection.rooms), ({"b"}, {"d"}))

    def test_connections_are_closed_and_sessions_renewed_or_ended(self) -> None:
        carol = self.process.connect("carol")
        self.local.disconnect(Disconnect(Target(users=frozenset({"carol"})), 4000, "Go"))
        self.assertEqual(carol.link.closes, [(4000, "Go")])
        self.local.renew(Renew("session-alice", "alice", 9000.0))
        self.assertEqual(self.alice.connection.expires_at, 9000.0)
        self.local.renew(Renew("session-bob", "alice", 9000.0))  # not hers
        self.assertEqual(self.bob.connection.expires_at, 3600.0)
        self.local.end_session(EndSession("session-bob", 5000.0))
        self.assertEqual(self.bob.link.closes, [(1008, "Signed out")])
        self.assertEqual(self.alice.link.closes, [])
        self.assertTrue(self.process.revocations.is_revoked("session-bob"))
        self.local.end_user(EndUser("alice", 90.0, 5000.0))
        self.assertEqual(self.alice.link.closes, [(1008, "Signed out")])
        self.assertEqual(self.local.ended_users(), [EndUser("alice", 90.0, 5000.0)])

    def test_clients_are_asked_and_those_who_are_lost_are_told(self) -> None:
        got: list[Any] = []
        carol = self.process.connect("carol")
        asked = self.local.ask(Broadcast("q", (), Target()), 5, got.append, lambda: got.append("lost"))
        self.assertEqual(asked, 3)
        (question,) = self.alice.link.messages
        self.alice.acknowledge(question["id"], "yes")
        self.bob.leave()
        self.assertEqual(got, ["yes", "lost"])
        self.process.core.clock.advance(5)
        self.assertEqual(got, ["yes", "lost", "lost"])
        self.assertFalse(carol.link.closes)

    def test_connections_are_described_without_their_secrets(self) -> None:
        connection = self.alice.connection
        connection.join("r")
        connection.data["color"] = "red"
        (found,) = self.local.fetch(Target(users=frozenset({"alice"})))
        self.assertIsInstance(found, RemoteConnection)
        self.assertEqual((found.id, found.rooms, found.data), (connection.id, frozenset({"r"}), {"color": "red"}))
        self.assertEqual((found.namespace, found.user, found.handshake["address"]), ("/", "alice", "192.0.2.7"))

    def test_they_are_described_as_node_describes_its_sockets(self) -> None:
        (found,) = self.local.fetch(Target(users=frozenset({"alice"})))
        handshake = found.handshake
        self.assertEqual(
            handshake.keys(),
            {"headers", "query", "auth", "address", "time", "issued", "xdomain", "secure", "url"},
        )
        issued = self.alice.connection.handshake.issued
        self.assertEqual(handshake["issued"], int(issued * 1000))
        self.assertEqual(datetime.strptime(handshake["time"][:24], "%a %b %d %Y %H:%M:%S").year, gmtime(issued).tm_year)
        self.assertTrue(handshake["time"].endswith(" GMT+0000 (Coordinated Universal Time)"))
        self.assertIs(type(handshake["xdomain"]), bool)
        self.assertIs(type(handshake["secure"]), bool)
        self.assertTrue(handshake["url"].startswith(self.alice.connection.handshake.path))

    def test_another_servers_event_goes_to_the_handler_of_its_namespace(self) -> None:
        self.process.core.app.on_server("add")(lambda one, two: one + two)
        answer = self.local.server_event("/", "add", (1, 2))
        assert answer is not None
        self.assertEqual(self.successResultOf(answer), 3)
        self.assertIsNone(self.local.server_event("/", "unknown", ()))
        self.assertIsNone(self.local.server_event("/nowhere", "add", (1, 2)))
