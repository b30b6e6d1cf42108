"""`wsservice token`: tokens for development and tests, signed as a user pool would, by a key of one's own."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsservice.auth.strict_json import NotStrictJson, decode_value
from wsservice.cli.command import Command, Failed, Status, refused

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

ISSUER, CLIENT = "https://pool.invalid/dev", "dev"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_BITS = 2048

_EXAMPLES = f"""\
A service that accepts these tokens:

  wsservice token --key key.pem --new-key --jwks > pool/jwks.json       in a folder of its own, without the key
  python3 -m http.server --bind 127.0.0.1 --directory pool 8020 &
  AUTH_ISSUER={ISSUER} AUTH_AUDIENCE={CLIENT} \\
    AUTH_JWKS_URL=http://127.0.0.1:8020/jwks.json  twistd -n wsservice --host 127.0.0.1 --port 3020

and then

  wsservice token --key key.pem --sub alice --group admin --cookie | wsservice connect localhost:3020 --cookie - --stay

Such a service believes whoever has key.pem: never let it have real users.

exit status: 0; 1 the key cannot be read or made; 2 the arguments are wrong
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--key", metavar="FILE", required=True, help="the private RSA key in PEM")
    parser.add_argument("--new-key", action="store_true", help="make it first, for this user alone (0600)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--cookie", action="store_true", help="print authToken=TOKEN")
    what.add_argument("--jwks", action="store_true", help="print the public key as a JWKS document, and no token")
    parser.add_argument("--cookie-name", metavar="NAME", default="authToken", help="for --cookie; default authToken")
    parser.add_argument("--sub", metavar="ID", default="alice", help="the user's id; default alice")
    parser.add_argument("--username", metavar="NAME", help="default: the id")
    parser.add_argument("--group", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument("--scope", action="append", default=[], metavar="NAME", help="may be repeated")
    parser.add_argument(
        "--expires", metavar="TIME", default="1h", help="such as 90s, 15m, 1h, 7d; --expires=-1m is over; default 1h"
    )
    parser.add_argument("--issuer", metavar="URL", default=ISSUER, help=f"`iss`; default {ISSUER}")
    parser.add_argument("--client", metavar="ID", default=CLIENT, help=f"`aud`, or `client_id`; default {CLIENT}")
    parser.add_argument(
        "--use", choices=("id", "access"), default="id", help="an access token, as Cognito has them, is for pools only"
    )
    parser.add_argument(
        "--claim", action="append", default=[], metavar="NAME=JSON", help="a claim on top; null leaves one out"
    )


def _run(given: argparse.Namespace) -> Status:
    path = Path(given.key).expanduser()
    if given.new_key:
        _make_key(path)
    key = _read_key(path)
    from wsservice.testing.tokens import jwk, jwks_document, make_token

    kid = thumbprint(key)
    if given.jwks:
        print(jwks_document([jwk(kid, key.public_key())]).decode())
        return Status.DONE
    token = make_token(_claims(given, time.time()), header={"kid": kid}, key=key)
    print(f"{given.cookie_name}={token}" if given.cookie else token)
    return Status.DONE


def thumbprint(key: RSAPrivateKey) -> str:
    """The id of a key, the same ever after: RFC 7638."""
    from jwt.algorithms import RSAAlgorithm

    from wsservice.testing.tokens import base64url

    numbers: dict[str, Any] = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    members = {name: numbers[name] for name in ("e", "kty", "n")}
    digest = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
    return base64url(digest)


def parse_time(text: str) -> int:
    """Seconds of `90s`, `15m`, `1h`, `7d`; without a unit they are seconds.

    Raises:
        Failed: it is no such thing.
    """
    match = re.fullmatch(r"(-?[0-9]{1,9})([smhd]?)", text.strip())
    if match is None:
        raise refused(f"--expires {text[:40]!a} is no time: give 90s, 15m, 1h or 7d")
    return int(match[1]) * _UNITS[match[2]]


def _claims(given: argparse.Namespace, now: float) -> dict[str, Any]:
    begun = int(now)
    lifetime = parse_time(given.expires)
    if lifetime <= 0:  # one that is over began before that
        begun += lifetime - 1
    username = given.username or given.sub
    client = {"client_id": given.client, "username": username} if given.use == "access" else {"aud": given.client}
    claims: dict[str, Any] = {
        "sub": given.sub,
        "iss": given.issuer,
        "token_use": given.use,
        **client,
        **({"cognito:username": username} if given.use == "id" else {}),
        "origin_jti": str(uuid.uuid4()),
        "jti": str(uuid.uuid4()),
        "auth_time": begun,
        "iat": begun,
        "exp": int(now) + lifetime,
    }
    if given.group:
        claims["cognito:groups"] = given.group
    if given.scope:
        claims["scope"] = " ".join(given.scope)
    for text in given.claim:
        name, separator, value = text.partition("=")
        if not separator or not name:
            raise refused("--claim: write it as NAME=JSON, such as --claim 'tenant=\"acme\"'")
        try:
            claims[name] = decode_value(value.encode("utf-8", "surrogateescape"))
        except NotStrictJson as error:
            raise refused(f"--claim {name}: {error}; a text stands in quotes: --claim '{name}=\"text\"'") from None
        if claims[name] is None:
            del claims[name]
    return claims


def _make_key(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise refused(f"--new-key: {path} is there already: leave --new-key away, or name another file") from None
    except OSError as error:
        raise Failed(f"--key {path}: {error.strerror}; name a file that this user may write") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)


def _read_key(path: Path) -> RSAPrivateKey:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    try:
        key = serialization.load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise Failed(f"--key {path}: {error.strerror}; --new-key makes it") from None
    except (ValueError, TypeError):  # the latter: it has a password
        raise Failed(f"--key {path}: not a private key in PEM without a password") from None
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < _BITS:
        raise Failed(f"--key {path}: not an RSA key of {_BITS} bits or more, which RS256 needs")
    return key


TOKEN = Command(
    name="token",
    help="make a token for development",
    about="Make a token as a user pool would (RS256), signed by a key of your own; for development and tests.",
    examples=_EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
