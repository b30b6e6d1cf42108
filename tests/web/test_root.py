"""The tree of addresses."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from tests.web.auth_bench import AuthBench
from tests.web.memory import Browser, Response
from wsservice.auth.providers.base import Readiness
from wsservice.demo import app as demo
from wsservice.web.answers import json_answer
from wsservice.web.limits import Limits
from wsservice.web.resource import JsonResource
from wsservice.web.root import make_site


def hello(name: str) -> JsonResource:
    return JsonResource({"GET": lambda request: json_answer(200, {"hello": name})})


class Leaf(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        return b"/".join(request.postpath)


class RootTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        (self.folder / "index.html").write_bytes(b"<!doctype html>")
        (self.folder / "app.js").write_bytes(b"export {};")

    def get(self, path: str, **options: Any) -> Response:
        bench = AuthBench()
        options.setdefault("pages", self.folder)
        checks = {"keys": lambda: Readiness(False, "none")}
        site = make_site(bench.services, checks=checks, **options)
        return Browser(site).request("GET", path)

    def test_every_address_is_there(self) -> None:
        for path, status in (
            ("/", 200),
            ("/static/app.js", 200),
            ("/health", 200),
            ("/ready", 503),
            ("/auth/me", 401),
            ("/auth/login", 405),
            ("/index.html", 404),
            ("/static/index.html", 404),
            ("/static", 404),
            ("/static/", 404),
            ("/static/../app.js", 404),
            ("/static/%2e%2e/setup.py", 404),
            ("/static//etc/passwd", 404),
            ("/auth", 404),
            ("/nowhere", 404),
        ):
            with self.subTest(path=path):
                answer = self.get(path)
                self.assertEqual(answer.status, status)
                if status >= 400 and path != "/ready":
                    self.assertEqual(answer.json["requestId"], answer.header("X-Request-Id"))

    def test_the_page_is_optional(self) -> None:
        self.assertEqual(self.get("/", pages=None).status, 404)
        self.assertEqual(self.get("/health", pages=None).status, 200)

    def test_a_folder_without_an_index_has_none(self) -> None:
        (self.folder / "index.html").unlink()
        self.assertEqual(self.get("/").status, 404)

    def test_more_can_be_mounted_anywhere(self) -> None:
        mount = {b"/ws": hello("ws"), b"/a/b": hello("b"), b"/a/c/": hello("c"), b"/socket.io/": Leaf()}
        for path, status in (("/ws", 200), ("/a/b", 200), ("/a/c", 200), ("/a", 404), ("/a/d", 404)):
            self.assertEqual(self.get(path, mount=mount).status, status)
        self.assertEqual(self.get("/socket.io/", mount=mount).status, 200)

    def test_two_resources_for_one_path_are_refused(self) -> None:
        for path in (b"/health", b"/auth", b"/static"):
            with self.assertRaises(ValueError):
                self.get("/", mount={path: hello("x")})

    def test_limits_and_trusted_proxies_reach_the_site(self) -> None:
        limits, trusted = Limits(body_bytes=7), (ipaddress.ip_network("192.0.2.0/24"),)
        site = make_site(AuthBench().services, checks={}, limits=limits, trusted=trusted)
        self.assertEqual((site.limits, site.trusted), (limits, trusted))

    def test_the_demo_page_may_load_all_that_it_asks_for(self) -> None:
        folder = Path(demo.__file__).parent / "static"
        values = {"ws_path": "/ws", "socketio_path": "/socket.io", "dev": ""}
        page = self.get("/", pages=folder, page_values=values)
        self.assertEqual(page.status, 200)
        names = [path.relative_to(folder).as_posix() for path in (*folder.glob("*.*"), *folder.glob("client/*.js"))]
        self.assertIn("client/client.js", names)
        for name in names:
            if name == "index.html":
                continue
            self.assertEqual(self.get(f"/static/{name}", pages=folder, page_values=values).status, 200, name)
        # nothing inline, which the policy forbids
        self.assertNotIn(b" style=", page.body)
        self.assertNotIn(b"<script>", page.body)
        self.assertNotIn(b" onclick=", page.body)
