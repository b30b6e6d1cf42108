"""The Socket.IO clients of this process, by the secret ids of their Engine.IO sessions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import inf

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from wsservice import close_codes
from wsservice.admission import Admission
from wsservice.auth.principal import Principal
from wsservice.clients.client import Client, Socket
from wsservice.clients.door import Door
from wsservice.clients.secret_ids import make_secret
from wsservice.clients.settings import Settings
from wsservice.clients.wires import Wires
from wsservice.close_codes import CloseCode
from wsservice.deadlines import Deadlines, RunningClock
from wsservice.engineio.session import Session as EngineSession
from wsservice.errors import AuthenticationError
from wsservice.handshake import Handshake
from wsservice.hub import Handlers, Hub
from wsservice.recovery import Recoveries
from wsservice.socketio.session import Session as SocketSession

log = Logger()


class Clients:
    """Opens clients, finds them, and lets go of those that ended.

    Args:
        find: the handlers of a namespace, or None if there is no such namespace.
        authenticate: who a handshake speaks for; see `Authenticator.authenticate`.
        has_token: whether a request brings anything for that; see `Authenticator.has_token`.
        is_revoked: whether a user signed out since their token was issued.
        clock: for the deadlines of sessions.
        wall_clock: POSIX seconds, in which tokens expire.
    """

    def __init__(
        self,
        hub: Hub,
        settings: Settings,
        *,
        find: Callable[[str], Handlers | None],
        authenticate: Callable[[Handshake], Deferred[Principal]],
        is_revoked: Callable[[Principal], bool],
        clock: RunningClock,
        wall_clock: Callable[[], float],
        has_token: Callable[[Handshake], bool] = lambda handshake: True,
    ) -> None:
        self.hub = hub
        self.settings = settings
        self.find = find
        self.authenticate = authenticate
        self.has_token = has_token
        self.now = clock.seconds
        self.wires = Wires()
        #: where clients come back to after a break; None where that is off
        self.recoveries = Recoveries.of(
            hub, max_queue=settings.max_queue, max_queue_messages=settings.max_queue_messages
        )
        self.deadlines = Deadlines(hub.clock, clock)
        self.draining = False
        self.client_class: type[Client] = Client
        #: makes the sids of sessions on long-polling, whose requests may come to other nodes first
        self.make_sid: Callable[[], str] = make_secret
        self._is_revoked = is_revoked
        self._wall_clock = wall_clock
        #: lets in the sessions that begin on long-polling, for which no connection stands; ask it before `prepare`
        self.admission: Admission | None = None
        #: leads to a namespace with a login of its own; None where there is none
        self.door: Door | None = None
        self._admitted: dict[str, str] = {}
        self._by_sid: dict[str, Client] = {}
        self._soon: list[Client] = []

    def __len__(self) -> int:
        return len(self._by_sid)

    def __contains__(self, sid: object) -> bool:
        return sid in self._by_sid

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._by_sid.values()))

    @property
    def polling_count(self) -> int:
        """How many are on long-polling; looks at each."""
        return sum(client.socket is None for client in self._by_sid.values())

    def get(self, sid: str) -> Client | None:
        """The client of a session that lives."""
        return self._by_sid.get(sid)

    def prepare(
        self,
        handshake: Handshake,
        speaker: Principal | AuthenticationError,
        *,
        socket: Socket | None = None,
        sid: str | None = None,
    ) -> Client:
        """Make a session, and begin it: by `open_poll` with the request that asks for it, or by `begin`.

        Args:
            speaker: whom the handshake speaks for; an error is told when the client asks for a namespace.
            socket: where it begins on a WebSocket.
            sid: made by `make_secret`; else one is made.
        """
        settings, now = self.settings, self.now()
        sid = sid or (self.make_sid() if socket is None else make_secret())
        engine = EngineSession(sid, settings.engine, websocket=socket is not None, now=now)
        sockets = SocketSession(
            now=now,
            connect_timeout=settings.connect_timeout,
            max_namespaces=settings.max_namespaces,
            max_attachments=settings.max_attachments,
            max_binary_bytes=settings.max_attachment_bytes,
        )
        client = self.client_class(self, engine, sockets, handshake=handshake, speaker=speaker, socket=socket)
        self._by_sid[engine.sid] = client
        if self.admission is not None and socket is None:
            self._admitted[engine.sid] = handshake.peer
        self.hub.counters.add("engine_sessions", "websocket" if socket is not None else "polling")
        return client

    def flush_soon(self, client: Client) -> None:
        """Call its `flush_now` when this turn of the event loop is over.

        By one timer for all: of a broadcast to a thousand clients on long-polling, timers were a tenth.
        """
        if not self._soon:
            self.hub.clock.callLater(0, self._flush_all)
        self._soon.append(client)

    def _flush_all(self) -> None:
        soon, self._soon = self._soon, []
        for client in soon:
            try:
                client.flush_now()
            except Exception:  # the others wait for theirs
                log.failure("a client could not be answered")

    def forget(self, client: Client) -> None:
        """A session is over."""
        self._by_sid.pop(client.sid, None)
        peer = self._admitted.pop(client.sid, None)
        if self.admission is not None and peer is not None:
            self.admission.release(peer)

    def drain(self) -> None:
        """The service stops: end every session, without a `41`."""
        self.draining = True
        for client in self:
            self.end(client)

    def end(self, client: Client) -> None:
        """End one session, since the service stops."""
        client.end(close_codes.SHUTTING_DOWN, code=CloseCode.GOING_AWAY)

    def stop(self) -> None:
        """Forget those that did not fetch the end of their session."""
        for client in self:
            client.handle_timer(inf)

    def is_valid(self, principal: Principal) -> bool:
        """Whether who was verified at the handshake still is."""
        return principal.expires_at > self._wall_clock() and not self._is_revoked(principal)
