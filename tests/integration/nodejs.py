"""Node and the packages of tests/integration/node/package.json: the reference implementation, as programs.

    run_script("parser_agreement.js", text)     # blocks; gives what it prints
    run_scenario("socketio_messages.js", "acks", {"url": ..., "cookie": ...})     # blocks; raises if it fails

The packages are installed once, by npm, into a cache outside of the repository, named by the hash of package.json.
A test without Node skips and says how to get it; in CI (`CI=true`) it fails.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.needs import missing

FOLDER = Path(__file__).parent / "node"
HOW_TO = "node and npm (Node 20 or newer) are not installed: apt-get install nodejs npm"
#: seconds; bounds for a machine that is busy, not figures that are expected
INSTALL_SECONDS = 300
SCRIPT_SECONDS = 120


def node_modules(folder: Path = FOLDER) -> Path:
    """The installed packages of the folder's package.json; blocks, for some seconds the first time.

    Raises:
        SkipTest: Node is not there, or npm could not install.
        AssertionError: the same, where `CI=true`.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise missing(HOW_TO)
    manifest = (folder / "package.json").read_bytes()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wsservice"
    installed = cache / f"node-{hashlib.sha256(manifest).hexdigest()[:16]}"
    if not installed.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="installing-") as name:
            _install(manifest, Path(name) / "node")
            try:
                (Path(name) / "node").rename(installed)
            except OSError:  # another process was faster
                if not installed.is_dir():
                    raise
    return installed / "node_modules"


def run_script(script: str, text: str) -> str:
    """Run a script of FOLDER with this text as its input; gives its output.

    Raises:
        SkipTest, AssertionError: see `node_modules`; also AssertionError where the script fails.
    """
    environment = {**os.environ, "NODE_PATH": str(node_modules())}
    command = ["node", str(FOLDER / script)]
    done = subprocess.run(
        command, input=text.encode(), env=environment, capture_output=True, timeout=SCRIPT_SECONDS, check=False
    )
    if done.returncode:
        raise AssertionError(f"{script} failed:\n{done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


def run_scenario(
    file: str, name: str, settings: Mapping[str, Any], answers: Mapping[str, Callable[..., Any]] | None = None
) -> Any:
    """Run a scenario of a file, in a process of its own; gives its result. See node/harness.js.

    Args:
        settings: JSON; what the scenario gets.
        answers: by name, what the scenario can ask the test to do.

    Raises:
        SkipTest, AssertionError: see `node_modules`; also AssertionError where the scenario fails.
    """
    process = subprocess.Popen(
        ["node", "harness.js", file, name],
        cwd=FOLDER,
        env={**os.environ, "NODE_PATH": str(node_modules())},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    watchdog = threading.Timer(SCRIPT_SECONDS, process.kill)
    watchdog.start()
    try:
        print(json.dumps(settings), file=process.stdin, flush=True)
        for line in process.stdout:
            said = json.loads(line)
            if "failed" in said:
                raise AssertionError(f"{file}, {name}: {said['failed']}")
            if "result" in said:
                return said["result"]
            answer = (answers or {})[said["ask"]](*said["args"])
            print(json.dumps({"answer": answer}), file=process.stdin, flush=True)
        raise AssertionError(f"{file}, {name}: ended with {process.wait()} and no result")
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


def _install(manifest: bytes, folder: Path) -> None:
    folder.mkdir()
    (folder / "package.json").write_bytes(manifest)
    command = ["npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise missing(f"npm install took more than {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise missing(f"npm install failed:\n{done.stderr[-2000:]}")
