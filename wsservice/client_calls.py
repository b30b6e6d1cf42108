"""A call to many clients: one frame a wire format, and the answers of all, in this process and in others."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from wsservice.calls import gather
from wsservice.messages import Broadcast, Target

if TYPE_CHECKING:
    from wsservice.hub import Hub


def ask_clients(hub: Hub, event: str, args: tuple[Any, ...], targets: Iterable[Target]) -> list[Deferred[Any]]:
    """Send a call to the targets' clients of this process; what fires with the answer of each.

    Those for whom too many calls wait already are left out. Bound each Deferred in time.

    Raises:
        TypeError: the arguments are not JSON or bytes; nobody was sent anything.
    """
    chosen = [one for target in targets for one in hub.registry.select(target) if one.may_call]
    call_id = hub.next_call_id()
    frames = {wire: wire.event(event, args, call_id) for wire in {connection.wire for connection in chosen}}
    answers = [connection.expect(call_id) for connection in chosen]
    for connection in chosen:
        connection.write(frames[connection.wire])
    return answers


def call_clients(
    hub: Hub, event: str, args: tuple[Any, ...], targets: list[Target], timeout: float
) -> Deferred[list[Any]]:
    """The answers of the targets' clients, of every process; see `Audience.call` and `calls.gather`."""
    waiting = ask_clients(hub, event, args, targets)
    if hub.adapter is None:
        return gather(waiting, hub.clock, timeout)
    received: list[Any] = []
    elsewhere = [hub.adapter.call(Broadcast(event, args, target), timeout, received.append) for target in targets]
    return gather(waiting, hub.clock, timeout, received=received, elsewhere=elsewhere)
