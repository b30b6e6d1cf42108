"""Who watches the service during a soak: one connection of an admin, and /proc."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from websockets.sync.client import connect

from soak.plan import Plan
from soak.sampler import usage
from tests.integration.service import Answer, RunningService

#: of a token's life
_REFRESH_AT = 0.3


@dataclass(frozen=True, slots=True)
class Sample:
    """What the service took at one moment.

    Attributes:
        at: seconds since the soak began.
        resident: bytes.
        files: open descriptors.
        cpu: the share of one core since the sample before.
        connections: that the app knows in its main namespace.
        answer: seconds that the watcher waited for this.
    """

    at: float
    resident: int
    files: int
    cpu: float
    connections: int
    answer: float


class Watcher:
    """Takes samples. It is a client like the others; its session is refreshed by `sample`."""

    def __init__(self, service: RunningService, plan: Plan) -> None:
        self._service = service
        self._plan = plan
        self._take(service.request("POST", "/auth/login", {"username": "alice", "password": service.users["alice"]}))
        self._socket = connect(
            service.url, origin=service.origin, additional_headers={"Cookie": self._cookie}, proxy=None, max_size=2**22
        )
        self._number = 0
        self.samples: list[Sample] = []
        #: faults that the app has noticed
        self.faults: dict[str, int] = {}
        self.began = time.monotonic()
        self._before = self.began, usage(service.process.pid).cpu

    def ask(self, name: str, data: Any = None) -> Any:
        """What the app answers."""
        self._number += 1
        self._socket.send(json.dumps({"event": name, "data": data, "id": self._number}))
        while True:
            value = json.loads(self._socket.recv(timeout=60))
            if value.get("ack") == self._number:
                return value["data"]

    def sample(self) -> Sample:
        """Take one, and keep it."""
        if time.monotonic() - self._refreshed > _REFRESH_AT * self._plan.lifetime:
            self._take(self._service.request("POST", "/auth/refresh", {}, cookie=self._cookie))
        asked = time.monotonic()
        counts = self.ask("counts")
        now = time.monotonic()
        self.faults = counts["faults"]
        found = usage(self._service.process.pid)
        (then, cpu), self._before = self._before, (now, found.cpu)
        sample = Sample(
            at=now - self.began,
            resident=found.resident,
            files=found.files,
            cpu=(found.cpu - cpu) / max(now - then, 1e-3),
            connections=counts["connections"],
            answer=now - asked,
        )
        self.samples.append(sample)
        return sample

    def close(self) -> None:
        """Go."""
        self._socket.close()

    def _take(self, answer: Answer) -> None:
        if answer.status != 200:
            raise RuntimeError(f"the watcher's session: {answer}")
        self._cookie = "; ".join(answer.cookies)
        self._refreshed = time.monotonic()
