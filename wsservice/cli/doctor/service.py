"""The service itself: its health, its clock, its WebSockets, and the pages that it lets in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from wsservice.cli.client.address import Address
from wsservice.cli.client.http import Answer, Http
from wsservice.cli.client.websocket import UpgradeRefused, open_websocket
from wsservice.cli.command import Failed
from wsservice.cli.doctor.report import Report
from wsservice.client_frames import Opcode, decode_close

Headers = tuple[tuple[str, str], ...]

#: seconds between the clocks that are warned of; tokens live an hour, and a `nbf` has no leeway by default
MAX_SKEW = 5.0
_NGINX = (
    "Upgrade header did not arrive: nginx needs proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; "
    'proxy_set_header Connection "upgrade"; (Apache: mod_proxy_wstunnel; a load balancer: one for HTTP, not HTTP/2)'
)
_NOT_PASSED = "pass the path on in the proxy, or see --socketio-path and --transports"
#: characters of an address that somebody else gave
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Target:
    """What is looked at, and how.

    Attributes:
        address: with the path of the raw WebSocket.
        headers: the person's own, sent along with every request; among them no Origin.
        cookie: for the WebSocket; empty for none.
    """

    address: Address
    context: ssl.SSLContext
    http: Http
    headers: Headers
    timeout: float
    cookie: str = ""


def check_http(report: Report, target: Target, now: float) -> float | None:
    """`/health` and `/ready`; gives how far the service's clock is ahead of ours, or None if HTTP does not work."""
    answer = target.http.get("/health", cookies=False)
    if answer.status != 200 or answer.json.get("status") != "ok":
        server = answer.header("server")
        report.fail(
            "health",
            f"/health was answered by {answer.status} {answer.reason}{f' of {server}' if server else ''}",
            _health_fix(answer),
        )
        return None
    report.ok("health", "/health answers")
    ready = target.http.get("/ready", cookies=False)
    checks = ready.json.get("checks")
    for name, part in checks.items() if isinstance(checks, dict) else ():
        if isinstance(part, dict) and not part.get("ready"):
            report.fail(
                "ready", f"{name} is not ready: {part.get('detail', '')}", _READY_FIXES.get(name, "see its log")
            )
    if ready.status == 200:
        report.ok("ready", "/ready: every part can work")
    elif not checks:
        report.fail("ready", f"/ready was answered by {ready.status} {ready.reason}", "let the proxy pass /ready on")
    skew = _skew(answer.header("date"), now)
    if skew is None:
        report.skip("clock", "the answers have no date")
    elif abs(skew) > MAX_SKEW:
        report.warn("clock", f"the service's clock is {skew:+.0f} s from this machine's", "let both use NTP")
    else:
        report.ok("clock", "the service's clock and this machine's agree")
    return skew or 0.0


def _health_fix(answer: Answer) -> str:
    if answer.status in (404, 502, 503, 504):
        return "let the proxy pass /health on, and see whether the service runs"
    if 300 <= answer.status < 400:
        place = answer.header("location").removesuffix("/health")[:_SHOWN]
        return f"give the address that it leads to: {place or 'it names none'}"
    return "is it wsservice that answers there? Check the address"


_READY_FIXES = {
    "keys": "check AWS_REGION, AWS_COGNITO_USER_POOL_ID or AUTH_JWKS_URL, and the way from the service to it",
    "redis": "check --adapter (REDIS_URL), and the way from the service to it",
    "adapter": "check --adapter (REDIS_URL), and the way from the service to it",
}


def _skew(date: str, now: float) -> float | None:
    """Seconds that a header Date is ahead of `now`; it has whole seconds, so that up to one is nothing."""
    try:
        skew = parsedate_to_datetime(date).timestamp() + 0.5 - now
    except (TypeError, ValueError):
        return None
    return skew


def open_once(target: Target, address: Address, headers: Headers = ()) -> tuple[int | None, str]:
    """Open a WebSocket, and see how it goes.

    Returns:
        the close code and reason; `(None, text)` with the first message, or empty where it stays open in silence.

    Raises:
        UpgradeRefused, Failed: see `open_websocket`.
    """
    cookie: Headers = (("Cookie", target.cookie),) if target.cookie else ()
    sent = (*target.headers, *headers, *cookie)
    socket = open_websocket(address, sent, target.context, target.timeout)
    try:
        while messages := socket.wait(target.timeout):
            for message in messages:
                if message.opcode is Opcode.CLOSE:
                    code, reason = decode_close(message.payload)
                    return code or 1005, reason
                if message.opcode is Opcode.TEXT:
                    socket.close(1000)
                    return None, message.text
        return (None, "") if not socket.ended else (1006, socket.problem)
    finally:
        socket.cut()


def check_upgrade(report: Report, target: Target) -> tuple[int | None, str] | None:
    """The handshake at `/ws`; gives how it closed, or None if there was no 101."""
    try:
        # with `recover` the service greets whom it accepts: one message or a close comes in any case
        ended = open_once(target, target.address.at(target.address.path, recover="1"))
    except UpgradeRefused as error:
        _tell_refusal(report, "upgrade", error, target)
        return None
    except Failed as error:
        report.fail("upgrade", str(error), "something between here and the service breaks WebSockets: ask it directly")
        return None
    report.ok("upgrade", f"{target.address.path}: 101, a WebSocket")
    return ended


def _tell_refusal(report: Report, step: str, error: UpgradeRefused, target: Target) -> None:
    status, text = error.head.status, f"{target.address.path} was answered by {error.head.status} {error.head.phrase}"
    server = error.head.header("server")
    if status in (426, 400) or (status == 200 and "json" not in error.head.header("content-type")):
        report.fail(step, text, _NGINX)
    elif status in (401, 403) and b"origin" not in error.body:
        report.fail(step, f"{text} (--reject http)", "see the steps about the cookie and the token")
    elif status == 403:
        report.fail(step, text, "REQUIRE_ORIGIN is set on the service: give --origin of a page")
    elif status == 404:
        report.fail(step, text, "the raw WebSocket is elsewhere (--ws-path), or the proxy does not pass this path on")
    elif 300 <= status < 400:
        report.fail(step, text, "browsers follow no redirect here: use the address that it leads to")
    elif status in (502, 504):
        report.fail(step, f"{text}{f' of {server}' if server else ''}", "the proxy cannot reach the service")
    else:
        report.fail(step, text, "the service is full or stops; its log knows more")


def check_socketio(report: Report, target: Target, path: str) -> None:
    """Socket.IO, by long-polling and by WebSocket."""
    address = target.address
    polled = target.http.get(f"{path}?EIO=4&transport=polling", cookies=True)
    if polled.status == 200 and polled.body.startswith(b'0{"sid"'):
        report.ok("socket.io", f"{path}: long-polling answers")
        sid = str(_sid(polled.body))
        target.http.request("POST", f"{path}?EIO=4&transport=polling&sid={sid}", b"1", (), False)  # and is over
    elif polled.status in (401, 403):
        report.skip("socket.io", f"{path}: long-polling needs a good cookie: {polled.status} {polled.reason}")
    else:
        report.fail("socket.io", f"{path}: long-polling was answered by {polled.status} {polled.reason}", _NOT_PASSED)
    try:
        code, text = open_once(target, address.at(path, EIO="4", transport="websocket"))
    except UpgradeRefused as error:
        status = f"{error.head.status} {error.head.phrase}"
        if error.head.status in (401, 403):
            report.skip("socket.io", f"{path}: the WebSocket needs a good cookie: {status}")
        else:
            # What came without its Upgrade header looks like a client on long-polling that says it is none: 400.
            fix = _NOT_PASSED if error.head.status == 404 else _NGINX
            report.fail("socket.io", f"{path}: the WebSocket was answered by {status}", fix)
        return
    except Failed as error:
        report.fail("socket.io", str(error), "let the proxy pass WebSockets on there, too")
        return
    if code is None and text.startswith("0{"):
        report.ok("socket.io", f"{path}: WebSocket answers")
    else:
        report.fail("socket.io", f"{path}: no Socket.IO: closed by {code} {text!r}", "is the path --socketio-path's?")


def _sid(body: bytes) -> str:
    sid, _, _ = body.removeprefix(b'0{"sid":"').partition(b'"')
    return sid.decode("ascii", "replace")


def check_origins(report: Report, target: Target, origin: str | None) -> None:
    """The service's own pages, another site's, and the one that is asked about."""
    own = target.address.origin
    allowed = is_origin_allowed(target, own)
    if allowed is None:
        report.skip("origin", "no 101 to try it with")
        return
    if allowed:
        report.ok("origin", f"pages of {own} may connect")
    else:
        plain = own.replace("https://", "http://", 1)
        if target.address.secure and is_origin_allowed(target, plain):
            fix = "the service does not know that people come by https: name the proxy in TRUSTED_PROXIES, "
            fix += "and let it send X-Forwarded-Proto (nginx: proxy_set_header X-Forwarded-Proto $scheme)"
        else:
            fix = "the Host header was changed on the way: nginx needs proxy_set_header Host $http_host; or name "
            fix += f"{own} in CORS_ORIGIN"
        report.fail("origin", f"pages of {own}, the service's own, are refused (403)", fix)
    stranger = "https://stranger.invalid"
    if is_origin_allowed(target, stranger):
        fix = "something on the way takes the Origin header away or changes it: let the proxy pass it on"
        report.fail("origin", "pages of any site may connect, and the users' cookies go along", fix)
    else:
        report.ok("origin", "pages of another site are refused")
    if origin is None or origin == own:
        return
    if is_origin_allowed(target, origin):
        report.ok("origin", f"pages of {origin} may connect")
    else:
        report.fail("origin", f"pages of {origin} are refused (403)", f"add it on the service: CORS_ORIGIN={origin}")


def is_origin_allowed(target: Target, origin: str) -> bool | None:
    """Whether a handshake of that origin gets through; None if none does."""
    sent: Headers = (*target.headers, ("Origin", origin))
    try:
        open_websocket(target.address, sent, target.context, target.timeout).cut()
    except UpgradeRefused as error:
        if error.head.status == 401:  # --reject http: the origin was looked at before
            return True
        return False if error.head.status == 403 else None
    except Failed:
        return None
    return True
