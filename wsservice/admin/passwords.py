"""Hashes of the admin view's password, by scrypt (RFC 7914). Pure.

    scrypt:<log2 N>:<r>:<p>:<salt>:<key>      salt and key in base64url without padding

Nothing in it means anything to a shell, to YAML, to systemd or to a `.env` file, unlike the `$` of bcrypt's and PHC's
form. scrypt is in Python; bcrypt would be one more package, for one password.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

#: characters of a password; precedent: NIST SP 800-63B-4 section 3.1.1.2 (15 where nothing else is asked for)
LEAST, MOST = 15, 1024
#: log2 N, r and p; precedent: OWASP's Password Storage Cheat Sheet. It takes 32 MiB and a quarter of a second
_COST = (15, 8, 3)
#: what is read: at most 1 GiB, and p of a second or so each
_HIGHEST_COST = (20, 32, 16)
_LEAST_LOG_N = 14
_SALT_BYTES, _KEY_BYTES = 16, 32
_FORM = re.compile(r"scrypt:([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2}):([A-Za-z0-9_-]{16,128}):([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """One hash, that a password can be held against."""

    log_n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    key: bytes = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> PasswordHash:
        """Read what `make_hash` has made.

        Raises:
            ValueError: it is none; the text reads on after what names it.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError("is not a hash that `wsservice admin-hash` prints")
        costs = (int(match[1]), int(match[2]), int(match[3]))
        high = any(cost > most for cost, most in zip(costs, _HIGHEST_COST, strict=True))
        if high or costs[0] < _LEAST_LOG_N or min(costs) < 1:
            raise ValueError("is a hash that costs too little or too much: take one that `wsservice admin-hash` prints")
        try:
            return cls(*costs, _decode(match[4]), _decode(match[5]))
        except binascii.Error:
            raise ValueError("is not a hash that `wsservice admin-hash` prints") from None

    def verify(self, password: str) -> bool:
        """Whether it is the password's; blocks for a quarter of a second, without holding Python's lock."""
        return hmac.compare_digest(self.key, self._derive(password))

    def _derive(self, password: str) -> bytes:
        memory = 128 * self.r * ((1 << self.log_n) + self.p + 2)
        return hashlib.scrypt(
            password.encode("utf-8", "surrogatepass"),
            salt=self.salt,
            n=1 << self.log_n,
            r=self.r,
            p=self.p,
            maxmem=memory + 1024 * 1024,
            dklen=_KEY_BYTES,
        )


def make_hash(password: str, cost: tuple[int, int, int] = _COST) -> str:
    """A password's hash as text, with a salt of its own.

    Raises:
        ValueError: the password is too short or too long; the text says how long it must be.
    """
    if not LEAST <= len(password) <= MOST:
        raise ValueError(f"the password must have {LEAST} to {MOST} characters")
    salt = secrets.token_bytes(_SALT_BYTES)
    key = PasswordHash(*cost, salt, b"")._derive(password)
    return ":".join(("scrypt", *map(str, cost), _encode(salt), _encode(key)))


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
