"""TLS: what is refused with a word that helps, and real handshakes with Python's own ssl module as the client."""

from __future__ import annotations

import ssl
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import make_certificate, write_pem
from wsservice.errors import ConfigurationError
from wsservice.transports.tls import Certificate


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.certificate, self.key = make_certificate("localhost")
        self.chain_file = write_pem(self.folder / "cert.pem", self.certificate)
        self.key_file = write_pem(self.folder / "key.pem", self.key)

    def handshake(self, certificate: Certificate, client: ssl.SSLContext) -> ssl.SSLObject:
        """Run a whole handshake in memory."""
        wrapping = TLSMemoryBIOFactory(certificate, False, Factory())
        server = certificate.serverConnectionForTLS(TLSMemoryBIOProtocol(wrapping, Protocol()))
        server.set_accept_state()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        peer = client.wrap_bio(incoming, outgoing, server_hostname="localhost")
        for _ in range(10):
            try:
                peer.do_handshake()
            except ssl.SSLWantReadError:
                pass
            data = outgoing.read()
            if data:
                server.bio_write(data)
            try:
                server.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                incoming.write(server.bio_read(65536))
            except SSL.WantReadError:
                break
        peer.do_handshake()
        return peer

    def trusting(self, *authorities: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(authorities[0]))
        context.set_alpn_protocols(["h2", "http/1.1"])
        return context

    def test_a_client_that_trusts_the_certificate_speaks_http_1_1_over_tls_1_3(self) -> None:
        peer = self.handshake(Certificate(self.chain_file, self.key_file), self.trusting(self.chain_file))
        self.assertEqual(peer.version(), "TLSv1.3")
        self.assertEqual(peer.selected_alpn_protocol(), "http/1.1")

    def test_tls_1_1_is_refused(self) -> None:
        client = self.trusting(self.chain_file)
        client.minimum_version = ssl.TLSVersion.TLSv1
        client.maximum_version = ssl.TLSVersion.TLSv1_1
        client.set_ciphers("ALL:@SECLEVEL=0")
        with self.assertRaises((SSL.Error, ssl.SSLError)):
            self.handshake(Certificate(self.chain_file, self.key_file), client)

    def test_a_chain_is_sent_whole(self) -> None:
        root = make_certificate("root", authority=True)
        middle = make_certificate("middle", root, authority=True)
        leaf, key = make_certificate("leaf", middle)
        chain = write_pem(self.folder / "chain.pem", leaf, middle[0])
        anchor = write_pem(self.folder / "root.pem", root[0])
        peer = self.handshake(Certificate(chain, write_pem(self.folder / "leaf.key", key)), self.trusting(anchor))
        self.assertEqual(peer.getpeercert()["subject"][0][0][1], "leaf")  # type: ignore[index]

    def test_certificate_and_key_may_stand_in_one_file(self) -> None:
        both = write_pem(self.folder / "both.pem", self.certificate, self.key)
        self.handshake(Certificate(both, both), self.trusting(self.chain_file))

    def test_a_reload_takes_the_new_certificate(self) -> None:
        certificate = Certificate(self.chain_file, self.key_file)
        new, key = make_certificate("renewed")
        write_pem(self.chain_file, new)
        write_pem(self.key_file, key)
        certificate.reload()
        peer = self.handshake(certificate, self.trusting(self.chain_file))
        self.assertEqual(peer.getpeercert()["subject"][0][0][1], "renewed")  # type: ignore[index]

    def test_a_reload_of_a_bad_file_keeps_the_old_certificate(self) -> None:
        certificate = Certificate(self.chain_file, self.key_file)
        old = write_pem(self.folder / "old.pem", self.certificate)
        self.chain_file.write_text("nonsense")
        with self.assertRaises(ConfigurationError):
            certificate.reload()
        self.handshake(certificate, self.trusting(old))

    def test_each_fault_names_its_file_and_the_fix(self) -> None:
        other = write_pem(self.folder / "other.pem", make_certificate("other")[1])
        nonsense = self.folder / "nonsense.pem"
        nonsense.write_text("nonsense")
        broken = self.folder / "broken.pem"
        broken.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
        for chain, key, words in [
            (self.folder / "absent.pem", self.key_file, ["--tls-cert", "absent.pem", "No such file"]),
            (self.chain_file, self.folder / "absent.pem", ["--tls-key", "absent.pem", "No such file"]),
            (nonsense, self.key_file, ["--tls-cert", "no certificate"]),
            (broken, self.key_file, ["--tls-cert", "not a certificate"]),
            (self.chain_file, nonsense, ["--tls-key", "not a private key"]),
            (self.chain_file, other, ["--tls-key", "not the key of the certificate"]),
        ]:
            with self.assertRaises(ConfigurationError) as caught:
                Certificate(chain, key)
            for word in words:
                self.assertIn(word, str(caught.exception))

    def test_a_key_that_fits_and_is_too_small_is_called_so(self) -> None:
        certificate, key = make_certificate("small", key=rsa.generate_private_key(65537, 1024))
        both = write_pem(self.folder / "small.pem", certificate, key)
        with self.assertRaises(ConfigurationError) as caught:
            Certificate(both, both)
        self.assertIn("small.pem: OpenSSL refuses it (ee key too small); make a new one", str(caught.exception))
