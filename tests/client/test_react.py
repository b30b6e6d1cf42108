"""The providers and hooks, with the newest React and with the oldest one that they promise to work with."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import CLIENT, copy_client, run_tool, run_vitest
from tests.integration.nodejs import node_modules

PRAGMAS = "/** @jsxRuntime automatic */\n/** @jsxImportSource react */\n"


class ReactTests(SynchronousTestCase):
    """`npm test`, on a copy; `client/tests/react-18` brings the other React."""

    def copy(self) -> Path:
        """A copy of the package, in a new folder."""
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        return copy_client(folder)

    def test_every_test_passes_with_react_19_and_with_react_18(self) -> None:
        copy = self.copy()
        (copy / "tests/react-18/node_modules").symlink_to(node_modules(CLIENT / "tests/react-18"))
        outcomes = run_vitest(copy, "--project", "react", "--project", "react-18")
        wrong = [f"{one.status}: {one.name}\n{one.text}" for one in outcomes if one.status != "passed"]
        self.assertEqual(wrong, [], f"{len(wrong)} of {len(outcomes)} tests:\n\n" + "\n\n".join(wrong))
        self.assertGreater(len(outcomes), 0)
        self.assertEqual(set(Counter(one.name for one in outcomes).values()), {2}, "each test runs with both")

    def test_a_user_in_typescript_gets_declarations_of_the_hooks(self) -> None:
        copy = self.copy()
        emit = ("--noEmit", "false", "--emitDeclarationOnly", "--outDir", "types", "--preserveSymlinks")
        consumer = copy.parent / "consumer"
        shutil.copytree(Path(__file__).parent / "consumer_react", consumer)
        packages = consumer / "node_modules"
        for name in ("@types/react", "react", "socket.io-client"):
            (packages / name).parent.mkdir(parents=True, exist_ok=True)
            (packages / name).symlink_to(copy / "node_modules" / name)
        (packages / "@wsservice").mkdir()
        (packages / "@wsservice/client").symlink_to(copy)
        for arguments in (emit, ("--project", str(consumer))):
            done = run_tool(copy, "tsc", *arguments)
            self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_what_is_jsx_says_how_to_compile_it(self) -> None:
        files = list((CLIENT / "src/react").glob("*.jsx"))
        self.assertEqual(sorted(file.stem for file in files), ["AuthProvider", "SocketProvider"])
        self.assertEqual([file.name for file in files if not file.read_text().startswith(PRAGMAS)], [])
