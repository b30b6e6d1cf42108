"""What the admin view is set up by."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsservice.admin.passwords import PasswordHash


@dataclass(frozen=True, slots=True)
class AdminSettings:
    """The admin view's settings.

    Attributes:
        user, password: who may log in.
        namespace: where the UI connects.
        shows_events: whether sockets, rooms and events are shown (the mode `development`), or figures only.
        read_only: nobody can emit, join, leave or disconnect.
        session_seconds: how long one login is good for.
        event_rate: events a second that one process tells of.
        list_bytes: of a list of sockets; less than what may wait for a client.
    """

    user: str
    password: PasswordHash = field(repr=False)
    namespace: str = "/admin"
    shows_events: bool = True
    read_only: bool = False
    session_seconds: float = 86400.0
    event_rate: int = 200
    list_bytes: int = 512 * 1024
