"""How a Redis is reached: by TCP, by TLS with a verified certificate, or by a Unix socket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from OpenSSL import crypto
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.ssl import (
    Certificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)

from wsservice.adapters.redis.url import RedisUrl
from wsservice.errors import ConfigurationError

_BEGIN = b"-----BEGIN CERTIFICATE-----"


def make_endpoint(reactor: Any, url: RedisUrl, timeout: float) -> IStreamClientEndpoint:
    """An endpoint for the server that the URL names.

    Raises:
        ConfigurationError: the file of authorities cannot be used.
    """
    if url.path:
        return UNIXClientEndpoint(reactor, url.path, timeout)
    plain = HostnameEndpoint(reactor, url.host, url.port, timeout)
    if not url.tls:
        return plain
    trust = trustRootFromCertificates(_authorities(Path(url.ca))) if url.ca else platformTrust()
    options = {"raiseMinimumTo": TLSVersion.TLSv1_2}
    return wrapClientTLS(optionsForClientTLS(url.host, trust, extraCertificateOptions=options), plain)


def _authorities(path: Path) -> list[Certificate]:
    try:
        blocks = path.read_bytes().split(_BEGIN)[1:]
        found = [Certificate.loadPEM(_BEGIN + block) for block in blocks]
    except OSError as error:
        raise ConfigurationError(
            f"--adapter ?ca={path}: {error.strerror}; name a file that this user may read"
        ) from None
    except crypto.Error:
        found = []
    if not found:
        raise ConfigurationError(f"--adapter ?ca={path}: not a certificate; give a PEM file")
    return found
