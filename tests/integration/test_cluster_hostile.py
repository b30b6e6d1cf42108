"""Whoever reaches the Redis can publish anything: it is refused with one warning for each kind, and hurts nothing."""

from __future__ import annotations

import json
import pickle
import re
import struct
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.cluster_clients import RawClient
from tests.integration.mixed_cluster import Cluster, ClusterCase, OurNode

REFUSED = re.compile(r"a message on the channel (\S+) was refused \(([a-z -]+)\)")
CHANNELS = (
    "socket.io#/#",
    "socket.io#/#lobby#",
    "socket.io-request#/#",
    "socket.io-response#/#",
    "socket.io-request#/admin#",
    "socketio",
    "socket.io:ws:control",
)
#: kilobytes that a process may have grown by; the messages together are ten times as large
GROWTH = 100_000

pack = msgspec.msgpack.encode


class Bomb:
    """Who unpickles it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def by_hand(path: Path) -> list[bytes]:
    """What was made with malice, or by other adapters."""
    event = {"type": 2, "data": ["x", 1], "nsp": "/"}
    opts: dict[str, Any] = {"rooms": [], "except": [], "flags": {}}
    good = pack(["other1", event, opts])
    return [
        b"",
        pickle.dumps({"method": "emit", "event": "x", "data": Bomb(path)}),
        pickle.dumps(Bomb(path), protocol=0),
        # the streams adapter's, and the sharded one's, on the same channels
        pack({"uid": "0123456789abcdef", "nsp": "/", "type": 3, "data": {"packet": event, "opts": opts}}),
        json.dumps({"uid": "0123456789abcdef", "nsp": "/", "type": 3, "data": {"packet": event}}).encode(),
        # bombs
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xdd\xff\xff\xff\xff",
        b"\xdf\xff\xff\xff\xff",
        b"\xc6\xff\xff\xff\xff",
        pack(["other1", event, opts])[:-4] + b"\xdd\xff\xff\xff\xf0",
        pack(["other1", {**event, "data": ["x", *[[[[]]]] * 1000]}, opts])[:-1],
        # large
        b"\x93" + b"\xa6other1" + pack("x" * 5_500_000),
        pack(["other1", {**event, "data": ["x", bytes(5_500_000)]}, opts]),
        json.dumps({"uid": "other1", "type": 6, "data": ["x", "y" * 5_500_000]}).encode(),
        json.dumps({"method": "emit", "event": "x", "data": "y" * 5_500_000}).encode(),
        b"x" * 9_000_000,
        # nearly right
        good[:-1],
        good + b"\x00",
        pack(["other1", {**event, "data": ["connect"]}, opts]),
        pack(["other1", {**event, "data": []}, opts]),
        pack(["other1", {**event, "data": [None]}, opts]),
        pack(["other1", {**event, "type": 0}, opts]),
        pack(["other1", event, {"rooms": "lobby"}]),
        pack([7, event, opts]),
        pack(["other1", event, None]),
        pack(["other1", {**event, "data": ["x", msgspec.msgpack.Ext(99, b"abc")]}, opts])[:-1],
        b"\x93\xa6other1\x83\xa4type\x02\xa4data\x91\xa2\xff\xfe" + b"\xa3nsp\xa1/",
        json.dumps({"uid": "other1", "type": 99, "requestId": "r"}).encode(),
        json.dumps({"uid": "other1", "type": 5}).encode(),
        json.dumps({"uid": ["other1"], "type": "5", "requestId": {}}).encode(),
        json.dumps({"uid": "other1", "type": 2, "opts": [], "rooms": 5}).encode(),
        json.dumps({"uid": "other1", "type": 4, "sid": 5}).encode(),
        json.dumps({"requestId": "r", "sockets": 5}).encode(),
        json.dumps({"type": 8, "requestId": "r", "clientCount": -1}).encode(),
        b'{"type": 8, "requestId": "r", "clientCount": 1e999}',
        b'{"type": ' + b"9" * 10_000 + b"}",
        json.dumps(
            {"method": "emit", "event": "x", "data": [{"_placeholder": True, "num": 9}], "binary": True}
        ).encode(),
        json.dumps({"method": "close_room", "room": {}, "namespace": 1}).encode(),
        json.dumps({"type": "ended", "node": "n", "session": 1, "until": "soon"}).encode(),
        json.dumps({"type": "nothing", "node": "n"}).encode(),
    ]


def made() -> list[bytes]:
    """What hypothesis makes: bytes, MessagePack and JSON of any values, and members of our formats with such values."""
    corpus: list[bytes] = []
    leaf = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats() | st.text() | st.binary(max_size=20)
    values = st.recursive(leaf, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
    # no number is a type that means something
    names = st.sampled_from(["uid", "requestId", "type", "opts", "packet", "data", "rooms", "sockets", "method", "sid"])
    objects = st.dictionaries(names, values.filter(lambda value: type(value) is not int))

    @settings(max_examples=300, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=200), values, objects)
    def collect(raw: bytes, value: Any, members: dict[str, Any]) -> None:
        corpus.append(raw)
        corpus.extend(pack(one) for one in (value, members, [members, value, members], ["uid", members, members]))
        corpus.extend(msgspec.json.encode(one) for one in (value, members))

    collect()
    return corpus


def publish(cluster: Cluster, channel: str, payloads: list[bytes]) -> None:
    """Publish them all."""
    for payload in payloads:
        cluster.redis.ask("PUBLISH", channel, payload)


class HostileTests(ClusterCase):
    def prepare(self) -> tuple[Cluster, dict[str, RawClient]]:
        cluster = self.make(with_node=False)
        # By default Redis cuts off who is 32 MB behind, as a node on a busy machine is here.
        cluster.redis.ask("CONFIG", "SET", "client-output-buffer-limit", "pubsub 0 0 0")
        clients = {node.name: node.drive(f"at {node.name}") for node in (cluster.one, cluster.two)}
        for name in ("one", "two"):
            getattr(cluster, name).run("join", "lobby", user=f"at {name}")
        return cluster, clients

    def memory(self, node: OurNode) -> int:
        """Kilobytes that the process has."""
        text = Path(f"/proc/{node.service.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])  # type: ignore[index]

    def check(self, cluster: Cluster, clients: dict[str, RawClient]) -> None:
        """All work, and there is one warning for each kind."""
        for node in (cluster.one, cluster.two):
            node.emit("still", node.name)
            node.emit("in the lobby", node.name, room="lobby")
        for client in clients.values():
            client.wait_for("still", 2)
            client.wait_for("in the lobby", 2)
            expected = [[event, name] for event in ("in the lobby", "still") for name in ("one", "two")]
            self.assertEqual(sorted(client.heard), expected)
        for node in (cluster.one, cluster.two):
            self.assertEqual(len(node.run("fetch", timeout=20)), 2)
            self.assertTrue(node.is_ready)
            said = Counter(REFUSED.findall(node.service.log))
            self.assertTrue(said)
            self.assertEqual(max(said.values()), 1, said)

    def test_what_was_made_with_malice(self) -> None:
        cluster, clients = self.prepare()
        trap = cluster.folder / "unpickled"
        payloads = by_hand(trap)
        before = {node.name: self.memory(node) for node in (cluster.one, cluster.two)}
        for channel in CHANNELS:
            publish(cluster, channel, payloads)
        self.check(cluster, clients)
        self.assertFalse(trap.exists())
        for node in (cluster.one, cluster.two):
            self.assertLess(self.memory(node) - before[node.name], GROWTH, node.name)
            node.service.stop()
            # each pickle is refused, and counted
            counted = re.findall(r"cluster_refused/([a-z ]+)=(\d+)", node.service.log)
            self.assertGreater(sum(int(number) for _, number in counted), 100)

    def test_what_hypothesis_made(self) -> None:
        cluster, clients = self.prepare()
        payloads = made()
        with cluster.redis._connect() as connection:
            for channel in CHANNELS:
                name = channel.encode()
                for payload in payloads:
                    connection.sendall(
                        b"*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n" % (len(name), name, len(payload), payload)
                    )
                    answer = connection.recv(100)
                    self.assertTrue(answer.startswith(b":2"), answer)
        self.check(cluster, clients)

    def test_what_stands_in_our_keys_is_read_with_care(self) -> None:
        cluster, clients = self.prepare()
        ask = cluster.redis.ask
        for junk in (b"", b"junk", b"a:b:c", b"\xff\xfe:\x80", b"0.1:x"):
            for key in ("in:/,lobby", "all:/", "user:at one", "about"):
                ask("HSET", f"socket.io:ws:{key}", junk, b"\xff junk")
            ask("ZADD", "socket.io:ws:nodes", 9_999_999_999_999, junk)
            ask("ZADD", "socket.io:ws:ended", "+inf", junk)
        ask("HSET", "socket.io:ws:about", "junk", struct.pack("<Q", 7))
        for node in (cluster.one, cluster.two):
            found = {one["user"] for one in node.run("presence", "lobby")["members"]}
            self.assertEqual(found, {"at one", "at two"})
            self.assertEqual(len(node.run("fetch", timeout=20)), 2)
        # a key of another type is a fault of its own, and no more than that
        ask("DEL", "socket.io:ws:in:/,lobby")
        ask("SET", "socket.io:ws:in:/,lobby", "text")
        found = cluster.one.run("presence", "lobby")
        self.assertEqual(([one["user"] for one in found["members"]], found["complete"]), (["at one"], False))
        cluster.one.emit("still", 1)
        for client in clients.values():
            client.wait_for("still")
