"""What the tests of the page have in common: a service, windows, and a look at their consoles in the end."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration.browser import Window, windows
from tests.integration.dev_service import DevService
from tests.needs import require

#: a lost server, as the console tells it
REFUSED = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to .* failed"


class BrowserTestCase(TestCase):
    """Starts the service and windows; at its end no console may have complained."""

    #: seconds for a whole test, far more than one takes; every wait within is bounded, too
    timeout = 300
    #: more options of the service
    options: tuple[str, ...] = ()

    service: DevService

    def setUp(self) -> None:
        require("chromium")
        #: patterns of complaints that the test brings about
        self.expected: list[str] = []
        self.start_service()

    def start_service(self) -> None:
        """Start the service; it ends with the test."""
        self.service = DevService(self.folder(), *self.options)
        self.addCleanup(self.service.stop)

    @property
    def address(self) -> str:
        """Of the page."""
        return self.service.address

    def folder(self) -> Path:
        """A new, empty folder, which trial removes with its own."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return folder.absolute()

    def window(self, *, width: int = 1200, height: int = 800, scheme: str = "light") -> Window:
        """A window with a profile of its own; at the end its console is looked at."""
        window = windows.take(self.address, self.folder(), width=width, height=height, scheme=scheme)
        self.addCleanup(self.finish, window)
        return window

    def finish(self, window: Window) -> None:
        """Take a picture, which is there when a test fails, and look at the window's console."""
        try:
            window.save(self.folder() / f"{self._testMethodName}.png")
            complaints = window.complaints(*self.expected)
        except BaseException:
            window.close()
            raise
        windows.give_back(window)
        self.assertEqual(complaints, [])

    def log_in(self, username: str, window: Window | None = None) -> Window:
        """Log a user in, by default in a new window."""
        return (window or self.window()).log_in(username, self.service.passwords[username])
