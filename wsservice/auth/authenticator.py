"""Turns a handshake into a principal: finds the token, has it verified, and counts every outcome.

The token stands in the cookie, or in `Authorization: Bearer` for clients that are no browsers; never in
the query string. If both are there they must be equal: with two different ones it would depend on the
reader whom the request speaks for, and that is what an attacker who can plant one of them wants.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from wsservice.auth.cookies import read_token
from wsservice.auth.origin import OriginPolicy
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import IdentityProvider
from wsservice.auth.revocations import Revocations
from wsservice.counters import Counters
from wsservice.errors import ExpiredToken, HandshakeError, InvalidToken, KeysUnavailable, MissingToken, OriginNotAllowed
from wsservice.handshake import Handshake

log = Logger()

#: characters of a reason that go to the log
_LOGGED_LENGTH = 200
#: refusals of everyday life: clients without a session, sessions that have ended
_EVERYDAY = (MissingToken, ExpiredToken)


class Authenticator:
    """Authenticates handshakes and requests; counts `auth` by outcome.

    The outcomes: `ok`, the `word` of each `HandshakeError` (`missing`, `invalid`, `expired`, `forbidden`,
    `unavailable`, `origin_not_allowed`), `cancelled` (the client went away) and `error` (a bug).

    Args:
        provider: verifies the token.
        cookie_name: `AUTH_COOKIE_NAME`.
        origins: which pages may connect.
        revocations: who was signed out.
    """

    def __init__(
        self,
        provider: IdentityProvider,
        *,
        cookie_name: str,
        origins: OriginPolicy,
        revocations: Revocations,
        counters: Counters,
    ) -> None:
        self._provider = provider
        self._cookie_name = cookie_name
        self._origins = origins
        self._revocations = revocations
        self._counters = counters

    def check_origin(self, handshake: Handshake) -> None:
        """Refuse a browser that comes from a foreign page; call it before `authenticate`.

        Raises:
            OriginNotAllowed: answer 403, before the upgrade.
        """
        try:
            self._origins.check(handshake)
        except OriginNotAllowed as error:
            self._note_refusal(error, handshake)
            raise

    def has_token(self, handshake: Handshake) -> bool:
        """Whether a request brings anything to authenticate it by, good or bad."""
        try:
            self.find_token(handshake)
        except MissingToken:
            return False
        except InvalidToken:
            pass
        return True

    def authenticate(self, handshake: Handshake) -> Deferred[Principal]:
        """Fire with who the handshake speaks for: at once where the key is known, else within the key set's wait.

        Fails with `MissingToken`, `InvalidToken`, `ExpiredToken`, `NotPermitted` or `KeysUnavailable`, whose
        `message` is what the client is told. Cancel it when the client goes away.
        """
        decided = self.decide(handshake)
        return decided if isinstance(decided, Deferred) else succeed(decided)

    def decide(self, handshake: Handshake) -> Principal | Deferred[Principal]:
        """The same, but the principal itself where its token was verified before.

        That is so for nearly all in a reconnect storm, and the Deferreds on the way would cost more than the rest.
        """
        try:
            token = self.find_token(handshake)
            principal = self._provider.recall(token)
            if principal is not None:
                return self._accept(principal)
            verified = self._provider.verify(token)
        except Exception:
            verified = fail()
        return verified.addCallback(self._accept).addErrback(self._refuse, handshake)

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the user signed out, perhaps since the handshake."""
        return self._revocations.refuses(principal)

    def find_token(self, handshake: Handshake) -> str:
        """The token that a request brings, good or bad.

        Raises:
            MissingToken: none.
            InvalidToken: more than one.
        """
        cookie = read_token(handshake.header_values("cookie"), self._cookie_name)
        bearer = _read_bearer(handshake.header_values("authorization"))
        if cookie and bearer and cookie != bearer:
            raise InvalidToken("the cookie and the Authorization header hold different tokens")
        token = cookie or bearer
        if not token:
            raise MissingToken("no token")
        return token

    def _accept(self, principal: Principal) -> Principal:
        if self._revocations.refuses(principal):
            raise InvalidToken("the session was signed out")
        self._counters.add("auth", "ok")
        return principal

    def _refuse(self, failure: Failure, handshake: Handshake) -> Failure:
        """Count and log; what is not ours to tell becomes `KeysUnavailable`."""
        if isinstance(failure.value, HandshakeError):
            self._note_refusal(failure.value, handshake)
        elif failure.check(CancelledError):
            self._counters.add("auth", "cancelled")
        else:
            self._counters.add("auth", "error")
            log.failure("authentication broke down ({request_id})", failure, request_id=handshake.request_id)
            return Failure(KeysUnavailable("an error inside the service; see the log"))
        return failure

    def _note_refusal(self, error: HandshakeError, handshake: Handshake) -> None:
        self._counters.add("auth", error.word)
        log.emit(
            LogLevel.debug if isinstance(error, _EVERYDAY) else LogLevel.info,
            "authentication refused: {reason} ({request_id}, {peer})",
            reason=_printable(str(error)[:_LOGGED_LENGTH]),
            request_id=handshake.request_id,
            peer=handshake.peer,
            auth_reason=error.word,
            log_flood=f"authentication refused: {error.word}",
        )


def _printable(text: str) -> str:
    """The text, escaped if a client could have put something other than printable ASCII into it."""
    return text if text.isascii() and text.isprintable() else ascii(text)


def _read_bearer(values: list[str]) -> str | None:
    """The token of `Authorization: Bearer` (RFC 6750 section 2.1), or None.

    Other schemes are not for us: a proxy in front may ask for a password of its own.

    Raises:
        InvalidToken: more than one header, or no single token behind the scheme.
    """
    if not values:
        return None
    if len(values) > 1:
        raise InvalidToken("more than one Authorization header")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip(" ")
    if not token or " " in token or "\t" in token:
        raise InvalidToken("malformed Authorization header")
    return token
