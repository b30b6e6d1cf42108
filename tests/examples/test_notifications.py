"""examples/notifications: the shops in Flask (over a real Redis) and in Django (by HTTP), and pages that are told."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.examples.readme import (
    EXAMPLES,
    Program,
    blocks,
    commands,
    curl,
    expected_lines,
    printed,
    python_of,
    run_javascript,
    start,
)
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService

NAME = "notifications"
KEY = "0123456789abcdef" * 4


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class NotificationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.sh = blocks(NAME, "sh")
        (self.code,) = blocks(NAME, "js")

    def page(self, service: RunningService) -> Program:
        """A page of alice's that is open."""
        program = run_javascript(self.code, service, "alice")
        self.addCleanup(program.stop)
        program.wait_for(r"^\(open\)$")
        return program

    def backend(self, command: list[str], **env: str) -> Program:
        program = Program(python_of(command), cwd=EXAMPLES / NAME, env={"PYTHONDONTWRITEBYTECODE": "1", **env})
        self.addCleanup(program.stop)
        return program

    def check(self, service: RunningService, port: int, code: str) -> None:
        """An order leaves the house: both pages show it."""
        pages = [self.page(service) for _ in range(2)]
        self.assertEqual(json.loads(curl(code, port)), {"shipped": 7})
        for page in pages:
            self.assertEqual(printed(page, self.code), expected_lines(self.code))

    def test_flask(self) -> None:
        redis = RedisServer(self.folder / "redis")
        self.addCleanup(redis.stop)
        with start(NAME, 0, replaced={"redis://localhost:6379/0": redis.url}) as service:
            _, command = commands(self.sh[1])
            command[command.index("5000")] = "0"
            shop = self.backend(command, REDIS_URL=redis.url)
            port = int(shop.wait_for(r"Running on http://127\.0\.0\.1:(\d+)")[1])
            self.check(service, port, self.sh[2])
            redis.kill()  # and the shop sells on
            self.assertEqual(json.loads(curl(self.sh[2], port)), {"shipped": 7})
            shop.wait_for("the customer of order 7 was not told")

    def test_django(self) -> None:
        key_file = self.folder / "api-key"
        key_file.write_text(KEY)
        with start(NAME, 3, replaced={"api-key": str(key_file)}) as service:
            _, (_, *command) = commands(self.sh[4].replace("$(cat api-key)", ""))
            port = free_port()
            command[command.index("5000")] = str(port)
            shop = self.backend(
                [*command, "--noreload"],
                WSSERVICE_API_KEY=KEY,
                WSSERVICE_URL=f"http://localhost:{service.port}",
                SHOP_DB=str(self.folder / "shop.sqlite3"),
                no_proxy="*",
            )
            shop.wait_for("Quit the server")
            self.check(service, port, self.sh[5])
        self.assertEqual(json.loads(curl(self.sh[5], port)), {"shipped": 7})  # the service is gone
        shop.wait_for("the customer of order 7 was not told")
        self.assertNotIn(KEY, "\n".join(shop.lines) + service.log)
