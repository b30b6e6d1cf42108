"""client/example in a real Chromium, from an origin of its own, against the real service in `--dev`.

Set `WSSERVICE_PICTURES` to a folder to keep the pictures that `PictureTests` takes.
"""

from __future__ import annotations

import atexit
import functools
import os
import tempfile
from pathlib import Path

from selenium.webdriver import ActionChains, Keys
from twisted.trial.unittest import TestCase

from tests.integration.browser import windows
from tests.integration.dev_service import DevService
from tests.integration.example_page import PANES, RAW, SOCKETIO, ExamplePage
from tests.integration.example_site import ExampleSite, build_example
from tests.needs import require

#: a lost server or network, as the console tells it
LOST = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_INTERNET_DISCONNECTED|WebSocket connection to .* failed"


@functools.cache
def _built() -> Path:
    """The example, built once for all tests."""
    folder = tempfile.TemporaryDirectory(prefix="wsservice-example-")
    atexit.register(folder.cleanup)
    return build_example(Path(folder.name))


class ExampleTestCase(TestCase):
    """Serves the example, starts the service and windows; at its end no console may have complained."""

    #: seconds for a whole test, far more than one takes; every wait within is bounded, too
    timeout = 300

    def setUp(self) -> None:
        require("chromium")
        #: patterns of complaints that the test brings about
        self.expected: list[str] = []
        self.site = ExampleSite(_built())
        self.addCleanup(self.site.close)
        self.service = DevService(self.folder(), "--allowed-origin", self.site.origin)
        self.addCleanup(self.service.stop)
        self.site.service = self.service.address.rstrip("/")

    def folder(self) -> Path:
        """A new, empty folder, which trial removes with its own."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return folder.absolute()

    def page(self, *, width: int = 1200, height: int = 800, scheme: str = "light") -> ExamplePage:
        """The example in a window with a profile of its own; at the end its console is looked at."""
        window = windows.take(f"{self.site.origin}/", self.folder(), width=width, height=height, scheme=scheme)
        page = ExamplePage(window)
        self.addCleanup(self.finish, page)
        return page

    def finish(self, page: ExamplePage) -> None:
        """Take a picture, which is there when a test fails, and look at the window's console."""
        try:
            page.window.set_offline(False)
            page.window.save(self.folder() / f"{self._testMethodName}.png")
            complaints = page.window.complaints(*self.expected)
        except BaseException:
            page.window.close()
            raise
        windows.give_back(page.window)
        self.assertEqual(complaints, [])

    def log_in(self, username: str, page: ExamplePage | None = None) -> ExamplePage:
        """Log a user in, by default in a new window."""
        return (page or self.page()).log_in(username, self.service.passwords[username])

    def open_tabs(self, page: ExamplePage, count: int) -> list[str]:
        """Open the page in tabs beside the one that there is; gives the handles of all, the last one in front."""
        for _ in range(count):
            page.driver.switch_to.new_window("tab")
            page.open().until_connected()
        return list(page.driver.window_handles)


class LoginTests(ExampleTestCase):
    """The way in and out, across origins."""

    def test_a_wrong_password_is_told_in_words_and_the_right_one_logs_in(self) -> None:
        page = self.page().open()
        page.submit_login("alice", "not-the-password")
        page.until_login("Wrong user name or password.")
        page.submit_login("alice", self.service.passwords["alice"])
        page.until_connected()
        self.assertEqual(page.text("#user-name"), "alice")
        page.open().until_connected()

    def test_a_new_user_chooses_a_password_before_the_chat(self) -> None:
        self.expected = ["/auth/challenge - Failed to load resource: .* status of 422"]
        page = self.page().open()
        page.submit_login("newuser", self.service.passwords["newuser"])
        for first, second, words in (
            ("a password of my own", "something else", "The two passwords differ."),
            ("short", "short", "password policy"),
            ("a password of my own", "a password of my own", ""),
        ):
            page.window.until(lambda: page.has("#step-form fieldset:enabled"), "the form for a new password")
            page.window.write("[name=NEW_PASSWORD]", first)
            page.window.write("[name=repeated]", f"{second}\n")
            if words:
                page.window.until(lambda w=words: w in page.text("#login-error"), words)
        page.until_connected()
        self.assertEqual(page.text("#user-name"), "newuser")

    def test_signing_out_in_one_tab_shows_in_all_tabs(self) -> None:
        page = self.log_in("alice")
        handles = self.open_tabs(page, 2)
        page.window.click("#sign-out")
        for handle in handles:
            page.driver.switch_to.window(handle)
            page.until_login("You are signed out.")
        page.open().until_login("")

    def test_signing_out_everywhere_ends_the_users_sessions_on_other_devices_and_nobody_elses(self) -> None:
        here, elsewhere, bob = self.log_in("alice"), self.log_in("alice"), self.log_in("bob")
        here.window.click("#sign-out-everywhere")
        for page in (here, elsewhere):
            page.until_login("You are signed out.")
        bob.until_people(bob=2)
        bob.say(RAW, "still here")
        bob.until_messages(SOCKETIO, "still here")
        # Its cookie is still there, and good for nothing.
        elsewhere.open().until_login("Your session has ended. Log in again.")


class ChatTests(ExampleTestCase):
    """One room, two protocols, two browsers."""

    def test_what_one_protocol_sends_both_receive(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        alice.until_people(alice=2, bob=2)
        alice.say(RAW, "by raw WebSocket")
        bob.until_messages(SOCKETIO, "by raw WebSocket")
        bob.say(SOCKETIO, "by Socket.IO")
        for page in (alice, bob):
            for pane in PANES:
                page.until_messages(pane, "by raw WebSocket", "by Socket.IO")
        self.assertEqual([user for user, _ in alice.messages(RAW)], ["you", "bob"])
        self.assertEqual([user for user, _ in bob.messages(SOCKETIO)], ["alice", "you"])
        bob.window.click("#sign-out")
        alice.until_people(alice=2)

    def test_a_text_is_shown_as_the_text_that_it_is(self) -> None:
        page = self.log_in("alice")
        hostile = """<img src=x onerror="alert(1)"><script>alert(2)</script> &amp; {"event": "x"}"""
        for pane in PANES:
            page.say(pane, hostile)
        for pane in PANES:
            page.until_messages(pane, hostile, hostile)
        self.assertFalse(page.has(".messages img"))

    def test_strict_mode_opens_one_socket_of_each_protocol(self) -> None:
        page = self.log_in("alice")
        page.until_people(alice=2)
        page.open().until_connected()
        page.until_people(alice=2)
        script = "return performance.getEntriesByType('resource').map(({ name }) => new URL(name)).map(String)"
        asked = page.driver.execute_script(script)
        self.assertEqual(len([url for url in asked if url.endswith("/auth/me")]), 1, asked)
        opened = [url for url in asked if "transport=polling" in url and "sid=" not in url]
        self.assertEqual(len(opened), 1, asked)


class ConnectionTests(ExampleTestCase):
    """What the page does when a connection ends."""

    def test_offline_waits_with_its_cause_in_words_and_online_comes_back(self) -> None:
        self.expected = [LOST]
        page = self.log_in("alice")
        page.window.set_offline(True)
        for pane in PANES:
            if page.state(pane) == "Connected":  # a browser may leave open sockets alone
                page.window.click(f"{pane} .small-button")
            page.until_state(pane, "Waiting for the network This device is offline.")
            page.say(pane, f"written offline in {pane}")
            self.assertEqual(page.text(f"{pane} .hint"), "1 message waits for the connection.")
        page.window.set_offline(False)
        page.until_connected()
        for pane in PANES:
            page.window.until(lambda p=pane: len(page.messages(p)) >= 1, "a message that waited")
            self.assertEqual(page.text(f"{pane} .hint"), "")

    def test_a_service_that_stops_is_told_in_words_and_new_keys_bring_back_the_login(self) -> None:
        self.expected = [LOST]
        page = self.log_in("alice")
        self.service.stop()
        page.window.until(lambda: "Connected" not in (page.state(RAW), page.state(SOCKETIO)), "the loss told")
        self.assertRegex(page.state(RAW), "The server (is restarting|cannot be reached)")
        self.service.start()
        page.until_login("Your session has ended. Log in again.")
        page.submit_login("alice", self.service.passwords["alice"])
        page.until_connected()

    def test_three_tabs_refresh_a_token_that_ends_once_and_their_connections_live_on(self) -> None:
        page = self.log_in("alice")
        seconds = 10
        shortened = page.post(f"{self.site.service}/auth/dev/shorten", {"seconds": seconds})
        page.open().until_connected()
        handles = self.open_tabs(page, 2)
        end = shortened["expiresAt"]
        page.window.until(
            lambda: page.driver.execute_script("return Date.now() / 1000") > end + 1, "the first token's end"
        )
        refreshes = 0
        for handle in handles:
            page.driver.switch_to.window(handle)
            refreshes += page.refreshes
            for pane in PANES:
                self.assertEqual(page.state(pane), "Connected")
        self.assertEqual(refreshes, 1)
        page.until_people(alice=6)


class AccessTests(ExampleTestCase):
    """Who cannot see, cannot use a mouse, or has a phone."""

    def test_axe_finds_nothing_serious_in_light_and_dark(self) -> None:
        page = self.page().open()
        for scheme in ("light", "dark"):
            page.window.set_scheme(scheme)
            self.assertEqual(page.violations(), [], scheme)
        self.log_in("alice", page)
        other = self.log_in("bob")
        other.say(RAW, "A message of somebody else,")
        page.say(RAW, "and one of my own")
        page.until_messages(SOCKETIO, "A message of somebody else,", "and one of my own")
        for scheme in ("light", "dark"):
            page.window.set_scheme(scheme)
            self.assertEqual(page.violations(), [], scheme)

    def test_it_can_be_worked_by_the_keyboard_alone(self) -> None:
        page = self.page().open()

        def press(*keys: str) -> None:
            ActionChains(page.driver).send_keys(*keys).perform()

        def focused(selector: str) -> bool:
            script = """const focused = document.activeElement;
                return focused.matches(arguments[0]) && getComputedStyle(focused).outlineStyle === "solid" """
            return bool(page.driver.execute_script(script, selector))

        page.window.until(lambda: focused("[name=username]"), "the cursor")
        press("alice", Keys.TAB)
        self.assertTrue(focused("[name=password]"))
        press(self.service.passwords["alice"], Keys.ENTER)
        page.until_connected()
        page.window.until(lambda: focused("#raw [name=text]"), "the cursor where one writes")
        press("typed blindly", Keys.ENTER)
        page.until_messages(RAW, "typed blindly")
        for selector in (
            *("#raw .primary", "#socketio .small-button", "#socketio .messages", "#socketio [name=text]"),
            "#socketio .primary",
        ):
            press(Keys.TAB)
            self.assertTrue(focused(selector), selector)

    def test_it_fits_a_phone_of_360_pixels_one_pane_at_a_time(self) -> None:
        page = self.page(width=360, height=740).open()
        self.assertEqual(page.window.overflow(), 0)
        self.log_in("alice", page)
        page.say(RAW, "a word that does not end " + "o" * 300)
        page.window.until(lambda: len(page.messages(SOCKETIO)) == 1, "the message")
        for pane, other, button in ((RAW, SOCKETIO, 1), (SOCKETIO, RAW, 2)):
            page.window.click(f".switch button:nth-child({button})")
            self.assertEqual([page.window.is_shown(each) for each in (pane, other)], [True, False])
            self.assertEqual(page.window.overflow(), 0)
            rects = [page.window.find(each).rect for each in (f"{pane} [name=text]", f"{pane} .primary", "#sign-out")]
            self.assertEqual([rect for rect in rects if rect["x"] < 0 or rect["x"] + rect["width"] > 360], [])


class PictureTests(ExampleTestCase):
    """Pictures of a conversation."""

    def test_pictures_are_taken_of_a_wide_light_page_and_of_a_dark_phone(self) -> None:
        folder = Path(os.environ.get("WSSERVICE_PICTURES") or self.folder())
        alice, bob = self.log_in("alice"), self.log_in("bob", self.page(width=360, height=740, scheme="dark"))
        said = [
            (alice, RAW, "Good morning, Bob. Does this reach Socket.IO, too?"),
            (bob, RAW, "It does: one room, two protocols."),
            (bob, RAW, "Cut one of them and see what happens."),
            (alice, SOCKETIO, "It came back by itself."),
        ]
        for number, (page, pane, text) in enumerate(said, 1):
            page.say(pane, text)
            for each in (alice, bob):
                each.window.until(lambda e=each, n=number: len(e.messages(RAW)) == len(e.messages(SOCKETIO)) == n, text)
        for page in (alice, bob):
            page.until_people(alice=2, bob=2)
            page.driver.execute_script("document.activeElement.blur(); window.scrollTo(0, 0)")
        for name, page in (("example-light", alice), ("example-phone-dark", bob)):
            path = folder / f"{name}.png"
            page.window.save(path)
            self.assertLess(path.stat().st_size, 150_000)
