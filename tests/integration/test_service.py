"""The whole service as a user runs it, by clients that no one here wrote."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect, unix_connect

from tests.certificates import make_certificate, write_pem
from tests.integration.service import ROOT, RunningService

#: for what arrives sooner or later; no figure that is expected
SOON = 30.0


class Base(SynchronousTestCase):
    def start(self, *arguments: str, **options: Any) -> RunningService:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        service = RunningService(*arguments, cwd=folder, **options)
        self.addCleanup(service.__exit__, None, None, None)
        return service.__enter__()

    def connect(self, service: RunningService, cookie: str = "", **options: Any) -> ClientConnection:
        headers = {"Cookie": cookie} if cookie else {}
        headers.update(options.pop("headers", {}))
        client = connect(service.url, additional_headers=headers, proxy=None, open_timeout=SOON, **options)
        self.addCleanup(client.close)
        return client

    def closed(self, client: ClientConnection) -> tuple[int, str]:
        """The close that the server sends, whatever comes before it."""
        with self.assertRaises(ConnectionClosed) as caught:
            while True:
                client.recv(timeout=SOON)
        received = caught.exception.rcvd
        assert received is not None, "no close frame"
        return received.code, received.reason


class DevelopmentTests(Base):
    def test_from_login_to_chat_to_logout(self) -> None:
        service = self.start("--dev")
        alice, bob = service.log_in("alice"), service.log_in("bob")
        me = service.request("GET", "/auth/me", cookie=alice)
        self.assertEqual((me.status, me.json["user"]["username"]), (200, "alice"))
        first, second = self.connect(service, alice), self.connect(service, bob)
        first.send("hello")
        said = {"user": me.json["user"]["id"], "message": "hello"}
        for client in (first, second):
            self.assertEqual(json.loads(client.recv(timeout=SOON)), said)
        second.send(json.dumps({"event": "customEvent", "data": 1}))
        self.assertEqual(json.loads(second.recv(timeout=SOON))["event"], "customResponse")
        answer = service.request("POST", "/auth/logout", {}, cookie=alice)
        self.assertEqual(answer.status, 204)
        self.assertEqual(self.closed(first), (1008, "Signed out"))
        second.send("still here")
        self.assertEqual(json.loads(second.recv(timeout=SOON))["message"], "still here")
        self.assertEqual(self.closed(self.connect(service, alice)), (1008, "Invalid authentication token"))

    def test_signing_out_everywhere_ends_every_session_of_the_user(self) -> None:
        service = self.start("--dev")
        alice, other, bob = service.log_in("alice"), service.log_in("alice"), service.log_in("bob")
        clients = [self.connect(service, cookie) for cookie in (alice, other)]
        staying = self.connect(service, bob)
        answer = service.request("POST", "/auth/logout", {"everywhere": True}, cookie=alice)
        self.assertEqual((answer.status, answer.body), (204, b""))
        for client in clients:
            self.assertEqual(self.closed(client), (1008, "Signed out"))
        self.assertEqual(self.closed(self.connect(service, other)), (1008, "Invalid authentication token"))
        self.assertEqual(service.request("POST", "/auth/refresh", {}, cookie=other).status, 401)
        staying.send("still here")
        self.assertEqual(json.loads(staying.recv(timeout=SOON))["message"], "still here")
        again = self.connect(service, service.log_in("alice"))
        again.send("and so am I")
        self.assertEqual(json.loads(again.recv(timeout=SOON))["message"], "and so am I")

    def test_a_shortened_token_closes_its_connections_when_it_ends(self) -> None:
        service = self.start("--dev")
        cookie = service.log_in("alice")
        client, other = self.connect(service, cookie), self.connect(service, service.log_in("alice"))
        answer = service.request("POST", "/auth/dev/shorten", {"seconds": 1}, cookie=cookie)
        self.assertEqual((answer.status, answer.json["user"]["username"]), (200, "alice"))
        shortened = "; ".join(answer.cookies)
        self.assertEqual(self.closed(client), (1008, "Authentication expired"))
        self.assertEqual(service.request("GET", "/auth/me", cookie=shortened).json["error"], "expired")
        self.assertEqual(service.request("POST", "/auth/refresh", {}, cookie=shortened).status, 200)
        other.send("of another session")
        self.assertEqual(json.loads(other.recv(timeout=SOON))["message"], "of another session")

    def test_without_a_good_token_the_reason_is_told(self) -> None:
        service = self.start("--dev")
        self.assertEqual(self.closed(self.connect(service)), (1008, "Missing authentication token"))
        bad = self.connect(service, "authToken=nonsense")
        self.assertEqual(self.closed(bad), (1008, "Invalid authentication token"))
        self.assertNotIn("nonsense", service.log)

    def test_a_foreign_origin_gets_403(self) -> None:
        service = self.start("--dev")
        with self.assertRaises(InvalidStatus) as caught:
            self.connect(service, service.log_in("alice"), origin="https://evil.example")
        self.assertEqual(caught.exception.response.status_code, 403)

    def test_a_refresh_leaves_the_connection_open_and_its_expiry_closes_it(self) -> None:
        # That a refresh moves the expiry is shown on a clock, in tests/test_sessions.py.
        service = self.start("--dev", "--dev-token-lifetime", "8")
        cookie = service.log_in("alice")
        client = self.connect(service, cookie)
        refreshed = service.request("POST", "/auth/refresh", {}, cookie=cookie)
        self.assertEqual(refreshed.status, 200)
        client.send("still here")
        self.assertEqual(json.loads(client.recv(timeout=SOON))["message"], "still here")
        self.assertEqual(self.closed(client), (1008, "Authentication expired"))
        renewed = self.connect(service, "; ".join(refreshed.cookies))
        self.assertEqual(self.closed(renewed)[0], 1008)

    def test_a_hundred_and_fifty_clients_hear_everything_and_are_told_of_the_end(self) -> None:
        service = self.start("--dev")
        cookie = service.log_in("alice")
        crowd = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.many_clients", service.url, cookie, "150", "20"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        try:
            assert crowd.stdout is not None
            self.assertEqual(json.loads(crowd.stdout.readline()), {"clients": 150, "complete": 150})
            self.assertEqual(service.stop(signal.SIGTERM), 0)
            self.assertEqual(json.loads(crowd.stdout.readline()), {"1001 Server shutting down": 150})
        finally:
            crowd.kill()
            crowd.communicate()
        self.assertNotIn("Traceback", service.log)
        self.assertNotIn("Unhandled", service.log)

    def test_sigint_ends_as_well_and_a_silent_client_is_cut_off(self) -> None:
        service = self.start("--dev", "--drain-timeout", "20")
        cookie = service.log_in("alice")
        silent = socket.create_connection(("127.0.0.1", service.port))
        self.addCleanup(silent.close)
        client = self.connect(service, cookie)
        self.assertEqual(service.stop(signal.SIGINT), 0)
        self.assertEqual(self.closed(client), (1001, "Server shutting down"))
        self.assertNotIn("Traceback", service.log)

    def test_health_and_readiness(self) -> None:
        service = self.start("--dev")
        self.assertEqual(service.request("GET", "/health").status, 200)
        ready = service.request("GET", "/ready")
        self.assertEqual((ready.status, ready.json["status"]), (200, "ok"))

    def test_a_websocket_opens_on_a_kept_alive_connection(self) -> None:
        service = self.start("--dev")
        cookie = service.log_in("alice")
        sock = socket.create_connection(("127.0.0.1", service.port), timeout=SOON)
        sock.sendall(f"GET /health HTTP/1.1\r\nHost: localhost:{service.port}\r\n\r\n".encode())
        while not sock.recv(65536).endswith(b"}"):
            pass
        client = self.connect(service, cookie, sock=sock)
        client.send("late")
        self.assertEqual(json.loads(client.recv(timeout=SOON))["message"], "late")


class ApplicationTests(Base):
    APP = """
from wsservice import App, ClientError
app = App()

@app.on_connect
def hello(connection):
    connection.join("lobby")
    if connection.user.username == "bob":
        raise ClientError("banned", "Not you")

@app.on("boom")
def boom(connection, data):
    raise RuntimeError("the application's own trouble")

@app.on("admin", roles={"admin"})
async def admin(connection, data):
    return {"answer": await connection.call("question", data)}
"""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        (self.folder / "chat.py").write_text(self.APP)
        self.service = RunningService("--dev", "--app", "chat:app", "--log-format", "json", cwd=self.folder)
        self.addCleanup(self.service.__exit__, None, None, None)
        self.service.__enter__()

    def test_the_users_app_is_found_in_the_working_directory(self) -> None:
        client = self.connect(self.service, self.service.log_in("alice"))
        client.send('{"event": "boom", "id": 1}')
        self.assertEqual(json.loads(client.recv(timeout=SOON))["error"]["code"], "internal_error")
        client.send('{"event": "admin", "data": 42, "id": 2}')
        question = json.loads(client.recv(timeout=SOON))
        self.assertEqual((question["event"], question["data"]), ("question", 42))
        client.send(json.dumps({"ack": question["id"], "data": "because"}))
        self.assertEqual(json.loads(client.recv(timeout=SOON)), {"ack": 2, "data": {"answer": "because"}})
        self.assertEqual(self.closed(self.connect(self.service, self.service.log_in("bob"))), (1008, "Not you"))
        line = self.service.wait_for_line(lambda line: "own trouble" in line)
        event = json.loads(line)
        self.assertTrue(event["connection_id"])
        self.assertTrue(event["request_id"])
        self.assertEqual(self.service.stop(), 0)


class SlowReaderTests(Base):
    APP = """
from wsservice import App
app = App()

@app.on("flood")
def flood(connection, data):
    app.emit("message", "x" * 60000, skip=connection)
    return "sent"
"""

    def test_a_client_that_does_not_read_is_closed_and_others_do_not_notice(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / "flooding.py").write_text(self.APP)
        service = RunningService("--dev", "--app", "flooding:app", "--log-level", "debug", cwd=folder)
        self.addCleanup(service.__exit__, None, None, None)
        service.__enter__()
        cookie = service.log_in("alice")
        self.connect(service, cookie, max_queue=1)  # its library stops reading when nobody takes what has come
        sender = self.connect(service, cookie)
        for number in range(1000):
            sender.send(json.dumps({"event": "flood", "id": number}))
            self.assertEqual(json.loads(sender.recv(timeout=SOON)), {"ack": number, "data": "sent"})
            if "4408" in service.log:
                break
        service.wait_for_line(lambda line: "connection closed" in line and "4408" in line)
        sender.send('{"event": "flood", "id": 5000}')
        self.assertEqual(json.loads(sender.recv(timeout=SOON))["ack"], 5000)


class TlsTests(Base):
    def test_https_and_wss_on_one_port_and_a_certificate_read_anew(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        certificate, key = make_certificate("localhost")
        chain, secret = write_pem(folder / "cert.pem", certificate), write_pem(folder / "key.pem", key)
        service = self.start("--dev", "--tls-cert", str(chain.resolve()), "--tls-key", str(secret.resolve()), tls=True)
        trusting = ssl.create_default_context(cafile=str(chain))
        cookie = service.log_in("alice")
        client = self.connect(service, cookie, ssl=trusting)
        client.send("over TLS")
        self.assertEqual(json.loads(client.recv(timeout=SOON))["message"], "over TLS")
        new, new_key = make_certificate("renewed")
        write_pem(chain, new)
        write_pem(secret, new_key)
        service.process.send_signal(signal.SIGHUP)
        service.wait_for_line(lambda line: "certificate was reloaded" in line)
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.connect(service, cookie, ssl=trusting)
        self.connect(service, cookie, ssl=ssl.create_default_context(cafile=str(chain)))
        client.send("the old connection stays")
        self.assertEqual(json.loads(client.recv(timeout=SOON))["message"], "the old connection stays")
        self.assertEqual(service.stop(), 0)
        self.assertEqual(self.closed(client)[0], 1001)


class EndpointTests(Base):
    def test_a_unix_socket_beside_a_port(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        service = self.start("--dev", "--listen", "tcp:0:interface=127.0.0.1", "--listen", "unix:ws.sock")
        service.wait_for_line(lambda line: "listening on" in line and "ws.sock" in line)
        with unix_connect(str(service.cwd / "ws.sock"), uri=service.url, open_timeout=SOON) as client:
            self.assertEqual(self.closed(client), (1008, "Missing authentication token"))
        self.assertEqual(service.stop(), 0)
        self.assertFalse((service.cwd / "ws.sock").exists())
