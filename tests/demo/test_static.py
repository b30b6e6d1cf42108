"""The files of the page: complete, in step with the service, and within a strict Content-Security-Policy."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import wsservice.demo
from tests.needs import require
from wsservice import close_codes
from wsservice.close_codes import Advice, CloseCode
from wsservice.envelope import decode_text
from wsservice.errors import InvalidToken, MissingToken
from wsservice.identity import LOGIN_TIMEOUT
from wsservice.messages import Event

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

    def test_it_is_told_where_the_websocket_is(self) -> None:
        self.assertIn(("meta", {"name": "ws-path", "content": "{{ws_path}}"}), self.page.tags)
        self.assertEqual([name for name, text in scripts().items() if '"/ws' in text], [])
        self.assertIn('document.querySelector("meta[name=ws-path]")', scripts()["app.js"])

    def test_every_form_posts_so_that_no_password_can_stand_in_an_address(self) -> None:
        forms = [attributes for tag, attributes in self.page.tags if tag == "form"]
        asking = [form for form in forms if form["id"] != "chat-form"]
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
            self.assertEqual(set(re.findall(r'byId\("([^"]+)"', text)) - ids, set(), name)

    def test_they_hold_nothing_that_is_forbidden(self) -> None:
        for name, text in scripts().items():
            self.assertEqual([word for word in FORBIDDEN if word in text], [], name)

    def test_no_file_names_another_host(self) -> None:
        for path in (path for path in STATIC.glob("**/*") if path.is_file()):
            found = re.findall(r"(?:https?|wss?)://[^\"'\s]+", path.read_text("utf-8"))
            self.assertEqual(set(found) - {"http://www.w3.org/2000/svg"}, set(), path.name)

    def test_the_clients_know_nothing_of_the_page(self) -> None:
        for name in ("client", "auth-client", "http", "calls", "envelope", "backoff"):
            self.assertNotRegex(scripts()[f"client/{name}.js"], r"\b(document|window)\b\.", name)

    def test_a_login_is_waited_for_longer_than_the_server_waits_for_the_provider(self) -> None:
        match = re.search(r"POST_TIMEOUT = ([0-9_]+);", scripts()["client/http.js"])
        assert match is not None
        self.assertGreater(int(match[1]), 1000 * LOGIN_TIMEOUT)


@dataclass(frozen=True)
class Said:
    """A text that somebody writes, and whether it goes in an envelope."""

    text: str
    enveloped: bool = False


SAID = [
    Said("Hello, Bob"),
    Said('"quoted"'),
    Said("[1, 2]"),
    Said("123"),
    Said("{", True),
    Said('{"event": "ping", "data": 1}', True),
    Said(' \t{"event": "message", "data": "x"}', True),
    Said('{"ack": 1, "data": 2}', True),
    Said('\ufeff{"event": "ping"}', True),
]


class MessageTests(SynchronousTestCase):
    """`envelope.js` in Node: what somebody writes arrives as it was written."""

    def test_every_text_is_said_verbatim(self) -> None:
        # From a data URL, since Node takes a file of this name for something else than a module.
        script = """
            import { readFileSync } from "node:fs";
            const source = encodeURIComponent(readFileSync("client/envelope.js", "utf-8"));
            const { encodeMessage, messageOf } = await import(`data:text/javascript,${source}`);
            let input = "";
            for await (const chunk of process.stdin) input += chunk;
            const frames = JSON.parse(input).map(encodeMessage);
            console.log(JSON.stringify(frames.map((frame) => [frame, messageOf(frame)])));
        """
        require("node")
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", script],
            input=json.dumps([one.text for one in SAID]),
            cwd=STATIC,
            capture_output=True,
            text=True,
            check=True,
        )
        for one, (frame, message) in zip(SAID, json.loads(done.stdout), strict=True):
            self.assertEqual(decode_text(frame), Event("message", (one.text,)))
            self.assertEqual(message, one.text)
            self.assertEqual(frame != one.text, one.enveloped, one.text)


class CloseCodeTests(SynchronousTestCase):
    """`close-codes.js` says what `wsservice/close_codes.py` says."""

    def setUp(self) -> None:
        self.text = scripts()["client/close-codes.js"]

    def constant(self, name: str) -> str:
        match = re.search(rf'export const {name} = "([^"]*)";', self.text)
        assert match is not None, name
        return match[1]

    def test_every_code_has_the_same_advice(self) -> None:
        table = dict(re.findall(r'^  (\d+): "(\w+)",$', self.text, re.MULTILINE))
        for code in CloseCode:
            self.assertEqual(table.pop(str(int(code)), Advice.BACKOFF), code.advice, code.name)
        self.assertEqual(table, {})

    def test_the_reasons_are_the_same(self) -> None:
        self.assertEqual(self.constant("EXPIRED"), close_codes.EXPIRED)
        self.assertEqual(self.constant("SIGNED_OUT"), close_codes.SIGNED_OUT)
        self.assertEqual(self.constant("TAKEN_OVER"), close_codes.TAKEN_OVER)
        self.assertEqual(self.constant("MISSING_TOKEN"), MissingToken.message)
        self.assertEqual(self.constant("INVALID_TOKEN"), InvalidToken.message)

    def test_the_reasons_to_stay_away_are_the_same(self) -> None:
        names = re.search(r"STOP_REASONS = Object\.freeze\(\[([^\]]*)\]\)", self.text)
        assert names is not None
        reasons = {self.constant(name.strip()) for name in names[1].split(",")}
        self.assertEqual(reasons, close_codes.STOP_REASONS)
