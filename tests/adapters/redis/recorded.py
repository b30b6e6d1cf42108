"""What the real packages published, recorded once (the files beside this one say how)."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent


def _lines(name: str) -> list[str]:
    return [line for line in (HERE / name).read_text().splitlines() if not line.startswith("#")]


def classic(kind: str) -> dict[str, tuple[bytes, bytes]]:
    """Channel and payload of the messages of one kind (broadcast, request, response), by what was done."""
    found = {}
    for line in _lines("classic_recorded.txt"):
        its_kind, name, channel, payload = line.split(" | ")
        if its_kind == kind:
            found[name] = (channel.encode(), bytes.fromhex(payload))
    return found


def python() -> dict[str, bytes]:
    """python-socketio's messages, by what was done."""
    found = {}
    for line in _lines("python_recorded.txt"):
        name, _, payload = line.partition(" | ")
        found[name] = payload.encode()
    return found
