"""Tests of wsservice.app, on connections whose transport is in memory."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, inlineCallbacks, succeed
from twisted.internet.task import deferLater
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.fakes import Client, Core, make_principal
from wsservice.app import App
from wsservice.connection import Connection
from wsservice.errors import AppNotServed, ClientError
from wsservice.messages import MAX_NAMESPACE, Event
from wsservice.namespace import Namespace

INTERNAL = {"code": "internal_error", "message": "The server could not handle this."}


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core()
        self.app = self.core.app
        self.counters = self.core.counters
        self.log = log = list[LogEvent]()

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            log.append(event)

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)

    def logged(self) -> list[LogEvent]:
        """The faults of handlers in the log."""
        return [event for event in self.log if "handled_event" in event]

    def ask(self, client: Client, event: str, data: Any = None) -> Any:
        """What a client is told by the time that its event was taken."""
        client.link.writes.clear()
        client.send(event, data, id=1)
        return client.link.messages

    def faults(self, error: type[BaseException], number: int = 1) -> None:
        """So many faults were logged and counted."""
        self.assertEqual(len(self.flushLoggedErrors(error)), number)
        self.assertEqual(self.counters.get("handler_errors"), number)


class DeclaringTests(Base):
    def test_a_function_stays_what_it_was(self) -> None:
        def handler(connection: Connection, data: Any = None) -> None: ...

        self.assertIs(self.app.on("a")(handler), handler)
        self.assertIs(self.app.on_connect(handler), handler)
        self.assertIs(self.app.on_disconnect(handler), handler)

    def test_a_second_handler_of_one_event_is_an_error_that_names_the_first(self) -> None:
        def first(connection: Connection, data: Any) -> None: ...

        self.app.on("a")(first)
        for declare in (self.app.on("a"), self.app.on("a", roles={"admin"})):
            self.assertIn("first", str(self.assertRaises(ValueError, declare, first)))
        self.app.on_disconnect(first)
        self.assertIn("first", str(self.assertRaises(ValueError, self.app.on_disconnect, first)))

        def second(connection: Connection, *args: Any) -> None: ...

        self.app.on_connect(second)
        self.assertIn("second", str(self.assertRaises(ValueError, self.app.on_connect, second)))
        self.app.on_any(second)
        self.assertIn("second", str(self.assertRaises(ValueError, self.app.on_any, second)))

    def test_a_forgotten_name_is_an_error(self) -> None:
        error = self.assertRaises(TypeError, self.app.on, lambda connection, data: None)
        self.assertIn('@app.on("message")', str(error))

    def test_a_generator_is_an_error_since_it_would_never_run(self) -> None:
        def generator(connection: Connection, data: Any = None) -> Iterator[int]:
            yield 1

        async def asynchronous(connection: Connection, data: Any = None) -> Any:
            yield 1

        for function in (generator, asynchronous):
            for declare in (self.app.on("a"), self.app.on_connect, self.app.on_disconnect):
                error = self.assertRaises(TypeError, declare, function)
                self.assertIn("inlineCallbacks", str(error))

    def test_two_apps_do_not_know_each_other(self) -> None:
        self.app.on("a")(lambda connection, data: 1)
        App().on("a")(lambda connection, data: 2)


class DispatchTests(Base):
    def test_every_kind_of_handler_answers(self) -> None:
        @self.app.on("plain")
        def plain(connection: Connection, data: Any) -> Any:
            return data

        @self.app.on("coroutine")
        async def coroutine(connection: Connection, data: Any) -> Any:
            return data

        @self.app.on("awaiting")
        async def awaiting(connection: Connection, data: Any) -> Any:
            return await deferLater(self.core.clock, 1, lambda: data)

        @self.app.on("deferred")
        def deferred(connection: Connection, data: Any) -> Deferred[Any]:
            return succeed(data)

        @self.app.on("later")
        def later(connection: Connection, data: Any) -> Deferred[Any]:
            return deferLater(self.core.clock, 1, lambda: data)

        @self.app.on("inline")
        @inlineCallbacks
        def inline(connection: Connection, data: Any) -> Any:
            result = yield deferLater(self.core.clock, 1, lambda: data)
            return result

        client = self.core.connect()
        for event in ("plain", "coroutine", "deferred"):
            self.assertEqual(self.ask(client, event, [event]), [{"ack": 1, "data": [event]}])
        for event in ("awaiting", "later", "inline"):
            self.assertEqual(self.ask(client, event, [event]), [])
            self.core.clock.advance(1)
            self.assertEqual(client.link.messages, [{"ack": 1, "data": [event]}])

    def test_methods_and_callables_may_be_handlers(self) -> None:
        class Handlers:
            def method(self, connection: Connection, data: Any) -> str:
                return "method"

            async def __call__(self, connection: Connection, data: Any) -> str:
                return "callable"

        handlers = Handlers()
        self.app.on("method")(handlers.method)
        self.app.on("callable")(handlers)
        client = self.core.connect()
        for name in ("method", "callable"):
            self.assertEqual(self.ask(client, name), [{"ack": 1, "data": name}])

    def test_nothing_is_answered_where_nobody_asked(self) -> None:
        self.app.on("plain")(lambda connection, data: object())
        self.app.on("later")(lambda connection, data: succeed(object()))
        client = self.core.connect()
        client.send("plain")
        client.send("later")
        self.assertEqual(client.link.writes, [])

    def test_a_handler_that_returns_nothing_acknowledges_with_null(self) -> None:
        self.app.on("a")(lambda connection, data: None)
        self.assertEqual(self.ask(self.core.connect(), "a"), [{"ack": 1, "data": None}])

    def test_handlers_of_one_connection_run_in_order(self) -> None:
        log: list[str] = []

        @self.app.on("a")
        async def slow(connection: Connection, data: str) -> None:
            log.append(f"begin {data}")
            await deferLater(self.core.clock, 1, lambda: None)
            log.append(f"end {data}")

        one, other = self.core.connect(), self.core.connect("bob")
        one.send("a", "1")
        one.send("a", "2")
        other.send("a", "3")
        self.core.clock.pump([1, 1])
        self.assertEqual(log, ["begin 1", "begin 3", "end 1", "begin 2", "end 3", "end 2"])

    def test_an_unknown_event_is_refused(self) -> None:
        client = self.core.connect()
        error = {"code": "unknown_event", "message": "There is no handler for this event."}
        self.assertEqual(self.ask(client, "nothing"), [{"ack": 1, "error": error}])
        client.link.writes.clear()
        client.send("nothing")
        self.assertEqual(client.link.messages, [{"event": "error", "data": {**error, "event": "nothing"}}])
        self.assertEqual(self.counters.get("events_refused", "unknown_event"), 2)

    def test_a_client_cannot_call_a_life_cycle_callback_or_a_method(self) -> None:
        calls: list[Any] = []
        self.app.on_connect(calls.append)
        self.app.on_disconnect(lambda connection, reason: calls.append(reason))
        client = self.core.connect()
        calls.clear()
        for name in (
            "connect",
            "on_connect",
            "_on_connect",
            "disconnect",
            "on_disconnect",
            "__init__",
            "emit",
            "",
            "\x00",
        ):
            (answer,) = self.ask(client, name)
            self.assertEqual(answer["error"]["code"], "unknown_event")
        self.assertEqual(calls, [])
        self.assertTrue(client.connection.is_open)


class RolesTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.app.on("one", roles="admin")(lambda connection, data: "done")
        self.app.on("some", roles=["admin", "editor"])(lambda connection, data: "done")

    def test_one_of_the_roles_is_enough(self) -> None:
        admin, editor = (self.core.connect(make_principal(role, roles=(role,))) for role in ("admin", "editor"))
        for client, event in ((admin, "one"), (admin, "some"), (editor, "some")):
            self.assertEqual(self.ask(client, event), [{"ack": 1, "data": "done"}])

    def test_without_any_the_handler_does_not_run(self) -> None:
        self.app.on("never", roles={"admin"})(lambda connection, data: self.fail("it ran"))
        editor = self.core.connect(make_principal("editor", roles=("editor", "a", "d", "m", "i", "n")))
        nobody = self.core.connect()
        error = {"code": "forbidden", "message": "You may not do this."}
        for client, event in ((editor, "one"), (nobody, "one"), (nobody, "some"), (nobody, "never")):
            self.assertEqual(self.ask(client, event), [{"ack": 1, "error": error}])
        self.assertEqual(self.counters.get("events_refused", "forbidden"), 4)


class FailingTests(Base):
    def raising(self, error: BaseException) -> Client:
        """A client whose events `plain`, `coroutine` and `later` raise."""

        @self.app.on("plain")
        def plain(connection: Connection, data: Any) -> None:
            raise error

        @self.app.on("coroutine")
        async def coroutine(connection: Connection, data: Any) -> None:
            raise error

        @self.app.on("later")
        def later(connection: Connection, data: Any) -> Deferred[None]:
            return fail(error)

        return self.core.connect()

    def test_a_client_error_is_the_answer(self) -> None:
        client = self.raising(ClientError("full", "No seat.", {"seats": 0}))
        body = {"code": "full", "message": "No seat.", "data": {"seats": 0}}
        for event in ("plain", "coroutine", "later"):
            self.assertEqual(self.ask(client, event), [{"ack": 1, "error": body}])
            client.link.writes.clear()
            client.send(event)
            self.assertEqual(client.link.messages, [{"event": "error", "data": {**body, "event": event}}])
        self.assertEqual(self.counters.get("events_refused", "application"), 6)
        self.assertEqual(self.counters.get("handler_errors"), 0)

    def test_any_other_exception_is_logged_and_tells_the_client_nothing(self) -> None:
        client = self.raising(ZeroDivisionError("SECRET"))
        for event in ("plain", "coroutine", "later"):
            self.assertEqual(self.ask(client, event), [{"ack": 1, "error": INTERNAL}])
        self.faults(ZeroDivisionError, 3)
        self.assertEqual(self.counters.get("events_refused", "internal_error"), 3)

    def test_what_is_no_exception_is_handled_the_same(self) -> None:
        for error in (SystemExit(1), asyncio.CancelledError(), KeyboardInterrupt(), GeneratorExit(), CancelledError()):
            self.setUp()
            client = self.raising(error)
            self.assertEqual(self.ask(client, "plain"), [{"ack": 1, "error": INTERNAL}])
            self.faults(type(error))
            self.assertEqual(self.core.hub.running, 0)

    def test_a_fault_is_logged_with_the_event_the_connection_and_the_request(self) -> None:
        client = self.raising(ZeroDivisionError())
        client.send("plain", "SECRET")
        self.flushLoggedErrors(ZeroDivisionError)
        (event,) = self.logged()
        self.assertEqual(
            (event["handled_event"], event["connection_id"], event["request_id"]),
            ("plain", client.connection.id, "request-0001"),
        )

    def test_the_connection_goes_on(self) -> None:
        client = self.raising(ZeroDivisionError())
        client.send("plain")
        self.app.on("a")(lambda connection, data: "fine")
        self.assertEqual(self.ask(client, "a"), [{"ack": 1, "data": "fine"}])
        self.flushLoggedErrors(ZeroDivisionError)

    def test_a_result_that_is_no_json_is_an_internal_error(self) -> None:
        circle: list[Any] = []
        circle.append(circle)
        for result in (object(), circle, "\ud800", {None: 1}, (number for number in [1])):
            self.setUp()
            self.app.on("plain")(lambda connection, data, result=result: result)
            self.app.on("later")(lambda connection, data, result=result: succeed(result))
            client = self.core.connect()
            self.assertEqual(self.ask(client, "plain"), [{"ack": 1, "error": INTERNAL}])
            self.assertEqual(self.ask(client, "later"), [{"ack": 1, "error": INTERNAL}])
            self.faults(TypeError, 2)

    def test_a_client_error_whose_data_is_no_json_is_an_internal_error(self) -> None:
        client = self.raising(ClientError("full", data=object()))
        for event in ("plain", "coroutine", "later"):
            self.assertEqual(self.ask(client, event), [{"ack": 1, "error": INTERNAL}])
        self.faults(TypeError, 3)

    def test_a_handler_gets_as_many_arguments_as_it_takes(self) -> None:
        taken: list[Any] = []
        self.app.on("none")(lambda connection: taken.append(()))
        self.app.on("one")(lambda connection, data: taken.append((data,)))
        self.app.on("two")(lambda connection, a, b=7: taken.append((a, b)))
        self.app.on("any")(lambda connection, *args: taken.append(args))
        client = self.core.connect()
        for name, args, expected in (
            ("none", (None,), ()),
            ("none", (), ()),
            ("one", (), (None,)),
            ("one", (1,), (1,)),
            ("one", (1, None, None), (1,)),
            ("two", (), (None, 7)),
            ("two", (1,), (1, 7)),
            ("two", (1, 2), (1, 2)),
            ("any", (1, None), (1, None)),
        ):
            client.connection.receive(Event(name, args))
            self.assertEqual(taken.pop(), expected)
        self.assertEqual((client.link.writes, self.counters.get("handler_errors")), ([], 0))

    def test_arguments_that_no_handler_takes_are_the_clients_fault(self) -> None:
        self.app.on("a")(lambda connection: None)
        (answer,) = self.ask(self.core.connect(), "a", "too much")
        self.assertEqual(answer["error"]["code"], "bad_arguments")
        self.assertEqual((self.logged(), self.counters.get("events_refused", "bad_arguments")), ([], 1))

    def test_a_function_that_takes_no_connection_is_no_handler(self) -> None:
        for declare in (self.app.on("a"), self.app.on_connect, self.app.use, self.app.on_any):
            self.assertIn("too few arguments", str(self.assertRaises(TypeError, declare, lambda: None)))
        for declare in (self.app.on_disconnect, self.app.use_event, self.app.on_any):
            self.assertIn("too few arguments", str(self.assertRaises(TypeError, declare, lambda connection: None)))

    def test_a_handler_may_fail_after_its_client_left(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.app.on("a")(lambda connection, data: waiting)
        client = self.core.connect()
        client.send("a", id=1)
        client.leave()
        waiting.errback(ZeroDivisionError())
        self.faults(ZeroDivisionError)
        self.assertEqual((client.link.writes, self.core.leftovers()), ([], []))

    def test_a_handler_may_recurse_too_deeply(self) -> None:
        @self.app.on("a")
        def recurse(connection: Connection, data: Any) -> None:
            recurse(connection, data)

        client = self.core.connect()
        self.assertEqual(self.ask(client, "a"), [{"ack": 1, "error": INTERNAL}])
        self.faults(RecursionError)


class LifeCycleTests(Base):
    def test_every_kind_of_callback_runs(self) -> None:
        async def coroutine(connection: Connection, *args: Any) -> str:
            log.append(("coroutine", *args))
            return "ignored"

        def plain(connection: Connection, *args: Any) -> str:
            log.append(("plain", *args))
            return "ignored"

        def deferred(connection: Connection, *args: Any) -> Deferred[str]:
            log.append(("deferred", *args))
            return succeed("ignored")

        for callback in (coroutine, plain, deferred):
            self.setUp()
            log: list[Any] = []
            self.app.on_connect(callback)
            self.app.on_disconnect(callback)
            client = self.core.connect()
            self.assertEqual(log, [(callback.__name__,)])
            client.leave("gone")
            self.assertEqual(log[1:], [(callback.__name__, "gone")])
            self.assertEqual(self.core.leftovers(), [])

    def test_an_app_without_callbacks_accepts_everybody(self) -> None:
        client = self.core.connect()
        self.assertEqual(self.app.connections(), [client.connection])
        client.leave()
        self.assertEqual(self.core.leftovers(), [])

    def test_on_connect_refuses_by_a_client_error(self) -> None:
        @self.app.on_connect
        async def refuse(connection: Connection) -> None:
            raise ClientError("banned", "You are banned.")

        client = self.core.connect()
        self.assertEqual(client.link.closes, [(1008, "You are banned.")])
        self.assertEqual(self.app.connections(), [])
        self.assertEqual(self.counters.get("handler_errors"), 0)

    def test_on_connect_that_raises_closes_1011_and_is_logged(self) -> None:
        for error in (ZeroDivisionError("SECRET"), SystemExit(1), asyncio.CancelledError()):
            self.setUp()

            @self.app.on_connect
            def broken(connection: Connection, error: BaseException = error) -> None:
                raise error

            client = self.core.connect()
            self.assertEqual(client.link.closes, [(1011, "Internal error")])
            self.assertEqual([event["handled_event"] for event in self.logged()], ["on_connect"])
            self.faults(type(error))

    def test_on_disconnect_that_raises_is_logged(self) -> None:
        @self.app.on_disconnect
        async def broken(connection: Connection, reason: str) -> None:
            raise ZeroDivisionError

        self.core.connect().leave()
        self.assertEqual([event["handled_event"] for event in self.logged()], ["on_disconnect"])
        self.faults(ZeroDivisionError)
        self.assertEqual(self.core.leftovers(), [])

    def test_a_connection_may_be_found_until_it_ends(self) -> None:
        found: list[Any] = []
        self.app.on_connect(lambda connection: found.append(list(self.app.connections(user="alice"))))
        self.app.on_disconnect(lambda connection, reason: found.append(self.app.connections(user="alice")))
        client = self.core.connect()
        client.leave()
        self.assertEqual(found, [[client.connection], []])


class EmitTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.alice, self.phone, self.bob = (self.core.connect(user) for user in ("alice", "alice", "bob"))
        self.alice.connection.join("red")
        self.bob.connection.join("blue")

    def reached(self, *args: Any, **names: Any) -> str:
        """Who gets an event: `a`, `p` and `b`."""
        for client in (self.alice, self.phone, self.bob):
            client.link.writes.clear()
        self.app.emit("news", *args, **names)
        clients = zip("apb", (self.alice, self.phone, self.bob), strict=True)
        for _, client in clients:
            self.assertLessEqual(len(client.link.writes), 1)
        clients = zip("apb", (self.alice, self.phone, self.bob), strict=True)
        return "".join(name for name, client in clients if client.link.writes)

    def test_without_names_it_goes_to_everybody(self) -> None:
        self.assertEqual(self.reached({"a": 1}), "apb")
        self.assertEqual(self.bob.link.messages, [{"event": "news", "data": {"a": 1}}])

    def test_names_choose_and_add_up(self) -> None:
        self.assertEqual(self.reached(room="red"), "a")
        self.assertEqual(self.reached(room=["red", "blue"]), "ab")
        self.assertEqual(self.reached(room=iter(["red", "blue"])), "ab")
        self.assertEqual(self.reached(user="alice"), "ap")
        self.assertEqual(self.reached(session="session-bob"), "b")
        self.assertEqual(self.reached(room="red", user="alice", session={"session-bob"}), "apb")
        self.assertEqual(self.reached(room="green", user="carol"), "")

    def test_an_empty_list_of_names_means_nobody_and_not_everybody(self) -> None:
        empty: list[Iterable[str]] = [[], (), set(), iter(())]
        for nobody in empty:
            self.assertEqual(self.reached(room=nobody), "")
        self.assertEqual(self.reached(user=[]), "")
        self.assertEqual(self.reached(session=[], room=[]), "")
        self.assertEqual(self.reached(user=[], room="red"), "a")
        self.assertEqual(self.app.connections(user=[]), [])

    def test_some_are_skipped(self) -> None:
        self.assertEqual(self.reached(skip=self.alice.connection), "pb")
        self.assertEqual(self.reached(skip=self.alice.connection.id), "pb")
        self.assertEqual(self.reached(skip=[self.alice.connection, self.bob.connection.id]), "p")
        self.assertEqual(self.reached(skip=[]), "apb")
        self.assertEqual(self.reached(user="alice", skip=self.alice.connection), "p")

    def test_a_volatile_event_passes_by_who_is_behind(self) -> None:
        self.phone.link.behind = True
        self.assertEqual(self.reached(volatile=True), "ab")
        self.assertEqual(self.reached(), "apb")

    def test_what_is_no_json_raises_and_reaches_nobody(self) -> None:
        self.assertRaises(TypeError, self.app.emit, "news", object())
        self.assertEqual([client.link.writes for client in (self.alice, self.phone, self.bob)], [[], [], []])

    def test_connections_are_listed(self) -> None:
        self.assertEqual(set(self.app.connections()), {c.connection for c in (self.alice, self.phone, self.bob)})
        self.assertEqual(self.app.connections(room="red"), [self.alice.connection])
        self.assertEqual(self.app.connections(session="session-bob"), [self.bob.connection])

    def test_connections_are_closed(self) -> None:
        self.app.disconnect(user="alice")
        self.assertEqual(self.alice.link.closes, [(1000, "Disconnected by the server")])
        self.assertEqual(self.phone.link.closes, self.alice.link.closes)
        self.assertEqual(self.bob.link.closes, [])
        self.app.disconnect(room=["blue"], code=4001, reason="Closing time")
        self.assertEqual(self.bob.link.closes, [(4001, "Closing time")])
        self.assertEqual(self.app.connections(), [])

    def test_a_session_is_closed(self) -> None:
        self.app.disconnect(session="session-bob")
        self.assertEqual([len(c.link.closes) for c in (self.alice, self.phone, self.bob)], [0, 0, 1])

    def test_nobody_is_closed_by_an_empty_list_by_nothing_or_by_a_code_that_cannot_be_sent(self) -> None:
        self.app.disconnect(user=[])
        self.assertRaises(ValueError, self.app.disconnect)
        self.assertRaises(ValueError, self.app.disconnect, user="alice", code=1006)
        self.assertRaises(ValueError, self.app.disconnect, user="nobody", code=99)
        self.assertEqual([client.link.closes for client in (self.alice, self.phone, self.bob)], [[], [], []])

    def test_a_handler_that_closes_the_others_while_it_answers_is_served(self) -> None:
        @self.app.on("alone")
        def alone(connection: Connection, data: Any) -> int:
            self.app.disconnect(user=["bob", "alice"])
            self.app.emit("news")
            return 1

        self.alice.send("alone", id=1)
        self.assertEqual([len(client.link.closes) for client in (self.alice, self.phone, self.bob)], [1, 1, 1])
        self.assertEqual([client.link.writes for client in (self.alice, self.phone, self.bob)], [[], [], []])


class NamespacesTests(Base):
    def test_a_name_has_one_namespace(self) -> None:
        chat = self.app.namespace("/chat")
        self.assertIs(self.app.namespace("/chat"), chat)
        self.assertIs(self.app.namespace("/"), self.app)
        self.assertEqual((chat.name, self.app.name), ("/chat", "/"))
        self.assertIsNot(self.app.namespace("/Chat"), chat)

    def test_what_can_be_no_name_is_an_error(self) -> None:
        for name in ("", "chat", "/a,b", " /chat", "/" + "x" * MAX_NAMESPACE):
            self.assertIn(repr(name), str(self.assertRaises(ValueError, self.app.namespace, name)))
        self.app.namespace("/" + "x" * (MAX_NAMESPACE - 1))

    def test_handlers_of_a_namespace_are_its_own(self) -> None:
        self.app.on("a")(lambda connection, data: "main")
        self.app.namespace("/chat").on("a")(lambda connection, data: "chat")
        main, chat = self.core.connect(), self.core.connect(namespace="/chat")
        self.assertEqual(self.ask(main, "a"), [{"ack": 1, "data": "main"}])
        self.assertEqual(self.ask(chat, "a"), [{"ack": 1, "data": "chat"}])
        self.assertEqual(chat.connection.namespace, "/chat")

    def test_a_name_is_found_and_others_are_not(self) -> None:
        chat, rooms = self.app.namespace("/chat"), self.app.namespace(re.compile(r"/room-[0-9]+"))
        self.assertIs(self.app.find("/"), self.app)
        self.assertIs(self.app.find("/chat"), chat)
        for name in ("/room-1", "/room-22"):
            self.assertIs(self.app.find(name), rooms)
        for name in ("", "chat", "/chat/", "/room-", "/room-1\n", "/room-1?token=x", "/a/room-1"):
            self.assertIsNone(self.app.find(name), name)

    def test_no_pattern_is_tried_on_a_name_that_is_too_long(self) -> None:
        anything = self.app.namespace(re.compile(r"(?s).*"))
        self.assertIs(self.app.find("/" + "x" * (MAX_NAMESPACE - 1)), anything)
        self.assertIsNone(self.app.find("/" + "x" * MAX_NAMESPACE))

    def test_a_pattern_has_one_namespace(self) -> None:
        rooms = self.app.namespace(re.compile("/room-.*"))
        self.assertIs(self.app.namespace(re.compile("/room-.*")), rooms)
        self.assertIsNot(self.app.namespace(re.compile("/room-.*", re.IGNORECASE)), rooms)

    def test_fixed_names_come_first_and_then_the_patterns_in_their_order(self) -> None:
        room_1 = self.app.namespace("/room-1")
        rooms = self.app.namespace(re.compile("/room-.*"))
        rest = self.app.namespace(re.compile("/.*"))
        found = [self.app.find(name) for name in ("/", "/room-1", "/room-2", "/chat")]
        self.assertEqual(found, [self.app, room_1, rooms, rest])

    def test_a_pattern_reaches_none_whose_handlers_are_anothers(self) -> None:
        self.app.namespace("/room-1")
        rooms = self.app.namespace(re.compile("/room-.*"))
        rest = self.app.namespace(re.compile("/.*"))
        names = ("/", "/room-1", "/room-2", "/chat")
        clients = {name: self.core.connect(namespace=name) for name in names}
        for namespace, expected in ((rooms, {"/room-2"}), (rest, {"/chat"})):
            for client in clients.values():
                client.link.writes.clear()
            namespace.emit("news")
            self.assertEqual({name for name in names if clients[name].link.writes}, expected)
            self.assertEqual({connection.namespace for connection in namespace.connections()}, expected)
        rest.disconnect(user="alice")
        self.assertEqual({name for name in names if clients[name].link.closes}, {"/chat"})

    def test_a_name_of_a_pattern_has_its_handlers(self) -> None:
        rooms = self.app.namespace(re.compile("/room-.*"))
        rooms.on("a")(lambda connection, data: connection.namespace)
        self.assertEqual(self.app.namespace("/room-7").name, "/room-7")
        self.assertIs(self.app.find("/room-7"), rooms)
        self.assertEqual(self.ask(self.core.connect(namespace="/room-7"), "a"), [{"ack": 1, "data": "/room-7"}])

    def test_handlers_are_declared_for_a_pattern_and_not_for_one_name_of_it(self) -> None:
        self.app.namespace(re.compile("/room-.*"))
        room = self.app.namespace("/room-7")

        def handler(connection: Connection, *args: Any) -> None: ...

        error = self.assertRaises(ValueError, room.on, "a")
        self.assertIn("/room-7 has the handlers of the pattern re.compile('/room-.*')", str(error))
        for declare in (room.on_any, room.on_connect, room.on_disconnect, room.use, room.use_event):
            self.assertIn("name it before the pattern", str(self.assertRaises(ValueError, declare, handler)))

    def test_names_of_a_pattern_that_nobody_holds_are_forgotten(self) -> None:
        self.app.namespace(re.compile("/room-.*"))
        for number in range(100):
            self.app.namespace(f"/room-{number}").emit("news")
        gc.collect()
        tables = [len(value) for value in vars(self.app).values() if hasattr(value, "__len__")]
        self.assertLessEqual(max(tables), 1)

    def test_namespaces_are_served_whenever_they_were_made(self) -> None:
        app = App()
        rooms = re.compile("/room-.*")
        before = [app.namespace("/chat"), app.namespace(rooms), app.namespace("/room-7")]
        for namespace in before:
            self.assertRaises(AppNotServed, namespace.emit, "news")
        app.serve(self.core.hub)
        after = [app.namespace("/late"), app.namespace(re.compile("/late-.*")), app.namespace("/room-8")]
        for namespace in (*before, *after):
            self.assertIsInstance(namespace, Namespace)
            namespace.emit("news")
        client = self.core.connect(namespace="/room-7")
        before[2].emit("news", 1)
        self.assertEqual(client.link.messages, [{"event": "news", "data": 1}])

    def test_what_a_namespace_made_late_refuses_is_counted(self) -> None:
        self.app.namespace("/late")
        self.ask(self.core.connect(namespace="/late"), "unknown")
        self.assertEqual(self.counters.get("events_refused", "unknown_event"), 1)


class NotServedTests(SynchronousTestCase):
    def test_an_app_that_is_not_served_says_so(self) -> None:
        app = App()
        calls: list[Callable[[], Any]] = [
            lambda: app.emit("news"),
            lambda: app.emit("news", room=[]),
            app.connections,
            lambda: app.disconnect(user="alice"),
        ]
        for call in calls:
            self.assertIn("not served yet", str(self.assertRaises(AppNotServed, call)))


class AwaitingTests(Base):
    def test_a_handler_asks_its_client_and_goes_on(self) -> None:
        @self.app.on("start")
        async def start(connection: Connection, data: Any) -> Any:
            answers: list[Awaitable[Any]] = [connection.call("first"), connection.call("second")]
            return [await answer for answer in answers]

        client = self.core.connect()
        client.send("start", id=9)
        client.acknowledge(2, "b")
        client.acknowledge(1, "a")
        self.assertEqual(client.link.messages[-1], {"ack": 9, "data": ["a", "b"]})
