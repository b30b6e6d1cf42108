"""Tests of wsservice.demo.flood."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.base import DelayedCall
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.demo import flood
from wsservice.demo.app import make_app


class Turns(Clock):
    """A reactor's turns: what is called in one of them begins nothing else in it, as a `Clock` would."""

    def callLater(self, delay: float, callable: Callable[..., object], *args: object, **kw: object) -> DelayedCall:
        return super().callLater(delay + 1, callable, *args, **kw)

    def turn(self) -> bool:
        """Run what waits; returns whether anything did."""
        waits = bool(self.getDelayedCalls())
        self.advance(1)
        return waits


class FloodTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Turns()
        app = make_app(self.clock)
        self.core = Core(app)
        app.serve(self.core.hub)
        self.alice, self.bob = self.core.connect("alice"), self.core.connect("bob")

    def ask(self, asked: Any) -> list[Any]:
        """What alice is sent when she asks for a flood."""
        self.alice.send("flood", asked, id=1)
        while self.clock.turn():
            pass
        return self.alice.link.messages

    def test_the_asker_gets_as_many_as_it_wants_and_nobody_else_any(self) -> None:
        *events, ack = self.ask({"count": 3, "size": 2})
        self.assertEqual(
            [event["data"] for event in events],
            [{"number": number, "of": 3, "filling": "xx"} for number in (1, 2, 3)],
        )
        self.assertEqual(ack, {"ack": 1, "data": {"sent": 3}})
        self.assertEqual(self.bob.link.writes, [])

    def test_without_a_number_it_is_the_most(self) -> None:
        self.assertEqual(len(self.ask(None)), flood.MOST_EVENTS + 1)

    def test_in_one_turn_no_more_is_sent_than_may_wait(self) -> None:
        self.alice.send("flood", {"count": 100, "size": 8192})
        sent = 0
        while self.clock.turn():
            sizes = [len(data) for data in self.alice.link.writes[sent:]]
            self.assertLess(sum(sizes), 3 * flood.PIECE)  # the first time, of two turns
            sent += len(sizes)
        self.assertEqual(sent, 100)

    def test_it_ends_when_the_client_leaves(self) -> None:
        self.alice.send("flood", {"count": 2000, "size": 8192})
        self.alice.leave()
        self.clock.turn()
        self.assertFalse(self.clock.turn())
        self.assertLess(len(self.alice.link.writes), 20)

    def test_more_or_something_else_is_refused(self) -> None:
        for asked in ({"count": 2001}, {"count": 0}, {"count": 1, "size": 8193}, {"count": True}, {"size": "1"}, [], 7):
            self.assertEqual(self.ask(asked)[-1]["error"]["code"], "bad_flood", asked)
