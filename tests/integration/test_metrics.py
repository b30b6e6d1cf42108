"""`/metrics` of the whole service, asked as Prometheus asks, with clients that no one here wrote."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import time
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.integration.redis_server import RedisServer
from tests.integration.service import RunningService
from tests.integration.socketio_client import SocketIoClient
from tests.integration.test_service import SOON, Base
from tests.metrics.scrape import OPENMETRICS, samples

_AT = re.compile(r"metrics at 127\.0\.0\.1:(\d+)")


def scrape(service: RunningService) -> dict[tuple[str, tuple[str, ...]], float]:
    """The samples by name and labels' values."""
    port = int(service.wait_for_line(lambda line: _AT.search(line) is not None, _AT)[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SOON)
    connection.request("GET", "/metrics", headers={"Accept": OPENMETRICS})
    answer = connection.getresponse()
    assert answer.status == 200, answer
    body = answer.read().decode()
    connection.close()
    return samples(text_string_to_metric_families(body))


class MetricsTests(Base):
    def serve(self, *arguments: str, **options: Any) -> RunningService:
        return self.start("--dev", "--metrics-listen", "tcp:0:interface=127.0.0.1", *arguments, **options)

    def open_silent(self, service: RunningService) -> socket.socket:
        """A raw client that reads nothing behind its handshake, and says nothing."""
        silent = socket.create_connection(("127.0.0.1", service.port))
        self.addCleanup(silent.close)
        silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        head = (
            f"GET /ws HTTP/1.1\r\nHost: localhost:{service.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Cookie: {service.log_in('alice')}\r\n\r\n"
        )
        silent.sendall(head.encode())
        silent.recv(12)
        return silent

    def wait_until(self, service: RunningService, name: str, *labels: str, value: float) -> None:
        """Scrape until a sample has a value, or at least that."""
        deadline = time.monotonic() + SOON
        while scrape(service).get((name, labels), 0) < value:
            assert time.monotonic() < deadline, (name, labels, scrape(service))
            time.sleep(0.05)

    def test_clients_of_each_transport_and_their_messages_are_told(self) -> None:
        service = self.serve("--login-burst", "100")
        alice, bob = (self.connect(service, service.log_in(user)) for user in ("alice", "bob"))
        alice.send("hello")
        for client in (alice, bob):
            client.recv(timeout=SOON)
        carol = service.log_in("carol")
        SocketIoClient(service.port, carol)
        opened = service.request("GET", "/socket.io/?EIO=4&transport=polling", cookie=carol)
        self.assertEqual(opened.status, 200)
        stranger = self.connect(service)
        self.assertEqual(self.closed(stranger)[0], 1008)
        found = scrape(service)
        for name, labels, value in (
            ("wsservice_connections", ("raw",), 2),
            ("wsservice_connections", ("websocket",), 1),
            ("wsservice_connections", ("polling",), 1),
            ("wsservice_users", (), 3),
            ("wsservice_handshakes_total", ("missing",), 1),
            ("wsservice_handshakes_total", ("ok",), 3),
            ("wsservice_received_bytes_total", (), 5),
            ("wsservice_sent_messages_total", (), 2),
            ("wsservice_fan_out_seconds_count", (), 1),
            ("wsservice_ready", ("keys",), 1),
        ):
            self.assertEqual(found[name, labels], value, name)
        self.wait_until(service, "wsservice_event_loop_lag_seconds_count", value=1)

    def test_a_client_that_does_not_read_shows_in_the_queue(self) -> None:
        service = self.serve("--login-burst", "100")
        self.open_silent(service)
        talker = self.connect(service, service.log_in("bob"))
        text = "x" * 60_000
        for _ in range(200):
            talker.send(text)
            talker.recv(timeout=SOON)
            found = scrape(service)
            if found["wsservice_send_queue_bytes", ("raw",)] or found["wsservice_slow_consumers_total", ("open",)]:
                break
        self.assertGreaterEqual(found["wsservice_send_queue_messages", ("raw",)], 1)

    def test_a_stop_can_be_watched(self) -> None:
        service = self.serve()
        silent = self.open_silent(service)  # it does not answer the close, so that the stop waits for it
        service.process.send_signal(signal.SIGTERM)
        while scrape(service)["wsservice_ready", ("service",)]:
            time.sleep(0.05)
        silent.close()
        self.assertEqual(service.wait(), 0)

    def test_a_port_that_is_taken_is_told_with_the_option(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            folder = Path(self.mktemp())
            folder.mkdir(parents=True)
            service = RunningService("--dev", "--metrics-listen", f"tcp:{port}:interface=127.0.0.1", cwd=folder)
            self.assertEqual(service.wait(), 2)
            assert service.process.stdout is not None
            service.process.stdout.close()
        self.assertIn(f"cannot listen on tcp:{port}:interface=127.0.0.1: Address already in use", service.log)
        self.assertIn("--metrics-listen", service.log)

    def test_a_token_guards_it_on_the_services_own_port_and_is_never_shown(self) -> None:
        token = "m" * 40
        service = self.start("--dev", env={"WSSERVICE_METRICS_TOKEN": token})
        self.assertEqual(service.request("GET", "/metrics").status, 401)
        answer = service.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
        self.assertEqual(answer.status, 200)
        self.assertIn(b"wsservice_build_info", answer.body)
        service.stop()
        self.assertNotIn(token, service.log)
        self.assertIn("metrics_token=****", service.log)

    def test_the_state_of_redis_is_told(self) -> None:
        redis = RedisServer(self.mktemp())
        self.addCleanup(redis.stop)
        service = self.serve("--adapter", redis.url)
        self.wait_until(service, "wsservice_adapter_up", value=1)
        self.wait_until(service, "wsservice_adapter_lag_seconds", "commands", value=1e-9)
        found = scrape(service)
        self.assertLess(found["wsservice_adapter_lag_seconds", ("subscriptions",)], SOON)
        redis.stop()
        self.wait_until(service, "wsservice_adapter_connections_lost_total", "commands", value=1)
        self.assertEqual(scrape(service)["wsservice_adapter_up", ()], 0)
        client = self.connect(service, service.log_in("alice"))
        client.send(json.dumps("waits for Redis"))
        client.recv(timeout=SOON)
        self.wait_until(service, "wsservice_adapter_queue_messages", value=1)
