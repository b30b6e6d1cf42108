"""Tests of `adapters.redis.script`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.script import Script


class ScriptTests(SynchronousTestCase):
    def test_it_is_called_by_the_hash_that_redis_gives_it(self) -> None:
        # SCRIPT LOAD "return 1" of a redis-server 7.0
        self.assertEqual(Script("return 1").sha, b"e0e1f9fabfc9d4800c877a703b823ac0578ff8db")
