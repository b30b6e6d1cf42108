"""The slim protocol against Autobahn's own: nothing that Autobahn sets may be missing."""

from __future__ import annotations

import itertools
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.fixtures import Service
from tests.transports.memory import MemoryClient, MemoryTransport
from wsservice.transports.slim import SlimProtocol

#: what we keep once for all connections, or make when it is needed, or decide differently
OURS = {"utf8validator", "trafficStats", "send_queue", "peer", "is_open", "is_closed", "_transport_details", "log"}
OPTIONS = set(WebSocketServerProtocol.CONFIG_ATTRS)


class SlimTests(SynchronousTestCase):
    def test_every_attribute_that_autobahn_sets_has_the_same_first_value(self) -> None:
        factory = WebSocketServerFactory(reactor=Clock())
        plain = WebSocketServerProtocol()
        plain.factory = factory
        factory.setProtocolOptions(openHandshakeTimeout=0)
        plain.makeConnection(MemoryTransport())
        slim = SlimProtocol()
        for name, value in vars(plain).items():
            if name in OURS | OPTIONS | {"factory", "transport", "connected", "_valid_events", "_results"}:
                continue
            self.assertEqual(getattr(slim, name), value, name)

    def test_every_option_is_a_class_attribute(self) -> None:
        for name in OPTIONS - {"perMessageCompressionAccept"}:
            self.assertTrue(hasattr(SlimProtocol, name), name)
        self.assertEqual(SlimProtocol.CONFIG_ATTRS, [])

    def test_an_open_connection_holds_little(self) -> None:
        service = Service()
        client = MemoryClient(service.factory)
        client.deliver()
        (protocol,) = service.factory.live
        self.assertEqual(vars(protocol), {})

    def test_a_message_of_many_pieces_is_kept_in_one(self) -> None:
        service = Service(max_message_size=1000, max_fragments=400)
        heard: list[object] = []
        service.app.on("message")(lambda connection, data: heard.append(data))
        client = MemoryClient(service.factory)
        client.deliver()
        (protocol,) = service.factory.live
        for text in ("abc", "de"):
            client.client.send_text(text.encode(), fin=False)
            for _ in range(300):
                client.client.send_continuation(b"", fin=False)
            client.deliver()
            self.assertEqual(protocol.message_data, [text.encode()])
            client.client.send_continuation(b"!", fin=True)
            client.deliver()
        self.assertEqual((heard, client.close), (["abc!", "de!"], None))

    def test_a_message_of_too_many_pieces_closes_1008(self) -> None:
        service = Service(max_fragments=400)
        client = MemoryClient(service.factory)
        client.deliver()
        client.client.send_binary(b"", fin=False)
        for _ in range(400):
            client.client.send_continuation(b"", fin=False)
        client.deliver()
        self.assertEqual(client.close, (1008, "too many fragments"))
        client.deliver()
        client.transport.finish()
        self.assertEqual(service.counters.get("connections_closed", "1008"), 1)

    def test_what_autobahn_warns_of_is_logged_at_debug(self) -> None:
        with capturedLogs() as events:
            SlimProtocol.log.debug("{a}", a=1)
            SlimProtocol.log.info("{a}", a=2)
            SlimProtocol.log.warn("{a}", a=3)
        self.assertEqual([(event["log_level"], event["a"]) for event in events], [(LogLevel.debug, 3)])

    def test_it_ends_as_autobahn_ends_it(self) -> None:
        for was_clean, state in itertools.product((True, False), (SlimProtocol.STATE_OPEN, SlimProtocol.STATE_CLOSED)):
            ends = []
            for end in (WebSocketServerProtocol._connectionLost, lambda slim, reason: slim._end()):
                service = Service()
                client = MemoryClient(service.factory)
                client.deliver()
                protocol = client.current
                protocol.state, protocol.wasClean, protocol.remoteCloseCode = state, was_clean, 1000
                told: list[Any] = []
                self.patch(type(protocol), "onClose", lambda self, *told_of, told=told: told.append(told_of[:2]))
                end(protocol, Failure(ConnectionLost()))
                ends.append((told, protocol.state))
            self.assertEqual(ends[0], ends[1])
            self.assertEqual(ends[0], ([(was_clean, 1000 if was_clean else 1006)], SlimProtocol.STATE_CLOSED))

    def test_a_transport_without_nagle_is_taken_over_too(self) -> None:
        class UnixTransport(MemoryTransport):
            setTcpNoDelay: Any = property(lambda self: (_ for _ in ()).throw(AttributeError("setTcpNoDelay")))

        service = Service()
        protocol = service.factory.buildProtocol(None)
        transport = UnixTransport()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        self.assertEqual(service.factory.live, {protocol})
        protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(service.factory.live, set())
