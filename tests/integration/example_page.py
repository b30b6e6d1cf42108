"""What a person does in client/example, in a window of a real Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from tests.integration.browser import Window
from tests.integration.nodejs import node_modules

#: has axe-core in its package.json
AXE_FOLDER = Path(__file__).parent / "node" / "axe"
#: the violations that matter, and what each element has
_AXE = """const done = arguments[arguments.length - 1];
axe.run().then(({ violations }) => done(violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)])))"""
_MESSAGES = """return [...document.querySelectorAll(arguments[0] + " .messages li")].map((row) =>
    [".message-user", ".message-text"].map((part) => row.querySelector(part).textContent))"""
_PEOPLE = """return [...document.querySelectorAll("#people > li")].map((row) =>
    [".person-name", ".small"].map((part) => row.querySelector(part).textContent))"""
_POST = """const [url, body, done] = arguments;
const headers = { "Content-Type": "application/json" };
fetch(url, { method: "POST", credentials: "include", headers, body: JSON.stringify(body) })
    .then((answer) => answer.json()).then(done, (error) => done(String(error)))"""
_REFRESHES = """return performance.getEntriesByType("resource")
    .filter(({ name }) => name.endsWith("/auth/refresh")).length"""

#: the panes of the two protocols
RAW, SOCKETIO = "#raw", "#socketio"
PANES = (RAW, SOCKETIO)


class ExamplePage:
    """The example in a window; see `Window`, whose words for elements it uses."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.driver = window.driver

    def has(self, selector: str) -> bool:
        """Whether there is such an element."""
        script = "return document.querySelector(arguments[0]) !== null"
        return bool(self.driver.execute_script(script, selector))

    def open(self) -> Self:
        """Load the page, and wait until it knows whether there is a session."""
        self.driver.get(self.window.address)
        self.window.until(lambda: self.has("#login-form") or self.has(RAW), "the page")
        return self

    def log_in(self, username: str, password: str) -> Self:
        """Load the page and log in; returns once both connections are open."""
        self.open()
        self.submit_login(username, password)
        return self.until_connected()

    def submit_login(self, username: str, password: str) -> None:
        """Fill in the login form and send it."""
        self.window.until(lambda: self.has("#login-form"), "the login")
        self.window.write("#login-form [name=username]", username)
        self.window.write("#login-form [name=password]", f"{password}\n")

    def until_login(self, notice: str) -> None:
        """Wait for the login with a notice."""

        def check() -> bool:
            return self.has("#login-form") and self.text("#login-error") == notice

        self.window.until(check, f"the login: {notice!r}")

    def text(self, selector: str) -> str:
        """An element's text, whether a person sees it or not; empty without one."""
        return str(
            self.driver.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)
        )

    def state(self, pane: str) -> str:
        """The words of a pane's state, and of its cause."""
        return " ".join(self.text(f"{pane} .badge-{part}") for part in ("label", "cause")).strip()

    def until_connected(self) -> Self:
        """Wait until both connections are open."""
        for pane in PANES:
            self.until_state(pane, "Connected")
        return self

    def until_state(self, pane: str, state: str) -> None:
        """Wait for the words of a pane's state and cause."""
        self.window.until(lambda: self.state(pane) == state, f"{pane}: {state!r}")

    def say(self, pane: str, text: str) -> None:
        """Send a message from a pane."""
        self.window.write(f"{pane} [name=text]", f"{text}\n")

    def messages(self, pane: str) -> list[tuple[str, str]]:
        """Who said what."""
        rows: list[list[str]] = self.driver.execute_script(_MESSAGES, pane)
        return [(user, text) for user, text in rows]

    def until_messages(self, pane: str, *texts: str) -> None:
        """Wait until a pane holds just these texts, in this order."""
        self.window.until(lambda: [text for _, text in self.messages(pane)] == list(texts), f"{pane}: {texts}")

    def until_people(self, **connections: int) -> None:
        """Wait until just these users are here, each with so many connections."""
        wanted = sorted(
            (name, "1 connection" if count == 1 else f"{count} connections") for name, count in connections.items()
        )

        def check() -> bool:
            rows: list[list[str]] = self.driver.execute_script(_PEOPLE)
            return sorted((name.removesuffix(" (you)"), count) for name, count in rows) == wanted

        self.window.until(check, f"the people {wanted}")

    def post(self, url: str, body: dict[str, Any]) -> Any:
        """What the service answers to a POST of this page, with the session's cookie."""
        return self.driver.execute_async_script(_POST, url, body)

    @property
    def refreshes(self) -> int:
        """How often this tab asked for a new token since it was loaded."""
        return int(self.driver.execute_script(_REFRESHES))

    def violations(self) -> list[list[str]]:
        """What axe-core finds serious or critical."""
        self.driver.execute_script((node_modules(AXE_FOLDER) / "axe-core" / "axe.min.js").read_text())
        found: list[list[str]] = self.driver.execute_async_script(_AXE)
        return found
