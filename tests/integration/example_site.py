"""client/example, built, and served from an origin of its own.

    site = ExampleSite(build_example(folder))
    service = DevService(directory, "--allowed-origin", site.origin)
    site.service = service.origin           # whom the page talks to

`build_example` links packages from the cache (nodejs.py), so that nothing is written in the repository.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.integration.nodejs import node_modules

CLIENT = Path(__file__).parents[2] / "client"
#: seconds; a bound for a machine that is busy
PATIENCE = 300
#: what is made or installed
_LEFT_OUT = shutil.ignore_patterns("node_modules", "types", ".vite", "dist", "tests")
#: where index.html says where the service is
_SERVICE = re.compile(r'(<meta name="service" content=")[^"]*')


def copy_example(folder: Path) -> Path:
    """Copy the client and the example into a folder, with the example's packages; gives the example. Blocks.

    Only the example's own packages are there, as after `npm install` in it: `@wsservice/client` is a link to the
    folder above.

    Raises:
        SkipTest, AssertionError: see `node_modules`.
    """
    copy = folder.absolute() / "client"
    shutil.copytree(CLIENT, copy, ignore=_LEFT_OUT)
    example = copy / "example"
    packages = example / "node_modules"
    packages.mkdir()
    for entry in _installed(example / "package.json").iterdir():
        (packages / entry.name).symlink_to(entry)
    (packages / "@wsservice").mkdir()
    (packages / "@wsservice/client").symlink_to(copy)
    return example


def run_script(example: Path, name: str, *arguments: str, env: dict[str, str] | None = None) -> None:
    """`npm run <name> -- <arguments>` in the copy of an example; blocks.

    Raises:
        AssertionError: it failed; with what it printed.
    """
    done = subprocess.run(
        ["npm", "run", name, "--", *arguments],
        cwd=example,
        env={**os.environ, "CI": "true", "NO_COLOR": "1", "NO_UPDATE_NOTIFIER": "1", **(env or {})},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    if done.returncode:
        raise AssertionError(f"npm run {name} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def build_example(folder: Path) -> Path:
    """Build the example in a copy; gives the folder to be served. Blocks.

    It is built with React's development version, in which StrictMode mounts everything twice and mistakes are told
    in the console.

    Raises:
        SkipTest, AssertionError: see `node_modules` and `run_script`.
    """
    example = copy_example(folder)
    run_script(example, "build", "--mode", "development", env={"NODE_ENV": "development"})
    return example / "dist"


class ExampleSite:
    """Serves a built example on a free port of this machine, until `close()`.

    Attributes:
        origin: where it is, of a port that is not the service's.
        service: the origin of the service that its pages talk to.
    """

    def __init__(self, built: Path) -> None:
        self.service = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, self, directory=str(built)))
        self.origin = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Serve nothing more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Files(SimpleHTTPRequestHandler):
    def __init__(self, site: ExampleSite, *args: Any, **kwargs: Any) -> None:
        self._site = site
        super().__init__(*args, **kwargs)

    def do_GET(self) -> None:
        if self.path != "/":
            super().do_GET()
            return
        page = _SERVICE.sub(rf"\g<1>{self._site.service}", (Path(self.directory) / "index.html").read_text())
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the tests look at what the browser says."""


def _installed(manifest: Path) -> Path:
    """The packages of a manifest but the linked one, which has no meaning in the cache."""
    described = json.loads(manifest.read_text())
    del described["dependencies"]["@wsservice/client"]
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "package.json").write_text(json.dumps(described, indent=2))
        return node_modules(Path(name))
