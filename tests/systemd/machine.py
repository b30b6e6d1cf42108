"""The units under a real systemd, in the container that `tests.systemd.run` boots; skipped without one."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.sync.client import ClientConnection, connect

from tests.certificates import make_certificate, write_pem
from tests.integration.test_socketio_node import Pool

MACHINE = os.environ.get("WSSERVICE_MACHINE", "")
#: seconds; a bound for a machine that is busy
PATIENCE = 60.0
PORT = 443
ORIGIN = "https://localhost"


def run(*command: str, stdin: str = "", check: bool = True) -> str:
    """What a command prints in the container."""
    done = subprocess.run(
        ["nsenter", "-t", MACHINE, "-a", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", *command],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    if check and done.returncode:
        log = "" if command[0] == "journalctl" else run("journalctl", "-n", "40", "--no-pager", check=False)
        raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}\n{log}")
    return done.stdout


def show(unit: str, name: str) -> str:
    """A property of a unit."""
    return run("systemctl", "show", "-P", name, unit).strip()


class MachineCase(SynchronousTestCase):
    if not MACHINE:
        skip = "no container with systemd: python -m tests.systemd.run, as root"

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.pool = Pool()
        self.pool.__enter__()
        self.addCleanup(self.pool.__exit__)
        run("systemd-sysusers")
        run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/wsservice.conf")
        self.settings = {**self.pool.env, "WSSERVICE_APP": "chat:app"}
        self.write_settings()
        self.put_certificate("localhost")
        self.addCleanup(run, "systemctl", "stop", "wsservice.socket", "wsservice.service", check=False)

    def write_settings(self, **more: str) -> None:
        text = "".join(f"{name}={value}\n" for name, value in {**self.settings, **more}.items())
        run("sh", "-c", "cat > /etc/wsservice/wsservice.env && chmod 644 /etc/wsservice/wsservice.env", stdin=text)

    def put_certificate(self, name: str) -> None:
        certificate, key = make_certificate(name)
        for file, part in (("TLS_CERT", certificate), ("TLS_KEY", key)):
            text = write_pem(self.folder / file, part).read_text()
            path = f"/etc/wsservice/credentials/{file}"
            run("sh", "-c", f"umask 077; cat > {path}", stdin=text)

    def start(self) -> None:
        run("systemctl", "start", "wsservice.socket", "wsservice.service")

    def open(self) -> ClientConnection:
        context = ssl._create_unverified_context()
        cookie = {"Cookie": self.pool.cookie("alice")}
        url = f"wss://localhost:{PORT}/ws"
        return connect(url, ssl=context, origin=ORIGIN, additional_headers=cookie, proxy=None, open_timeout=PATIENCE)  # type: ignore[arg-type]

    def name_on_certificate(self) -> str:
        with socket.create_connection(("127.0.0.1", PORT), PATIENCE) as plain:
            context = ssl._create_unverified_context()
            with context.wrap_socket(plain, server_hostname="localhost") as secure:
                der = secure.getpeercert(binary_form=True)
        from cryptography import x509

        assert der is not None
        return x509.load_der_x509_certificate(der).subject.rfc4514_string()

    def wait_for(self, what: str, is_so: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            self.assertLess(time.monotonic(), deadline, what)
            time.sleep(0.1)

    def journal(self, *options: str) -> list[dict[str, Any]]:
        since = f"_SYSTEMD_INVOCATION_ID={show('wsservice.service', 'InvocationID')}"
        lines = run("journalctl", "-o", "json", "--no-pager", since, *options).splitlines()
        return [json.loads(line) for line in lines]


class LifeTests(MachineCase):
    def test_an_authenticated_websocket_over_tls(self) -> None:
        self.start()
        self.assertEqual(show("wsservice.service", "ActiveState"), "active")
        with self.open() as client:
            client.send("hello")
            self.assertEqual(client.recv(PATIENCE), '"hello"')
        self.assertIn("serving", show("wsservice.service", "StatusText"))
        self.assertEqual(show("wsservice.service", "LimitNOFILE"), "262144")
        run("systemctl", "stop", "wsservice.socket", "wsservice.service")
        self.assertEqual(show("wsservice.service", "Result"), "success")

    def test_a_reload_changes_limits_and_keeps_connections(self) -> None:
        self.start()
        with self.open() as client:
            self.write_settings(CORS_ORIGIN="https://app.example.com", WSSERVICE_PORT="1", LOG_LEVEL="debug")
            run("systemctl", "reload", "wsservice.service")
            self.wait_for("it reloads", lambda: any("cors_origin=" in one["MESSAGE"] for one in self.journal()))
            self.assertEqual(show("wsservice.service", "ActiveState"), "active")
            client.send("still here")
            self.assertEqual(client.recv(PATIENCE), '"still here"')

    def test_a_new_certificate_is_there_after_a_restart_and_a_reload_says_so(self) -> None:
        self.put_certificate("one")
        self.start()
        self.assertEqual(self.name_on_certificate(), "CN=one")
        self.put_certificate("two")
        run("systemctl", "reload", "wsservice.service")
        self.wait_for("it warns", lambda: any("is a credential" in one["MESSAGE"] for one in self.journal()))
        self.assertEqual(self.name_on_certificate(), "CN=one")
        run("systemctl", "restart", "wsservice.service")
        self.assertEqual(self.name_on_certificate(), "CN=two")

    def test_a_loop_that_is_blocked_is_started_anew(self) -> None:
        run("systemctl", "set-property", "--runtime", "wsservice.service", "CPUAccounting=no", check=False)
        run("mkdir", "-p", "/run/systemd/system/wsservice.service.d")
        drop_in = "/run/systemd/system/wsservice.service.d/watchdog.conf"
        run("sh", "-c", f"cat > {drop_in}", stdin="[Service]\nWatchdogSec=2\n")
        run("systemctl", "daemon-reload")
        self.addCleanup(run, "systemctl", "daemon-reload")
        self.addCleanup(run, "rm", drop_in)
        self.start()
        before = show("wsservice.service", "MainPID")
        with self.open() as client:
            client.send('{"event": "block"}')
            self.wait_for("it is started anew", lambda: show("wsservice.service", "NRestarts") != "0")
        with self.open() as client:
            client.send("back")
            self.assertEqual(client.recv(PATIENCE), '"back"')
        self.assertNotEqual(show("wsservice.service", "MainPID"), before)

    def test_nobody_is_refused_while_it_is_started_anew(self) -> None:
        self.start()
        stop, failures, answers = threading.Event(), [], []

        def ask() -> None:
            while not stop.is_set():
                try:
                    with self.open() as client:
                        client.send("x")
                        answers.append(client.recv(PATIENCE))
                except Exception as error:
                    # Who was there already when it stopped is told so, in words that a client knows.
                    if "HTTP 503" not in str(error) and "1001" not in str(error):
                        failures.append(repr(error))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for one in threads:
            one.start()
        for _ in range(3):
            run("systemctl", "restart", "wsservice.service")
        count = len(answers)
        self.wait_for("they are answered", lambda: len(answers) > count + 4)
        stop.set()
        for one in threads:
            one.join()
        told = run("journalctl", "-u", "wsservice.service", "-n", "80", "--no-pager", "-o", "cat")
        self.assertEqual(failures, [], told)

    def test_the_first_who_comes_starts_it(self) -> None:
        run("systemctl", "stop", "wsservice.service", check=False)
        run("systemctl", "start", "wsservice.socket")
        self.assertEqual(show("wsservice.service", "ActiveState"), "inactive")
        with self.open() as client:
            client.send("first")
            self.assertEqual(client.recv(PATIENCE), '"first"')

    def test_the_journal_has_json_and_priorities(self) -> None:
        self.start()
        with self.open() as client:
            client.send('{"event": "fail", "id": 1}')
            self.assertIn("internal_error", str(client.recv(PATIENCE)))
        self.wait_for("it is told", lambda: self.journal("-p", "err"))
        (error,) = self.journal("-p", "err")
        line = json.loads(error["MESSAGE"])
        self.assertIn("as asked", line["traceback"])
        self.assertTrue(line["connection_id"])
        told = [one for one in self.journal() if one["MESSAGE"].startswith("{")]
        self.assertIn("6", {one["PRIORITY"] for one in told})
        self.assertNotIn(self.pool.cookie("alice"), "".join(one["MESSAGE"] for one in told))

    def test_settings_that_are_wrong_are_not_tried_again(self) -> None:
        self.write_settings(PORT="eighty")
        run("systemctl", "start", "wsservice.service", check=False)
        self.wait_for("it fails", lambda: show("wsservice.service", "ActiveState") == "failed")
        self.assertEqual(show("wsservice.service", "ExecMainStatus"), "2")
        run("systemctl", "reset-failed", "wsservice.service", "wsservice.socket", check=False)
