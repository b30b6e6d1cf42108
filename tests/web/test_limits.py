"""The defaults of what an HTTP client may cost."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from wsservice.web.limits import Limits


class LimitsTests(SynchronousTestCase):
    def test_the_defaults_bound_everything(self) -> None:
        limits = Limits()
        self.assertEqual((limits.head_bytes, limits.headers, limits.body_bytes), (16384, 100, 8192))
        self.assertEqual((limits.head_timeout, limits.body_timeout), (5.0, 5.0))

    def test_they_do_not_change(self) -> None:
        with self.assertRaises(FrozenInstanceError):
            Limits().body_bytes = 1  # type: ignore[misc]
