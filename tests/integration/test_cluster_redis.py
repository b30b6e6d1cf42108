"""Redis is killed, restarted, stopped: clients of a process hear one another all the time, and then all do again."""

from __future__ import annotations

import re
import signal

from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd, until

QUEUE_BYTES = 4000


class RedisTests(ClusterCase):
    def gathered(self, *arguments: str) -> tuple[Cluster, Crowd]:
        cluster = self.make("--adapter-timeout", "1", *arguments)
        crowd = Crowd(cluster)
        self.addCleanup(lambda: [client.close() for name, client in crowd.clients.items() if name != "node"])
        crowd.gather()
        return cluster, crowd

    def until_red(self, cluster: Cluster) -> None:
        until(lambda: not cluster.one.is_ready and not cluster.two.is_ready, "/ready is red")

    def until_green(self, cluster: Cluster) -> None:
        until(lambda: cluster.one.is_ready and cluster.two.is_ready, "/ready is green")

    def check_local(self, cluster: Cluster, crowd: Crowd, word: str) -> None:
        """Each node reaches its own clients."""
        cluster.one.emit(f"{word} one", 1)
        cluster.two.emit(f"{word} two", 1, room=[crowd.ids["raw2"], crowd.ids["sio2"]])
        for name in ("raw1", "sio1"):
            crowd.clients[name].wait_for(f"{word} one")
        for name in ("raw2", "sio2"):
            crowd.clients[name].wait_for(f"{word} two")

    def check_whole(self, cluster: Cluster, crowd: Crowd) -> None:
        """All hear all, once, and all questions are answered."""
        until(lambda: cluster.subscribers() == 3, "all are subscribed")
        until(lambda: cluster.node.call("serverCount", "/") == 3, "Node is there, too")
        crowd.settle()
        ids = set(crowd.ids.values())
        self.assertEqual({one["id"] for one in cluster.node.call("fetch", {})}, ids)
        self.assertEqual({one["id"] for one in cluster.two.run("fetch")}, ids)
        users = {"raw1", "raw2", "sio1", "sio2"}
        until(lambda: {one["user"] for one in cluster.one.run("presence")["members"]} == users, "presence is back")

    def test_killed_and_started_again(self) -> None:
        cluster, crowd = self.gathered()
        for turn in ("first", "second"):
            cluster.redis.kill()
            self.until_red(cluster)
            self.check_local(cluster, crowd, turn)
            told = cluster.one.run("fetch")
            self.assertEqual(len(told["late"]), 2, told)
            self.assertIs(cluster.one.run("presence")["complete"], False)
            cluster.redis.start()
            self.until_green(cluster)
            self.check_whole(cluster, crowd)
            heard = crowd.who_heard(f"{turn} one")
            self.assertEqual((heard.pop("raw1"), heard.pop("sio1")), (1, 1))
            self.assertLessEqual(max(heard.values(), default=0), 1)

    def test_stopped_and_continued(self) -> None:
        cluster, crowd = self.gathered()
        cluster.redis.freeze()
        self.addCleanup(cluster.redis.thaw)
        self.check_local(cluster, crowd, "at once")
        self.until_red(cluster)
        self.check_local(cluster, crowd, "red")
        cluster.redis.thaw()
        self.until_green(cluster)
        self.check_whole(cluster, crowd)
        for event in ("at once one", "red one"):
            self.assertLessEqual(max(crowd.who_heard(event).values()), 1, event)

    def test_connections_that_break_come_back(self) -> None:
        cluster, crowd = self.gathered()
        for kind in ("pubsub", "normal", "pubsub"):
            cluster.redis.ask("CLIENT", "KILL", "TYPE", kind)
            self.check_local(cluster, crowd, kind)
            self.until_green(cluster)
            self.check_whole(cluster, crowd)

    def test_a_service_that_starts_without_redis_serves_and_joins_later(self) -> None:
        cluster, crowd = self.gathered()
        cluster.redis.kill()
        self.until_red(cluster)
        three = cluster.start_node("three", is_ready=False)
        third = three.drive("third")
        three.emit("alone", 1)
        third.wait_for("alone")
        cluster.redis.start()
        until(lambda: cluster.subscribers() == 4, "all four are subscribed")
        until(lambda: three.is_ready, "/ready is green")
        cluster.one.emit("together", 1)
        third.wait_for("together")
        crowd.settle()

    def test_what_is_said_while_it_is_away_reaches_those_of_the_others(self) -> None:
        """Whoever comes back first waits for the others, who would not hear it."""
        cluster, crowd = self.gathered()
        cluster.wait_until_counted()
        cluster.redis.kill()
        self.until_red(cluster)
        for number in range(20):
            cluster.one.emit("of one", number)
            cluster.two.emit("of two", number)
        cluster.redis.start()
        self.until_green(cluster)
        for client in crowd.clients.values():
            for event in ("of one", "of two"):
                client.wait_for(event, 20)
        self.check_whole(cluster, crowd)
        for name in crowd.NAMES:
            for event in ("of one", "of two"):
                self.assertEqual([data for one, data in crowd.heard(name) if one == event], list(range(20)), name)

    def test_what_waits_is_bounded_and_what_is_lost_is_counted_rightly(self) -> None:
        cluster, crowd = self.gathered("--adapter-queue-bytes", str(QUEUE_BYTES))
        cluster.redis.kill()
        self.until_red(cluster)
        for number in range(200):
            cluster.one.emit("number", number)
        crowd.clients["sio1"].wait_for("number", 200)
        # The others shall hear what waits: they are back before it is sent.
        cluster.one.service.process.send_signal(signal.SIGSTOP)
        self.addCleanup(cluster.one.service.process.send_signal, signal.SIGCONT)
        cluster.redis.start()
        until(lambda: cluster.subscribers() == 2, "the others are subscribed")
        until(lambda: cluster.two.is_ready, "/ready is green")
        cluster.one.service.process.send_signal(signal.SIGCONT)
        self.until_green(cluster)
        cluster.one.emit("the last", 1)
        for name in ("raw2", "sio2", "node"):
            crowd.clients[name].wait_for("the last")
        got = [data for event, data in crowd.heard("raw2") if event == "number"]
        for name in ("sio2", "node"):
            self.assertEqual([data for event, data in crowd.heard(name) if event == "number"], got, name)
        self.assertEqual(got, list(range(200 - len(got), 200)))
        self.assertTrue(0 < len(got) < 100, len(got))
        self.assertEqual([data for event, data in crowd.heard("raw1") if event == "number"], list(range(200)))
        cluster.one.service.stop()
        counted = re.search(r"cluster_dropped/queue_full=(\d+)", cluster.one.service.log)
        assert counted is not None, cluster.one.service.log[-3000:]
        self.assertEqual(int(counted[1]), 200 - len(got))
        self.assertNotIn("cluster_dropped/uncertain", cluster.one.service.log)


class FullTests(ClusterCase):
    """Redis has no memory left: it takes no writes, and publishes all the same."""

    def check(self, cluster: Cluster) -> None:
        one, two = cluster.one, cluster.two
        one.drive("first")
        second = two.drive("second")
        cluster.redis.ask("CONFIG", "SET", "maxmemory", "1")
        until(lambda: not one.is_ready and not two.is_ready, "/ready is red")
        one.emit("full", 1)
        second.wait_for("full")
        late = cluster.raw("late", two)
        self.addCleanup(late.close)
        cluster.redis.ask("CONFIG", "SET", "maxmemory", "0")
        until(lambda: one.is_ready and two.is_ready, "/ready is green")
        users = {"first", "second", "late"}
        until(lambda: {who["user"] for who in one.run("presence")["members"]} == users, "presence is right again")
        one.emit("again", 2)
        second.wait_for("again")
        self.assertEqual([event for event, _ in second.heard if event in ("full", "again")], ["full", "again"])
        for node in (one, two):
            self.assertIn("Redis takes no signs of life of this node (OOM ", node.service.log)
            self.assertNotIn("is another application", node.service.log)

    def test_without_recovery(self) -> None:
        self.check(self.make("--adapter-timeout", "1", with_node=False))

    def test_with_recovery_events_are_sent_unrecorded(self) -> None:
        cluster = self.make("--adapter-timeout", "1", "--recovery", "60", with_node=False)
        self.check(cluster)
        self.assertIn("Redis does not record events (OOM ", cluster.one.service.log)
