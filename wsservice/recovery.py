"""Coming back after a break: what a client gets back, and how far it had come. The same for both protocols.

    Recoveries.seek    where a client brings an id that another process may know: ask there first
    Recoveries.begin   a Trail: that of a connection that broke, with what was missed, or a fresh one, and why
    Trail.open         its connection is made
    Trail.enter        from here on the connection gets what is sent
    Trail.pinged, Trail.ponged
                       a ping was answered: what was sent before it has arrived
    Trail.end          the connection broke, and may come back, or is over

A private id is good once, for the same user and namespace. A connection of that id that still looks alive, since
nobody told us of its end, is ended for its successor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.clients.secret_ids import is_secret, make_secret
from wsservice.close_codes import CloseCode
from wsservice.counters import Counters
from wsservice.history import History, Saved
from wsservice.recorded import Entry

if TYPE_CHECKING:
    from wsservice.connection import Connection
    from wsservice.hub import Hub

log = Logger()

#: why a client does not get back what it came for: nothing is known under its id, or too much was missed, or some of
#: it is no longer kept, or it is another user's
UNKNOWN, LOST, FOREIGN = "unknown", "lost", "foreign"
#: bytes around an event on the wire, at most: the names of an envelope's members, and the head of a frame
_AROUND = 50


@dataclass(frozen=True, slots=True)
class Claim:
    """What a client brings to come back.

    Attributes:
        pid: the private id of its connection.
        offset: of the last event that it has; None if it has got none.
        is_exact: whether the offset counts more than an answered ping, which may be answered before the client has
            handled what came before it.
    """

    pid: str = field(repr=False)
    offset: object = None
    is_exact: bool = False


class Recoveries:
    """Where clients of one protocol come back to; see the module's docstring.

    Args:
        max_queue, max_queue_messages: bytes and messages that may wait for a client.
    """

    def __init__(self, history: History, counters: Counters, *, max_queue: int, max_queue_messages: int) -> None:
        self._history = history
        self._counters = counters
        self._max_queue = max_queue
        self._max_queue_messages = max_queue_messages

    @classmethod
    def of(cls, hub: Hub, *, max_queue: int, max_queue_messages: int) -> Recoveries | None:
        """Those of a service; None where recovery is off."""
        if hub.history is None:
            return None
        return cls(hub.history, hub.counters, max_queue=max_queue, max_queue_messages=max_queue_messages)

    @property
    def position(self) -> int:
        """The position of the last event."""
        return self._history.position

    def seek(self, claim: Claim | None, principal: Principal, namespace: str) -> Deferred[None] | None:
        """Look in other processes for what a client comes back to; None: `begin` can be asked now.

        It never fails: where they cannot be asked, nothing was found. If the client leaves meanwhile, call `give_up`.
        """
        if claim is None or not is_secret(claim.pid):
            return None
        seeking = self._history.seek(claim.pid, principal.id, namespace)
        return None if seeking is None else seeking.addErrback(_unsought)

    def begin(self, claim: Claim | None, principal: Principal, namespace: str) -> Trail:
        """The trail of a new connection; `Trail.open` must follow, or `Trail.end`."""
        if claim is None:
            return Trail(self._history)
        saved, reason = self._take(claim, principal, namespace)
        trail = Trail(self._history)  # not before: who is taken over may have had its farewell broadcast
        if saved is not None and not self._continue(trail, saved, claim):
            reason = LOST
        trail.reason = reason
        self._counters.add("recoveries", reason or "ok")
        return trail

    def give_up(self, claim: Claim, principal: Principal, namespace: str) -> None:
        """The client left before `begin`: what was brought here for it waits where all processes find it."""
        saved, _ = self._take(claim, principal, namespace)
        if saved is not None:
            self._history.give_back(saved)

    def _take(self, claim: Claim, principal: Principal, namespace: str) -> tuple[Saved | None, str | None]:
        """What was saved for that claim, once, or why nothing is given."""
        history, pid = self._history, claim.pid
        if not is_secret(pid):
            return None, UNKNOWN
        old = history.live.get(pid)
        if old is not None and (old.user.id, old.namespace) == (principal.id, namespace):
            old.disconnect(CloseCode.TRY_AGAIN_LATER, close_codes.TAKEN_OVER)
        saved = history.take(pid)
        if saved is None:
            return None, UNKNOWN if history.live.get(pid) is None else FOREIGN
        if (saved.user, saved.namespace) != (principal.id, namespace):
            history.give_back(saved)
            return None, FOREIGN
        return saved, None

    def _continue(self, trail: Trail, saved: Saved, claim: Claim) -> bool:
        """Let a trail go on where another broke off; whether that can be."""
        history, offset = self._history, claim.offset
        known = saved.position if offset is None else history.parse(offset)
        if known is None:
            return False
        marked = max(known, saved.position)
        for start in (known, marked) if claim.is_exact else (marked,):
            missed = history.missed(saved, start)
            if missed is not None:
                break
        else:
            return False
        # More would close the client for its slowness, again and again; and there is more to come.
        if 2 * _size(missed) > self._max_queue or 2 * len(missed) > self._max_queue_messages:
            return False
        trail.saved, trail.missed, trail.start = saved, missed, start
        # Stock clients of Socket.IO take another id than theirs for a failure; and what is sent now may get lost, too.
        trail.pid, trail.position = saved.pid, saved.position
        return True


class Trail:
    """How far one client's connection has come in the history; see the module's docstring.

    Attributes:
        pid: the private id by which the client can come back.
        position: up to which it has everything.
        pinged_at: the position behind which the last ping was sent, until it is answered.
        start: the position behind which it is sent everything.
        missed: what it is sent before anything else; whoever does so takes it away.
        reason: why it is a fresh one, where the client came for another.
        saved: what it continues; it is given back if the connection breaks before it is accepted.
    """

    __slots__ = (
        "_connection",
        "_history",
        "_seen",
        "missed",
        "pid",
        "pinged_at",
        "position",
        "reason",
        "saved",
        "start",
    )

    def __init__(self, history: History) -> None:
        self._history = history
        self._connection: Connection | None = None
        self.pinged_at: int | None = None
        #: where `missed` ends
        self._seen = history.position
        self.pid = make_secret()
        self.position = self.start = history.position
        self.missed: Sequence[Entry] = ()
        self.reason: str | None = None
        self.saved: Saved | None = None

    @property
    def start_offset(self) -> str:
        """`start`, as clients carry it."""
        return self._history.offset(self.start)

    def open(self, connection: Connection) -> None:
        """The connection is made; it is not yet in the registry."""
        self._connection = connection
        self._history.opened(self.pid, connection, self.position)

    def enter(self) -> None:
        """It enters the registry: what was sent while it had to wait for that was missed, too."""
        history, connection = self._history, self._connection
        if history.position == self._seen:
            return
        if self.saved is not None:
            self.missed = [*self.missed, *(history.missed(self.saved, self._seen) or ())]
        elif connection is not None:  # a fresh one begins here
            self.position = self.start = history.position
            history.opened(self.pid, connection, self.position)

    def pinged(self, position: int) -> None:
        """A ping is sent, behind everything up to this position; it counts for who is accepted by now."""
        connection = self._connection
        self.pinged_at = position if connection is not None and connection.is_accepted else None

    def ponged(self) -> None:
        """The ping was answered: what was sent before it has arrived."""
        if self.pinged_at is not None:
            self.position = max(self.position, self.pinged_at)
            self.pinged_at = None
            self._history.marked(self.pid, self.position)

    def end(self, *, is_broken: bool) -> None:
        """The connection has ended; a second time does nothing. Call it before `Connection.ended`.

        Args:
            is_broken: whether the client may come back to it.
        """
        history, connection = self._history, self._connection
        if connection is None:
            return
        self._connection = None
        if not is_broken:
            history.closed(self.pid)
            return
        history.live.pop(self.pid, None)
        if connection.is_accepted:
            history.save(
                Saved(
                    id=connection.id,
                    pid=self.pid,
                    namespace=connection.namespace,
                    user=connection.user.id,
                    session=connection.user.session,
                    rooms=frozenset(connection.rooms),
                    data=connection.saved_data,
                    position=self.position,
                    node=history.node,
                )
            )
        elif self.saved is not None:  # it has not got anything of it
            history.give_back(self.saved)
        else:
            history.closed(self.pid)


def _size(entries: list[Entry]) -> int:
    """Bytes for a client to whom attachments are base64."""
    packets = [entry.encoded for entry in entries]
    return sum(_AROUND + len(one.text) + sum(len(part) * 4 // 3 for part in one.attachments) for one in packets)


def _unsought(failure: Failure) -> None:
    log.warn(
        "a connection to be recovered could not be asked for: {reason}",
        reason=failure.getErrorMessage(),
        log_flood="recoveries without the other processes (--adapter)",
    )
