"""How long a hostile or large payload of long-polling takes to parse, at two sizes: it must grow with the size only.

    python -m benchmarks.payloads

The best of five runs each, in one process, of the pure parser; and a whole session for the messages.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from contextlib import suppress

from wsservice.engineio.packet import ParseError, decode_payload
from wsservice.engineio.session import Session
from wsservice.engineio.settings import Settings

MEGABYTE = 1_000_000
PAYLOADS: dict[str, bytes] = {
    "separators only": b"\x1e",
    "one-byte packets": b"4\x1e",
    "pongs": b"3\x1e",
    "small messages": b'42["m"]\x1e',
    "small binary messages": b"bAQID\x1e",
    "base64 that is none": b"b!",
}


def payload(pattern: bytes, size: int) -> bytes:
    """A body of about that size, without a separator at its end unless it is nothing else."""
    body = pattern * (size // len(pattern))
    return body if pattern == b"\x1e" else body.removesuffix(b"\x1e")


def parse(body: bytes) -> None:
    """The parser alone."""
    with suppress(ParseError):
        decode_payload(body)


def receive(body: bytes) -> None:
    """A whole POST of a session."""
    session = Session("sid", Settings(max_payload=len(body)), websocket=False, now=0.0)
    session.post_begins(0.0)
    with suppress(ParseError):
        session.receive_payload(body, 0.0)
    session.messages_received()


def best(function: Callable[[bytes], None], body: bytes) -> float:
    """Milliseconds of the best of five runs."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        function(body)
        times.append(time.perf_counter() - started)
    return min(times) * 1000


def main() -> None:
    """Print the table."""
    argparse.ArgumentParser(prog="benchmarks.payloads", description=__doc__).parse_args()
    print("| payload | parser, 500 KB | parser, 1 MB | session, 500 KB | session, 1 MB |")
    print("|---|---|---|---|---|")
    for name, pattern in PAYLOADS.items():
        half, whole = payload(pattern, MEGABYTE // 2), payload(pattern, MEGABYTE)
        figures = [best(function, body) for function in (parse, receive) for body in (half, whole)]
        print(f"| {name} | " + " | ".join(f"{figure:.1f} ms" for figure in figures) + " |")


if __name__ == "__main__":
    main()
