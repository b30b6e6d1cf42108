"""The scripts of recovery on a real Redis: they do what the Redis in memory of the other tests says they do."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from tests.adapters.redis.fake_redis import FakeRedis
from tests.integration.redis_server import RedisServer
from wsservice.adapters.redis import catching_up, others, recording, saved
from wsservice.adapters.redis.script import Script
from wsservice.errors import RedisRefused

#: an id behind which a clock of today is not
_FUTURE = 32_503_680_000_000


class ScriptTests(TestCase):
    def setUp(self) -> None:
        self.real = RedisServer(self.mktemp())
        self.addCleanup(self.real.stop)
        self.fake = FakeRedis(Clock())

    def both(self, script: Script, keys: list[str], *args: Any) -> Any:
        """The answer, which is the same; but for ids and times."""
        texts = [str(one) if isinstance(one, int) else one for one in args]
        found = self.real.ask("EVAL", script.source, len(keys), *keys, *texts)
        encoded = [one.encode() if isinstance(one, str) else one for one in texts]
        told = self.fake.run_script(script, [key.encode() for key in keys], encoded)
        if isinstance(told, bytes | list):
            self.assertIs(type(found), type(told), (found, told))
        else:
            self.assertEqual(found, told)
        return found

    def test_an_entry_belongs_to_one_node(self) -> None:
        one, two, key = "1" * 12, "2" * 12, ["saved"]
        self.assertEqual(self.both(saved._WRITE, key, one, 60000, b"5:alice1:/state"), 1)
        self.assertEqual(self.both(saved._WRITE, key, two, 60000, b"5:alice1:/other"), 0)
        self.assertEqual(self.both(saved._TAKE, key, two, 60000, b"3:bob1:/"), None)
        self.assertEqual(self.both(saved._TAKE, key, two, 60000, b"5:alice1:/"), b"1" * 12 + b"5:alice1:/state")
        self.assertEqual(self.real.ask("GET", "saved"), b"2" * 12 + b"5:alice1:/state")
        self.assertGreater(self.real.ask("PTTL", "saved"), 50_000)
        self.assertEqual(self.both(saved._REMOVE, key, one), 0)
        self.assertEqual(self.both(saved._WRITE, key, two, 60000, b"5:alice1:/more"), 1)
        self.assertEqual(self.both(saved._REMOVE, key, two), 1)
        self.assertEqual(self.both(saved._TAKE, key, two, 60000, b"5:alice1:/"), None)

    def test_the_lease_has_one_holder(self) -> None:
        self.assertEqual(self.both(others._HOLD, ["recorder"], "a.1", 60000, 0), 1)
        self.assertEqual(self.both(others._HOLD, ["recorder"], "a.1", 60000, 0), 2)
        self.assertEqual(self.both(others._HOLD, ["recorder"], "b.1", 60000, 0), 0)
        self.assertEqual(self.both(others._HOLD, ["recorder"], "b.1", 60000, 1), 1)
        record = [others._RECORD, ["events", "recorder"]]
        self.assertEqual(self.both(*record, "a.1", 100, "channel", b"message"), None)
        self.both(*record, "b.1", 100, "channel", b"message")
        self.assertEqual(self.both(others._RELEASE, ["recorder"], "a.1"), 0)
        self.assertEqual(self.both(others._RELEASE, ["recorder"], "b.1"), 1)
        self.assertEqual(self.real.ask("XLEN", "events"), 1)

    def test_a_stream_begins_and_goes_on(self) -> None:
        keys = ["events"]
        first = self.both(catching_up._BEGIN, keys, "", "0-1", "0")
        self.assertEqual(first[3], 1)
        self.assertEqual([fields for _, fields in self.real.ask("XRANGE", "events", "-", "+")], [[b"begins", b""]])
        last = self.both(recording._RECORD, keys, 100, "channel", b"\x93abc").decode()
        ms, _, seq = last.partition("-")
        again = self.both(catching_up._BEGIN, keys, last, f"{ms}-{int(seq) + 1}", ms)
        self.assertEqual((again[2], self.real.ask("XLEN", "events")), (first[2], 2))

    def test_a_stream_that_is_lost_is_missed_and_its_ids_go_on(self) -> None:
        lost = self.both(catching_up._BEGIN, ["events"], f"{_FUTURE}-3", f"{_FUTURE}-4", _FUTURE)
        self.assertEqual((lost[2], lost[3]), (b"%d-4" % _FUTURE, 0))
        self.assertEqual(self.both(recording._RECORD, ["events"], 100, "channel", b"\x93abc"), b"%d-5" % _FUTURE)
        older = self.both(catching_up._BEGIN, ["events"], "5-0", "5-1", "5")
        self.assertEqual((older[2], older[3], self.real.ask("XLEN", "events")), (b"%d-4" % _FUTURE, 0, 2))
        ahead = self.both(catching_up._BEGIN, ["events"], f"{_FUTURE}-7", f"{_FUTURE}-8", _FUTURE)
        self.assertEqual((ahead[3], self.real.ask("XLEN", "events")), (0, 3))

    def test_what_cannot_be_recorded_is_published_as_it_is(self) -> None:
        self.real.ask("CONFIG", "SET", "maxmemory", "1")
        self.fake.refuses = "OOM"
        told = self.both(recording._RECORD, ["events"], 100, "channel", b"\x93abc")
        self.assertEqual([one[:4] for one in told], [b"OOM "])
        self.assertEqual(self.real.ask("XLEN", "events"), 0)
        found = self.real.ask("INFO", "commandstats")
        self.assertIn(b"cmdstat_publish:calls=1,", found)

    def test_a_replica_does_not_publish_it(self) -> None:
        self.real.ask("REPLICAOF", "127.0.0.1", "1")
        told = self.real.ask("EVAL", recording._RECORD.source, 1, "events", "100", "channel", b"\x93abc")
        self.assertIsInstance(told, RedisRefused)
        self.assertEqual(told.code, "READONLY")
        self.assertNotIn(b"cmdstat_publish:", self.real.ask("INFO", "commandstats"))

    def test_the_stream_is_trimmed_but_for_the_last_entry_of_the_time_before(self) -> None:
        for number in range(1, 501):
            for redis in (lambda *words: self.real.ask("XADD", "events", *words), self.fake_add):
                redis(f"{number}-1", "m", "x")
        self.assertEqual(self.both(recording._TRIM, ["events"], 60000, 600000), 1)
        self.assertLess(self.real.ask("XLEN", "events"), 200)
        self.assertEqual(self.real.ask("XREVRANGE", "events", "+", "-", "COUNT", 1)[0][0], b"500-1")
        self.assertEqual(len(self.fake.stream), 1)
        self.assertGreater(self.real.ask("PTTL", "events"), 500_000)

    def fake_add(self, id: str, *fields: str) -> bytes:
        return self.fake.add([field.encode() for field in fields], id.encode())
