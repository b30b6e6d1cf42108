"""Handlers of what other servers tell."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from wsservice.counters import Counters
from wsservice.server_events import ServerEvents


class ServerEventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.counters = Counters()
        self.events = ServerEvents()

    def handle(self, event: str, *args: object) -> Deferred[object] | None:
        return self.events.handle(event, args, self.counters)

    def test_a_handler_gets_the_arguments_and_answers(self) -> None:
        @self.events.on("add")
        def add(one: int, two: int = 10) -> int:
            return one + two

        self.assertEqual(self.successResultOf(self.handle("add", 1, 2)), 3)  # type: ignore[arg-type]
        self.assertEqual(self.successResultOf(self.handle("add", 1)), 11)  # type: ignore[arg-type]
        self.assertEqual(add(1, 1), 2)

    def test_an_asynchronous_one_is_waited_for(self) -> None:
        waiting: Deferred[str] = Deferred()

        @self.events.on("wait")
        async def wait() -> str:
            return await waiting

        answer = self.handle("wait")
        assert answer is not None
        self.assertNoResult(answer)
        waiting.callback("done")
        self.assertEqual(self.successResultOf(answer), "done")

    def test_without_a_handler_there_is_no_answer(self) -> None:
        self.assertIsNone(self.handle("unknown"))

    def test_a_second_handler_is_an_error(self) -> None:
        self.events.on("add")(lambda: None)
        with self.assertRaisesRegex(ValueError, "'add' has a handler already"):
            self.events.on("add")(lambda: None)

    def test_one_that_raises_is_logged_and_counted_and_answers_nothing(self) -> None:
        self.events.on("break")(lambda: 1 / 0)
        self.assertIsNone(self.successResultOf(self.handle("break")))  # type: ignore[arg-type]
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.counters.get("handler_errors"), 1)

    def test_arguments_that_do_not_fit_are_a_fault_of_the_event(self) -> None:
        self.events.on("one")(lambda one: one)
        answer = self.handle("one", 1, 2, 3)
        assert answer is not None
        self.successResultOf(answer)
        answer = self.handle("one")
        assert answer is not None
        self.successResultOf(answer)
        self.flushLoggedErrors()
