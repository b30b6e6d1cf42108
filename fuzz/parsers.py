"""Targets for the parsers: each raises what it documents and nothing else; what it gives back holds together."""

from __future__ import annotations

import base64
import functools
import ipaddress
import json
import re
import zlib
from collections.abc import Callable, Hashable
from typing import Any
from urllib.parse import parse_qsl

from fuzz import strict_reference
from fuzz.target import Reader, outcome_of, text_of
from tests.fakes import BARE_WIRE, make_handshake
from wsservice.auth.cookies import MAX_CHUNKS, CookiePolicy, read_cookie, read_token
from wsservice.auth.keys import MAX_BITS, MIN_BITS, KeySetError, VerifyKey, parse_key_set
from wsservice.auth.origin import Origin, OriginPolicy, parse_origin
from wsservice.auth.principal import Principal
from wsservice.auth.strict_json import MAX_DEPTH, NotStrictJson, decode_object
from wsservice.auth.tokens import Rules, UnverifiedToken, parse_token, verify_token
from wsservice.engineio.packet import (
    SEPARATOR,
    Packet,
    PacketType,
    ParseError,
    decode_frame,
    decode_payload,
    encode_packet,
    frames_of_piece,
)
from wsservice.engineio.query import RequestError, read_query
from wsservice.engineio.settings import Settings
from wsservice.envelope import MAX_ID, MESSAGE, decode_binary, decode_text
from wsservice.errors import (
    BadHandshake,
    HeadTooLarge,
    InvalidToken,
    NotPermitted,
    OriginNotAllowed,
    TokenTooLarge,
)
from wsservice.handshake import MAX_HEADERS, Handshake, parse_head
from wsservice.handshake import make_handshake as make_parsed
from wsservice.messages import Ack, Event
from wsservice.testing import Issuer, base64url
from wsservice.transports.common_frames import next_common_frame
from wsservice.web.answers import RequestRefused
from wsservice.web.compression import choose_coding, compress
from wsservice.web.forms import read_challenge_answer, read_credentials

NOW = 1_800_000_000.0
PROXIES = (ipaddress.ip_network("192.0.2.0/24"), ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
_PEERS = ("192.0.2.7", "10.1.2.3", "", "::ffff:10.0.0.1", "fe80::1%eth0", "203.0.113.9", "::1", "no address")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
#: a binary packet, with all its padding or none (RFC 4648)
_BASE64 = re.compile(r"b(?:[A-Za-z0-9+/_-]{4})*(?:[A-Za-z0-9+/_-]{2}(?:==)?|[A-Za-z0-9+/_-]{3}=?)?")
_EMPTY_LINE = b"\r\n\r\n"


def _is_clean(text: str) -> bool:
    """Whether it may stand in a header that we write, or in a log line."""
    return text.isascii() and (text.replace("\t", " ").isprintable())


# -- request heads


def handshake(data: bytes) -> Hashable:
    """A request head; the first byte says who the TCP peer is, and whether proxies are trusted."""
    reader = Reader(data)
    flags = reader.byte()
    peer, trusted, secure = _PEERS[flags & 7], PROXIES if flags & 8 else (), bool(flags & 16)
    try:
        parsed = parse_head(reader.rest() + _EMPTY_LINE, peer, secure, trusted)
    except (BadHandshake, HeadTooLarge) as error:
        return outcome_of(error)
    _check_handshake(parsed)
    if not trusted:
        assert (parsed.peer, parsed.secure) == (peer, secure), "a header changed what nobody trusts it to say"
    elif parsed.peer != peer:
        ipaddress.ip_address(parsed.peer)
        assert "%" not in parsed.peer
    target = parsed.path + (f"?{parsed.query_string}" if parsed.query_string else "")
    again = make_parsed(parsed.method, target, parsed.headers, peer=peer, secure=secure, trusted=trusted)
    assert (again.headers, again.peer, again.host) == (parsed.headers, parsed.peer, parsed.host)
    return len(parsed.headers), parsed.peer == peer, parsed.secure, bool(parsed.query), _follow(parsed)


def _check_handshake(parsed: Handshake) -> None:
    assert parsed.path.startswith("/")
    assert not set(parsed.path) & set(" ?#")
    assert len(parsed.headers) <= MAX_HEADERS
    for name, value in parsed.headers:
        assert name == name.lower() != ""
        assert _is_clean(name)
        assert _is_clean(value)
        assert value == value.strip(" \t")
    assert _is_clean(parsed.peer + parsed.host + parsed.request_id + parsed.path + parsed.method)
    assert 8 <= len(parsed.request_id) <= 64
    kept = {name for name, _ in parsed.without_secrets().headers}
    assert not kept & {"cookie", "authorization", "proxy-authorization"}


def _follow(parsed: Handshake) -> Hashable:
    """What reads a head next."""
    try:
        token = bool(read_token(parsed.header_values("cookie"), "authToken"))
    except InvalidToken:
        token = False
    try:
        POLICY.check(parsed)
    except OriginNotAllowed as error:
        assert not POLICY.cors_headers(parsed)
        return token, outcome_of(error)
    return token, len(POLICY.cors_headers(parsed)), len(POLICY.preflight_headers(parsed))


# -- cookies


def cookies(data: bytes) -> Hashable:
    """`Cookie` lines; the token in the first line is also set, taken by a browser, and read again."""
    token, *lines = data.decode("latin-1").split("\n")
    outcome: Hashable
    try:
        read_cookie(lines, "authToken")
        found = read_token(lines, "authToken")
        outcome = found and len(found)
        assert found != ""
        assert found is None or not set(found) & set(";\n")
        assert found is None or sum(map(len, lines)) >= len(found)
        _check_chunks(found, lines)
    except InvalidToken as error:
        outcome = outcome_of(error)
    return outcome, _set_and_read(token, lines)


def _check_chunks(found: str | None, lines: list[str]) -> None:
    """A token that is put together has all its chunks up to the last."""
    pairs = [pair.strip(" \t").partition("=") for line in lines for pair in line.split(";")]
    names = {name for name, _, value in pairs if value}
    numbers = [number for number in range(MAX_CHUNKS) if f"authToken.{number}" in names]
    assert "authToken" in names or (bool(numbers) is (found is not None) and numbers == list(range(len(numbers))))


def _set_and_read(token: str, lines: list[str]) -> Hashable:
    """RFC 6265 section 5.3, in short."""
    handshake = make_handshake(headers=(("host", "x.example"), *(("cookie", line) for line in lines)))
    jar = {}
    for pair in ";".join(lines).split(";"):
        name, _, value = pair.strip(" \t").partition("=")
        jar[name] = value
    try:
        written = CookiePolicy().token_cookies("authToken", token, handshake=handshake, max_age=60)
    except (TokenTooLarge, ValueError) as error:
        return outcome_of(error)
    for line in written:
        assert _is_clean(line)
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        assert "HttpOnly" in attributes
        assert name.partition(".")[0] == "authToken"
        if "Max-Age=0" in attributes:
            jar.pop(name, None)
        else:
            assert len(pair) <= 4097
            jar[name] = value
    header = "; ".join(f"{name}={value}" for name, value in jar.items())
    assert read_token([header], "authToken") == token
    return min(len(written), MAX_CHUNKS)


# -- tokens


class AnySignature(VerifyKey):
    """A key that finds every signature good: what is behind it is reached."""

    def verify(self, signing_input: bytes, signature: bytes) -> bool:
        """Yes."""
        return True


@functools.cache
def issuer() -> Issuer:
    """The user pool whose key is right."""
    return Issuer(now=lambda: NOW)


@functools.cache
def _keys() -> tuple[VerifyKey, VerifyKey, VerifyKey]:
    """The right key, a wrong one of the same id, and the one that finds every signature good."""
    right, other = issuer().key(), Issuer(first_key=1).key()
    return right, other, AnySignature(right.kid, right._key)


def token(data: bytes) -> Hashable:
    """A token as text; `@TOKEN@` in it stands for one that is good."""
    good = _good_token()
    text = text_of(data.replace(b"@TOKEN@", good))
    try:
        parsed = parse_token(text)
    except InvalidToken as error:
        assert text != good.decode()
        return outcome_of(error)
    assert text.isascii()
    assert 0 < len(parsed.kid) <= 256
    right, wrong, anything = _keys()
    outcomes = [_verdict(parsed, key) for key in (right, wrong, anything)]
    assert text == good.decode() or not isinstance(outcomes[0], Principal), "a forged token was taken"
    assert not isinstance(outcomes[1], Principal), "a token of another key was taken"
    return tuple("good" if isinstance(outcome, Principal) else outcome for outcome in outcomes)


@functools.cache
def _good_token() -> bytes:
    return issuer().token("alice").encode()


def claims(data: bytes) -> Hashable:
    """Claims behind a good signature; the first byte chooses the rules."""
    reader = Reader(data)
    flags = reader.byte()
    payload = reader.rest()
    rules = _rules(flags)
    unverified = UnverifiedToken("key-0", b"", b"", payload)
    verdict = _verdict(unverified, _keys()[2], rules)
    if not isinstance(verdict, Principal):
        return verdict
    value = strict_reference.loads(payload.decode())
    assert value["iss"] in rules.issuers
    assert verdict.id == value["sub"] != ""
    assert verdict.expires_at > NOW
    assert verdict.session
    assert verdict.username
    assert all(isinstance(role, str) for role in verdict.roles | verdict.scopes)
    assert not rules.required_groups or verdict.roles & rules.required_groups
    assert verdict.claims == value
    assert all(type(value[name]) in (int, float) for name in ("exp", "nbf", "iat", "auth_time") if name in value)
    return "good", bool(verdict.roles), bool(verdict.scopes), value.get("token_use") == "id"


@functools.cache
def _rules(flags: int) -> Rules:
    return issuer().rules(
        style="oidc" if flags & 1 else "cognito",
        leeway=60.0 if flags & 2 else 0.0,
        required_groups=frozenset({"admin"}) if flags & 4 else frozenset(),
        required_scopes=frozenset({"chat"}) if flags & 8 else frozenset(),
    )


def _verdict(parsed: UnverifiedToken, key: VerifyKey, rules: Rules | None = None) -> Principal | str:
    try:
        return verify_token(parsed, key, rules or issuer().rules(), NOW)
    except (InvalidToken, NotPermitted) as error:
        return outcome_of(error)


# -- JSON and key sets


def strict_json(data: bytes) -> Hashable:
    """A document, against Python's own parser."""
    try:
        expected, refusal = strict_reference.loads(data.decode()), ""
        if not isinstance(expected, dict) or strict_reference.depth(expected) > MAX_DEPTH:
            expected, refusal = None, "no object, or too deep"
    except strict_reference.Unsure:
        expected, refusal = None, "unsure"
    except ValueError as error:
        expected, refusal = None, outcome_of(error)
    try:
        value = decode_object(data)
    except NotStrictJson as error:
        assert refusal, f"refused: {error}"
        return outcome_of(error)
    assert refusal in ("", "unsure"), f"taken, in spite of: {refusal}"
    assert refusal or value == expected
    return "good", min(len(value), 4), strict_reference.depth(value)


def keys(data: bytes) -> Hashable:
    """A JWKS document; `@N@` in it stands for a good modulus."""
    modulus = _keys()[0]._key.public_numbers().n.to_bytes(256)
    body = data.replace(b"@N@", base64url(modulus).encode())
    try:
        found = parse_key_set(body)
    except KeySetError as error:
        return outcome_of(error)
    assert found
    documents = [entry for entry in json.loads(body)["keys"] if isinstance(entry, dict)]
    for kid, key in found.items():
        assert any(entry.get("kid") == kid and _BASE64URL.fullmatch(f"{entry.get('n')}") for entry in documents)
        assert key.kid == kid != ""
        numbers = key._key.public_numbers()
        assert MIN_BITS <= numbers.n.bit_length() <= MAX_BITS
        assert numbers.n % 2
        assert numbers.e % 2
        assert not key.verify(b"x", b"y" * 256)
    return "good", len(found)


# -- origins

POLICY = OriginPolicy(["https://app.example.com", "https://*.example.org", "http://localhost:3000"])
_ALLOWED = {Origin("https", "app.example.com", 443), Origin("http", "localhost", 3000), Origin("http", "localhost", 80)}


def origin(data: bytes) -> Hashable:
    """An `Origin` header, and a configured origin."""
    text = text_of(data)
    configured = _outcome_of(lambda: OriginPolicy([text]), ValueError)
    request = make_handshake(headers=(("host", "localhost"), ("origin", text)))
    allowed = POLICY.allows(text, request)
    try:
        parsed = parse_origin(text)
    except ValueError as error:
        assert not allowed
        return outcome_of(error), configured
    host = parsed.host
    assert text.isascii()
    assert host == host.lower()
    assert not set(host) & set("/?#@\\ ")
    assert parsed.port is None or 0 < parsed.port <= 65535
    port = "" if parsed.port is None else f":{parsed.port}"
    assert parse_origin(f"{parsed.scheme}://{host}{port}") == parsed
    below = host.endswith(".example.org") and (parsed.scheme, parsed.port) == ("https", 443)
    assert allowed == (parsed in _ALLOWED or (below and host.count(".") == 2))
    return "good", allowed, host.startswith("["), parsed.port is None, configured


# -- frames, packets, queries


def envelope(data: bytes) -> Hashable:
    """A text frame of `/ws`, and the same bytes as a binary one."""
    assert decode_binary(data) == Event(MESSAGE, (data,))
    text = text_of(data)
    message = decode_text(text)
    if isinstance(message, Ack):
        assert 0 <= message.id <= MAX_ID
        return "ack", message.error is None
    assert isinstance(message.name, str)
    assert len(message.args) == 1
    assert message.ack_id is None or 0 <= message.ack_id <= MAX_ID
    is_verbatim = message == Event(MESSAGE, (text,))
    if not is_verbatim:
        assert json.loads(text)["event"] == message.name
    try:
        sent = BARE_WIRE.event(message.name, message.args)
    except TypeError as error:  # text that no WebSocket brings
        return is_verbatim, outcome_of(error)
    json.loads(sent)
    return is_verbatim, message.ack_id is None, type(message.args[0]).__name__


def common_frame(data: bytes) -> Hashable:
    """Frames of a WebSocket that are parsed in one step, against RFC 6455 section 5.2 read aloud."""
    reader = Reader(data)
    start, limit = reader.byte() & 3, (0, 5, 125, 1000)[reader.byte() & 3]
    stream = reader.rest()
    kinds = []
    while start <= len(stream):
        found = next_common_frame(stream, start, limit)
        assert found == _frame(stream, start, limit)
        if found is None:
            break
        kinds.append((type(found[0]).__name__, found[1] > 125))
        start = found[2]
    return tuple(kinds[:3]), start >= len(stream)


def _frame(stream: bytes, start: int, limit: int) -> tuple[str | bytes, int, int] | None:
    head = stream[start : start + 2]
    if len(head) < 2 or head[0] not in (0x81, 0x82) or head[1] < 0x80 or head[1] == 0xFF:
        return None
    extended = 2 if head[1] == 0xFE else 0
    start += 2
    length = int.from_bytes(stream[start : start + extended]) if extended else head[1] & 0x7F
    mask, payload = stream[start + extended :][:4], stream[start + extended + 4 :][:length]
    end = start + extended + 4 + length
    if length > limit or end > len(stream) or (extended and length < 126):
        return None
    plain = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    try:
        return plain if head[0] == 0x82 else plain.decode(), length, end
    except UnicodeDecodeError:
        return None


def engineio_packet(data: bytes) -> Hashable:
    """The body of a POST, and the same as a frame."""
    outcome: Hashable
    try:
        packets = decode_payload(data)
        parts = data.decode().split(SEPARATOR)
        assert len(packets) == len(parts)
        assert all(_BASE64.fullmatch(part) for part in parts if part.startswith("b"))
        outcome = tuple({(packet.type, type(packet.data)) for packet in packets})
    except ParseError as error:
        packets, outcome = [], outcome_of(error)
    _check_packets(packets)
    try:
        frame = decode_frame(text_of(data))
        _check_packets([frame])
        return outcome, frame.type
    except ParseError as error:
        return outcome, outcome_of(error)
    finally:
        assert decode_frame(data) == Packet(PacketType.MESSAGE, data)


def _check_packets(packets: list[Packet]) -> None:
    try:
        pieces = [encode_packet(packet) for packet in packets]
    except ValueError:  # a frame may hold U+001E, or a lone surrogate
        return
    for packet, piece in zip(packets, pieces, strict=True):
        assert isinstance(packet.data, str) or packet.type is PacketType.MESSAGE
        assert decode_payload(piece) == [packet]
        assert [decode_frame(frame) for frame in frames_of_piece(piece)] == [packet]
    if packets:
        assert decode_payload(b"\x1e".join(pieces)) == packets


_SETTINGS = (Settings(), Settings(websocket=False), Settings(polling=False), Settings(allow_upgrades=False))
_METHODS = ("GET", "POST", "OPTIONS", "HEAD")
_KNOWN = frozenset({"known"})


def engineio_query(data: bytes) -> Hashable:
    """A query string; the first byte chooses settings, method, and whether it is an upgrade."""
    reader = Reader(data)
    flags = reader.byte()
    settings, method, is_upgrade = _SETTINGS[flags & 3], _METHODS[flags >> 2 & 3], bool(flags & 16)
    query = dict(parse_qsl(reader.rest().decode("latin-1"), keep_blank_values=True))
    try:
        found = read_query(query, settings, method=method, is_upgrade=is_upgrade, knows=_KNOWN)
    except RequestError as error:
        assert error.http_status in (400, 403)
        return error.code, error.message
    assert query["EIO"] == "4"
    assert (found.transport == "websocket") is is_upgrade
    assert getattr(settings, found.transport)
    assert found.sid in _KNOWN or (not found.sid and method == "GET")
    return found.transport, found.sid, method


# -- HTTP


def compression(data: bytes) -> Hashable:
    """`Accept-Encoding` lines."""
    lines = data.decode("latin-1").split("\n")
    coding = choose_coding(lines)
    if coding is not None:
        window = 31 if coding == "gzip" else 15
        assert zlib.decompress(compress(b"text" * 300, coding), window) == b"text" * 300
    whole = ",".join(lines).replace(" ", "").lower().split(",")
    if f"{coding};q=0" in whole:
        assert whole.count(f"{coding};q=0") < sum(item.partition(";")[0] == coding for item in whole)
    if coding is not None:
        names = {item.strip().partition(";")[0].strip().lower() for line in lines for item in line.split(",")}
        assert coding in names or "*" in names, "nobody asked for it"
    return coding


def forms(data: bytes) -> Hashable:
    """The bodies of `/auth/login` and `/auth/challenge`."""
    try:
        body = decode_object(data)
    except NotStrictJson as error:
        return outcome_of(error)
    return _outcome_of(lambda: _credentials(body), RequestRefused), _outcome_of(lambda: _answer(body), RequestRefused)


def _credentials(body: dict[str, Any]) -> None:
    found = read_credentials(body)
    assert 0 < len(found.username) <= 128
    assert 0 < len(found.password) <= 256
    assert found.password not in repr(found) or found.password in found.username or len(found.password) < 12


def _answer(body: dict[str, Any]) -> None:
    challenge, responses = read_challenge_answer(body)
    assert 0 < len(challenge.name) <= 64
    assert 0 < len(challenge.session) <= 4096
    assert 0 < len(responses) <= 34
    assert all(isinstance(value, str) for value in responses.values())


def _outcome_of(function: Callable[[], object], allowed: type[Exception]) -> str:
    try:
        function()
    except allowed as error:
        return outcome_of(error)
    return "good"


def as_base64(text: str) -> bytes:
    """For seeds of tokens."""
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=")
