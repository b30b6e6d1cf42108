"""The session over its life, in the tabs of a real Chromium against the real service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.integration.browser import Window
from tests.integration.browser_case import BrowserTestCase

#: a refresh, as the service logs it
REFRESHED = "POST /auth/refresh"


class SessionTestCase(BrowserTestCase):
    def tabs(self, window: Window, count: int) -> list[str]:
        """Let a window that is logged in have so many tabs, all connected; gives their handles."""
        handles = [window.driver.current_window_handle]
        while len(handles) < count:
            window.driver.switch_to.new_window("tab")
            window.open()
            window.until_state("connected")
            handles.append(window.driver.current_window_handle)
        return handles

    @contextmanager
    def same_connections(self, window: Window) -> Iterator[None]:
        """What happens within leaves both connections of the tab alone."""

        def states() -> list[str]:
            rows: list[str] = window.driver.execute_script(
                "return [...document.querySelectorAll('#frames > tr.state .frame-text')].map((row) => row.textContent)"
            )
            return rows

        window.until(lambda: states().count("connected") == 2, "both connections in the log")
        before = states()
        yield
        self.assertEqual(states(), before)


class TabTests(SessionTestCase):
    """Several tabs of one browser."""

    def test_signing_out_closes_the_sockets_of_the_session_in_every_tab_and_no_others(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        handles = self.tabs(alice, 3)
        alice.click("#sign-out")
        for handle in handles:
            alice.driver.switch_to.window(handle)
            alice.until_login("You are signed out.")
        bob.say("still here")
        bob.until_messages("still here", pane="#socketio")
        alice.open()
        alice.until_login("")

    def test_signing_out_everywhere_ends_the_users_other_browsers_and_nobody_elses(self) -> None:
        alice, other, bob = self.log_in("alice"), self.log_in("alice"), self.log_in("bob")
        alice.click("#sign-out-everywhere")
        for window in (alice, other):
            window.until_login("You are signed out.")
        bob.say("still here")
        bob.until_messages("still here", pane="#socketio")

    def test_a_token_that_ends_is_refreshed_once_for_three_tabs_whose_connections_live_on(self) -> None:
        window = self.log_in("alice")
        handles = self.tabs(window, 3)
        expires = window.driver.execute_script(
            "return fetch('/auth/me').then((answer) => answer.json()).then((me) => me.expiresAt)"
        )
        refreshes = self.service.count(REFRESHED)
        with self.same_connections(window):
            window.click("#shorten")
            window.until(lambda: window.text("#action-words").startswith("The token ends in 10 s."), "the shorter life")
            window.until(lambda: self.service.count(REFRESHED) > refreshes, "the refresh")
            window.until(lambda: window.text("#session-expires").endswith(" min"), "the new life")
            window.until(
                lambda: window.driver.execute_script("return Date.now() / 1000") > expires - 3600 + 11, "the old end"
            )
            window.say("the same connection")
            window.until_messages("the same connection", pane="#socketio")
        for handle in handles:
            window.driver.switch_to.window(handle)
            for pane in ("#raw", "#socketio"):
                self.assertEqual(window.state_of(pane), "connected")
        self.assertEqual(self.service.count(REFRESHED), refreshes + 1)

    def test_a_refresh_renews_the_session_and_the_connections_live_on(self) -> None:
        window = self.log_in("alice")
        with self.same_connections(window):
            window.click("#refresh")
            window.until(lambda: window.text("#action-words").startswith("The session was refreshed"), "the refresh")
            window.say("the same connection")
            window.until_messages("the same connection", pane="#socketio")
