"""Several real processes that pass on to each other; their cluster is a folder (cluster_node.py)."""

from __future__ import annotations

import json
import re
import secrets
import socket
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.cluster_node import SECRET
from tests.integration.service import RunningService
from tests.integration.test_socketio_node import Pool

APP = "tests.integration.socketio_app:app"
POLL = "/socket.io/?EIO=4&transport=polling"
#: seconds; a bound for a machine that is busy, not a figure that is expected
PATIENCE = 60.0
#: some reasons are of two words
_COUNT = re.compile(r"(\S[^=]*)=(\d+)")


class ClusterCase(SynchronousTestCase):
    """Starts nodes, and sees to it that nothing breaks inside of them."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        (self.folder / SECRET).write_bytes(secrets.token_bytes(32))
        self.pool = Pool()
        self.pool.__enter__()
        self.addCleanup(self.pool.__exit__)

    def start(self, node: str, *arguments: str, **options: Any) -> RunningService:
        """A node that listens; `--port 0` unless told otherwise."""
        service = self.begin(node, *arguments, **options)
        return service.__enter__()

    def begin(self, node: str, *arguments: str, **options: Any) -> RunningService:
        """A node that has just been started."""
        program = (sys.executable, "-m", "tests.integration.cluster_node", str(self.folder), node)
        # A path short enough for a Unix socket, whatever the folder of the tests
        env = {**self.pool.env, "XDG_RUNTIME_DIR": "", "TMPDIR": "/tmp", **options.pop("env", {})}
        service = RunningService("--app", APP, *arguments, cwd=self.folder, env=env, program=program, **options)
        self.addCleanup(service.__exit__, None, None, None)
        self.addCleanup(self.check_log, service)
        return service

    def check_log(self, service: RunningService) -> None:
        """Whatever clients and nodes do, nothing breaks inside; and no cookie is told."""
        for word in ("Traceback", "Unhandled", self.pool.cookie("alice").partition("=")[2][:40]):
            self.assertNotIn(word, service.log)

    def counted(self, service: RunningService) -> dict[str, int]:
        """What a service that has stopped has counted."""
        found = {}
        for line in service.log.splitlines():
            _, told, counts = line.partition("counted: ")
            if told and counts != "nothing":
                found.update({name: int(number) for name, number in _COUNT.findall(counts)})
        return found


def free_port() -> tuple[socket.socket, int]:
    """A port for processes with `--reuse-port`, and the socket that keeps others away from it."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    kept.bind(("127.0.0.1", 0))
    return kept, kept.getsockname()[1]


class RawPolling:
    """A session on long-polling, with a say in where each request goes."""

    def __init__(self, service: RunningService, cookie: str) -> None:
        self.cookie = cookie
        answer = service.request("GET", POLL, cookie=cookie)
        assert answer.status == 200, answer
        self.sid = json.loads(answer.body[1:])["sid"]

    @property
    def path(self) -> str:
        return f"{POLL}&sid={self.sid}"

    def get(self, service: RunningService, **options: Any) -> tuple[int, bytes]:
        answer = service.request("GET", self.path, cookie=self.cookie, **options)
        return answer.status, answer.body

    def post(self, service: RunningService, body: str) -> tuple[int, bytes]:
        return post(service, self.path, body.encode(), self.cookie)


def post(service: RunningService, path: str, body: bytes, cookie: str) -> tuple[int, bytes]:
    """A POST of text."""
    answer = service.request("POST", path, body, cookie=cookie, headers={"Content-Type": "text/plain;charset=UTF-8"})
    return answer.status, answer.body
