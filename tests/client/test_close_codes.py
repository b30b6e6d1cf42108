"""`close-codes.js` says what `wsservice/close_codes.py` says."""

from __future__ import annotations

import json
import subprocess
from typing import Any
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from tests.needs import require
from tools import make_close_codes
from tools.make_close_codes import MODULE, make_module
from wsservice import close_codes
from wsservice.close_codes import STOP_REASONS, CloseCode


class CloseCodeTests(SynchronousTestCase):
    def test_the_module_is_current(self) -> None:
        self.assertEqual(MODULE.read_text("utf-8"), make_module(), "run `make docs`")

    def test_every_code_and_reason_gets_the_same_advice_in_javascript(self) -> None:
        require("node")
        asked: list[Any] = [[int(code), ""] for code in CloseCode]
        asked += [[int(code), reason] for code in CloseCode for reason in sorted(STOP_REASONS)]
        asked += [[3000, ""], [4000, ""]]
        script = """
            const { adviceFor } = await import("./close-codes.js");
            console.log(JSON.stringify(JSON.parse(process.argv[1]).map((one) => adviceFor(...one))));
        """
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", script, json.dumps(asked)],
            cwd=MODULE.parent,
            capture_output=True,
            text=True,
            check=True,
        )
        for (code, reason), advice in zip(asked, json.loads(done.stdout), strict=True):
            known = CloseCode(code).advice if code in set(CloseCode) else "backoff"
            self.assertEqual(advice, "stop" if reason in STOP_REASONS else known, (code, reason))

    def test_a_new_reason_to_stay_away_cannot_be_forgotten(self) -> None:
        with mock.patch.object(close_codes, "STOP_REASONS", frozenset({"Go away"})):
            error = self.assertRaises(ValueError, make_close_codes.make_module)
        self.assertIn("add to REASONS", str(error))
