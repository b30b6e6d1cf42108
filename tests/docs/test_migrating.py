"""docs/migrating.md: the server on Node and the one here do the same for the same client."""

from __future__ import annotations

import json
import os
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.docs.blocks import ROOT, block
from tests.docs.running import Base
from tests.examples.readme import Program
from tests.integration.nodejs import node_modules
from tests.integration.provider import Provider
from tests.integration.service import PATIENCE
from wsservice.testing import USER_POOL

PAGE = "docs/migrating.md"
#: of what the page replaces; the benchmarks run the same packages
PACKAGES = ROOT / "benchmarks/peers"


class MigratingTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.provider = self.enterContext(Provider())

    def seen_by_a_client(self, url: str) -> tuple[Any, tuple[int, str]]:
        """What comes of a text with a good token, and how a bad one is closed."""
        cookies = (self.provider.cookie("alice"), "authToken=rubbish")
        good, bad = ({"Cookie": cookie} for cookie in cookies)
        with connect(url, additional_headers=good, proxy=None) as client:
            client.send("hello")
            answer = json.loads(client.recv(PATIENCE))
        with connect(url, additional_headers=bad, proxy=None) as client:
            error = self.assertRaises(ConnectionClosed, client.recv, PATIENCE)
        assert error.rcvd is not None
        return answer, (error.rcvd.code, error.rcvd.reason)

    def on_node(self) -> str:
        """The address of the server that is left behind."""
        packages = node_modules(PACKAGES)
        (self.folder / "server.js").write_text(block(PAGE, "// server.js"))
        keys = f"{self.provider.url}/{USER_POOL}/.well-known/jwks.json"
        issuer = self.provider.issuer.issuer
        environ = {"PORT": "0", "AUTH_ISSUER": issuer, "AUTH_JWKS_URL": keys, "NODE_PATH": str(packages)}
        program = Program(["node", "server.js"], cwd=self.folder, env={**os.environ, **environ})
        self.addCleanup(program.stop)
        port = program.wait_for(r"http://\S+:(\d+)")[1]
        return f"ws://localhost:{port}/ws"

    def here(self) -> str:
        """The address of the service."""
        (self.folder / "chat.py").write_text(block(PAGE, "# chat.py"))
        return self.start("--app", "chat:app", env=self.provider.environment).url

    def test_both_do_the_same(self) -> None:
        expected = {"user": "alice", "message": "hello"}, (1008, "Invalid authentication token")
        for url in (self.here(), self.on_node()):
            self.assertEqual(self.seen_by_a_client(url), expected)
