"""Reaching clients: to whom an application's message goes, and what can be done with a selection of them.

In a cluster (`--adapter`) they are those of every process, but for `connections`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred

from wsservice import questions
from wsservice.adapters.base import Presence, RemoteConnection
from wsservice.client_calls import call_clients
from wsservice.close_codes import CloseCode, check_code
from wsservice.connection import Connection
from wsservice.errors import AppNotServed, ClientError, RoomTaken
from wsservice.hub import Hub
from wsservice.messages import Broadcast, Disconnect, Join, Leave, Target, check_name
from wsservice.targets import Names, make_targets

#: connections, or their ids
Connections = Connection | str | Iterable[Connection | str] | None


class Audience:
    """The clients of one namespace, or of all whose names match a pattern; `App` and `Namespace` are these."""

    _hub: Hub | None = None

    def emit(
        self,
        event: str,
        *args: Any,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
        volatile: bool = False,
        local: bool = False,
    ) -> None:
        """Send an event to everybody, or to those in `room`, of `user` or of `session`; returns at once.

        Each of the three may be one name or several; together they add up, and each client gets the
        event once. An empty list names nobody. A connection's id is a room of its own.

        Args:
            except_room: those in these rooms are left out.
            skip: connections (or their ids) that are left out.
            volatile: drop it for clients that have not taken what was sent before.
            local: to clients of this process only.

        Raises:
            TypeError: the arguments are not JSON or bytes; nobody was sent anything.
            ValueError: Socket.IO keeps this event for itself (`connect`, `disconnect`, ...).
            AppNotServed: the service has not started.
        """
        hub = self._served()
        check_name(event)
        for target in self._targets(room, user, session, except_room=except_room, skip=skip):
            hub.broadcast(Broadcast(event, args, target, volatile, local))

    def call(
        self,
        event: str,
        *args: Any,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
        timeout: float | None = None,
    ) -> Deferred[list[Any]]:
        """Send an event to many and wait for the acknowledgements of all: `answers = await app.call(...)`.

        The answers come as they arrived; clients that answered an error, or left, are left out, and those for whom
        too many calls wait already (`--max-calls`).

        Args:
            timeout: seconds; the service's `--call-timeout` if not given.

        Raises:
            TypeError: the arguments are not JSON or bytes; nobody was sent anything.
            ValueError: Socket.IO keeps this event for itself (`connect`, `disconnect`, ...).
            CallTimeout: by the Deferred: somebody did not answer in time; its `answers` are those that came.
        """
        hub = self._served()
        check_name(event)
        targets = self._targets(room, user, session, except_room=except_room, skip=skip)
        return call_clients(hub, event, args, targets, self._seconds(timeout))

    def connections(
        self,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
    ) -> list[Connection]:
        """The connections of this process: all, or those in `room`, of `user`, of `session`; see `fetch`, too."""
        registry = self._served().registry
        return [
            connection
            for target in self._targets(room, user, session, except_room=except_room, skip=skip)
            for connection in registry.select(target)
        ]

    def join(
        self,
        to: str,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
    ) -> None:
        """Let everybody, or those in `room`, of `user` or of `session`, enter the room `to`.

        Those who are in too many rooms already (`--max-rooms`) stay outside.

        Raises:
            RoomTaken: `to` is the id of a connection.
        """
        hub = self._served()
        for target in self._targets(room, user, session, except_room=except_room, skip=skip):
            for connection in hub.registry.select(target):
                try:
                    connection.join(to)
                except RoomTaken:
                    raise
                except ClientError:
                    continue
            if hub.adapter is not None:
                hub.adapter.join(Join(target, frozenset({to})))

    def leave(
        self,
        from_: str,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
    ) -> None:
        """Let everybody, or those in `room`, of `user` or of `session`, leave the room `from_`."""
        hub = self._served()
        for target in self._targets(room, user, session, except_room=except_room, skip=skip):
            for connection in hub.registry.select(target):
                connection.leave(from_)
            if hub.adapter is not None:
                hub.adapter.leave(Leave(target, frozenset({from_})))

    def disconnect(
        self,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
        everybody: bool = False,
        code: int = CloseCode.NORMAL,
        reason: str = "Disconnected by the server",
    ) -> None:
        """Close the connections in `room`, of `user` or of `session`, but for those in `except_room` and in `skip`.

        Args:
            everybody: that this is meant where no other name is given.
            code: the default 1000 tells clients not to come back by themselves.

        Raises:
            ValueError: nobody was named, or no server may send this code.
        """
        if not everybody and room is user is session is except_room is skip is None:
            raise ValueError("say whom to disconnect: room=, user=, session=, or everybody=True")
        check_code(code)
        hub = self._served()
        for target in self._targets(room, user, session, except_room=except_room, skip=skip):
            message = Disconnect(target, code, reason)
            hub.registry.disconnect(message)
            if hub.adapter is not None:
                hub.adapter.disconnect(message)

    def fetch(
        self,
        *,
        room: Names = None,
        user: Names = None,
        session: Names = None,
        except_room: Names = None,
        skip: Connections = None,
        timeout: float | None = None,
    ) -> Deferred[list[RemoteConnection]]:
        """The connections of every process: all, or those in `room`, of `user`, of `session`; as copies.

        Every other process is asked. For who is in a room, ask `presence`, which asks none.

        Args:
            timeout: seconds; the service's `--call-timeout` if not given.

        Raises:
            CallTimeout: by the Deferred: a process did not answer in time; its `answers` are those that were found.
        """
        hub = self._served()
        targets = self._targets(room, user, session, except_room=except_room, skip=skip)
        return Deferred.fromCoroutine(questions.fetch(hub, targets, self._seconds(timeout)))

    def rooms(self, *, timeout: float | None = None) -> Deferred[set[str]]:
        """The names of all rooms that have members, in every process.

        Node's have those of connections' ids among them.

        Raises:
            CallTimeout: by the Deferred: a process did not answer in time.
        """
        return Deferred.fromCoroutine(questions.rooms(self._served(), self._names(), self._seconds(timeout)))

    def presence(self, room: str | None = None) -> Deferred[Presence]:
        """Who is in a room, or in the namespace, in every process of this kind; no other process is asked.

        Those of a process that ended without a word are no longer among them after a few seconds.
        """
        return Deferred.fromCoroutine(questions.presence(self._served(), self._names(), room))

    def server_emit(self, event: str, *args: Any) -> None:
        """Send an event to the application of every other process, where `on_server` has its handler."""
        hub = self._served()
        if hub.adapter is not None:
            for name in self._names():
                hub.adapter.server_emit(name, event, args)

    def server_call(self, event: str, *args: Any, timeout: float | None = None) -> Deferred[list[Any]]:
        """Ask the application of every other process: what its `on_server` handlers return.

        Raises:
            CallTimeout: by the Deferred: one did not answer in time; its `answers` are those that came.
        """
        hub = self._served()
        return Deferred.fromCoroutine(questions.server_call(hub, self._names(), event, args, self._seconds(timeout)))

    def _seconds(self, timeout: float | None) -> float:
        return self._served().call_timeout if timeout is None else timeout

    def _served(self) -> Hub:
        if self._hub is None:
            raise AppNotServed("the app is not served yet: emit from handlers, or once the service has started")
        return self._hub

    def _names(self) -> list[str]:
        """The namespaces that are meant."""
        raise NotImplementedError

    def _targets(
        self,
        room: Names,
        user: Names,
        session: Names,
        *,
        except_room: Names = None,
        skip: Connections = None,
    ) -> list[Target]:
        """Whom these names mean; see `make_targets`."""
        if skip is None:
            left_out: Iterable[Connection | str] = ()
        else:
            left_out = [skip] if isinstance(skip, Connection | str) else skip
        ids = frozenset(one if isinstance(one, str) else one.id for one in left_out)
        return make_targets(self._names(), room=room, user=user, session=session, except_room=except_room, skip=ids)
