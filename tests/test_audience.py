"""Tests of wsservice.audience: whom a namespace reaches; what `emit` of the main one does is in test_app.py."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Client, Core
from wsservice.audience import Audience
from wsservice.errors import AppNotServed, CallTimeout


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core(call_timeout=2.0)
        self.app = self.core.app
        self.chat = self.app.namespace("/chat")
        self.rooms = self.app.namespace(re.compile(r"/room-[0-9]+"))
        #: by the letters by which tests name them
        self.clients = {
            "a": self.core.connect("alice"),
            "b": self.core.connect("bob"),
            "A": self.core.connect("alice", namespace="/chat"),
            "B": self.core.connect("bob", namespace="/chat"),
            "C": self.core.connect("carol", namespace="/chat"),
            "1": self.core.connect("alice", namespace="/room-1"),
            "2": self.core.connect("bob", namespace="/room-2"),
        }
        for letter in "aAC12":
            self.clients[letter].connection.join("red")

    def who(self, connections: Any) -> str:
        """The letters of connections."""
        names = {client.connection: letter for letter, client in self.clients.items()}
        return "".join(sorted(names[connection] for connection in connections))

    def reached(self, act: Callable[[], Any]) -> str:
        """The letters of those who are sent something, once each."""
        for client in self.clients.values():
            client.link.writes.clear()
        act()
        self.assertEqual([letter for letter, client in self.clients.items() if len(client.link.writes) > 1], [])
        return "".join(sorted(letter for letter, client in self.clients.items() if client.link.writes))


class ReachTests(Base):
    def test_a_namespace_reaches_its_own_clients(self) -> None:
        self.assertEqual(self.reached(lambda: self.app.emit("news")), "ab")
        self.assertEqual(self.reached(lambda: self.chat.emit("news")), "ABC")
        self.assertEqual(self.reached(lambda: self.chat.emit("news", room="red", user="bob")), "ABC")
        self.assertEqual(self.reached(lambda: self.chat.emit("news", session="session-carol")), "C")

    def test_a_pattern_reaches_all_of_its_namespaces_and_a_name_one(self) -> None:
        self.assertEqual(self.reached(lambda: self.rooms.emit("news")), "12")
        self.assertEqual(self.reached(lambda: self.rooms.emit("news", user="alice")), "1")
        self.assertEqual(self.reached(lambda: self.app.namespace("/room-2").emit("news")), "2")
        self.assertEqual(self.reached(lambda: self.app.namespace("/room-3").emit("news")), "")

    def test_some_rooms_are_left_out(self) -> None:
        self.assertEqual(self.reached(lambda: self.chat.emit("news", except_room="red")), "B")
        self.assertEqual(self.reached(lambda: self.chat.emit("news", user=["bob", "carol"], except_room=["red"])), "B")
        self.assertEqual(self.reached(lambda: self.chat.emit("news", except_room=[])), "ABC")
        alice = self.clients["A"].connection
        self.assertEqual(self.reached(lambda: self.chat.emit("news", except_room=alice.id)), "BC")

    def test_the_room_of_an_id_is_that_connection(self) -> None:
        alice = self.clients["A"].connection
        self.assertEqual(self.reached(lambda: self.chat.emit("news", room=alice.id)), "A")
        self.assertEqual(self.reached(lambda: self.app.emit("news", room=alice.id)), "")

    def test_some_are_skipped(self) -> None:
        alice, bob = self.clients["A"].connection, self.clients["B"].connection
        self.assertEqual(self.reached(lambda: self.chat.emit("news", skip=alice)), "BC")
        self.assertEqual(self.reached(lambda: self.chat.emit("news", skip=(alice.id, bob))), "C")

    def test_a_local_event_reaches_this_process(self) -> None:
        self.assertEqual(self.reached(lambda: self.chat.emit("news", local=True)), "ABC")

    def test_several_arguments_are_sent(self) -> None:
        self.chat.emit("news", 1, {"a": None}, user="alice")
        self.assertEqual(self.clients["A"].link.messages, [{"event": "news", "data": [1, {"a": None}]}])


class SelectionTests(Base):
    def test_connections_are_listed(self) -> None:
        self.assertEqual(self.who(self.chat.connections()), "ABC")
        self.assertEqual(self.who(self.chat.connections(room="red", user="bob", except_room="none")), "ABC")
        self.assertEqual(self.who(self.chat.connections(except_room="red")), "B")
        self.assertEqual(self.who(self.rooms.connections(room="red")), "12")
        self.assertEqual(self.chat.connections(room=[]), [])

    def test_a_selection_enters_and_leaves_a_room(self) -> None:
        self.chat.join("blue", user=["alice", "bob"])
        self.assertEqual(self.who(self.chat.connections(room="blue")), "AB")
        self.chat.join("green")
        self.assertEqual(self.who(self.chat.connections(room="green")), "ABC")
        self.chat.join("blue", room=[])
        self.chat.leave("blue", session="session-bob")
        self.assertEqual(self.who(self.chat.connections(room="blue")), "A")
        self.chat.leave("green", room="red")
        self.assertEqual(self.who(self.chat.connections(room="green")), "B")
        self.assertEqual(self.app.connections(room=["blue", "green"]), [])

    def test_a_selection_is_closed(self) -> None:
        self.chat.disconnect(room="red", except_room=self.clients["C"].connection.id)
        self.assertEqual([len(self.clients[letter].link.closes) for letter in "aABC"], [0, 1, 0, 0])
        self.rooms.disconnect(user="bob", code=4001, reason="Closed")
        self.assertEqual(self.clients["2"].link.closes, [(4001, "Closed")])
        self.assertRaises(ValueError, self.chat.disconnect)
        self.chat.disconnect(skip=self.clients["A"].connection)
        self.assertEqual([len(self.clients[letter].link.closes) for letter in "ABC"], [1, 1, 1])
        self.chat.disconnect(everybody=True)


class NameTests(Base):
    def test_what_socket_io_keeps_for_itself_is_sent_to_nobody(self) -> None:
        client = self.core.connect("alice")
        for name, error in (("disconnect", ValueError), ("connect", ValueError), ("", ValueError), (5, TypeError)):
            for send in (
                self.core.app.emit,
                self.core.app.call,
                client.connection.emit,
                client.connection.broadcast,
                client.connection.call,
            ):
                self.assertRaises(error, send, name)
        self.assertEqual(client.link.writes, [])

    def test_nodes_names_of_the_life_cycle_are_no_events(self) -> None:
        for name in ("connect", "connection", "disconnect"):
            self.assertIn("on_connect", str(self.assertRaises(ValueError, self.core.app.on, name)))


class CallTests(Base):
    def answer(self, letter: str, data: Any = None, error: Any = None) -> None:
        client: Client = self.clients[letter]
        client.acknowledge(client.link.messages[-1]["id"], data, error)

    def test_many_are_asked_by_one_id_and_answer_in_their_order(self) -> None:
        answers = self.chat.call("question", 1)
        asked = [self.clients[letter].link.messages for letter in "ABC"]
        self.assertEqual(asked, [[{"event": "question", "data": 1, "id": 1}]] * 3)
        self.assertEqual(self.clients["a"].link.writes, [])
        for letter in "BCA":
            self.assertNoResult(answers)
            self.answer(letter, letter)
        self.assertEqual(self.successResultOf(answers), ["B", "C", "A"])
        for client in self.clients.values():
            client.leave()
        self.assertEqual(self.core.leftovers(), [])

    def test_whoever_refuses_or_leaves_is_left_out(self) -> None:
        answers = self.chat.call("question")
        self.answer("A", error={"code": "busy"})
        self.clients["B"].leave()
        self.answer("C", "yes")
        self.assertEqual(self.successResultOf(answers), ["yes"])

    def test_it_times_out_after_the_services_time_or_its_own_with_what_came(self) -> None:
        own, default = self.chat.call("a", user="alice", timeout=1), self.chat.call("b")
        self.answer("B", "yes")
        self.core.clock.advance(1)
        self.assertEqual(self.failureResultOf(own, CallTimeout).value.answers, ())
        self.core.clock.advance(1)
        error = self.failureResultOf(default, CallTimeout).value
        self.assertEqual((error.answers, str(error)), (("yes",), "1 acknowledgements came, and others not within 2 s"))
        self.answer("C", "late")
        self.assertEqual(self.core.counters.get("acks_ignored"), 1)

    def test_nobody_is_asked_and_nobody_is_waited_for(self) -> None:
        for answers in (self.chat.call("a", room=[]), self.chat.call("a", object(), user="dave")):
            self.assertEqual(self.successResultOf(answers), [])

    def test_a_pattern_asks_all_of_its_namespaces(self) -> None:
        answers = self.rooms.call("question", except_room="none", skip="nobody")
        self.answer("2", 2)
        self.answer("1", 1)
        self.assertEqual(self.successResultOf(answers), [2, 1])

    def test_what_is_no_json_asks_nobody(self) -> None:
        self.assertEqual(self.reached(lambda: self.assertRaises(TypeError, self.chat.call, "a", object())), "")
        for letter in "ABC":
            self.clients[letter].leave()

    def test_whoever_waits_may_stop_waiting_and_late_answers_are_ignored(self) -> None:
        answers = self.chat.call("question")
        answers.cancel()
        self.failureResultOf(answers, CancelledError)
        self.answer("A")
        self.assertEqual(self.core.counters.get("acks_ignored"), 1)

    def test_a_client_that_is_closed_by_the_question_is_left_out(self) -> None:
        client = self.clients["A"]
        self.patch(client.link, "write", lambda data: client.leave("transport error"))
        answers = self.chat.call("question", user=["alice", "bob"])
        self.answer("B", "yes")
        self.assertEqual(self.successResultOf(answers), ["yes"])
        self.assertEqual(self.successResultOf(self.chat.call("question", user="alice")), [])

    def test_a_client_whose_on_connect_still_runs_is_asked_once_it_has_finished(self) -> None:
        waiting: Deferred[None] = Deferred()
        self.chat.on_connect(lambda connection: waiting)
        self.clients["D"] = self.core.connect("dave", namespace="/chat")
        answers = self.chat.call("question", user="dave")
        self.assertEqual(self.clients["D"].link.writes, [])
        waiting.callback(None)
        self.answer("D", "yes")
        self.assertEqual(self.successResultOf(answers), ["yes"])


class NotServedTests(SynchronousTestCase):
    def test_nobody_can_be_reached_before_the_service_starts(self) -> None:
        audience = Audience()
        for act in (audience.connections, lambda: audience.call("a"), lambda: audience.join("a")):
            self.assertRaises(AppNotServed, act)

    def test_whom_it_means_is_for_others_to_say(self) -> None:
        audience = Audience()
        audience._hub = Core().hub
        self.assertRaises(NotImplementedError, audience.emit, "news")
