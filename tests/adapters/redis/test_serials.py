"""Which events of each node have come."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.serials import Serials


class SerialsTests(SynchronousTestCase):
    def test_each_comes_once_and_what_is_missing_is_known(self) -> None:
        serials = Serials()
        self.assertEqual([serials.come("a", serial) for serial in (5, 6, 6, 9, 7, 10)], [0, 0, None, 2, None, 0])
        self.assertEqual((serials.last("a"), serials.last("b")), (10, 0))

    def test_nodes_are_apart_and_their_number_is_bounded(self) -> None:
        serials = Serials()
        for number in range(2000):
            self.assertEqual(serials.come(f"node{number}", 1), 0)
        self.assertEqual((serials.last("node0"), serials.last("node1999")), (0, 1))
