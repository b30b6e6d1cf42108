"""The modules of the page are sound by their JSDoc types, as those of the client package are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import copy_client, run_tool
from tests.demo.test_static import STATIC


class TypeTests(SynchronousTestCase):
    def test_the_modules_are_sound(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        copy = copy_client(folder)
        shutil.copytree(STATIC, copy / "page")  # the link to the client's files, too, as files
        settings = {"extends": "../tsconfig.json", "include": ["*.js"]}
        (copy / "page" / "tsconfig.json").write_text(json.dumps(settings))
        done = run_tool(copy, "tsc", "--project", "page")
        self.assertEqual((done.returncode, done.stdout), (0, ""))
