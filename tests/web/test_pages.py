"""Static files from memory."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.web.memory import Bench
from wsservice.web.pages import load_pages, page_resource


class PagesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        for name, content in (
            ("index.html", b"<!doctype html>"),
            ("app.js", b"export {};"),
            ("style.css", b""),
            ("icon.svg", b"<svg/>"),
            (".hidden.js", b"secret"),
            ("notes.md", b"secret"),
            ("app.js~", b"secret"),
        ):
            (self.folder / name).write_bytes(content)
        (self.folder / "folder.js").mkdir()
        (self.folder / "folder.js" / "index.html").write_bytes(b"<p>")
        (self.folder / ".git").mkdir()
        (self.folder / ".git" / "secret.txt").write_bytes(b"secret")
        self.pages = load_pages(self.folder)
        self.bench = Bench()
        for name, page in self.pages.items():
            self.bench.mount(name.encode(), page_resource(page))

    def test_only_files_of_known_kinds_are_loaded(self) -> None:
        self.assertEqual(sorted(self.pages), ["app.js", "folder.js/index.html", "icon.svg", "index.html", "style.css"])

    def test_a_file_is_served_with_its_type(self) -> None:
        for name, content_type in (
            ("index.html", "text/html; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("icon.svg", "image/svg+xml"),
        ):
            answer = self.bench.get(f"/{name}")
            self.assertEqual((answer.status, answer.header("Content-Type")), (200, content_type))
            self.assertEqual(answer.body, (self.folder / name).read_bytes())
            self.assertEqual(answer.header("Cache-Control"), "no-cache")

    def test_head_tells_the_length(self) -> None:
        answer = self.bench.get("/app.js", method="HEAD")
        self.assertEqual((answer.status, answer.body, answer.header("Content-Length")), (200, b"", "10"))

    def test_it_is_read_only_once(self) -> None:
        (self.folder / "app.js").unlink()
        self.assertEqual(self.bench.get("/app.js").body, b"export {};")

    def test_a_copy_that_is_still_good_is_not_sent_again(self) -> None:
        etag = self.bench.get("/app.js").header("ETag")
        for value in (etag, f"W/{etag}", f'"other", {etag}', "*", f'"other",W/{etag}'):
            with self.subTest(value=value):
                answer = self.bench.get("/app.js", f"If-None-Match: {value}")
                self.assertEqual((answer.status, answer.body), (304, b""))
                self.assertEqual((answer.header("ETag"), answer.header("Cache-Control")), (etag, "no-cache"))
                self.assertIsNone(answer.header("Content-Length"))

    def test_another_copy_is(self) -> None:
        for value in ('"other"', "", "nonsense", (self.bench.get("/app.js").header("ETag") or "").strip('"')):
            self.assertEqual(self.bench.get("/app.js", f"If-None-Match: {value}").status, 200)

    def test_another_content_has_another_tag(self) -> None:
        self.assertEqual(len({page.etag for page in self.pages.values()}), len(self.pages))

    def test_nothing_else_is_done_with_a_file(self) -> None:
        for method in ("POST", "PUT", "DELETE"):
            answer = self.bench.get("/app.js", method=method)
            self.assertEqual((answer.status, answer.header("Allow")), (405, "GET, HEAD, OPTIONS"))

    def test_there_is_no_way_out_of_the_folder(self) -> None:
        for path in (
            "/../app.js",
            "/..%2fapp.js",
            "/%2e%2e/app.js",
            "/app.js/..",
            "/.hidden.js",
            "/notes.md",
            "/app.js%00",
        ):
            self.assertEqual(self.bench.get(path).status, 404)

    def test_the_places_in_html_are_filled_and_escaped(self) -> None:
        (self.folder / "index.html").write_text('<meta content="{{ws_path}}"> {{ws_path}} {{ }} { {{a b}}')
        (self.folder / "app.js").write_text("`{{ws_path}}`")
        pages = load_pages(self.folder, {"ws_path": "/a&\"'<b>"})
        escaped = "/a&amp;&quot;&#x27;&lt;b&gt;"
        self.assertEqual(
            pages["index.html"].content.decode(), f'<meta content="{escaped}"> {escaped} {{{{ }}}} {{ {{{{a b}}}}'
        )
        self.assertEqual(pages["app.js"].content, b"`{{ws_path}}`")
        other = load_pages(self.folder, {"ws_path": "/b"})
        self.assertNotEqual(pages["index.html"].etag, other["index.html"].etag)

    def test_a_place_without_a_value_is_a_mistake(self) -> None:
        (self.folder / "index.html").write_text("{{nothing}}")
        self.assertRaises(KeyError, load_pages, self.folder, {"ws_path": "/b"})

    def test_a_folder_that_is_not_there_is_an_error(self) -> None:
        with self.assertRaises(OSError):
            load_pages(self.folder / "nowhere")
