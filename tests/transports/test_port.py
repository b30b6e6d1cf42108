"""The one port: who answers which connection, and what is refused before anybody does."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import formatEvent, globalLogPublisher
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import alsoProvides

from tests.clients.bench import Bench
from tests.transports.fixtures import Service
from tests.transports.memory import MemoryTransport
from wsservice.admission import Admission
from wsservice.alarms import Alarms
from wsservice.counters import Counters
from wsservice.headers import security_headers
from wsservice.transports.accepting import Accepting
from wsservice.transports.port import MAX_HEAD, PortFactory, websocket_path

UPGRADE = (
    b"GET /ws?x=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PLAIN = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Recorder(Protocol):
    def __init__(self) -> None:
        self.data = b""

    def dataReceived(self, data: bytes) -> None:
        self.data += data


class WebRecorder(Recorder):
    is_last = False

    def finish_up(self) -> None:
        self.is_last = True


class RecorderFactory(Factory):
    protocol = Recorder
    refuses = False
    started = 0

    def buildProtocol(self, addr: Any) -> Any:
        return None if self.refuses else self.protocol()

    def startFactory(self) -> None:
        self.started += 1

    def stopFactory(self) -> None:
        self.started -= 1


class Listening:
    """A listening port that remembers whether it was left alone."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def stopReading(self) -> None:
        self.steps.append("stop")

    def startReading(self) -> None:
        self.steps.append("start")


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.listening = Listening()
        self.clock = Clock()
        self.counters = Counters()
        self.ws, self.web = RecorderFactory(), RecorderFactory()
        self.web.protocol = WebRecorder
        self.factory = PortFactory(
            {b"/ws": self.ws}, self.web, clock=self.clock, counters=self.counters, head_timeout=5.0
        )

    def connect(self) -> MemoryTransport:
        transport = MemoryTransport()
        protocol = self.factory.buildProtocol(transport.getPeer())
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport

    def test_an_upgrade_goes_to_the_websocket_and_anything_else_to_the_web(self) -> None:
        for head in (UPGRADE, PLAIN, UPGRADE.replace(b"/ws", b"/other"), b"POST /ws HTTP/1.1\r\n\r\nbody"):
            transport = self.connect()
            transport.protocol.dataReceived(head)
            self.assertIsInstance(transport.protocol, Recorder)
            self.assertEqual(transport.protocol.data, head)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_head_that_comes_byte_by_byte_is_handed_over_whole(self) -> None:
        transport = self.connect()
        for index in range(len(UPGRADE)):
            transport.protocol.dataReceived(UPGRADE[index : index + 1])
        self.assertEqual(transport.protocol.data, UPGRADE)

    def test_over_tls_the_wrapped_protocol_is_replaced(self) -> None:
        wrapping = WrappingFactory(self.factory)
        wrapper = ProtocolWrapper(wrapping, self.factory.buildProtocol(None))
        wrapper.makeConnection(StringTransport())
        wrapper.dataReceived(UPGRADE)
        self.assertIsInstance(wrapper.wrappedProtocol, Recorder)
        wrapper.dataReceived(b"more")
        self.assertEqual(wrapper.wrappedProtocol.data, UPGRADE + b"more")

    def test_a_head_that_does_not_end_in_time_is_refused(self) -> None:
        transport = self.connect()
        for _ in range(5):
            transport.protocol.dataReceived(b"X")
            self.clock.advance(1)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 408 "))
        self.assertEqual(transport.ended, "lost")
        body = b'{"error":"timeout","message":"The request took too long to arrive.","requestId":'
        self.assertIn(body, transport.value())
        self.assertEqual(self.counters.get("heads_refused", "timeout"), 1)
        transport.protocol.dataReceived(b"\r\n\r\n")
        self.assertEqual(transport.value().count(b"HTTP/1.1"), 1)

    def test_a_head_over_the_bound_is_refused_whether_it_ends_or_not(self) -> None:
        for head in (b"X" * (MAX_HEAD + 1), b"X" * (MAX_HEAD + 1) + b"\r\n\r\n"):
            transport = self.connect()
            transport.protocol.dataReceived(head)
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 431 "))
            self.assertIn(b'{"error":"head_too_large",', transport.value())
            self.assertEqual(transport.ended, "lost")
            transport.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_refusal_is_logged_with_the_id_that_the_client_is_told_and_its_address(self) -> None:
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        transport = self.connect()
        self.clock.advance(5.0)
        told = [event for event in events if event["log_namespace"] == "wsservice.transports.port"]
        self.assertEqual([formatEvent(event)[:21] for event in told], ["request refused: 408 "])
        self.assertEqual(told[0]["log_flood"], "request refused: timeout")
        self.assertEqual(told[0]["peer"], transport.getPeer().host)
        self.assertIn(f"X-Request-Id: {told[0]['request_id']}\r\n".encode(), transport.value())
        self.clock.advance(10.0)

    def test_a_refused_client_that_does_not_read_is_cut_off(self) -> None:
        for unsent, ended in ((1, "aborted"), (0, "lost")):  # what the system has it brings to the client
            transport = self.connect()
            transport.protocol.dataReceived(b"X" * (MAX_HEAD + 1))
            transport.unsent, transport.ended = unsent, None
            self.clock.advance(3)
            self.assertEqual(transport.ended, ended)

    def test_a_large_body_behind_a_small_head_is_no_large_head(self) -> None:
        transport = self.connect()
        transport.protocol.dataReceived(PLAIN + b"x" * MAX_HEAD * 2)
        self.assertIsInstance(transport.protocol, Recorder)

    def test_a_client_that_leaves_leaves_nothing(self) -> None:
        transport = self.connect()
        transport.finish()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.factory.waiting, set())

    def test_a_factory_that_wants_nobody_drops_the_connection(self) -> None:
        self.web.refuses = True
        transport = self.connect()
        transport.protocol.dataReceived(PLAIN)
        self.assertEqual(transport.ended, "aborted")

    def test_those_that_wait_can_be_dropped(self) -> None:
        transport = self.connect()
        self.factory.close_waiting()
        self.assertEqual(transport.ended, "aborted")
        self.assertEqual(self.counters.get("heads_refused", "stopping"), 1)

    def test_a_refusal_has_the_security_headers_of_all_answers(self) -> None:
        for secure in (False, True):
            transport = MemoryTransport()
            if secure:
                alsoProvides(transport, ISSLTransport)
            protocol = transport.protocol = self.factory.buildProtocol(transport.getPeer())
            protocol.makeConnection(transport)
            protocol.dataReceived(b"X" * (MAX_HEAD + 1))
            head = transport.value().partition(b"\r\n\r\n")[0].split(b"\r\n")
            for name, value in security_headers(secure=secure, host=""):
                self.assertEqual([line for line in head if line.startswith(name + b":")], [name + b": " + value])
            transport.finish()

    def test_the_site_starts_and_stops_with_the_port(self) -> None:
        self.factory.doStart()
        self.assertEqual(self.web.started, 1)
        self.factory.doStop()
        self.assertEqual(self.web.started, 0)

    def limited(self, **limits: int) -> Admission:
        """Let so many connections in only."""
        alarms = Alarms(self.counters, self.clock.seconds)
        admission = Admission(is_exempt=lambda peer: False, alarms=alarms, **{"most": 10, "per_address": 10, **limits})
        self.factory = PortFactory(
            {b"/ws": self.ws},
            self.web,
            clock=self.clock,
            counters=self.counters,
            head_timeout=5.0,
            probes=frozenset({b"/health", b"/ready"}),
            admission=admission,
            accepting=Accepting(self.clock, alarms, highest=50),
        )
        self.factory.accepting.ports.append(self.listening)
        return admission

    def test_one_connection_too_many_is_told_so_and_when_to_come_again(self) -> None:
        for limits, status in (({"most": 2}, b"503 "), ({"per_address": 2}, b"429 ")):
            admission = self.limited(**limits)
            first, _, third = (self.connect() for _ in range(3))
            self.assertTrue(third.value().startswith(b"HTTP/1.1 " + status), third.value())
            self.assertIn(b"\r\nRetry-After: 5\r\n", third.value())
            self.assertEqual(third.ended, "lost")
            third.finish()
            self.assertEqual(len(admission), 2)
            first.finish()
            self.assertEqual(len(admission), 1)
            self.assertEqual(self.connect().value(), b"")

    def full(self, spare: int = 2, **limits: int) -> Admission:
        """All places are taken, but for the spare ones."""
        admission = self.limited(most=1, spare=spare, **limits)
        self.assertIsNone(admission.admit("192.0.2.1"))
        return admission

    def test_who_asks_how_the_service_is_is_answered_when_all_places_are_taken(self) -> None:
        admission = self.full()
        for line in (b"GET /health", b"HEAD /health", b"GET /ready", b"HEAD /ready?verbose"):
            head = line + b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
            transport = self.connect()
            for piece in (head[:9], head[9:] + PLAIN):
                transport.protocol.dataReceived(piece)
            self.assertEqual((transport.protocol.data, transport.protocol.is_last), (head, True))
            self.assertEqual(len(admission), 2)
            transport.finish()
            self.web.lost("192.0.2.7")
            self.assertEqual(len(admission), 1)
        self.assertEqual(self.counters.get("limits_hit", "connections"), 4)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_else_is_served_then(self) -> None:
        admission = self.full()
        for line in (b"POST /health", b"GET /", b"GET /health/", b"GET /healthy", b"GET /%68ealth", b"GET //ready"):
            self.refused_in_spare_place(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for body in (b"Content-Length: 1", b"content-length:00010", b"Transfer-Encoding: chunked"):
            self.refused_in_spare_place(b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + body + b"\r\n\r\n")
        for head in (UPGRADE, b"GET /health\r\n\r\n", b"\r\n\r\n", b"X" * (MAX_HEAD + 1)):
            self.refused_in_spare_place(head)
        self.assertEqual(len(admission), 1)
        self.assertEqual(self.counters.get("heads_refused", "too_many_connections"), 13)

    def refused_in_spare_place(self, head: bytes) -> None:
        transport = self.connect()
        self.assertEqual(transport.value(), b"")
        transport.protocol.dataReceived(head)
        self.assertTrue(transport.value().startswith(b"HTTP/1.1 503 "), transport.value())
        self.assertIn(b"\r\nRetry-After: 5\r\n", transport.value())
        self.assertEqual(transport.ended, "lost")
        self.assertEqual(len(self.factory.admission), 1)  # before the client has taken the answer
        transport.finish()
        self.assertEqual(len(self.factory.admission), 1)

    def test_the_time_in_a_spare_place_is_short(self) -> None:
        admission = self.full()
        first, second = self.connect(), self.connect()
        second.protocol.dataReceived(b"GET /health HTTP/1.1\r\n")
        self.clock.advance(0.9)
        self.assertEqual((first.ended, second.ended, len(admission)), (None, None, 3))
        self.clock.advance(0.2)
        for transport in (first, second):
            self.assertTrue(transport.value().startswith(b"HTTP/1.1 503 "), transport.value())
            transport.protocol.dataReceived(b"\r\n\r\n")
            transport.finish()
        self.assertEqual((len(admission), self.clock.getDelayedCalls()), (1, []))

    def test_beyond_the_spare_places_who_has_said_nothing_for_longest_gives_way(self) -> None:
        admission = self.full()
        waiting = [self.connect() for _ in range(3)]
        self.assertTrue(waiting[0].value().startswith(b"HTTP/1.1 503 "))
        self.assertEqual([transport.value() for transport in waiting[1:]], [b"", b""])
        waiting[0].finish()
        waiting[1].finish()
        self.assertEqual(self.connect().value(), b"")
        self.factory.close_waiting()
        self.assertEqual(waiting[2].ended, "aborted")
        for port in list(self.factory.waiting):
            port.transport.finish()
        self.assertEqual(len(admission), 1)

    def test_an_address_at_its_limit_has_no_spare_place(self) -> None:
        admission = self.full(per_address=1)
        waiting = self.connect()
        self.assertEqual(waiting.value(), b"")
        self.assertTrue(self.connect().value().startswith(b"HTTP/1.1 429 "))
        waiting.finish()
        self.assertEqual(len(admission), 1)

    def test_a_spare_place_by_the_proxy_protocol(self) -> None:
        admission = self.full(spare=5, per_address=1)
        for last, status in ((2, b""), (2, b"429"), (3, b"")):
            transport = MemoryTransport()
            protocol = transport.protocol = self.factory.buildProtocol(IPv4Address("TCP", "10.0.0.1", 1))
            transport.peerAddr = IPv4Address("TCP", "10.0.0.1", 40000)
            protocol.makeConnection(transport)
            transport.peerAddr = IPv4Address("TCP", f"192.0.2.{last}", 40000)
            protocol.dataReceived(PLAIN.replace(b"/ ", b"/ready "))
            self.assertEqual(transport.value()[9:12], status)
            self.assertEqual(isinstance(transport.protocol, WebRecorder), not status)
        self.assertEqual((len(admission), sorted(admission._by_address)), (3, ["192.0.2.1", "192.0.2.2", "192.0.2.3"]))
        self.assertEqual(self.counters.get("limits_hit", "connections"), 3)
        for last in (1, 2, 3):
            admission.release(f"192.0.2.{last}")
        self.assertEqual((len(admission), admission._by_address), (0, {}))

    def test_a_spare_place_is_given_back_if_the_site_wants_nobody(self) -> None:
        admission = self.full()
        self.web.refuses = True
        transport = self.connect()
        transport.protocol.dataReceived(PLAIN.replace(b"/ ", b"/ready "))
        self.assertEqual(transport.ended, "aborted")
        transport.finish()
        self.assertEqual(len(admission), 1)

    def test_a_connection_counts_until_the_protocol_that_it_was_handed_to_says_that_it_has_gone(self) -> None:
        admission = self.limited()
        for head, factory in ((UPGRADE, self.ws), (PLAIN, self.web)):
            transport = self.connect()
            transport.protocol.dataReceived(head)
            transport.finish()
            self.assertEqual(len(admission), 1)
            factory.lost("192.0.2.7")
            self.assertEqual(len(admission), 0)

    def test_behind_the_proxy_protocol_the_address_that_comes_with_the_first_bytes_counts(self) -> None:
        admission = self.limited(per_address=2)
        clients = []
        for last, statuses in ((1, [b"", b"", b"429"]), (2, [b""])):
            for status in statuses:
                transport = MemoryTransport()
                protocol = transport.protocol = self.factory.buildProtocol(IPv4Address("TCP", "10.0.0.1", 1))
                protocol.makeConnection(transport)
                transport.peerAddr = IPv4Address("TCP", f"192.0.2.{last}", 40000)
                protocol.dataReceived(UPGRADE[:10])
                protocol.dataReceived(UPGRADE[10:])
                self.assertEqual(transport.value()[9:12], status)
                clients.append(transport)
        self.assertEqual(len(admission), 3)
        for transport in (clients[0], clients[1], clients[3]):
            self.ws.lost(transport.getPeer().host)
        self.assertEqual((len(admission), admission._by_address), (0, {}))

    def test_behind_a_trusted_proxy_websockets_count_by_the_forwarded_address(self) -> None:
        for kind in ("raw", "Socket.IO"):
            service = Service(trusted_proxies=(ip_network("10.0.0.0/8"),))
            if kind == "raw":
                factory: Any = service.factory
                target = b"/ws?x=1"
            else:
                bench = Bench()
                factory = bench.sockets
                factory.trusted_proxies = (ip_network("10.0.0.0/8"),)
                target = b"/ws?EIO=4&transport=websocket"
            self.ws = factory
            admission = self.limited(per_address=2)
            admission._is_exempt = lambda peer: peer == "10.0.0.1"
            clients = []
            for last, statuses in ((1, [b"101", b"101", b"429"]), (2, [b"101"])):
                for status in statuses:
                    transport = MemoryTransport()
                    protocol = transport.protocol = self.factory.buildProtocol(IPv4Address("TCP", "10.0.0.1", 1))
                    transport.peerAddr = IPv4Address("TCP", "10.0.0.1", 40000)
                    protocol.makeConnection(transport)
                    forwarded = b"\r\nX-Forwarded-For: 192.0.2.%d\r\n" % last
                    protocol.dataReceived(UPGRADE.replace(b"\r\n", forwarded, 1).replace(b"/ws?x=1", target))
                    answer = transport.value()
                    self.assertEqual(answer[9:12], status, answer)
                    self.assertEqual(b"\r\nRetry-After: 5\r\n" in answer, status == b"429")
                    clients.append(transport)
            self.assertEqual(factory.counters.get("handshakes", "too_many_from_address"), 1)
            for transport in clients:
                transport.finish()
            self.assertEqual((len(admission), admission._by_address), (0, {}))

    def test_a_connection_that_no_factory_wants_is_no_longer_counted(self) -> None:
        admission = self.limited()
        self.web.refuses = True
        transport = self.connect()
        transport.protocol.dataReceived(PLAIN)
        transport.finish()
        self.assertEqual(len(admission), 0)

    def test_near_the_limit_of_open_files_accepting_pauses_and_resumes(self) -> None:
        admission = self.limited()
        self.listening.steps.clear()
        for fileno, ended in ((49, None), (50, "aborted"), (51, "aborted")):
            self.patch(MemoryTransport, "fileno", lambda _, fileno=fileno: fileno)
            transport = self.connect()
            self.assertEqual(transport.ended, ended)
            transport.finish()
        self.assertEqual((len(admission), self.listening.steps), (0, ["stop"]))
        self.assertEqual(self.counters.get("limits_hit", "open_files"), 2)
        self.clock.advance(1)
        self.assertEqual(self.listening.steps, ["stop", "start"])

    def test_the_path_of_an_upgrade(self) -> None:
        for head, path in [
            (UPGRADE, b"/ws"),
            (UPGRADE.replace(b"Upgrade: websocket", b"uPGRADE:\twEBSOCKET "), b"/ws"),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c"), None),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: h2c, websocket"), b"/ws"),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: websocket,h2c"), b"/ws"),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: websockets"), None),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: not-websocket"), None),
            (UPGRADE.replace(b"Upgrade: websocket", b"Upgrade: x\r\nY: websocket"), None),
            (UPGRADE.replace(b"GET", b"POST"), None),
            (UPGRADE.replace(b"GET /ws", b"GET ws"), None),
            (PLAIN, None),
        ]:
            self.assertEqual(websocket_path(head), path)
