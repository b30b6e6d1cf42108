"""OpenSSL called directly does what pyOpenSSL's own methods do."""

from __future__ import annotations

from unittest import mock

from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from tests.transports.tls_memory import TlsPair
from wsservice.transports import records
from wsservice.transports.records import decrypt, encrypt, give_records, take_records
from wsservice.transports.tls_transport import TlsTransport


class RecordsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pair = TlsPair(TlsTransport)
        self.pair.shake()
        self.connection: SSL.Connection = self.pair.server._tlsConnection

    def test_records_are_made_and_taken_once(self) -> None:
        for data in (b"x", b"y" * 16384):
            self.assertEqual(encrypt(self.connection, data), len(data))
            self.pair.socket.taken += take_records(self.connection)
            self.assertEqual(take_records(self.connection), b"")
        self.pair.hear()
        self.assertEqual(self.pair.got, b"x" + b"y" * 16384)

    def test_each_record_is_read_for_itself_and_then_there_is_nothing(self) -> None:
        self.pair.say(b"hello")
        self.pair.say(b"\0" * 16384)
        come = self.pair.records()
        give_records(self.connection, come[:10])
        self.assertEqual(decrypt(self.connection), b"")
        give_records(self.connection, come[10:])
        self.assertEqual([decrypt(self.connection) for _ in range(3)], [b"hello", b"\0" * 16384, b""])

    def test_what_was_read_before_never_comes_again(self) -> None:
        self.pair.say(b"a secret of somebody else")
        self.pair.say(b"hi")
        give_records(self.connection, self.pair.records())
        first = decrypt(self.connection)
        self.assertEqual((decrypt(self.connection), first), (b"hi", b"a secret of somebody else"))

    def test_faults_are_those_of_pyopenssl(self) -> None:
        self.pair.say_goodbye()
        give_records(self.connection, self.pair.records())
        for _ in range(2):
            with self.assertRaises(SSL.ZeroReturnError):
                decrypt(self.connection)
        self.connection.shutdown()
        with self.assertRaises(SSL.Error) as ours:
            encrypt(self.connection, b"too late")
        with self.assertRaises(SSL.Error) as theirs:
            self.connection.send(b"too late")
        self.assertEqual(ours.exception.args, theirs.exception.args)

    def test_a_forged_record_is_an_error_and_leaves_nothing_for_the_next_connection(self) -> None:
        self.pair.say(b"hello")
        forged = bytearray(self.pair.records())
        forged[-1] ^= 1
        give_records(self.connection, bytes(forged))
        with self.assertRaises(SSL.Error):
            decrypt(self.connection)
        self.setUp()
        self.assertEqual(decrypt(self.connection), b"")

    def test_openssl_before_its_handshake_has_to_read_first(self) -> None:
        connection: SSL.Connection = TlsPair(TlsTransport).server._tlsConnection
        with self.assertRaises(SSL.WantReadError):
            encrypt(connection, b"early")
        self.assertEqual(decrypt(connection), b"")

    def test_no_memory_for_what_came_is_no_silence(self) -> None:
        with mock.patch.object(records, "_bio_write", return_value=-1), self.assertRaises(MemoryError):
            give_records(self.connection, b"hello")
