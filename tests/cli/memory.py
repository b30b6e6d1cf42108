"""The program in memory: a Redis that remembers, and what is printed."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.test_emitter import FakeRedis
from wsservice import emitter
from wsservice.adapters.redis.classic_broadcast import decode_broadcast
from wsservice.adapters.redis.classic_packets import decode_request
from wsservice.adapters.redis.url import RedisUrl
from wsservice.cli import main
from wsservice.messages import Broadcast

URL = "redis://127.0.0.1:6380/0"


class Bench(SynchronousTestCase):
    """A working directory, an environment, and a Redis at whatever URL is asked for."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.environ = {"REDIS_URL": URL}
        self.patch(os, "environ", self.environ)
        self.redis = redis = FakeRedis()
        #: the URLs and timeouts that it was asked for
        self.opened: list[tuple[str, float]] = []
        self.error: Exception | None = None
        bench = self

        class Blocking:
            def __init__(self, url: RedisUrl, timeout: float) -> None:
                bench.opened.append((str(url), timeout))

            def publish(self, channel: bytes, message: bytes) -> Any:
                if bench.error is not None:
                    raise bench.error
                return redis.publish(channel, message)

            def close(self) -> None:
                """Nothing is open."""

        self.patch(emitter, "BlockingRedis", Blocking)

    def run_program(self, *arguments: str, input: bytes | io.BytesIO | None = b"") -> tuple[int, str, str]:
        """The status, and what is printed and complained."""
        out, error = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", error)
        stream = io.BytesIO(input) if isinstance(input, bytes) else input
        self.patch(sys, "stdin", stream and io.TextIOWrapper(stream))
        try:
            status = main(arguments)
        except SystemExit as ended:
            status = ended.code if isinstance(ended.code, int) else -1
        return status, out.getvalue(), error.getvalue()

    def done(self, *arguments: str, input: bytes | io.BytesIO = b"") -> str:
        """What is printed by a run that succeeds."""
        status, out, error = self.run_program(*arguments, input=input)
        self.assertEqual((status, error), (0, ""))
        return out

    def refused(self, *arguments: str, input: bytes | None = b"", status: int = 2) -> str:
        """What is complained by a run that does not."""
        found, out, error = self.run_program(*arguments, input=input)
        self.assertEqual((found, out), (status, ""), error)
        self.assertTrue(error.startswith("wsservice: "), error)
        self.assertTrue(error.endswith("\n"))
        return error.removeprefix("wsservice: ")[:-1]

    @property
    def broadcasts(self) -> list[Broadcast]:
        """What was sent to clients."""
        return [decode_broadcast(payload).broadcast for _, payload in self.redis.published]

    def request(self, namespace: str = "/") -> Any:
        """The request that was published, on the namespace's channel."""
        ((channel, payload),) = self.redis.published
        self.assertEqual(channel, f"socket.io-request#{namespace}#".encode())
        return decode_request(payload, namespace)
