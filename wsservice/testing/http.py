"""Requests of HTTP to the service in memory, each on a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from wsservice.testing.line import HOST, PORT

_END = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer, taken apart.

    Attributes:
        headers: name and value of each line, as they came.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return msgspec.json.decode(self.body)

    def all(self, name: str) -> list[str]:
        """Every value of a header, whatever its case."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next(iter(self.all(name)), None)


def request_bytes(method: str, target: str, headers: tuple[tuple[str, str], ...], body: bytes = b"") -> bytes:
    """A whole request (RFC 9112 section 3); the connection is not used again."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}:{PORT}", "Connection: close"]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class Exchange:
    """One request's answer, as it comes.

    Args:
        done: called with the answer, or with None where the connection ended without one.
    """

    def __init__(self, done: Callable[[Response | None], None]) -> None:
        self._done: Callable[[Response | None], None] | None = done
        self._data = b""

    def bytes_received(self, data: bytes) -> None:
        """Collect, until it is whole."""
        self._data += data
        response = parse_response(self._data)
        if response is not None:
            self._finish(response)

    def line_ended(self, *, clean: bool) -> None:
        """No more comes."""
        self._finish(None)

    def _finish(self, response: Response | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(response)


def parse_response(data: bytes) -> Response | None:
    """The answer, once it is whole; the service gives a length with each."""
    head, end, body = data.partition(_END)
    if not end:
        return None
    status_line, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = tuple((name, value.strip()) for name, _, value in pairs)
    response = Response(int(status_line.split(" ")[1]), headers, body)
    length = int(response.header("content-length") or 0)
    return response if len(body) >= length or response.status == 101 else None
