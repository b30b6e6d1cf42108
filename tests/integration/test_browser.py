"""The page at `/` in a real Chromium, against the real service in `--dev`.

Set `WSSERVICE_PICTURES` to a folder to keep the pictures that `PictureTests` takes.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.request import urlopen

from selenium.webdriver import ActionChains, Keys
from twisted.trial.unittest import TestCase

from tests.integration.browser import DevService, Window, windows
from tests.needs import require

#: a lost server, as the console tells it
REFUSED = "ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|WebSocket connection to .* failed"


class BrowserTestCase(TestCase):
    """Starts the service and windows; at its end no console may have complained."""

    #: seconds for a whole test, far more than one takes; every wait within is bounded, too
    timeout = 300
    #: more options of the service
    options: tuple[str, ...] = ()

    def setUp(self) -> None:
        require("chromium")
        #: patterns of complaints that the test brings about
        self.expected: list[str] = []
        self.service = DevService(self.folder(), *self.options)
        self.addCleanup(self.service.stop)

    def folder(self) -> Path:
        """A new, empty folder, which trial removes with its own."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return folder.absolute()

    def window(self, *, width: int = 1200, height: int = 800, scheme: str = "light") -> Window:
        """A window with a profile of its own; at the end its console is looked at."""
        window = windows.take(self.service.address, self.folder(), width=width, height=height, scheme=scheme)
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


class LoginTests(BrowserTestCase):
    """The way in and out."""

    def test_a_wrong_password_is_told_in_words_and_the_right_one_logs_in(self) -> None:
        window = self.window().open()
        window.submit_login("alice", "not-the-password")
        window.until_login("Wrong user name or password.")
        self.assertEqual(window.state, "not connected")
        window.submit_login("alice", self.service.passwords["alice"])
        window.until_state("connected")
        self.assertEqual(window.text("#user-name"), "alice")
        self.assertEqual(window.text("#user-roles"), "admin")
        self.assertRegex(window.text("#session-expires"), r", in \d+ min$")

    def test_a_new_user_chooses_a_password_before_the_chat(self) -> None:
        window = self.window().open()
        window.submit_login("newuser", self.service.passwords["newuser"])
        window.until(lambda: window.is_shown("#step-form"), "the form for a new password")
        window.write("[name=NEW_PASSWORD]", "a password of my own")
        window.write("[name=repeated]", "something else\n")
        window.until(lambda: window.text("#login-error") == "The two passwords differ.", "the difference told")
        window.write("[name=NEW_PASSWORD]", "short")
        window.write("[name=repeated]", "short\n")
        self.expected = ["/auth/challenge - Failed to load resource: .* status of 422"]
        window.until(lambda: "password policy" in window.text("#login-error"), "the policy told")
        window.write("[name=NEW_PASSWORD]", "a password of my own")
        window.write("[name=repeated]", "a password of my own\n")
        window.until_state("connected")
        self.assertEqual(window.text("#user-name"), "newuser")

    def test_a_reload_keeps_the_session(self) -> None:
        window = self.log_in("alice")
        window.open()
        window.until_state("connected")
        self.assertTrue(window.is_shown("#room"))

    def test_signing_out_closes_the_sockets_of_the_session_in_every_tab_and_no_others(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        first = alice.driver.current_window_handle
        alice.driver.switch_to.new_window("tab")
        alice.open()
        alice.until_state("connected")
        alice.click("#sign-out")
        alice.until_login("You are signed out.")
        alice.driver.switch_to.window(first)
        alice.until_login("You are signed out.")
        self.assertEqual(alice.state, "signed out")
        bob.say("still here")
        bob.until_messages("still here")
        alice.open()
        alice.until_login("")

    def test_it_can_be_worked_by_the_keyboard_alone(self) -> None:
        window = self.window().open()
        outline = "return getComputedStyle(document.activeElement).outlineStyle"
        window.until(lambda: window.driver.switch_to.active_element.get_attribute("name") == "username", "the cursor")
        ActionChains(window.driver).send_keys("alice", Keys.TAB).perform()
        self.assertEqual(window.driver.execute_script(outline), "solid")
        ActionChains(window.driver).send_keys(self.service.passwords["alice"], Keys.ENTER).perform()
        window.until_state("connected")
        ActionChains(window.driver).send_keys("typed blindly", Keys.ENTER).perform()
        window.until_messages("typed blindly")
        ActionChains(window.driver).send_keys(Keys.TAB, Keys.TAB, Keys.ENTER).perform()
        window.until(lambda: window.text("#round-trip").endswith(" ms"), "the button after the chat: ping")
        self.assertEqual(window.driver.execute_script(outline), "solid")


class ChatTests(BrowserTestCase):
    """Two people, two browsers."""

    def test_both_windows_show_both_messages(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        alice.say("Hello, Bob")
        bob.until_messages("Hello, Bob")
        bob.say("Hello, Alice")
        alice.until_messages("Hello, Bob", "Hello, Alice")
        bob.until_messages("Hello, Bob", "Hello, Alice")
        short = {window: window.text("#user-id")[:8] for window in (alice, bob)}
        self.assertEqual([user for user, _ in alice.messages], ["you", short[bob]])
        self.assertEqual([user for user, _ in bob.messages], [short[alice], "you"])
        self.assertIn("sent Hello, Bob", alice.frames)

    def test_a_text_is_shown_as_the_text_that_it_is(self) -> None:
        window = self.log_in("alice")
        hostile = """<img src=x onerror="alert(1)"><script>alert(2)</script> &amp; \u202e \u0001"""
        window.driver.execute_script("document.querySelector('#chat-input').value = arguments[0]", hostile)
        window.write_more("#chat-input", "\n")
        window.until_messages(hostile)
        self.assertEqual(window.driver.execute_script("return document.querySelectorAll('#messages img').length"), 0)

    def test_the_round_trip_to_the_server_is_measured(self) -> None:
        window = self.log_in("alice")
        window.click("#ping")
        window.until(lambda: window.text("#round-trip").endswith(" ms"), "a round trip")
        self.assertTrue(any("customResponse" in frame for frame in window.frames), window.frames)


class ConnectionTests(BrowserTestCase):
    """What the page does when the connection ends."""

    def test_a_cut_connection_comes_back_and_what_was_written_meanwhile_arrives(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        script = """document.querySelector("#cut").click();
            document.querySelector("#chat-input").value = "written while away";
            document.querySelector("#chat-form").requestSubmit();
            return [document.querySelector("#badge-label").textContent,
                document.querySelector("#badge-cause").textContent,
                document.querySelector("#chat-hint").textContent]"""
        words = alice.driver.execute_script(script)
        self.assertEqual(words, ["reconnecting", "you cut the connection", "1 message waits for the connection."])
        alice.until_state("connected")
        for window in (alice, bob):
            window.until_messages("written while away")
        self.assertEqual(alice.text("#chat-hint"), "")

    def test_a_refresh_renews_the_session_and_the_connection_lives_on(self) -> None:
        window = self.log_in("alice")
        window.click("#refresh")
        window.until(lambda: window.text("#action-words").startswith("The session was refreshed"), "the refresh")
        window.say("the same connection")
        window.until_messages("the same connection")
        states = [frame for frame in window.frames if frame.startswith("connection ")]
        self.assertEqual(states, ["connection connecting", "connection connected"])

    def test_a_restart_with_new_keys_brings_both_windows_back_to_the_login(self) -> None:
        self.expected = [REFUSED]
        both = [self.log_in("alice"), self.log_in("bob")]
        self.assertEqual(self.service.stop(), 0)
        for window in both:
            window.until(lambda w=window: w.state in ("reconnecting", "asking the server"), "the loss told")
            said = " ".join(window.frames)
            self.assertIn("the server is restarting (1001 Server shutting down)", said)
        self.service.start()
        for window in both:
            window.until_login("Your session has ended. Log in again.")
        for window, user in zip(both, ("alice", "bob"), strict=True):
            window.submit_login(user, self.service.passwords[user])
            window.until_state("connected")
        both[0].say("back again")
        both[1].until_messages("back again")


class RefusalTests(BrowserTestCase):
    """A service that refuses the handshake itself, which a browser shows as a failure without a word."""

    options = ("--reject", "http")

    def test_a_session_that_ended_is_told_from_a_server_that_is_away(self) -> None:
        self.expected = [REFUSED]
        window = self.log_in("alice")
        self.service.stop()
        self.service.start()
        window.until_login("Your session has ended. Log in again.")
        self.assertIn("asking the server", " ".join(window.frames))


class ShortSessionTests(BrowserTestCase):
    """Tokens that live for seconds."""

    options = ("--dev-token-lifetime", "24")

    def test_the_connection_outlives_the_token_it_was_opened_with(self) -> None:
        window = self.log_in("alice")
        script = """return fetch("/auth/me").then((answer) => answer.json()).then((me) => me.expiresAt)"""
        first = window.driver.execute_script(script)
        window.until(lambda: window.driver.execute_script("return Date.now() / 1000") > first + 1, "the first expiry")
        window.say("still here")
        window.until_messages("still here")
        states = [frame for frame in window.frames if frame.startswith("connection ")]
        self.assertEqual(states, ["connection connecting", "connection connected"])


class PageTests(BrowserTestCase):
    """What the page is made of."""

    def test_a_strict_policy_stands_over_it_and_it_asks_nobody_else(self) -> None:
        with urlopen(self.service.address, timeout=10) as answer:
            policy = answer.headers["Content-Security-Policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertNotIn("unsafe", policy)
        window = self.log_in("alice")
        script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
        addresses = window.driver.execute_script(script)
        self.assertNotEqual(addresses, [])
        self.assertEqual([each for each in addresses if not each.startswith(self.service.address)], [])

    def test_it_fits_a_phone_of_360_pixels(self) -> None:
        window = self.window(width=360, height=740).open()
        self.assertEqual(window.overflow(), 0)
        self.log_in("alice", window)
        window.say("a word that does not end " + "o" * 300)
        window.until(lambda: len(window.messages) == 1, "the message")
        window.click("#ping")
        window.until(lambda: window.text("#round-trip").endswith(" ms"), "a round trip")
        self.assertEqual(window.overflow(), 0)
        shown = [window.find(selector).rect for selector in ("#chat-input", "#sign-out", "#badge", "#frames")]
        self.assertEqual([rect for rect in shown if rect["x"] < 0 or rect["x"] + rect["width"] > 360], [])


class PictureTests(BrowserTestCase):
    """Pictures for the documentation, of a conversation."""

    def test_pictures_are_taken_of_a_wide_light_page_and_of_a_dark_phone(self) -> None:
        folder = Path(os.environ.get("WSSERVICE_PICTURES") or self.folder())
        alice, bob = self.log_in("alice"), self.log_in("bob", self.window(width=360, height=740, scheme="dark"))
        alice.say("Good morning, Bob. Is the new server up?")
        bob.until(lambda: len(bob.messages) == 1, "the question")
        bob.say("It is. This line went over /ws and came back to both of us.")
        bob.say("Cut the connection and see what happens.")
        alice.until(lambda: len(alice.messages) == 3, "the answers")
        alice.click("#cut")
        alice.until_state("connected")
        alice.say("Done: it came back by itself.")
        alice.click("#ping")
        alice.until(lambda: alice.text("#round-trip").endswith(" ms"), "a round trip")
        bob.until(lambda: len(bob.messages) == 4, "the end")
        alice.driver.execute_script("document.activeElement.blur()")
        for name, window in (("page-light", alice), ("page-phone-dark", bob)):
            path = folder / f"{name}.png"
            window.save(path)
            self.assertLess(path.stat().st_size, 150_000)
