"""`wsservice admin-hash`: the hash of a password, for the admin view."""

from __future__ import annotations

import argparse
import getpass
import sys

from wsservice.admin.passwords import LEAST, make_hash
from wsservice.cli.command import Command, Status, refused

_EXAMPLES = """\
  wsservice admin-hash                                     asks for the password, twice
  openssl rand -base64 24 | wsservice admin-hash           takes it from a pipe
  twistd -n wsservice --admin-user ann --admin-password-hash-file hash --admin-origin https://admin.example.com

exit status: 0; 2 the password is too short, or was not repeated
"""


def _run(given: argparse.Namespace) -> Status:
    if sys.stdin.isatty():
        password = getpass.getpass(f"Password, at least {LEAST} characters: ")
        if getpass.getpass("Once more: ") != password:
            raise refused("the two passwords differ: try again")
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    try:
        print(make_hash(password))
    except ValueError as error:
        raise refused(str(error)) from None
    return Status.DONE


ADMIN_HASH = Command(
    "admin-hash",
    help="make the hash of the admin view's password",
    about="Print the hash of a password, for ADMIN_PASSWORD_HASH or --admin-password-hash-file. The password is asked "
    "for, or is the first line of the standard input.",
    examples=_EXAMPLES,
    add_arguments=lambda parser: None,
    run=_run,
)
