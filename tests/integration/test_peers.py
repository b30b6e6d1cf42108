"""Two real nodes: a request that reaches the wrong one is answered as by the session's owner."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import time
from typing import Any

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.certificates import make_certificate, write_pem
from tests.integration.cluster import PATIENCE, ClusterCase, RawPolling
from tests.integration.service import RunningService

UNKNOWN = {"code": 1, "message": "Session ID unknown"}


class PeerCase(ClusterCase):
    #: of each node
    arguments: tuple[str, ...] = ("--log-level", "debug")

    def setUp(self) -> None:
        super().setUp()
        self.one = self.start("one", "--host", "127.0.0.1", *self.arguments)
        self.two = self.start("two", "--host", "127.0.0.1", *self.arguments)
        self.cookie = self.pool.cookie("alice")

    def joined(self) -> RawPolling:
        """A session of the first node, joined by way of the second."""
        session = RawPolling(self.one, self.cookie)
        self.assertEqual(session.post(self.two, "40"), (200, b"ok"))
        status, body = session.get(self.two)
        self.assertEqual((status, body[:2]), (200, b"40"), body)
        return session

    def assertUnknown(self, got: tuple[int, bytes]) -> None:
        self.assertEqual((got[0], json.loads(got[1])), (400, UNKNOWN))

    def stopped(self, service: RunningService) -> dict[str, int]:
        self.assertEqual(service.stop(), 0)
        return self.counted(service)


class PollTests(PeerCase):
    def test_both_ways_work_and_the_sid_names_the_owner(self) -> None:
        session = self.joined()
        self.assertRegex(session.sid, r"^one\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{22}$")
        for number, service in enumerate([self.two, self.one] * 5):
            self.assertEqual(session.post(service, f'42{number}["echo","é",{number}]'), (200, b"ok"))
            self.assertEqual(session.get(service), (200, f'43{number}["é",{number}]'.encode()))
        counted = self.stopped(self.two)
        self.assertEqual((counted["passed_on/poll"], counted["passed_on/post"]), (6, 6))
        self.assertNotIn("passed_on/poll", self.stopped(self.one))

    def test_a_long_answer_comes_whole(self) -> None:
        session = self.joined()
        text = "ä€" * 90_000
        self.assertEqual(session.post(self.two, f'421["echo","{text}"]'), (200, b"ok"))
        self.assertEqual(session.get(self.two), (200, f'431["{text}"]'.encode()))

    def test_a_body_over_the_bound_is_refused_here_and_ends_the_session(self) -> None:
        session = self.joined()
        self.assertEqual(session.post(self.two, "4" * 1_100_000)[0], 413)
        self.two.wait_for_line(lambda line: "POST /socket.io/ 413" in line or "request refused: 413" in line)
        while session.get(self.one)[0] == 200:
            pass
        self.assertUnknown(session.get(self.one))

    def test_the_answer_of_the_owner_keeps_its_headers_and_there_is_one_of_each(self) -> None:
        session = self.joined()
        session.post(self.two, '421["echo","' + "x" * 3000 + '"]')
        answer = self.two.request("GET", session.path, headers={"Accept-Encoding": "gzip"})
        names = [name.lower() for name, _ in answer.headers]
        self.assertEqual(len(names), len(set(names)), names)
        headers = {name.lower(): value for name, value in answer.headers}
        self.assertEqual((headers["content-encoding"], headers["cache-control"]), ("gzip", "no-store"))

    def test_the_owner_sees_the_client_and_the_request_id(self) -> None:
        session = self.joined()
        session.post(self.two, "3")
        session.post(self.two, '421["echo"]')
        answer = self.two.request("GET", session.path, headers={"X-Request-Id": "from-a-test-1"})
        self.assertEqual(answer.status, 200)
        self.one.wait_for_line(lambda line: "(from-a-test-1, 127.0.0.1)" in line)
        self.two.wait_for_line(lambda line: "(from-a-test-1, 127.0.0.1)" in line)

    def test_a_client_that_goes_away_ends_the_poll_at_the_owner(self) -> None:
        session = self.joined()
        watcher = RawPolling(self.one, self.cookie)
        watcher.post(self.one, "40")
        watcher.get(self.one)
        watcher.post(self.one, '42["enter","watchers"]')
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
            client.sendall(f"GET {session.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            # The service has read it when it answers who comes behind it.
            self.assertEqual(self.two.request("GET", "/health").status, 200)
        body = b""
        while b'"left"' not in body:
            status, body = watcher.get(self.one)
            self.assertEqual(status, 200)
            if body == b"2":
                watcher.post(self.one, "3")
        self.assertIn(b"transport error", body)
        self.assertUnknown(session.get(self.two))

    def test_a_body_that_breaks_off_ends_the_session(self) -> None:
        session = self.joined()
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
            client.sendall(f"POST {session.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n42[".encode())
        while session.get(self.one)[0] == 200:
            pass
        self.assertUnknown(session.get(self.one))

    def test_an_answer_that_was_not_taken_ends_the_session(self) -> None:
        for size in (300_000, 20_000):
            session = self.joined()
            for number in range(3):
                self.assertEqual(session.post(self.one, f'42{number}["echo","{"x" * size}"]'), (200, b"ok"))
            with socket.socket() as client:
                client.settimeout(PATIENCE)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.connect(("127.0.0.1", self.two.port))
                client.sendall(f"GET {session.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
                self.assertTrue(client.recv(500).startswith(b"HTTP/1.1 200 "))
                time.sleep(1)
            time.sleep(1)
            self.assertUnknown(session.get(self.one))
        self.assertEqual(self.stopped(self.two)["passed_on/lost_poll"], 2)
        self.assertEqual(self.stopped(self.one)["messages_dropped/lost"], 6)

    def test_a_head_of_the_largest_size_arrives(self) -> None:
        session = self.joined()
        lines = [f"a:{number}" for number in range(97)]
        for request, status in (
            (f"POST {session.path} HTTP/1.1\r\nHost:{{}}\r\nContent-Length:1\r\n", 200),
            (
                _upgrade(session.path.replace("polling", "websocket"))
                .replace("Host: a", "Host:{}")
                .removesuffix("\r\n"),
                101,
            ),
        ):
            fixed = "\r\n".join([request + lines[0], *lines[1 : 99 - request.count("\r\n")], "", ""])
            head = fixed.format("a" * (16384 + 2 - len(fixed)))
            self.assertEqual(len(head), 16384)
            with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
                client.sendall(f"{head}3".encode() if status == 200 else head.encode())
                self.assertTrue(client.recv(1000).startswith(f"HTTP/1.1 {status} ".encode()), request)

    def test_who_speaks_for_nobody_may_send_little(self) -> None:
        session = RawPolling(self.one, "")
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=10) as client:
            client.sendall(f"POST {session.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 990000\r\n\r\n".encode())
            client.sendall(b"4" * 980_000)
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 413 "))
        while session.get(self.one)[0] == 200:  # until it has been told
            pass
        self.assertUnknown(session.get(self.one))
        self.assertEqual(self.joined().post(self.two, '42["echo","' + "x" * 900_000 + '"]'), (200, b"ok"))

    def test_forged_and_foreign_sids_reach_nobody(self) -> None:
        session = self.joined()
        node, random, mac = session.sid.split(".")
        for sid in (
            f"{node}.{random}.{'A' * 22}",
            f"{node}.{'B' * 20}.{mac}",
            f"three.{random}.{mac}",
            f"two.{random}.{mac}",
            f"../{node}.{random}.{mac}",
            session.sid + "x",
        ):
            forged = RawPolling(self.one, self.cookie)
            forged.sid = sid
            self.assertUnknown(forged.get(self.two))
            self.assertUnknown(forged.post(self.two, "3"))
        counted = self.stopped(self.two)
        self.assertEqual(counted["passed_on/poll"] + counted["passed_on/post"], 2)
        self.assertEqual(counted["polls_refused/session_unknown"], 12)

    def test_a_session_that_has_ended_is_unknown_to_its_owner_too(self) -> None:
        session = self.joined()
        session.post(self.two, "1")
        self.assertUnknown(session.get(self.two))

    def test_an_owner_that_was_killed_is_out_of_reach_until_it_is_known_to_be_dead(self) -> None:
        session = self.joined()
        self.one.stop(signal.SIGKILL)
        status, body = session.get(self.two)
        self.assertIn(status, (502, 503))  # a connection that was kept has not been told yet
        status, body = session.get(self.two)
        self.assertEqual((status, json.loads(body)["message"]), (503, "The session's node cannot be reached"))
        (self.folder / "one.node").unlink()
        self.assertUnknown(session.get(self.two))
        self.assertEqual(RawPolling(self.two, self.cookie).post(self.two, "40"), (200, b"ok"))
        counted = self.stopped(self.two)
        self.assertGreaterEqual(counted["passed_on_failed/unreachable"], 1)

    def test_a_node_that_stops_lets_go_of_the_polls_of_others(self) -> None:
        session = self.joined()
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
            client.sendall(f"GET {session.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            # It is under way when a request behind it is.
            self.assertEqual(self.two.request("GET", "/health").status, 200)
            counted = self.stopped(self.two)
            self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(counted["passed_on/poll"], 2)
        self.assertNotIn("drain_cut_off/requests", counted)

    def test_an_owner_that_stands_still_holds_nobody_else_up(self) -> None:
        session, own = self.joined(), RawPolling(self.two, self.cookie)
        self.one.process.send_signal(signal.SIGSTOP)
        try:
            with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
                body = '421["echo"]'
                head = f"POST {session.path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
                client.sendall(f"{head}{body}".encode())
                self.assertEqual(own.post(self.two, "40"), (200, b"ok"))
                self.assertEqual(own.get(self.two)[1][:2], b"40")
                for number in range(10):
                    self.assertEqual(own.post(self.two, f'42{number}["echo"]'), (200, b"ok"))
                    self.assertEqual(own.get(self.two), (200, f"43{number}[]".encode()))
                self.one.process.send_signal(signal.SIGCONT)
                self.assertTrue(client.recv(1000).startswith(b"HTTP/1.1 200 "))
        finally:
            self.one.process.send_signal(signal.SIGCONT)
        self.assertEqual(session.get(self.two), (200, b"431[]"))

    def test_a_stranger_at_the_private_address_is_refused(self) -> None:
        session = self.joined()
        address = (self.folder / "one.node").read_text().removeprefix("unix:")
        for request in (
            f"GET {session.path} HTTP/1.1\r\nHost: a\r\n\r\n",
            f"GET {session.path} HTTP/1.1\r\nHost: a\r\nX-Wsservice-Peer: 1.{'0' * 64}\r\n\r\n",
            f"POST {session.path} HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n3",
            _upgrade(session.path.replace("polling", "websocket")),
        ):
            with socket.socket(socket.AF_UNIX) as stranger:
                stranger.settimeout(PATIENCE)
                stranger.connect(address)
                stranger.sendall(request.encode())
                self.assertTrue(stranger.recv(100).startswith(b"HTTP/1.1 403 "), request)
        self.assertEqual(session.post(self.two, '421["echo"]'), (200, b"ok"))


def _upgrade(path: str) -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )


class WebSocketTests(PeerCase):
    def open(self, service: RunningService, sid: str, **headers: str) -> Any:
        url = f"ws://127.0.0.1:{service.port}/socket.io/?EIO=4&transport=websocket&sid={sid}"
        return connect(url, proxy=None, open_timeout=PATIENCE, additional_headers=headers)

    def test_a_session_moves_to_a_websocket_at_the_wrong_node(self) -> None:
        session = self.joined()
        with self.open(self.two, session.sid) as moved:
            moved.send("2probe")
            self.assertEqual(moved.recv(timeout=PATIENCE), "3probe")
            self.assertEqual(session.get(self.two), (200, b"6"))
            moved.send("5")
            for text in ("short", "x" * 900_000):
                moved.send(f'421["echo","{text}"]')
                self.assertEqual(moved.recv(timeout=PATIENCE), f'431["{text}"]')
        self.assertUnknown(session.get(self.two))
        self.assertEqual(self.stopped(self.two)["passed_on/websocket"], 1)

    def test_an_upgrade_behind_a_poll_on_one_connection(self) -> None:
        session = self.joined()
        session.post(self.two, '421["echo",1]')
        with socket.create_connection(("127.0.0.1", self.two.port), timeout=PATIENCE) as client:
            client.sendall(f"GET {session.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b"431[1]"):
                answer += client.recv(1000)
            client.sendall(_upgrade(session.path.replace("polling", "websocket")).encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += client.recv(1000)
            self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)

    def test_what_the_owner_refuses_is_refused(self) -> None:
        session = self.joined()
        for sid, headers, status in (
            (session.sid, {"Origin": "https://evil.example"}, 403),
            (session.sid[:-1] + "_", {}, 400),
        ):
            with self.assertRaises(InvalidStatus) as caught:
                self.open(self.two, sid, **headers)
            self.assertEqual(caught.exception.response.status_code, status)
        self.one.stop(signal.SIGKILL)
        with self.assertRaises(InvalidStatus) as caught:
            self.open(self.two, session.sid)
        self.assertEqual(caught.exception.response.status_code, 503)

    def test_a_stop_of_either_node_ends_it(self) -> None:
        for stopping in (self.two, self.one):
            session = self.joined()
            with self.open(self.two, session.sid) as moved:
                moved.send("2probe")
                self.assertEqual(moved.recv(timeout=PATIENCE), "3probe")
                session.get(self.two)
                moved.send("5")
                moved.send('421["echo"]')
                self.assertEqual(moved.recv(timeout=PATIENCE), "431[]")
                self.assertEqual(stopping.stop(), 0)
                with self.assertRaises(ConnectionClosed):
                    moved.recv(timeout=PATIENCE)
                # A node does not know what it passes on, and cannot say good-bye in it.
                self.assertEqual(moved.close_code, 1006 if stopping is self.two else 1001)
            if stopping is self.two:
                self.two = self.start("two", "--host", "127.0.0.1")


class TlsTests(PeerCase):
    def setUp(self) -> None:
        ClusterCase.setUp(self)
        pem = write_pem(self.folder / "both.pem", *make_certificate("localhost"))
        arguments = ("--host", "127.0.0.1", "--tls-cert", str(pem))
        self.one, self.two = (self.start(name, *arguments, tls=True) for name in ("one", "two"))
        self.cookie = self.pool.cookie("alice")

    def test_polls_and_websockets_are_passed_on_and_origins_are_those_of_https(self) -> None:
        session = self.joined()
        text = "ä€" * 90_000
        self.assertEqual(session.post(self.two, f'421["echo","{text}"]'), (200, b"ok"))
        self.assertEqual(session.get(self.two), (200, f'431["{text}"]'.encode()))
        url = f"wss://localhost:{self.two.port}/socket.io/?EIO=4&transport=websocket&sid={session.sid}"
        context = ssl._create_unverified_context()
        origin: Any = self.two.origin
        with connect(url, proxy=None, open_timeout=PATIENCE, ssl=context, origin=origin) as moved:
            moved.send("2probe")
            self.assertEqual(moved.recv(timeout=PATIENCE), "3probe")
            self.assertEqual(session.get(self.two), (200, b"6"))
            moved.send("5")
            for number in range(5):
                moved.send(f'42{number}["echo","{text}"]')
            for number in range(5):
                self.assertEqual(moved.recv(timeout=PATIENCE), f'43{number}["{text}"]')
        self.assertEqual(self.stopped(self.two)["passed_on/websocket"], 1)


class TcpTests(PollTests):
    """The same between machines."""

    arguments = ("--log-level", "debug", "--peer-listen", "tcp:0:interface=127.0.0.1")

    def test_a_stranger_at_the_private_address_is_refused(self) -> None:
        session = self.joined()
        port = int((self.folder / "one.node").read_text().rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stranger:
            stranger.sendall(f"GET {session.path} HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n".encode())
            self.assertTrue(stranger.recv(100).startswith(b"HTTP/1.1 403 "))
