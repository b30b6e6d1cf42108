"""`wsservice config`: the settings as the service would have them, and where each comes from."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsservice.cli.command import Command, Status
from wsservice.errors import ConfigurationError
from wsservice.settings import FLAG, Setting, declared, dotenv_lines, show
from wsservice.terminal import escape

if TYPE_CHECKING:
    from wsservice.config import FoundConfig

_MASK = "****"
_IN_DOTENV = re.compile(r"(?P<name>\S+) in (?P<file>.+)")

_EXAMPLES = """\
examples:
  wsservice config                       what `twistd wsservice` would have here
  wsservice config --changed --json
  wsservice config -- --port 80 --dev    with flags, as they stand behind `twistd wsservice`

A secret is shown as ****, and so is a password within an address. What needs the service itself is not tried: whether
the port is free, the certificate good, the app there.

exit status: 0 the settings are good; 2 they are not, and every problem is told as twistd tells it
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("flags", nargs="*", metavar="FLAG", help="of `twistd wsservice`, behind --")
    parser.add_argument("--changed", action="store_true", help="only what differs from the default")
    parser.add_argument("--json", action="store_true", help="for machines")


def _run(given: argparse.Namespace) -> Status:
    from wsservice.config import find_config
    from wsservice.tap import make_parser  # brings Twisted, which the other commands do without

    flags = vars(make_parser().parse_args(given.flags))
    env_file = Path(flags["env_file"]) if flags.get("env_file") else None
    found = find_config(flags, os.environ, env_file)
    if found.problems:
        raise ConfigurationError(*found.problems)
    rows = _rows(found, _lines_of(env_file or Path.cwd() / ".env"))
    if given.changed:
        rows = [row for row in rows if row["changed"]]
    if given.json:
        json.dump({row["name"]: {key: row[key] for key in _MEMBERS} for row in rows}, sys.stdout, indent=2)
        print()
    else:
        _print(rows, found.config.warnings())
    return Status.DONE


_MEMBERS = ("value", "default", "changed", "source", "flag", "env")


def _rows(found: FoundConfig, lines: dict[str, int]) -> list[dict[str, Any]]:
    rows = []
    for one in declared(type(found.config)):
        value = getattr(found.config, one.name)
        rows.append(
            {
                "name": one.name,
                "group": one.group,
                "value": _shown(one, value),
                "default": _shown(one, one.default),
                "changed": value != one.default,
                "source": _source(one, value, found, lines),
                "flag": one.option,
                "env": list(one.env),
            }
        )
    return rows


def _shown(one: Setting, value: Any) -> str:
    if one.secret:
        return _MASK if value else ""
    return show(value)


def _source(one: Setting, value: Any, found: FoundConfig, lines: dict[str, int]) -> str:
    """Where a value stood, or what it follows from (see `config._resolve`)."""
    places = found.places[one.name]
    if not places:
        return "default" if value == one.default else _FOLLOWS.get(one.name, "another setting")
    if value == one.default and found.config.dev and one.name in _overruled():
        return f"default (--dev is stronger than {', '.join(places)})"
    if found.sources[one.name] == FLAG and not one.added:
        return f"flag {places[0]}"
    return ", ".join(_with_line(place, lines) for place in dict.fromkeys(places))


_FOLLOWS = {"host": "--dev", "tls_key": "the same file as --tls-cert", "adapter_key": "?key= of --adapter"}


def _overruled() -> frozenset[str]:
    from wsservice.checks import OF_POOLS

    return OF_POOLS


def _with_line(place: str, lines: dict[str, int]) -> str:
    """A place in a `.env` file with its line; a name in the environment with a dollar sign."""
    match = _IN_DOTENV.fullmatch(place)
    if match is None:
        return f"flag {place}" if place.startswith("--") else f"environment {place}"
    line = lines.get(match["name"])
    return f"{match['file']}{f' line {line}' if line else ''} {match['name']}"


def _lines_of(path: Path) -> dict[str, int]:
    try:
        return dotenv_lines(path.read_text("utf-8-sig")) if path.is_file() else {}
    except (OSError, ValueError):  # what is wrong with it was told
        return {}


def _print(rows: list[dict[str, Any]], warnings: list[str]) -> None:
    names = max((len(row["flag"]) for row in rows), default=0)
    values = min(40, max((len(row["value"]) for row in rows), default=0))
    group = None
    for row in rows:
        if row["group"] != group:
            group = row["group"]
            print(group)
        print(f"  {row['flag']:<{names}}  {escape(row['value']) or '-':<{values}}  {escape(row['source'])}")
    if not rows:
        print("every setting has its default")
    for warning in warnings:
        print(f"warning: {escape(warning)}")


CONFIG = Command(
    name="config",
    help="show the settings, and where each comes from",
    about="Show the settings as `twistd wsservice` would have them here, and where each comes from.",
    examples=_EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
    intermixed=False,
)
