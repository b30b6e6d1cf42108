"""JWKS documents for tests of what fetches them: one public key under any number of ids."""

from __future__ import annotations

import base64
import functools
import json

from cryptography.hazmat.primitives.asymmetric import rsa


@functools.cache
def _modulus() -> str:
    number = rsa.generate_private_key(65537, 2048).public_key().public_numbers().n
    return base64.urlsafe_b64encode(number.to_bytes(256, "big")).rstrip(b"=").decode()


def document(*kids: str) -> bytes:
    """A JWKS with a key of each id."""
    keys = [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": kid, "n": _modulus(), "e": "AQAB"} for kid in kids]
    return json.dumps({"keys": keys}).encode()
