"""The files of the page: complete, and within a strict Content-Security-Policy."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import wsservice.demo

STATIC = Path(wsservice.demo.__file__).parent / "static"

#: what would run or fetch something that the policy forbids, show a text as markup, or keep a secret
FORBIDDEN = (
    "innerHTML",
    "outerHTML",
    "insertAdjacentHTML",
    "document.write",
    "eval(",
    "new Function",
    ".style.",
    "localStorage",
    "sessionStorage",
    "document.cookie",
)


def scripts() -> dict[str, str]:
    """Every module of the page, its own and those of the client package, by its path."""
    paths = [*STATIC.glob("*.js"), *STATIC.glob("client/*.js")]
    return {path.relative_to(STATIC).as_posix(): path.read_text("utf-8") for path in paths}


class Page(HTMLParser):
    """Collects what the tests ask of the page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed((STATIC / "index.html").read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str]:
        """The values of an attribute, of every tag that has it."""
        return [value for _, attributes in self.tags if (value := attributes.get(name)) is not None]


class PageTests(SynchronousTestCase):
    """`index.html`."""

    def setUp(self) -> None:
        self.page = Page()

    def test_nothing_stands_inline_that_the_policy_forbids(self) -> None:
        for tag, attributes in self.page.tags:
            self.assertNotEqual(tag, "style")
            self.assertNotIn("style", attributes)
            self.assertEqual([name for name in attributes if name.startswith("on")], [])
            if tag == "script":
                self.assertIn("src", attributes)

    def test_it_asks_only_for_files_that_are_there(self) -> None:
        for address in [*self.page.values("src"), *self.page.values("href")]:
            self.assertTrue(address.startswith("/static/"), address)
            self.assertTrue((STATIC / address.removeprefix("/static/")).is_file(), address)

    def test_every_id_stands_once(self) -> None:
        ids = self.page.values("id")
        self.assertEqual(sorted(ids), sorted(set(ids)))

    def test_every_label_and_reference_finds_its_element(self) -> None:
        ids = set(self.page.values("id"))
        for name in ("for", "aria-labelledby", "aria-describedby"):
            self.assertEqual(set(self.page.values(name)) - ids, set())

    def test_it_is_told_what_it_must_know_of_the_service(self) -> None:
        told = {"ws-path": "{{ws_path}}", "socketio-path": "{{socketio_path}}", "dev": "{{dev}}"}
        for name, content in told.items():
            self.assertIn(("meta", {"name": name, "content": content}), self.page.tags)
        self.assertEqual([name for name, text in scripts().items() if '"/ws' in text or '"/socket.io' in text], [])
        asked = re.findall(r'setting\("([^"]+)"\)', "".join(scripts().values()))
        self.assertEqual(set(asked), set(told))

    def test_every_form_posts_so_that_no_password_can_stand_in_an_address(self) -> None:
        forms = [attributes for tag, attributes in self.page.tags if tag == "form"]
        asking = [form for form in forms if form.get("class") != "composer"]
        self.assertEqual({form.get("method") for form in asking}, {"post"})


class ScriptTests(SynchronousTestCase):
    """The modules."""

    def test_every_import_finds_its_file(self) -> None:
        for name, text in scripts().items():
            for target in re.findall(r'(?:from|import\()\s*"([^"]+)"', text):
                self.assertTrue(target.startswith("./"), f"{name}: {target}")
                self.assertTrue(((STATIC / name).parent / target).is_file(), f"{name}: {target}")

    def test_every_element_that_they_name_is_in_the_page(self) -> None:
        ids = set(Page().values("id"))
        for name, text in scripts().items():
            self.assertEqual(set(re.findall(r'(?:byId|onClick)\("([^"]+)"', text)) - ids, set(), name)

    def test_they_hold_nothing_that_is_forbidden(self) -> None:
        for name, text in scripts().items():
            self.assertEqual([word for word in FORBIDDEN if word in text], [], name)

    def test_no_file_names_another_host(self) -> None:
        for path in (path for path in STATIC.glob("**/*") if path.is_file()):
            found = re.findall(r"(?:https?|wss?)://[^\"'\s]+", path.read_text("utf-8"))
            self.assertEqual(set(found) - {"http://www.w3.org/2000/svg"}, set(), path.name)
