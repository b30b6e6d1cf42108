"""Tests of `tests.needs`."""

from __future__ import annotations

import os

from twisted.trial.unittest import FailTest, SkipTest, SynchronousTestCase

from tests.needs import require


class RequireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(os, "environ", {"PATH": os.environ["PATH"]})

    def test_what_is_there_is_no_reason_to_skip(self) -> None:
        require("sh", "apt-get install dash")
        require(True, "turn it on")

    def test_what_is_missing_skips_and_says_how_to_get_it(self) -> None:
        for missing in ("no-such-program", False, None):
            with self.assertRaises(SkipTest) as caught:
                require(missing, "apt-get install it")
            self.assertEqual(str(caught.exception), "apt-get install it")

    def test_in_ci_it_fails_instead(self) -> None:
        os.environ["CI"] = "true"
        self.assertRaises(FailTest, require, "no-such-program", "apt-get install it")
