"""Tests of wsservice.web.api: messages from backends, by HTTP with a key."""

from __future__ import annotations

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from tests.web.memory import HOST, Client, LogCapture, Response
from wsservice.alarms import Alarms
from wsservice.auth.api_keys import ApiKeys
from wsservice.auth.providers.base import Readiness
from wsservice.messages import Broadcast, Disconnect, Target
from wsservice.web import api
from wsservice.web.api import MAX_MESSAGES, Api
from wsservice.web.rates import Rate
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch

KEY, NEW_KEY = "k" * 32, "n" * 32
MOST = 20_000


class FakeAdapter:
    """Remembers what the other processes would get; delivers here as the real one does."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.sent: list[Broadcast | Disconnect] = []
        self.ready = True

    def broadcast(self, broadcast: Broadcast) -> None:
        self.core.hub.deliver(broadcast)
        self.sent.append(broadcast)

    def disconnect(self, message: Disconnect) -> None:
        self.sent.append(message)

    def readiness(self) -> Readiness:
        return Readiness(self.ready, "")


class Base(SynchronousTestCase):
    rate: Rate | None = None
    keys: tuple[str, ...] = (KEY, NEW_KEY)

    def setUp(self) -> None:
        self.core = Core()
        self.api = Api(
            ApiKeys(self.keys), self.core.hub, max_body=MOST, rate=self.rate, seconds=self.core.clock.seconds
        )
        root, branch = Branch(), Branch()
        root.putChild(b"api", branch)
        for path, resource in self.api.resources.items():
            branch.putChild(path.rpartition(b"/")[2], resource)
        self.site = WsSite(root, clock=self.core.clock, counters=self.core.counters, uploads=self.api.uploads)

    def request(self, body: Any, *headers: str, method: str = "POST", **options: Any) -> Response:
        """One request that is answered at once; see `begin`."""
        return self.begin(body, *headers, method=method, **options).answer(method)

    def begin(
        self,
        body: Any,
        *headers: str,
        path: str = "/api/emit",
        method: str = "POST",
        key: str | None = KEY,
        content_type: str = "application/json",
    ) -> Client:
        """Send a request; a body that is not bytes is sent as JSON."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", f"Content-Type: {content_type}", *headers]
        if key is not None:
            lines.append(f"Authorization: Bearer {key}")
        client = Client(self.site)
        client.send("\r\n".join([*lines, f"Content-Length: {len(content)}", "", ""]).encode() + content)
        return client

    def accepted(self, body: Any, *headers: str, **options: Any) -> Any:
        """What a request is answered that is taken."""
        answer = self.request(body, *headers, **options)
        self.assertEqual(answer.status, 202, answer)
        return answer.json

    def refused(self, status: int, body: Any, *headers: str, **options: Any) -> str:
        """What a request is told that is not."""
        answer = self.request(body, *headers, **options)
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(answer.header("access-control-allow-origin"), None)
        message: str = answer.json["message"]
        return message


class EmitTests(Base):
    def test_a_message_reaches_those_it_is_for(self) -> None:
        ann, bob = self.core.connect("ann"), self.core.connect("bob")
        ann.connection.join("lobby")
        answer = self.accepted({"event": "news", "data": {"a": 1}, "room": "lobby"})
        self.assertEqual(answer, {"accepted": 1, "connections": 1})
        self.assertEqual(ann.link.messages, [{"event": "news", "data": {"a": 1}}])
        self.assertEqual(bob.link.messages, [])
        self.assertEqual(self.core.counters.get("api_messages", "emit"), 1)

    def test_several_messages_are_sent_in_order(self) -> None:
        ann = self.core.connect("ann")
        answer = self.accepted([{"event": "a", "user": "ann"}, {"event": "b", "room": []}, {"event": "c"}])
        self.assertEqual(answer, {"accepted": 3, "connections": 2})
        self.assertEqual([message["event"] for message in ann.link.messages], ["a", "c"])

    def test_a_long_list_leaves_the_others_their_turn(self) -> None:
        self.patch(api, "MAX_DELIVERIES", 2)
        ann = self.core.connect("ann")
        client = self.begin([{"event": "a"}] * 5)
        self.assertEqual(len(ann.link.messages), 2)
        self.assertEqual(client.received(), [])
        self.core.clock.advance(0)  # also what becomes due in it
        self.assertEqual(len(ann.link.messages), 5)
        self.assertEqual(client.answer("POST").json, {"accepted": 5, "connections": 5})

    def test_one_that_is_wrong_keeps_back_all(self) -> None:
        ann = self.core.connect("ann")
        told = self.refused(400, [{"event": "a"}, {"event": "b", "room": None}])
        self.assertTrue(told.startswith("[1]: room must be a text"), told)
        self.assertEqual(ann.link.messages, [])

    def test_what_is_wrong_is_told_by_its_member(self) -> None:
        self.assertTrue(self.refused(400, {"event": 1}).startswith("event must be a text"))
        self.assertTrue(self.refused(400, [{"event": 1}]).startswith("[0]: event must be a text"))
        self.assertTrue(self.refused(400, {"event": "a", "to": "b"}).startswith("'to' is no member"))
        self.assertEqual(self.refused(400, "text"), "a message must be a JSON object.")
        self.assertIn("1 to 1000 messages", self.refused(400, []))
        self.assertIn("1 to 1000 messages", self.refused(400, [1] * (MAX_MESSAGES + 1)))

    def test_a_body_must_be_strict_json(self) -> None:
        for body in (b"", b"{", b"\xff", b'{"event": NaN}', b'{"event": "a", "event": "b"}', b"[" * 1000):
            self.assertIn("The body must be JSON", self.refused(400, body))
        self.assertIn("Content-Type", self.refused(415, {"event": "a"}, content_type="text/plain"))

    def test_data_may_be_nested_and_numbers_large(self) -> None:
        ann = self.core.connect("ann")
        deep: Any = 1
        for _ in range(150):
            deep = [deep]
        self.accepted({"event": "a", "args": [deep]})
        self.assertEqual(ann.link.messages[0]["data"], deep)
        answer = self.request(b'{"event": "a", "data": 123456789012345678901234567890}')
        self.assertIn(answer.status, (202, 400))

    def test_a_body_that_is_too_large(self) -> None:
        self.assertIn(str(MOST), self.refused(413, b'"' + b"x" * MOST + b'"'))

    def test_a_body_may_be_larger_than_a_browsers(self) -> None:
        self.assertEqual(self.accepted({"event": "a", "data": "x" * 15_000})["accepted"], 1)

    def test_the_other_processes_get_it(self) -> None:
        ann = self.core.connect("ann")
        adapter = FakeAdapter(self.core)
        self.core.hub.adapter = adapter  # type: ignore[assignment]
        self.assertEqual(self.accepted({"event": "news"}), {"accepted": 1, "connections": 1})
        self.assertEqual(len(ann.link.messages), 1)
        self.assertEqual(adapter.sent, [Broadcast("news", (), Target())])
        adapter.ready = False
        self.assertEqual(self.accepted({"event": "news"}), {"accepted": 1, "connections": 1, "queued": True})


class DisconnectTests(Base):
    def disconnect(self, body: Any) -> Any:
        return self.accepted(body, path="/api/disconnect")

    def test_somebody(self) -> None:
        ann, bob = self.core.connect("ann"), self.core.connect("bob")
        self.assertEqual(
            self.disconnect({"user": "ann", "code": 4001, "reason": "Gone"}), {"accepted": 1, "connections": 1}
        )
        self.assertEqual(ann.link.closes, [(4001, "Gone")])
        self.assertEqual(bob.link.closes, [])
        self.assertEqual(self.core.counters.get("api_messages", "disconnect"), 1)

    def test_nobody(self) -> None:
        self.assertEqual(self.disconnect([{"user": []}, {"session": "none"}]), {"accepted": 2, "connections": 0})

    def test_everybody_must_be_meant(self) -> None:
        self.assertIn("everybody must be true", self.refused(400, {}, path="/api/disconnect"))

    def test_the_other_processes_do_it_too(self) -> None:
        adapter = FakeAdapter(self.core)
        self.core.hub.adapter = adapter  # type: ignore[assignment]
        self.disconnect({"user": "ann"})
        self.assertEqual(
            adapter.sent, [Disconnect(Target(users=frozenset({"ann"})), 1000, "Disconnected by the server")]
        )


class KeyTests(Base):
    def test_any_of_the_keys_will_do(self) -> None:
        for key in self.keys:
            self.accepted({"event": "news"}, key=key)
        self.accepted({"event": "news"}, f"Authorization: bearer {KEY}", key=None)

    def test_without_one_nothing_is_read_or_sent(self) -> None:
        ann = self.core.connect("ann")
        with LogCapture() as logged:
            for key in (None, "", "x" * 32, KEY[:-1]):
                answer = self.request({"event": "news"}, key=key)
                self.assertEqual((answer.status, answer.error), (401, "unauthorized"))
                self.assertEqual(answer.header("www-authenticate"), "Bearer")
            self.refused(401, {"event": "news"}, f"Authorization: Bearer {KEY}")  # twice
            self.refused(401, {"event": "news"}, "Authorization: Basic abc", key=None)
            self.refused(401, b"nonsense", key=None, content_type="text/plain")
        self.assertEqual(ann.link.messages, [])
        self.assertEqual(len(logged.named("a request for")), 7)
        self.assertNotIn(KEY[:-1], str(logged.events))
        self.assertEqual(self.core.counters.get("http_refused", "unauthorized"), 7)

    def test_a_body_without_a_key_is_not_kept(self) -> None:
        client = Client(self.site)
        client.send(f"POST /api/emit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 19000\r\n\r\n".encode() + b"x" * 18000)
        self.assertEqual(client.channel.requests[-1].content.getvalue(), b"")
        client.send(b"x" * 1000)
        self.assertEqual(client.answer().status, 401)

    def test_a_body_that_does_not_come_costs_nothing(self) -> None:
        client = Client(self.site)
        client.send(f"POST /api/emit HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 9\r\n\r\n".encode())
        client.disconnect()
        self.assertEqual(self.core.clock.getDelayedCalls(), [])

    def test_pages_are_refused_even_with_a_key(self) -> None:
        for header in (f"Origin: https://{HOST}", "Origin: null", "Sec-Fetch-Site: same-origin"):
            self.assertIn("for servers", self.refused(403, {"event": "news"}, header))

    def test_no_preflight_lets_a_page_in(self) -> None:
        answer = self.request(
            b"",
            "Origin: https://evil.example",
            "Access-Control-Request-Method: POST",
            "Access-Control-Request-Headers: authorization",
            method="OPTIONS",
            key=None,
        )
        self.assertEqual(answer.header("allow"), "OPTIONS, POST")
        self.assertEqual([name for name, _ in answer.headers if name.lower().startswith("access-control")], [])

    def test_only_posts(self) -> None:
        self.refused(405, b"", method="GET")
        self.assertEqual(self.request({}, path="/api/emit/more").status, 404)
        self.assertEqual(self.request({}, path="/api").status, 404)


class NoKeyTests(Base):
    keys = ()

    def test_there_is_nothing(self) -> None:
        for path in ("/api/emit", "/api/disconnect"):
            self.assertEqual(self.request({"event": "news"}, path=path, key="").status, 404)
        self.assertEqual(self.api.uploads, {})


class RateTests(Base):
    rate = Rate(4, 0.5)

    def test_each_key_has_its_rate_of_messages(self) -> None:
        self.accepted([{"event": "a"}] * 4)
        self.core.hub.alarms = Alarms(self.core.counters, self.core.clock.seconds)
        answer = self.request({"event": "a"})
        self.assertEqual(self.core.hub.alarms.recent(), ["api_rate"])
        self.assertEqual((answer.status, answer.error, answer.header("retry-after")), (429, "rate_limited", "1"))
        self.accepted({"event": "a"}, key=NEW_KEY)
        self.core.clock.advance(0.5)
        self.accepted({"event": "a"})

    def test_a_long_list_passes_and_is_paid_for_later(self) -> None:
        self.accepted([{"event": "a"}] * 10)
        self.core.clock.advance(3.0)
        self.refused(429, {"event": "a"})
        self.core.clock.advance(0.5)
        self.accepted({"event": "a"})

    def test_what_is_wrong_does_not_count(self) -> None:
        for _ in range(10):
            self.refused(400, {"event": ""})
        self.accepted([{"event": "a"}] * 4)
