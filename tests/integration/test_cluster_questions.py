"""What nodes of a cluster ask each other, both ways: who is there, acknowledgements, rooms, events between servers.

Nothing here waits for a timeout: Node's requests have 5 seconds, and what is late is told as late, and fails.
"""

from __future__ import annotations

import threading
from typing import Any

from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd, until

#: milliseconds that clients have to answer Node: more than any of these takes
MILLISECONDS = 20_000


class FetchTests(ClusterCase):
    def found(self, crowd: Crowd, sockets: list[dict[str, Any]]) -> list[str]:
        """The names of those that were found."""
        names = {id: name for name, id in crowd.ids.items()}
        return sorted(names[one["id"]] for one in sockets)

    def test_node_fetches_all_and_those_of_rooms(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a b", node="b", sio1="b")
        fetch = cluster.node.call
        self.assertEqual(self.found(crowd, fetch("fetch", {})), sorted(crowd.NAMES))
        self.assertEqual(self.found(crowd, fetch("fetch", {"to": ["a"]})), ["raw1", "sio2"])
        self.assertEqual(self.found(crowd, fetch("fetch", {"to": ["a", "b"]})), ["node", "raw1", "sio1", "sio2"])
        self.assertEqual(self.found(crowd, fetch("fetch", {"to": ["a", "b"], "except": ["b"]})), ["raw1"])
        self.assertEqual(self.found(crowd, fetch("fetch", {"except": ["a"]})), ["node", "raw2", "sio1"])
        self.assertEqual(self.found(crowd, fetch("fetch", {"to": ["nobody"]})), [])
        self.assertEqual(self.found(crowd, fetch("fetch", {"to": [crowd.ids["raw2"]]})), ["raw2"])

    def test_node_sees_the_rooms_the_data_and_the_handshake_of_our_clients(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a b")
        (seen,) = cluster.node.call("fetch", {"to": [crowd.ids["raw1"]]})
        self.assertEqual(seen["rooms"], sorted(["a", "b", crowd.ids["raw1"]]))
        self.assertEqual(seen["data"], {"place": "one"})
        self.assertIn("headers", seen["handshake"])
        self.assertNotIn("cookie", seen["handshake"]["headers"])

    def test_our_nodes_fetch_all_and_those_of_rooms_and_users(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a b", node="b", sio1="b")
        for node in (cluster.one, cluster.two):
            for options, expected in (
                ({}, sorted(crowd.NAMES)),
                ({"room": "a"}, ["raw1", "sio2"]),
                ({"room": ["a", "b"], "except_room": "b"}, ["raw1"]),
                ({"room": crowd.ids["node"]}, ["node"]),
                ({"user": ["raw1", "raw2", "nobody"]}, ["raw1", "raw2"]),
                ({"room": "nobody"}, []),
                ({"skip": [crowd.ids["node"], crowd.ids["raw2"]]}, ["raw1", "sio1", "sio2"]),
            ):
                self.assertEqual(self.found(crowd, node.run("fetch", **options)), expected, (node.name, options))

    def test_our_nodes_see_the_rooms_the_data_and_the_handshake_of_all(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(node="a b", raw2="c")
        found = {one["id"]: one for one in cluster.one.run("fetch")}
        of_node, ours = found[crowd.ids["node"]], found[crowd.ids["raw2"]]
        self.assertEqual((of_node["rooms"], of_node["data"], of_node["user"]), (["a", "b"], {"place": "node"}, None))
        self.assertIn("headers", of_node["handshake"])
        self.assertEqual((ours["rooms"], ours["data"], ours["user"]), (["c"], {"place": "two"}, "raw2"))

    def test_all_rooms_of_all_nodes(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a b", node="b c", raw2="x*[y]#é")
        rooms = {"a", "b", "c", "x*[y]#é"}
        self.assertEqual(set(cluster.node.call("allRooms", "/")), rooms | set(crowd.ids.values()))
        for node in (cluster.one, cluster.two):
            self.assertLessEqual(rooms, set(node.run("rooms")))
        self.assertEqual(cluster.node.call("serverCount", "/"), 3)


class AcknowledgementTests(ClusterCase):
    def answers(self, cluster: Cluster, sender: str, rooms: list[str]) -> list[Any]:
        """What clients answer to `sender`; late is a failure."""
        if sender == "node":
            told = cluster.node.call("call", {"to": rooms, "timeout": MILLISECONDS}, "ready?", 1)
            self.assertIn("answers", told)
            return sorted(told["answers"])
        answers = getattr(cluster, sender).run("call", "ready?", 1, room=rooms or None, timeout=MILLISECONDS / 1000)
        self.assertIsInstance(answers, list, str(answers))
        return sorted(answers)

    def test_everybody_is_asked_once_and_all_answers_come(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a", node="a", raw2="b")
        for sender in ("node", "one", "two"):
            self.assertEqual(self.answers(cluster, sender, []), sorted(crowd.NAMES), sender)
            self.assertEqual(self.answers(cluster, sender, ["a"]), ["node", "raw1", "sio2"], sender)
            self.assertEqual(self.answers(cluster, sender, ["a", "b"]), ["node", "raw1", "raw2", "sio2"], sender)
            self.assertEqual(self.answers(cluster, sender, [crowd.ids["sio1"]]), ["sio1"], sender)
            self.assertEqual(self.answers(cluster, sender, ["nobody"]), [], sender)
        crowd.settle()
        counts = {"raw1": 9, "sio1": 6, "raw2": 6, "sio2": 9, "node": 9}
        self.assertEqual(crowd.who_heard("ready?"), counts)

    def test_who_does_not_answer_in_time_is_told_with_the_answers_of_the_others(self) -> None:
        cluster, crowd = self.shared()
        crowd.clients["raw2"].answer = None  # type: ignore[union-attr]
        crowd.clients["sio1"].answer_with(None)  # type: ignore[union-attr]
        late = cluster.node.call("call", {"timeout": 300}, "ready?")
        self.assertEqual(sorted(late["late"]), ["node", "raw1", "sio2"])
        for node in (cluster.one, cluster.two):
            late = node.run("call", "ready?", timeout=0.3)
            self.assertEqual(sorted(late["late"]), ["node", "raw1", "sio2"], node.name)

    def test_a_client_that_leaves_instead_of_an_answer_is_not_waited_for_by_our_nodes(self) -> None:
        cluster, crowd = self.shared()
        leaving = cluster.raw("leaving", cluster.two)
        leaving.answer = None
        self.addCleanup(leaving.close)

        def leave_when_asked() -> None:
            leaving.wait_for("ready?")
            leaving.close()

        thread = threading.Thread(target=leave_when_asked)
        thread.start()
        answers = cluster.one.run("call", "ready?", timeout=MILLISECONDS / 1000)
        thread.join()
        self.assertEqual(sorted(answers), sorted(crowd.NAMES))

    def test_answers_of_many_kinds_come_as_they_are(self) -> None:
        cluster, crowd = self.shared()
        for value in ({"deep": [1, "x", None]}, "", 0, [1, 2], False):
            for name in ("raw2", "node", "sio2"):
                client = crowd.clients[name]
                if name == "raw2":
                    client.answer = value  # type: ignore[union-attr]
                else:
                    client.answer_with(value)  # type: ignore[union-attr]
                for sender in ("node", "one"):
                    # bools and numbers are compared with their types
                    answers = self.answers(cluster, sender, [crowd.ids[name]])
                    self.assertEqual(repr(answers), repr([value]), (sender, name))

    def test_bytes_are_asked_and_answered(self) -> None:
        cluster, crowd = self.shared()
        data, text = b"\x00\xff", "AP8="
        for name in ("sio1", "sio2", "node"):
            crowd.clients[name].answer_with(data)  # type: ignore[union-attr]
        options = {"except": [crowd.ids["raw2"]], "timeout": MILLISECONDS}
        told = cluster.node.call("call", options, "bytes?", {"in": [data]})
        self.assertEqual(sorted(told["answers"]), sorted([text] * 3 + ["raw1"]))
        for node in (cluster.one, cluster.two):
            answers = node.run("call", "bytes?", {"in": [data]}, skip=[crowd.ids["raw2"]], timeout=20)
            self.assertEqual(sorted(answers), sorted([text] * 3 + ["raw1"]), node.name)
        crowd.settle()
        for name in ("raw1", "sio1", "sio2", "node"):
            self.assertEqual(crowd.heard(name), [["bytes?", {"in": [text]}]] * 3, name)
        self.assertEqual(crowd.heard("raw2"), [])


class ServerEventTests(ClusterCase):
    def served(self, cluster: Cluster, event: list[Any]) -> dict[str, int]:
        """Which servers got it, and how often."""
        of_ours = {node.name: node.run("served").count(event) for node in (cluster.one, cluster.two)}
        counts = of_ours | {"node": cluster.served.count(event)}
        return {name: count for name, count in counts.items() if count}

    def test_node_tells_all_others_once_and_so_do_ours(self) -> None:
        cluster, crowd = self.shared()
        for sender, others in (("node", ("one", "two")), ("one", ("node", "two")), ("two", ("node", "one"))):
            event = ["/", "asked", sender, self.id()]
            if sender == "node":
                cluster.node.call("serverSideEmit", "/", *event[1:])
            else:
                getattr(cluster, sender).run("server_emit", *event[1:])
            until(lambda event=event, others=others: self.served(cluster, event).keys() >= set(others), f"{event}")
            crowd.settle()
            self.assertEqual(self.served(cluster, event), self.everybody_once(*others))

    def test_all_others_answer(self) -> None:
        cluster, _ = self.shared()
        args = [1, {"two": [3]}]
        for sender in ("node", "one", "two"):
            if sender == "node":
                told = cluster.node.call("serverSideAsk", "/", "asked", *args)
                self.assertIn("answers", told)
                answers = told["answers"]
            else:
                answers = getattr(cluster, sender).run("server_call", "asked", *args)
            self.assertIsInstance(answers, list, str(answers))
            expected = [{"node": name, "args": args} for name in ("node", "one", "two") if name != sender]
            self.assertEqual(sorted(answers, key=lambda one: one["node"]), expected, sender)

    def test_an_event_that_only_node_knows_is_answered_by_ours_with_nothing(self) -> None:
        cluster, _ = self.shared()
        self.assertEqual(cluster.node.call("serverSideAsk", "/", "unknown"), {"answers": [None, None]})
        # Node's server does not answer what it has no listener for
        self.assertEqual(cluster.one.run("server_call", "unknown", timeout=0.3)["late"], [None])

    def test_the_emitter_tells_all_servers(self) -> None:
        cluster, crowd = self.shared()
        event = ["/", "asked", "emitter", self.id()]
        cluster.clients.call("emitterServerSideEmit", {}, *event[1:])
        until(lambda: len(self.served(cluster, event)) == 3, "all are told")
        crowd.settle()
        self.assertEqual(self.served(cluster, event), self.everybody_once("node", "one", "two"))
