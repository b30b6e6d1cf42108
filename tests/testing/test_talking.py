"""Events, acknowledgements and calls, by every protocol; handlers that wait; requests by HTTP."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from tests.testing.bench import PROTOCOLS, Base
from wsservice import CallTimeout, Connection


class TalkingTests(Base):
    def test_texts_bytes_and_whatever_json_holds(self) -> None:
        service = self.serve()
        clients = self.each(service)
        for client in clients:
            for sent in ("hello", "ü€😀", b"\x00\xff"):
                client.send(sent)
                for one in clients:
                    self.assertEqual(one.received(), [("message", sent)])
            for value in (None, True, [1, {"a": "b"}], {"event": "x"}):
                self.assertEqual(client.call("echo", value), value)

    def test_binary_data_at_any_depth(self) -> None:
        service = self.serve()
        for client in self.each(service)[1:]:
            value = {"a": [b"one", {"b": b"two"}], "c": 3}
            self.assertEqual(client.call("echo", value), value)
            self.assertEqual(client.call("echo", 1, 2), (1, 2))

    def test_events_stay_until_somebody_asks_for_them(self) -> None:
        service = self.serve()
        for client in self.each(service):
            self.app.emit("news", 1, user=client.user)
            self.app.emit("other", 2, user=client.user)
            self.app.emit("news", 3, user=client.user)
            self.assertEqual(client.received("news"), [("news", 1), ("news", 3)])
            self.assertEqual((client.received(), client.received()), ([("other", 2)], []))

    def test_a_raw_client_gets_one_argument_and_gives_one(self) -> None:
        raw, other, _ = self.each(self.serve())
        self.app.emit("both", 1, 2)
        self.app.emit("none")
        self.assertEqual(raw.received(), [("both", [1, 2]), ("none", None)])
        self.assertEqual(other.received(), [("both", 1, 2), ("none",)])
        self.assertRaises(TypeError, raw.emit, "echo", 1, 2)

    def test_frames_of_exactly_that_text(self) -> None:
        raw = self.serve().connect()
        raw.connection.send("no json")
        self.assertEqual(raw.received(), [("message", "no json")])

    def test_rooms_and_calls_of_the_service(self) -> None:
        service = self.serve()
        for client in self.each(service):
            client.connection.join("lobby")
            self.assertEqual(client.rooms, {"lobby"})
            client.on("ask", lambda number: {"twice": 2 * number})
            self.assertEqual(service.result_of(client.connection.call("ask", 21)), {"twice": 42})
        presence = service.result_of(self.app.presence("lobby"))
        self.assertEqual(presence.users, {f"user-{protocol}" for protocol in PROTOCOLS})

    def test_a_call_that_nobody_answers(self) -> None:
        service = self.serve()
        client = service.connect()
        answer = client.connection.call("ask", 1, timeout=5)
        self.assertRaises(AssertionError, service.result_of, answer)
        self.assertEqual(client.received(), [("ask", 1)])
        service.advance(5)
        self.assertRaises(CallTimeout, service.result_of, answer)

    def test_a_handler_that_waits(self) -> None:
        service = self.serve()
        for client in self.each(service):
            opened: Deferred[str] = Deferred()
            self.app.on(client.user or "")(lambda connection, data=None, opened=opened: opened)
            reply = client.ask(client.user or "")
            self.assertEqual((reply.has_come, client.closed), (False, None))
            self.assertIn("advance", str(self.assertRaises(AssertionError, reply.result)))
            opened.callback("open")
            service.settle()
            self.assertEqual(reply.result(), "open")

    def test_handlers_may_wait_on_the_clock(self) -> None:
        service = self.serve()

        @self.app.on("later")
        async def later(connection: Connection, data: Any) -> Any:
            await deferLater(service.clock, 10)
            return data

        replies = [client.ask("later", 7) for client in self.each(service)]
        service.advance(9.9)
        self.assertEqual([reply.has_come for reply in replies], [False] * 3)
        service.advance(0.1)
        self.assertEqual([reply.result() for reply in replies], [7] * 3)

    def test_two_who_answer_each_other_for_ever_are_told(self) -> None:
        service = self.serve(message_rate=0)
        client = service.connect()
        client.on("message", lambda text: client.send(text))
        self.assertIn("not come to rest", str(self.assertRaises(AssertionError, client.send, "hello")))


class HttpTests(Base):
    def test_any_request(self) -> None:
        service = self.serve(api_key="k" * 32)
        service.connect("ann", roles={"admin"})
        me = service.request("GET", "/auth/me", user="ann")
        self.assertEqual((me.status, me.json["user"]["roles"]), (200, ["admin"]))
        self.assertEqual(me.header("Content-Type"), "application/json; charset=utf-8")
        headers = {"Authorization": f"Bearer {'k' * 32}"}
        answer = service.request("POST", "/api/emit", {"event": "news", "user": "ann"}, headers=headers)
        self.assertEqual((answer.status, answer.json), (202, {"accepted": 1, "connections": 1}))
        self.assertEqual(service.request("POST", "/api/emit", b"{}", headers=headers).status, 415)
        self.assertEqual(service.request("GET", "/auth/me").status, 401)
