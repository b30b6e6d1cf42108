"""Tests of `tests.needs`."""

from __future__ import annotations

import os

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests import needs


class RequireTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.patch(os, "environ", {"PATH": os.environ["PATH"]})
        self.patch(needs, "PARTS", {"shell": (("sh",), "get one"), "dream": (("sh", "no-such-program"), "get it")})

    def test_what_is_there_is_no_reason_to_skip(self) -> None:
        needs.require("shell")

    def test_what_is_missing_skips_and_says_how_to_get_it(self) -> None:
        with self.assertRaises(SkipTest) as caught:
            needs.require("dream")
        self.assertEqual(str(caught.exception), "no-such-program not installed: get it")

    def test_in_ci_it_fails_instead(self) -> None:
        os.environ["CI"] = "true"
        self.assertRaises(AssertionError, needs.require, "dream")
