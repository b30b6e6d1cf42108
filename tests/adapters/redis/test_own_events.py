"""A node's own events until they have come back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.outbox import WINDOW
from wsservice.adapters.redis.own_events import OwnEvent, OwnEvents


class OwnEventsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sent: list[OwnEvent] = []
        self.dropped: list[tuple[int, str]] = []
        self.events = OwnEvents(self.sent.append, lambda event, why: self.dropped.append((event.serial, why)), 10_000)

    def add(self, *serials: int, size: int = 500) -> None:
        for serial in serials:
            self.events.add(OwnEvent(serial, b"channel", b"x" * size, 0.0))

    def serials(self) -> list[int]:
        return [event.serial for event in self.sent]

    def test_what_waits_is_bounded_and_the_oldest_goes(self) -> None:
        self.add(*range(1, 13))
        self.assertEqual(self.dropped, [(1, "queue_full"), (2, "queue_full")])
        self.events.send_again()
        self.assertEqual(self.serials(), list(range(3, 13)))

    def test_one_that_is_larger_than_the_bound_may_wait(self) -> None:
        self.add(1, size=50_000)
        self.assertEqual((len(self.events), self.dropped), (1, []))

    def test_what_is_sent_is_never_dropped_and_is_bounded_too(self) -> None:
        self.events.send_again()
        self.add(*range(1, 10), size=WINDOW // 4)
        self.assertEqual(self.serials(), [1, 2, 3, 4])
        self.assertEqual(self.dropped, [(serial, "queue_full") for serial in range(5, 9)])
        self.events.answered(self.sent[0])
        self.assertEqual(self.serials(), [1, 2, 3, 4, 9])

    def test_what_has_not_come_back_is_sent_again_in_its_order(self) -> None:
        self.events.send_again()
        self.add(1, 2, 3)
        self.events.answered(self.sent[0])
        self.events.pause()
        self.add(4)
        self.events.come_back(2)
        self.sent.clear()
        self.events.send_again()
        self.assertEqual(self.serials(), [3, 4])  # 1 was recorded, and is not one that can be read

    def test_what_is_refused_is_dropped_once(self) -> None:
        self.events.send_again()
        self.add(1)
        self.events.refused(self.sent[0])
        self.events.refused(self.sent[0])
        self.assertEqual(self.dropped, [(1, "refused")])
        self.assertEqual(len(self.events), 0)

    def test_it_may_come_back_before_its_answer_and_while_it_is_unsent(self) -> None:
        self.events.send_again()
        self.add(1)
        self.assertIs(self.events.come_back(1), self.sent[0])
        self.events.answered(self.sent[0])
        self.events.pause()
        self.add(2)
        self.assertIsNot(self.events.come_back(2), None)
        self.assertIs(self.events.come_back(2), None)
        self.assertEqual(len(self.events), 0)

    def test_at_the_end_those_are_left_that_are_not_known_to_be_recorded(self) -> None:
        self.events.send_again()
        self.add(1, 2)
        self.events.answered(self.sent[0])
        self.events.pause()
        self.add(3)
        self.assertEqual([event.serial for event in self.events.take_unrecorded()], [2, 3])
        self.assertEqual(len(self.events), 0)
