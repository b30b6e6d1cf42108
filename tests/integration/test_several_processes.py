"""Several processes at one address, in each of the ways of docs/scaling.md: SO_REUSEPORT, systemd's socket, nginx.

The clients are npm's socket.io-client; without Node or nginx these tests skip and say how to get it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.docs.blocks import block
from tests.integration.cluster import PATIENCE, ClusterCase, free_port
from tests.integration.nodejs import run_scenario
from tests.integration.proxies import nginx, wait_until_it_listens
from tests.integration.service import RunningService
from tests.needs import require

#: so many that in each direction some upgrade reaches the wrong one: the odds against it are a million to one
CLIENTS = 48


class SharedCase(ClusterCase):
    """Some processes, and clients that know one port."""

    def run_clients(self, port: int, name: str, answers: dict[str, Callable[..., Any]] | None = None) -> Any:
        """Run a scenario of node/socketio_nodes.js."""
        settings = {
            "url": f"http://127.0.0.1:{port}",
            "cookie": self.pool.cookie("alice"),
            "clients": CLIENTS,
        }
        return run_scenario("socketio_nodes.js", name, settings, answers)

    def counted_in_all(self, nodes: dict[str, RunningService]) -> dict[str, dict[str, int]]:
        for service in nodes.values():
            self.assertEqual(service.stop(), 0)
        return {name: self.counted(service) for name, service in nodes.items()}

    def assertShared(self, counted: dict[str, dict[str, int]], *words: str) -> None:
        """Each process had a part of the sessions, and passed on what was the other's."""
        for name, counts in counted.items():
            self.assertGreater(counts.get("engine_sessions/polling", 0), 0, (name, counted))
            self.assertNotIn("internal_errors", counts)
            for word in words:
                self.assertGreater(counts.get(f"passed_on/{word}", 0), 0, (name, counted))


class ReusePortTests(SharedCase):
    def setUp(self) -> None:
        super().setUp()
        kept, self.port = free_port()
        self.addCleanup(kept.close)
        self.nodes = {name: self.start(name, *self.listening) for name in ("one", "two")}

    @property
    def listening(self) -> tuple[str, ...]:
        return ("--reuse-port", "--host", "127.0.0.1", "--port", str(self.port))

    def test_clients_on_long_polling(self) -> None:
        self.run_clients(self.port, "polling")
        self.assertShared(self.counted_in_all(self.nodes), "poll", "post")

    def test_clients_that_upgrade(self) -> None:
        self.run_clients(self.port, "upgrading")
        self.assertShared(self.counted_in_all(self.nodes), "poll", "post", "websocket")

    def test_the_clients_of_a_process_that_was_killed_come_back_to_the_other(self) -> None:
        def kill(name: str) -> None:
            self.nodes[name].stop(signal.SIGKILL)
            (self.folder / f"{name}.node").unlink()

        result = self.run_clients(self.port, "killed", {"kill": kill})
        self.assertEqual(result["theirs"] + result["others"], CLIENTS)

    def test_a_process_that_stops_leaves_new_clients_to_the_other(self) -> None:
        one, two = self.nodes.values()
        held = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        self.addCleanup(held.close)
        one.process.terminate()
        one.wait()
        for _ in range(20):
            self.assertEqual(two.request("GET", "/ready").status, 200)

    def test_without_it_the_second_process_says_what_to_do(self) -> None:
        service = self.begin("three", "--host", "127.0.0.1", "--port", str(self.port))
        self.assertEqual(service.wait(), 2)
        self.assertIn("cannot listen on", service.log)
        self.assertFalse((self.folder / "three.node").exists())

    def test_an_address_that_nobody_could_dial_or_have_stops_the_start(self) -> None:
        for name, place, word in (
            ("three", "tcp:0", "--peer-address"),
            ("four", f"tcp:{self.port}:interface=127.0.0.1", "choose another --peer-listen"),
        ):
            service = self.begin(name, *self.listening, "--peer-listen", place)
            self.assertEqual(service.wait(), 2)
            self.assertIn(word, service.log)


#: starts a program as systemd does: descriptor 3 and up, and whose they are
_HAND_OVER = """
import os, sys
count = int(sys.argv[1])
given = [int(one) for one in sys.argv[2:2 + count]]
for number, fd in enumerate(given):
    os.dup2(fd, 100 + number)
for number in range(count):
    os.dup2(100 + number, 3 + number)
    os.close(100 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(count), LISTEN_FDNAMES=":".join(["http"] * count))
os.execv(sys.argv[2 + count], sys.argv[2 + count:])
"""


class HandedOverTests(SharedCase):
    def hand_over(self, node: str, *sockets: socket.socket, arguments: tuple[str, ...] = ()) -> RunningService:
        """A node that is started with these listening sockets."""
        fds = [one.fileno() for one in sockets]
        before = (sys.executable, "-c", _HAND_OVER, str(len(fds)), *map(str, fds))
        return self.begin(node, *arguments, before=before, fds=fds)

    def listening(self) -> socket.socket:
        made = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(made.close)
        return made

    def wait_until_ready(self, *services: RunningService) -> None:
        for service in services:
            service.wait_for_line(lambda line: "listening for other nodes" in line)
            service.wait_for_line(lambda line: "signing keys loaded" in line)

    def test_two_processes_share_one_socket(self) -> None:
        shared = self.listening()
        nodes = {name: self.hand_over(name, shared) for name in ("one", "two")}
        self.wait_until_ready(*nodes.values())
        port = shared.getsockname()[1]
        for name in ("polling", "upgrading"):
            self.run_clients(port, name)
        counted = self.counted_in_all(nodes)
        # Whoever is faster accepts: on a busy machine that may be one of them all the time.
        if all("engine_sessions/polling" in counts for counts in counted.values()):
            self.assertShared(counted, "poll", "post")
        self.assertEqual(sum(counts.get("engine_sessions/polling", 0) for counts in counted.values()), 2 * CLIENTS)

    def test_one_of_them_ends_and_the_socket_stays(self) -> None:
        shared = self.listening()
        nodes = {name: self.hand_over(name, shared) for name in ("one", "two")}
        self.wait_until_ready(*nodes.values())
        nodes["one"].stop()
        nodes["two"].port = shared.getsockname()[1]
        for _ in range(20):
            self.assertEqual(nodes["two"].request("GET", "/ready").status, 200)
        nodes["two"].stop()
        # Nobody is there, and who comes waits for the next one, as with a .socket unit.
        with socket.create_connection(shared.getsockname(), timeout=PATIENCE) as waiting:
            waiting.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            three = self.hand_over("three", shared)
            self.assertTrue(waiting.recv(100).startswith(b"HTTP/1.1 200 "))
        self.wait_until_ready(three)

    def test_a_named_endpoint_and_an_address_of_ipv6_and_a_unix_socket(self) -> None:
        unix = socket.socket(socket.AF_UNIX)
        self.addCleanup(unix.close)
        path = f"/tmp/wsservice-test-{os.getpid()}.sock"
        unix.bind(path)
        os.chmod(path, 0o600)
        self.addCleanup(os.unlink, path)
        unix.listen(50)
        tcp = self.listening()
        one = self.hand_over("one", tcp, unix)
        self.wait_until_ready(one)
        self.assertEqual(one.log.count("(http)"), 2, one.log)
        named = self.hand_over("two", self.listening(), arguments=("--listen", "systemd:domain=INET:index=0"))
        self.wait_until_ready(named)
        for stopping in (False, True):
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PATIENCE)
                client.connect(path)
                client.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                if stopping:
                    self.wait_until_ready(self.hand_over("three", tcp, unix))
                self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 "))
            self.assertEqual(os.stat(path).st_mode & 0o777, 0o600)
            if not stopping:
                self.assertEqual(one.stop(), 0)

    def test_development_stays_on_this_machine(self) -> None:
        everywhere = socket.create_server(("0.0.0.0", 0))
        self.addCleanup(everywhere.close)
        program_env = dict.fromkeys(self.pool.env, "")
        fds = [everywhere.fileno()]
        service = self.begin(
            "one",
            "--dev",
            before=(sys.executable, "-c", _HAND_OVER, "1", str(fds[0])),
            fds=fds,
            env=program_env,
        )
        self.assertEqual(service.wait(), 2)
        self.assertIn("LISTEN_FDS", service.log)


def example_of_nginx() -> str:
    """The configuration in docs/scaling.md."""
    return block("docs/scaling.md", "", "nginx")


class NginxTests(SharedCase):
    def setUp(self) -> None:
        super().setUp()
        require("nginx")
        trusted = ("--host", "127.0.0.1", "--trusted-proxy", "127.0.0.1")
        self.nodes = {name: self.start(name, *trusted) for name in ("one", "two")}
        kept, self.port = free_port()
        kept.close()
        example = example_of_nginx()
        for name, place in (
            ("listen 80;", f"listen 127.0.0.1:{self.port};"),
            ("127.0.0.1:3021", f"127.0.0.1:{self.nodes['one'].port}"),
            ("127.0.0.1:3022", f"127.0.0.1:{self.nodes['two'].port}"),
        ):
            self.assertIn(name, example)
            example = example.replace(name, place)
        command = nginx(self.folder, example)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.addCleanup(self.end)
        wait_until_it_listens(self.process, self.port, lambda: self.process.stderr and self.process.stderr.read())

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate()

    def test_clients_on_long_polling(self) -> None:
        self.run_clients(self.port, "polling")
        self.assertShared(self.counted_in_all(self.nodes), "poll", "post")

    def test_clients_that_upgrade(self) -> None:
        self.run_clients(self.port, "upgrading")
        self.assertShared(self.counted_in_all(self.nodes), "poll", "post", "websocket")

    def test_clients_on_websockets(self) -> None:
        self.run_clients(self.port, "websockets")
        for counts in self.counted_in_all(self.nodes).values():
            self.assertGreater(counts["engine_sessions/websocket"], 0)
            self.assertFalse([name for name in counts if name.startswith("passed_on")])

    def test_the_log_of_nginx_knows_no_error(self) -> None:
        self.run_clients(self.port, "polling")
        log = Path(self.folder / "error.log").read_text()
        for word in ("[error]", "[crit]", "[alert]"):
            self.assertNotIn(word, log)
