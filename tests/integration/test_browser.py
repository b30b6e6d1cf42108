"""The page at `/` in a real Chromium, against the real service in `--dev`.

Set `WSSERVICE_PICTURES` to a folder to keep the pictures that `PictureTests` takes.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.request import urlopen

from tests.integration.browser_case import BrowserTestCase


class LoginTests(BrowserTestCase):
    """The way in and out."""

    def test_a_wrong_password_is_told_in_words_and_the_right_one_logs_in(self) -> None:
        window = self.window().open()
        window.submit_login("alice", "not-the-password")
        window.until_login("Wrong user name or password.")
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


class ChatTests(BrowserTestCase):
    """Two people, two browsers, two protocols."""

    def test_what_is_said_by_either_protocol_is_heard_by_both_in_both_windows(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        alice.say("Hello, Bob")
        bob.until_messages("Hello, Bob", pane="#socketio")
        bob.say("Hello, Alice", "#socketio")
        for window, names in ((alice, ["you", "bob"]), (bob, ["alice", "you"])):
            for pane in ("#raw", "#socketio"):
                window.until_messages("Hello, Bob", "Hello, Alice", pane=pane)
                said = list(zip(names, ("Hello, Bob", "Hello, Alice"), strict=True))
                window.until(lambda w=window, p=pane, s=said: w.messages_of(p) == s, "names for the ids")
        alice.until(lambda: "ws sent Hello, Bob" in alice.frames, "the frame that was sent")
        sent = 'io sent 42["message","Hello, Alice"]'
        bob.until(lambda: sent in bob.frames, "the packet that was sent")

    def test_who_is_here_is_shown_and_who_goes_is_gone(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        everybody = ["alice (you)\n2 connections", "bob\n2 connections"]
        alice.until(lambda: alice.text("#who") == "\n".join(everybody), "both")
        bob.click("#socketio .cut")
        bob.click("#sign-out")
        alice.until(lambda: alice.text("#who") == everybody[0], "alice alone")

    def test_a_text_is_shown_as_the_text_that_it_is(self) -> None:
        window = self.log_in("alice")
        hostile = """<img src=x onerror="alert(1)"><script>alert(2)</script> &amp; \u202e \u0001"""
        for pane in ("#raw", "#socketio"):
            window.driver.execute_script(
                "document.querySelector(arguments[0]).value = arguments[1]", f"{pane}-input", hostile
            )
            window.write_more(f"{pane}-input", "\n")
        for pane in ("#raw", "#socketio"):
            window.until_messages(hostile, hostile, pane=pane)
        self.assertEqual(window.driver.execute_script("return document.querySelectorAll('.messages img').length"), 0)

    def test_the_round_trip_to_the_server_is_measured_by_both_protocols(self) -> None:
        window = self.log_in("alice")
        window.click("#ping")
        said = r"^customResponse came: WebSocket [\d.]+ ms, Socket\.IO [\d.]+ ms\.$"
        window.until(lambda: re.match(said, window.text("#action-words")), "round trips")
        for protocol in ("ws", "io"):
            window.until(
                lambda p=protocol: any("customResponse" in row for row in window.frames if row.startswith(p)), protocol
            )
        shown = r"^WebSocket: last [\d.]+ ms, median [\d.]+ ms, no reconnects\.\s+Socket\.IO: last [\d.]+ ms, "
        self.assertRegex(window.text("#chart-words"), shown)

    def test_a_flood_arrives_whole_and_the_page_lives_on(self) -> None:
        window = self.log_in("alice")
        window.click("#flood")
        window.until(lambda: window.text("#action-words").startswith("2000 messages, "), "the flood")
        window.until(lambda: any('"number":2000,' in row for row in window.frames), "its end in the log")
        window.say("still here")
        window.until_messages("still here", pane="#socketio")

    def test_a_reader_that_stands_still_is_closed_and_nobody_else(self) -> None:
        window = self.log_in("alice")
        window.click("#slow")
        window.say("meanwhile")
        window.until_messages("meanwhile", pane="#socketio")
        words = "The server closed it with 4408 Client reads too slowly, "
        window.until(lambda: window.text("#action-words").startswith(words), "its close")
        for pane in ("#raw", "#socketio"):
            self.assertEqual(window.state_of(pane), "connected")


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


class PictureTests(BrowserTestCase):
    """Pictures for the documentation, of a conversation."""

    def test_pictures_are_taken_of_a_wide_light_page_and_of_a_dark_phone(self) -> None:
        folder = Path(os.environ.get("WSSERVICE_PICTURES") or self.folder())
        alice = self.log_in("alice", self.window(width=1280, height=860))
        bob = self.log_in("bob", self.window(width=360, height=740, scheme="dark"))
        alice.say("Good morning, Bob. Is the new server up?")
        bob.until_messages("Good morning, Bob. Is the new server up?")
        bob.say("It is. This line went over Socket.IO.", "#socketio")
        bob.say("And this one over the plain WebSocket.")
        alice.until(lambda: len(alice.messages) == 3, "the answers")
        alice.click("#raw .cut")
        alice.until_state("connected")
        alice.say("Cut, and back by itself.", "#socketio")
        for window in (alice, bob):
            window.until(lambda w=window: len(w.messages) == 4, "the end")
            window.click("#ping")
            window.until(lambda w=window: "customResponse" in w.text("#action-words"), "a round trip")
        alice.until(lambda: "1 reconnect" in alice.text("#chart-words"), "the chart")
        alice.until(lambda: [user for user, _ in alice.messages] == ["you", "bob", "bob", "you"], "bob's name")
        for name, window in (("page-light", alice), ("page-phone-dark", bob)):
            window.driver.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
            path = folder / f"{name}.png"
            window.save(path)
            self.assertLess(path.stat().st_size, 200_000)
        alice.set_scheme("dark")
        alice.save(folder / "page-dark.png")
