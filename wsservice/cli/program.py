"""The program: its commands, one command line, and one way to end."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import wsservice
from wsservice.cli.admin_hash import ADMIN_HASH
from wsservice.cli.check import CHECK
from wsservice.cli.command import Command, Failed, Status
from wsservice.cli.config import CONFIG
from wsservice.cli.connect import CONNECT
from wsservice.cli.emit import EMIT
from wsservice.cli.members import DISCONNECT, JOIN, LEAVE
from wsservice.cli.server_emit import SERVER_EMIT
from wsservice.cli.token import TOKEN
from wsservice.errors import ConfigurationError, RedisRefused, RedisUnavailable
from wsservice.terminal import complaint

#: in the order of the list that `--help` shows
COMMANDS: tuple[Command, ...] = (CONNECT, CHECK, CONFIG, TOKEN, EMIT, JOIN, LEAVE, DISCONNECT, SERVER_EMIT, ADMIN_HASH)

_ABOUT = "Commands for those who run wsservice. The service itself is started by: twistd -n wsservice"
_END = "wsservice COMMAND --help tells more."
#: what to do about Redis's refusals, by their first word
_REMEDIES = {
    "NOAUTH": "put the password into the URL: redis://:password@host",
    "WRONGPASS": "check the user and the password in the URL (percent-encode / ? # @ and :)",
    "NOPERM": "let the user publish there: ACL SETUSER <user> +publish &<adapter key>*",
    "LOADING": "try again when Redis has read its data",
    "READONLY": "name the primary: this is a replica",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the status to exit with, whose meanings are `Status`'s."""
    _prepare_streams()
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser, parsers = make_parsers()
    command = next((one for one in COMMANDS if arguments[:1] == [one.name]), None)
    if command is None:
        parser.parse_args(arguments)  # ends the program, unless there is nothing
        parser.print_help()
        return Status.REFUSED
    # intermixed: options may stand among the arguments, which argparse allows for no command of another parser
    parser = parsers[command.name]
    given = (parser.parse_intermixed_args if command.intermixed else parser.parse_args)(arguments[1:])
    try:
        status = command.run(given)
        sys.stdout.flush()
        return status
    except Failed as error:
        return _complain(error.status, str(error))
    except ConfigurationError as error:
        return _complain(Status.REFUSED, *error.problems)
    except RedisUnavailable as error:
        return _complain(Status.FAILED, str(error))
    except RedisRefused as error:
        remedy = _REMEDIES.get(error.code)
        return _complain(Status.FAILED, f"Redis refuses: {error}" + (f"; {remedy}" if remedy else ""))
    except BrokenPipeError:  # whoever read what it prints has gone, as `head` does: nothing is to be told any more
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return Status.FAILED
    except KeyboardInterrupt:
        return Status.INTERRUPTED


def _prepare_streams() -> None:
    """Have an input and two outputs, whatever the shell closed, and outputs that take every character.

    A descriptor that is free is what the next socket gets: by `<&-` what a service sends would be read as the input.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # which gets the lowest number that is free: this one
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal in ASCII, half of a surrogate pair


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SystemExit(_complain(Status.REFUSED, f"{message}; see {self.prog} --help"))


def make_parsers() -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """The program's own, and those of its commands."""
    parser = _Parser(prog="wsservice", description=_ABOUT, epilog=_END, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"wsservice {wsservice.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", parser_class=_Parser)
    parsers: dict[str, argparse.ArgumentParser] = {}
    for command in COMMANDS:
        one = parsers[command.name] = commands.add_parser(
            command.name,
            help=command.help,
            description=command.about,
            epilog=command.examples,
            formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32),
            allow_abbrev=False,
        )
        command.add_arguments(one)
    return parser, parsers


def _complain(status: Status, *problems: str) -> Status:
    with suppress(OSError):  # nobody listens to it
        sys.stderr.write(complaint(*problems))
    return status
