"""What the nodes of a cluster tell each other beside events: sessions renewed or ended, connections to be closed.

One channel, of this product's own. A session that was signed out, and a user who signed out everywhere, stand in
Redis, too, until their last token has expired: for nodes that start later, or were cut off.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.close_codes import CloseCode
from wsservice.messages import Disconnect, EndSession, EndUser, Renew, Target

if TYPE_CHECKING:
    from wsservice.adapters.local import Local
    from wsservice.adapters.redis.keys import Keys
    from wsservice.adapters.redis.link import RedisLink
    from wsservice.adapters.redis.refusals import Refusals

log = Logger()

#: ended sessions, or users, that are written at a time
_SLICE = 500
#: bytes of a message; a session's id comes out of a token, which fits into a cookie
_MOST = 16_384


class _Renewed(msgspec.Struct, frozen=True, tag="renewed"):
    node: str
    session: str
    user: str
    expires_at: float


class _Ended(msgspec.Struct, frozen=True, tag="ended"):
    node: str
    session: str
    until: float


class _EndedUser(msgspec.Struct, frozen=True, tag="ended_user"):
    node: str
    user: str
    before: float
    until: float


class _Replaced(msgspec.Struct, frozen=True, tag="replaced"):
    node: str
    connection: str


class _MoreEnded(msgspec.Struct, frozen=True, tag="more_ended"):
    """Sessions, or users, were signed out while the node could not tell so: they stand in Redis by now."""

    node: str


class _Taken(msgspec.Struct, frozen=True, tag="taken"):
    node: str
    pid: str


_decode = msgspec.json.Decoder(_Renewed | _Ended | _EndedUser | _MoreEnded | _Replaced | _Taken).decode
_encode = msgspec.json.Encoder().encode


class Control:
    """Sends and receives on the channel.

    Args:
        node: this node's id; its own messages are left alone.
        taken: called with the private id of a connection that came back elsewhere.
        refusals: is told of what is not ours.
        now: POSIX seconds.
    """

    def __init__(
        self,
        link: RedisLink,
        keys: Keys,
        node: str,
        local: Local,
        *,
        taken: Callable[[str], None],
        refusals: Refusals,
        now: Callable[[], float],
    ) -> None:
        self._link = link
        self._keys = keys
        self._node = node
        self._local = local
        self._taken = taken
        self._refusals = refusals
        self._now = now
        link.subscribe(keys.control, self._received)
        link.on_up.append(self._share_ended)

    def renew(self, message: Renew) -> None:
        """A session was refreshed here."""
        self._send(_Renewed(self._node, message.session, message.user, message.expires_at))

    def end_session(self, message: EndSession) -> None:
        """A session was signed out here."""
        self._send(_Ended(self._node, message.session, message.until))
        self._link.queue(b"ZADD", self._keys.ended, repr(message.until), message.session)

    def end_user(self, message: EndUser) -> None:
        """A user signed out everywhere, here."""
        self._send(_EndedUser(self._node, message.user, message.before, message.until))
        self._link.queue(b"ZADD", self._keys.ended_users, *_marked(message))

    def replace(self, connection_id: str) -> None:
        """A connection, wherever it is, is one too many of its user."""
        self._replaced(connection_id)
        self._send(_Replaced(self._node, connection_id))

    def take(self, pid: str) -> None:
        """A client came back here: what is left of its connection elsewhere ends."""
        self._send(_Taken(self._node, pid))

    def _send(self, message: msgspec.Struct) -> None:
        self._link.publish(self._keys.control, _encode(message))

    def _received(self, channel: bytes, payload: bytes) -> None:
        try:
            if len(payload) > _MOST:
                raise ValueError("too large")
            message = _decode(payload)
        except (ValueError, RecursionError):  # msgspec's errors are ValueErrors
            self._refusals.refuse(channel, "malformed")
            return
        if message.node == self._node:
            return
        if isinstance(message, _Renewed):
            self._local.renew(Renew(message.session, message.user, message.expires_at))
        elif isinstance(message, _Ended):
            self._local.end_session(EndSession(message.session, message.until))
        elif isinstance(message, _EndedUser):
            self._local.end_user(EndUser(message.user, message.before, message.until))
        elif isinstance(message, _MoreEnded):
            Deferred.fromCoroutine(self._read_ended()).addErrback(self._unread)
        elif isinstance(message, _Replaced):
            self._replaced(message.connection)
        else:
            self._taken(message.pid)

    def _replaced(self, connection_id: str) -> None:
        connection = self._local.hub.registry.get(connection_id)
        if connection is not None:
            target = Target(connection.namespace, frozenset({connection_id}))
            self._local.disconnect(Disconnect(target, CloseCode.REPLACED, close_codes.REPLACED))

    def _share_ended(self) -> None:
        """Redis is back, and may have forgotten; what was ended here meanwhile may have found no room in the queue."""
        Deferred.fromCoroutine(self._write_ended()).addErrback(self._unread)

    async def _write_ended(self) -> None:
        sessions, users = await self._read_ended()
        missing = [
            (repr(one.until), one.session) for one in self._local.ended_sessions() if one.session not in sessions
        ]
        missing_users = [_marked(one) for one in self._local.ended_users() if _mark_of(one) not in users]
        await self._write(self._keys.ended, missing)
        await self._write(self._keys.ended_users, missing_users)
        if missing or missing_users:
            self._send(_MoreEnded(self._node))

    async def _write(self, key: bytes, members: list[tuple[str, str]]) -> None:
        for start in range(0, len(members), _SLICE):
            await self._link.command(b"ZADD", key, *(part for pair in members[start : start + _SLICE] for part in pair))

    async def _read_ended(self) -> tuple[set[str], set[str]]:
        """End what was signed out elsewhere; returns all such sessions, and the marks of all such users."""
        sessions = await self._read(self._keys.ended)
        for name, end in sessions.items():
            self._local.end_session(EndSession(name, end))
        users = await self._read(self._keys.ended_users)
        for mark, end in users.items():
            before, _, user = mark.partition(" ")
            if user and before.isascii() and before.isdigit():
                self._local.end_user(EndUser(user, float(before), end))
        return set(sessions), set(users)

    async def _read(self, key: bytes) -> dict[str, float]:
        """What was ended and has not expired, with its end."""
        now = repr(self._now())
        self._link.tell(b"ZREMRANGEBYSCORE", key, b"-inf", now)
        found = await self._link.command(b"ZRANGEBYSCORE", key, now, b"+inf", b"WITHSCORES")
        return {
            name.decode(errors="replace"): float(until) for name, until in zip(found[::2], found[1::2], strict=True)
        }

    def _unread(self, failure: Failure) -> None:
        log.warn("sessions that were signed out could not be shared: {reason}", reason=failure.getErrorMessage())


def _mark_of(message: EndUser) -> str:
    """A user as they stand in Redis: when, and who."""
    return f"{message.before:.0f} {message.user}"


def _marked(message: EndUser) -> tuple[str, str]:
    """The score and the member of a user."""
    return repr(message.until), _mark_of(message)
