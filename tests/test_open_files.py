"""Tests of wsservice.open_files."""

from __future__ import annotations

import resource

from twisted.trial.unittest import SynchronousTestCase

from wsservice.open_files import ENOUGH, most_connections, raise_open_files

INFINITE = resource.RLIM_INFINITY


class OpenFilesTests(SynchronousTestCase):
    def raised(self, soft: int, hard: int, error: type[Exception] | None = None) -> tuple[int, list[tuple[int, int]]]:
        """What is found, and what the system is asked for."""
        asked: list[tuple[int, int]] = []

        def setrlimit(which: int, limits: tuple[int, int]) -> None:
            asked.append(limits)
            if error is not None:
                raise error

        self.patch(resource, "getrlimit", lambda which: (soft, hard))
        self.patch(resource, "setrlimit", setrlimit)
        return raise_open_files(), asked

    def test_the_soft_limit_becomes_the_hard_one(self) -> None:
        self.assertEqual(self.raised(1024, 524288), (524288, [(524288, 524288)]))

    def test_without_a_hard_limit_it_is_enough(self) -> None:
        self.assertEqual(self.raised(1024, INFINITE), (ENOUGH, [(ENOUGH, INFINITE)]))

    def test_a_limit_that_is_high_already_stays(self) -> None:
        self.assertEqual(self.raised(524288, 524288), (524288, []))
        self.assertEqual(self.raised(INFINITE, INFINITE), (ENOUGH, []))
        self.assertEqual(self.raised(2**40, INFINITE), (ENOUGH, []))

    def test_where_it_is_forbidden_the_old_limit_holds(self) -> None:
        for error in (ValueError, PermissionError):
            self.assertEqual(self.raised(1024, 524288, error)[0], 1024)

    def test_some_files_are_no_connections(self) -> None:
        self.assertEqual((most_connections(1024), most_connections(10)), (924, 1))
