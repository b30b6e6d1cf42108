"""Whom a message is for, in a caller's words: rooms, users, sessions, each one name or several. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from wsservice.messages import Target

#: one name or several; None for no choice by this
Names = str | Iterable[str] | None


def names_of(value: Names) -> frozenset[str]:
    """One name or several, as a set."""
    if value is None:
        return frozenset()
    return frozenset([value] if isinstance(value, str) else value)


def make_targets(
    namespaces: Iterable[str],
    *,
    room: Names = None,
    user: Names = None,
    session: Names = None,
    except_room: Names = None,
    skip: frozenset[str] = frozenset(),
) -> list[Target]:
    """Whom these names mean in each namespace; nobody if they are empty lists: no name at all means everybody."""
    rooms, users, sessions = names_of(room), names_of(user), names_of(session)
    if not (room is user is session is None or rooms or users or sessions):
        return []
    except_rooms = names_of(except_room)
    return [Target(namespace, rooms, users, sessions, skip, except_rooms) for namespace in namespaces]
