"""`wsservice check`: the doctor, who goes the way of a browser step by step, and says which setting is wrong."""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING

from wsservice.cli.command import Command, Failed, Status
from wsservice.cli.connect import add_connection, read_address, read_headers

if TYPE_CHECKING:
    from wsservice.cli.client.address import Address
    from wsservice.cli.client.http import Http
    from wsservice.cli.doctor.local import Expected
    from wsservice.cli.doctor.report import Report

_EXAMPLES = """\
examples:
  wsservice check wss://chat.example.com --cookie @cookie.txt
  wsservice check https://chat.example.com --login alice --origin https://app.example.com
  wsservice check localhost:3020 --json

Where the environment or .env has the service's settings, the token is compared with them. No token or cookie is
printed or sent to anybody but the service; the issuer is asked for its public keys.

exit status: 0 nothing failed; 1 something did; 2 the arguments or the settings here are wrong
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    from wsservice.cli.client.secrets import add_who

    parser.add_argument("--json", action="store_true", help="for machines")
    parser.add_argument("--jwks-url", metavar="URL", help="where the issuer's keys are, if not below `iss`")
    parser.add_argument("--socketio-path", metavar="PATH", default="/socket.io/", help="default /socket.io/")
    parser.add_argument("--env-file", metavar="FILE", help="the service's settings, instead of .env here")
    add_who(parser)
    add_connection(parser)


def _run(given: argparse.Namespace) -> Status:
    from wsservice.cli.client.address import RAW_PATH
    from wsservice.cli.client.secrets import read_cookie
    from wsservice.cli.doctor.local import read_expected
    from wsservice.cli.doctor.report import Report

    address = read_address(given)
    if address.path in ("", "/"):
        address = address.at(RAW_PATH)
    expected = read_expected(os.environ, given.env_file)
    cookie = read_cookie(given, os.environ, expected.cookie_name if expected else "authToken")
    report = Report(quiet=given.json)
    try:
        _examine(given, report, address, cookie, expected)
    except Failed as error:  # a request that never failed before: the service went away
        if error.status is Status.REFUSED:
            raise
        report.fail("http", str(error), "try again, and see the service's log")
    print(report.json() if given.json else report.summary())
    return Status.FAILED if report.failed else Status.DONE


def _examine(
    given: argparse.Namespace, report: Report, address: Address, cookie: str | None, expected: Expected | None
) -> None:
    """Every step, as far as the way goes."""
    from wsservice.cli.client.http import Http
    from wsservice.cli.client.secrets import jar_of
    from wsservice.cli.client.sockets import make_context
    from wsservice.cli.doctor import network, service, sessions

    timeout = given.timeout
    headers = tuple(header for header in read_headers(given) if header[0] != "Origin")
    context = make_context(insecure=given.insecure, ca=given.ca)
    addresses = network.check_dns(report, address)
    if not addresses or not network.check_tcp(report, address, addresses, timeout):
        return
    if address.secure and not network.check_tls(report, address, context, timeout, time.time()):
        return
    jar = jar_of(cookie)
    http = Http(address, context, jar, headers, timeout)
    target = service.Target(address, context, http, headers, timeout)
    skew = service.check_http(report, target, time.time())
    if skew is None:
        return
    if given.login:
        _log_in(given, report, http)
    cookie = jar.header(address.path) or None
    target = service.Target(address, context, http, headers, timeout, cookie or "")
    closed = service.check_upgrade(report, target)
    service.check_socketio(report, target, given.socketio_path)
    service.check_origins(report, target, given.origin)
    claims = None
    if cookie is not None:
        claims = _check_token(given, report, cookie, expected, skew)
    sessions.check_session(report, http, closed, has_cookie=cookie is not None, claims=claims)


def _log_in(given: argparse.Namespace, report: Report, http: Http) -> None:
    """The login, and the cookies that it sets."""
    from wsservice.cli.client import secrets
    from wsservice.cli.client.login import log_in
    from wsservice.cli.doctor.sessions import check_cookies, explain_login

    try:
        answer = log_in(http, given.login, secrets.read_password(given, os.environ), secrets.ask)
    except Failed as error:
        if error.status is Status.REFUSED:
            raise
        report.fail("login", str(error), explain_login(error))
        return
    report.ok("login", f"{given.login} can log in")
    check_cookies(report, http.address, answer.set_cookies, given.origin)


def _check_token(
    given: argparse.Namespace, report: Report, cookie: str, expected: Expected | None, skew: float
) -> dict[str, object] | None:
    from wsservice.auth.cookies import read_token
    from wsservice.cli.doctor.tokens import check_token
    from wsservice.errors import InvalidToken

    name = given.cookie_name or (expected.cookie_name if expected else "authToken")
    try:
        token = read_token([cookie], name)
    except InvalidToken as error:
        report.fail("token", str(error), "delete the cookies, and log in anew")
        return None
    if token is None:
        names = ", ".join(part.partition("=")[0].strip() for part in cookie.split(";"))
        report.fail(
            "token", f"no cookie {name} is there, but {names}", "give --cookie-name, as AUTH_COOKIE_NAME has it"
        )
        return None
    # A service's own --dev pool has keys that nobody else can get.
    return check_token(report, token, expected=expected, jwks_url=given.jwks_url, skew=skew, timeout=given.timeout)


CHECK = Command(
    name="check",
    help="say what is wrong between a browser and the service",
    about="Go the way of a browser to a service step by step, and say what is wrong, and which setting mends it.",
    examples=_EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
