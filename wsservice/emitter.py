"""Emitting from programs that are no wsservice: a Flask or Django application, a worker, a script. No Twisted needed.

    from wsservice.emitter import Emitter

    emitter = Emitter("redis://localhost:6379/0")
    emitter.emit("news", {"title": "Hello"}, room="lobby")

What is emitted goes through the Redis of `--adapter` to every node, in the form of Node's @socket.io/redis-emitter, so
that Node's nodes take it, too. A method returns when Redis has taken it; whether a client got it nobody learns.
"""

from __future__ import annotations

from copy import copy
from types import TracebackType
from typing import Any, Protocol

from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis.blocking import BlockingRedis
from wsservice.adapters.redis.channels import Channels
from wsservice.adapters.redis.classic_broadcast import encode_broadcast
from wsservice.adapters.redis.classic_packets import encode_request
from wsservice.adapters.redis.url import RedisUrl, check_key
from wsservice.close_codes import CloseCode, check_code
from wsservice.messages import ROOT, Broadcast, Disconnect, Target, check_name, check_namespace
from wsservice.targets import Names, make_targets

#: of `--adapter-key`
DEFAULT_KEY = "socket.io"
#: what Node's emitter says where a node has its id: everybody takes its messages for another's
_UID = "emitter"


class Publisher(Protocol):
    """A client of Redis, such as `redis.Redis` of the package `redis`."""

    def publish(self, channel: bytes, message: bytes) -> Any:
        """PUBLISH; gives its answer."""


class Emitter:
    """Reaches the clients of every node; threads and greenlets may share one.

    All methods return how many nodes have heard it: of a cluster that runs, all of them, Node's too; 0 means that no
    node is there, or that `key` is not theirs. (Of a Redis Cluster, only those on the same member are counted.)

    They raise:

    - `wsservice.errors.RedisUnavailable`: Redis cannot be reached, or did not answer in time. The next call tries
      anew. What is known not to have arrived is sent again by itself, once; anything else is not, since it may have.
    - `wsservice.errors.RedisRefused`: Redis answered with an error (a wrong password, no right to the channel).
    - TypeError, ValueError: this cannot be sent, to clients of either protocol; nothing was.

    Args:
        url: as that of `--adapter`: `redis://[user:password@]host[:6379]`, `rediss://` (TLS), `unix:///path`.
        key: the nodes' `--adapter-key`; by default what the URL's `?key=` says, or `socket.io`.
        namespace: whose clients are meant.
        client: a client of Redis instead of a URL, which blocks (not one of asyncio); its errors come as they are.
        timeout: seconds for a connection, and for an answer of Redis.

    Raises:
        ValueError: the URL or the key cannot be one.
    """

    def __init__(
        self,
        url: str | RedisUrl = "",
        *,
        key: str = "",
        namespace: str = ROOT,
        client: Publisher | None = None,
        timeout: float = 5.0,
    ) -> None:
        if (client is None) == (not url):
            raise ValueError('say where Redis is: Emitter("redis://localhost:6379"), or Emitter(client=...)')
        self._own: BlockingRedis | None = None
        if client is None:
            parsed = _parse(url) if isinstance(url, str) else url
            key = key or parsed.key
            client = self._own = BlockingRedis(parsed, timeout=timeout)
        self._client = client
        try:
            self._key = check_key(key or DEFAULT_KEY)
        except ValueError as error:
            raise ValueError(f"the key {key!r} {error}") from None
        self._set_namespace(namespace)

    def namespace(self, name: str) -> Emitter:
        """The same for the clients of another namespace, on the same connection."""
        other = copy(self)
        other._set_namespace(name)
        return other

    def emit(
        self,
        event: str,
        *args: Any,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        volatile: bool = False,
    ) -> int:
        """Send an event to everybody, or to those in `room`, of `user` or of `session`, as `App.emit` does.

        Each of the three may be one name or several; together they add up, and each client gets the event once. An
        empty list names nobody. A connection's id is a room of its own. Node's nodes know no users and sessions.

        Args:
            args: JSON or bytes; dates, dataclasses and the like as JSON has them.
            except_room: those in these rooms are left out.
            volatile: drop it for clients that have not taken what was sent before.
        """
        check_name(event)
        targets = self._targets(room, user, session, except_room)
        return sum(self.broadcast(Broadcast(event, args, target, volatile)) for target in targets)

    def join(
        self, to: str, *, room: Names = None, user: Names = None, session: Names = None, except_room: Names = None
    ) -> int:
        """Let everybody, or those in `room`, of `user` or of `session`, enter the room `to`."""
        targets = self._targets(room, user, session, except_room)
        return sum(self._request(target, requests.Join(None, target, frozenset({to}))) for target in targets)

    def leave(
        self, from_: str, *, room: Names = None, user: Names = None, session: Names = None, except_room: Names = None
    ) -> int:
        """Let everybody, or those in `room`, of `user` or of `session`, leave the room `from_`."""
        targets = self._targets(room, user, session, except_room)
        return sum(self._request(target, requests.Leave(None, target, frozenset({from_}))) for target in targets)

    def disconnect(
        self,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        everybody: bool = False,
        code: int = CloseCode.NORMAL,
        reason: str = "Disconnected by the server",
    ) -> int:
        """Close the connections in `room`, of `user` or of `session`, but for those in `except_room`.

        A Socket.IO client leaves this namespace; its others stay.

        Args:
            everybody: that this is meant where no other name is given.
            code: the default 1000 tells clients not to come back by themselves.

        Raises:
            ValueError: nobody was named, or no server may send this code.
        """
        if not everybody and room is user is session is except_room is None:
            raise ValueError("say whom to disconnect: room=, user=, session=, or everybody=True")
        check_code(code)
        targets = self._targets(room, user, session, except_room)
        return sum(self.close_clients(Disconnect(target, code, reason)) for target in targets)

    def server_emit(self, event: str, *args: Any) -> int:
        """Send an event to the application of every node, where `@app.on_server` has its handler."""
        check_name(event)
        return self._request(Target(self._namespace), requests.ServerSideEmit(_UID, event, args))

    def broadcast(self, broadcast: Broadcast) -> int:
        """Send a broadcast that is made already, to its own namespace."""
        room, payload = encode_broadcast(_UID, broadcast)
        return self._publish(Channels(self._key, broadcast.target.namespace).room(room), payload)

    def close_clients(self, message: Disconnect) -> int:
        """The same of a disconnection."""
        target = message.target
        return self._request(target, requests.DisconnectSockets(None, target, code=message.code, reason=message.reason))

    def close(self) -> None:
        """End the connection, if it is ours; the next use makes a new one."""
        if self._own is not None:
            self._own.close()

    def __enter__(self) -> Emitter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _set_namespace(self, name: str) -> None:
        check_namespace(name)
        self._namespace = name

    def _targets(self, room: Names, user: Names, session: Names, except_room: Names) -> list[Target]:
        return make_targets([self._namespace], room=room, user=user, session=session, except_room=except_room)

    def _request(self, target: Target, request: requests.Request) -> int:
        return self._publish(Channels(self._key, target.namespace).request, encode_request(request))

    def _publish(self, channel: bytes, message: bytes) -> int:
        heard = self._client.publish(channel, message)
        if not isinstance(heard, int):
            raise TypeError("this client does not wait for Redis's answer: give one that blocks, such as redis.Redis")
        return heard


def _parse(url: str) -> RedisUrl:
    try:
        return RedisUrl.parse(url)
    except ValueError as error:
        raise ValueError(f"the URL {error}") from None
