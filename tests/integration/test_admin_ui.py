"""The real UI of @socket.io/admin-ui in a real Chromium, served from another origin than the service.

Set `WSSERVICE_PICTURES` to a folder to keep the picture of docs/admin.md.
"""

from __future__ import annotations

import os
import re
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.integration.browser import Window
from tests.integration.nodejs import node_modules
from tests.integration.test_browser import BrowserTestCase
from wsservice.admin.passwords import make_hash

FOLDER = Path(__file__).parent / "admin_ui"
PASSWORD = "correct horse battery staple"
#: what a password costs to check is of no interest here
HASH = make_hash(PASSWORD, (14, 8, 1))


class _Pages(SimpleHTTPRequestHandler):
    """The UI as it is in the package, but for what it would load from elsewhere: its icons come from here, too."""

    def do_GET(self) -> None:
        """Answer."""
        if self.path.partition("?")[0] != "/":
            super().do_GET()
            return
        page = (Path(self.directory) / "index.html").read_text()
        page = re.sub(r"<link[^>]*fonts\.googleapis\.com[^>]*>", "", page)
        page = re.sub(r"https://cdn\.jsdelivr\.net/npm/@mdi/font@latest/", "/@mdi/", page)
        body = page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def translate_path(self, path: str) -> str:
        """Where a file is."""
        if path.startswith("/@mdi/"):
            return str(node_modules(FOLDER) / "@mdi" / "font" / path.partition("?")[0].removeprefix("/@mdi/"))
        return super().translate_path(path)

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


class Ui:
    """The UI in a window, and the words for what a person does in it."""

    def __init__(self, window: Window, address: str) -> None:
        self.window = window
        self.address = address

    def log_in(self, service: str, password: str, *, name: str = "ann", websocket_only: bool = False) -> None:
        """Fill in the form and send it."""
        fields = self.window.driver.find_elements(By.CSS_SELECTOR, ".v-dialog form input")
        for field, text in zip(fields[:3], (service.rstrip("/"), name, password), strict=True):
            field.send_keys(Keys.CONTROL, "a")
            field.send_keys(text)
        self.window.click(".v-dialog button[type=submit]")

    def until_text(self, text: str, selector: str = "body") -> None:
        """Wait until the page has that text."""
        self.window.until(lambda: text in self.window.text(selector), repr(text))

    def go(self, page: str) -> None:
        """Open one of its pages, without loading anew."""
        self.window.driver.execute_script("location.hash = arguments[0]", page)

    def rows(self) -> list[str]:
        """The texts of the rows of its table."""
        rows: list[str] = self.window.driver.execute_script(
            "return [...document.querySelectorAll('main tbody tr')].map((row) => row.textContent)"
        )
        return rows

    def ids(self) -> list[str]:
        """The ids in its list of sockets."""
        found = [re.match(r"\s*([A-Za-z0-9_-]{20})", row) for row in self.rows()]
        return [match[1] for match in found if match]


class AdminUiCase(BrowserTestCase):
    """Serves the UI's pages, and starts the service with the admin view on."""

    #: more options of the service
    more: tuple[str, ...] = ()

    def setUp(self) -> None:
        pages = node_modules(FOLDER) / "@socket.io" / "admin-ui" / "ui" / "dist"
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Pages, directory=str(pages)))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.origin = f"http://localhost:{server.server_address[1]}"
        secret = self.folder() / "hash"
        secret.write_text(HASH)
        self.options = (
            *("--admin-user", "ann", "--admin-password-hash-file", str(secret), "--admin-origin", self.origin),
            *self.more,
        )
        super().setUp()

    def open_ui(self) -> Ui:
        """The UI in a new window, before the login."""
        window = self.window(width=1700, height=860)
        window.driver.get(f"{self.origin}/")
        window.driver.execute_script("localStorage.clear()")
        window.driver.get(f"{self.origin}/?")
        window.until(lambda: window.driver.find_elements(By.CSS_SELECTOR, ".v-dialog form input"), "the login form")
        return Ui(window, self.origin)

    def logged_in(self) -> Ui:
        """The UI after the login."""
        ui = self.open_ui()
        ui.log_in(self.service.address, PASSWORD)
        ui.until_text("Dashboard", "main")
        ui.window.until(lambda: not ui.window.driver.find_elements(By.CSS_SELECTOR, ".v-dialog--active"), "the login")
        return ui


class DevelopmentTests(AdminUiCase):
    def test_a_wrong_password_is_told_and_the_right_one_logs_in(self) -> None:
        ui = self.open_ui()
        ui.log_in(self.service.address, "not this one at all")
        ui.until_text("Invalid credentials", ".v-dialog")
        ui.log_in(self.service.address, PASSWORD)
        ui.window.until(lambda: not ui.window.driver.find_elements(By.CSS_SELECTOR, ".v-dialog--active"), "the login")
        ui.go("#/servers/")
        ui.window.until(lambda: len(ui.rows()) == 1 and "healthy" in ui.rows()[0].lower(), "this process")
        # it comes back by the session, not by the password
        ui.window.driver.get(f"{self.origin}/#/servers/")
        ui.window.driver.refresh()
        ui.window.until(lambda: len(ui.rows()) == 1, "this process again")

    def test_a_socket_is_seen_with_its_user_rooms_and_events_and_is_disconnected(self) -> None:
        alice, ui = self.log_in("alice"), self.logged_in()
        ui.go("#/sockets/")
        ui.window.until(lambda: len(ui.ids()) == 2, "the raw WebSocket of alice's page, and its Socket.IO")
        alice.say("hello from alice")
        alice.until_messages("hello from alice")
        ui.go("#/events/")
        ui.window.until(lambda: {"Event received", "Event sent"} <= self.kinds(ui), "both events")
        ui.go("#/sockets/")
        ui.window.until(lambda: len(ui.ids()) == 2, "the list")
        raw = next(one for one in ui.ids() if self.is_raw(ui, one))
        buttons = "main .v-card button"
        ui.window.until(lambda: ui.window.driver.find_elements(By.CSS_SELECTOR, buttons), "the buttons")
        ui.window.save(Path(os.environ.get("WSSERVICE_PICTURES") or self.folder()) / "admin.png")
        ui.window.driver.execute_script("document.querySelectorAll(arguments[0])[1].click()", buttons)
        alice.until(lambda: alice.state != "connected", "alice's end")
        self.assertIn("Disconnected by an administrator", alice.text("body"))
        ui.go("#/sockets/")
        ui.window.until(lambda: len(ui.ids()) == 1 and raw not in ui.ids(), "the other one alone")

    def is_raw(self, ui: Ui, id: str) -> bool:
        """Open the page of a socket; whether its request is not Engine.IO's."""
        ui.go(f"#/n/%2F/sockets/{id}")
        ui.window.until(lambda: id in ui.window.text("main"), "the socket's page")
        ui.until_text('"username": "alice"', "main")
        return "EIO" not in ui.window.text("main")

    def kinds(self, ui: Ui) -> set[str]:
        """Which kinds of events are listed."""
        return {kind for kind in ("Event received", "Event sent") if any(kind in row for row in ui.rows())}


class ReadOnlyTests(AdminUiCase):
    more = ("--admin-read-only",)

    def test_there_is_nothing_to_disconnect_by(self) -> None:
        self.log_in("alice")
        ui = self.logged_in()
        ui.go("#/sockets/")
        ui.window.until(lambda: len(ui.ids()) == 2, "alice's sockets")
        self.assertEqual(ui.window.driver.find_elements(By.CSS_SELECTOR, "main tbody button"), [])


class ProductionTests(AdminUiCase):
    more = ("--admin-mode", "production")

    def test_there_are_figures_only(self) -> None:
        self.log_in("alice")
        ui = self.logged_in()
        ui.go("#/servers/")
        ui.window.until(lambda: len(ui.rows()) == 1 and "healthy" in ui.rows()[0].lower(), "this process")
        self.assertNotIn("Sockets", ui.window.text("nav"))
