"""Nodes of a cluster that are stopped or killed: nobody waits for them, and what they left goes."""

from __future__ import annotations

import signal
from typing import Any

from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd, OurNode, until

SILENT = "not heard of any more"
CUT = "is silent, are ended"


class StoppedTests(ClusterCase):
    def gathered(self) -> tuple[Cluster, Crowd]:
        cluster = self.make()
        crowd = Crowd(cluster)
        self.addCleanup(lambda: [client.close() for name, client in crowd.clients.items() if name != "node"])
        crowd.gather()
        return cluster, crowd

    def stop(self, node: OurNode) -> None:
        """Stop the process, until the test ends at the latest."""
        node.service.process.send_signal(signal.SIGSTOP)
        self.addCleanup(node.service.process.send_signal, signal.SIGCONT)

    def names(self, crowd: Crowd, found: Any) -> list[str]:
        self.assertIsInstance(found, list, str(found))
        names = {id: name for name, id in crowd.ids.items()}
        return sorted(names[one["id"]] for one in found)

    def test_a_stopped_node_holds_up_none_of_our_calls(self) -> None:
        cluster, crowd = self.gathered()
        self.stop(cluster.two)
        one, here = cluster.one, ["node", "raw1", "sio1"]
        # the first ones wait until it is known that it is silent, and no longer
        self.assertEqual(self.names(crowd, one.run("fetch", timeout=20)), here)
        one.service.wait_for_line(lambda line: SILENT in line)
        for _ in range(3):
            self.assertEqual(self.names(crowd, one.run("fetch", timeout=1)), here)
            self.assertEqual(sorted(one.run("call", "ready?", timeout=1)), here)
            self.assertEqual(one.run("server_call", "asked", timeout=1), [{"node": "node", "args": []}])
            self.assertIsInstance(one.run("rooms", timeout=1), list)
        one.emit("news", 1)
        for name in here:
            crowd.clients[name].wait_for("news")

    def test_what_is_asked_when_it_stops_is_answered_by_the_others(self) -> None:
        cluster, crowd = self.gathered()
        for name in ("raw2", "sio2"):
            client = crowd.clients[name]
            if name == "raw2":
                client.answer = None  # type: ignore[union-attr]
            else:
                client.answer_with(None)  # type: ignore[union-attr]
        asked = cluster.node.begin("call", {"to": ["nobody"], "timeout": 20_000}, "ready?")
        self.assertEqual(asked.result(), {"answers": []})
        self.stop(cluster.two)
        self.assertEqual(sorted(cluster.one.run("call", "ready?", timeout=20)), ["node", "raw1", "sio1"])

    def test_node_waits_for_a_stopped_one_until_it_is_cut_off_and_it_comes_back_by_itself(self) -> None:
        cluster, crowd = self.gathered()
        self.stop(cluster.two)
        cluster.one.service.wait_for_line(lambda line: CUT in line)
        until(lambda: cluster.subscribers() == 2, "it is not subscribed any more")
        self.assertEqual(self.names(crowd, cluster.node.call("fetch", {})), ["node", "raw1", "sio1"])
        answers = cluster.node.call("call", {"timeout": 20_000}, "ready?")
        self.assertEqual(sorted(answers["answers"]), ["node", "raw1", "sio1"])
        cluster.two.service.process.send_signal(signal.SIGCONT)
        until(lambda: cluster.subscribers() == 3, "it is back")
        self.assertEqual(self.names(crowd, cluster.node.call("fetch", {})), sorted(crowd.NAMES))
        until(lambda: self.names(crowd, cluster.one.run("fetch")) == sorted(crowd.NAMES), "ours see it, too")
        crowd.settle()

    def test_a_node_that_was_stopped_for_some_seconds_counts_again(self) -> None:
        cluster = self.make("--max-connections-per-user", "2", with_node=False)
        cluster.one.drive("ann")
        cluster.two.drive("ben").ask("run", {"do": "join", "namespace": "/", "args": ["p"], "options": {}})

        def users() -> set[str]:
            return {one["user"] for one in cluster.one.run("presence", "p")["members"]}

        until(lambda: users() == {"ann", "ben"}, "both are there")
        self.stop(cluster.two)
        until(lambda: users() == {"ann"}, "it is taken for dead, and its marks are away")
        cluster.two.service.process.send_signal(signal.SIGCONT)
        until(lambda: users() == {"ann", "ben"}, "its marks are back")
        until(lambda: cluster.redis.ask("HLEN", "socket.io:ws:user:ben") == 1, "its user, too")
        second = cluster.raw("second", cluster.one, user="ben")
        self.addCleanup(second.close)
        second.ask("run", {"do": "served"})
        self.assertEqual(cluster.raw("third", cluster.one, user="ben").wait_left(), (4429, "Too many connections"))

    def test_a_killed_node_is_asked_no_more(self) -> None:
        cluster, crowd = self.gathered()
        cluster.two.service.stop(signal.SIGKILL)
        until(lambda: cluster.subscribers() == 2, "Redis has noticed")
        here = ["node", "raw1", "sio1"]
        for _ in range(3):
            self.assertEqual(self.names(crowd, cluster.node.call("fetch", {})), here)
            self.assertEqual(self.names(crowd, cluster.one.run("fetch", timeout=20)), here)
            self.assertEqual(sorted(cluster.one.run("call", "ready?", timeout=20)), here)
        for name in ("raw2", "sio2"):
            crowd.clients[name].wait_left()
        three = cluster.start_node("three")
        again = cluster.socketio("again", three)
        self.addCleanup(again.close)
        cluster.one.emit("news", 1)
        again.wait_for("news")
        self.assertEqual(len(cluster.node.call("fetch", {})), 4)
