"""A real Chromium for the tests of the page.

    service = DevService(working_directory)            # of dev_service.py
    window = windows.take(service.address, profile)    # a browser with a profile of its own
    window.log_in("alice", service.passwords["alice"])
    windows.give_back(window)                          # the next test goes on with it, without its cookies

Chromium and its driver are Debian's (`apt-get install chromium chromium-driver`); nothing is downloaded.
Every wait is for a condition and bounded by `WAIT`.
"""

from __future__ import annotations

import atexit
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service as Driver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = shutil.which("chromium") or ""
CHROMEDRIVER = shutil.which("chromedriver") or ""

#: seconds: far more than anything here takes, so that only a failure waits so long
WAIT = 30

_FLAGS = (
    "--headless",
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Window:
    """One browser with a profile of its own, and the words for what a person does in it.

    Attributes:
        address: of the page.

    Args:
        profile: an empty directory.
    """

    def __init__(self, profile: Path) -> None:
        options = ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*_FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.address = ""
        self._media: dict[str, str] = {}
        self.driver = Chrome(options=options, service=Driver(CHROMEDRIVER))

    def prepare(self, address: str, *, width: int, height: int, scheme: str) -> None:
        """Make it look like a new one: one empty tab, no cookies, a console without complaints.

        Args:
            address: of the page.
            width, height: of the page, in pixels.
            scheme: `light` or `dark`.
        """
        self.address = address
        while len(self.driver.window_handles) > 1:
            self.driver.close()
            self.driver.switch_to.window(self.driver.window_handles[-1])
        self.driver.get("about:blank")
        self.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        self.driver.get_log("browser")
        self._media = {}
        self.set_scheme(scheme)
        self.set_offline(False)
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def set_media(self, feature: str, value: str) -> None:
        """Emulate what a person prefers, such as `prefers-reduced-motion`."""
        self._media[feature] = value
        features = [{"name": name, "value": chosen} for name, chosen in self._media.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def set_scheme(self, scheme: str) -> None:
        """Prefer `light` or `dark`."""
        self.set_media("prefers-color-scheme", scheme)

    def set_offline(self, offline: bool) -> None:
        """Take the network away, or give it back."""
        unlimited = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", {"offline": offline, **unlimited})

    def close(self) -> None:
        """End the browser and its driver."""
        self.driver.quit()

    def until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait until `condition()` is true, and return what it gave.

        Raises:
            AssertionError: it did not come true; the text says what, and what the page showed.
        """

        def check(_: object) -> Any:
            return condition()

        try:
            # What was drawn anew between being found and being read is looked at again.
            redrawn = (StaleElementReferenceException,)
            return WebDriverWait(self.driver, WAIT, poll_frequency=0.05, ignored_exceptions=redrawn).until(check)
        except TimeoutException as error:
            raise AssertionError(f"waited for {what}; the page says: {self.text('body')!r}") from error

    def open(self) -> Self:
        """Load the page, and wait until it knows whether there is a session."""
        self.driver.get(self.address)
        self.until(lambda: self.is_shown("#login") or self.is_shown("#room"), "the page")
        return self

    def find(self, selector: str) -> WebElement:
        """The first element of a CSS selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        """All elements of a CSS selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def is_shown(self, selector: str) -> bool:
        """Whether the element is there and visible."""
        return self.find(selector).is_displayed()

    def text(self, selector: str) -> str:
        """The element's text as a person sees it."""
        return self.find(selector).text

    def click(self, selector: str) -> None:
        """Click on the element."""
        self.find(selector).click()

    def write(self, selector: str, text: str) -> None:
        """Replace what stands in a field; a final newline submits the form."""
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def write_more(self, selector: str, text: str) -> None:
        """Add to what stands in a field."""
        self.find(selector).send_keys(text)

    @property
    def state(self) -> str:
        """The words on the state of the raw WebSocket."""
        return self.state_of("#raw")

    def state_of(self, pane: str) -> str:
        """The words on the state of a pane, `#raw` or `#socketio`."""
        return self.text(f"{pane} .badge-label")

    def until_state(self, state: str, *panes: str) -> None:
        """Wait for the words on the state of both panes, or of some."""
        for pane in panes or ("#raw", "#socketio"):
            self.until(lambda pane=pane: self.state_of(pane) == state, f"the state {state!r} of {pane}")

    def until_login(self, notice: str) -> None:
        """Wait for the login card with a notice."""
        self.until(lambda: self.is_shown("#login-form") and self.text("#login-error") == notice, f"login: {notice!r}")

    def submit_login(self, username: str, password: str) -> None:
        """Fill in the login form and send it."""
        self.write("#login-form [name=username]", username)
        self.write("#login-form [name=password]", f"{password}\n")

    def bring_cookie(self, name: str, token: str) -> None:
        """Have a session already."""
        cookie = {"name": name, "value": token, "url": self.address, "httpOnly": True}
        self.driver.execute_cdp_cmd("Network.setCookie", cookie)

    def log_in(self, username: str, password: str) -> Self:
        """Load the page and log in; returns once both connections are open."""
        self.open()
        self.submit_login(username, password)
        self.until_state("connected")
        return self

    def say(self, text: str, pane: str = "#raw") -> None:
        """Send a message to the chat, by a pane's protocol."""
        self.write(f"{pane}-input", f"{text}\n")

    @property
    def messages(self) -> list[tuple[str, str]]:
        """Who said what by the raw WebSocket: (`you` or the name, text)."""
        return self.messages_of("#raw")

    def messages_of(self, pane: str) -> list[tuple[str, str]]:
        """Who said what in a pane: (`you` or the name, text)."""
        script = """return [...document.querySelectorAll(arguments[0] + " .messages > li")].map((row) =>
            [".message-user", ".message-text"].map((part) => row.querySelector(part).textContent))"""
        rows: list[list[str]] = self.driver.execute_script(script, pane)
        return [(user, text) for user, text in rows]

    def until_messages(self, *texts: str, pane: str = "#raw") -> None:
        """Wait until the chat holds just these texts, in this order."""
        said = f"the messages {texts} in {pane}"
        self.until(lambda: [text for _, text in self.messages_of(pane)] == list(texts), said)

    @property
    def frames(self) -> list[str]:
        """The rows of the frame log, oldest first, each as `<protocol> <direction> <content>`."""
        script = """return [...document.querySelectorAll("#frames > tr")].map((row) =>
            [".frame-protocol", ".frame-direction .visually-hidden", ".frame-text"]
            .map((part) => row.querySelector(part).textContent).join(" ")).reverse()"""
        rows: list[str] = self.driver.execute_script(script)
        return rows

    def overflow(self) -> int:
        """How many pixels the page is wider than its window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.driver.execute_script(script))

    def complaints(self, *expected: str) -> list[str]:
        """What the browser's console complains of: errors, warnings, violations of the policy.

        A 401 of `/auth/` is no complaint: it is how a page without a session is told.

        Args:
            expected: patterns of complaints that the test brought about.
        """
        allowed = re.compile("|".join([r"/auth/\w+ - Failed to load resource: .* status of 401", *expected]))
        entries = self.driver.get_log("browser")
        loud = [entry["message"] for entry in entries if entry["level"] in ("WARNING", "SEVERE")]
        return [message for message in loud if not allowed.search(message)]

    def save(self, path: Path) -> None:
        """Take a picture of the window, as a PNG file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        if not self.driver.save_screenshot(str(path)):
            raise RuntimeError(f"no picture could be written to {path}")


class Windows:
    """The browsers that were started: starting one takes longer than most tests."""

    def __init__(self) -> None:
        self._idle: list[Window] = []

    def take(
        self, address: str, profile: Path, *, width: int = 1200, height: int = 800, scheme: str = "light"
    ) -> Window:
        """A window that nobody uses, or a new one; see `Window.prepare`.

        Args:
            profile: an empty directory, for a new one.
        """
        window = self._idle.pop() if self._idle else Window(profile)
        try:
            window.prepare(address, width=width, height=height, scheme=scheme)
        except BaseException:
            window.close()
            raise
        return window

    def give_back(self, window: Window) -> None:
        """Keep a window for the next test."""
        self._idle.append(window)

    def close(self) -> None:
        """End every browser that nobody uses."""
        while self._idle:
            self._idle.pop().close()


windows = Windows()
atexit.register(windows.close)
