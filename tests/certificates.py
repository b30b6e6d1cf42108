"""Certificates made for a test: a self-signed one, or a chain of a root, an intermediate and a leaf."""

from __future__ import annotations

import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def make_certificate(
    name: str,
    issuer: tuple[x509.Certificate, Key] | None = None,
    authority: bool = False,
    *,
    key: Key | None = None,
) -> tuple[x509.Certificate, Key]:
    """A certificate for `localhost` with that common name, signed by the issuer or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write_pem(path: Path, *parts: x509.Certificate | Key) -> Path:
    """Write certificates and keys, one after the other."""
    pem = b""
    for part in parts:
        if isinstance(part, x509.Certificate):
            pem += part.public_bytes(serialization.Encoding.PEM)
        else:
            pem += part.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
    path.write_bytes(pem)
    return path
