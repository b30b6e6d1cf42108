"""The page's own Socket.IO client (`socketio-lite.js`), by itself, in a real Chromium against the real service."""

from __future__ import annotations

from typing import Any

from tests.integration.browser_case import BrowserTestCase

#: makes a client like the page's; `packets` are what goes over the wire, `seen` is what it tells
PRELUDE = """
const [{ overSocketIo }, { WsClient }] = await Promise.all(
    ["/static/socketio-lite.js", "/static/client/client.js"].map((path) => import(path)));
const session = { refresh: () => Promise.reject(new Error("no")), me: () => Promise.reject(new Error("no")) };
const packets = [], seen = [];
const onFrame = (direction, data) => packets.push(`${direction} ${typeof data === "string" ? data : data.byteLength}`);
const url = location.origin.replace("http", "ws") + "/socket.io/";
const client = new WsClient(url, { session, recover: false, WebSocket: overSocketIo({ onFrame }), random: () => 0 });
client.on("event", ({ name, data }) => seen.push([name, data]));
client.on("message", (data) => seen.push(["message", data]));
client.on("status", ({ state, code, reason }) => seen.push([state, code, reason]));
const until = async (condition) => {
    while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
};
const isOpen = () => client.status.state === "open";
"""


class SocketIoTestCase(BrowserTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.log_in("alice")
        # A page of the service without clients of its own.
        self.expected = ["favicon.ico"]
        self.tab.driver.get(f"{self.service.address}health")

    def run_script(self, script: str) -> Any:
        """What an asynchronous script gives to `done`."""
        run = f"const run = async () => {{ {PRELUDE} {script} }};"
        return self.tab.driver.execute_async_script(
            f"const [done] = arguments; {run} run().catch((error) => done(String(error)));"
        )


class SocketIoLiteTests(SocketIoTestCase):
    options = ("--ping-interval", "200", "--ping-timeout", "5000", "--recovery", "60")

    def test_it_connects_and_sends_and_hears(self) -> None:
        seen = self.run_script("""
            client.connect();
            await until(isOpen);
            client.send("plain");
            client.send('{"event":"message","data":"{enveloped}"}');
            await until(() => seen.filter(([name]) => name === "message").length === 2);
            done(seen.filter(([name]) => name === "message").map(([, data]) => data.message));
        """)
        self.assertEqual(seen, ["plain", "{enveloped}"])

    def test_bytes_arrive_as_base64_as_they_do_by_the_raw_websocket(self) -> None:
        found = self.run_script("""
            const raw = new WsClient(location.origin.replace("http", "ws") + "/ws", { session });
            const heard = [];
            raw.on("message", (data) => heard.push(data));
            raw.connect();
            client.connect();
            await until(() => isOpen() && raw.status.state === "open");
            raw.send(new Uint8Array([1, 2, 255]));
            await until(() => heard.length === 1 && seen.some(([name]) => name === "message"));
            done([heard[0].message, seen.find(([name]) => name === "message")[1].message, packets.includes("in 3")]);
        """)
        self.assertEqual(found, ["AQL/", "AQL/", True])

    def test_a_call_is_acknowledged_by_a_result_or_an_error(self) -> None:
        answers = self.run_script("""
            client.connect();
            await until(isOpen);
            const failure = await client.call("flood", { count: 0 }).catch((error) => error.code);
            done([await client.call("ping", [1, "two"]), await client.call("ping", null), failure]);
        """)
        self.assertEqual(answers, [[1, "two"], None, "bad_flood"])

    def test_heartbeats_are_answered(self) -> None:
        beats = self.run_script("""
            client.connect();
            await until(() => packets.filter((packet) => packet === "out 3").length === 2);
            done([packets.filter((packet) => packet === "in 2").length, client.status.state]);
        """)
        self.assertEqual(beats, [2, "open"])

    def test_what_was_missed_is_recovered(self) -> None:
        found = self.run_script("""
            const other = new WsClient(location.origin.replace("http", "ws") + "/ws", { session });
            other.connect();
            client.connect();
            await until(() => isOpen() && other.status.state === "open");
            other.send("before");
            await until(() => seen.some(([name]) => name === "message"));
            client.suspend();
            other.send("missed");
            await other.call("ping", 1);
            client.resume();
            await until(() => seen.filter(([name]) => name === "message").length === 2);
            await until(() => seen.filter(([name]) => name === "welcome").length === 2);
            const welcomes = seen.filter(([name]) => name === "welcome").map(([, data]) => data);
            done([welcomes.map(({ recovered, reason }) => [recovered, reason]), welcomes[0].id === welcomes[1].id,
                seen.filter(([name]) => name === "message").map(([, data]) => data.message)]);
        """)
        self.assertEqual(found, [[[False, None], [True, None]], True, ["before", "missed"]])

    def test_a_text_of_the_servers_own_call_is_not_taken_for_an_offset(self) -> None:
        entered = self.run_script("""
            const sent = [];
            class Fake {
                readyState = 1;
                constructor() { Fake.last = this; }
                send(packet) { sent.push(packet); }
                close() {}
                hear(...packets) { for (const data of packets) this.onmessage({ data }); }
            }
            const Socket = overSocketIo({ WebSocket: Fake });
            const handshake = '0{"pingInterval":25000,"pingTimeout":20000}';
            const first = new Socket("ws://service.test/socket.io/");
            Fake.last.hear(handshake, '40{"sid":"a","pid":"p"}', '42["news",1,"n.5"]');
            Fake.last.hear('427["ask","n.6"]', '428["ask",1,"why"]');
            first.close();
            new Socket("ws://service.test/socket.io/").onopen = null;
            Fake.last.hear(handshake);
            done(sent.at(-1));
        """)
        self.assertEqual(entered, '40{"pid":"p","offset":"n.5"}')

    def test_a_refusal_is_told_as_the_raw_websocket_tells_it(self) -> None:
        self.tab.driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        states = self.run_script("""
            client.connect();
            await until(() => seen.some(([state]) => state === "refreshing"));
            done(seen.slice(0, 2));
        """)
        self.assertEqual(states, [["connecting", 0, ""], ["refreshing", 1008, "Missing authentication token"]])
