"""Tests of wsservice.connection: every arrow of its life cycle, and the order in which a client is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Client, Core, FakeLink, make_principal
from wsservice.alarms import Alarms
from wsservice.clients.wires import Wires, to_frames
from wsservice.connection import Connection
from wsservice.connection_limits import ConnectionLimits
from wsservice.errors import INTERNAL_ERROR, CallRefused, CallTimeout, ClientError, ConnectionClosed, TooManyCalls
from wsservice.frames import BINARY, PLAIN, frame
from wsservice.history import Saved
from wsservice.messages import Broadcast, Event, Renew, Target

#: what a handler does; Any, since many tests give a lambda that raises
Plan = Callable[[Connection, Event], Any]


class Script:
    """The application: writes down what is asked of it, and answers as the test wants."""

    def __init__(self) -> None:
        self.log: list[str] = []
        #: what `on_connect` and `on_disconnect` return
        self.opening: Callable[[Connection], Any] = lambda connection: succeed(None)
        self.closing: Callable[[Connection], Any] = lambda connection: succeed(None)
        #: what the handler of an event returns; those that are not here have finished at once
        self.plans: dict[str, Plan] = {}

    def connected(self, connection: Connection) -> Deferred[None]:
        self.log.append("connected")
        opening: Deferred[None] = self.opening(connection)
        return opening

    def dispatch(self, connection: Connection, event: Event) -> Deferred[None] | None:
        self.log.append(event.name)
        plan = self.plans.get(event.name)
        pending: Deferred[None] | None = plan and plan(connection, event)
        return pending

    def disconnected(self, connection: Connection, reason: str) -> Deferred[None]:
        self.log.append(f"disconnected: {reason}")
        closing: Deferred[None] = self.closing(connection)
        return closing

    def wait_for(self, *names: str) -> Deferred[None]:
        """The handlers of these events wait for what is returned."""
        waiting: Deferred[None] = Deferred()
        for name in names:
            self.plans[name] = lambda connection, event: waiting
        return waiting


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.start()

    def start(self, **limits: Any) -> None:
        self.script = Script()
        self.core = Core(self.script, **limits)
        self.counters = self.core.counters

    def opening(self) -> tuple[Client, Deferred[None]]:
        """A client whose `on_connect` still runs."""
        waiting: Deferred[None] = Deferred()
        self.script.opening = lambda connection: waiting
        return self.core.connect(), waiting

    def connect(self) -> Client:
        """A client that was accepted."""
        client = self.core.connect()
        self.script.log.clear()
        return client

    def finish(self, *clients: Client) -> None:
        """Everybody leaves; nothing may stay behind."""
        for client in clients:
            client.leave()
        self.assertEqual(self.core.leftovers(), [])


class AttributesTests(Base):
    def test_a_connection_knows_who_it_is(self) -> None:
        client = self.core.connect(make_principal("alice", expires_at=50.0))
        connection = client.connection
        self.assertEqual((connection.user.id, connection.namespace, connection.expires_at), ("alice", "/", 50.0))
        self.assertEqual(connection.handshake.path, "/ws")
        self.assertEqual(connection.rooms, set())
        self.finish(client)

    def test_ids_are_random_and_of_20_characters(self) -> None:
        ids = {self.core.prepare().connection.id for _ in range(100)}
        self.assertEqual(len(ids), 100)
        for id in ids:
            self.assertRegex(id, r"\A[A-Za-z0-9_-]{20}\Z")

    def test_the_applications_notes_are_kept(self) -> None:
        connection = self.core.prepare().connection
        connection.data["name"] = "x"
        self.assertEqual(connection.data, {"name": "x"})

    def test_nothing_else_can_be_put_on_it(self) -> None:
        self.assertRaises(AttributeError, setattr, self.core.prepare().connection, "nickname", "x")

    def test_its_repr_names_it_its_user_and_its_state(self) -> None:
        client, _ = self.opening()
        connection = client.connection
        for state, step in (
            ("opening", lambda: None),
            ("closing", lambda: connection.disconnect()),
            ("ended", client.leave),
        ):
            step()
            self.assertEqual(repr(connection), f"<Connection {connection.id} of alice {state}>")


class OpeningTests(Base):
    def test_it_is_registered_while_on_connect_runs(self) -> None:
        client, waiting = self.opening()
        self.assertEqual(self.core.registry.select(Target()), [client.connection])
        self.assertEqual((self.core.hub.running, client.connection.is_open), (1, True))
        waiting.callback(None)
        self.assertEqual(self.core.hub.running, 0)
        self.finish(client)
        self.assertEqual(self.script.log, ["connected", "disconnected: transport close"])

    def test_what_is_sent_is_held_back_and_arrives_in_order(self) -> None:
        client, waiting = self.opening()
        client.connection.emit("first", 1)
        self.core.registry.deliver(Broadcast("second", (2,), Target()))
        client.connection.send("third")
        self.assertEqual(client.link.writes, [])
        waiting.callback(None)
        client.connection.send("fourth")
        expected = [b'{"event":"first","data":1}', b'{"event":"second","data":2}', b"third", b"fourth"]
        self.assertEqual(client.link.writes, expected)
        self.finish(client)

    def test_events_wait_and_are_handled_in_order(self) -> None:
        client, waiting = self.opening()
        for name in ("a", "b", "c"):
            client.send(name)
        self.assertEqual(self.script.log, ["connected"])
        waiting.callback(None)
        self.assertEqual(self.script.log, ["connected", "a", "b", "c"])
        self.finish(client)

    def test_a_refusal_closes_with_its_message_and_drops_everything(self) -> None:
        client, waiting = self.opening()
        client.connection.emit("secret", 1)
        client.send("a")
        client.send("b")
        client.connection.join("room")
        waiting.errback(ClientError("banned", "You are banned."))
        client.send("c")
        self.assertEqual(client.link.closes, [(1008, "You are banned.")])
        self.assertEqual(client.link.writes, [])
        self.assertEqual(self.core.registry.select(Target()), [])
        self.finish(client)
        self.assertEqual(self.script.log, ["connected"])
        self.assertEqual(self.counters.get("connections_refused", "application"), 1)
        self.assertEqual(self.counters.get("events_dropped", "closing"), 3)

    def test_a_long_refusal_is_cut_to_what_a_close_frame_holds(self) -> None:
        client, waiting = self.opening()
        waiting.errback(ClientError("banned", "é" * 100))
        self.assertEqual(client.link.closes, [(1008, "é" * 61)])
        self.finish(client)

    def test_a_fault_of_the_handler_is_an_internal_error_and_no_reason_to_log_in_again(self) -> None:
        client, waiting = self.opening()
        waiting.errback(ClientError(INTERNAL_ERROR, "The server could not handle this."))
        self.assertEqual(client.link.closes, [(1011, "Internal error")])
        self.finish(client)
        self.assertEqual(self.script.log, ["connected"])

    def test_a_fault_of_ours_is_logged_and_closes_1011(self) -> None:
        client, waiting = self.opening()
        waiting.errback(ZeroDivisionError())
        self.assertEqual(client.link.closes, [(1011, "Internal error")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.counters.get("internal_errors"), 1)
        self.finish(client)
        self.assertEqual(self.script.log, ["connected"])

    def test_a_client_that_left_is_served_what_it_sent_and_then_said_goodbye_to(self) -> None:
        client, waiting = self.opening()
        client.send("a")
        client.leave()
        self.assertEqual(self.core.registry.select(Target()), [])
        self.assertEqual(self.script.log, ["connected"])
        waiting.callback(None)
        self.assertEqual(self.script.log, ["connected", "a", "disconnected: transport close"])
        self.assertEqual((client.link.writes, client.link.closes), ([], []))
        self.finish()

    def test_a_client_that_left_and_is_refused_then_was_never_connected(self) -> None:
        client, waiting = self.opening()
        client.send("a")
        client.leave()
        waiting.errback(ClientError("banned"))
        self.assertEqual(self.script.log, ["connected"])
        self.assertEqual(client.link.closes, [])
        self.assertEqual(self.counters.get("events_dropped", "closing"), 1)
        self.finish()

    def test_on_connect_may_disconnect_and_then_succeed(self) -> None:
        client, waiting = self.opening()
        client.connection.emit("never")
        client.connection.disconnect(4001, "no")
        self.assertEqual(client.link.closes, [(4001, "no")])
        waiting.callback(None)
        client.send("a")
        self.assertEqual(client.link.writes, [])
        self.finish(client)
        self.assertEqual(self.script.log, ["connected", "disconnected: no"])

    def test_on_connect_may_disconnect_and_then_refuse(self) -> None:
        client, waiting = self.opening()
        client.connection.disconnect(4001, "no")
        waiting.errback(ClientError("banned"))
        self.assertEqual(client.link.closes, [(4001, "no")])
        self.finish(client)
        self.assertEqual(self.script.log, ["connected"])

    def test_a_session_may_expire_meanwhile(self) -> None:
        client, waiting = self.opening()
        self.core.clock.pump([5.0] * 721)
        self.assertEqual(client.link.closes, [(1008, "Authentication expired")])
        waiting.callback(None)
        self.finish(client)

    def test_too_much_held_back_closes_the_connection(self) -> None:
        self.start(held_limit=100)
        client, waiting = self.opening()
        for _ in range(10):
            client.connection.send("x" * 10)
        self.assertEqual(client.link.closes, [])
        client.connection.send("x")
        client.connection.send("x")
        self.assertEqual(client.link.closes, [(4408, "Client reads too slowly")])
        self.assertEqual(self.counters.get("slow_consumers", "on_connect"), 1)
        waiting.callback(None)
        self.assertEqual(client.link.writes, [])
        self.finish(client)

    def test_what_was_held_back_when_it_closes_is_counted(self) -> None:
        for count, end in enumerate((lambda one: one.disconnect(4000), lambda one: one.ended("transport close")), 1):
            client, waiting = self.opening()
            client.connection.emit("news", 1)
            client.connection.emit("news", 2)
            end(client.connection)
            self.assertEqual(self.counters.get("messages_dropped", "closed"), 2 * count)
            waiting.callback(None)
            self.finish(client)

    def test_a_volatile_event_is_held_back_only_if_nothing_else_is(self) -> None:
        client, waiting = self.opening()
        client.connection.emit("tick", 1, volatile=True)
        client.connection.emit("tick", 2, volatile=True)
        client.connection.emit("news", 3)
        self.assertEqual(self.counters.get("messages_dropped", "volatile"), 1)
        waiting.callback(None)
        self.assertEqual([message["data"] for message in client.link.messages], [1, 3])
        self.finish(client)

    def test_a_link_that_fails_while_what_was_held_is_sent_ends_this_connection_only(self) -> None:
        client, waiting = self.opening()
        client.connection.emit("first")
        client.send("a")
        self.patch(client.link, "write", lambda data: 1 / 0)
        waiting.callback(None)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(client.link.closes, [(1011, "Internal error")])
        self.finish(client)
        self.assertEqual(self.script.log, ["connected", "disconnected: Internal error"])


class OrderTests(Base):
    def test_a_plain_handler_runs_at_once(self) -> None:
        client = self.connect()
        client.send("a")
        self.assertEqual((self.script.log, self.core.hub.running), (["a"], 0))
        self.finish(client)

    def test_an_event_waits_for_the_handler_of_the_one_before(self) -> None:
        client = self.connect()
        first, second = self.script.wait_for("a"), self.script.wait_for("b")
        for name in ("a", "b", "c"):
            client.send(name)
        self.assertEqual((self.script.log, self.core.hub.running), (["a"], 1))
        first.callback(None)
        self.assertEqual((self.script.log, self.core.hub.running), (["a", "b"], 1))
        client.send("d")
        second.callback(None)
        self.assertEqual((self.script.log, self.core.hub.running), (["a", "b", "c", "d"], 0))
        self.finish(client)

    def test_different_connections_do_not_wait_for_each_other(self) -> None:
        slow, quick = self.connect(), self.connect()
        waiting = self.script.wait_for("a")
        slow.send("a")
        quick.send("b")
        self.assertEqual(self.script.log, ["a", "b"])
        waiting.callback(None)
        self.finish(slow, quick)

    def test_thousands_of_waiting_events_do_not_nest(self) -> None:
        finished: dict[str, Plan] = {
            "plain": lambda connection, event: None,
            "finished": lambda connection, event: succeed(None),
        }
        for name, plan in finished.items():
            self.start()
            client = self.connect()
            waiting = self.script.wait_for("slow")
            self.script.plans[name] = plan
            client.send("slow")
            for _ in range(10_000):
                client.send(name)
            waiting.callback(None)
            self.assertEqual(self.script.log, ["slow"] + [name] * 10_000)
            self.finish(client)

    def test_an_event_that_arrives_while_a_plain_handler_runs_waits_for_its_end(self) -> None:
        client = self.connect()

        def nested(connection: Connection, event: Event) -> None:
            client.send("inner")
            self.script.log.append("end of outer")

        self.script.plans["outer"] = nested
        client.send("outer")
        self.assertEqual(self.script.log, ["outer", "end of outer", "inner"])
        self.finish(client)

    def test_reading_pauses_at_the_bound_and_resumes_at_half_of_it(self) -> None:
        self.start(inbox_limit=4)
        client = self.connect()
        waits = [self.script.wait_for(str(number)) for number in range(6)]
        for number in range(4):
            client.send(str(number))
        self.assertEqual(client.link.reading, [])
        client.send("4")
        self.assertEqual(client.link.reading, ["pause"])
        client.send("5")  # it was read before the pause
        for waiting in waits[:3]:
            waiting.callback(None)
        self.assertEqual(client.link.reading, ["pause"])
        waits[3].callback(None)
        self.assertEqual(client.link.reading, ["pause", "resume"])
        waits[4].callback(None)
        waits[5].callback(None)
        self.assertEqual(self.script.log, list("012345"))
        self.assertEqual(self.counters.get("reading_paused", "inbox"), 1)
        self.finish(client)

    def test_a_bound_of_one_pauses_and_resumes_too(self) -> None:
        self.start(inbox_limit=1)
        client = self.connect()
        waiting = self.script.wait_for("a")
        client.send("a")
        client.send("b")
        self.assertEqual(client.link.reading, ["pause"])
        waiting.callback(None)
        self.assertEqual(client.link.reading, ["pause", "resume"])
        self.finish(client)

    def test_large_events_pause_reading_before_there_are_many(self) -> None:
        self.start(inbox_bytes=1000)
        client = self.connect()
        waits = [self.script.wait_for(str(number)) for number in range(5)]
        for number, size in enumerate((5000, 400, 500, 200)):
            client.connection.receive(Event(str(number), ()), size)
            self.assertEqual(client.link.reading, ["pause"] if number == 3 else [])
        waits[0].callback(None)
        waits[1].callback(None)
        self.assertEqual(client.link.reading, ["pause"])
        waits[2].callback(None)
        self.assertEqual(client.link.reading, ["pause", "resume"])
        waits[3].callback(None)
        client.connection.receive(Event("4", ()), 10**6)
        client.connection.receive(Event("5", ()), 10**6)
        waits[4].callback(None)
        self.assertEqual(client.link.reading, ["pause", "resume"] * 2)
        self.assertEqual(self.script.log, list("012345"))
        self.finish(client)

    def test_a_pause_ends_in_time_by_closing(self) -> None:
        self.start(inbox_limit=1, pause_timeout=10)
        client = self.connect()
        waiting = self.script.wait_for("a")
        client.send("a")
        client.send("b")
        self.core.clock.advance(9)
        self.assertEqual(client.link.closes, [])
        self.core.clock.advance(1)
        self.assertEqual(client.link.closes, [(1013, "Messages wait too long")])
        self.assertEqual(self.counters.get("pauses_timed_out"), 1)
        client.leave()
        waiting.callback(None)
        self.assertEqual(self.script.log, ["a", "disconnected: Messages wait too long"])
        self.finish()

    def test_each_pause_has_the_whole_time(self) -> None:
        self.start(inbox_limit=1, pause_timeout=10)
        client = self.connect()
        for name in ("a", "b", "c"):
            waiting = self.script.wait_for(name)
            client.send(name)
            client.send("next")
            self.core.clock.advance(9)
            waiting.callback(None)
        self.assertEqual(client.link.closes, [])
        self.finish(client)

    def test_an_answer_does_not_wait_for_handlers(self) -> None:
        self.start(inbox_limit=1)
        client = self.connect()
        answers: list[Any] = []

        def asks(connection: Connection, event: Event) -> Deferred[None]:
            return connection.call("question").addCallback(answers.append)

        self.script.plans["ask"] = asks
        client.send("ask")
        client.send("later")
        client.acknowledge(1, "yes")
        self.assertEqual((answers, self.script.log), (["yes"], ["ask", "later"]))
        self.finish(client)


class EndTests(Base):
    def test_the_end_leaves_the_tables_and_runs_on_disconnect_once(self) -> None:
        client = self.connect()
        client.connection.join("room")
        client.leave("transport error")
        client.leave("again")
        self.assertEqual(self.script.log, ["disconnected: transport error"])
        self.assertEqual(client.connection.rooms, {"room"})
        self.finish()

    def test_what_the_client_sent_before_it_left_is_still_handled(self) -> None:
        self.start(inbox_limit=2)
        client = self.connect()
        waiting = self.script.wait_for("a")
        for name in ("a", "b", "c"):
            client.send(name)
        client.leave()
        self.assertEqual(self.script.log, ["a"])
        waiting.callback(None)
        self.assertEqual(self.script.log, ["a", "b", "c", "disconnected: transport close"])
        self.assertEqual(client.link.reading, ["pause"], "a link that is gone is left alone")
        self.finish()

    def test_what_is_sent_to_it_then_is_dropped(self) -> None:
        client = self.connect()
        waiting = self.script.wait_for("a")
        client.send("a")
        client.leave()
        client.connection.emit("news")
        client.connection.emit("tick", volatile=True)
        self.assertEqual(client.link.writes, [])
        self.assertEqual(self.counters.get("messages_dropped", "closed"), 2)
        waiting.callback(None)
        self.finish()

    def test_an_event_after_the_end_is_dropped(self) -> None:
        client = self.connect()
        client.leave()
        client.send("a")
        self.assertEqual(self.script.log, ["disconnected: transport close"])
        self.assertEqual(self.counters.get("events_dropped", "closing"), 1)
        self.finish()

    def test_an_end_within_a_plain_handler_waits_for_the_handlers_end(self) -> None:
        client = self.connect()

        def ends(connection: Connection, event: Event) -> None:
            client.leave()
            self.script.log.append("end of a")

        self.script.plans["a"] = ends
        client.send("a")
        self.assertEqual(self.script.log, ["a", "end of a", "disconnected: transport close"])
        self.finish()

    def test_a_stop_waits_for_on_disconnect(self) -> None:
        client = self.connect()
        waiting: Deferred[None] = Deferred()
        self.script.closing = lambda connection: waiting
        client.leave()
        self.assertEqual(self.core.hub.running, 1)
        waiting.callback(None)
        self.finish()

    def test_on_disconnect_that_fails_is_logged(self) -> None:
        faults: list[Callable[[Connection], Any]] = [
            lambda connection: fail(ZeroDivisionError()),
            lambda connection: 1 / 0,
        ]
        for closing in faults:
            self.start()
            client = self.connect()
            self.script.closing = closing
            waiting = self.script.wait_for("a")
            client.send("a")
            client.leave()
            waiting.callback(None)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(self.script.log, ["a", "disconnected: transport close"])
            self.finish()

    def test_on_disconnect_may_disconnect_emit_and_join_and_nothing_happens(self) -> None:
        def busy(connection: Connection) -> Deferred[None]:
            connection.disconnect()
            connection.emit("news")
            connection.join("room")
            connection.renew(99.0)
            connection.expire()
            return connection.call("question").addErrback(lambda failure: failure.trap(ConnectionClosed) and None)

        client = self.connect()
        self.script.closing = busy
        client.leave()
        self.assertEqual((client.link.writes, client.link.closes), ([], []))
        self.assertEqual(self.counters.get("connections_expired"), 0)
        self.finish()


class DisconnectTests(Base):
    def test_it_closes_once_and_the_reason_is_on_disconnects_too(self) -> None:
        client = self.connect()
        client.connection.disconnect(4001, "enough")
        client.connection.disconnect(4002, "again")
        self.assertEqual(client.link.closes, [(4001, "enough")])
        self.assertEqual(self.script.log, [])
        self.finish(client)
        self.assertEqual(self.script.log, ["disconnected: enough"])

    def test_by_default_the_client_stays_away_and_the_reason_is_ours(self) -> None:
        client = self.connect()
        client.connection.disconnect()
        self.assertEqual(client.link.closes, [(1000, "")])
        self.finish(client)
        self.assertEqual(self.script.log, ["disconnected: server disconnect"])

    def test_nothing_more_is_sent_handled_joined_or_asked(self) -> None:
        client = self.connect()
        connection = client.connection
        connection.disconnect()
        connection.emit("news")
        connection.send("news")
        connection.join("room")
        client.send("a")
        self.failureResultOf(connection.call("question"), ConnectionClosed)
        self.assertEqual((client.link.writes, self.script.log, connection.is_open), ([], [], False))
        self.assertEqual((connection.rooms, self.core.registry.select(Target())), (set(), []))
        self.assertEqual(self.counters.get("events_dropped", "closing"), 1)
        self.assertEqual(self.counters.get("messages_dropped", "closed"), 2)
        self.finish(client)

    def test_a_handler_may_do_it_and_what_waits_is_dropped(self) -> None:
        client = self.connect()
        waiting = self.script.wait_for("a")
        for name in ("a", "b", "c"):
            client.send(name)
        client.connection.disconnect()
        waiting.callback(None)
        self.assertEqual(self.script.log, ["a"])
        self.assertEqual(self.counters.get("events_dropped", "closing"), 2)
        self.finish(client)
        self.assertEqual(self.script.log, ["a", "disconnected: server disconnect"])

    def test_a_plain_handler_may_do_it_among_waiting_events(self) -> None:
        client = self.connect()
        waiting = self.script.wait_for("a")
        self.script.plans["b"] = lambda connection, event: connection.disconnect()
        for name in ("a", "b", "c", "d"):
            client.send(name)
        waiting.callback(None)
        self.assertEqual(self.script.log, ["a", "b"])
        self.assertEqual(self.counters.get("events_dropped", "closing"), 2)
        self.finish(client)

    def test_a_transport_that_ends_at_once_is_understood(self) -> None:
        client = self.connect()
        self.patch(client.link, "close", lambda code, reason: client.leave())
        self.script.plans["a"] = lambda connection, event: connection.disconnect(4001, "bye")
        client.send("a")
        self.assertEqual(self.script.log, ["a", "disconnected: bye"])
        self.finish()

    def test_a_code_that_cannot_be_sent_changes_nothing(self) -> None:
        client = self.connect()
        for code in (0, 999, 1005, 1006, 2000, 5000):
            self.assertRaises(ValueError, client.connection.disconnect, code)
        self.assertTrue(client.connection.is_open)
        self.assertEqual(client.link.closes, [])
        self.finish(client)

    def test_a_long_reason_is_cut_for_the_client_only(self) -> None:
        client = self.connect()
        client.connection.disconnect(4001, "é" * 100)
        self.assertEqual(client.link.closes, [(4001, "é" * 61)])
        self.finish(client)
        self.assertEqual(self.script.log, ["disconnected: " + "é" * 100])


class FaultTests(Base):
    def test_a_dispatch_that_raises_ends_this_connection_only(self) -> None:
        client, other = self.connect(), self.connect()
        self.script.plans["a"] = lambda connection, event: 1 / 0
        client.send("a")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((client.link.closes, other.link.closes), ([(1011, "Internal error")], []))
        client.send("b")
        other.send("c")
        self.assertEqual(self.script.log, ["a", "c"])
        self.finish(client, other)
        self.assertEqual(self.script.log.count("disconnected: Internal error"), 1)

    def test_a_dispatch_that_fails_later_drops_what_waits(self) -> None:
        client = self.connect()
        waiting = self.script.wait_for("a")
        client.send("a")
        client.send("b")
        waiting.errback(Failure(CancelledError()))
        self.assertEqual(len(self.flushLoggedErrors(CancelledError)), 1)
        self.assertEqual(self.script.log, ["a"])
        self.assertEqual(self.counters.get("events_dropped", "closing"), 1)
        self.finish(client)
        self.assertEqual(self.script.log, ["a", "disconnected: Internal error"])

    def test_a_fault_after_the_end_still_leads_to_on_disconnect(self) -> None:
        faults: list[Plan] = [lambda connection, event: 1 / 0, lambda connection, event: fail(ZeroDivisionError())]
        for failing in faults:
            self.start()
            client = self.connect()
            waiting = self.script.wait_for("a")
            self.script.plans["b"] = failing
            for name in ("a", "b", "c"):
                client.send(name)
            client.leave()
            waiting.callback(None)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.assertEqual(self.script.log, ["a", "b", "disconnected: transport close"])
            self.finish()

    def test_a_wait_that_fails_after_the_end_leads_to_on_disconnect_too(self) -> None:
        client = self.connect()
        waiting = self.script.wait_for("a")
        client.send("a")
        client.send("b")
        client.leave()
        waiting.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.script.log, ["a", "disconnected: transport close"])
        self.finish()

    def test_a_link_that_cannot_resume_ends_this_connection_only(self) -> None:
        self.start(inbox_limit=1)
        client = self.connect()
        self.patch(client.link, "resume_reading", lambda: 1 / 0)
        waiting = self.script.wait_for("a")
        client.send("a")
        client.send("b")
        waiting.callback(None)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(client.link.closes, [(1011, "Internal error")])
        self.finish(client)


class SendingTests(Base):
    def test_events_and_payloads_go_to_the_link(self) -> None:
        client = self.connect()
        client.connection.emit("message", {"a": 1})
        client.connection.emit("news", 1, 2)
        client.connection.send("text")
        client.connection.send(b"\x00")
        self.assertEqual(client.link.writes, [b'{"a":1}', b'{"event":"news","data":[1,2]}', b"text", b"b\x00"])
        self.finish(client)

    def test_what_is_no_json_raises_and_nothing_is_sent(self) -> None:
        client = self.connect()
        connection = client.connection
        self.assertRaises(TypeError, connection.emit, "news", object())
        self.assertRaises(TypeError, connection.send, 5)
        self.assertRaises(TypeError, connection.call, "question", object())
        self.assertEqual(client.link.writes, [])
        self.finish(client)

    def test_a_volatile_event_is_dropped_for_a_client_that_is_behind(self) -> None:
        client = self.connect()
        client.link.behind = True
        client.connection.emit("tick", 1, volatile=True)
        client.connection.emit("news", 2)
        client.link.behind = False
        client.connection.emit("tick", 3, volatile=True)
        self.assertEqual([message["data"] for message in client.link.messages], [2, 3])
        self.assertEqual(self.counters.get("messages_dropped", "volatile"), 1)
        self.finish(client)

    def test_rooms_are_entered_and_left(self) -> None:
        client = self.connect()
        client.connection.join("room")
        self.assertEqual(self.core.registry.select(Target(rooms=frozenset({"room"}))), [client.connection])
        client.connection.leave("room")
        client.connection.leave("another")
        self.assertEqual(self.core.registry.select(Target(rooms=frozenset({"room"}))), [])
        self.finish(client)


class BroadcastTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.one, self.other, self.third = (self.connect() for _ in range(3))
        self.elsewhere = self.core.connect(namespace="/chat")
        for client in (self.one, self.other, self.elsewhere):
            client.connection.join("red")
        self.third.connection.join("blue")

    def reached(self, *args: Any, **names: Any) -> list[int]:
        """How many events each is sent."""
        clients = (self.one, self.other, self.third, self.elsewhere)
        for client in clients:
            client.link.writes.clear()
        self.one.connection.broadcast("news", *args, **names)
        return [len(client.link.writes) for client in clients]

    def test_everybody_else_of_the_namespace_gets_it(self) -> None:
        self.assertEqual(self.reached(1, 2), [0, 1, 1, 0])
        self.assertEqual(self.third.link.messages, [{"event": "news", "data": [1, 2]}])

    def test_everybody_else_in_a_room_gets_it_once(self) -> None:
        self.assertEqual(self.reached(room="red"), [0, 1, 0, 0])
        self.assertEqual(self.reached(room=["red", "blue"]), [0, 1, 1, 0])
        self.assertEqual(self.reached(room=iter(["blue"])), [0, 0, 1, 0])
        self.assertEqual(self.reached(room="green"), [0, 0, 0, 0])
        self.assertEqual(self.reached(room=self.one.connection.id), [0, 0, 0, 0])

    def test_an_empty_list_of_rooms_means_nobody(self) -> None:
        for nobody in ([], (), set(), iter(())):
            self.assertEqual(self.reached(room=nobody), [0, 0, 0, 0])

    def test_a_volatile_one_passes_by_who_is_behind(self) -> None:
        self.other.link.behind = True
        self.assertEqual(self.reached(volatile=True), [0, 0, 1, 0])

    def test_what_is_no_json_reaches_nobody(self) -> None:
        self.assertRaises(TypeError, self.reached, object())
        self.assertEqual([client.link.writes for client in (self.other, self.third)], [[], []])


class TransportChangeTests(Base):
    """A Socket.IO client moves from long-polling to a WebSocket."""

    def setUp(self) -> None:
        super().setUp()
        self.wires = Wires()
        self.waiting: Deferred[None] = Deferred()
        self.script.opening = lambda connection: self.waiting
        self.client = self.core.connect(wire=self.wires.get("/", None))

    def reframe(self) -> None:
        self.client.connection.reframe(self.wires.get("/", PLAIN), lambda data: to_frames(data, PLAIN))

    def test_what_is_held_back_changes_with_it(self) -> None:
        self.client.connection.emit("first", b"\x00")
        self.reframe()
        self.client.connection.emit("second")
        self.waiting.callback(None)
        text = frame(b'451-["first",{"_placeholder":true,"num":0}]')
        self.assertEqual(self.client.link.writes, [text + frame(b"\x00", BINARY), frame(b'42["second"]')])
        self.finish(self.client)

    def test_where_nothing_is_held_back_only_what_follows_changes(self) -> None:
        self.waiting.callback(None)
        self.client.connection.emit("first")
        self.reframe()
        self.client.connection.emit("second")
        self.assertEqual(self.client.link.writes, [b'42["first"]', frame(b'42["second"]')])
        self.finish(self.client)


class RecoveryTests(Base):
    def setUp(self) -> None:
        self.core = Core(recovery=True)
        self.script, self.counters = Script(), self.core.counters
        self.core.hub.handlers = self.script
        assert self.core.hub.history is not None
        self.history = self.core.hub.history
        self.wire = Wires().get("/", None)

    def test_one_that_comes_back_has_its_id_rooms_and_notes(self) -> None:
        notes = {"name": "x"}
        saved = Saved("the-id", "P", "/", "alice", "session-alice", frozenset({"red"}), notes, position=0)
        client = self.core.connect(saved=saved)
        connection = client.connection
        self.assertEqual((connection.id, connection.recovered, connection.rooms), ("the-id", True, {"red"}))
        self.assertIs(connection.data, notes)
        self.assertIs(connection.saved_data, notes)
        self.assertEqual(self.core.registry.select(Target(rooms=frozenset({"red"}))), [connection])
        connection.leave("red")
        self.assertEqual(saved.rooms, {"red"})
        self.finish(client)

    def test_a_new_one_is_none_that_came_back(self) -> None:
        client = self.core.connect()
        self.assertEqual((client.connection.recovered, client.connection.saved_data), (False, {}))
        self.finish(client)

    def test_it_is_accepted_from_the_applications_yes_to_its_goodbye(self) -> None:
        client, waiting = self.opening()
        self.assertFalse(client.connection.is_accepted)
        waiting.callback(None)
        self.assertTrue(client.connection.is_accepted)
        self.finish(client)
        self.assertFalse(client.connection.is_accepted)

    def test_what_one_client_is_sent_can_be_recovered(self) -> None:
        client, other = self.core.connect(wire=self.wire), self.core.connect(wire=self.wire)
        client.connection.emit("news", 1)
        client.connection.emit("tick", volatile=True)
        offset = self.history.offset(1)
        self.assertEqual(client.link.writes, [f'42["news",1,"{offset}"]'.encode(), f'42["tick","{offset}"]'.encode()])
        self.assertEqual((other.link.writes, len(self.history)), ([], 1))
        self.finish(client, other)

    def test_a_question_cannot_be_recovered_and_has_no_offset(self) -> None:
        client = self.core.connect(wire=self.wire)
        client.connection.call("question").addErrback(lambda _: None)
        self.assertEqual((client.link.writes, len(self.history)), ([b'421["question"]'], 0))
        self.finish(client)

    def test_a_payload_has_an_offset_too_lest_a_text_be_taken_for_one(self) -> None:
        client, raw = self.core.connect(wire=self.wire), self.core.connect()
        for one in (client, raw):
            one.connection.send("text")
        self.assertEqual(client.link.writes, [f'42["message","text","{self.history.offset(1)}"]'.encode()])
        self.assertEqual((raw.link.writes, len(self.history)), ([b"text"], 1))
        self.assertRaises(TypeError, client.connection.send, 5)
        self.finish(client, raw)

    def test_what_a_raw_client_alone_is_sent_is_not_kept(self) -> None:
        client = self.core.connect()
        client.connection.emit("news", 1)
        self.assertEqual((client.link.messages, len(self.history)), ([{"event": "news", "data": 1}], 0))
        self.finish(client)

    def test_what_all_are_sent_is_kept(self) -> None:
        client, raw = self.core.connect(wire=self.wire), self.core.connect()
        raw.connection.broadcast("news", 1)
        self.assertEqual(len(self.history), 1)
        self.assertEqual(client.link.writes, [f'42["news",1,"{self.history.offset(1)}"]'.encode()])
        self.finish(client, raw)


class CallTests(Base):
    def test_no_two_calls_of_the_service_have_the_same_id(self) -> None:
        one, other = self.connect(), self.connect()
        for client in (one, other, one):
            client.connection.call("question").addErrback(lambda _: None)
        ids = [message["id"] for client in (one, other) for message in client.link.messages]
        self.assertEqual(ids, [1, 3, 2])
        self.finish(one, other)

    def test_who_sends_the_question_may_be_another(self) -> None:
        client = self.connect()
        answer = client.connection.expect(70)
        self.assertEqual(client.link.writes, [])
        client.acknowledge(1, "invented")
        self.assertNoResult(answer)
        client.acknowledge(70, "yes")
        self.assertEqual(self.successResultOf(answer), "yes")
        self.finish(client)

    def test_the_answer_arrives(self) -> None:
        client = self.connect()
        answer = client.connection.call("question", {"a": 1})
        self.assertEqual(client.link.messages, [{"event": "question", "data": {"a": 1}, "id": 1}])
        client.acknowledge(1, "yes")
        self.assertEqual(self.successResultOf(answer), "yes")
        self.finish(client)

    def test_a_refusal_arrives(self) -> None:
        client = self.connect()
        answer = client.connection.call("question")
        client.acknowledge(1, error={"code": "busy"})
        self.assertEqual(self.failureResultOf(answer, CallRefused).value.error, {"code": "busy"})
        self.finish(client)

    def test_it_times_out_after_the_services_time_or_its_own(self) -> None:
        self.start(call_timeout=2.0)
        client = self.connect()
        default, own, none = (
            client.connection.call("a"),
            client.connection.call("b", timeout=3),
            client.connection.call("c", timeout=0),
        )
        self.core.clock.advance(0)
        self.failureResultOf(none, CallTimeout)
        self.core.clock.advance(2)
        self.failureResultOf(default, CallTimeout)
        self.assertNoResult(own)
        self.core.clock.advance(1)
        self.failureResultOf(own, CallTimeout)
        client.acknowledge(1, "too late")
        self.assertEqual(self.counters.get("acks_ignored"), 1)
        self.finish(client)

    def test_an_answer_that_nobody_asked_for_is_ignored(self) -> None:
        client = self.connect()
        client.acknowledge(1)
        client.connection.call("a").addErrback(lambda _: None)
        client.acknowledge(2)
        self.assertEqual(self.counters.get("acks_ignored"), 2)
        self.finish(client)

    def test_it_can_be_cancelled(self) -> None:
        client = self.connect()
        answer = client.connection.call("a")
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.finish(client)

    def test_the_end_of_the_connection_fails_it(self) -> None:
        client = self.connect()
        answers = [client.connection.call("a"), client.connection.call("b")]
        client.leave()
        for answer in answers:
            self.failureResultOf(answer, ConnectionClosed)
        self.failureResultOf(client.connection.call("c"), ConnectionClosed)
        self.finish()

    def test_a_handler_that_waits_for_an_answer_goes_on_when_the_client_leaves(self) -> None:
        client = self.connect()

        def asks(connection: Connection, event: Event) -> Deferred[Any]:
            return connection.call("b").addErrback(gives_up)

        def gives_up(failure: Failure) -> None:
            self.script.log.append(type(failure.value).__name__)

        self.script.plans["a"] = asks
        client.send("a")
        client.leave()
        self.assertEqual(self.script.log, ["a", "ConnectionClosed", "disconnected: transport close"])
        self.finish()

    def test_an_answer_while_the_connection_is_closing_counts_still(self) -> None:
        client = self.connect()
        answer = client.connection.call("a")
        client.connection.disconnect()
        client.acknowledge(1, "yes")
        self.assertEqual(self.successResultOf(answer), "yes")
        self.finish(client)

    def test_one_from_on_connect_is_asked_once_that_has_finished(self) -> None:
        client, waiting = self.opening()
        answer = client.connection.call("a")
        waiting.callback(None)
        client.acknowledge(1, "yes")
        self.assertEqual(self.successResultOf(answer), "yes")
        self.finish(client)


class ExpiryTests(Base):
    def test_an_expired_session_closes_the_connection(self) -> None:
        client = self.core.connect(make_principal(expires_at=10.0))
        self.core.clock.pump([1.0] * 9)
        self.assertEqual(client.link.closes, [])
        self.core.clock.pump([1.0] * 2)
        self.assertEqual(client.link.closes, [(1008, "Authentication expired")])
        self.assertEqual(self.counters.get("connections_expired"), 1)
        self.finish(client)

    def test_a_renewed_session_lives_on(self) -> None:
        client = self.core.connect(make_principal(expires_at=10.0))
        self.core.registry.renew(Renew("session-alice", "alice", 20.0))
        self.assertEqual(client.connection.expires_at, 20.0)
        self.core.clock.pump([1.0] * 15)
        self.assertEqual(client.link.closes, [])
        self.core.clock.pump([1.0] * 6)
        self.assertEqual(client.link.closes, [(1008, "Authentication expired")])
        self.finish(client)

    def test_a_connection_that_is_closing_neither_expires_nor_is_renewed(self) -> None:
        client = self.core.connect(make_principal(expires_at=10.0))
        client.connection.disconnect(4001)
        client.connection.renew(20.0)
        client.connection.expire()
        self.core.clock.pump([1.0] * 30)
        self.assertEqual(client.link.closes, [(4001, "")])
        self.assertEqual(self.counters.get("connections_expired"), 0)
        self.finish(client)


class StrictLink(FakeLink):
    """Is not to be touched once it was closed."""

    def write(self, data: bytes) -> None:
        assert not self.closes, "written to after its close"
        super().write(data)

    def resume_reading(self) -> None:
        assert not self.closes, "resumed after its close"
        super().resume_reading()


STEPS = [
    "sync",
    "finished",
    "slow",
    "slow",
    "fails",
    "resolve",
    "resolve",
    "break",
    "disconnect",
    "leave",
    "emit",
    "call",
]


class AnyLifeTests(SynchronousTestCase):
    @settings(deadline=None, max_examples=200)
    @given(
        st.sampled_from(["accept", "refuse", "fault"]), st.integers(0, 6), st.lists(st.sampled_from(STEPS), max_size=15)
    )
    def test_whatever_happens_it_is_served_in_order_and_ends_once(
        self, verdict: str, opened_after: int, steps: list[str]
    ) -> None:
        script = Script()
        core = Core(script, inbox_limit=3)
        waiting: list[Deferred[None]] = []
        sent = 0

        def plan(connection: Connection, event: Event) -> Deferred[None] | None:
            kind = event.args[0]
            if kind == "slow":
                waiting.append(Deferred())
                return waiting[-1]
            return {"sync": lambda: None, "finished": lambda: succeed(None), "fails": lambda: fail(KeyError())}[kind]()

        decision: Deferred[None] = Deferred()
        script.opening = lambda connection: decision
        client = core.prepare(link=StrictLink())
        client.connection.open()

        def decide() -> None:
            if verdict == "accept":
                decision.callback(None)
            else:
                decision.errback(ClientError("no") if verdict == "refuse" else KeyError())

        for number, step in enumerate(steps):
            if number == opened_after:
                decide()
            if step in ("resolve", "break"):
                if waiting:
                    waiting.pop(0).callback(None if step == "resolve" else Failure(KeyError()))
            elif step == "disconnect":
                client.connection.disconnect()
            elif step == "leave":
                client.leave()
            elif step == "emit":
                client.connection.emit("news")
            elif step == "call":
                client.connection.call("ask").addErrback(lambda _: None)
            else:
                script.plans[str(sent)] = plan
                client.send(str(sent), step)
                sent += 1
            self.assertLessEqual(core.hub.running, 1)
            self.assertLessEqual(len(waiting), 1)
            if client.connection.is_open and client.link.reading[-1:] == ["pause"]:
                self.assertTrue(waiting or not decision.called, "nothing would ever resume reading")
        if not decision.called:
            decide()
        while waiting:
            waiting.pop().callback(None)
        client.leave()
        while waiting:
            waiting.pop().callback(None)
        self.flushLoggedErrors(KeyError)
        events = [int(name) for name in script.log if name.isdigit()]
        self.assertEqual(events, sorted(set(events)))
        self.assertEqual(script.log[0], "connected")
        goodbyes = [name for name in script.log if name.startswith("disconnected")]
        self.assertEqual(len(goodbyes), 1 if verdict == "accept" else 0)
        self.assertEqual(script.log[-1:], goodbyes or ["connected"])
        self.assertLessEqual(len(client.link.closes), 1)
        self.assertEqual(core.leftovers(), [])


class LimitTests(SynchronousTestCase):
    """What one user and one connection may have."""

    def core(self, **limits: Any) -> Core:
        core = Core(limits=ConnectionLimits(**limits))
        core.hub.alarms = Alarms(core.counters, core.clock.seconds)
        return core

    def test_one_connection_too_many_of_a_user_is_refused(self) -> None:
        core = self.core(per_user=2)
        connected: list[str] = []
        core.app.on_connect(lambda connection: connected.append(connection.user.id))
        clients = [core.connect("alice") for _ in range(3)]
        other = core.connect("bob")
        self.assertEqual([client.link.closes for client in clients], [[], [], [(4429, "Too many connections")]])
        self.assertEqual((connected, other.link.closes), (["alice", "alice", "bob"], []))
        self.assertEqual(core.counters.get("limits_hit", "connections_per_user"), 1)
        clients[0].leave()
        self.assertEqual(core.connect("alice").link.closes, [])

    def test_a_refused_connection_leaves_nothing_behind(self) -> None:
        core = self.core(per_user=1)
        gone: list[str] = []
        core.app.on_disconnect(lambda connection, reason: gone.append(reason))
        first, second = core.connect("alice"), core.connect("alice")
        second.send("message")
        second.leave()
        first.leave()
        self.assertEqual((gone, core.leftovers()), (["transport close"], []))

    def test_or_the_oldest_one_is_replaced(self) -> None:
        core = self.core(per_user=2, when_full="replace")
        clients = [core.connect("alice") for _ in range(4)]
        closes = [client.link.closes for client in clients]
        replaced = [(4409, "Replaced by a newer connection")]
        self.assertEqual(closes, [replaced, replaced, [], []])

    def test_a_connection_is_in_so_many_rooms_only(self) -> None:
        core = self.core(rooms=2)
        connection = core.connect().connection
        for room in ("a", "b", "a"):
            connection.join(room)
        error = self.assertRaises(ClientError, connection.join, "c")
        self.assertEqual((error.code, connection.rooms), ("too_many_rooms", {"a", "b"}))
        other = core.connect("bob").connection
        core.app.join("d")
        self.assertEqual((connection.rooms, other.rooms), ({"a", "b"}, {"d"}))
        connection.leave("a")
        connection.join("c")
        self.assertEqual(core.counters.get("limits_hit", "rooms"), 2)

    def test_so_many_calls_wait_for_one_client_only(self) -> None:
        core = self.core(calls=2)
        client, other = core.connect(), core.connect("bob")
        waiting = [client.connection.call("ask") for _ in range(2)]
        self.failureResultOf(client.connection.call("ask"), TooManyCalls)
        self.assertEqual(len(client.link.writes), 2)
        answers = core.app.call("ask")
        other.acknowledge(core.hub.last_call_id, "yes")
        self.assertEqual(self.successResultOf(answers), ["yes"])
        client.acknowledge(1, "first")
        self.assertEqual(self.successResultOf(waiting[0]), "first")
        client.connection.call("ask").addErrback(lambda _: None)
        self.assertEqual(core.counters.get("limits_hit", "calls"), 2)
        for one in (client, other):
            one.leave()
        self.failureResultOf(waiting[1])


class Adapter:
    """A cluster that takes its time to count."""

    def __init__(self) -> None:
        self.answer: Deferred[bool] = Deferred()

    def admit(self, connection: Connection) -> Deferred[bool]:
        return self.answer


class AdmissionTests(SynchronousTestCase):
    """Whoever waits until it is known how many connections its user has elsewhere."""

    def setUp(self) -> None:
        self.core = Core()
        self.adapter = Adapter()
        self.core.hub.adapter = self.adapter  # type: ignore[assignment]
        self.client = self.core.connect("alice")

    def test_who_may_enter_is_served_then(self) -> None:
        self.assertEqual(len(self.core.registry), 0)
        self.adapter.answer.callback(True)
        self.assertIs(self.core.registry.get(self.client.connection.id), self.client.connection)

    def test_who_may_not_is_refused(self) -> None:
        self.adapter.answer.callback(False)
        self.assertEqual(len(self.core.registry), 0)
        self.assertEqual(self.core.counters.get("connections_refused", "user"), 1)
        self.assertEqual(self.core.hub.running, 0)

    def test_who_left_meanwhile_is_not_let_in(self) -> None:
        self.client.connection.ended("transport close")
        self.adapter.answer.callback(True)
        self.assertEqual((len(self.core.registry), self.core.hub.running), (0, 0))

    def test_who_signed_out_meanwhile_is_told_so(self) -> None:
        self.core.hub.is_revoked = lambda principal: principal.session == "session-alice"
        self.adapter.answer.callback(True)
        self.assertEqual(self.client.link.closes, [(1008, "Signed out")])
        self.assertEqual((len(self.core.registry), self.core.hub.running), (0, 0))
