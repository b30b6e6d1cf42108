"""Tests of wsservice.namespace: middleware, `on_any`, roles, wires; the rest is in test_app.py, of the main one."""

from __future__ import annotations

import re
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Client, Core, make_principal
from wsservice.clients.wires import Wires
from wsservice.connection import Connection
from wsservice.errors import ClientError
from wsservice.messages import Event
from wsservice.namespace import Namespace

INTERNAL = {"code": "internal_error", "message": "The server could not handle this."}


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core()
        self.chat = self.core.app.namespace("/chat")
        self.log: list[Any] = []

    def connect(self, user: Any = "alice", **arguments: Any) -> Client:
        return self.core.connect(user, namespace="/chat", **arguments)

    def receive(self, client: Client, name: str, *args: Any, ack_id: int | None = None) -> Any:
        """What a client is told by the time that its event was taken."""
        client.link.writes.clear()
        client.connection.receive(Event(name, args, ack_id))
        return client.link.messages

    def noting(self, name: str) -> Any:
        """A function that notes its name."""
        return lambda connection, *args: self.log.append(name)


class MiddlewareTests(Base):
    def test_middleware_runs_in_order_before_on_connect(self) -> None:
        @self.chat.use
        async def first(connection: Connection) -> None:
            await deferLater(self.core.clock, 1, lambda: None)
            self.log.append("first")

        @self.chat.use
        def second(connection: Connection) -> Deferred[str]:
            self.log.append("second")
            return succeed("ignored")

        self.chat.use(self.noting("third"))
        self.chat.on_connect(self.noting("on_connect"))
        client = self.connect()
        self.assertEqual((self.log, client.link.accepted), ([], 0))
        self.core.clock.advance(1)
        self.assertEqual((self.log, client.link.accepted), (["first", "second", "third", "on_connect"], 1))

    def test_nothing_more_runs_for_a_client_that_left_meanwhile(self) -> None:
        for end in ("leave", "disconnect"):
            waiting: Deferred[None] = Deferred()
            namespace = self.core.app.namespace(f"/{end}")
            namespace.use(lambda connection, waiting=waiting: waiting)
            namespace.use(self.noting("second"))
            namespace.on_connect(self.noting("on_connect"))
            namespace.on_disconnect(self.noting("on_disconnect"))
            client = self.core.connect("alice", namespace=f"/{end}")
            if end == "leave":
                client.leave()
            else:
                client.connection.disconnect()
            waiting.callback(None)
            self.assertEqual([name for name in self.log if name != "on_disconnect"], [])

    def test_middleware_alone_lets_in(self) -> None:
        self.chat.use(self.noting("first"))
        self.assertEqual((self.connect().link.accepted, self.log), (1, ["first"]))

    def test_the_first_refusal_is_the_last_that_runs_and_is_what_the_link_gets(self) -> None:
        refusals: list[ClientError] = []

        @self.chat.use
        def refuse(connection: Connection) -> None:
            raise ClientError("banned", "You are banned.", {"until": 5})

        self.chat.use(self.noting("second"))
        self.chat.on_connect(self.noting("on_connect"))
        self.chat.on_disconnect(self.noting("on_disconnect"))
        client = self.core.prepare(namespace="/chat")
        self.patch(client.link, "refuse", refusals.append)
        client.connection.open()
        (error,) = refusals
        self.assertEqual((error.code, error.message, error.data), ("banned", "You are banned.", {"until": 5}))
        client.leave()
        self.assertEqual((self.log, self.core.leftovers()), ([], []))

    def test_a_fault_of_middleware_is_logged_and_tells_the_client_nothing(self) -> None:
        for error in (ZeroDivisionError("SECRET"), SystemExit(1)):
            self.setUp()

            @self.chat.use
            def broken(connection: Connection, error: BaseException = error) -> None:
                raise error

            client = self.connect()
            self.assertEqual(client.link.closes, [(1011, "Internal error")])
            self.assertEqual(len(self.flushLoggedErrors(type(error))), 1)
            self.assertEqual(self.core.counters.get("handler_errors"), 1)

    def test_each_namespace_has_its_own(self) -> None:
        self.chat.use(self.noting("chat"))
        self.core.app.use(self.noting("main"))
        self.connect()
        self.core.connect()
        self.assertEqual(self.log, ["chat", "main"])

    def test_the_hub_counts_it_as_running(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.chat.use(lambda connection: waiting)
        client = self.connect()
        self.assertEqual(self.core.hub.running, 1)
        client.leave()
        waiting.callback(None)
        self.assertEqual(self.core.leftovers(), [])


class EventMiddlewareTests(Base):
    def test_it_sees_every_event_before_its_handler(self) -> None:
        self.chat.use_event(lambda connection, event: self.log.append((event.name, event.args, event.ack_id)))

        @self.chat.use_event
        async def slow(connection: Connection, event: Event) -> None:
            await deferLater(self.core.clock, 1, lambda: None)
            self.log.append("slow")

        @self.chat.on("a")
        async def handler(connection: Connection, data: Any) -> Any:
            self.log.append("handler")
            return data

        client = self.connect()
        self.assertEqual(self.receive(client, "a", 5, ack_id=1), [])
        self.core.clock.advance(1)
        self.assertEqual(self.log, [("a", (5,), 1), "slow", "handler"])
        self.assertEqual(client.link.messages, [{"ack": 1, "data": 5}])
        self.receive(client, "unknown")
        self.assertEqual(self.log[3:], [("unknown", (), None)])

    def test_it_refuses_as_a_handler_does(self) -> None:
        @self.chat.use_event
        def limit(connection: Connection, event: Event) -> None:
            raise ClientError("slow_down")

        self.chat.use_event(self.noting("second"))
        self.chat.on("a")(self.noting("handler"))
        client = self.connect()
        body = {"code": "slow_down", "message": "slow_down"}
        self.assertEqual(self.receive(client, "a", ack_id=1), [{"ack": 1, "error": body}])
        self.assertEqual(self.receive(client, "a"), [{"event": "error", "data": {**body, "event": "a"}}])
        self.assertEqual((self.log, self.core.counters.get("events_refused", "application")), ([], 2))

    def test_its_fault_is_logged_and_the_connection_goes_on(self) -> None:
        self.chat.use_event(lambda connection, event: event.args[0])
        self.chat.on("a")(lambda connection, data=None: data)
        client = self.connect()
        self.assertEqual(self.receive(client, "a", ack_id=1), [{"ack": 1, "error": INTERNAL}])
        self.assertEqual(self.receive(client, "a", 7, ack_id=2), [{"ack": 2, "data": 7}])
        self.assertEqual(len(self.flushLoggedErrors(IndexError)), 1)

    def test_events_stay_in_order_behind_it(self) -> None:
        waits: list[Deferred[None]] = []

        @self.chat.use_event
        def wait(connection: Connection, event: Event) -> Deferred[None]:
            waits.append(Deferred())
            return waits[-1]

        self.chat.on("a")(lambda connection, data: self.log.append(data))
        client = self.connect()
        for number in range(3):
            client.send("a", number)
        self.assertEqual((len(waits), self.log), (1, []))
        for number in range(3):
            waits[number].callback(None)
            self.assertEqual(self.log, list(range(number + 1)))


class OnAnyTests(Base):
    def test_it_handles_what_has_no_handler_and_nothing_else(self) -> None:
        self.chat.on("a")(self.noting("a"))

        @self.chat.on_any
        async def other(connection: Connection, event: str, *args: Any) -> Any:
            return [event, *args]

        client = self.connect()
        self.assertEqual(self.receive(client, "b", 1, 2, ack_id=1), [{"ack": 1, "data": ["b", 1, 2]}])
        self.assertEqual(self.receive(client, "a", ack_id=2), [{"ack": 2, "data": None}])
        self.assertEqual(self.log, ["a"])

    def test_its_arguments_are_counted_behind_the_event(self) -> None:
        self.chat.on_any(lambda connection, event, data: [event, data])
        client = self.connect()
        self.assertEqual(self.receive(client, "b", ack_id=1), [{"ack": 1, "data": ["b", None]}])
        self.assertEqual(self.receive(client, "b", 1, None, ack_id=1), [{"ack": 1, "data": ["b", 1]}])
        (answer,) = self.receive(client, "b", 1, 2, ack_id=1)
        self.assertEqual(answer["error"]["message"], "This event takes 1 argument, and 2 came.")

    def test_there_is_one(self) -> None:
        self.chat.on_any(self.noting("first"))
        self.assertRaises(ValueError, self.chat.on_any, self.noting("second"))


class RolesTests(Base):
    def test_whoever_may_not_call_is_not_told_what_the_handler_takes(self) -> None:
        self.chat.on("a", roles={"admin"})(lambda connection: "done")
        (answer,) = self.receive(self.connect(), "a", 1, 2, ack_id=1)
        self.assertEqual(answer["error"]["code"], "forbidden")
        admin = self.connect(make_principal("admin", roles=("admin",)))
        (answer,) = self.receive(admin, "a", 1, 2, ack_id=1)
        self.assertEqual(answer["error"]["code"], "bad_arguments")


class WireTests(Base):
    """What a Socket.IO client is told, whose wire can do more and ignores some."""

    def setUp(self) -> None:
        super().setUp()
        self.client = self.connect(wire=Wires().get("/chat", None))

    def receive(self, client: Client, name: str, *args: Any, ack_id: int | None = None) -> Any:
        client.link.writes.clear()
        client.connection.receive(Event(name, args, ack_id))
        return b"|".join(client.link.writes).decode()

    def test_a_tuple_is_several_arguments_of_the_acknowledgement(self) -> None:
        self.chat.on("a")(lambda connection, *args: args)
        self.assertEqual(
            self.receive(self.client, "a", 1, b"x", ack_id=5), '461-/chat,5[1,{"_placeholder":true,"num":0}]\x1ebeA=='
        )

    def test_an_unknown_event_is_counted_and_answered_only_if_the_client_asked(self) -> None:
        self.assertEqual(self.receive(self.client, "a"), "")
        self.assertIn('43/chat,5[{"error":{"code":"unknown_event"', self.receive(self.client, "a", ack_id=5))
        self.assertEqual(self.core.counters.get("events_refused", "unknown_event"), 2)

    def test_a_result_that_could_be_mistaken_for_binary_data_is_an_internal_error(self) -> None:
        self.chat.on("a")(lambda connection: [b"x", {"_placeholder": True, "num": 9}])
        self.assertIn("internal_error", self.receive(self.client, "a", ack_id=5))
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class AloneTests(SynchronousTestCase):
    def test_a_name_is_matched_as_a_whole(self) -> None:
        fixed, pattern = Namespace("/room-1"), Namespace(re.compile(r"/room-[0-9]"))
        for name, expected in (
            ("/room-1", (True, True)),
            ("/room-2", (False, True)),
            ("/room-12", (False, False)),
            ("/room-1\n", (False, False)),
            ("/a/room-1", (False, False)),
            ("", (False, False)),
        ):
            self.assertEqual((fixed.matches(name), pattern.matches(name)), expected)

    def test_a_pattern_that_no_app_has_reaches_nobody(self) -> None:
        core = Core()
        client = core.connect(namespace="/a")
        pattern = Namespace(re.compile(".*"))
        pattern.serve_by(core.hub)
        pattern.emit("news")
        self.assertEqual((client.link.writes, pattern.connections()), ([], []))
