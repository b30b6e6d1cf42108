"""What the commands that reach a cluster share: where its Redis is, whom they mean, and who heard it."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from wsservice.arguments import add_setting
from wsservice.cli.command import refused
from wsservice.config import Config
from wsservice.emissions import WHOM
from wsservice.emitter import Emitter
from wsservice.errors import ConfigurationError
from wsservice.messages import ROOT
from wsservice.settings import DEFAULT, Reader, declared, read_dotenv

#: the settings of the service that say where its Redis is
_SETTINGS = tuple(one for one in declared(Config) if one.name in ("adapter", "adapter_key", "adapter_timeout"))
_HELP = {
    "adapter": "the Redis of the nodes, as their own --adapter says",
    "adapter_key": "their --adapter-key; or the URL's ?key=",
    "adapter_timeout": "how long Redis may take to answer",
}


def add_redis(parser: argparse.ArgumentParser) -> None:
    """The options that `open_emitter` reads."""
    group = parser.add_argument_group("where (a flag, else the environment, else .env)")
    for one in _SETTINGS:
        add_setting(group, replace(one, help=_HELP[one.name], note=""))
    group.add_argument("--env-file", metavar="FILE", help="instead of .env in the working directory")


def open_emitter(given: argparse.Namespace) -> Emitter:
    """An emitter by the options, the environment and `.env`, as the service would read them.

    Raises:
        ConfigurationError: with every problem at once.
    """
    problems: list[str] = []
    path = Path(given.env_file) if given.env_file else Path.cwd() / ".env"
    dotenv = read_dotenv(path, problems, required=bool(given.env_file))
    reader = Reader(vars(given), os.environ, dotenv, path.name)
    values = reader.read(_SETTINGS)
    problems += reader.problems
    if values["adapter"] is None and not problems:
        problems.append(
            "No Redis: give --adapter redis://host:6379/0, or set REDIS_URL (a service without --adapter is reached "
            "by POST /api/emit)"
        )
    if problems:
        raise ConfigurationError(*problems)
    key = values["adapter_key"] if reader.sources["adapter_key"] != DEFAULT else ""
    return Emitter(
        values["adapter"], key=key or values["adapter"].key, namespace=ROOT, timeout=values["adapter_timeout"]
    )


def add_whom(parser: argparse.ArgumentParser) -> None:
    """The options that `whom` and `namespace` read."""
    group = parser.add_argument_group("whom (all of them together; everybody if none is given)")
    group.add_argument("-n", "--namespace", default=ROOT, metavar="NAME", help="such as /admin; default /")
    for short, name, what in (
        ("-r", "room", "those in a room, or the connection of this id"),
        ("-u", "user", "a user's connections, by the user's id"),
        ("-s", "session", "those of a session"),
    ):
        group.add_argument(short, f"--{name}", action="append", metavar=name.upper(), help=f"{what}; may be repeated")
    group.add_argument(
        "--except-room", action="append", metavar="ROOM", help="but not those in this room; may be repeated"
    )


def whom(given: argparse.Namespace) -> dict[str, Any]:
    """Whom the options name, as `Emitter`'s methods and a message in JSON want it.

    Raises:
        Failed: an option is empty, as with a variable that is not set: what was meant must not reach others.
    """
    found = {name: getattr(given, name) for name in WHOM if getattr(given, name) is not None}
    for name, values in found.items():
        if not all(values):
            raise refused(f"--{name.replace('_', '-')} is empty: give it a value, or leave it out")
    return found


def heard_by(nodes: int) -> str:
    """How many nodes have heard it, for people."""
    if not nodes:
        return "heard by no node: does one run, with this Redis and this --adapter-key?"
    return f"heard by {nodes} node{'s' if nodes > 1 else ''}"
