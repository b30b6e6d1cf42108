"""TLS that is written to at once: in memory, beside Twisted's own; then on sockets, with clients that do not read."""

from __future__ import annotations

import ssl
import weakref
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols.tls import BufferingTLSTransport, TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.tls_memory import PLENTY, Inner, TlsPair, credentials
from wsservice.transports.records import Records
from wsservice.transports.tls_transport import TlsTransport

VERSIONS = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3)
WAYS = ((BufferingTLSTransport, "write"), (TlsTransport, "write"), (TlsTransport, "write_now"))
#: of everything that is written in a test, so that it can be looked for where it must not be
MARK = b"plain text "


def text(number: int, size: int) -> bytes:
    """A recognizable piece of that size."""
    return (b"%s%d," % (MARK, number) * (size // len(MARK) + 1))[:size]


#: what may happen: a write at once, a general one, a turn in which the system takes so many bytes, a message
STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["send", "write"]), st.sampled_from([0, 1, 130, 1400, 16384, 16385, 40000, 150000])),
        st.tuples(st.just("turn"), st.sampled_from([0, 1, 100, 5000, 70000, PLENTY])),
        st.tuples(st.just("say"), st.sampled_from([1, 130, 30000])),
    ),
    max_size=40,
)


class Case(SynchronousTestCase):
    def pair(
        self, kind: type[TLSMemoryBIOProtocol] = TlsTransport, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ) -> TlsPair:
        """A connection after its handshake."""
        pair = TlsPair(kind, version)
        pair.shake()
        return pair


class LikeTwistedTests(Case):
    """The same happens to the peer and to the protocol, whichever TLS it is."""

    @settings(max_examples=200, deadline=None)
    @given(STEPS, st.sampled_from(VERSIONS))
    def test_any_writes_arrive_in_their_order_and_encrypted(
        self, steps: list[tuple[str, int]], version: ssl.TLSVersion
    ) -> None:
        pair = self.pair(version=version)
        pair.socket.room = 0
        sent, said = b"", b""
        for number, (kind, size) in enumerate(steps):
            if kind == "turn":
                pair.socket.room = size
                pair.turn()
                continue
            data = text(number, size)
            if kind == "say":
                said += data
                pair.say(data)
            else:
                sent += data
                if kind == "send":
                    self.assertEqual(pair.server.send(data), size)
                else:
                    pair.server.write(data)
        pair.finish()
        self.assertEqual((pair.got, b"".join(pair.inner.heard)), (sent, said))
        self.assertNotIn(MARK, pair.wire)

    def test_each_end_is_the_same(self) -> None:
        def lose(pair: TlsPair) -> None:
            pair.server.loseConnection()

        def lose_with_data(pair: TlsPair) -> None:
            pair.socket.room = 10
            pair.put(text(1, 100_000))
            pair.server.loseConnection()
            pair.put(b"too late")

        def abort(pair: TlsPair) -> None:
            pair.socket.room = 10
            pair.put(text(1, 100_000))
            pair.server.abortConnection()

        def goodbye(pair: TlsPair) -> None:
            pair.say(b"last words")
            pair.say_goodbye()

        def goodbye_while_data_waits(pair: TlsPair) -> None:
            pair.socket.room = 10
            pair.put(text(1, 1000))
            pair.turn()
            pair.say_goodbye()

        def end_without_goodbye(pair: TlsPair) -> None:
            pair.socket.arrived.append(None)

        def reset(pair: TlsPair) -> None:
            pair.say(b"last words")
            pair.socket.arrived += [pair.records(), ConnectionResetError(104, "reset")]

        def reset_in_the_middle_of_a_record(pair: TlsPair) -> None:
            pair.say(b"last words")
            pair.socket.arrived += [pair.records()[:-3], ConnectionResetError(104, "reset")]

        def nonsense(pair: TlsPair) -> None:
            pair.socket.arrived.append(b"no record of any kind")

        def forged(pair: TlsPair) -> None:
            pair.say(b"last words")
            records = bytearray(pair.records())
            records[-1] ^= 1
            pair.socket.arrived.append(bytes(records))

        def broken_pipe(pair: TlsPair) -> None:
            pair.socket.fault = BrokenPipeError(32, "broken")
            pair.put(b"nobody hears it")
            pair.turn()
            pair.put(b"nor this")

        for act in (
            lose,
            lose_with_data,
            abort,
            goodbye,
            goodbye_while_data_waits,
            end_without_goodbye,
            reset,
            reset_in_the_middle_of_a_record,
            nonsense,
            forged,
            broken_pipe,
        ):
            for version in VERSIONS:
                ends = []
                for kind, put in (
                    (BufferingTLSTransport, "write"),
                    (TlsTransport, "write"),
                    (TlsTransport, "write_now"),
                ):
                    pair = self.pair(kind, version)
                    pair.put = getattr(pair.server, put)
                    pair.put(b"before")
                    pair.turn()
                    act(pair)
                    pair.finish()
                    if pair.ended:
                        pair.say_goodbye()
                        pair.finish()
                    ends.append((pair.got, pair.inner.heard, pair.inner.reason, pair.ended, pair.alert, pair.is_closed))
                self.assertEqual(ends[0], ends[1], f"{act.__name__}, {version}")
                self.assertEqual(ends[0], ends[2], f"{act.__name__}, {version}")
                self.assertIsNotNone(ends[0][2], act.__name__)

    def test_what_is_said_arrives_however_it_is_cut(self) -> None:
        pieces = [text(number, size) for number, size in enumerate([1, 130, 16384, 40000, 7])]
        for step in (1, 7, 1000, 65536):
            pair = self.pair()
            for piece in pieces:
                pair.say(piece)
            records = pair.records()
            if step == 1:  # each byte for itself, for a part of them
                pair.socket.arrived += [records[at : at + 1] for at in range(2000)]
                records = records[2000:]
                step = 65536
            pair.socket.arrived += [records[at : at + step] for at in range(0, len(records), step)]
            while pair.socket.arrived:
                pair.turn()
            self.assertEqual(b"".join(pair.inner.heard), b"".join(pieces))


class AtOnceTests(Case):
    def test_a_write_leaves_before_the_next_turn(self) -> None:
        pair = self.pair()
        self.assertTrue(pair.server.is_clear)
        pair.server.write_now(b"hello")
        pair.hear()
        self.assertEqual(pair.got, b"hello")

    def test_before_the_handshake_it_waits_for_its_end(self) -> None:
        pair = TlsPair(TlsTransport)
        self.assertFalse(pair.server.is_clear)
        self.assertEqual(pair.server.send(b"early"), 5)
        self.assertEqual(bytes(pair.socket.taken), b"")
        pair.shake()
        self.assertEqual(pair.got, b"early")
        pair.server.write_now(b" and late")
        pair.hear()
        self.assertEqual(pair.got, b"early and late")

    def test_an_echo_from_within_a_read_of_many_records(self) -> None:
        pair = self.pair()
        pair.inner.on_data = pair.server.write_now
        for number in range(100):
            pair.say(b"%d " % number)
        pair.finish()
        self.assertEqual(pair.got, b"".join(b"%d " % number for number in range(100)))

    def test_nothing_is_heard_after_an_abort_in_the_middle_of_a_read(self) -> None:
        pair = self.pair()
        pair.inner.on_data = lambda data: pair.server.abortConnection()
        for number in range(3):
            pair.say(b"%d" % number)
        pair.finish()
        self.assertEqual((pair.inner.heard, pair.inner.reason), ([b"0"], ConnectionLost))

    def test_a_watching_protocol_is_told_when_something_waits_and_when_nothing_does(self) -> None:
        pair = self.pair()
        self.assertTrue(pair.server.watch())
        pair.server.write_now(b"at once")
        self.assertEqual(pair.inner.told, [])
        pair.socket.room = 3
        pair.server.write_now(b"too much")
        self.assertEqual((pair.inner.told, pair.server.is_clear), (["busy"], False))
        pair.finish()
        self.assertEqual((pair.inner.told, pair.server.is_clear), (["busy", "clear"], True))
        self.assertEqual(pair.got, b"at oncetoo much")

    def test_from_the_shutdown_on_it_is_not_clear(self) -> None:
        for end in ("loseConnection", "abortConnection"):
            pair = self.pair()
            pair.server.watch()
            getattr(pair.server, end)()
            self.assertFalse(pair.server.is_clear)
            pair.server.send(b"nobody hears it")
            pair.finish()
            self.assertEqual((pair.got, set(pair.inner.told)), (b"", {"busy"}))

    def test_its_producer_is_paused_and_resumed(self) -> None:
        pair = self.pair()
        pair.server.registerProducer(pair.inner, True)
        pair.socket.room = 0
        piece = text(1, 10_000)
        for _ in range(10):
            pair.server.write_now(piece)
        self.assertEqual(pair.inner.told, ["pause"])
        pair.finish()
        self.assertEqual(pair.inner.told, ["pause", "resume"])
        self.assertEqual(pair.got, piece * 10)

    def test_small_records_are_made_where_openssl_takes_less_at_a_time(self) -> None:
        pair = self.pair()
        encrypt = Records.encrypt
        with mock.patch.object(Records, "encrypt", lambda records, data: encrypt(records, data[:512])):
            pair.server.write_now(text(1, 2000))
        pair.finish()
        self.assertEqual(pair.got, text(1, 2000))

    def test_what_openssl_does_not_take_now_waits(self) -> None:
        pair = self.pair()
        pair.server.registerProducer(pair.inner, True)
        with (
            mock.patch.object(Records, "encrypt", side_effect=SSL.WantReadError),
            mock.patch.object(SSL.Connection, "send", side_effect=SSL.WantReadError),
        ):
            pair.server.write_now(b"first ")
            self.assertEqual((pair.inner.told, pair.server.is_clear), (["pause"], False))
            pair.server.write_now(b"second ")
        pair.say(b"something to read")
        pair.finish()
        pair.server.write_now(b"third")
        pair.finish()
        self.assertEqual(pair.got, b"first second third")
        self.assertEqual(pair.inner.told, ["pause", "resume"])

    def test_a_fault_of_openssl_ends_the_connection_and_no_exception_comes_out(self) -> None:
        pair = self.pair()
        with mock.patch.object(Records, "encrypt", side_effect=SSL.Error([("", "", "made up")])):
            self.assertEqual(pair.server.send(b"hello"), 5)
        pair.server.send(b"nobody hears it")
        pair.finish()
        self.assertEqual((pair.got, pair.inner.reason, pair.is_closed), (b"", SSL.Error, True))

    def test_one_that_is_refused_before_its_handshake_is_cut(self) -> None:
        ends = []
        for kind in (BufferingTLSTransport, TlsTransport):
            with mock.patch.object(Inner, "connectionMade", lambda inner: inner.transport.abortConnection()):
                pair = TlsPair(kind)
            pair.finish()
            ends.append((pair.inner.reason, pair.is_closed, bytes(pair.wire)))
        self.assertEqual(ends, [(ConnectionLost, True, b"")] * 2)

    def test_at_its_end_it_lets_go_of_openssl(self) -> None:
        pair = self.pair()
        connection = weakref.ref(pair.server._tlsConnection)
        pair.server.abortConnection()
        pair.finish()
        self.assertIsNone(connection())
        pair.server.send(b"nobody hears it")
        self.assertFalse(pair.server.is_clear)

    def test_a_socket_that_breaks_is_found_by_the_transport(self) -> None:
        pair = self.pair()
        pair.socket.fault = BrokenPipeError(32, "broken")
        self.assertEqual(pair.server.send(b"hello"), 5)
        pair.finish()
        self.assertIs(pair.inner.reason, ConnectionLost)


class AroundSomethingElseTests(SynchronousTestCase):
    """Where the transport below is no TCP socket of ours."""

    def test_everything_goes_twisteds_way(self) -> None:
        certificate, _ = credentials()
        clock: Any = MemoryReactorClock()
        factory = TLSMemoryBIOFactory(certificate, False, Factory.forProtocol(Inner), clock)
        server = TlsTransport(factory, Inner())
        server.makeConnection(StringTransport())
        self.assertFalse(server.watch())
        self.assertFalse(server.is_clear)
        self.assertEqual(server.send(b"hello"), 5)
        self.assertEqual(server._appSendBuffer, [b"hello"])
