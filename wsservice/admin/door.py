"""The login of the admin view: a name and a password of its own, or the id of a session that they began.

What the client is told is always the same, since the UI knows these words: `invalid credentials`. A password is looked
at in a thread, one at a time: a quarter of a second of the event loop would be felt by everybody.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock, fail, succeed
from twisted.logger import Logger

from wsservice.addresses import address_key
from wsservice.admin.passwords import MOST
from wsservice.admin.sessions import Administrator, AdminSessions
from wsservice.admin.settings import AdminSettings
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.counters import Counters
from wsservice.errors import ClientError, RateLimited
from wsservice.handshake import Handshake
from wsservice.web.rates import Buckets

log = Logger()

#: begins the id of an administrator, so that it is no user's: those of providers are theirs to choose
PREFIX = "admin-view:"
#: what the UI knows
INVALID = "invalid credentials"
TOO_MANY = "too many attempts, try again later"
#: logins that may wait for their turn
_WAITING = 20

#: runs a function elsewhere, so that it may block
InThread = Callable[..., Deferred[Any]]


class AdminDoor:
    """See the module's docstring, and `clients.door.Door`.

    Args:
        sessions: those that live.
        attempts: by address.
        own_origins: whose pages may use everything; others were let in for this namespace only.
        began: is told of a session: the hash of its id, and its end.
    """

    def __init__(
        self,
        settings: AdminSettings,
        sessions: AdminSessions,
        *,
        attempts: Buckets,
        own_origins: OriginPolicy,
        in_thread: InThread,
        counters: Counters,
        began: Callable[[str, float], None],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._attempts = attempts
        self._own_origins = own_origins
        self._in_thread = in_thread
        self._counters = counters
        self._began = began
        self._lock = DeferredLock()

    @property
    def namespace(self) -> str:
        """Of the admin view."""
        return self._settings.namespace

    def is_confined(self, handshake: Handshake) -> bool:
        """Whether it comes from a page that is served for the admin view only (`--admin-origin`)."""
        origins = handshake.header_values("origin")
        return bool(origins) and not all(self._own_origins.allows(one, handshake) for one in origins)

    def admit(self, auth: Mapping[str, Any], handshake: Handshake) -> Deferred[Principal]:
        """Who logs in, by `sessionId`, or by `username` and `password`."""
        end = self._sessions.end_of(auth.get("sessionId"))
        if end is not None:
            self._counters.add("admin_logins", "session")
            return succeed(self._administrator(end))
        username, password = auth.get("username"), auth.get("password")
        if not isinstance(username, str) or not isinstance(password, str) or len(password) > MOST:
            return self._refuse("session" if "sessionId" in auth else "malformed", handshake)
        try:
            self._attempts.take(address_key(handshake.peer))
        except RateLimited:
            return self._refuse("rate", handshake, TOO_MANY)
        if len(self._lock.waiting) >= _WAITING:
            return self._refuse("busy", handshake, TOO_MANY)
        return Deferred.fromCoroutine(self._check(username, password, handshake))

    async def _check(self, username: str, password: str, handshake: Handshake) -> Principal:
        # The password is looked at whatever the name is: the time tells nothing.
        is_right = await self._lock.run(self._in_thread, self._settings.password.verify, password)
        is_user = hmac.compare_digest(_bytes(username), _bytes(self._settings.user))
        if not (is_user and is_right):
            return await self._refuse("credentials", handshake)
        session_id, digest, end = self._sessions.begin()
        self._began(digest, end)
        self._counters.add("admin_logins", "ok")
        log.info(
            "{user} logged in to the admin view ({request_id}, {peer})",
            user=self._settings.user,
            request_id=handshake.request_id,
            peer=handshake.peer,
        )
        return self._administrator(end, session_id)

    def _administrator(self, end: float, session_id: str = "") -> Administrator:
        user = f"{PREFIX}{self._settings.user}"
        # each connection has a session of its own for the service: signing out of the application is not for them
        return Administrator(user, self._settings.user, PREFIX + secrets.token_hex(8), end, session_id=session_id)

    def _refuse(self, word: str, handshake: Handshake, message: str = INVALID) -> Deferred[Principal]:
        self._counters.add("admin_logins", f"refused_{word}")
        if word != "session":  # one that has ended is everyday life
            log.warn(
                "a login to the admin view was refused: {reason} ({request_id}, {peer})",
                reason=word,
                request_id=handshake.request_id,
                peer=handshake.peer,
                log_flood="logins to the admin view that are refused",
            )
        return fail(ClientError("unauthorized", message))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
