"""The package as somebody gets it: its types, its declarations, its files, and imports where there is no page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import CLIENT, PATIENCE, copy_client, run_tool
from tests.needs import require
from wsservice.identity import LOGIN_TIMEOUT

SOURCE = CLIENT / "src"
#: the packages are where the link is, as they are for everybody who has installed them
IN_PLACE = ("--preserveSymlinks",)
CORE = sorted(path.name for path in SOURCE.glob("*.js"))


class TypeTests(SynchronousTestCase):
    """`tsc`, on a copy."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.copy = copy_client(folder)

    def check(self, *arguments: str) -> None:
        """Run `tsc`; what it says is what is wrong."""
        done = run_tool(self.copy, "tsc", *arguments)
        self.assertEqual((done.returncode, done.stdout), (0, ""))

    def test_the_modules_are_sound(self) -> None:
        self.check("--noEmit", *IN_PLACE)

    def test_a_user_in_typescript_gets_declarations(self) -> None:
        self.check("--noEmit", "false", "--emitDeclarationOnly", "--outDir", "types", *IN_PLACE)
        consumer = self.copy.parent / "consumer"
        shutil.copytree(Path(__file__).parent / "consumer", consumer)
        (consumer / "node_modules" / "@wsservice").mkdir(parents=True)
        (consumer / "node_modules" / "@wsservice" / "client").symlink_to(self.copy)
        (consumer / "node_modules" / "socket.io-client").symlink_to(self.copy / "node_modules" / "socket.io-client")
        self.check("--project", str(consumer))


class FileTests(SynchronousTestCase):
    """The modules of the core."""

    def test_every_module_can_be_imported_where_there_is_no_page(self) -> None:
        require("node")
        script = """
            for (const name of ["window", "document", "localStorage", "WebSocket"]) {
              Object.defineProperty(globalThis, name, { get() { throw new Error(`${name} at import`); } });
            }
            for (const name of process.argv.slice(1)) await import(`./${name}`);
        """
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", script, *CORE],
            cwd=SOURCE,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_the_clients_know_nothing_of_the_page(self) -> None:
        for name in set(CORE) - {"page-life.js"}:
            code = re.sub(r"/\*.*?\*/|//[^\n]*", "", (SOURCE / name).read_text("utf-8"), flags=re.DOTALL)
            self.assertNotRegex(code, r"\b(document|window|localStorage|sessionStorage)\b", name)

    def test_a_login_is_waited_for_longer_than_the_server_waits_for_the_provider(self) -> None:
        match = re.search(r"POST_TIMEOUT = ([0-9_]+);", (SOURCE / "http.js").read_text("utf-8"))
        assert match is not None
        self.assertGreater(int(match[1]), 1000 * LOGIN_TIMEOUT)

    def test_the_package_has_its_sources_and_declarations_and_nothing_else(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        copy = copy_client(folder)
        (copy / "types").mkdir()
        (copy / "types" / "index.d.ts").write_text("")
        done = subprocess.run(
            ["npm", "pack", "--dry-run", "--json", "--ignore-scripts"],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        )
        names = {file["path"] for file in json.loads(done.stdout)[0]["files"]}
        self.assertLessEqual({"package.json", "README.md", "src/index.js", "types/index.d.ts"}, names)
        self.assertEqual({name.split("/")[0] for name in names}, {"package.json", "README.md", "src", "types"})
