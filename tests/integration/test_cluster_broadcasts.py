"""Broadcasts in a cluster of wsservice and Node's socket.io: each client gets exactly the right ones, once.

Each case is sent by our app on node one, by our app on node two and by Node's server; all clients are looked at.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from tests.integration.mixed_cluster import Cluster, ClusterCase, Crowd

#: whom: rooms, exceptions (`$name` is that client's id) -> who gets it
CASES: dict[str, tuple[str, str, str]] = {
    "everybody": ("", "", "raw1 sio1 raw2 sio2 node"),
    "one room": ("a", "", "raw1 sio2 node"),
    "several rooms, each client once": ("a b", "", "raw1 sio1 raw2 sio2 node"),
    "all but a room": ("", "a", "sio1 raw2"),
    "a room but another room": ("a", "b", "raw1 node"),
    "rooms but one client": ("a b", "$raw1", "sio1 raw2 sio2 node"),
    "a raw client by its id": ("$raw2", "", "raw2"),
    "a socket.io client by its id": ("$sio1", "", "sio1"),
    "a client of Node's by its id": ("$node", "", "node"),
    "two clients by their ids": ("$node $raw1", "", "raw1 node"),
    "a room of nobody": ("nobody", "", ""),
    "a room with a strange name": ("x*[y]#é", "", "raw2 node"),
    "a room that is a number": ("7", "", "sio2 node"),
}
MEMBERS = {"raw1": "a", "sio1": "b", "raw2": "b x*[y]#é", "sio2": "a b 7", "node": "a x*[y]#é 7"}

Send = Callable[..., None]


def senders(cluster: Cluster) -> dict[str, Send]:
    """By name: send(event, *args, rooms, but, volatile)."""

    def by_ours(name: str) -> Send:
        def send(event: str, *args: Any, rooms: list[str], but: list[str], volatile: bool = False) -> None:
            node = getattr(cluster, name)
            options = {"room": rooms or None, "except_room": but or None, "volatile": volatile}
            node.emit(event, *args, **options)

        return send

    def by_program(program: str, function: str) -> Send:
        def send(event: str, *args: Any, rooms: list[str], but: list[str], volatile: bool = False) -> None:
            options = {"to": rooms, "except": but, "volatile": volatile}
            getattr(cluster, program).call(function, options, event, *args)

        return send

    return {
        "one": by_ours("one"),
        "two": by_ours("two"),
        "node": by_program("node", "emit"),
        "emitter": by_program("clients", "emitterEmit"),
    }


class BroadcastTests(ClusterCase):
    def names(self, crowd: Crowd, text: str) -> list[str]:
        return [crowd.ids[name[1:]] if name.startswith("$") else name for name in text.split()]

    def test_each_target_from_each_sender(self) -> None:
        cluster, crowd = self.shared()
        crowd.enter(**MEMBERS)
        for sender, send in senders(cluster).items():
            for case, (rooms, but, _) in CASES.items():
                send(f"{sender}: {case}", 1, rooms=self.names(crowd, rooms), but=self.names(crowd, but))
        crowd.settle()
        for sender in senders(cluster):
            for case, (_, _, who) in CASES.items():
                event = f"{sender}: {case}"
                self.assertEqual(crowd.who_heard(event), self.everybody_once(*who.split()), event)

    def test_what_one_sender_says_arrives_in_its_order(self) -> None:
        cluster, crowd = self.shared()
        for sender, send in senders(cluster).items():
            for number in range(50):
                send(sender, number, rooms=[], but=[])
        crowd.settle()
        for name in crowd.NAMES:
            for sender in senders(cluster):
                got = [data for event, data in crowd.heard(name) if event == sender]
                self.assertEqual(got, list(range(50)), (name, sender))

    def test_volatile_ones_reach_clients_that_keep_up(self) -> None:
        cluster, crowd = self.shared()
        crowd.settle()
        on_websockets = [name for name in crowd.NAMES if name != "sio2"]  # without a poll that waits a client is behind
        for sender, send in senders(cluster).items():
            send(sender, "tick", rooms=[], but=[], volatile=True)
            for name in on_websockets:
                crowd.clients[name].wait_for(sender)
        crowd.settle()
        for sender in senders(cluster):
            heard = crowd.who_heard(sender)
            self.assertLessEqual(heard.pop("sio2", 0), 1)
            self.assertEqual(heard, self.everybody_once(*on_websockets))

    def test_arguments_of_all_kinds_and_bytes_at_any_depth(self) -> None:
        cluster, crowd = self.shared()
        data = bytes(range(256))
        text = base64.b64encode(data).decode()
        cases: list[tuple[list[Any], Any]] = [
            ([], None),
            ([None], None),
            ([1, "two", [3.5, {"four": None}]], [1, "two", [3.5, {"four": None}]]),
            ([data], text),
            ([{"deep": [data, {"er": b""}]}, b"\0"], [{"deep": [text, {"er": ""}]}, "AA=="]),
            (["\N{SNOWMAN} \U0001f600 \0 \u2028"], "\N{SNOWMAN} \U0001f600 \0 \u2028"),
            ([2**53 - 1, -1, 1.5e-300, True], [2**53 - 1, -1, 1.5e-300, True]),
        ]
        for sender, send in senders(cluster).items():
            for number, (args, _) in enumerate(cases):
                send(f"{sender} {number}", *args, rooms=[], but=[])
        crowd.settle()
        expected = [
            [f"{sender} {number}", data] for sender in senders(cluster) for number, (_, data) in enumerate(cases)
        ]
        for name in crowd.NAMES:
            self.assertEqual(sorted(crowd.heard(name)), sorted(expected), name)

    def test_to_users_and_sessions_which_only_our_nodes_know(self) -> None:
        cluster, crowd = self.shared()
        cluster.one.emit("to users", 1, user=["raw2", "sio1"])
        cluster.two.emit("to a user and a room", 1, user="raw1", room=crowd.ids["node"])
        cluster.two.emit("to nobody", 1, user="somebody else")
        cluster.one.emit("to a user but", 1, user=["raw2", "sio2"], skip=[crowd.ids["sio2"]])
        crowd.settle()
        self.assertEqual(crowd.who_heard("to users"), {"sio1": 1, "raw2": 1})
        self.assertEqual(crowd.who_heard("to a user and a room"), {"raw1": 1, "node": 1})
        self.assertEqual(crowd.who_heard("to nobody"), {})
        self.assertEqual(crowd.who_heard("to a user but"), {"raw2": 1})

    def test_local_ones_stay_where_they_are(self) -> None:
        cluster, crowd = self.shared()
        cluster.one.emit("local", 1, local=True)
        cluster.node.call("emit", {"local": True}, "local of node", 1)
        crowd.settle()
        self.assertEqual(crowd.who_heard("local"), {"raw1": 1, "sio1": 1})
        self.assertEqual(crowd.who_heard("local of node"), {"node": 1})

    def test_a_client_of_node_speaks_to_all(self) -> None:
        _, crowd = self.shared()
        client = crowd.clients["node"]
        client.emit("say", {"to": [crowd.ids["raw1"], crowd.ids["sio2"]]}, "hello", "from node")  # type: ignore[union-attr]
        for name in ("raw1", "sio2"):
            crowd.clients[name].wait_for("hello")
        crowd.settle()
        self.assertEqual(crowd.who_heard("hello"), {"raw1": 1, "sio2": 1})


class RecordedBroadcastTests(BroadcastTests):
    """The same, where clients can recover: then events go through a stream of Redis's."""

    arguments = ("--recovery", "60")
