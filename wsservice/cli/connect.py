"""`wsservice connect`: a prompt that sends and shows frames, on a terminal and in scripts."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from wsservice.cli.command import Command, Failed, Status, refused

if TYPE_CHECKING:
    from wsservice.cli.client.address import Address
    from wsservice.cli.client.websocket import UpgradeRefused

_EXAMPLES = """\
examples:
  wsservice connect ws://localhost:3020/ws --login alice
  wsservice connect --socketio wss://chat.example.com --cookie @cookie.txt
  printf 'hello\\n/wait\\n' | wsservice connect --quiet localhost:3020 --cookie @cookie.txt
  wsservice connect localhost:3020 --login alice --recover --stay < /dev/null       listen, and come back

At the prompt, and on the lines of a script:
{help}
In a script, /call and /ping wait for the answer before the next line; its end closes the connection (--stay: not).

exit status: 0 closed by this side, or by 1000; 1 no connection, another close code, or no answer; 2 the arguments or a
line of a script are wrong; 130 Ctrl-C
"""


#: seconds of `--timeout`; more than a day is forever
_LONGEST = 86400


def add_connection(parser: argparse.ArgumentParser) -> None:
    """The address and the options of a connection, which `check` has, too."""
    parser.add_argument("url", metavar="URL", help="ws://, wss://, http:// or https://; without a path /ws")
    group = parser.add_argument_group("how")
    group.add_argument("-H", "--header", action="append", default=[], metavar="NAME: VALUE", help="may be repeated")
    group.add_argument("--origin", metavar="ORIGIN", help="come from a page of it, as a browser would")
    group.add_argument("--ca", metavar="FILE", help="authorities in PEM, instead of the system's")
    group.add_argument("--insecure", action="store_true", help="accept any certificate")
    group.add_argument(
        "--timeout", type=_seconds, default=10.0, metavar="SECONDS", help="for a connection or an answer; default 10"
    )


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= _LONGEST:  # nan is neither
        raise argparse.ArgumentTypeError(f"{text!a} is no time: give more than 0, and at most {_LONGEST} seconds")
    return seconds


def read_address(given: argparse.Namespace) -> Address:
    """Where to connect to.

    Raises:
        Failed: it is no address.
    """
    from wsservice.cli.client.address import Address

    try:
        return Address.parse(given.url)
    except ValueError as error:
        raise refused(str(error)) from None


def read_headers(given: argparse.Namespace) -> tuple[tuple[str, str], ...]:
    """The headers that the options ask for.

    Raises:
        Failed: one is none.
    """
    from wsservice.cli.client.opening import check_header

    found = [("Origin", given.origin)] if given.origin else []
    for line in given.header:
        name, separator, value = line.partition(":")
        if not separator:
            raise refused("--header: write it as NAME: VALUE")
        found.append((name.strip(), value.strip()))
    for name, value in found:
        try:
            check_header(name, value)
        except ValueError as error:
            raise refused(f"--header: {error}") from None
    return tuple(found)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from wsservice.cli.client.secrets import add_who

    parser.add_argument("--socketio", action="store_true", help="speak Socket.IO, at /socket.io/")
    parser.add_argument("-n", "--namespace", metavar="NAME", help="of Socket.IO, such as /admin; default /")
    parser.add_argument("--recover", action="store_true", help="after a break come back, and ask for what was missed")
    parser.add_argument("--stay", action="store_true", help="when the input ends, go on until the service closes")
    parser.add_argument("-q", "--quiet", action="store_true", help="print what comes and nothing else")
    parser.add_argument("--full", action="store_true", help="print messages of any length")
    add_who(parser)
    add_connection(parser)


def _run(given: argparse.Namespace) -> Status:
    from wsservice.cli.client import secrets
    from wsservice.cli.client.http import Http
    from wsservice.cli.client.keyboard import open_keyboard
    from wsservice.cli.client.login import log_in, refresh
    from wsservice.cli.client.raw import RawWire
    from wsservice.cli.client.screen import Screen
    from wsservice.cli.client.socketio import SocketIoWire
    from wsservice.cli.client.sockets import make_context
    from wsservice.cli.client.talk import Talk
    from wsservice.cli.client.websocket import UpgradeRefused, WebSocket, open_websocket

    address = read_address(given)
    if given.namespace and not (given.socketio and given.namespace.startswith("/") and "," not in given.namespace):
        raise refused("--namespace is for --socketio, and begins with a slash: --namespace /admin")
    headers = read_headers(given)
    context = make_context(insecure=given.insecure, ca=given.ca)
    jar = secrets.jar_of(secrets.read_cookie(given, os.environ))
    http = Http(address, context, jar, headers, given.timeout)
    if given.login:
        log_in(http, given.login, secrets.read_password(given, os.environ), secrets.ask)
    wire = SocketIoWire(given.recover, namespace=given.namespace or "/") if given.socketio else RawWire(given.recover)
    keyboard = open_keyboard()
    screen = Screen(keyboard, quiet=given.quiet, full=given.full)

    def connect() -> WebSocket:
        place = wire.address(address)
        cookie = jar.header(place.path)
        sent = (*headers, *([("Cookie", cookie)] if cookie else []))
        try:
            socket = open_websocket(place, sent, context, given.timeout)
        except UpgradeRefused as error:
            raise Failed(explain_refusal(error)) from None
        if not given.quiet:
            screen.note(
                f"connected to {place.url}" + (" - /help tells what can be typed" if keyboard.is_terminal else "")
            )
        return socket

    talk = Talk(
        connect,
        wire,
        keyboard,
        screen,
        refresh=lambda: bool(given.login) and refresh(http),
        stay=given.stay,
        timeout=given.timeout,
    )
    return talk.run()


def explain_refusal(error: UpgradeRefused) -> str:
    """What an answer other than 101 means, and what to do."""
    hints = {
        400: "the service takes this for no WebSocket handshake; `wsservice check` says why",
        401: "give --cookie or --login",
        403: "the origin is not allowed: leave --origin away, or set CORS_ORIGIN on the service",
        404: "nothing is at that path: the raw WebSocket is at /ws (--ws-path), Socket.IO at /socket.io/",
        426: "the Upgrade header did not arrive: nginx needs proxy_http_version 1.1, proxy_set_header Upgrade "
        "$http_upgrade and proxy_set_header Connection upgrade",
        429: "too many connections or logins of this address or user: try later",
        502: "the proxy there cannot reach the service",
        503: "the service is full, or stops: try again",
        504: "the proxy there got no answer from the service",
    }
    if 300 <= error.head.status < 400:
        return f"{error}: give the address that it leads to"
    hint = hints.get(error.head.status, "is it wsservice that answers there?")
    return f"{error}; {hint}"


def _make() -> Command:
    from wsservice.cli.client.lines import HELP

    return Command(
        name="connect",
        help="a prompt that sends and shows frames",
        about="Connect to a service as a client, by a raw WebSocket or Socket.IO, and send and show messages.",
        examples=_EXAMPLES.format(help=HELP),
        add_arguments=_add_arguments,
        run=_run,
    )


CONNECT = _make()
