"""What is heard while the stream is being read."""

from __future__ import annotations

from functools import partial

from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.held import Held


class HeldTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.held, self.done = Held(1000), list[str]()

    def add(self, name: str, position: int | None = None, size: int = 0) -> None:
        self.held.add(partial(self.done.append, name), position, size)

    def do_all(self) -> list[str]:
        while (step := self.held.take()) is not None:
            step()
        return self.done

    def test_it_comes_back_in_its_order(self) -> None:
        for name in "abc":
            self.add(name, 1)
        self.assertEqual((len(self.held), self.do_all()), (3, ["a", "b", "c"]))

    def test_past_the_bound_entries_are_let_go_and_what_waits_for_them_is_not(self) -> None:
        self.add("a", 1, 900)
        self.add("barrier")
        self.add("b", 2, 200)
        self.assertTrue(self.held.has_let_go)
        self.add("c", 3, 900)
        self.assertEqual(self.do_all(), ["barrier", "c"])

    def test_what_is_before_an_entry_that_is_read_comes_before_it(self) -> None:
        self.add("a", 1)
        self.add("b", 2)
        self.add("barrier")
        self.add("c", 1)
        for step in self.held.take_before(2):
            step()
        self.assertEqual(self.done, ["a"])
        self.assertEqual(self.do_all(), ["a", "b", "barrier", "c"])
