"""The namespaces that one Socket.IO client has joined: who it is, and its connection in each.

ConnectRequested   who asks is known (or is asked again), the application has such a namespace: a Connection,
                   which runs the application's middleware and `on_connect`
  accept           what a recovered connection missed, then CONNECT, then what was sent meanwhile
  refuse           CONNECT_ERROR; the client may ask again on the same session
Received           to the connection
Left, Cancelled    the connection has ended; the session stays
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.clients.link import NamespaceLink
from wsservice.clients.wires import SocketIoWire, to_frames
from wsservice.connection import Connection
from wsservice.errors import INTERNAL_ERROR, AuthenticationError, ClientError, ExpiredToken, KeysUnavailable
from wsservice.frames import Framing
from wsservice.handshake import Handshake
from wsservice.messages import ROOT, Ack, Event
from wsservice.recovery import Claim
from wsservice.socketio.session import ConnectRequested, Dropped, Incoming, Received, Session, TooManyNamespaces

if TYPE_CHECKING:
    from wsservice.clients.client import Client
    from wsservice.clients.door import Door
    from wsservice.clients.table import Clients

log = Logger()

CLIENT_LEFT = "client namespace disconnect"
REFUSED = "refused"
INVALID_NAMESPACE = "Invalid namespace"
TOO_MANY_NAMESPACES = "Too many namespaces"
#: what only the recovery reads of a client's `auth`: the id is a secret
_RECOVERY_KEYS = frozenset({"pid", "offset"})


@dataclass(slots=True, eq=False)
class _Asking:
    """A request of a client whose token is being checked, and the events behind it, with their sizes."""

    request: ConnectRequested
    early: list[tuple[Event | Ack, int]] = field(default_factory=list)
    bytes: int = 0


class Namespaces:
    """See the module's docstring.

    Args:
        session: decodes what the client sends, and knows what it may send.
        speaker: whom the handshake speaks for, or why nobody.
    """

    __slots__ = ("_asking", "_client", "_credentials", "_handshake", "_links", "_speaker", "_table", "session")

    def __init__(
        self,
        client: Client,
        table: Clients,
        session: Session,
        *,
        handshake: Handshake,
        speaker: Principal | AuthenticationError,
    ) -> None:
        self.session = session
        self._client = client
        self._table = table
        self._handshake = handshake.without_secrets()
        self._speaker: Principal | AuthenticationError | None = speaker
        #: of a client that is not known: the newest request that may say who it is
        self._credentials: Handshake | None = None if isinstance(speaker, Principal) else handshake
        self._links: dict[str, NamespaceLink] = {}
        #: by namespace: the client may take a request back, and make another one, meanwhile
        self._asking: dict[str, _Asking] = {}

    def __len__(self) -> int:
        return len(self._links)

    @property
    def request_id(self) -> str:
        """Of the handshake, for the log."""
        return self._handshake.request_id

    @property
    def user_id(self) -> str | None:
        """Whom the client speaks for; None while that is not known."""
        return self._speaker.id if isinstance(self._speaker, Principal) else None

    def offer(self, handshake: Handshake) -> None:
        """A later request of the client: newer credentials count where nobody is known yet, or no longer.

        One without any does not: some clients, python-socketio's for one, send the cookie with the first request only.
        """
        if isinstance(self._who(), Principal) or not self._table.has_token(handshake):
            return
        if isinstance(self._speaker, Principal) or not _equal_credentials(self._credentials, handshake):
            self._speaker, self._credentials = None, handshake

    def receive(self, message: str | bytes, now: float) -> None:
        """A message of the Engine.IO session, in its turn.

        Raises:
            ProtocolViolation: the session must end.
        """
        session = self.session
        if isinstance(message, str):
            incoming = session.receive_text(message, now)
        else:
            incoming = session.receive_binary(message, now)
        if incoming is not None:
            self._handle(incoming, session.packet_size)

    def receive_common(self, text: str) -> bool:
        """The short way for what nearly every message is, a text that begins with `42["`; whether it was taken."""
        link = self._links.get(ROOT)
        if link is None:
            return False
        event = self.session.receive_common(text[2:])
        if event is None:
            return False
        link.connection.receive(event, len(text) - 1)
        return True

    def leave(self, link: NamespaceLink, reason: str) -> None:
        """The application closes a connection, by a `41`; the session and its other namespaces stay."""
        if self._links.get(link.namespace) is link and not self._client.has_ended:
            self.session.leave(link.namespace)
            self._client.write(self.wire(link.namespace).disconnect())
        self._drop(link, reason, by_application=True)

    def leave_all(self, reason: str) -> None:
        """The application closes the client: each namespace by a `41`."""
        for link in list(self._links.values()):
            self.leave(link, reason)

    def accepted(self, link: NamespaceLink) -> None:
        """The application lets the connection in: first what it missed, then CONNECT."""
        self.session.accept(link.namespace)
        wire = self.wire(link.namespace)
        trail = link.trail
        if trail is not None:
            for entry in trail.missed:
                self._client.write(wire.recoverable(entry))
            trail.missed = ()
        self._client.write(wire.connect(link.connection.id, None if trail is None else trail.pid))

    def refused(self, link: NamespaceLink, error: ClientError) -> None:
        """The application refuses the connection."""
        self._refuse(link.namespace, error.message, error.data)
        self._drop(link, REFUSED)

    def reframe(self, framing: Framing) -> None:
        """The client moved to a WebSocket."""
        convert = partial(to_frames, framing=framing)
        for link in self._links.values():
            link.connection.reframe(self._table.wires.get(link.namespace, framing), convert)
        self.update_direct()

    def update_direct(self) -> None:
        """The WebSocket may, or may no longer, be written to by its `send`."""
        for link in self._links.values():
            link.connection.update_direct()

    def pinged(self, position: int) -> None:
        """A ping is sent, behind everything up to this position of the history, to those who are accepted by now."""
        for link in self._links.values():
            if link.trail is not None:
                link.trail.pinged(position)

    def ponged(self) -> None:
        """The ping was answered: what was sent before it has arrived."""
        for link in self._links.values():
            if link.trail is not None:
                link.trail.ponged()

    def end(self, reason: str) -> None:
        """The session is over: every connection ends, once."""
        self.session.close()
        for asking in self._asking.values():
            self._drop_early(asking)
        self._asking.clear()
        for link in list(self._links.values()):
            self._drop(link, reason)

    def wire(self, namespace: str) -> SocketIoWire:
        """The wire of a namespace over the client's present transport."""
        return self._table.wires.get(namespace, self._client.framing)

    def _handle(self, incoming: Incoming, size: int) -> None:
        link = self._links.get(incoming.namespace)
        if isinstance(incoming, Received):
            asking = self._asking.get(incoming.namespace)
            if link is not None:  # refused or left meanwhile: what was under way is ignored
                link.connection.receive(incoming.message, size)
            elif asking is not None:
                asking.early.append((incoming.message, size))
                asking.bytes += size
                if asking.bytes >= self._table.hub.inbox_bytes > asking.bytes - size:
                    self._table.hub.counters.add("reading_paused", "inbox")
                    self._client.pause(asking)
        elif isinstance(incoming, ConnectRequested):
            self._identify(incoming)
        elif isinstance(incoming, Dropped):
            self._table.hub.counters.add("events_dropped", "closing")
        elif isinstance(incoming, TooManyNamespaces):
            self._table.hub.counters.add("namespaces_refused", "too_many")
            self._client.write(self.wire(incoming.namespace).connect_error(TOO_MANY_NAMESPACES))
        else:
            asked = self._asking.pop(incoming.namespace, None)
            if asked is not None:
                self._drop_early(asked)
                self._client.resume(asked)
            if link is not None:
                self._drop(link, CLIENT_LEFT)

    # -- joining

    def _identify(self, request: ConnectRequested) -> None:
        """Know who asks. A refusal stands until there are newer credentials: nothing is verified twice.

        Only one for lack of keys, or for a fault of ours, is looked at anew at the client's next try.
        """
        door = self._table.door
        if door is not None:
            if request.namespace == door.namespace:
                self._knock(door, request)
                return
            if door.is_confined(self._handshake):
                self._table.hub.counters.add("namespaces_refused", "origin")
                self._refuse(request.namespace, INVALID_NAMESPACE)
                return
        speaker = self._who()
        if isinstance(speaker, Principal):
            seeking = self._seek(request, speaker)
            if seeking is None:
                self._open(request, speaker)
            else:
                asking = self._asking[request.namespace] = _Asking(request)
                self._open_later(seeking, speaker, asking)
        elif speaker is not None:
            if isinstance(speaker, KeysUnavailable):
                self._speaker = None
            self._refuse(request.namespace, speaker.message)
        else:
            credentials = self._credentials or self._handshake
            asking = self._asking[request.namespace] = _Asking(request)
            deciding: Deferred[Principal] = self._table.authenticate(credentials)
            deciding.addCallback(self._identified, asking)
            deciding.addErrback(self._unidentified, asking, credentials)
            deciding.addErrback(self._client.failed)

    def _who(self) -> Principal | AuthenticationError | None:
        """Whom the client speaks for, if that still holds, or why for nobody; None: ask."""
        speaker = self._speaker
        if not isinstance(speaker, Principal):
            return speaker
        # A refresh of the session moves the end of its connections, and no handshake tells of it.
        connections = [link.connection for link in self._links.values()]
        ends = [one.expires_at for one in connections if one.is_open and one.user.session == speaker.session]
        renewed = max(ends, default=speaker.expires_at)
        if renewed > speaker.expires_at:
            self._speaker = speaker = replace(speaker, expires_at=renewed)
        return speaker if self._table.is_valid(speaker) else ExpiredToken("the token of the handshake is over")

    def _identified(self, principal: Principal, asking: _Asking) -> None:
        self._speaker, self._credentials = principal, None
        self._client.identified()
        seeking = self._seek(asking.request, principal)
        if seeking is None:
            self._found(None, principal, asking)
        else:
            self._open_later(seeking, principal, asking)

    def _knock(self, door: Door, request: ConnectRequested) -> None:
        """Ask for the namespace that has a login of its own."""
        asking = self._asking[request.namespace] = _Asking(request)
        deciding = door.admit(request.auth, self._handshake)
        deciding.addCallbacks(self._admitted, self._turned_away, callbackArgs=(asking,), errbackArgs=(asking,))
        deciding.addErrback(self._client.failed)

    def _admitted(self, principal: Principal, asking: _Asking) -> None:
        self._arrive(principal, asking, has_own_login=True)
        self._client.resume(asking)
        self._client.work()

    def _turned_away(self, failure: Failure, asking: _Asking) -> None:
        error = failure.value
        if not isinstance(error, ClientError):
            log.failure("a login broke down ({request_id})", failure, request_id=self.request_id)
            error = ClientError(INTERNAL_ERROR, "The server could not handle this.")
        self._turn_away(asking, error.message, error.data)
        self._client.resume(asking)
        self._client.work()

    def _arrive(self, principal: Principal, asking: _Asking, *, has_own_login: bool = False) -> bool:
        """Open what was asked for, and hand on what came behind; whether it was still wanted."""
        namespace = asking.request.namespace
        if self._asking.get(namespace) is not asking:
            return False
        del self._asking[namespace]
        self._open(asking.request, principal, has_own_login=has_own_login)
        link = self._links.get(namespace)
        if link is None:
            self._drop_early(asking)
        else:
            for message, size in asking.early:
                link.connection.receive(message, size)
        return True

    def _turn_away(self, asking: _Asking, message: str, data: Any = None) -> None:
        """Refuse what was asked for, if it is still wanted."""
        namespace = asking.request.namespace
        if self._asking.get(namespace) is asking:
            del self._asking[namespace]
            self._drop_early(asking)
            self._refuse(namespace, message, data)

    def _open_later(self, seeking: Deferred[None], principal: Principal, asking: _Asking) -> None:
        """Open once it is known what the client comes back to, from another process."""
        seeking.addCallback(self._found, principal, asking)
        seeking.addErrback(self._client.failed)

    def _seek(self, request: ConnectRequested, principal: Principal) -> Deferred[None] | None:
        recoveries = self._table.recoveries
        return None if recoveries is None else recoveries.seek(_claim_of(request), principal, request.namespace)

    def _found(self, _: None, principal: Principal, asking: _Asking) -> None:
        speaker = self._who()
        if not isinstance(speaker, Principal) or not self._arrive(speaker, asking):
            self._give_up(asking.request, principal)
            if isinstance(speaker, AuthenticationError):  # signed out meanwhile
                self._turn_away(asking, speaker.message)
        self._client.resume(asking)
        self._client.work()

    def _give_up(self, request: ConnectRequested, principal: Principal) -> None:
        """The client took its request back, or has gone, while it was looked for what it comes back to."""
        recoveries, claim = self._table.recoveries, _claim_of(request)
        if recoveries is not None and claim is not None:
            recoveries.give_up(claim, principal, request.namespace)

    def _unidentified(self, failure: Failure, asking: _Asking, credentials: Handshake) -> None:
        error = failure.value
        if not isinstance(error, AuthenticationError):
            log.failure("a client could not be identified ({request_id})", failure, request_id=self.request_id)
            error = KeysUnavailable("an error inside the service")
        if credentials is self._credentials and not isinstance(error, KeysUnavailable):
            self._speaker = error
        self._turn_away(asking, error.message)
        self._client.resume(asking)
        self._client.work()

    def _drop_early(self, asking: _Asking) -> None:
        """The client does not come in: what it sent behind its request is not handled."""
        events = sum(isinstance(message, Event) for message, _ in asking.early)
        if events:
            self._table.hub.counters.add("events_dropped", "closing", events)

    def _open(self, request: ConnectRequested, principal: Principal, *, has_own_login: bool = False) -> None:
        name = request.namespace
        handlers = self._table.find(name)
        if handlers is None:
            self._table.hub.counters.add("namespaces_refused", "unknown")
            self._refuse(name, INVALID_NAMESPACE)
            return
        if handlers.is_pattern and self._are_too_many_open(name):
            self._table.hub.counters.add("namespaces_refused", "open")
            self._refuse(name, TOO_MANY_NAMESPACES)
            return
        link = NamespaceLink(self._client, name)
        recoveries, auth = self._table.recoveries, request.auth
        if has_own_login:  # a password, and nothing that a break must not end
            auth = {}
        elif recoveries is not None:
            link.trail = recoveries.begin(_claim_of(request), principal, name)
            auth = {key: value for key, value in auth.items() if key not in _RECOVERY_KEYS}
        hub = self._table.hub
        link.connection = connection = (hub.make_connection or Connection)(
            hub,
            link,
            self.wire(name),
            principal,
            replace(self._handshake, given_auth=auth) if auth else self._handshake,
            namespace=name,
            handlers=handlers,
            saved=None if link.trail is None else link.trail.saved,
        )
        self._links[name] = link
        if link.trail is not None:
            link.trail.open(connection)
        if self._table.hub.logs_debug:
            log.debug(
                "connection of {user} to {namespace} opened",
                user=principal.id,
                namespace=name[:64],
                connection_id=connection.id,
                request_id=self.request_id,
                peer=self._handshake.peer,
            )
        connection.open()

    def _are_too_many_open(self, name: str) -> bool:
        """Whether the namespace would be one too many of those that clients have named."""
        most, registry = self._table.settings.max_open_namespaces, self._table.hub.registry
        return bool(most) and registry.namespace_count >= most and not registry.has_namespace(name)

    def _refuse(self, namespace: str, message: str, data: Any = None) -> None:
        self.session.refuse(namespace)
        self._client.write(self._connect_error(namespace, message, data))

    def _connect_error(self, namespace: str, message: str, data: Any) -> bytes:
        try:
            return self.wire(namespace).connect_error(message, data)
        except TypeError:  # the application's data is no JSON
            log.failure("the data of a refusal cannot be sent ({request_id})", request_id=self.request_id)
            return self.wire(namespace).connect_error(message)

    def _drop(self, link: NamespaceLink, reason: str, *, by_application: bool = False) -> None:
        """One connection is over; the session stays."""
        if self._links.get(link.namespace) is not link:  # over already
            return
        del self._links[link.namespace]
        self._client.resume(link)
        if link.trail is not None:
            is_broken = reason in close_codes.RECOVERABLE or reason == REFUSED
            link.trail.end(is_broken=is_broken and not by_application)
        link.connection.ended(reason)


def _claim_of(request: ConnectRequested) -> Claim | None:
    """What a client brings to come back, if it does; see SOCKETIO.md 1.17."""
    pid = request.auth.get("pid")
    return Claim(pid, request.auth.get("offset")) if isinstance(pid, str) else None


def _equal_credentials(first: Handshake | None, second: Handshake) -> bool:
    return first is not None and all(
        first.header_values(name) == second.header_values(name) for name in ("cookie", "authorization")
    )
