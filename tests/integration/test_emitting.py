"""docs/emitting.md: backends reach the clients of two nodes; every block of code on the page is run."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.docs.blocks import INDENTED, blocks
from tests.integration.nodejs import node_modules
from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import PATIENCE, ROOT, RunningService
from tests.needs import missing
from wsservice.emitter import Emitter
from wsservice.errors import RedisRefused, RedisUnavailable

PAGE = "docs/emitting.md"
KEY = "integration-test-key-0123456789abcdef"
APP = """\
from wsservice import App

app = App()
app.namespace("/admin")


@app.on_connect
def hello(connection):
    if connection.user.id != "carol":
        connection.join("lobby")
    connection.emit("hello", connection.id)


@app.on("rooms")
def rooms(connection, data=None):
    return sorted(connection.rooms)


@app.on_server("reload")
def reload(what):
    app.emit("reloading", what, local=True)
"""


class Page(SynchronousTestCase):
    """Two nodes on one Redis, and a client of each: ann and bob in the lobby, carol outside, on the second."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        (self.folder / "app.py").write_text(APP)
        self.redis = RedisServer(self.folder / "redis")
        self.addCleanup(self.redis.stop)
        stack = ExitStack()
        self.addCleanup(stack.close)
        provider = stack.enter_context(Provider())
        environment = {**provider.environment, "REDIS_URL": self.redis.url, "WSSERVICE_API_KEY": KEY}
        nodes = [RunningService("--app", "app:app", cwd=self.folder, env=environment) for _ in range(2)]
        self.nodes = [stack.enter_context(node) for node in nodes]
        self.emitter = stack.enter_context(Emitter(self.redis.url))
        self.wait_until(lambda: self.emitter.emit("anybody", room="nobody") == 2)
        self.clients: dict[str, ClientConnection] = {}
        self.found: dict[str, list[tuple[str, Any]]] = {}
        self.ids: dict[str, str] = {}
        for user, node in (("ann", self.nodes[0]), ("bob", self.nodes[1]), ("carol", self.nodes[1])):
            client = connect(node.url, additional_headers={"Cookie": provider.cookie(user)}, proxy=None)
            self.clients[user] = stack.enter_context(client)
            self.ids[user] = json.loads(client.recv(PATIENCE))["data"]

    def wait_until(self, come: Any) -> None:
        """Ask again and again, within bounds."""
        deadline = time.monotonic() + PATIENCE
        while not come():
            self.assertLess(time.monotonic(), deadline)

    def hear(self, user: str, count: int) -> list[tuple[str, Any]]:
        """The next events of a client: so many, and what else has come by then."""
        client, found = self.clients[user], self.found.setdefault(user, [])
        deadline = time.monotonic() + PATIENCE
        while True:
            self.assertLess(time.monotonic(), deadline, found)
            # what comes before a last event, which has gone through Redis, too
            self.emitter.emit("end", room=self.ids[user])
            while (message := json.loads(client.recv(PATIENCE))).get("event") != "end":
                found.append((message["event"], message["data"]))
            if len(found) >= count:
                self.found[user] = []
                return found

    def closed(self, user: str) -> int | None:
        """The code by which a client is closed, whatever it hears before."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.clients[user].recv(PATIENCE)
        return self.clients[user].close_code

    def rooms(self, user: str) -> list[str]:
        """The rooms that a client is in."""
        client = self.clients[user]
        client.send('{"event": "rooms", "id": 1}')
        while "ack" not in (answer := json.loads(client.recv(PATIENCE))):
            self.found.setdefault(user, []).append((answer["event"], answer["data"]))
        rooms: list[str] = answer["data"]
        return rooms

    def wsservice(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """The program, as a process."""
        return subprocess.run(
            [sys.executable, "-m", "wsservice", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "REDIS_URL": self.redis.url},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            **options,
        )

    def post(self, node: RunningService, path: str, body: Any) -> Any:
        """The answer to a backend's request."""
        request = Request(f"http://localhost:{node.port}{path}", json.dumps(body).encode())
        request.add_header("Authorization", f"Bearer {KEY}")
        request.add_header("Content-Type", "application/json")
        with urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)


class ThreeWaysTests(Page):
    def test_each_way_reaches_the_clients_of_both_nodes_once(self) -> None:
        done = self.wsservice("emit", "news", "1", "--room", "lobby")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "1 event, heard by 2 nodes\n", ""))
        self.assertEqual(self.emitter.emit("news", 2, room="lobby"), 2)
        for number, node in enumerate(self.nodes, 3):
            answer = self.post(node, "/api/emit", {"event": "news", "data": number, "room": "lobby"})
            self.assertEqual(answer, {"accepted": 1, "connections": 1})
        for user in ("ann", "bob"):  # each way has a connection of its own: in whatever order
            self.assertEqual(sorted(self.hear(user, 4)), [("news", number) for number in (1, 2, 3, 4)])
            self.assertEqual(self.hear(user, 0), [])
        self.assertEqual(self.hear("carol", 0), [])

    def test_users_lists_and_exceptions(self) -> None:
        lines = '{"event": "a", "user": "carol"}\n{"event": "b", "user": ["ann", "carol"], "except_room": "lobby"}\n'
        self.assertEqual(self.wsservice("emit", "-", input=lines).returncode, 0)
        self.assertEqual(self.hear("carol", 2), [("a", None), ("b", None)])
        self.assertEqual(self.hear("ann", 0), [])
        messages = [{"event": "c", "args": [number], "user": "carol"} for number in range(100)]
        self.assertEqual(self.post(self.nodes[0], "/api/emit", messages), {"accepted": 100, "connections": 0})
        self.assertEqual(self.hear("carol", 100), [("c", number) for number in range(100)])

    def test_rooms_and_disconnections(self) -> None:
        self.emitter.join("vip", user="carol")
        self.wait_until(lambda: "vip" in self.rooms("carol"))
        self.assertEqual(self.wsservice("leave", "vip", "--user", "carol").stdout, "heard by 2 nodes\n")
        self.wait_until(lambda: "vip" not in self.rooms("carol"))
        self.assertEqual(self.emitter.server_emit("reload", "prices"), 2)
        for user in self.clients:
            self.assertEqual(self.hear(user, 1), [("reloading", "prices")])
        answer = self.post(self.nodes[0], "/api/disconnect", {"user": "carol", "code": 4001, "reason": "Gone"})
        self.assertEqual(answer, {"accepted": 1, "connections": 0})
        self.emitter.disconnect(user="bob", code=4002)
        self.assertEqual([self.closed(user) for user in ("carol", "bob")], [4001, 4002])
        self.assertEqual(self.hear("ann", 0), [])

    def test_a_redis_that_is_away_and_comes_back(self) -> None:
        self.redis.kill()
        self.assertRaises(RedisUnavailable, self.emitter.emit, "lost")
        self.assertEqual(self.wsservice("emit", "lost").returncode, 1)
        self.wait_until(lambda: "queued" in self.post(self.nodes[0], "/api/emit", {"event": "probe", "user": "none"}))
        answer = self.post(self.nodes[0], "/api/emit", {"event": "late", "room": "lobby"})
        self.assertEqual(answer, {"accepted": 1, "connections": 1, "queued": True})
        self.assertEqual(json.loads(self.clients["ann"].recv(PATIENCE))["event"], "late")  # delivered all the same
        self.redis.start()
        self.wait_until(lambda: self.emitter.emit("anybody", room="nobody") == 2)
        self.assertEqual(self.emitter.emit("again", room="lobby"), 2)
        self.assertEqual(self.hear("ann", 1), [("again", None)])
        self.assertIn(("again", None), self.hear("bob", 1))


class SecureTests(SynchronousTestCase):
    def test_tls_with_a_password(self) -> None:
        redis = RedisServer(self.mktemp(), tls=True, password="right")
        self.addCleanup(redis.stop)
        with Emitter(redis.url) as emitter:
            self.assertEqual([emitter.emit("news") for _ in range(3)], [0, 0, 0])
            self.assertEqual(redis.ask("CLIENT", "LIST", "TYPE", "normal").count(b"\n"), 2)
        with Emitter(redis.url.replace("right", "wrong")) as emitter:
            self.assertEqual(self.assertRaises(RedisRefused, emitter.emit, "news").code, "WRONGPASS")
        with Emitter(redis.url.partition("?")[0]) as emitter:
            self.assertIn("certificate", str(self.assertRaises(RedisUnavailable, emitter.emit, "news")))

    def test_a_unix_socket_and_a_client_of_the_package_redis(self) -> None:
        redis = RedisServer(self.mktemp(), unix=True)
        self.addCleanup(redis.stop)
        with Emitter(redis.url) as emitter:
            self.assertEqual(emitter.emit("news"), 0)
        try:
            from redis import Redis
        except ImportError:
            return
        with Redis(unix_socket_path=redis.path) as client:
            self.assertEqual(Emitter(client=client).emit("news"), 0)


class PageTests(Page):
    def test_every_block_does_what_it_says(self) -> None:
        if shutil.which("curl") is None:
            raise missing("curl is not installed: apt-get install curl")
        self.write_program()
        fenced = [block for block in blocks(PAGE) if block.language != INDENTED]
        for number, block in enumerate(fenced):
            language, code = block.language, block.code.replace("redis://localhost:6379/0", self.redis.url)
            code = code.replace("localhost:3020", f"localhost:{self.nodes[0].port}")
            if "Flask(" in code:
                code += 'assert app.test_client().post("/orders", json={"item": "tea"}).json == {"ok": True}\n'
                self.emitter.join("kitchen", user="ann")
                self.wait_until(lambda: "kitchen" in self.rooms("ann"))
            self.run_block(number, language, code)
        # of news: the shell's two, Python's three (one where errors are handled), HTTP's, Node's, python-socketio's
        found = Counter(event for event, _ in self.hear("ann", 16))
        expected = {"news": 8, "notice": 1, "total": 3, "order": 1, "reloading": 3}
        self.assertEqual({event: found[event] for event in expected}, expected)
        self.assertIsNotNone(self.closed("carol"))

    def write_program(self) -> None:
        """`wsservice` on the path, as pip would install it."""
        program = self.folder / "bin" / "wsservice"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wsservice "$@"\n')
        program.chmod(0o755)

    def run_block(self, number: int, language: str, code: str) -> None:
        """Run one block as a program of its own."""
        file = self.folder / f"block{number}.{language}"
        file.write_text(code)
        program = {"sh": ["bash", "-eu"], "python": [sys.executable], "js": ["node"]}[language]
        environment = {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "REDIS_URL": self.redis.url,
            "WSSERVICE_API_KEY": KEY,
        }
        if language == "js":
            environment["NODE_PATH"] = str(node_modules())
        done = subprocess.run(
            [*program, str(file)],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual(done.returncode, 0, f"{code}\n{done.stdout}\n{done.stderr}")
        self.assertNotIn("not sent", done.stdout)
