"""Who is here, for those who want to know: a list of users, and an event when it changes.

Only a client that asked is told, since a plain front end takes whatever comes for a message. While anybody wants
to know, the list is looked at twice a second and told if it changed. So a storm of arrivals costs a few events
rather than one for each; and users of a process that was killed are missed, too, whose end no event tells.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from wsservice.app import App
from wsservice.connection import Connection
from wsservice.errors import CallTimeout

log = Logger()

#: the room of those who want to know
WATCHERS = "presence"
#: seconds between looks
INTERVAL = 0.5
#: users in the list, the first by name: it goes to every watcher at every change
MOST_USERS = 100
#: names of users of other processes that are remembered
MOST_NAMES = 10_000
#: seconds to wait for them; meanwhile an id stands for a name
NAMES_TIMEOUT = 1.0

#: `[{"id", "username", "connections"}]`
Users = list[dict[str, Any]]


class Watch:
    """Tells the watchers of this process who is here, in any process.

    Args:
        app: gets the server event `names`, by which the processes tell each other what their users are called.
        clock: the reactor.
    """

    def __init__(self, app: App, clock: IReactorTime) -> None:
        self._app = app
        self._clock = clock
        self._running = False
        #: what every watcher knows; None if they know different things
        self._told: Users | None = None
        #: of users elsewhere
        self._names: dict[str, str] = {}
        app.on_server("names")(self._names_of)

    async def begin(self, connection: Connection) -> Users:
        """Who is here; from now on the connection gets the event `presence` when that changes, until it ends."""
        connection.join(WATCHERS)
        users = await self._look()
        if not self._running:
            self._running = True
            self._told = users
            self._wait()
        elif users != self._told:
            # The others have yet to hear of this, and if it is undone before the next look, this one of that.
            self._told = None
        return users

    def _wait(self) -> None:
        self._clock.callLater(INTERVAL, self._tell)

    def _tell(self) -> None:
        if not self._app.connections(room=WATCHERS):
            self._running = False
            return
        Deferred.fromCoroutine(self._tell_changes()).addErrback(
            lambda failure: log.failure("presence could not be told", failure)
        ).addCallback(lambda _: self._wait())

    async def _tell_changes(self) -> None:
        users = await self._look()
        if users != self._told:
            self._told = users
            # Every process tells its own watchers.
            self._app.emit("presence", users, room=WATCHERS, local=True)

    async def _look(self) -> Users:
        present = await self._app.presence()
        counted = Counter(one.user for one in present.members)
        names = await self._find_names(set(counted))
        users = [{"id": id, "username": names[id], "connections": count} for id, count in counted.items()]
        return sorted(users, key=lambda user: (user["username"], user["id"]))[:MOST_USERS]

    async def _find_names(self, ids: set[str]) -> dict[str, str]:
        """What the users are called: known here, heard before, or asked of the other processes; else their ids."""
        found = {**{id: self._names[id] for id in ids & self._names.keys()}, **self._names_of(list(ids))}
        unknown = list(ids - found.keys())
        if unknown:
            try:
                answers = await self._app.server_call("names", unknown, timeout=NAMES_TIMEOUT)
            except CallTimeout as error:
                answers = list(error.answers)
            for answer in answers:
                self._names.update(answer if isinstance(answer, dict) else {})
            found |= {id: self._names.get(id, id) for id in unknown}
            while len(self._names) > MOST_NAMES:
                del self._names[next(iter(self._names))]
        return found

    def _names_of(self, ids: list[str]) -> dict[str, str]:
        """The names of those of the users who are connected to this process."""
        wanted = set(ids)
        return {one.user.id: one.user.username for one in self._app.connections() if one.user.id in wanted}
