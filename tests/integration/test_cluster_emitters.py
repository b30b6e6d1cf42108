"""Programs without clients that reach those of a cluster: @socket.io/redis-emitter, and python-socketio's RedisManager.

What @socket.io/redis-emitter does to rooms is in test_cluster_changes, and its broadcasts are in
test_cluster_broadcasts, beside those of the nodes.
"""

from __future__ import annotations

import base64
import logging
import threading
from typing import Any

import socketio

from tests.integration.cluster_clients import SOON
from tests.integration.mixed_cluster import ClusterCase, Crowd, until


class PythonTests(ClusterCase):
    """python-socketio reaches our clients; Node's do not hear its channel."""

    OURS = ("raw1", "sio1", "raw2", "sio2")

    def manager(self, crowd: Crowd, **options: Any) -> Any:
        """A RedisManager of whom the cluster hears."""
        return socketio.RedisManager(crowd.cluster.redis.url, **options)

    def settle(self, crowd: Crowd, manager: Any) -> None:
        """Wait until our clients have heard its last word."""
        manager.emit("last word", {}, namespace="/")
        for name in self.OURS:
            crowd.clients[name].wait_for("last word")
        crowd.settle()

    def test_everybody_rooms_and_who_is_left_out(self) -> None:
        _, crowd = self.shared()
        crowd.enter(raw1="a", sio2="a", sio1="b", raw2="b")
        manager = self.manager(crowd, write_only=True)
        ids = crowd.ids
        manager.emit("all", {"n": 1}, namespace="/")
        manager.emit("a", "text", namespace="/", room="a")
        manager.emit("a and b", 1, namespace="/", room=["a", "b"])
        manager.emit("one client", 1, namespace="/", room=ids["raw2"])
        manager.emit("all but one", 1, namespace="/", skip_sid=ids["raw1"])
        manager.emit("all but two", 1, namespace="/", skip_sid=[ids["raw1"], ids["sio1"]])
        manager.emit("nobody", 1, namespace="/", room="nobody")
        self.settle(crowd, manager)
        for event, who in {
            "all": self.OURS,
            "a": ("raw1", "sio2"),
            "a and b": self.OURS,
            "one client": ("raw2",),
            "all but one": ("sio1", "raw2", "sio2"),
            "all but two": ("raw2", "sio2"),
            "nobody": (),
        }.items():
            self.assertEqual(crowd.who_heard(event), self.everybody_once(*who), event)

    def test_arguments_and_bytes(self) -> None:
        _, crowd = self.shared()
        manager = self.manager(crowd, write_only=True)
        data = bytes(range(256))
        text = base64.b64encode(data).decode()
        cases = [(None, None), ((), None), ((1, "two"), [1, "two"]), ([1, 2], [1, 2]), ({"a": [data]}, {"a": [text]})]
        for number, (argument, _) in enumerate(cases):
            manager.emit(f"case {number}", argument, namespace="/")
        manager.emit("bytes", data, namespace="/")
        self.settle(crowd, manager)
        for name in self.OURS:
            heard = dict(crowd.heard(name))
            for number, (argument, expected) in enumerate(cases):
                self.assertEqual(heard[f"case {number}"], expected, (name, argument))
            self.assertEqual(heard["bytes"], text, name)

    def test_namespaces(self) -> None:
        cluster, crowd = self.shared()
        admin = cluster.socketio("admin", cluster.two, "/admin")
        self.addCleanup(admin.close)
        manager = self.manager(crowd, write_only=True)
        manager.emit("for admins", 1, namespace="/admin")
        admin.wait_for("for admins")
        self.settle(crowd, manager)
        self.assertEqual(admin.heard, [["for admins", 1]])
        self.assertEqual(crowd.who_heard("for admins"), {})

    def test_rooms_and_disconnections(self) -> None:
        cluster, crowd = self.shared()
        ids = crowd.ids
        manager = self.manager(crowd, write_only=True)
        members = lambda: {one["id"] for one in cluster.node.call("fetch", {"to": ["p"]})}  # noqa: E731
        for name in ("raw1", "sio2", "raw2"):
            manager.enter_room(ids[name], "/", "p")
        until(lambda: members() == {ids["raw1"], ids["sio2"], ids["raw2"]}, "all are in the room")
        manager.leave_room(ids["sio2"], "/", "p")
        until(lambda: members() == {ids["raw1"], ids["raw2"]}, "one has left")
        manager.close_room("p", "/")
        until(lambda: members() == set(), "the room is closed")
        crowd.settle()

    def serve(self, crowd: Crowd) -> tuple[Any, Any]:
        """A server of python-socketio with its manager, which hears what the cluster answers."""
        ended = threading.Event()

        class Manager(socketio.RedisManager):  # type: ignore[misc]
            """Its thread ends with the test; the original's never does."""

            def _redis_listen_with_retries(self) -> Any:
                for message in super()._redis_listen_with_retries():
                    if ended.is_set():
                        return
                    yield message

        manager = Manager(crowd.cluster.redis.url)
        quiet = logging.Logger("of no interest: that the thread ends", logging.CRITICAL)
        server = socketio.Server(client_manager=manager, async_mode="threading", logger=quiet)
        manager.initialize()

        def end() -> None:
            ended.set()
            crowd.cluster.redis.ask("PUBLISH", "socketio", '{"method": "callback"}')
            manager.thread.join(SOON)

        self.addCleanup(end)
        until(lambda: crowd.cluster.redis.ask("PUBSUB", "NUMSUB", "socketio")[1] == 3, "it listens")
        return manager, server

    def test_a_server_of_it_disconnects_our_clients(self) -> None:
        cluster, crowd = self.shared()
        manager, _ = self.serve(crowd)
        manager.disconnect(crowd.ids["sio1"], "/")
        self.assertEqual(crowd.clients.pop("sio1").wait_left(), "io server disconnect")
        third = cluster.raw("third", cluster.two)
        self.addCleanup(third.close)
        third.ask("run", {"do": "served"})  # it is let in
        (found,) = cluster.two.run("fetch", user="third")
        manager.disconnect(found["id"], "/")
        self.assertEqual(third.wait_left()[0], 1000)
        crowd.settle()

    def test_acknowledgements_come_back_to_a_server_of_it(self) -> None:
        _, crowd = self.shared()
        _, server = self.serve(crowd)
        for name in ("raw1", "sio2", "raw2"):
            answered = threading.Event()
            got: list[Any] = []

            def callback(*args: Any, got: list[Any] = got, answered: threading.Event = answered) -> None:
                got.extend(args)
                answered.set()

            server.emit("ready?", {"n": 1}, to=crowd.ids[name], callback=callback)
            self.assertTrue(answered.wait(SOON), name)
            self.assertEqual(got, [name])
        crowd.settle()
        self.assertEqual(crowd.who_heard("ready?"), self.everybody_once("raw1", "sio2", "raw2"))
