"""Events of other programs: recorded by one node, once, whoever that is."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.cluster import Client, Cluster, Node


class OthersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.first, self.second = self.cluster.start(), self.cluster.start()
        self.one, self.two = self.cluster.client(self.first), self.cluster.client(self.second)
        self.cluster.advance(2.0)

    def recorder(self) -> tuple[Node, Node]:
        """The recorder, and the other one."""
        holder = (self.cluster.redis.get(b"socket.io:ws:recorder") or b"").decode().partition(".")[0]
        nodes = [self.first, self.second]
        recorder = next(node for node in nodes if node.id == holder)
        nodes.remove(recorder)
        return recorder, nodes[0]

    def client_of(self, node: Node) -> Client:
        return self.one if node is self.first else self.two

    def recorded(self) -> int:
        return sum(fields[0] == b"m" for _, fields in self.cluster.redis.stream)

    def assertAllGot(self, *numbers: int) -> None:
        self.cluster.settle()
        for client in self.cluster.clients:
            self.assertEqual(client.events, list(numbers))
        self.assertEqual(self.recorded(), len(numbers))

    def test_one_node_records_it_and_it_can_be_recovered(self) -> None:
        self.cluster.emit(1)
        self.assertAllGot(1)
        self.one.cut()
        self.cluster.emit(2)
        self.cluster.settle()
        self.one.come(self.second)
        self.assertAllGot(1, 2)

    def test_equal_events_are_events_each(self) -> None:
        for _ in range(3):
            self.cluster.emit(7)
        self.assertAllGot(7, 7, 7)

    def test_when_the_recorder_dies_before_it_the_next_one_records(self) -> None:
        recorder, other = self.recorder()
        self.cluster.emit(1)
        self.cluster.clients.remove(self.client_of(recorder))
        recorder.kill()
        self.cluster.advance(6.0)
        self.assertAllGot(1)
        self.assertEqual(self.recorder()[0] if other is self.first else other, other)

    def test_when_the_recorder_dies_behind_it_nobody_records_it_again(self) -> None:
        recorder, other = self.recorder()
        self.cluster.emit(1)
        recorder.link.hear()
        recorder.link.execute()
        self.cluster.clients.remove(self.client_of(recorder))
        recorder.kill()
        self.cluster.redis.values.clear()  # the lease is over
        other.link.hear(1)  # the event, and not yet that it is recorded
        self.cluster.clock.advance(1.0)
        other.link.execute()
        other.link.answer()  # it has the lease
        other.link.execute()
        self.assertAllGot(1)

    def test_a_recorder_that_was_cut_off_does_not_record_again_what_it_had_sent(self) -> None:
        recorder, _ = self.recorder()
        self.cluster.emit(1)
        recorder.link.hear()
        late = self.cluster.redis.late
        recorder.link.cut_commands(late=True)
        kept = list(late)
        late.clear()
        recorder.link.connect()
        self.cluster.settle()
        late.extend(kept)  # only now does Redis do what the old connection had sent
        self.assertAllGot(1)

    def test_what_the_recorder_has_not_heard_another_one_records(self) -> None:
        recorder, _ = self.recorder()
        recorder.link.cut_subscriptions()
        self.cluster.emit(1)
        recorder.link.connect()
        self.cluster.advance(5.0)
        self.assertAllGot(1)
        self.assertEqual(self.second.count("cluster_faults", "unrecorded"), 0)

    def test_where_nothing_can_be_recorded_it_is_delivered_soon_and_by_each_node_once(self) -> None:
        self.cluster.redis.refuses = "OOM command not allowed when used memory > 'maxmemory'."
        self.cluster.emit(1)
        self.cluster.advance(4.0)
        self.assertEqual((self.one.events, self.two.events, self.recorded()), ([1], [1], 0))
        self.cluster.redis.refuses = ""
        self.cluster.advance(4.0)
        self.cluster.emit(2)
        self.cluster.settle()
        self.assertEqual((self.one.events, self.two.events, self.recorded()), ([1, 2], [1, 2], 1))

    def test_without_redis_it_is_delivered_in_the_end_and_not_again_when_it_is_recorded_all_the_same(self) -> None:
        self.cluster.emit(1)
        for node in self.cluster.nodes:
            node.link.hear()
            node.link.cut_commands()
        self.second.link.connect()
        self.second.link.sent.clear()  # Redis hangs
        self.cluster.clock.advance(11.0)
        self.one.hear()
        self.assertEqual(self.one.events, [1])
        self.assertEqual(self.first.count("cluster_faults", "unrecorded"), 1)
        self.cluster.heal()
        self.cluster.advance(3.0)
        self.assertEqual((self.one.events, self.two.events), ([1], [1]))

    def test_what_comes_in_another_form_is_the_same_message_on_each_node(self) -> None:
        message = {"method": "emit", "event": "said", "data": [1], "binary": False, "namespace": "/"}
        message |= {
            "room": [f"room{number}" for number in range(20)],
            "skip_sid": None,
            "callback": None,
            "host_id": "x",
        }
        for node in self.cluster.nodes:
            (connection,) = node.bench.connections()
            connection.join("room3")
        self.cluster.redis.publish(b"socketio", json.dumps(message).encode())
        self.cluster.advance(15.0)
        self.assertAllGot(1)

    def test_volatile_ones_are_not_recorded(self) -> None:
        self.first.say(1, volatile=True)
        self.cluster.settle()
        self.assertEqual((self.one.events, self.two.events, self.recorded()), ([1], [1], 0))
