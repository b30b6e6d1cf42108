"""Tests of the package itself: its names come when they are asked for."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

import wsservice
from tests.integration.service import ROOT


class PublicNamesTests(SynchronousTestCase):
    def test_every_public_name_is_there(self) -> None:
        for name in wsservice.__all__:
            self.assertIsNotNone(getattr(wsservice, name))
            self.assertIn(name, dir(wsservice))

    def test_another_name_is_refused_as_by_any_module(self) -> None:
        error = self.assertRaises(AttributeError, getattr, wsservice, "Nothing")
        self.assertEqual(str(error), "module 'wsservice' has no attribute 'Nothing'")

    def test_a_backend_that_emits_loads_no_twisted(self) -> None:
        program = (
            "import sys; from wsservice.emitter import Emitter; from wsservice.cli import main; "
            "print(*(name for name in sys.modules if name.split('.')[0] in ('twisted', 'autobahn', 'txredisapi')))"
        )
        done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        self.assertEqual(done.stdout.strip(), "")
