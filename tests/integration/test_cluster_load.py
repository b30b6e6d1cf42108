"""Redis is killed and started while a node emits all the time: what is lost is counted, and nothing comes twice."""

from __future__ import annotations

import re
import threading
from collections import Counter

from tests.integration.mixed_cluster import ClusterCase, until


class LoadTests(ClusterCase):
    def test_what_is_lost_under_load_is_counted(self) -> None:
        cluster = self.make("--adapter-timeout", "1", "--adapter-queue-bytes", "20000", with_node=False)
        one, two = cluster.one, cluster.two
        sender, receiver = one.drive("sender"), two.drive("receiver")
        ended, emits = threading.Event(), threading.Event()
        emits.set()
        sent: list[int] = []

        def emit_all() -> None:
            while not ended.is_set():
                emits.wait()
                one.emit("number", len(sent))
                sent.append(len(sent))

        emitting = threading.Thread(target=emit_all)
        emitting.start()
        try:
            receiver.wait_for("number", 100)
            # What Redis has taken and not passed on when it dies, nobody can count.
            emits.clear()
            one.emit("so far", -1)
            receiver.wait_for("so far")
            cluster.wait_until_counted()
            cluster.redis.kill()
            emits.set()
            until(lambda: not one.is_ready and not two.is_ready, "/ready is red")
            count = len(sent)
            until(lambda: len(sent) > count + 300, "more is sent than the queue takes")
            cluster.redis.start()
            until(lambda: one.is_ready and two.is_ready, "/ready is green")
            until(lambda: [data for event, data in receiver.heard[-1:] if data > len(sent) - 20], "it is heard again")
        finally:
            ended.set()
            emits.set()
            emitting.join()
        one.emit("the last", 1)
        receiver.wait_for("the last")
        numbers = [data for event, data in receiver.heard if event == "number"]
        self.assertEqual(numbers, sorted(set(numbers)), "each once, in order")
        self.assertEqual([data for event, data in sender.heard if event == "number"], sent)
        one.service.stop()
        log = one.service.log
        found = {word: int(number) for word, number in re.findall(r"cluster_dropped/(\w+)=(\d+)", log)}
        counts = Counter(found)
        lost = len(sent) - len(numbers)
        self.assertGreater(counts["queue_full"], 0)
        # an uncertain one may have arrived
        self.assertLessEqual(counts["queue_full"], lost, counts)
        self.assertLessEqual(lost, counts["queue_full"] + counts["uncertain"], counts)
