"""What an application can ask about the clients of every process of a cluster; alone, about its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from wsservice.adapters.base import Presence, Present, RemoteConnection
from wsservice.adapters.local import describe, present
from wsservice.errors import CallTimeout
from wsservice.messages import Target

if TYPE_CHECKING:
    from wsservice.hub import Hub


async def fetch(hub: Hub, targets: Iterable[Target], seconds: float) -> list[RemoteConnection]:
    """The targets' connections; raises CallTimeout with those that were found in time."""
    found: list[RemoteConnection] = []
    for target in targets:
        found += [describe(connection) for connection in hub.registry.select(target)]
        if hub.adapter is not None:
            try:
                found += await hub.adapter.fetch(target, seconds)
            except CallTimeout as error:
                raise CallTimeout(str(error), answers=(*found, *error.answers)) from None
    return found


async def rooms(hub: Hub, namespaces: Iterable[str], seconds: float) -> set[str]:
    """The names of all rooms that have members; of those of connections' ids, the ones elsewhere."""
    found: set[str] = set()
    for name in namespaces:
        found |= hub.registry.rooms(name)
        if hub.adapter is not None:
            found |= await hub.adapter.rooms(name, seconds)
    return found


async def presence(hub: Hub, namespaces: Iterable[str], room: str | None) -> Presence:
    """Who is in a room, or in the namespaces."""
    members: list[Present] = []
    complete = True
    for name in namespaces:
        if hub.adapter is None:
            members += present(hub.registry, name, room)
        else:
            found = await hub.adapter.presence(name, room)
            members += found.members
            complete = complete and found.complete
    return Presence(tuple(members), complete)


async def server_call(
    hub: Hub, namespaces: Iterable[str], event: str, args: tuple[Any, ...], seconds: float
) -> list[Any]:
    """What the applications of the other processes answer."""
    answers: list[Any] = []
    if hub.adapter is not None:
        for name in namespaces:
            answers += await hub.adapter.server_call(name, event, args, seconds)
    return answers
