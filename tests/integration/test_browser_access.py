"""Who cannot see, cannot use a mouse, or has a phone: the page in a real Chromium, and axe-core's opinion of it."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver import ActionChains, Keys

from tests.integration.browser import Window
from tests.integration.browser_case import BrowserTestCase
from tests.integration.nodejs import node_modules

#: has axe-core in its package.json
FOLDER = Path(__file__).parent / "node" / "axe"
#: the violations that matter, and what each element has
AXE = """const done = arguments[arguments.length - 1];
axe.run().then(({ violations }) => done(violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => [id, ...nodes.map(({ target, failureSummary }) => `${target}: ${failureSummary}`)])))"""


class AccessTests(BrowserTestCase):
    def complaints(self, window: Window) -> list[list[str]]:
        """What axe-core finds serious or critical."""
        window.driver.execute_script((node_modules(FOLDER) / "axe-core" / "axe.min.js").read_text())
        found: list[list[str]] = window.driver.execute_async_script(AXE)
        return found

    def test_axe_finds_nothing_serious_in_light_and_dark(self) -> None:
        window = self.window().open()
        for scheme in ("light", "dark"):
            window.set_scheme(scheme)
            self.assertEqual(self.complaints(window), [], scheme)
        self.log_in("alice", window)
        window.say("A message, a frame, a round trip:")
        window.until_messages("A message, a frame, a round trip:", pane="#socketio")
        window.click("#ping")
        window.until(lambda: "customResponse" in window.text("#action-words"), "a round trip")
        for scheme in ("light", "dark"):
            window.set_scheme(scheme)
            self.assertEqual(self.complaints(window), [], scheme)

    def test_it_can_be_worked_by_the_keyboard_alone(self) -> None:
        window = self.window().open()

        def press(*keys: str) -> None:
            ActionChains(window.driver).send_keys(*keys).perform()

        def assert_focus(selector: str) -> None:
            script = """const focused = document.activeElement;
                return [focused.matches(arguments[0]), getComputedStyle(focused).outlineStyle]"""
            self.assertEqual(window.driver.execute_script(script, selector), [True, "solid"], selector)

        window.until(lambda: window.driver.switch_to.active_element.get_attribute("name") == "username", "the cursor")
        press("alice", Keys.TAB)
        assert_focus("[name=password]")
        press(self.service.passwords["alice"], Keys.ENTER)
        window.until_state("connected")
        press("typed blindly", Keys.ENTER)
        window.until_messages("typed blindly")
        for selector in (
            *("#raw-form button", "#socketio .cut", "#socketio .messages", "#socketio-input", "#socketio-form button"),
            *("#refresh", "#shorten", "#sign-out-everywhere", "#ping"),
        ):
            press(Keys.TAB)
            assert_focus(selector)
        press(Keys.SPACE)
        window.until(lambda: "customResponse" in window.text("#action-words"), "the round trip")

    def test_it_fits_a_phone_of_360_pixels(self) -> None:
        window = self.window(width=360, height=740).open()
        self.assertEqual(window.overflow(), 0)
        self.log_in("alice", window)
        window.say("a word that does not end " + "o" * 300)
        window.until(lambda: len(window.messages_of("#socketio")) == 1, "the message")
        window.click("#ping")
        window.until(lambda: "customResponse" in window.text("#action-words"), "a round trip")
        self.assertEqual(window.overflow(), 0)
        parts = ("#raw-input", "#socketio-input", "#sign-out", "#socketio .badge", "#who", "#chart", "#frames")
        shown = [window.find(selector).rect for selector in parts]
        self.assertEqual([rect for rect in shown if rect["x"] < 0 or rect["x"] + rect["width"] > 360], [])

    def test_who_wants_no_motion_sees_none(self) -> None:
        window = self.window().open()
        window.set_media("prefers-reduced-motion", "reduce")
        script = """const dot = document.querySelector(".badge-dot");
            dot.parentElement.dataset.state = "reconnecting";
            return getComputedStyle(dot).animationName"""
        self.assertEqual(window.driver.execute_script(script), "none")
