"""What the page does when a connection ends, by whatever end, in a real Chromium against the real service."""

from __future__ import annotations

from tests.integration.browser_case import REFUSED, BrowserTestCase


class ConnectionTests(BrowserTestCase):
    """The service stays, or comes back with other keys."""

    def test_a_cut_connection_comes_back_and_what_was_written_meanwhile_arrives(self) -> None:
        alice, bob = self.log_in("alice"), self.log_in("bob")
        script = """const pane = document.querySelector(arguments[0]);
            pane.querySelector(".cut").click();
            pane.querySelector(".composer input").value = "written while away";
            pane.querySelector(".composer").requestSubmit();
            return [".badge-label", ".badge-cause", ".hint"].map((part) => pane.querySelector(part).textContent)"""
        heard: list[str] = []
        for pane in ("#raw", "#socketio"):
            words = alice.driver.execute_script(script, pane)
            self.assertEqual(words, ["reconnecting", "you cut the connection", "1 message waits for the connection."])
            alice.until_state("connected")
            heard.append("written while away")
            for window in (alice, bob):
                window.until_messages(*heard, pane=pane)
            self.assertEqual(alice.text(f"{pane} .hint"), "")

    def test_a_connection_can_be_cut_before_it_is_there(self) -> None:
        self.expected = ["WebSocket is closed before the connection is established"]
        window = self.log_in("alice")
        script = """const badge = document.querySelector("#raw .badge"), button = document.querySelector("#raw .cut");
            window.cut = [];
            const observer = new MutationObserver(() => {
                if (badge.dataset.state !== "connecting") return;
                observer.disconnect();
                button.click();
                window.cut.push(badge.dataset.state, badge.dataset.cause);
            });
            observer.observe(badge, { attributes: true });
            button.click();"""
        window.driver.execute_script(script)
        window.until(lambda: window.driver.execute_script("return window.cut.length"), "the second cut")
        self.assertEqual(window.driver.execute_script("return window.cut"), ["reconnecting", "cut"])
        window.until_state("connected")

    def test_a_restart_with_new_keys_brings_both_windows_back_to_the_login(self) -> None:
        self.expected = [REFUSED]
        both = [self.log_in("alice"), self.log_in("bob")]
        self.assertEqual(self.service.stop(), 0)
        for window in both:
            for pane in ("#raw", "#socketio"):
                window.until(
                    lambda w=window, p=pane: w.state_of(p) in ("reconnecting", "asking the server"), "the loss told"
                )
            said = "the server is restarting (1001 Server shutting down)"
            for protocol in ("ws", "io"):
                rows = [row for row in window.frames if row.startswith(protocol) and said in row]
                self.assertEqual(len(rows), 1, window.frames)
        self.service.start()
        for window in both:
            window.until_login("Your session has ended. Log in again.")
        for window, user in zip(both, ("alice", "bob"), strict=True):
            window.submit_login(user, self.service.passwords[user])
            window.until_state("connected")
        both[0].say("back again")
        both[1].until_messages("back again", pane="#socketio")

    def test_without_a_network_it_waits_and_with_it_comes_back(self) -> None:
        window = self.log_in("alice")
        self.expected = ["ERR_INTERNET_DISCONNECTED"]
        window.set_offline(True)
        for pane in ("#raw", "#socketio"):
            window.click(f"{pane} .cut")
            window.until_state("waiting for the network", pane)
            self.assertEqual(window.text(f"{pane} .badge-cause"), "this device is offline")
        window.say("written without a network")
        window.set_offline(False)
        window.until_state("connected")
        window.until(lambda: ("you", "written without a network") in window.messages, "the message")

    def test_it_comes_back_from_the_back_forward_cache(self) -> None:
        self.expected = ["favicon.ico"]  # of the page in between
        window = self.log_in("alice")
        window.say("before")
        window.until_messages("before", pane="#socketio")
        window.driver.execute_script("addEventListener('pageshow', (event) => { window.persisted = event.persisted; })")
        window.driver.get(f"{window.address}health")
        window.driver.back()
        window.until_state("connected")
        self.assertIs(window.driver.execute_script("return window.persisted"), True)
        window.say("after")
        for pane in ("#raw", "#socketio"):
            window.until_messages("before", "after", pane=pane)


class RefusalTests(BrowserTestCase):
    """A service that refuses the handshake itself, which a browser shows as a failure without a word."""

    options = ("--reject", "http")

    def test_a_session_that_ended_is_told_from_a_server_that_is_away(self) -> None:
        self.expected = [REFUSED]
        window = self.log_in("alice")
        self.service.stop()
        self.service.start()
        window.until_login("Your session has ended. Log in again.")
