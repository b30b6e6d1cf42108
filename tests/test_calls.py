"""Tests of wsservice.calls."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.calls import Calls, bound_call, gather
from wsservice.errors import CallRefused, CallTimeout, ConnectionClosed
from wsservice.messages import Ack


class CallsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = Calls()
        self.started = 0

    def start(self, timeout: float) -> tuple[int, Deferred[Any]]:
        self.started += 1
        answer = self.calls.expect(self.started)
        bound_call(answer, self.clock, timeout)
        return self.started, answer

    def tearDown(self) -> None:
        self.assertEqual(len(self.calls), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_answer_of_one_value_is_that_value_and_of_several_a_tuple(self) -> None:
        for args, expected in (((1,), 1), ((), None), ((1, 2), (1, 2))):
            number, answer = self.start(5)
            self.assertTrue(self.calls.settle(Ack(number, args)))
            self.assertEqual(self.successResultOf(answer), expected)

    def test_answers_may_come_in_any_order(self) -> None:
        (one, first), (two, second) = self.start(5), self.start(5)
        self.calls.settle(Ack(two, ("second",)))
        self.calls.settle(Ack(one, ("first",)))
        self.assertEqual((self.successResultOf(first), self.successResultOf(second)), ("first", "second"))

    def test_an_error_of_the_client_is_kept(self) -> None:
        for error in ({"code": "busy"}, False, 0, ""):
            number, answer = self.start(5)
            self.assertTrue(self.calls.settle(Ack(number, (None,), error)))
            self.assertEqual(self.failureResultOf(answer, CallRefused).value.error, error)

    def test_without_an_answer_it_times_out_and_not_a_moment_before(self) -> None:
        number, answer = self.start(2.5)
        self.clock.advance(2.4)
        self.assertNoResult(answer)
        self.clock.advance(0.1)
        self.assertIn("2.5 s", str(self.failureResultOf(answer, CallTimeout).value))
        self.assertFalse(self.calls.settle(Ack(number, ("too late",))))

    def test_a_second_and_an_invented_answer_are_ignored(self) -> None:
        number, answer = self.start(5)
        self.assertTrue(self.calls.settle(Ack(number, (1,))))
        self.assertFalse(self.calls.settle(Ack(number, (2,))))
        self.assertFalse(self.calls.settle(Ack(99, (3,))))
        self.assertEqual(self.successResultOf(answer), 1)

    def test_who_waits_may_stop_waiting(self) -> None:
        number, answer = self.start(5)
        answer.cancel()
        self.failureResultOf(answer, CancelledError)
        self.assertFalse(self.calls.settle(Ack(number, ("too late",))))

    def test_a_close_fails_what_is_pending(self) -> None:
        answers = [self.start(5)[1] for _ in range(3)]
        self.calls.close()
        for answer in answers:
            self.failureResultOf(answer, ConnectionClosed)
        self.calls.close()

    def test_a_call_that_is_cancelled_because_another_one_failed_does_not_disturb_a_close(self) -> None:
        answers = [self.start(5)[1] for _ in range(3)]
        seen: list[Any] = []

        def give_up(failure: Any, others: list[Deferred[Any]]) -> None:
            seen.append(failure.type)
            for other in others:
                other.cancel()

        for answer in answers:
            answer.addErrback(give_up, [other for other in answers if other is not answer])
        self.calls.close()
        self.assertEqual(len(seen), 3)
        self.assertEqual(seen.count(ConnectionClosed), 1)
        self.assertEqual(seen.count(CancelledError), 2)


class GatherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clients = [Calls() for _ in range(3)]

    def tearDown(self) -> None:
        self.assertEqual([len(calls) for calls in self.clients], [0, 0, 0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def gather(self, timeout: float = 2.0) -> Deferred[list[Any]]:
        return gather([calls.expect(1) for calls in self.clients], self.clock, timeout)

    def test_the_answers_come_in_the_order_of_their_arrival(self) -> None:
        answers = self.gather()
        for number in (2, 0, 1):
            self.assertNoResult(answers)
            self.clients[number].settle(Ack(1, (number,)))
        self.assertEqual(self.successResultOf(answers), [2, 0, 1])

    def test_whoever_leaves_or_refuses_is_left_out(self) -> None:
        answers = self.gather()
        self.clients[0].settle(Ack(1, (None,), {"code": "busy"}))
        self.clients[1].close()
        self.clients[2].settle(Ack(1, ("yes",)))
        self.assertEqual(self.successResultOf(answers), ["yes"])

    def test_nobody_is_asked(self) -> None:
        self.assertEqual(self.successResultOf(gather([], self.clock, 2.0)), [])

    def test_whoever_is_late_fails_it_and_the_others_are_told(self) -> None:
        answers = self.gather()
        self.clients[1].settle(Ack(1, ("yes",)))
        self.clock.advance(2.0)
        self.assertEqual(self.failureResultOf(answers, CallTimeout).value.answers, ("yes",))
        self.assertFalse(self.clients[0].settle(Ack(1, ("late",))))

    def test_who_waits_may_stop_waiting(self) -> None:
        answers = self.gather()
        self.clients[1].settle(Ack(1, ("yes",)))
        answers.cancel()
        self.failureResultOf(answers, CancelledError)
