"""What is counted over a cluster: connections of a user, who is in a room; also when a node dies or is stopped."""

from __future__ import annotations

import signal

from tests.integration.cluster_clients import RawClient
from tests.integration.mixed_cluster import Cluster, ClusterCase, OurNode, until

TOO_MANY = (4429, "Too many connections")
REPLACED = (4409, "Replaced by a newer connection")


class UserTests(ClusterCase):
    def cluster_of(self, *arguments: str) -> Cluster:
        cluster = self.make(*arguments, with_node=False)
        for name in ("one", "two"):
            getattr(cluster, name).drive(f"driver of {name}")
        return cluster

    def connect(self, cluster: Cluster, name: str, node: OurNode) -> RawClient:
        """A client of ann's."""
        client = cluster.raw(name, node, user="ann")
        self.addCleanup(client.close)
        return client

    def test_one_too_many_is_refused_wherever_it_comes(self) -> None:
        cluster = self.cluster_of("--max-connections-per-user", "2")
        first = self.connect(cluster, "first", cluster.one)
        second = self.connect(cluster, "second", cluster.two)
        for client in (first, second):
            client.ask("run", {"do": "served"})
        for node in (cluster.one, cluster.two):
            self.assertEqual(self.connect(cluster, "third", node).wait_left(), TOO_MANY)
        second.close()

        def let_in() -> bool:
            third = self.connect(cluster, "third", cluster.one)
            return bool(third.try_ask("run", {"do": "served"}))

        until(let_in, "there is a place again")
        self.assertEqual(self.connect(cluster, "fourth", cluster.two).wait_left(), TOO_MANY)
        self.assertIsNone(first.left)

    def test_the_oldest_makes_room_wherever_it_is(self) -> None:
        cluster = self.cluster_of("--max-connections-per-user", "2", "--when-user-is-full", "replace")
        clients = []
        for number, node in enumerate((cluster.one, cluster.two, cluster.two, cluster.one, cluster.two)):
            client = self.connect(cluster, f"{number}", node)
            client.ask("run", {"do": "served"})
            clients.append(client)
            for replaced in clients[:-2]:
                self.assertEqual(replaced.wait_left(), REPLACED, replaced.name)
            for staying in clients[-2:]:
                staying.ask("run", {"do": "served"})

    def test_the_connections_of_a_node_that_was_killed_count_no_more(self) -> None:
        cluster = self.cluster_of("--max-connections-per-user", "2")
        for name in ("first", "second"):
            self.connect(cluster, name, cluster.two).ask("run", {"do": "served"})
        self.assertEqual(self.connect(cluster, "third", cluster.one).wait_left(), TOO_MANY)
        cluster.two.service.stop(signal.SIGKILL)

        def let_in() -> bool:
            return bool(self.connect(cluster, "third", cluster.one).try_ask("run", {"do": "served"}))

        until(let_in, "they do not count any more")

    def test_they_are_counted_again_when_redis_has_forgotten(self) -> None:
        cluster = self.cluster_of("--max-connections-per-user", "2")
        self.connect(cluster, "first", cluster.one).ask("run", {"do": "served"})
        self.connect(cluster, "second", cluster.two).ask("run", {"do": "served"})
        cluster.redis.kill()
        until(lambda: not cluster.one.is_ready and not cluster.two.is_ready, "both have noticed")
        cluster.redis.start()
        until(lambda: cluster.one.is_ready and cluster.two.is_ready, "both are back")
        until(lambda: cluster.redis.ask("HLEN", "socket.io:ws:user:ann") == 2, "both are marked")
        self.assertEqual(self.connect(cluster, "third", cluster.two).wait_left(), TOO_MANY)


class PresenceTests(ClusterCase):
    def test_who_is_in_a_room_and_in_a_namespace(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="p", sio2="p", node="p", raw2="q")

        def present(node: OurNode, *room: str) -> set[str]:
            found = node.run("presence", *room)
            self.assertTrue(found["complete"])
            self.assertEqual(len({one["connection"] for one in found["members"]}), len(found["members"]))
            return {one["user"] for one in found["members"]}

        for node in (cluster.one, cluster.two):
            # Node's are not among them: they do not tell
            until(lambda node=node: present(node, "p") == {"raw1", "sio2"}, "who is in p")
            until(lambda node=node: present(node) == {"raw1", "raw2", "sio1", "sio2"}, "who is here")
        cluster.two.run("leave", "p", user="raw1")
        until(lambda: present(cluster.two, "p") == {"sio2"}, "one has left the room")
        crowd.clients.pop("sio2").close()
        until(lambda: present(cluster.one, "p") == set(), "one has gone")
        self.assertEqual(present(cluster.one, "nobody"), set())

    def test_of_a_node_that_was_killed_nobody_is_left_after_seconds_and_nothing_in_redis(self) -> None:
        cluster = self.make(with_node=False)
        one, two = cluster.one, cluster.two
        one.drive("ann")
        two.drive("ben").ask("run", {"do": "join", "namespace": "/", "args": ["p"], "options": {}})

        def users() -> set[str]:
            return {one["user"] for one in one.run("presence", "p")["members"]}

        until(lambda: users() == {"ann", "ben"}, "both are there")
        two.service.stop(signal.SIGKILL)
        until(lambda: users() == {"ann"}, "the dead are gone")
        until(lambda: cluster.redis.ask("HLEN", "socket.io:ws:in:/,p") == 1, "their entries, too")

    def test_a_node_that_stops_takes_back_its_entries(self) -> None:
        cluster = self.make("--max-connections-per-user", "9", with_node=False)
        cluster.one.drive("ann").ask("run", {"do": "join", "namespace": "/", "args": ["p"], "options": {}})
        cluster.one.service.stop()
        self.assertEqual(cluster.two.service.process.poll(), None)
        for key in ("in:/,p", "all:/", "user:ann"):
            until(lambda key=key: cluster.redis.ask("EXISTS", f"socket.io:ws:{key}") == 0, f"{key} is gone")
        self.assertEqual(cluster.redis.ask("ZCARD", "socket.io:ws:nodes"), 1)
        self.assertEqual(cluster.redis.ask("HLEN", "socket.io:ws:about"), 1)
