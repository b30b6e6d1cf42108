# ruff: noqa: E501
"""The table of hostile tokens: how each is made, and what must become of it. The good ones stand beside the bad.

`TABLE` has a row for each; `judge` is the way of a token through the service. Also for tests of the whole service.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm

from wsservice.auth.keys import parse_key_set
from wsservice.auth.principal import Principal
from wsservice.auth.tokens import MAX_TOKEN, Rules, parse_token, verify_token
from wsservice.errors import AuthenticationError, ExpiredToken, InvalidToken, NotPermitted
from wsservice.testing import (
    CLIENT_ID,
    ISSUER,
    OMIT,
    Issuer,
    base64url,
    compact,
    jwk,
    jwks_document,
    make_token,
    private_key,
)

NOW = 1_800_000_000
POOL = Issuer(now=lambda: NOW)
KEY = private_key()
#: the attacker has keys and tools, but not the pool's key
FOREIGN = private_key(1)
OTHER_OF_THE_POOL = private_key(2)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
PUBLIC_PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
PUBLIC_DER = KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

GOOD_HEADER = {"kid": "key-0", "alg": "RS256"}
GOOD_CLAIMS = {
    "sub": "alice",
    "iss": ISSUER,
    "client_id": CLIENT_ID,
    "token_use": "access",
    "scope": "aws.cognito.signin.user.admin chat/write",
    "cognito:groups": ["admin", "chat"],
    "origin_jti": "session-1",
    "jti": "token-1",
    "username": "Alice",
    "auth_time": NOW - 60,
    "iat": NOW - 60,
    "exp": NOW + 60,
}
GOOD_ID_CLAIMS = {
    **{name: value for name, value in GOOD_CLAIMS.items() if name not in ("client_id", "scope", "username")},
    "token_use": "id",
    "aud": CLIENT_ID,
    "cognito:username": "Alice",
}


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


GOOD_PAYLOAD = encode(GOOD_CLAIMS)


def sign(data: bytes) -> bytes:
    """The pool's own signature, RS256."""
    return KEY.sign(data, padding.PKCS1v15(), hashes.SHA256())


def by_foreigner(data: bytes) -> bytes:
    return FOREIGN.sign(data, padding.PKCS1v15(), hashes.SHA256())


def by_secret(secret: bytes) -> Callable[[bytes], bytes]:
    """HS256, or what an attacker makes of it."""
    return lambda data: hmac.digest(secret, data, hashlib.sha256)


def no_signature(_: bytes) -> bytes:
    return b""


def header(**changes: Any) -> str:
    """A good token of the pool with a changed header, signed by the pool."""
    return make_token(GOOD_CLAIMS, header=changes, key=KEY)


def claims(**changes: Any) -> str:
    """An access token of the pool with changed claims."""
    return make_token({**GOOD_CLAIMS, **changes}, key=KEY)


def id_claims(**changes: Any) -> str:
    """An ID token of the pool with changed claims."""
    return make_token({**GOOD_ID_CLAIMS, **changes}, key=KEY)


def raw_header(data: bytes) -> str:
    """These bytes for a header, signed by the pool."""
    return compact(data, GOOD_PAYLOAD, sign)


def raw_payload(data: bytes) -> str:
    """These bytes for a payload, signed by the pool."""
    return compact(encode(GOOD_HEADER), data, sign)


def with_claim(text: str) -> str:
    """A good payload with one more member in front, as text, signed by the pool."""
    return raw_payload(b"{" + text.encode() + b"," + GOOD_PAYLOAD[1:])


def without(name: str, text: str) -> str:
    """A good payload where a claim is replaced by this text."""
    rest = encode({key: value for key, value in GOOD_CLAIMS.items() if key != name})
    return raw_payload(b"{" + text.encode() + b"," + rest[1:])


def forged(sign: Callable[[bytes], bytes], **changes: Any) -> str:
    """Good claims under a changed header, signed by the attacker's means."""
    return compact(encode({**GOOD_HEADER, **changes}), GOOD_PAYLOAD, sign)


def parts(token: str | None = None) -> list[str]:
    return (token or header()).split(".")


def non_canonical(part: str) -> str:
    """Another spelling of the same bytes: the unused bits of the last character are set."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = part[:-1] + alphabet[alphabet.index(part[-1]) + 1]
    assert base64.urlsafe_b64decode(other + "==") == base64.urlsafe_b64decode(part + "==")
    return other


def unpadded(claims: dict[str, Any]) -> str:
    """A token whose payload leaves unused bits in its last character."""
    while len(encode(claims)) % 3 == 0:
        claims = {**claims, "x": claims.get("x", "") + "x"}
    return make_token(claims, key=KEY)


def replaced(index: int, change: Callable[[str], str]) -> str:
    """A good token with one part changed after it was signed."""
    found = parts(unpadded(GOOD_CLAIMS))
    found[index] = change(found[index])
    return ".".join(found)


def flipped(bit: int) -> str:
    head, payload, signature = parts()
    data = bytearray(base64.urlsafe_b64decode(signature + "=="))
    data[bit // 8] ^= 1 << bit % 8
    return f"{head}.{payload}.{base64url(bytes(data))}"


def of_length(length: int) -> str:
    """A good token of that many characters."""
    for typ in ("a", "ab"):  # base64 has no text of every length
        empty = make_token({**GOOD_CLAIMS, "filler": ""}, header={"typ": typ}, key=KEY)
        room = len(parts(empty)[1]) + length - len(empty)
        if room % 4 != 1:
            filler = room * 3 // 4 - len(encode({**GOOD_CLAIMS, "filler": ""}))
            return make_token({**GOOD_CLAIMS, "filler": "x" * filler}, header={"typ": typ}, key=KEY)
    raise ValueError(f"no token of {length} characters")


def keys(*entries: dict[str, Any]) -> Callable[[], bytes]:
    """A key set of these entries and one more key that nobody uses."""
    return lambda: jwks_document([jwk("unused", OTHER_OF_THE_POOL.public_key()), *entries])


def good_keys() -> bytes:
    return jwks_document([jwk("key-0", KEY.public_key()), jwk("key-2", OTHER_OF_THE_POOL.public_key())])


def elliptic_token() -> str:
    return compact(
        encode({**GOOD_HEADER, "alg": "ES256"}),
        GOOD_PAYLOAD,
        lambda data: ELLIPTIC.sign(data, ec.ECDSA(hashes.SHA256())),
    )


def elliptic_key() -> dict[str, Any]:
    return {**ECAlgorithm.to_jwk(ELLIPTIC.public_key(), as_dict=True), "kid": "key-0"}


ACCESS_ONLY = POOL.rules(token_uses=frozenset({"access"}))
ID_ONLY = POOL.rules(token_uses=frozenset({"id"}))
LENIENT = POOL.rules(leeway=30)
TWO_CLIENTS = POOL.rules(clients=frozenset({"another", CLIENT_ID}))
GROUPS = POOL.rules(required_groups=frozenset({"admin", "staff"}))
SCOPES = POOL.rules(required_scopes=frozenset({"chat/write", "chat/admin"}))
OIDC = POOL.rules(style="oidc", groups_claim="groups")


@dataclass
class Row:
    """A token and its fate: the error and what its text says, or nothing if it is accepted."""

    name: str
    token: Callable[[], str]
    error: type[AuthenticationError] | None = None
    reason: str = ""
    rules: Rules = field(default_factory=POOL.rules)
    keys: Callable[[], bytes] = good_keys


BAD = InvalidToken

FORM = [
    Row("empty text", lambda: "", BAD, "1 parts"),
    Row("a word", lambda: "token", BAD, "1 parts"),
    Row("two parts", lambda: ".".join(parts()[:2]), BAD, "2 parts"),
    Row("four parts", lambda: header() + ".AAAA", BAD, "4 parts"),
    Row("five parts, as of an encrypted token", lambda: header() + ".AAAA.AAAA", BAD, "5 parts"),
    Row("dot in front", lambda: "." + header(), BAD, "4 parts"),
    Row("dot at the end", lambda: header() + ".", BAD, "4 parts"),
    Row("two dots", lambda: "..", BAD, "header is empty"),
    Row("empty header", lambda: replaced(0, lambda _: ""), BAD, "header is empty"),
    Row("empty payload", lambda: replaced(1, lambda _: ""), BAD, "payload is empty"),
    Row("empty signature", lambda: replaced(2, lambda _: ""), BAD, "signature is empty"),
    Row("percent-encoded dots", lambda: header().replace(".", "%2E"), BAD, "1 parts"),
    Row("in quotes", lambda: f'"{header()}"', BAD, "base64url"),
    Row("behind Bearer", lambda: f"Bearer {header()}", BAD, "base64url"),
    Row("trailing newline", lambda: header() + "\n", BAD, "base64url"),
    Row("trailing carriage return", lambda: header() + "\r\n", BAD, "base64url"),
    Row("leading space", lambda: " " + header(), BAD, "base64url"),
    Row("trailing space", lambda: header() + " ", BAD, "base64url"),
    Row("tab inside", lambda: replaced(1, lambda part: part[:8] + "\t" + part[8:]), BAD, "base64url"),
    Row("newline inside", lambda: replaced(1, lambda part: part[:76] + "\n" + part[76:]), BAD, "base64url"),
    Row("NUL inside", lambda: replaced(2, lambda part: part[:8] + "\0" + part[8:]), BAD, "base64url"),
    Row("a letter that is not ASCII", lambda: header() + "é", BAD, "not ASCII"),
    Row("full-width letters", lambda: header().replace("e", "\uff45", 1), BAD, "not ASCII"),
    Row("a lone surrogate", lambda: header() + "\udc80", BAD, "not ASCII"),
    Row("9 KiB", lambda: claims(filler="x" * 6200), BAD, "longer than 8192"),
    Row("a character too long", lambda: of_length(MAX_TOKEN + 1), BAD, "longer than 8192"),
    Row("as long as allowed", lambda: of_length(MAX_TOKEN)),
    Row("padded header", lambda: replaced(0, lambda part: part + "="), BAD, "header .*canonical"),
    Row("padded payload", lambda: replaced(1, lambda part: part + "="), BAD, "payload .*canonical"),
    Row("padded signature", lambda: replaced(2, lambda part: part + "=="), BAD, "signature .*canonical"),
    Row("header of one letter too many", lambda: replaced(0, lambda part: part + "A"), BAD, "header"),
    Row("signature of an impossible length", lambda: replaced(2, lambda part: part[:-1]), BAD, "signature is not base64url"),
    Row("last character of the header not canonical", lambda: replaced(0, non_canonical), BAD, "header .*canonical"),
    Row("last character of the payload not canonical", lambda: replaced(1, non_canonical), BAD, "payload .*canonical"),
    Row("last character of the signature not canonical", lambda: replaced(2, non_canonical), BAD, "signature .*canonical"),
    Row("the alphabet of plain base64", lambda: replaced(2, lambda _: base64.b64encode(b"\xfb\xff" * 128).decode().rstrip("=")), BAD, "signature .*canonical"),
    Row("JSON serialization", lambda: encode(dict(zip(("protected", "payload", "signature"), parts(), strict=True))).decode(), BAD, "1 parts"),
]  # fmt: skip

HEADER = [
    Row("plain header", header),
    Row("alg none without a signature", lambda: forged(no_signature, alg="none"), BAD, "`alg`"),
    Row("alg none with the good signature", lambda: header(alg="none"), BAD, "`alg`"),
    Row("alg None", lambda: forged(sign, alg="None"), BAD, "`alg`"),
    Row("alg NONE", lambda: forged(sign, alg="NONE"), BAD, "`alg`"),
    Row("alg nOnE", lambda: forged(sign, alg="nOnE"), BAD, "`alg`"),
    Row("alg empty", lambda: header(alg=""), BAD, "`alg`"),
    Row("alg missing", lambda: header(alg=OMIT), BAD, "`alg`"),
    Row("alg null", lambda: header(alg=None), BAD, "`alg`"),
    Row("alg a number", lambda: header(alg=256), BAD, "`alg`"),
    Row("alg a list", lambda: header(alg=["RS256"]), BAD, "`alg`"),
    Row("alg in lower case", lambda: header(alg="rs256"), BAD, "`alg`"),
    Row("alg with a space", lambda: header(alg="RS256 "), BAD, "`alg`"),
    Row("HS256 with the public key in PEM as the secret", lambda: forged(by_secret(PUBLIC_PEM), alg="HS256"), BAD, "`alg`"),
    Row("HS256 with the public key in DER as the secret", lambda: forged(by_secret(PUBLIC_DER), alg="HS256"), BAD, "`alg`"),
    Row("HS256 with an empty secret", lambda: forged(by_secret(b""), alg="HS256"), BAD, "`alg`"),
    Row("an HMAC under the name of RS256", lambda: forged(by_secret(PUBLIC_PEM)), BAD, "bad signature"),
    Row("RS384", lambda: forged(lambda data: KEY.sign(data, padding.PKCS1v15(), hashes.SHA384()), alg="RS384"), BAD, "`alg`"),
    Row("RS512", lambda: forged(lambda data: KEY.sign(data, padding.PKCS1v15(), hashes.SHA512()), alg="RS512"), BAD, "`alg`"),
    Row("RS512 under the name of RS256", lambda: forged(lambda data: KEY.sign(data, padding.PKCS1v15(), hashes.SHA512())), BAD, "bad signature"),
    Row("PS256", lambda: forged(lambda data: KEY.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()), alg="PS256"), BAD, "`alg`"),
    Row("PS256 under the name of RS256", lambda: forged(lambda data: KEY.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())), BAD, "bad signature"),
    Row("ES256", elliptic_token, BAD, "`alg`"),
    Row("EdDSA", lambda: header(alg="EdDSA"), BAD, "`alg`"),
    Row("crit of nothing", lambda: header(crit=[]), BAD, "`crit`"),
    Row("crit of exp", lambda: header(crit=["exp"], exp=NOW), BAD, "`crit`"),
    Row("crit null", lambda: header(crit=None), BAD, "`crit`"),
    Row("crit of an unencoded payload", lambda: header(crit=["b64"], b64=False), BAD, "`crit`"),
    Row("kid missing", lambda: header(kid=OMIT), BAD, "`kid`"),
    Row("kid empty", lambda: header(kid=""), BAD, "`kid`"),
    Row("kid null", lambda: header(kid=None), BAD, "`kid`"),
    Row("kid a number", lambda: header(kid=0), BAD, "`kid`"),
    Row("kid a list", lambda: header(kid=["key-0"]), BAD, "`kid`"),
    Row("kid an object", lambda: header(kid={"key-0": 1}), BAD, "`kid`"),
    Row("kid too long", lambda: header(kid="k" * 257), BAD, "`kid`"),
    Row("kid unknown", lambda: header(kid="key-9"), BAD, "unknown key id"),
    Row("kid in another case", lambda: header(kid="KEY-0"), BAD, "unknown key id"),
    Row("kid with a space", lambda: header(kid="key-0 "), BAD, "unknown key id"),
    Row("kid that is a path", lambda: forged(by_secret(b""), kid="../../../../dev/null"), BAD, "unknown key id"),
    Row("kid of another key of the pool", lambda: header(kid="key-2"), BAD, "bad signature"),
    Row("signed by the pool's other key under its own kid", lambda: make_token(GOOD_CLAIMS, header={"kid": "key-2"}, key=OTHER_OF_THE_POOL)),
    Row("embedded jwk of the attacker", lambda: forged(by_foreigner, jwk=jwk("key-0", FOREIGN.public_key())), BAD, "bad signature"),
    Row("embedded jwk without a kid", lambda: forged(by_foreigner, kid=None, jwk=jwk("key-0", FOREIGN.public_key())), BAD, "`kid`"),
    Row("embedded jwk of the pool itself", lambda: header(jwk=jwk("key-0", KEY.public_key()))),
    Row("embedded jwk of the attacker on the pool's own token", lambda: header(jwk=jwk("key-0", FOREIGN.public_key()))),
    Row("jku of the attacker", lambda: forged(by_foreigner, jku="https://evil.example/jwks.json"), BAD, "bad signature"),
    Row("jku on the pool's own token is ignored", lambda: header(jku="https://evil.example/jwks.json")),
    Row("x5u of the attacker", lambda: forged(by_foreigner, x5u="https://evil.example/cert.pem"), BAD, "bad signature"),
    Row("x5u on the pool's own token is ignored", lambda: header(x5u="https://evil.example/cert.pem")),
    Row("x5c of the attacker", lambda: forged(by_foreigner, x5c=["MIIB"]), BAD, "bad signature"),
    Row("x5c on the pool's own token is ignored", lambda: header(x5c=["MIIB"])),
    Row("typ of any kind", lambda: header(typ="at+jwt")),
    Row("header a list", lambda: raw_header(b'["RS256"]'), BAD, "header .*not a JSON object"),
    Row("header a string", lambda: raw_header(b'"RS256"'), BAD, "header .*not a JSON object"),
    Row("header null", lambda: raw_header(b"null"), BAD, "header .*not a JSON object"),
    Row("header of nothing", lambda: raw_header(b"{}"), BAD, "`alg`"),
    Row("header is no JSON", lambda: raw_header(b"RS256"), BAD, "header is not strict JSON"),
    Row("header in single quotes", lambda: raw_header(b"{'kid':'key-0','alg':'RS256'}"), BAD, "header is not strict JSON"),
    Row("header with alg twice", lambda: raw_header(b'{"alg":"none","kid":"key-0","alg":"RS256"}'), BAD, "header .*duplicate"),
    Row("header with kid twice", lambda: raw_header(b'{"kid":"key-9","kid":"key-0","alg":"RS256"}'), BAD, "header .*duplicate"),
    Row("header with alg twice, once escaped", lambda: raw_header(rb'{"\u0061lg":"none","kid":"key-0","alg":"RS256"}'), BAD, "header .*duplicate"),
    Row("header with a byte order mark", lambda: raw_header(b"\xef\xbb\xbf" + encode(GOOD_HEADER)), BAD, "header is not strict JSON"),
    Row("header in UTF-16", lambda: raw_header(json.dumps(GOOD_HEADER).encode("utf-16-le")), BAD, "header is not strict JSON"),
    Row("header that is not UTF-8", lambda: raw_header(b'{"kid":"key-0","alg":"RS256","x":"\xff"}'), BAD, "header .*not UTF-8"),
    Row("header with NaN", lambda: raw_header(b'{"kid":"key-0","alg":"RS256","x":NaN}'), BAD, "header is not strict JSON"),
    Row("header with text behind", lambda: raw_header(encode(GOOD_HEADER) + b"x"), BAD, "header is not strict JSON"),
    Row("header that is a nesting bomb", lambda: raw_header(b'{"kid":"key-0","alg":"RS256","x":' + b"[" * 4000 + b"]" * 4000 + b"}"), BAD, "longer than|nested too deep"),
    Row("header nested 33 deep", lambda: raw_header(b'{"kid":"key-0","alg":"RS256","x":' + b"[" * 32 + b"]" * 32 + b"}"), BAD, "header .*nested too deep"),
    Row("header nested 1000 deep", lambda: raw_header(b'{"x":' * 800 + b"1" + b"}" * 800), BAD, "header .*nested too deep"),
    Row("kid with a lone surrogate", lambda: raw_header(rb'{"kid":"\ud800","alg":"RS256"}'), BAD, "header is not strict JSON"),
]  # fmt: skip

SIGNATURE = [
    Row("first bit flipped", lambda: flipped(7), BAD, "bad signature"),
    Row("last bit flipped", lambda: flipped(2040), BAD, "bad signature"),
    Row("of another key", lambda: make_token(GOOD_CLAIMS, key=FOREIGN), BAD, "bad signature"),
    Row("of another token", lambda: ".".join(parts()[:2] + parts(claims(sub="bob"))[2:]), BAD, "bad signature"),
    Row("all zero", lambda: forged(lambda _: bytes(256)), BAD, "bad signature"),
    Row("of one byte", lambda: forged(lambda _: b"\0"), BAD, "bad signature"),
    Row("with a zero byte in front", lambda: forged(lambda data: b"\0" + sign(data)), BAD, "bad signature"),
    Row("with a byte behind", lambda: forged(lambda data: sign(data) + b"\0"), BAD, "bad signature"),
    Row("over the payload only", lambda: forged(lambda data: sign(data.partition(b".")[2])), BAD, "bad signature"),
    Row("payload swapped", lambda: replaced(1, lambda _: base64url(encode({**GOOD_CLAIMS, "sub": "bob"}))), BAD, "bad signature"),
    Row("header encoded anew with a space", lambda: replaced(0, lambda _: base64url(json.dumps(GOOD_HEADER).encode())), BAD, "bad signature"),
    Row("header encoded anew in another order", lambda: replaced(0, lambda _: base64url(encode(dict(reversed(GOOD_HEADER.items()))))), BAD, "bad signature"),
    Row("payload encoded anew with a space", lambda: replaced(1, lambda _: base64url(json.dumps(GOOD_CLAIMS).encode())), BAD, "bad signature"),
]  # fmt: skip

KEYS = [
    Row("an elliptic key of that kid in the set", elliptic_token, BAD, "`alg`", keys=keys(elliptic_key())),
    Row("an elliptic key of that kid and a token of RS256", header, BAD, "unknown key id", keys=keys(elliptic_key())),
    Row("a key of 1024 bits in the set", lambda: make_token(GOOD_CLAIMS, key=private_key(0, 1024)), BAD, "unknown key id", keys=keys(jwk("key-0", private_key(0, 1024).public_key()))),
    Row("a key for encryption", header, BAD, "unknown key id", keys=keys(jwk("key-0", KEY.public_key(), use="enc"))),
    Row("a key for RS512", header, BAD, "unknown key id", keys=keys(jwk("key-0", KEY.public_key(), alg="RS512"))),
    Row("a key that must not verify", header, BAD, "unknown key id", keys=keys(jwk("key-0", KEY.public_key(), key_ops=["encrypt"]))),
    Row("two keys of one kid", header, BAD, "unknown key id", keys=keys(jwk("key-0", KEY.public_key()), jwk("key-0", FOREIGN.public_key()))),
    Row("a symmetric key of that kid in the set", lambda: forged(by_secret(b"secret"), alg="HS256"), BAD, "`alg`", keys=keys({"kty": "oct", "kid": "key-0", "k": "c2VjcmV0"})),
    Row("a key that was withdrawn", header, BAD, "unknown key id", keys=keys()),
    Row("a bad key beside the good one", header, keys=keys({"kty": "EC"}, jwk("key-0", KEY.public_key()))),
    Row("a key without use and alg", header, keys=keys(jwk("key-0", KEY.public_key(), use=OMIT, alg=OMIT))),
]  # fmt: skip

CLAIMS = [
    Row("access token", claims),
    Row("ID token", id_claims),
    Row("one of several clients", claims, rules=TWO_CLIENTS),
    Row("foreign issuer", lambda: claims(iss=ISSUER + "2"), BAD, "`iss` is 'https"),
    Row("issuer of another region", lambda: claims(iss=ISSUER.replace("eu-central-1", "us-east-1")), BAD, "`iss`"),
    Row("issuer with a slash behind", lambda: claims(iss=ISSUER + "/"), BAD, "`iss`"),
    Row("issuer in capitals", lambda: claims(iss=ISSUER.upper()), BAD, "`iss`"),
    Row("issuer over http", lambda: claims(iss=ISSUER.replace("https", "http")), BAD, "`iss`"),
    Row("issuer in a list", lambda: claims(iss=[ISSUER]), BAD, "`iss`"),
    Row("issuer missing", lambda: claims(iss=OMIT), BAD, "`iss` is None"),
    Row("issuer a number", lambda: claims(iss=7), BAD, "`iss`"),
    Row("issuer that writes into the log", lambda: claims(iss="x\nERROR \x1b[31m" + "y" * 999), BAD, r"^`iss` is 'x\\nERROR \\x1b\[31my{100,190}, which is not a configured issuer$"),
    Row("foreign client", lambda: claims(client_id="another"), BAD, "`client_id` is 'another'"),
    Row("client missing", lambda: claims(client_id=OMIT), BAD, "`client_id`"),
    Row("client in a list", lambda: claims(client_id=[CLIENT_ID]), BAD, "`client_id`"),
    Row("client a number", lambda: claims(client_id=1), BAD, "`client_id`"),
    Row("access token with aud alone", lambda: claims(client_id=OMIT, aud=CLIENT_ID), BAD, "`client_id`"),
    Row("access token of a resource", lambda: claims(aud="https://api.example.com")),
    Row("ID token of a foreign client", lambda: id_claims(aud="another"), BAD, "`aud`"),
    Row("ID token of a foreign client with client_id", lambda: id_claims(aud="another", client_id=CLIENT_ID), BAD, "`aud`"),
    Row("ID token without aud", lambda: id_claims(aud=OMIT, client_id=CLIENT_ID), BAD, "`aud`"),
    Row("ID token with a list for aud", lambda: id_claims(aud=[CLIENT_ID]), BAD, "`aud`"),
    Row("token_use refresh", lambda: claims(token_use="refresh"), BAD, "`token_use`"),
    Row("token_use in capitals", lambda: claims(token_use="ACCESS"), BAD, "`token_use`"),
    Row("token_use missing", lambda: claims(token_use=OMIT), BAD, "`token_use`"),
    Row("token_use in a list", lambda: claims(token_use=["access"]), BAD, "`token_use`"),
    Row("ID token where only access tokens may come", id_claims, BAD, "`token_use` is 'id'", rules=ACCESS_ONLY),
    Row("access token where only ID tokens may come", claims, BAD, "`token_use` is 'access'", rules=ID_ONLY),
    Row("access token that says it is an ID token", lambda: claims(token_use="id"), BAD, "`aud`"),
    Row("sub missing", lambda: claims(sub=OMIT), BAD, "`sub`"),
    Row("sub empty", lambda: claims(sub=""), BAD, "`sub`"),
    Row("sub a number", lambda: claims(sub=1), BAD, "`sub`"),
    Row("sub null", lambda: claims(sub=None), BAD, "`sub`"),
    Row("sub in a list", lambda: claims(sub=["alice"]), BAD, "`sub`"),
    Row("groups a string", lambda: claims(**{"cognito:groups": "admin"}), BAD, "`cognito:groups`"),
    Row("groups of numbers", lambda: claims(**{"cognito:groups": [1]}), BAD, "`cognito:groups`"),
    Row("groups of strings and null", lambda: claims(**{"cognito:groups": ["admin", None]}), BAD, "`cognito:groups`"),
    Row("groups of lists", lambda: claims(**{"cognito:groups": [["admin"]]}), BAD, "`cognito:groups`"),
    Row("groups null", lambda: claims(**{"cognito:groups": None}), BAD, "`cognito:groups`"),
    Row("groups an object", lambda: claims(**{"cognito:groups": {"admin": True}}), BAD, "`cognito:groups`"),
    Row("groups empty", lambda: claims(**{"cognito:groups": []})),
    Row("groups missing", lambda: claims(**{"cognito:groups": OMIT})),
    Row("scope in a list", lambda: claims(scope=["chat/write"]), BAD, "`scope`"),
    Row("scope null", lambda: claims(scope=None), BAD, "`scope`"),
    Row("scope empty", lambda: claims(scope="")),
    Row("origin_jti a number", lambda: claims(origin_jti=1), BAD, "`origin_jti`"),
    Row("origin_jti empty", lambda: claims(origin_jti=""), BAD, "`origin_jti`"),
    Row("jti a list", lambda: claims(origin_jti=OMIT, jti=["a"]), BAD, "`jti`"),
    Row("jti a number beside a good origin_jti", lambda: claims(jti=7), BAD, "`jti`"),
    Row("username a number", lambda: claims(username=7)),
    Row("payload a list", lambda: raw_payload(b"[]"), BAD, "payload .*not a JSON object"),
    Row("payload a string", lambda: raw_payload(b'"alice"'), BAD, "payload .*not a JSON object"),
    Row("payload null", lambda: raw_payload(b"null"), BAD, "payload .*not a JSON object"),
    Row("payload of nothing", lambda: raw_payload(b"{}"), BAD, "`iss`"),
    Row("payload that is a token itself", lambda: raw_payload(claims().encode()), BAD, "payload is not strict JSON"),
    Row("payload with sub twice", lambda: with_claim('"sub":"bob"'), BAD, "payload .*duplicate"),
    Row("payload with exp twice", lambda: with_claim('"exp":9999999999'), BAD, "payload .*duplicate"),
    Row("payload with sub twice, once escaped", lambda: with_claim(r'"s\u0075b":"bob"'), BAD, "payload .*duplicate"),
    Row("payload with duplicates further down", lambda: with_claim('"x":{"y":1,"y":2}'), BAD, "payload .*duplicate"),
    Row("payload with a byte order mark", lambda: raw_payload(b"\xef\xbb\xbf" + GOOD_PAYLOAD), BAD, "payload is not strict JSON"),
    Row("payload that is not UTF-8", lambda: raw_payload(GOOD_PAYLOAD.replace(b"Alice", b"Al\xffce")), BAD, "payload .*not UTF-8"),
    Row("payload in UTF-16", lambda: raw_payload(GOOD_PAYLOAD.decode().encode("utf-16")), BAD, "payload is not strict JSON"),
    Row("payload with NUL behind", lambda: raw_payload(GOOD_PAYLOAD + b"\0"), BAD, "payload is not strict JSON"),
    Row("payload that is a nesting bomb", lambda: with_claim('"x":' + "[" * 2000 + "]" * 2000), BAD, "payload .*nested too deep"),
    Row("payload nested 33 deep", lambda: with_claim('"x":' + "[" * 32 + "]" * 32), BAD, "payload .*nested too deep"),
    Row("payload nested 32 deep", lambda: with_claim('"x":' + "[" * 31 + "]" * 31)),
]  # fmt: skip

TIMES = [
    Row("expired by a second", lambda: claims(exp=NOW - 1), ExpiredToken, "expired 1 s ago"),
    Row("exp is now", lambda: claims(exp=NOW), ExpiredToken, "expired 0 s ago"),
    Row("exp in a second", lambda: claims(exp=NOW + 1)),
    Row("exp a float", lambda: claims(exp=NOW + 1.5)),
    Row("exp before 1970", lambda: claims(exp=-1), ExpiredToken),
    Row("exp missing", lambda: claims(exp=OMIT), BAD, "`exp` is missing"),
    Row("exp null", lambda: claims(exp=None), BAD, "`exp` is not a time"),
    Row("exp a string", lambda: claims(exp=str(NOW + 60)), BAD, "`exp` is not a time"),
    Row("exp true", lambda: claims(exp=True), BAD, "`exp` is not a time"),
    Row("exp in a list", lambda: claims(exp=[NOW + 60]), BAD, "`exp` is not a time"),
    Row("exp NaN", lambda: without("exp", '"exp":NaN'), BAD, "payload is not strict JSON"),
    Row("exp the string NaN", lambda: claims(exp="NaN"), BAD, "`exp` is not a time"),
    Row("exp Infinity", lambda: without("exp", '"exp":Infinity'), BAD, "payload is not strict JSON"),
    Row("exp 1e400", lambda: without("exp", '"exp":1e400'), BAD, "out of range"),
    Row("exp 1e308", lambda: without("exp", '"exp":1e308'), BAD, "`exp` is not a time"),
    Row("exp of 400 digits", lambda: claims(exp=10**400), BAD, "`exp` is not a time"),
    Row("exp of 5000 digits", lambda: without("exp", f'"exp":{"9" * 5000}'), BAD, "out of range"),
    Row("exp minus 400 digits", lambda: claims(exp=-(10**400)), BAD, "`exp` is not a time"),
    Row("exp 2**53", lambda: claims(exp=2**53), BAD, "`exp` is not a time"),
    Row("exp 2**53 - 1", lambda: claims(exp=2**53 - 1)),
    Row("exp minus 2**53", lambda: claims(exp=-(2**53)), BAD, "`exp` is not a time"),
    Row("exp in hexadecimal", lambda: without("exp", '"exp":0xffffffff'), BAD, "payload is not strict JSON"),
    Row("expired within the leeway", lambda: claims(exp=NOW - 29), rules=LENIENT),
    Row("expired by the leeway", lambda: claims(exp=NOW - 30), ExpiredToken, rules=LENIENT),
    Row("expired and forged", lambda: make_token({**GOOD_CLAIMS, "exp": NOW - 1}, key=FOREIGN), BAD, "bad signature"),
    Row("expired and of a foreign issuer", lambda: claims(exp=NOW - 1, iss="https://evil.example"), BAD, "`iss`"),
    Row("expired and of a foreign client", lambda: claims(exp=NOW - 1, client_id="another"), BAD, "`client_id`"),
    Row("expired and without sub", lambda: claims(exp=NOW - 1, sub=OMIT), BAD, "`sub`"),
    Row("expired and not yet valid", lambda: claims(exp=NOW - 1, nbf=NOW + 1), BAD, "`nbf`"),
    Row("nbf in a second", lambda: claims(nbf=NOW + 1), BAD, "`nbf` is 1 s ahead"),
    Row("nbf is now", lambda: claims(nbf=NOW)),
    Row("nbf in the past", lambda: claims(nbf=NOW - 1)),
    Row("nbf ahead within the leeway", lambda: claims(nbf=NOW + 30), rules=LENIENT),
    Row("nbf ahead beyond the leeway", lambda: claims(nbf=NOW + 31), BAD, "`nbf`", rules=LENIENT),
    Row("nbf a string", lambda: claims(nbf="0"), BAD, "`nbf` is not a time"),
    Row("nbf false", lambda: claims(nbf=False), BAD, "`nbf` is not a time"),
    Row("nbf null", lambda: claims(nbf=None), BAD, "`nbf` is not a time"),
    Row("iat 299 s ahead", lambda: claims(iat=NOW + 299, exp=NOW + 999)),
    Row("iat 300 s ahead", lambda: claims(iat=NOW + 300, exp=NOW + 999)),
    Row("iat 301 s ahead", lambda: claims(iat=NOW + 301, exp=NOW + 999), BAD, "`iat` is 301 s ahead"),
    Row("iat missing", lambda: claims(iat=OMIT)),
    Row("iat a string", lambda: claims(iat=str(NOW)), BAD, "`iat` is not a time"),
    Row("iat true", lambda: claims(iat=True), BAD, "`iat` is not a time"),
    Row("iat of 400 digits", lambda: claims(iat=10**400), BAD, "`iat` is not a time"),
    Row("auth_time 301 s ahead", lambda: claims(auth_time=NOW + 301), BAD, "`auth_time` is 301 s ahead"),
    Row("auth_time a list", lambda: claims(auth_time=[]), BAD, "`auth_time` is not a time"),
]  # fmt: skip

PERMISSION = [
    Row("in one of the required groups", claims, rules=GROUPS),
    Row("in none of the required groups", lambda: claims(**{"cognito:groups": ["chat"]}), NotPermitted, "groups", rules=GROUPS),
    Row("in no group at all", lambda: claims(**{"cognito:groups": OMIT}), NotPermitted, "groups", rules=GROUPS),
    Row("in a group that begins alike", lambda: claims(**{"cognito:groups": ["admin2", "Admin"]}), NotPermitted, "groups", rules=GROUPS),
    Row("one of the required scopes", claims, rules=SCOPES),
    Row("none of the required scopes", lambda: claims(scope="chat/read chat/write2"), NotPermitted, "scopes", rules=SCOPES),
    Row("scopes parted by a tab", lambda: claims(scope="chat/read\tchat/write"), NotPermitted, "scopes", rules=SCOPES),
    Row("no scope at all", lambda: claims(scope=OMIT), NotPermitted, "scopes", rules=SCOPES),
    Row("expired and in none of the groups", lambda: claims(exp=NOW, **{"cognito:groups": []}), ExpiredToken, rules=GROUPS),
    Row("forged and in none of the groups", lambda: make_token({**GOOD_CLAIMS, "cognito:groups": []}, key=FOREIGN), BAD, "bad signature", rules=GROUPS),
]  # fmt: skip

OTHER_ISSUERS = [
    Row("aud a string", id_claims, rules=OIDC),
    Row("aud a list with the client", lambda: id_claims(aud=["https://api", CLIENT_ID]), rules=OIDC),
    Row("aud a list without the client", lambda: id_claims(aud=["https://api"]), BAD, "`aud`", rules=OIDC),
    Row("aud an empty list", lambda: id_claims(aud=[]), BAD, "`aud`", rules=OIDC),
    Row("aud a list of lists", lambda: id_claims(aud=[[CLIENT_ID]]), BAD, "`aud`", rules=OIDC),
    Row("aud an object", lambda: id_claims(aud={CLIENT_ID: 1}), BAD, "`aud`", rules=OIDC),
    Row("aud missing, whatever client_id and azp say", lambda: id_claims(aud=OMIT, client_id=CLIENT_ID, azp=CLIENT_ID), BAD, "`aud`", rules=OIDC),
    Row("token_use of any kind", lambda: id_claims(token_use=7), rules=OIDC),
    Row("without token_use", lambda: id_claims(token_use=OMIT), rules=OIDC),
    Row("azp of another client", lambda: id_claims(azp="another"), rules=OIDC),
    Row("logout token", lambda: id_claims(events={"http://schemas.openid.net/event/backchannel-logout": {}}), BAD, "`events`", rules=OIDC),
    Row("foreign issuer of its own kind", lambda: id_claims(iss="https://evil.example"), BAD, "`iss`", rules=OIDC),
    Row("groups of its own name", lambda: id_claims(groups="admin"), BAD, "`groups`", rules=OIDC),
    Row("groups of Cognito's name are no groups here", lambda: id_claims(**{"cognito:groups": "admin"}), rules=OIDC),
]  # fmt: skip

TABLE = [*FORM, *HEADER, *SIGNATURE, *KEYS, *CLAIMS, *TIMES, *PERMISSION, *OTHER_ISSUERS]


def judge(token: str, document: bytes, rules: Rules, now: float = NOW) -> Principal:
    """The way of a token through the service."""
    unverified = parse_token(token)
    key = parse_key_set(document).get(unverified.kid)
    if key is None:
        raise InvalidToken("unknown key id")  # as a KeySource says it
    return verify_token(unverified, key, rules, now)
