"""A program in Node that runs for as long as a test wants: its functions are called, and it tells what happens.

program = NodeProgram("cluster_server.js", told=print)
port = program.call("start", ...)
program.stop()
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import subprocess
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tests.integration.nodejs import FOLDER, node_modules

#: seconds; a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0


class NodeProgram:
    """See node/calls.js.

    Args:
        script: of the folder node/.
        told: gets each list that the program tells, in a thread of its own.

    Raises:
        SkipTest, AssertionError: see `node_modules`.
    """

    def __init__(self, script: str, told: Callable[[list[Any]], None]) -> None:
        self._told = told
        self._ids = itertools.count()
        self._calls: dict[int, Future[Any]] = {}
        self.process = subprocess.Popen(
            ["node", script],
            cwd=FOLDER,
            env={**os.environ, "NODE_PATH": str(node_modules())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def call(self, name: str, *args: Any) -> Any:
        """Call a function; gives what it returns. Bytes go as bytes, and come back as base64."""
        return self.begin(name, *args).result(PATIENCE)

    def begin(self, name: str, *args: Any) -> Future[Any]:
        """Call a function, and do not wait for its end."""
        number = next(self._ids)
        future = self._calls[number] = Future()
        assert self.process.stdin is not None
        print(json.dumps({"id": number, "name": name, "args": args}, default=_bytes), file=self.process.stdin)
        self.process.stdin.flush()
        return future

    def stop(self) -> None:
        """End the process, and wait for it."""
        self.process.kill()
        self.process.wait()
        self._reader.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if "tell" in said:
                self._told(said["tell"])
                continue
            future = self._calls.pop(said["id"])
            if "failed" in said:
                future.set_exception(AssertionError(said["failed"]))
            else:
                future.set_result(said["result"])
        for future in self._calls.values():
            future.set_exception(AssertionError("the program has ended"))


def _bytes(value: object) -> dict[str, str]:
    assert isinstance(value, bytes), value
    return {"$bytes": base64.b64encode(value).decode()}
