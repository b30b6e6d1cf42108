"""`wsservice emit`: send an event, or one for each line of the input."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from wsservice.auth.strict_json import NotStrictJson, decode_value
from wsservice.cli.cluster import add_redis, add_whom, heard_by, open_emitter, whom
from wsservice.cli.command import Command, Failed, Status, refused
from wsservice.emissions import MAX_DEPTH, NotAnEmission, read_broadcast
from wsservice.errors import ClusterError

#: stands for the input
STDIN = "-"
#: bytes of a line of the input; precedent: `--max-http-buffer-size`
MAX_LINE = 1_000_000

_EXAMPLES = """\
examples:
  wsservice emit news '{"title": "Hello"}'             to everybody
  wsservice emit --text news "Hello" --room lobby      a text, to those in a room
  tail -F app.log | wsservice emit --text line -       an event for each line
  wsservice emit - < messages.jsonl                    lines such as
      {"event": "news", "data": {"title": "Hello"}, "room": "lobby"}
      with args, data, room, user, session, except_room, namespace, volatile; options are for lines that do not say

exit status: 0 Redis has taken it; 1 Redis cannot be reached, or refused; 2 the arguments, settings or a line are wrong
(those before it were sent)
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("event", metavar="EVENT", help="its name; - for a message in JSON on each line of the input")
    parser.add_argument(
        "args", nargs="*", metavar="JSON", help="its arguments; - for one argument on each line of the input"
    )
    parser.add_argument("-t", "--text", action="store_true", help="the arguments are texts as they stand, not JSON")
    parser.add_argument(
        "--volatile", action="store_true", help="drop it for clients that have not taken what was sent before"
    )
    add_whom(parser)
    add_redis(parser)


def _run(given: argparse.Namespace) -> Status:
    common = {**whom(given), "namespace": given.namespace, "volatile": given.volatile}
    messages = _messages(given, common)
    sent, counts = 0, set()
    with open_emitter(given) as emitter:
        try:
            for where, message in messages:
                try:
                    broadcast = read_broadcast(message)
                    counts.add(emitter.broadcast(broadcast) if broadcast is not None else 0)
                except (NotAnEmission, TypeError, ValueError) as error:
                    raise refused(f"{where}{error}") from None
                sent += 1
        except (ClusterError, Failed):
            if sent:
                print(f"{_events(sent)} sent before that", file=sys.stderr)
            raise
    print(f"{_events(sent)}, {_heard(counts)}" if sent else "no events")
    return Status.DONE


def _messages(given: argparse.Namespace, common: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """What is to be sent, as `read_broadcast` reads it, each with where it stands, for complaints.

    Raises:
        Failed: an argument is no JSON; or, as lines are read, a line is none.
    """
    if given.event == STDIN:
        if given.args or given.text:
            raise refused("emit -: each line of the input is a whole message: leave the arguments and --text out")
        return ((where, _with(common, _parse(line, where))) for where, line in _lines())
    if given.args == [STDIN]:
        parse = _text if given.text else _parse
        return ((where, {**common, "event": given.event, "data": parse(line, where)}) for where, line in _lines())
    return iter([("", {**common, "event": given.event, "args": parse_arguments(given)})])


def parse_arguments(given: argparse.Namespace) -> list[Any]:
    """The arguments of an event on the command line.

    Raises:
        Failed: one is no JSON.
    """
    return given.args if given.text else [_parse_argument(one) for one in given.args]


def _with(common: dict[str, Any], message: Any) -> Any:
    return {**common, **message} if isinstance(message, dict) else message


def _lines() -> Iterator[tuple[str, bytes]]:
    """The lines of the input as they come, without empty ones."""
    if sys.stdin is None:
        raise refused("there is no input: it is closed")
    number = 0
    while line := sys.stdin.buffer.readline(MAX_LINE + 1):
        number += 1
        where = f"line {number}: "
        if len(line) > MAX_LINE:
            raise refused(f"{where}it is longer than {MAX_LINE} bytes")
        if line.strip():
            yield where, line


def _parse(line: bytes, where: str) -> Any:
    try:
        return decode_value(line, depth=MAX_DEPTH)
    except NotStrictJson as error:
        raise refused(f"{where}it is no JSON: {error}") from None


def _text(line: bytes, where: str) -> str:
    return line.decode("utf-8", "replace").rstrip("\r\n")


def _parse_argument(text: str) -> Any:
    try:
        return decode_value(text.encode("utf-8", "surrogateescape"), depth=MAX_DEPTH)
    except NotStrictJson as error:
        raise refused(
            f"the argument {text[:40]!a} is no JSON ({error}): quote it as JSON does, or give --text"
        ) from None


def _events(count: int) -> str:
    return f"{count} event{'s' if count != 1 else ''}"


def _heard(counts: set[int]) -> str:
    least, most = min(counts), max(counts)
    return heard_by(most) if least == most else f"heard by {least} to {most} nodes each"


EMIT = Command(
    name="emit",
    help="send an event to clients of every node",
    about="Send an event to the clients of every node, through their Redis.",
    examples=_EXAMPLES,
    add_arguments=_add_arguments,
    run=_run,
)
