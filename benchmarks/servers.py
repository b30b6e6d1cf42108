"""wsservice and its peers as processes, each pinned to the servers' core; see `benchmarks.compare`."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from unittest import SkipTest

from tests.certificates import make_certificate, write_pem
from tests.integration.nodejs import node_modules
from tests.integration.provider import Provider
from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService

HERE = Path(__file__).parent
PEERS = HERE / "peers"
#: above what one client can send here; the limits are on, and counted
SETTINGS = ("--app", "benchmarks.echo_app:app", "--message-rate", "1000000", "--byte-rate", "1000000000")


@dataclass(frozen=True, slots=True)
class Pool:
    """What every server is given: the user pool that it trusts, and for TLS the files of a certificate."""

    provider: Provider
    certificate: Path
    key: Path

    @classmethod
    def in_folder(cls, provider: Provider, folder: Path) -> Pool:
        """With a self-signed certificate for `localhost`, made now."""
        certificate, key = make_certificate("localhost")
        return cls(
            provider,
            write_pem(folder / "certificate.pem", certificate),
            write_pem(folder / "key.pem", key),
        )

    @property
    def environment(self) -> dict[str, str]:
        """For the peers."""
        return {"JWKS_URL": f"{self.provider.url}/jwks.json", "ISSUER": self.provider.issuer.issuer}


@dataclass(frozen=True, slots=True)
class Running:
    """A server that listens on a port of loopback.

    Attributes:
        others: the other nodes, of a cluster.
        collect: has it collect its garbage, where it would not by itself; blocks until that is done.
    """

    port: int
    pid: int
    collect: Callable[[], None] = field(default=lambda: None)
    others: tuple[Running, ...] = ()


#: a server, given the pool that it trusts and the command that pins it
Server = Callable[[Pool, list[str]], AbstractContextManager[Running]]


def pinned(core: int) -> list[str]:
    """A command's head that keeps it on a core, or nothing where there is only one core or no `taskset`."""
    if (os.cpu_count() or 1) < 2 or shutil.which("taskset") is None:
        return []
    return ["taskset", "-c", str(core)]


@contextmanager
def wsservice(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """The service, with everything on that is on by default."""
    with _wsservice(pool, pin) as running:
        yield running


@contextmanager
def wsservice_tls(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """The same over TLS."""
    with _wsservice(pool, pin, "--tls-cert", str(pool.certificate), "--tls-key", str(pool.key)) as running:
        yield running


@contextmanager
def floor(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """The system calls alone."""
    with tempfile.TemporaryDirectory() as folder:
        program = compiled("floor", [PEERS / "floor.c"], Path(folder))
        with _running([*pin, str(program)], {}) as running:
            yield running


@contextmanager
def plain_autobahn(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """Autobahn as in its manual."""
    with _running([*pin, sys.executable, str(PEERS / "plain_autobahn.py")], pool.environment) as running:
        yield running


@contextmanager
def python_socketio(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """python-socketio on uvicorn, with what makes uvicorn fast.

    Raises:
        SkipTest: it is not installed.
    """
    absent = [name for name in ("socketio", "uvicorn", "uvloop", "httptools") if find_spec(name) is None]
    if absent:
        raise SkipTest(f"{', '.join(absent)} not installed: pip install '.[bench]'")
    with _running([*pin, sys.executable, str(PEERS / "python_socketio.py")], pool.environment) as running:
        yield running


@contextmanager
def fastify(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """Fastify, @fastify/websocket, jsonwebtoken."""
    with _node("fastify.js", pool.environment, pin) as running:
        yield running


@contextmanager
def fastify_tls(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """The same over TLS."""
    environment = {**pool.environment, "TLS_CERT": str(pool.certificate), "TLS_KEY": str(pool.key)}
    with _node("fastify.js", environment, pin) as running:
        yield running


@contextmanager
def socketio(pool: Pool, pin: list[str]) -> Iterator[Running]:
    """socket.io on Node."""
    with _node("socketio.js", pool.environment, pin) as running:
        yield running


def wsservice_cluster(nodes: int) -> Server:
    """Nodes of wsservice, and a Redis on the load's core; all nodes share the servers' core."""

    @contextmanager
    def running(pool: Pool, pin: list[str]) -> Iterator[Running]:
        with _redis() as redis, ExitStack() as stack:
            started = [stack.enter_context(_wsservice(pool, pin, "--adapter", redis)) for _ in range(nodes)]
            yield replace(started[0], others=tuple(started[1:]))

    return running


def socketio_cluster(nodes: int) -> Server:
    """Nodes of socket.io with @socket.io/redis-adapter, in the same way."""

    @contextmanager
    def running(pool: Pool, pin: list[str]) -> Iterator[Running]:
        with _redis() as redis, ExitStack() as stack:
            environment = {**pool.environment, "REDIS_URL": redis}
            started = [stack.enter_context(_node("socketio.js", environment, pin)) for _ in range(nodes)]
            yield replace(started[0], others=tuple(started[1:]))

    return running


@contextmanager
def _redis() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        redis = RedisServer(folder, before=pinned(1))
        try:
            yield redis.url
        finally:
            redis.stop()


def compiled(name: str, sources: list[Path], folder: Path, *options: str) -> Path:
    """A C program, compiled into a folder; the options come last, where libraries must stand.

    Raises:
        RuntimeError: there is no compiler.
        subprocess.CalledProcessError: it does not compile.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise RuntimeError("there is no C compiler: apt-get install gcc libc6-dev")
    program = folder / name
    subprocess.run([compiler, "-O2", "-o", program, *sources, *options], check=True)
    return program


@contextmanager
def _wsservice(pool: Pool, pin: list[str], *settings: str) -> Iterator[Running]:
    environment = pool.provider.environment
    with (
        tempfile.TemporaryDirectory() as folder,
        RunningService(*SETTINGS, *settings, cwd=folder, env=environment, before=pin) as service,
    ):
        yield Running(service.port, service.process.pid)


def _node(script: str, environment: dict[str, str], pin: list[str]) -> AbstractContextManager[Running]:
    modules = {"NODE_PATH": str(node_modules(PEERS)), "NODE_ENV": "production"}
    return _running([*pin, "node", "--expose-gc", str(PEERS / script)], {**environment, **modules}, collects=True)


@contextmanager
def _running(command: list[str], environment: dict[str, str], *, collects: bool = False) -> Iterator[Running]:
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = process.stdout

    def collect() -> None:
        if collects:
            process.send_signal(signal.SIGUSR2)
            lines.readline()

    try:
        line = lines.readline()
        found = re.fullmatch(r"listening on (\d+)\n", line)
        if found is None:
            raise RuntimeError(f"{command} did not start: {line!r}")
        yield Running(int(found[1]), process.pid, collect)
    finally:
        process.terminate()
        process.wait()
        lines.close()
