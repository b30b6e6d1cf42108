"""The states of an Engine.IO session, what can happen in each, and how a request that cannot is refused."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar


class State(Enum):
    """Where a session is in its life; `make docs` draws the table of it into docs/socketio.md."""

    POLLING = "polling"
    PROBING = "probing"
    WEBSOCKET = "websocket"
    CLOSING = "closing"
    CLOSED = "closed"


class Event(Enum):
    """What can happen to a session."""

    GET = "a GET arrives"
    POST = "a POST arrives"
    PROBE = "a WebSocket is opened for the session"
    PROBE_LOST = "the WebSocket fails, closes, or takes too long"
    UPGRADE = "`5` behind a `2probe`"
    FRAME = "a WebSocket message arrives"
    CLOSE = "the server closes"
    FETCHED = "a GET is answered by the last `1`"
    END = "the client closes, breaks the protocol, or is gone"


#: event -> next state. A request that is not here is refused and does no harm; a WebSocket is not wanted.
TABLE: dict[State, dict[Event, State]] = {
    State.POLLING: {
        Event.GET: State.POLLING,
        Event.POST: State.POLLING,
        Event.PROBE: State.PROBING,
        Event.CLOSE: State.CLOSING,
        Event.END: State.CLOSED,
    },
    State.PROBING: {
        Event.GET: State.PROBING,
        Event.POST: State.PROBING,
        Event.PROBE_LOST: State.POLLING,
        Event.UPGRADE: State.WEBSOCKET,
        Event.CLOSE: State.CLOSING,
        Event.END: State.CLOSED,
    },
    State.WEBSOCKET: {
        Event.FRAME: State.WEBSOCKET,
        Event.CLOSE: State.CLOSED,
        Event.END: State.CLOSED,
    },
    State.CLOSING: {
        Event.GET: State.CLOSING,
        Event.POST: State.CLOSING,
        Event.FETCHED: State.CLOSED,
        Event.END: State.CLOSED,
    },
    State.CLOSED: {},
}


def render_table() -> str:
    """The table in Markdown, for the documentation: a row for each event, a column for each state."""
    lines = [
        "| | " + " | ".join(state.name for state in State) + " |",
        "|---" * (len(State) + 1) + "|",
    ]
    for event in Event:
        following = (TABLE[state].get(event) for state in State)
        lines.append(f"| {event.value} | " + " | ".join(state.name if state else "" for state in following) + " |")
    return "\n".join(lines) + "\n"


class SessionError(Exception):
    """A request that a session refuses: answer 400 with `{"code": code, "message": message}`.

    SessionError
     +-- SessionUnknown        there is no such session, any more
     +-- TransportMismatch     a polling request, but the session is on a WebSocket, where it lives on
     +-- Conflict              a second GET or a second POST at a time: the session has ended
     +-- UnexpectedPacket      a packet that only a server sends: the session has ended

    `str(error)` says more and is for the log; `word` is the reason by which it is counted.
    """

    code: ClassVar[int] = 3
    message: ClassVar[str] = "Bad request"
    word: ClassVar[str] = "bad_request"


class SessionUnknown(SessionError):
    """The session has ended."""

    code = 1
    message = "Session ID unknown"
    word = "session_unknown"


class TransportMismatch(SessionError):
    """The session is on another transport; it is unharmed."""

    word = "session_elsewhere"


class Conflict(SessionError):
    """Two GETs or two POSTs at a time; what the first GET still gets is in `payload_to_send`."""

    word = "conflict"


class UnexpectedPacket(SessionError):
    """A ping from the client: in Engine.IO v4 only servers ping."""

    word = "unexpected_packet"
