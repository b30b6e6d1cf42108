"""Tests of `wsservice.daemon`, with the two sides of the fork in one process."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.daemon import REFUSED, Start


class StartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.exits: list[int] = []
        self.hooks: dict[str, Any] = {}
        self.patch(os, "_exit", self.exits.append)
        self.patch(os, "register_at_fork", lambda **hooks: self.hooks.update(hooks))
        self.daemon = Start()

    def fork(self) -> Start:
        """The other side: an object of its own, with descriptors of its own."""
        other = Start.__new__(Start)
        other._reader, other._writer, other._forked = os.dup(self.daemon._reader), os.dup(self.daemon._writer), False
        return other

    def test_the_process_that_waits_ends_when_the_daemon_could_not_start(self) -> None:
        parent = self.fork()
        self.daemon._go_on()
        self.daemon.fail()
        parent._wait()
        self.assertEqual(self.exits, [REFUSED])

    def test_it_goes_on_when_the_daemon_has_what_it_needs(self) -> None:
        parent = self.fork()
        self.daemon._go_on()
        self.daemon.succeed()
        parent._wait()
        self.assertEqual(self.exits, [])

    def test_it_waits_for_the_first_fork_only(self) -> None:
        self.daemon._go_on()
        self.daemon._wait()
        self.daemon._go_on()
        self.daemon.succeed()
        self.assertEqual(self.exits, [])

    def test_without_a_fork_it_can_be_put_away(self) -> None:
        self.daemon.close()
        self.daemon._wait()
        self.daemon._go_on()
        self.assertEqual(self.exits, [])

    def test_it_hears_of_both_sides_of_a_fork(self) -> None:
        self.assertEqual(set(self.hooks), {"after_in_parent", "after_in_child"})
        self.daemon.close()
