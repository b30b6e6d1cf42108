"""Tests of wsservice.emitter: what it publishes, read by the codecs of the nodes."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import emitter as module
from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis.classic_broadcast import decode_broadcast
from wsservice.adapters.redis.classic_packets import decode_request
from wsservice.adapters.redis.url import RedisUrl
from wsservice.emitter import Emitter
from wsservice.messages import Broadcast, Target


class FakeRedis:
    """Remembers what was published; as many as `heard` hear it."""

    def __init__(self) -> None:
        self.published: list[tuple[bytes, bytes]] = []
        self.heard: Any = 3

    def publish(self, channel: bytes, message: bytes) -> Any:
        self.published.append((channel, message))
        return self.heard


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.redis = FakeRedis()
        self.emitter = Emitter(client=self.redis)

    def one(self) -> tuple[bytes, bytes]:
        """What was published, once."""
        (published,) = self.redis.published
        return published

    def request(self, namespace: str = "/") -> Any:
        """The request that was published, on the namespace's channel."""
        channel, payload = self.one()
        self.assertEqual(channel, f"socket.io-request#{namespace}#".encode())
        return decode_request(payload, namespace)


class EmitTests(Base):
    def test_to_everybody(self) -> None:
        self.assertEqual(self.emitter.emit("news", {"a": 1}, b"\x00"), 3)
        channel, payload = self.one()
        received = decode_broadcast(payload)
        self.assertEqual(channel, b"socket.io#/#")
        self.assertEqual(received.uid, "emitter")
        self.assertEqual(received.broadcast, Broadcast("news", ({"a": 1}, b"\x00"), Target()))

    def test_to_one_room_on_its_own_channel(self) -> None:
        self.emitter.emit("news", room="lobby", volatile=True)
        channel, payload = self.one()
        self.assertEqual(channel, b"socket.io#/#lobby#")
        expected = Broadcast("news", (), Target(rooms=frozenset({"lobby"})), volatile=True)
        self.assertEqual(decode_broadcast(payload).broadcast, expected)

    def test_to_users_and_sessions(self) -> None:
        self.emitter.emit("news", user=["ann", "bob"], session="s", except_room="muted")
        expected = Target(users=frozenset({"ann", "bob"}), sessions=frozenset({"s"}), except_rooms=frozenset({"muted"}))
        self.assertEqual(decode_broadcast(self.one()[1]).broadcast.target, expected)

    def test_to_nobody(self) -> None:
        self.assertEqual(self.emitter.emit("news", room=[]), 0)
        self.assertEqual(self.redis.published, [])

    def test_to_another_namespace_and_with_another_key(self) -> None:
        Emitter(client=self.redis, key="chat", namespace="/admin").namespace("/more").emit("news")
        channel, payload = self.one()
        self.assertEqual(channel, b"chat#/more#")
        self.assertEqual(decode_broadcast(payload).broadcast.target, Target("/more"))

    def test_what_cannot_be_sent_is_not(self) -> None:
        self.assertRaises(TypeError, self.emitter.emit, "news", object())
        self.assertRaises(ValueError, self.emitter.emit, "connect")
        self.assertRaises(ValueError, self.emitter.emit, "", room=[])
        self.assertEqual(self.redis.published, [])


class RequestTests(Base):
    def test_join(self) -> None:
        self.assertEqual(self.emitter.join("lobby", user="ann"), 3)
        self.assertEqual(self.request(), requests.Join(None, Target(users=frozenset({"ann"})), frozenset({"lobby"})))

    def test_leave(self) -> None:
        self.emitter.namespace("/admin").leave("lobby")
        self.assertEqual(self.request("/admin"), requests.Leave(None, Target("/admin"), frozenset({"lobby"})))

    def test_disconnect(self) -> None:
        self.emitter.disconnect(session="s", code=4001, reason="Gone")
        target = Target(sessions=frozenset({"s"}))
        self.assertEqual(self.request(), requests.DisconnectSockets(None, target, code=4001, reason="Gone"))

    def test_disconnect_says_whom(self) -> None:
        self.assertRaises(ValueError, self.emitter.disconnect)
        self.assertRaises(ValueError, self.emitter.disconnect, user="ann", code=1006)
        self.assertEqual(self.emitter.disconnect(user=[]), 0)
        self.assertEqual(self.redis.published, [])
        self.assertEqual(self.emitter.disconnect(everybody=True), 3)

    def test_server_emit(self) -> None:
        self.emitter.server_emit("reload", {"what": "prices"})
        self.assertEqual(self.request(), requests.ServerSideEmit("emitter", "reload", ({"what": "prices"},)))
        self.assertRaises(ValueError, self.emitter.server_emit, "")


class MakingTests(Base):
    def test_where_redis_is_must_be_said_once(self) -> None:
        for arguments in ({}, {"url": "redis://localhost", "client": self.redis}):
            error = self.assertRaises(ValueError, Emitter, **arguments)
            self.assertIn('Emitter("redis://localhost:6379")', str(error))

    def test_a_wrong_url_is_told_without_its_password(self) -> None:
        error = self.assertRaises(ValueError, Emitter, "http://:SECRET@localhost")
        self.assertTrue(str(error).startswith("the URL is not the address of a Redis"), str(error))
        self.assertNotIn("SECRET", str(error))

    def test_a_wrong_key_or_namespace_is_told(self) -> None:
        self.assertIn("the key 'a*' is not", str(self.assertRaises(ValueError, Emitter, client=self.redis, key="a*")))
        self.assertRaises(ValueError, Emitter, client=self.redis, namespace="admin")
        self.assertRaises(ValueError, self.emitter.namespace, "admin")

    def test_an_asyncio_client_is_told(self) -> None:
        self.redis.heard = object()
        self.assertIn("one that blocks", str(self.assertRaises(TypeError, self.emitter.emit, "news")))

    def test_a_url_makes_a_client_which_is_closed(self) -> None:
        steps: list[str] = []

        class Blocking(FakeRedis):
            def __init__(self, url: RedisUrl, timeout: float) -> None:
                super().__init__()
                steps.append(f"{url} {timeout:g}")

            def publish(self, channel: bytes, message: bytes) -> int:
                steps.append(channel.decode())
                return 1

            def close(self) -> None:
                steps.append("closed")

        self.patch(module, "BlockingRedis", Blocking)
        with Emitter("redis://localhost?key=chat", timeout=2) as emitter:
            emitter.emit("news")
        with Emitter(RedisUrl("there", key="chat"), key="other") as emitter:
            emitter.namespace("/admin").emit("news")
        self.assertEqual(
            steps,
            ["redis://localhost:6379/0 2", "chat#/#", "closed", "redis://there:6379/0 5", "other#/admin#", "closed"],
        )
        self.emitter.close()  # a client that was given is its owner's
