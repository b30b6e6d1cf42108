"""What a command of the program is, and how it ends."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Status(IntEnum):
    """How the program ends."""

    DONE = 0
    #: what it needs cannot be reached, or refused
    FAILED = 1
    #: what it was asked for makes no sense: arguments, settings, a line of input
    REFUSED = 2
    #: Ctrl-C; as shells have it, 128 and the signal's number
    INTERRUPTED = 130


class Failed(Exception):
    """A command cannot do its work; the text is for a person, and names what to do.

    Attributes:
        status: of the program.
    """

    def __init__(self, problem: str, status: Status = Status.FAILED) -> None:
        super().__init__(problem)
        self.status = status


def refused(problem: str) -> Failed:
    """What was asked for makes no sense."""
    return Failed(problem, Status.REFUSED)


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `wsservice <name>`.

    Attributes:
        help: a line for the list of commands.
        about: a paragraph for its own `--help`.
        examples: lines for the end of that.
        add_arguments: tells a parser what it takes.
        run: does it, with what was parsed. Raises `Failed`, or what the program knows: `ConfigurationError`,
            `ClusterError`.
        intermixed: options may stand among the arguments; without it what stands behind `--` is left as it is.
    """

    name: str
    help: str
    about: str
    examples: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Status]
    intermixed: bool = True
