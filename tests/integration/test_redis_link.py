"""The link to Redis with a real one, which is killed, stopped and started again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.certificates import make_certificate, write_pem
from tests.integration.redis_server import PATIENCE, RedisServer
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.outbox import WINDOW
from wsservice.adapters.redis.script import Script
from wsservice.adapters.redis.url import RedisUrl
from wsservice.counters import Counters
from wsservice.errors import RedisRefused, RedisUnavailable

CHANNEL = b"socket.io#/#"
PUBLISH = Script("return redis.call('PUBLISH', KEYS[1], ARGV[1])")


class RedisLinkTests(TestCase):
    timeout = PATIENCE

    def serve(self, **options: Any) -> RedisServer:
        server = RedisServer(self.mktemp(), **options)
        self.addCleanup(server.stop)
        return server

    def link(self, url: str, **options: Any) -> tuple[RedisLink, Counters]:
        counters = Counters()
        link = RedisLink(reactor, RedisUrl.parse(url), counters, **options)
        self.addCleanup(link.stop)
        return link, counters

    async def until(self, true: Callable[[], bool]) -> None:
        """Let the reactor turn until it is so; trial's timeout bounds it."""
        while not true():
            await deferLater(reactor, 0.005)

    async def connect(self, url: str, **options: Any) -> tuple[RedisLink, Counters, list[bytes]]:
        link, counters = self.link(url, **options)
        got: list[bytes] = []
        link.subscribe(CHANNEL, lambda channel, message: got.append(message))
        link.start()
        await self.until(lambda: link.is_up)
        return link, counters, got

    async def both_ways(self, url: str, **options: Any) -> None:
        link, counters, got = await self.connect(url, **options)
        link.publish(CHANNEL, b"123")
        self.assertEqual(await link.command("INCRBY", b"n", 4), 4)
        self.assertEqual(await link.command("GET", "n"), b"4")
        link.publish(CHANNEL, b"\xff\r\n")
        await self.until(lambda: len(got) == 2)
        self.assertEqual(got, [b"123", b"\xff\r\n"])
        self.assertEqual(counters.items(), [])
        self.assertTrue(link.readiness().ready)

    async def test_by_a_port(self) -> None:
        await self.both_ways(self.serve().url)

    async def test_by_a_unix_socket(self) -> None:
        await self.both_ways(self.serve(unix=True).url)

    async def test_with_a_password(self) -> None:
        await self.both_ways(self.serve(password="geheim").url)

    async def test_by_tls_with_an_authority_of_our_own(self) -> None:
        await self.both_ways(self.serve(tls=True, password="geheim").url)

    async def test_a_database_of_its_own(self) -> None:
        server = self.serve()
        link, _, _ = await self.connect(server.url.replace("/0", "/3"))
        await link.command("SET", "here", "1")
        self.assertEqual(server.ask("GET", "here"), None)

    async def reason(self, url: str, words: str, **options: Any) -> RedisLink:
        """Both connections are refused, in words that hold no secret."""
        link, _ = self.link(url, **options)
        link.start()
        await self.until(lambda: link.readiness().detail.count(words) == 2)
        self.assertNotIn("geheim", link.readiness().detail)
        self.assertFalse(link.is_up)
        with self.assertRaises(RedisUnavailable) as caught:
            await link.command("PING")
        self.assertIn(words, str(caught.exception))
        return link

    async def test_a_wrong_password_is_told_and_tried_again(self) -> None:
        server = self.serve(password="richtig")
        link = await self.reason(server.url.replace("richtig", "geheim"), "WRONGPASS")
        server.ask("CONFIG", "SET", "requirepass", "geheim")
        await self.until(lambda: link.is_up)

    async def test_no_password_where_one_is_wanted(self) -> None:
        server = self.serve(password="geheim")
        await self.reason(server.url.replace(":geheim@", ""), "NOAUTH")

    async def test_a_certificate_of_an_unknown_authority(self) -> None:
        server = self.serve(tls=True, password="geheim")
        stranger = write_pem(server.directory / "stranger.pem", make_certificate("stranger", authority=True)[0])
        await self.reason(server.url.replace(server.ca, str(stranger)), "TLS failed: certificate verify failed")
        self.assertIn(b"total_commands_processed:1\r\n", server.ask("INFO", "stats"))  # our own AUTH

    async def test_a_certificate_for_another_host(self) -> None:
        server = self.serve(tls=True, password="geheim")
        await self.reason(server.url.replace("localhost", "127.0.0.1"), "not for this host")

    async def test_tls_to_a_server_that_has_none(self) -> None:
        await self.reason(self.serve().url.replace("redis:", "rediss:"), "no answer", timeout=0.3)

    async def test_something_else_listens_there(self) -> None:
        from twisted.internet.protocol import Factory, Protocol

        class Web(Protocol):
            def dataReceived(self, data: bytes) -> None:
                self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        port = reactor.listenTCP(0, Factory.forProtocol(Web), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        await self.reason(f"redis://127.0.0.1:{port.getHost().port}", "not Redis's")

    async def test_a_user_who_may_not_subscribe(self) -> None:
        server = self.serve()
        server.ask("ACL", "SETUSER", "ann", "on", ">geheim", "+@all", "resetchannels")
        link, _ = self.link(server.url.replace("//", "//ann:geheim@"))
        link.subscribe(CHANNEL, lambda channel, message: None)
        link.start()
        await self.until(lambda: "NOPERM" in link.readiness().detail)
        self.assertFalse(link.is_up)

    async def test_messages_that_were_published_before_there_was_a_redis(self) -> None:
        server = self.serve()
        server.kill()
        link, counters = self.link(server.url)
        got: list[bytes] = []
        link.subscribe(CHANNEL, lambda channel, message: got.append(message))
        link.start()
        link.publish(CHANNEL, b"first")
        await self.until(lambda: "refused" in link.readiness().detail)
        server.start()
        await self.until(lambda: link.is_up)
        link.publish(CHANNEL, b"last")
        await self.until(lambda: b"last" in got)
        self.assertEqual(counters.items(), [])

    async def test_a_restart_is_survived_and_told(self) -> None:
        server = self.serve()
        link, counters, got = await self.connect(server.url)
        told: list[str] = []
        link.on_up.append(lambda: told.append("up"))
        link.on_down.append(lambda: told.append("down"))
        for turn in range(3):
            server.kill()
            await self.until(lambda: not link.is_up)
            server.start()
            await self.until(lambda: link.is_up)
            link.publish(CHANNEL, b"%d" % turn)
            await self.until(lambda turn=turn: b"%d" % turn in got)
        self.assertEqual(told, ["down", "up"] * 3)
        self.assertEqual(got, [b"0", b"1", b"2"])
        self.assertEqual(counters.get("cluster_dropped", "uncertain"), 0)

    async def burst(self, link: RedisLink, first: int, bursts: int) -> int:
        """Publish numbered messages, a hundred in each turn; gives the next number."""
        for _ in range(bursts):
            for _ in range(100):
                link.publish(CHANNEL, b"%06d" % first + b"x" * 1000)
                first += 1
            await deferLater(reactor, 0)
        return first

    async def test_a_kill_under_load_loses_what_is_counted_and_sends_nothing_twice(self) -> None:
        server = self.serve()
        watching, _, got = await self.connect(server.url)
        link, counters, _ = await self.connect(server.url)
        number = await self.burst(link, 0, 20)
        server.kill()
        number = await self.burst(link, number, 20)
        await self.until(lambda: not watching.is_up and not link.is_up)
        known = len(got)
        server.start()
        number = await self.burst(link, number, 1)
        await self.until(lambda: watching.is_up and link.is_up)
        link.publish(CHANNEL, b"%06d" % number)
        await self.until(lambda: bool(got) and got[-1] == b"%06d" % number)
        numbers = [int(message[:6]) for message in got]
        self.assertEqual(numbers, sorted(set(numbers)))
        self.assertEqual(numbers[:known], list(range(known)))
        reasons = {reason for name, reason, _ in counters.items() if name == "cluster_dropped"}
        self.assertLessEqual(reasons, {"uncertain"})
        self.assertLessEqual(counters.get("cluster_dropped", "uncertain") * 1000, WINDOW + 2000)

    async def test_a_silent_redis_under_load_loses_what_is_counted_and_nothing_comes_twice(self) -> None:
        server = self.serve()
        _, _, got = await self.connect(server.url, timeout=PATIENCE)
        link, counters, _ = await self.connect(server.url, timeout=0.4, queue_bytes=2_000_000)
        number = await self.burst(link, 0, 10)
        server.freeze()
        number = await self.burst(link, number, 20)
        await self.until(lambda: not link.is_up)
        number = await self.burst(link, number, 20)
        server.thaw()
        await self.until(lambda: link.is_up)
        number = await self.burst(link, number, 5)
        link.publish(CHANNEL, b"%06d" % number)
        await self.until(lambda: bool(got) and got[-1] == b"%06d" % number)
        numbers = [int(message[:6]) for message in got]
        # What is uncertain may have come when Redis went on, and then before what was sent on the next connection.
        self.assertEqual(numbers, sorted(set(numbers)))
        missing = number + 1 - len(numbers)
        full, uncertain = (counters.get("cluster_dropped", reason) for reason in ("queue_full", "uncertain"))
        self.assertGreater(full, 0)
        self.assertGreater(uncertain, 0)
        self.assertTrue(full <= missing <= full + uncertain, (full, missing, uncertain))

    async def test_a_redis_that_is_silent_is_noticed_and_found_again(self) -> None:
        server = self.serve()
        link, counters, got = await self.connect(server.url, timeout=0.4)
        server.freeze()
        asked = self.assertFailure(link.command("PING"), RedisUnavailable)
        await self.until(lambda: not link.is_up)
        await asked
        link.publish(CHANNEL, b"meanwhile")
        # the kernel takes connections for it, which nobody greets
        await self.until(lambda: link.readiness().detail.count("no answer in 0.4 s") == 2)
        server.thaw()
        await self.until(lambda: link.is_up)
        link.publish(CHANNEL, b"then")
        await self.until(lambda: b"then" in got)
        self.assertEqual(counters.get("cluster_dropped", "uncertain"), 0)
        self.assertEqual(counters.get("cluster_connections_lost", "subscriptions"), 1)

    async def test_scripts_are_known_after_a_restart_and_in_order_with_messages(self) -> None:
        server = self.serve()
        link, _, got = await self.connect(server.url)
        link.publish(CHANNEL, b"1")
        first = link.queue_script(PUBLISH, [CHANNEL], [b"2"])
        link.publish(CHANNEL, b"3")
        self.assertEqual(await first, 1)
        await self.until(lambda: len(got) == 3)
        server.kill()
        await self.until(lambda: not link._commands.is_up and not link._subscriber.is_up)
        server.start()
        await self.until(lambda: link.is_up)
        link.publish(CHANNEL, b"4")
        self.assertEqual(await link.queue_script(PUBLISH, [CHANNEL], [b"5"]), 1)
        server.ask("SCRIPT", "FLUSH")
        self.assertEqual(await link.script(PUBLISH, [CHANNEL], [b"6"]), 1)
        await self.until(lambda: len(got) == 6)
        self.assertEqual(got, [b"1", b"2", b"3", b"4", b"5", b"6"])

    async def test_a_master_that_becomes_a_replica_is_left_until_it_is_one_again(self) -> None:
        server = self.serve()
        link, _, _ = await self.connect(server.url)
        for write in (
            lambda: link.command("SET", "k", "v"),
            lambda: link.script(Script("return redis.call('SET', KEYS[1], 'v')"), ["k"]),
        ):
            server.ask("REPLICAOF", "127.0.0.1", "1")
            with self.assertRaises(RedisUnavailable):
                await write()
            await self.until(lambda: link.readiness().detail.count("it is a replica, which takes no writes") == 2)
            server.ask("REPLICAOF", "NO", "ONE")
            await self.until(lambda: link.is_up)
            await write()

    async def test_errors_are_for_who_asked(self) -> None:
        link, counters, _ = await self.connect(self.serve().url)
        await link.command("SET", "text", "x")
        error = await self.assertFailure(link.command("INCR", "text"), RedisRefused)
        self.assertEqual(error.code, "ERR")
        error = await self.assertFailure(link.script(Script("return redis.call('INCR', 'text')")), RedisRefused)
        self.assertTrue(link.is_up)
        self.assertEqual(counters.items(), [])

    async def test_a_huge_message_is_not_kept(self) -> None:
        server = self.serve()
        link, counters, got = await self.connect(server.url)
        server.ask("PUBLISH", CHANNEL, b"x" * (9 * 1024 * 1024))
        server.ask("PUBLISH", CHANNEL, b"small")
        link.publish(CHANNEL, b"x" * (9 * 1024 * 1024))
        await self.until(lambda: bool(got))
        self.assertEqual(got, [b"small"])
        self.assertEqual(counters.get("cluster_refused", "too_large"), 1)
        self.assertEqual(counters.get("cluster_dropped", "too_large"), 1)

    async def test_subscriptions_that_come_and_go(self) -> None:
        server = self.serve()
        link, _, got = await self.connect(server.url)
        seen: list[tuple[bytes, bytes]] = []
        link.psubscribe(b"room.*", lambda channel, message: seen.append((channel, message)))
        link.unsubscribe(CHANNEL)
        link.subscribe(b"end", lambda channel, message: seen.append((channel, message)))
        await self.until(lambda: server.ask("PUBSUB", "NUMSUB", "end")[1] == 1)
        for channel in (CHANNEL, b"room.1", b"end"):
            link.publish(channel, b"x")
        await self.until(lambda: len(seen) == 2)
        self.assertEqual((seen, got), ([(b"room.1", b"x"), (b"end", b"x")], []))
        server.kill()
        await self.until(lambda: not link._subscriber.is_up)
        server.start()
        await self.until(lambda: link.is_up)
        self.assertEqual(server.ask("PUBSUB", "CHANNELS"), [b"end"])
        self.assertEqual(server.ask("PUBSUB", "NUMPAT"), 1)

    async def test_a_stop_sends_what_it_can(self) -> None:
        server = self.serve()
        _, _, got = await self.connect(server.url)
        link, counters, _ = await self.connect(server.url)
        for number in range(3000):
            link.publish(CHANNEL, b"%04d" % number + b"x" * 1000)
        await link.stop()
        await self.until(lambda: len(got) == 3000)
        link.publish(CHANNEL, b"late")
        self.assertEqual(counters.items(), [("cluster_dropped", "stopped", 1)])

    async def test_a_stop_does_not_wait_for_a_redis_that_is_silent(self) -> None:
        server = self.serve()
        link, counters, _ = await self.connect(server.url)
        server.freeze()
        link.publish(CHANNEL, b"x")
        await link.stop()
        self.assertEqual(counters.get("cluster_dropped", "uncertain"), 1)

    async def test_a_stop_while_it_connects(self) -> None:
        server = self.serve()
        server.freeze()
        link, _ = self.link(server.url)
        link.start()
        await link.stop()
        never, _ = self.link("redis://127.0.0.1:1")
        await never.stop()
