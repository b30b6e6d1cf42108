"""What a person types at the prompt of `wsservice connect`: a text, or a command behind a slash. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from wsservice.cli.client.wire import BadLine

HELP = """\
  text                     a text frame as it stands (--socketio: the event `message`); //text begins with a slash
  /event NAME [JSON]       a named event (--socketio: any number of values)
  /call NAME [JSON]        the same, and its acknowledgement is shown
  /binary HEX              bytes
  /ping                    how long the service takes to answer
  /wait [COUNT]            read no further input until so many messages have come to what was sent since the last /wait
  /close [CODE] [REASON]   close, and end; without a code 1000
  /help                    this"""

_COMMANDS = ("event", "call", "binary", "ping", "wait", "close", "help")


@dataclass(frozen=True, slots=True)
class Line:
    """A line, understood.

    Attributes:
        kind: `text`, or one of the commands.
        text: of a text; the name of an event; the reason of a close.
        args: of an event or a call.
        number: of messages to wait for; a close code.
    """

    kind: str
    text: str = ""
    args: list[Any] = field(default_factory=list)
    number: int = 1
    data: bytes = b""


def parse_line(line: str) -> Line | None:
    """A line as it was typed, without its end; None for an empty one.

    Raises:
        BadLine: it is no command, or its values are no JSON.
    """
    if not line.strip():
        return None
    _check_encodable(line)
    if not line.startswith("/") or line.startswith("//"):
        return Line("text", line.removeprefix("/") if line.startswith("//") else line)
    word, _, rest = line[1:].strip().partition(" ")
    rest = rest.strip()
    if word not in _COMMANDS:
        raise BadLine(
            f"there is no /{word[:40]}: /help tells what there is; a text that begins so is typed //{word[:20]}"
        )
    if word in ("event", "call"):
        name, _, values = rest.partition(" ")
        if not name:
            raise BadLine(f"/{word} wants a name: /{word} news {{}}")
        return Line(word, name, _values(values))
    if word == "binary":
        try:
            return Line(word, data=bytes.fromhex(rest))
        except ValueError:
            raise BadLine("/binary wants hexadecimal digits: /binary 00 ff") from None
    if word == "wait":
        return Line(word, number=_number(rest or "1", "/wait wants a number of messages: /wait 2"))
    if word == "close":
        code, _, reason = rest.partition(" ")
        number = _number(code or "1000", "/close wants a code first: /close 1000 Done")
        if number != 1000 and not 3000 <= number <= 4999:
            raise BadLine("a client may close by 1000 and 3000 to 4999 (RFC 6455 section 7.4)")
        return Line(word, reason.strip(), number=number)
    return Line(word)


def _number(text: str, complaint: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text):
        raise BadLine(complaint)
    return int(text)


def _values(text: str) -> list[Any]:
    """JSON values, one after the other."""
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    found = []
    rest = text.strip()
    while rest:
        try:
            value, end = decoder.raw_decode(rest)
        except (ValueError, RecursionError):
            raise BadLine(f'{rest[:40]!a} is no JSON: a text stands in quotes, as "hello"') from None
        _check_encodable(json.dumps(value, ensure_ascii=False))
        found.append(value)
        rest = rest[end:].lstrip()
    return found


def _check_encodable(text: str) -> None:
    """Messages are UTF-8, which half of a surrogate pair is not: `"\\ud800"`, or a byte that no terminal can read."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadLine("there is half of a surrogate pair in it, which no message can hold") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)
