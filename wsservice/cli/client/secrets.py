"""What must not be seen: cookies and passwords, from where a process list and a shell's history do not show them."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from wsservice.cli.client.cookies import Jar
from wsservice.cli.client.opening import check_header
from wsservice.cli.command import Failed, refused

COOKIE, PASSWORD = "WSSERVICE_COOKIE", "WSSERVICE_PASSWORD"
#: bytes of a line or file that holds one; a Cookie header fits into a request's head
_MAX = 16384


def add_who(parser: argparse.ArgumentParser) -> None:
    """The options that say as whom, which `read_cookie` and `read_password` read."""
    group = parser.add_argument_group("as whom")
    group.add_argument(
        "--cookie",
        metavar="COOKIE",
        help="authToken=..., or the token alone; @FILE reads it from a file, - from the first line of the input "
        f"(env {COOKIE})",
    )
    group.add_argument("--cookie-name", metavar="NAME", help="of a token that stands alone; default authToken")
    group.add_argument("--login", metavar="USER", help=f"log in, with a password that is asked for (env {PASSWORD})")
    group.add_argument("--password-stdin", action="store_true", help="the password is the input's first line")


def read_cookie(given: argparse.Namespace, environ: Mapping[str, str], default_name: str = "authToken") -> str | None:
    """The `Cookie` header that is meant; None if there is none.

    Raises:
        Failed: it cannot be read, or is no cookie. The text does not repeat it.
    """
    text = given.cookie
    if text is None:
        text = environ.get(COOKIE)
    elif given.login:
        raise refused("--cookie and --login: only one can be meant")
    elif text == "-":
        text = read_line()
    elif text.startswith("@"):
        text = _read_file(text[1:])
    elif text:
        print(
            f"wsservice: --cookie stands in the process list and the shell's history: rather give --cookie @FILE, "
            f"--cookie - or {COOKIE}",
            file=sys.stderr,
        )
    if text is None or given.login:
        return None
    text = text.strip().removeprefix("Cookie:").strip()
    if not text:
        raise refused("--cookie is empty: give authToken=..., or leave it out")
    # a token in compact form (RFC 7515 section 7.1) has no equals sign
    whole = text if "=" in text.split(";")[0] else f"{given.cookie_name or default_name}={text}"
    try:
        check_header("--cookie", whole)
    except ValueError as error:
        raise refused(str(error)) from None
    return whole


def jar_of(cookie: str | None) -> Jar:
    """A jar with those of a header."""
    jar = Jar()
    if cookie is not None:
        jar.add_header(cookie)
    return jar


def read_password(given: argparse.Namespace, environ: Mapping[str, str]) -> str:
    """The password of `--login`, from the first of: the input, the environment, the person.

    Raises:
        Failed: there is none.
    """
    if given.password_stdin:
        password = read_line()
    elif environ.get(PASSWORD):
        return environ[PASSWORD]
    else:
        return ask(f"Password of {given.login}: ", True)
    if not password:
        raise refused("--password-stdin: the input has no first line")
    return password


def ask(prompt: str, is_hidden: bool) -> str:
    """Ask at the terminal.

    Raises:
        Failed: there is none, or nothing was typed.
    """
    try:
        with open("/dev/tty", "r+b", buffering=0) as terminal:
            if not is_hidden:
                terminal.write(prompt.encode())
                found = terminal.readline().decode("utf-8", "replace").strip()
            else:
                found = getpass.getpass(prompt)
    except (OSError, EOFError):
        raise refused(f"there is no terminal to ask at: set {PASSWORD}, or give --password-stdin") from None
    if not found:
        raise Failed("nothing was typed")
    return found


def read_line() -> str:
    """The input's first line, and not a byte more: what follows is for others."""
    line = b""
    try:
        while len(line) < _MAX and (byte := os.read(0, 1)) and byte != b"\n":
            line += byte
    except OSError:
        raise refused("there is no input: it is closed") from None
    return line.decode("utf-8", "replace").strip("\r")


def _read_file(name: str) -> str:
    try:
        with Path(name).expanduser().open("rb") as file:
            return file.read(_MAX).decode("utf-8", "replace")
    except OSError as error:
        raise refused(f"--cookie @{name}: {error.strerror}; name a file that this user may read") from None
