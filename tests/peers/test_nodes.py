"""Nodes in memory."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.peers.nodes import MemoryNodes, Nodes


class MemoryNodesTests(SynchronousTestCase):
    def test_who_listens_is_known_to_all_that_share_the_dict(self) -> None:
        addresses: dict[str, str] = {}
        one: Nodes = MemoryNodes("one", b"s", addresses)
        two: Nodes = MemoryNodes("two", b"s", addresses)
        self.assertIsNone(two.address_of("one"))
        one.listening("unix:/run/one.sock")
        self.assertEqual(two.address_of("one"), "unix:/run/one.sock")
