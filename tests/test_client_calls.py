"""Calls to many clients, here and elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.client_calls import ask_clients, call_clients
from wsservice.connection_limits import ConnectionLimits
from wsservice.errors import CallTimeout
from wsservice.messages import Broadcast, Target


class FakeAdapter:
    """Elsewhere."""

    def __init__(self) -> None:
        self.calls: list[tuple[Broadcast, float, Callable[[Any], None], Deferred[None]]] = []

    def call(self, broadcast: Broadcast, timeout: float, answered: Callable[[Any], None]) -> Deferred[None]:
        self.calls.append((broadcast, timeout, answered, Deferred()))
        return self.calls[-1][3]


class ClientCallTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core(limits=ConnectionLimits(calls=1))
        self.alice, self.bob = self.core.connect("alice"), self.core.connect("bob")

    def call(self) -> Deferred[list[Any]]:
        return call_clients(self.core.hub, "q", (1,), [Target()], 5)

    def acknowledge(self, client: Any, data: Any) -> None:
        client.acknowledge(client.link.messages[-1]["id"], data)

    def test_one_frame_asks_all_and_their_answers_come(self) -> None:
        calling = self.call()
        self.assertEqual(self.alice.link.writes, self.bob.link.writes)
        self.acknowledge(self.bob, "b")
        self.acknowledge(self.alice, "a")
        self.assertEqual(self.successResultOf(calling), ["b", "a"])

    def test_for_whom_too_many_calls_wait_is_left_out(self) -> None:
        first = ask_clients(self.core.hub, "q", (), [Target(users=frozenset({"alice"}))])
        self.assertEqual(len(first), 1)
        self.assertEqual(len(ask_clients(self.core.hub, "q", (), [Target()])), 1)
        self.assertEqual(len(self.alice.link.messages), 1)

    def test_what_cannot_be_sent_is_sent_to_nobody(self) -> None:
        with self.assertRaises(TypeError):
            ask_clients(self.core.hub, "q", (object(),), [Target()])
        self.assertEqual(self.alice.link.writes, [])
        self.assertEqual(len(ask_clients(self.core.hub, "q", (), [Target()])), 2)

    def test_those_elsewhere_are_asked_once_a_target_and_waited_for(self) -> None:
        self.core.hub.adapter = adapter = FakeAdapter()  # type: ignore[assignment]
        calling = self.call()
        ((broadcast, timeout, answered, done),) = adapter.calls
        self.assertEqual((broadcast, timeout), (Broadcast("q", (1,), Target()), 5))
        answered("elsewhere")
        self.acknowledge(self.alice, "a")
        self.acknowledge(self.bob, "b")
        self.assertNoResult(calling)
        done.callback(None)
        self.assertEqual(self.successResultOf(calling), ["elsewhere", "a", "b"])

    def test_where_elsewhere_is_late_the_answers_are_told(self) -> None:
        self.core.hub.adapter = adapter = FakeAdapter()  # type: ignore[assignment]
        calling = self.call()
        _, _, answered, done = adapter.calls[0]
        self.acknowledge(self.alice, "a")
        answered("elsewhere")
        self.acknowledge(self.bob, "b")
        done.errback(CallTimeout("late"))
        self.assertEqual(self.failureResultOf(calling, CallTimeout).value.answers, ("a", "elsewhere", "b"))
