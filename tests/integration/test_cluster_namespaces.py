"""Namespaces in a cluster: those of fixed names, and those that clients make."""

from __future__ import annotations

from tests.integration.cluster import RawPolling
from tests.integration.cluster_clients import NodeClient
from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd, until

MILLISECONDS = 20_000


class NamespaceCase(ClusterCase):
    def clients(self, cluster: Cluster, namespace: str, *names: str) -> dict[str, NodeClient]:
        """Clients in a namespace: `a1` of node one, `a2` of node two, `an` of Node's."""
        places = {"1": cluster.one, "2": cluster.two, "n": None}
        made: dict[str, NodeClient] = {}
        for name in names:
            made[name] = cluster.socketio(name, places[name[-1]], namespace)
            self.addCleanup(made[name].close)
        return made

    def settle(self, crowd: Crowd, namespace: str, clients: dict[str, NodeClient]) -> None:
        """Wait until all of them have heard the last word of each node."""
        cluster = crowd.cluster
        cluster.one.emit("fence", "one", namespace=namespace)
        cluster.two.emit("fence", "two", namespace=namespace)
        cluster.node.call("emit", {"namespace": namespace}, "fence", "node")
        for client in clients.values():
            client.wait(
                lambda client=client: len([one for one in client.all_heard if one[0] == "fence"]) == 3, "fences"
            )

    def counts(self, clients: dict[str, NodeClient], event: str) -> dict[str, int]:
        heard = {name: sum(one[0] == event for one in client.heard) for name, client in clients.items()}
        return {name: count for name, count in heard.items() if count}


class NamespaceTests(NamespaceCase):
    def test_a_fixed_namespace_has_its_own_clients_rooms_and_events(self) -> None:
        cluster, crowd = self.shared()
        clients = self.clients(cluster, "/admin", "a1", "a2", "an")
        for sender in ("one", "two"):
            getattr(cluster, sender).emit(sender, 1, namespace="/admin")
        cluster.node.call("emit", {"namespace": "/admin"}, "node", 1)
        cluster.clients.call("emitterEmit", {"namespace": "/admin"}, "emitter", 1)
        cluster.one.run("join", "r", namespace="/admin", room=[clients["a2"].id, clients["an"].id])
        cluster.one.run("join", "r", room=crowd.ids["raw2"])
        until(lambda: len(cluster.node.call("fetch", {"namespace": "/admin", "to": ["r"]})) == 2, "two are in the room")
        cluster.node.call("emit", {"namespace": "/admin", "to": ["r"]}, "to r", 1)
        cluster.one.emit("to r too", 1, namespace="/admin", room="r")
        self.settle(crowd, "/admin", clients)
        crowd.settle()
        for event in ("one", "two", "node", "emitter"):
            self.assertEqual(self.counts(clients, event), self.everybody_once(*clients), event)
            self.assertEqual(crowd.who_heard(event), {}, event)
        for event in ("to r", "to r too"):
            self.assertEqual(self.counts(clients, event), self.everybody_once("a2", "an"), event)
            self.assertEqual(crowd.who_heard(event), {}, event)

    def test_a_fixed_namespace_answers_every_question(self) -> None:
        cluster, _ = self.shared()
        clients = self.clients(cluster, "/admin", "a1", "a2", "an")
        ids = {client.id for client in clients.values()}
        self.assertEqual({one["id"] for one in cluster.node.call("fetch", {"namespace": "/admin"})}, ids)
        self.assertEqual({one["id"] for one in cluster.one.run("fetch", namespace="/admin")}, ids)
        called = cluster.node.call("call", {"namespace": "/admin", "timeout": MILLISECONDS}, "ready?")
        self.assertEqual(sorted(called["answers"]), sorted(clients))
        self.assertEqual(sorted(cluster.two.run("call", "ready?", namespace="/admin", timeout=20)), sorted(clients))
        answered = cluster.node.call("serverSideAsk", "/admin", "asked", 1)
        self.assertEqual(sorted(one["node"] for one in answered["answers"]), ["one", "two"])
        asked = cluster.one.run("server_call", "asked", 1, namespace="/admin")
        self.assertEqual(sorted(one["node"] for one in asked), ["node", "two"])
        self.assertEqual(set(cluster.node.call("allRooms", "/admin")), ids)
        cluster.one.run("disconnect", namespace="/admin", everybody=True)
        for client in clients.values():
            self.assertEqual(client.wait_left(), "io server disconnect")

    def test_a_namespace_that_clients_make_begins_and_ends_with_them(self) -> None:
        cluster, crowd = self.shared()
        name = "/room-71"
        self.assertEqual(cluster.subscribers(name), 0)
        clients = self.clients(cluster, name, "b1", "bn")
        until(lambda: cluster.subscribers(name) == 2, "both are in the namespace")
        # node two has no client there, and may speak all the same
        cluster.two.emit("from two", 1, namespace=name)
        cluster.one.emit("from one", 1, namespace=name)
        cluster.node.call("emit", {"namespace": name}, "from node", 1)
        cluster.clients.call("emitterEmit", {"namespace": name}, "from the emitter", 1)
        for client in clients.values():
            for event in ("from two", "from one", "from node", "from the emitter"):
                client.wait_for(event)
        self.settle(crowd, name, clients)
        for event in ("from two", "from one", "from node", "from the emitter"):
            self.assertEqual(self.counts(clients, event), self.everybody_once("b1", "bn"), event)
        ids = {client.id for client in clients.values()}
        self.assertEqual({one["id"] for one in cluster.node.call("fetch", {"namespace": name})}, ids)
        for node in (cluster.one, cluster.two):
            self.assertEqual({one["id"] for one in node.run("fetch", namespace=name)}, ids, node.name)
            self.assertEqual(sorted(node.run("call", "ready?", namespace=name, timeout=20)), ["b1", "bn"], node.name)
        clients["b1"].close()
        until(lambda: cluster.subscribers(name) == 1, "our node has left the namespace")
        self.assertEqual(len(cluster.node.call("fetch", {"namespace": name})), 1)
        again = self.clients(cluster, name, "c1", "c2")
        until(lambda: cluster.subscribers(name) == 3, "they are back")
        self.assertEqual(len(cluster.node.call("fetch", {"namespace": name})), 3)
        cluster.two.emit("again", 1, namespace=name)
        for client in (*again.values(), clients["bn"]):
            client.wait_for("again")


class HostileTests(NamespaceCase):
    """Clients name namespaces with a `#`, which stands in channels, too."""

    def test_one_that_is_named_after_a_node_takes_nothing_from_another_one(self) -> None:
        cluster, _ = self.shared()
        name = "/open-1"
        clients = self.clients(cluster, name, "c1", "c2")
        ids = {client.id for client in clients.values()}
        nodes = [node.decode() for node in cluster.redis.ask("ZRANGE", "socket.io:ws:nodes", 0, -1)]
        self.assertEqual(len(nodes), 2)

        def check() -> None:
            for node in (cluster.one, cluster.two):
                self.assertEqual({one["id"] for one in node.run("fetch", namespace=name, timeout=5)}, ids)

        for at in (cluster.one, cluster.two):
            hostile = RawPolling(at.service, cluster.provider.cookie("mallory"))
            for taken in [f"{name}#{node}{end}" for node in nodes for end in ("", "#")]:
                self.assertEqual(hostile.post(at.service, f"40{taken},")[0], 200)
                status, heard = hostile.get(at.service)
                self.assertEqual((status, heard[:2]), (200, b"40"))
                check()
                self.assertEqual(hostile.post(at.service, f"41{taken},")[0], 200)
                check()

    def test_one_whose_name_is_anothers_and_a_room_gets_nobody_anything_twice(self) -> None:
        cluster, crowd = self.shared()
        name = "/open-2"
        clients = self.clients(cluster, name, "d1", "d2")
        hostile = {at: RawPolling(at.service, cluster.provider.cookie("mallory")) for at in (cluster.one, cluster.two)}
        for at, session in hostile.items():
            session.post(at.service, f"40{name}#general,")
            self.assertEqual(session.get(at.service)[1][:2], b"40")
        cluster.one.run("join", "general", namespace=name)
        until(lambda: len(cluster.two.run("fetch", namespace=name, room="general")) == 2, "both are in the room")
        cluster.clients.call("emitterEmit", {"namespace": name, "to": ["general"]}, "emitted", 1)
        cluster.one.emit("sent", 1, namespace=name, room="general")
        cluster.one.emit("quick", 1, namespace=name, room="general", volatile=True)
        cluster.one.emit("other", 1, namespace=f"{name}#general")
        cluster.two.emit("last", 1, namespace=name)
        cluster.clients.call("emitterEmit", {"namespace": name}, "last", 2)
        for client in clients.values():
            client.wait_for("last", 2)
        crowd.settle()
        for event in ("emitted", "sent", "quick"):
            self.assertEqual(self.counts(clients, event), self.everybody_once(*clients), event)
        self.assertEqual(self.counts(clients, "other"), {})


class RecordedHostileTests(HostileTests):
    """The same where all is recorded."""

    arguments = ("--recovery", "60")
