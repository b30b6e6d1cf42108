"""A crowd on two nodes, one of which is killed, or whose Redis is: what is lost is counted, and nothing comes twice.

`WSSERVICE_CLUSTER_FIGURES=1` runs them with 1,000 clients and Redis away for 10 seconds (`make cluster-load`), and
prints what came of it.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import Queue
from typing import Any

from twisted.trial.unittest import TestCase

from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import ROOT, RunningService
from wsservice.adapters.redis.classic_broadcast import encode_broadcast
from wsservice.messages import Broadcast, Target

IS_FULL = bool(os.environ.get("WSSERVICE_CLUSTER_FIGURES"))
#: clients a node; events a second of each; seconds of load before and after, and that Redis is away
CLIENTS = 500 if IS_FULL else 40
RATE = 30 if IS_FULL else 25
BEFORE, AFTER, AWAY = (5.0, 8.0, 10.0) if IS_FULL else (0.7, 1.5, 1.5)
#: a bound for a machine that is busy, not a figure that is expected
PATIENCE = 120.0
_COUNTS = re.compile(r"([a-z_]+(?:/[a-z_]+)?)=(\d+)")


class Crowd:
    """The process of the clients."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.cluster_crowd"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self._answers: dict[int, Queue[Any]] = {}
        self._next = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def begin(self, do: str, **what: Any) -> Queue[Any]:
        """Have something done; the answer comes into the queue."""
        self._next += 1
        answers = self._answers[self._next] = Queue()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": self._next, "do": do, **what}) + "\n")
        self._process.stdin.flush()
        return answers

    def do(self, do: str, **what: Any) -> dict[str, Any]:
        """Have something done, and wait for it."""
        answer = self.begin(do, **what).get(timeout=PATIENCE)
        assert answer is not None, "the crowd's process has ended"
        return answer

    def stop(self) -> None:
        """End it; again is nothing."""
        if self._process.poll() is not None:
            return
        self._process.kill()
        self._process.wait()
        self._reader.join(PATIENCE)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[answer.pop("id")].put(answer)
        for waiting in list(self._answers.values()):
            waiting.put(None)


class LoadCase(TestCase):
    timeout = 300
    #: of the nodes
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.redis = RedisServer(self.mktemp())
        self.addCleanup(self.redis.stop)
        self.provider: Provider = self.enter(Provider())
        self.nodes = [self.start(), self.start()]
        self.ports = [node.port for node in self.nodes]
        self.crowd = Crowd()
        self.addCleanup(self.crowd.stop)
        self.emitted = 0
        cookies = [self.provider.cookie(f"user{number}") for number in range(100)]
        self.crowd.do("connect", ports=self.ports, cookies=cookies, clients=CLIENTS)

    def enter(self, context: Any) -> Any:
        made = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return made

    def start(self) -> RunningService:
        directory = Path(self.mktemp())
        directory.mkdir()
        service: RunningService = self.enter(
            RunningService(
                *("--app", "tests.integration.recovery_app:app", "--recovery", "60"),
                *("--adapter", self.redis.url, "--host", "127.0.0.1", "--cookie-secure", "never"),
                *("--adapter-timeout", "2", "--max-connections-per-user", "0", *self.options),
                cwd=directory,
                env=self.provider.environment,
            )
        )
        return service

    def load(self, seconds: float, *ports: int) -> Queue[Any]:
        return self.crowd.begin("load", ports=ports or self.ports, seconds=seconds, rate=RATE)

    def emit(self, count: int) -> None:
        """What a program does that has `@socket.io/redis-emitter`."""
        for _ in range(count):
            self.emitted += 1
            room = f"room{self.emitted % 10}"
            self.crowd.do("note", who="emitter", number=self.emitted, room=room)
            event = Broadcast("said", ("emitter", self.emitted), Target(rooms=frozenset({room})))
            self.redis.ask("PUBLISH", f"socket.io#/#{room}#", encode_broadcast("emitter", event)[1])

    def counts(self, node: RunningService) -> dict[str, int]:
        """What a node has counted, as it says at its stop."""
        self.crowd.stop()
        self.assertEqual(node.stop(), 0, node.log[-3000:])
        return {name: int(number) for name, number in _COUNTS.findall("".join(re.findall("counted: .*", node.log)))}

    def finish(self, name: str) -> dict[str, Any]:
        began = time.monotonic()
        self.crowd.do("settle", seconds=PATIENCE / 2)
        report = self.crowd.do("report")
        if IS_FULL:
            print(f"\n{name}: settled in {time.monotonic() - began:.1f} s: {report}", file=sys.stderr)
        return report

    def assertRight(self, report: dict[str, Any], *, missing: int = 0) -> None:
        self.assertEqual((report["twice"], report["out_of_order"]), (0, 0), report)
        self.assertEqual(sum(map(len, report["events_missing"].values())), missing, report)

    def come_through(self, name: str) -> tuple[dict[str, Any], list[dict[str, int]]]:
        """Redis is killed under load, and started again, with nothing; what came of it, and what each node counted."""
        loading = self.load(BEFORE + AWAY + AFTER)
        self.load(BEFORE).get(timeout=PATIENCE)
        self.redis.kill()
        self.load(AWAY).get(timeout=PATIENCE)
        self.redis.start()
        loading.get(timeout=PATIENCE)
        report = self.finish(name)
        counts = [self.counts(node) for node in self.nodes]
        if IS_FULL:
            clustered = [{name: number for name, number in one.items() if "cluster" in name} for one in counts]
            print(f"{name}: {clustered}", file=sys.stderr)
        self.assertEqual([one.get("cluster_gaps", 0) for one in counts], [1, 1])
        self.assertEqual(report["nobody_got"], [])
        self.assertEqual((report["unrecovered"], report["moves"]), (0, 0))
        return report, counts


class LoadTests(LoadCase):
    def test_who_was_on_a_node_that_is_killed_loses_nothing_and_gets_nothing_twice(self) -> None:
        loading = self.load(BEFORE + AFTER)
        for _ in range(5):
            self.emit(5)
        self.load(BEFORE).get(timeout=PATIENCE)
        self.crowd.do("lost", port=self.ports[0], to=self.ports[1])
        self.nodes[0].stop(signal.SIGKILL)
        self.emit(20)
        loading.get(timeout=PATIENCE)
        self.emit(5)
        report = self.finish("a node killed")
        self.assertRight(report)
        self.assertEqual((report["unrecovered"], report["moves"]), (0, CLIENTS))
        counts = self.counts(self.nodes[1])
        self.assertEqual(counts["recoveries/ok"], CLIENTS)

    def test_a_redis_that_is_killed_and_started_again_loses_what_is_counted(self) -> None:
        report, counts = self.come_through("Redis killed")
        self.assertRight(report, missing=sum(one.get("cluster_lost", 0) for one in counts))

    def test_a_redis_that_hangs_loses_nothing(self) -> None:
        loading = self.load(BEFORE + AWAY + AFTER)
        self.load(BEFORE).get(timeout=PATIENCE)
        self.redis.freeze()
        self.load(AWAY).get(timeout=PATIENCE)
        self.redis.thaw()
        loading.get(timeout=PATIENCE)
        self.emit(5)
        report = self.finish("Redis stopped")
        self.assertRight(report)
        self.assertEqual((report["nobody_got"], report["unrecovered"], report["moves"]), ([], 0, 0))


class SmallQueueTests(LoadCase):
    options = ("--adapter-queue-bytes", "65536" if IS_FULL else "10000")

    def test_what_does_not_fit_into_the_queue_is_counted_by_who_drops_and_by_who_misses_it(self) -> None:
        report, counts = self.come_through("Redis killed, and a small queue")
        missing = [len(report["events_missing"].get(str(port), [])) for port in self.ports]
        self.assertGreater(min(missing), 0)
        self.assertRight(report, missing=sum(missing))
        self.assertEqual(missing, [one.get("cluster_lost", 0) for one in counts])
        self.assertEqual(missing, [one.get("cluster_dropped/queue_full", 0) for one in reversed(counts)])
