"""`make socketio-suites SUITES=<path>`: the official protocol suites of Engine.IO v4 and Socket.IO v5.

The path is a checkout of the monorepo github.com/socketio/socket.io, or its folder `docs`. The suites are copied to a
temporary folder, where npm installs what they need and their one URL is set to a server of ours. Nothing of theirs is
part of this project.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from tests.suites.servers import listen

reactor: Any = _reactor
FOLDERS = {
    "Engine.IO v4": ("engine.io-protocol/v4-test-suite", "/engine.io", True, 25),
    "Socket.IO v5": ("socket.io-protocol/v5-test-suite", "/socket.io", False, 32),
}
_URL = re.compile(r"http://localhost:3000")


def find_suite(root: Path, folder: str) -> Path:
    """The folder of a suite below a checkout or its `docs`."""
    for candidate in (root / "docs" / folder, root / folder):
        if (candidate / "test-suite.js").is_file():
            return candidate
    raise SystemExit(f"socketio-suites: no {folder} below {root}; name a checkout of github.com/socketio/socket.io")


def run_suite(source: Path, port: int, cases: int) -> tuple[int, int, str]:
    """Run one suite; how many cases passed, how many failed, and what it printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "suite"
        shutil.copytree(source, folder)
        text = (folder / "test-suite.js").read_text()
        (folder / "test-suite.js").write_text(_URL.sub(f"http://127.0.0.1:{port}", text))
        install = ["npm", "ci" if (folder / "package-lock.json").is_file() else "install", "--silent", "--no-audit"]
        subprocess.run(install, cwd=folder, check=True, env={**os.environ, "NO_UPDATE_NOTIFIER": "1"})
        command = ["npx", "mocha", "--reporter", "json", "test-suite.js"]
        result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
    try:
        report = json.loads(result.stdout[result.stdout.index("{") :])
    except ValueError:
        return 0, cases, result.stdout + result.stderr
    failures = "\n".join(f"  {one['fullTitle']}: {one['err'].get('message')}" for one in report["failures"])
    return report["stats"]["passes"], report["stats"]["failures"], failures


async def main(root: Path) -> int:
    """Run both; the exit status."""
    status = 0
    for name, (folder, path, echoes, cases) in FOLDERS.items():
        source = find_suite(root, folder)
        port = await listen(reactor, path=path, port=0, echoes=echoes)
        number: int = port.getHost().port  # type: ignore[attr-defined]
        passed, failed, text = await deferToThread(run_suite, source, number, cases)
        await Deferred.fromCoroutine(_stop(port))
        print(f"{name}: {passed} of {cases} passed, {failed} failed")
        if text:
            print(text)
        status = status or int(passed != cases or failed > 0)
    return status


async def _stop(port: Any) -> None:
    await port.stopListening()


def _start(root: Path, done: Callable[[int], None]) -> None:
    def ended(result: Any) -> None:
        if not isinstance(result, int):
            result.printTraceback()
            result = 1
        done(result)
        reactor.stop()

    Deferred.fromCoroutine(main(root)).addBoth(ended)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make socketio-suites SUITES=<path>", description=__doc__)
    parser.add_argument("suites", type=Path)
    arguments = parser.parse_args()
    statuses: list[int] = []
    reactor.callWhenRunning(_start, arguments.suites, statuses.append)
    reactor.run()
    sys.exit(statuses[0] if statuses else 1)
