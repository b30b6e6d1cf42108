"""What a node of a cluster does to clients of the others: rooms and disconnections, by apps and by the emitter."""

from __future__ import annotations

from collections.abc import Callable

from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd, until


class ChangeTests(ClusterCase):
    def in_room(self, cluster: Cluster, crowd: Crowd, room: str) -> list[str]:
        names = {id: name for name, id in crowd.ids.items()}
        return sorted(names[one["id"]] for one in cluster.node.call("fetch", {"to": [room]}))

    def until_in(self, cluster: Cluster, crowd: Crowd, room: str, *names: str) -> None:
        until(lambda: self.in_room(cluster, crowd, room) == sorted(names), f"{names} are in {room}")

    def test_each_lets_clients_of_all_enter_and_leave_rooms(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a", node="a", raw2="b")

        def ours(name: str) -> tuple[Callable[[str, str], None], Callable[[str, str], None]]:
            node = getattr(cluster, name)
            return (
                lambda who, room: node.run("join", room, room=who),
                lambda who, room: node.run("leave", room, room=who),
            )

        def programs(program: str, join: str, leave: str) -> tuple[Callable[..., None], Callable[..., None]]:
            call = getattr(cluster, program).call
            return (
                lambda who, room: call(join, {"to": [who]}, [room]),
                lambda who, room: call(leave, {"to": [who]}, [room]),
            )

        for name, (join, leave) in {
            "one": ours("one"),
            "two": ours("two"),
            "node": programs("node", "join", "leave"),
            "emitter": programs("clients", "emitterJoin", "emitterLeave"),
        }.items():
            room = f"of {name}"
            join("a", room)
            self.until_in(cluster, crowd, room, "raw1", "sio2", "node")
            join(crowd.ids["raw2"], room)
            self.until_in(cluster, crowd, room, "raw1", "sio2", "node", "raw2")
            cluster.two.emit(room, 1, room=room)
            crowd.settle()
            self.assertEqual(crowd.who_heard(room), self.everybody_once("raw1", "raw2", "sio2", "node"))
            leave("a", room)
            self.until_in(cluster, crowd, room, "raw2")
            leave(crowd.ids["raw2"], room)
            self.until_in(cluster, crowd, room)

    def test_everybody_enters_and_leaves_several_rooms(self) -> None:
        cluster, crowd = self.shared()
        cluster.node.call("join", {}, ["x", "y"])
        for room in ("x", "y"):
            self.until_in(cluster, crowd, room, *crowd.NAMES)
        cluster.clients.call("emitterLeave", {"except": [crowd.ids["raw1"]]}, ["x", "y"])
        for room in ("x", "y"):
            self.until_in(cluster, crowd, room, "raw1")

    def test_users_enter_rooms_on_other_nodes(self) -> None:
        cluster, crowd = self.shared()
        cluster.one.run("join", "of users", user=["raw2", "sio2", "raw1"])
        self.until_in(cluster, crowd, "of users", "raw2", "sio2", "raw1")

    def gone(self, crowd: Crowd, *names: str) -> None:
        """These were disconnected, and the others are there and hear one another."""
        for name in names:
            crowd.clients.pop(name).wait_left()
        crowd.settle()
        for name, client in crowd.clients.items():
            self.assertIsNone(client.left, name)

    def test_node_disconnects_clients_of_ours(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(sio1="a", sio2="a", raw2="b")
        left = [crowd.clients["sio1"], crowd.clients["sio2"]]
        cluster.node.call("disconnect", {"to": ["a"]}, False)
        self.gone(crowd, "sio1", "sio2")
        self.assertEqual([client.left for client in left], ["io server disconnect"] * 2)

    def test_node_closes_the_transport_of_a_client_of_ours_which_has_two_namespaces(self) -> None:
        cluster, crowd = self.shared()
        raw = cluster.raw("third", cluster.two)
        self.addCleanup(raw.close)
        raw.ask("run", {"do": "served"})  # it is let in
        (found,) = cluster.two.run("fetch", user="third")
        cluster.node.call("disconnect", {"to": [found["id"]]}, True)
        self.assertEqual(raw.wait_left(), (1000, "Disconnected by the server"))
        sio = crowd.clients["sio1"]
        cluster.node.call("disconnect", {"to": [crowd.ids["sio1"]]}, True)
        self.gone(crowd, "sio1")
        self.assertIn(sio.left, ("io server disconnect", "transport close", "transport error"))

    def test_ours_disconnects_clients_of_all_with_its_code(self) -> None:
        cluster, crowd = self.shared()
        third = cluster.raw("third", cluster.two)
        self.addCleanup(third.close)
        third.ask("run", {"do": "served"})  # it is let in
        crowd.enter(node="a", sio2="a", sio1="a")
        cluster.one.run("disconnect", user="third", code=4321, reason="Go away")
        self.assertEqual(third.wait_left(), (4321, "Go away"))
        cluster.two.run("disconnect", room="a")
        self.gone(crowd, "node", "sio2", "sio1")

    def test_the_emitter_disconnects_clients_of_all(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(node="a", sio2="a")
        cluster.clients.call("emitterDisconnect", {"to": ["a"]}, True)
        self.gone(crowd, "node", "sio2")
