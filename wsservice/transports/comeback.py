"""A raw client that asks to recover: what its query says, what it is sent first, and how far it has come.

/ws?recover=1                               the first time
/ws?recover=<session>&offset=<offset>       back, with what the welcome and the last event told
  |
  v   it may have been connected to another process: what it sends waits
a welcome, what it missed, and everything else in envelopes
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import unquote_plus

from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice import close_codes
from wsservice.auth.principal import Principal
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.envelope import EnvelopeWire
from wsservice.frames import PING, frame
from wsservice.handshake import Handshake
from wsservice.messages import ROOT
from wsservice.recovery import Claim, Trail
from wsservice.transports.deflate import envelope_wire
from wsservice.transports.opening import OpeningProtocol
from wsservice.transports.slim import EARLY
from wsservice.wire import Wire

log = Logger()

WELCOME = "welcome"
#: the query parameters; their values are secrets
_RECOVER, _OFFSET = "recover", "offset"
_PRIVATE = frozenset({_RECOVER, _OFFSET})
#: what asks for a session that can be recovered, and for none of before
_FRESH = frozenset({"", "1"})
#: why nothing can be recovered at all
OFF = "off"


class Comeback:
    """What one client asked for; see the module's docstring.

    Attributes:
        claim: what it comes back to; None the first time.
        trail: set once that is known; None where recovery is off.
    """

    __slots__ = ("claim", "trail")

    def __init__(self, claim: Claim | None) -> None:
        self.claim = claim
        self.trail: Trail | None = None

    def frames(self, connection: Connection, wire: EnvelopeWire) -> Iterator[bytes]:
        """The welcome, and what the client missed, behind the welcome's offset; each once."""
        trail = self.trail
        welcome = {
            "session": None if trail is None else trail.pid,
            "id": connection.id,
            "offset": None if trail is None else trail.start_offset,
            "recovered": connection.recovered,
            "reason": OFF if trail is None else trail.reason,
            "expiresAt": int(connection.expires_at),
        }
        yield wire.event(WELCOME, (welcome,))
        if trail is not None:
            missed, trail.missed = trail.missed, ()
            for entry in missed:
                yield wire.recoverable(entry)


def read_comeback(handshake: Handshake) -> Comeback | None:
    """What a client asks for by its query; None of most, who do not ask."""
    if _RECOVER not in handshake.query_string:
        return None
    session = handshake.query.get(_RECOVER)
    if session is None:
        return None
    if session in _FRESH:
        return Comeback(None)
    return Comeback(Claim(session, handshake.query.get(_OFFSET) or None, is_exact=True))


def without_claim(handshake: Handshake) -> Handshake:
    """The handshake as the application may see it: who has the session may take the connection over."""
    parameters = handshake.query_string.split("&")
    kept = [one for one in parameters if unquote_plus(one.partition("=")[0]) not in _PRIVATE]
    return replace(handshake, query_string="&".join(kept))


class ComebackProtocol(OpeningProtocol):
    """One client, which may ask to recover; the factory has `recoveries`, which are None where that is off."""

    __slots__ = ()

    factory: Any
    #: of a client that asked; in the dict, since most do not
    comeback: Comeback | None = None

    @property
    def trail(self) -> Trail | None:
        """How far the client has come; None where it cannot recover."""
        return None if self.comeback is None else self.comeback.trail

    def connect(self, wire: Wire, principal: Principal, handshake: Handshake) -> None:
        """Make the connection; it goes on with `trail`, if there is one."""
        raise NotImplementedError

    def come_back(self, comeback: Comeback, principal: Principal, handshake: Handshake) -> None:
        """Make the connection once it is known what the client comes back to."""
        self.comeback = comeback
        recoveries = self.factory.recoveries
        seeking = None if recoveries is None else recoveries.seek(comeback.claim, principal, ROOT)
        if seeking is None:
            self._continue(comeback, principal, handshake)
        else:
            self.pause_reading(EARLY)
            seeking.addCallback(self._sought, comeback, principal, handshake).addErrback(self._broken)

    def entering(self) -> None:
        """What was sent before is to be replayed."""
        if self.trail is not None:
            self.trail.enter()

    def ping(self) -> None:
        """Ask whether the peer is there; its answer tells up to where the client has everything."""
        trail = self.trail
        if trail is None:
            super().ping()
        else:
            position = self.factory.recoveries.position
            trail.pinged(position)
            self.write(frame(b"%d" % position, PING))

    def onPong(self, payload: bytes) -> None:
        """It is there. A pong that no ping asked for (RFC 6455 section 5.5.3) tells nothing more."""
        super().onPong(payload)
        trail = self.trail
        if trail is not None and trail.pinged_at is not None and payload == b"%d" % trail.pinged_at:
            trail.ponged()

    def _sought(self, _: None, comeback: Comeback, principal: Principal, handshake: Handshake) -> None:
        if self.state == self.STATE_OPEN and not self.factory.authenticator.is_revoked(principal):
            self._continue(comeback, principal, handshake)
            self.resume_reading(EARLY)
        else:
            self.factory.recoveries.give_up(comeback.claim, principal, ROOT)
            self.close(CloseCode.POLICY_VIOLATION, close_codes.SIGNED_OUT)  # which does nothing for who has gone

    def _continue(self, comeback: Comeback, principal: Principal, handshake: Handshake) -> None:
        if self.factory.recoveries is not None:
            comeback.trail = self.factory.recoveries.begin(comeback.claim, principal, ROOT)
        comeback.claim = None
        self.connect(envelope_wire(self._perMessageCompress), principal, handshake)

    def _broken(self, failure: Failure) -> None:
        log.failure("a client could not be brought back", failure)
        self.factory.counters.add("internal_errors")
        self.close(CloseCode.INTERNAL_ERROR, close_codes.INTERNAL)
