"""TLS by pyOpenSSL, with a certificate that can be read anew while connections stay."""

from __future__ import annotations

from pathlib import Path

from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from wsservice.errors import ConfigurationError

_BEGIN = b"-----BEGIN CERTIFICATE-----"


@implementer(IOpenSSLServerConnectionCreator)
class Certificate:
    """A certificate chain and its key, TLS 1.2 and up, HTTP/1.1 only.

    Args:
        chain: a PEM file: the certificate, then the intermediate ones.
        key: a PEM file with the private key; may be the same file.

    Raises:
        ConfigurationError: a file cannot be read, is no PEM, the key is not the certificate's, or it is too weak.
    """

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._context = self._load()

    def reload(self, chain: Path | None = None, key: Path | None = None) -> None:
        """Read the files anew, or others; connections that come from now on get the new certificate.

        Raises:
            ConfigurationError: as at the start; then the old certificate stays in use.
        """
        before = self._chain, self._key
        self._chain, self._key = chain or self._chain, key or self._key
        try:
            self._context = self._load()
        except ConfigurationError:
            self._chain, self._key = before
            raise

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """One connection's TLS; called by Twisted."""
        connection = SSL.Connection(self._context, None)
        # Twisted's choice of the protocol (ALPN) looks the factory up by it.
        connection.set_app_data(tlsProtocol)
        return connection

    def _load(self) -> SSL.Context:
        try:
            blocks = _read("--tls-cert", self._chain).split(_BEGIN)[1:]
            chain = [crypto.load_certificate(crypto.FILETYPE_PEM, _BEGIN + block) for block in blocks]
            if not chain:
                raise ConfigurationError(f"--tls-cert {self._chain}: no certificate in it; give a PEM file")
        except crypto.Error:
            raise ConfigurationError(f"--tls-cert {self._chain}: not a certificate; give a PEM file") from None
        try:
            key = crypto.load_privatekey(crypto.FILETYPE_PEM, _read("--tls-key", self._key), passphrase=b"")
        except (crypto.Error, ValueError, TypeError):
            raise ConfigurationError(
                f"--tls-key {self._key}: not a private key without passphrase; give a PEM file"
            ) from None
        options = CertificateOptions(
            privateKey=key,
            certificate=chain[0],
            extraCertChain=chain[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            # Without it, twisted.web would offer h2 where it can, and Autobahn cannot (TWISTED #641).
            acceptableProtocols=[b"http/1.1"],
        )
        try:
            return options.getContext()
        except SSL.Error as error:
            raise ConfigurationError(self._refused(_reason(error))) from None

    def _refused(self, reason: str) -> str:
        """Why OpenSSL takes no such pair: they do not belong together, or they are weaker than its security level."""
        if "mismatch" in reason:
            return f"--tls-key {self._key}: not the key of the certificate in {self._chain}"
        return (
            f"--tls-cert {self._chain}: OpenSSL refuses it ({reason}); "
            "make a new one, by an RSA key of 2,048 bits or more, or an elliptic curve"
        )


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words, such as `ee key too small` and `key values mismatch`."""
    queue = error.args[0] if error.args else []
    return ", ".join(str(entry[-1]) for entry in queue) or "without a reason"


def _read(option: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}; name a file that this user may read") from None
