"""docs/tutorial.md, as a reader walks it: the app, the command line, the page in a browser, the tests."""

from __future__ import annotations

import subprocess
import sys

from tests import needs
from tests.docs.blocks import block
from tests.docs.running import Base, console, on_port, replaced
from tests.integration.browser import Window
from tests.integration.service import PATIENCE

PAGE = "docs/tutorial.md"


class TutorialTests(Base):
    def setUp(self) -> None:
        super().setUp()
        (self.folder / "chat.py").write_text(block(PAGE, "# chat.py"))

    def test_by_the_command_line(self) -> None:
        service = self.start("--dev", "--app", "chat:app")
        (_, _), (command, shown) = console(block(PAGE, "$ export WSSERVICE_PASSWORD"))
        printed = self.shell(on_port(command, service), WSSERVICE_PASSWORD=service.users["alice"])
        self.assert_printed(printed, on_port(shown, service))
        self.assertNotIn("Traceback", service.log)

    def test_the_apps_own_tests(self) -> None:
        (self.folder / "test_chat.py").write_text(block(PAGE, "# test_chat.py"))
        self.assertIn("\nOK\n", self.shell(block(PAGE, "python -m unittest test_chat")))

    def test_the_page(self) -> None:
        needs.require("chromium")
        serving = [sys.executable, "-u", *block(PAGE, "python3 -m http.server").split()[1:-1], "0"]
        pages = subprocess.Popen(serving, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert pages.stdout is not None
        self.addCleanup(pages.stdout.close)
        self.addCleanup(pages.wait, PATIENCE)
        self.addCleanup(pages.kill)
        origin = f"http://localhost:{pages.stdout.readline().partition(' port ')[2].split()[0]}"
        self.assertIn("CORS_ORIGIN=http://localhost:8000", block(PAGE, "CORS_ORIGIN="))
        service = self.start("--dev", "--app", "chat:app", env={"CORS_ORIGIN": origin})
        page = replaced(block(PAGE, "<!doctype html>"), {"localhost:3020": f"localhost:{service.port}"})
        (self.folder / "chat.html").write_text(page)
        alice, bob = (self.log_in(f"{origin}/chat.html", user, service.users[user]) for user in ("alice", "bob"))
        bob.find("#say [name=text]").send_keys("hello\n")
        for window in (alice, bob):
            window.until(lambda window=window: "garden: bob: hello" in window.text("#log"), "what bob said")

    def log_in(self, address: str, user: str, password: str) -> Window:
        """A browser of its own, whose user is in the first room."""
        profile = self.folder / f"profile-{user}"
        profile.mkdir()
        window = Window(profile)
        self.addCleanup(window.close)
        window.driver.get(address)
        window.find("[name=username]").send_keys(user)
        window.find("[name=password]").send_keys(f"{password}\n")
        window.until(lambda: f"{user} is here" in window.text("#log"), "the room")
        return window
