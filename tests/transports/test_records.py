"""OpenSSL called directly does what pyOpenSSL's own methods do."""

from __future__ import annotations

from unittest import mock

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.tls_memory import TlsPair
from wsservice.transports import records
from wsservice.transports.records import Records
from wsservice.transports.tls_transport import TlsTransport


class RecordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = TlsPair(TlsTransport)
        self.pair.shake()
        self.connection: SSL.Connection = self.pair.server._tlsConnection
        self.records = Records(self.connection)

    def test_records_are_made_and_taken_once(self) -> None:
        for data in (b"x", b"y" * 16384):
            self.assertEqual(self.records.encrypt(data), len(data))
            self.pair.socket.taken += self.records.take()
            self.assertEqual(self.records.take(), b"")
        self.pair.hear()
        self.assertEqual(self.pair.got, b"x" + b"y" * 16384)

    def test_each_record_is_read_for_itself_and_then_there_is_nothing(self) -> None:
        self.pair.say(b"hello")
        self.pair.say(b"\0" * 16384)
        come = self.pair.records()
        self.records.give(come[:10])
        self.assertEqual(self.records.decrypt(), b"")
        self.records.give(come[10:])
        self.assertEqual([self.records.decrypt() for _ in range(3)], [b"hello", b"\0" * 16384, b""])

    def test_what_was_read_before_never_comes_again(self) -> None:
        self.pair.say(b"a secret of somebody else")
        self.pair.say(b"hi")
        self.records.give(self.pair.records())
        first = self.records.decrypt()
        self.assertEqual((self.records.decrypt(), first), (b"hi", b"a secret of somebody else"))

    def test_faults_are_those_of_pyopenssl(self) -> None:
        self.pair.say_goodbye()
        self.records.give(self.pair.records())
        for _ in range(2):
            with self.assertRaises(SSL.ZeroReturnError):
                self.records.decrypt()
        self.connection.shutdown()
        with self.assertRaises(SSL.Error) as ours:
            self.records.encrypt(b"too late")
        with self.assertRaises(SSL.Error) as theirs:
            self.connection.send(b"too late")
        self.assertEqual(ours.exception.args, theirs.exception.args)

    def test_a_forged_record_is_an_error_and_leaves_nothing_for_the_next_connection(self) -> None:
        self.pair.say(b"hello")
        forged = bytearray(self.pair.records())
        forged[-1] ^= 1
        self.records.give(bytes(forged))
        with self.assertRaises(SSL.Error):
            self.records.decrypt()
        self.setUp()
        self.assertEqual(self.records.decrypt(), b"")

    def test_openssl_before_its_handshake_has_to_read_first(self) -> None:
        early = Records(TlsPair(TlsTransport).server._tlsConnection)
        with self.assertRaises(SSL.WantReadError):
            early.encrypt(b"early")
        self.assertEqual(early.decrypt(), b"")

    def test_no_memory_for_what_came_is_no_silence(self) -> None:
        with mock.patch.object(records, "_bio_write", return_value=-1), self.assertRaises(MemoryError):
            self.records.give(b"hello")
