"""wsservice and its peers as processes, each pinned to the servers' core; see `benchmarks.compare`."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tests.integration.nodejs import node_modules
from tests.integration.provider import Provider
from tests.integration.service import RunningService

HERE = Path(__file__).parent
PEERS = HERE / "peers"
#: above what one client can send here; the limits are on, and counted
SETTINGS = ("--app", "benchmarks.echo_app:app", "--message-rate", "1000000", "--byte-rate", "1000000000")
#: a server, given the pool that it trusts and the command that pins it; gives its port
Server = Callable[[Provider, list[str]], AbstractContextManager[int]]


def pinned(core: int) -> list[str]:
    """A command's head that keeps it on a core, or nothing where there is only one core or no `taskset`."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(core)]


def compiled(source: str, folder: Path) -> Path:
    """A C program of this folder, compiled.

    Raises:
        RuntimeError: there is no compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("there is no C compiler: apt-get install gcc libc6-dev")
    program = folder / Path(source).stem
    subprocess.run([compiler, "-O2", "-o", program, HERE / source], check=True)
    return program


@contextmanager
def wsservice(provider: Provider, pin: list[str]) -> Iterator[int]:
    """The service, with everything on that is on by default."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(*SETTINGS, cwd=folder, env=provider.environment, before=pin) as service,
    ):
        yield service.port


@contextmanager
def floor(provider: Provider, pin: list[str]) -> Iterator[int]:
    """The system calls alone."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _running([*pin, str(compiled("peers/floor.c", Path(folder)))], {}) as port,
    ):
        yield port


@contextmanager
def plain_autobahn(provider: Provider, pin: list[str]) -> Iterator[int]:
    """Autobahn as in its manual."""
    with _running([*pin, sys.executable, str(PEERS / "plain_autobahn.py")], _pool(provider)) as port:
        yield port


@contextmanager
def fastify(provider: Provider, pin: list[str]) -> Iterator[int]:
    """Fastify, @fastify/websocket, jsonwebtoken."""
    with _node("fastify.js", provider, pin) as port:
        yield port


@contextmanager
def socketio(provider: Provider, pin: list[str]) -> Iterator[int]:
    """socket.io on Node."""
    with _node("socketio.js", provider, pin) as port:
        yield port


def _node(script: str, provider: Provider, pin: list[str]) -> AbstractContextManager[int]:
    environment = {**_pool(provider), "NODE_PATH": str(node_modules(PEERS)), "NODE_ENV": "production"}
    return _running([*pin, "node", str(PEERS / script)], environment)


def _pool(provider: Provider) -> dict[str, str]:
    return {"JWKS_URL": f"{provider.url}/jwks.json", "ISSUER": provider.issuer.issuer}


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"listening on (\d+)\n", line)
        if found is None:
            raise RuntimeError(f"{command} did not start: {line!r}")
        yield int(found[1])
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
