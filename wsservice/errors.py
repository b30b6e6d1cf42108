"""Every error of wsservice, in one tree.

    WsServiceError
     +-- ConfigurationError        a setting is missing or wrong; the service does not start
     +-- AppNotServed              an app was used before the service started
     +-- ClientError               raised by a handler: the client sees its code and message
     |    +-- RoomTaken
     +-- CallError                 `await connection.call(...)` got no answer
     |    +-- CallTimeout
     |    +-- CallRefused          the client answered with an error
     |    +-- TooManyCalls
     |    +-- ConnectionClosed
     +-- ClusterError              what the nodes share cannot be used now
     |    +-- RedisUnavailable     no connection, or no answer in time
     |    +-- RedisRefused         an error for an answer
     +-- HandshakeError            a handshake (or a request) that is refused
     |    +-- BadHandshake
     |    +-- HeadTooLarge
     |    +-- RequestTimeout
     |    +-- TooManyConnections
     |    |    +-- TooManyFromAddress
     |    +-- TooMuchTraffic
     |    +-- Stopping
     |    +-- OriginNotAllowed
     |    +-- AuthenticationError
     |         +-- MissingToken
     |         +-- InvalidToken
     |         |    +-- ExpiredToken
     |         +-- NotPermitted    a good token without the required group or scope
     |         +-- KeysUnavailable
     +-- ProviderError             a login, refresh or logout that the provider refused
          +-- InvalidCredentials
          +-- AccountNotReady
          +-- ChallengeFailed
          +-- UnsupportedChallenge
          +-- PasswordPolicy
          +-- SessionExpired
          +-- RateLimited
          +-- LoginNotSupported
          +-- TokenTooLarge
          +-- ProviderUnavailable

What a client is told is fixed text on the class; `str(error)` may say more and is for the log only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from wsservice.close_codes import INTERNAL, TOO_MANY_CONNECTIONS, CloseCode, fit_reason

if TYPE_CHECKING:
    from wsservice.auth.principal import Principal

#: the code of the ClientError that stands for a fault of the server
INTERNAL_ERROR = "internal_error"
#: the code of a connection that is one too many of its user
TOO_MANY_OF_USER = "too_many_connections"
#: the code of an event that no handler is declared for
UNKNOWN_EVENT = "unknown_event"

#: characters of Redis's error that are kept: it may repeat what it was sent
_REDIS_WORDS = 200


class WsServiceError(Exception):
    """The root: catch it to catch everything that wsservice raises on purpose."""


class ConfigurationError(WsServiceError):
    """The settings cannot be used; the message lists every problem and names each fix.

    Args:
        problems: one line each, for people, naming the option; never a secret's value.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class AppNotServed(WsServiceError):
    """The app is not served yet: emit from handlers, or once the service has started."""


class ClientError(WsServiceError):
    """Raise it in a handler to refuse a client: it sees `code` and `message`, and nothing else breaks.

    From `on_connect` it refuses the connection (close 1008 with the message, of which the client
    sees 123 bytes); from an event handler it becomes the error of the acknowledgement.

    Args:
        code: a short machine-readable word, such as `"not_found"`.
        message: a sentence for people; defaults to the code.
        data: anything JSON can hold, sent along.
    """

    def __init__(self, code: str, message: str | None = None, data: Any = None) -> None:
        super().__init__(message or code)
        self.code = code
        self.message = message or code
        self.data = data

    @property
    def close(self) -> tuple[CloseCode, str]:
        """How it closes a WebSocket: a 1008 for a fault would have the client refresh its session and come back."""
        if self.code == INTERNAL_ERROR:
            return CloseCode.INTERNAL_ERROR, INTERNAL
        if self.code == TOO_MANY_OF_USER:
            return CloseCode.TOO_MANY, TOO_MANY_CONNECTIONS
        return CloseCode.POLICY_VIOLATION, fit_reason(self.message)


class RoomTaken(ClientError, ValueError):
    """A room of this name would get another connection's messages: it is that connection's id."""

    def __init__(self) -> None:
        super().__init__("room_taken", "This room cannot be entered: its name is another connection's id.")


class CallError(WsServiceError):
    """`connection.call` ended without an answer; see the subclasses."""


class CallTimeout(CallError):
    """The client did not acknowledge in time; a late acknowledgement is ignored.

    Attributes:
        answers: of a call to many clients, the answers that came in time.
    """

    def __init__(self, text: str, answers: tuple[Any, ...] = ()) -> None:
        super().__init__(text)
        self.answers = answers


class CallRefused(CallError):
    """The client acknowledged with an error; `error` is what it sent."""

    def __init__(self, error: Any) -> None:
        super().__init__("the client answered with an error")
        self.error = error


class TooManyCalls(CallError):
    """So many calls wait for this client already (`--max-calls`); nothing was sent."""


class ConnectionClosed(CallError):
    """The connection ended before the client acknowledged."""


class ClusterError(WsServiceError):
    """What the nodes share, or another node, cannot be used now; see the subclasses."""


class RedisUnavailable(ClusterError):
    """Redis is away, or did not answer in time: whether a command was carried out is not known."""


class RedisRefused(ClusterError):
    """Redis answered with an error, such as `NOAUTH Authentication required.`

    Attributes:
        code: its first word, such as `NOAUTH`, `NOSCRIPT`, `WRONGTYPE`, `LOADING`.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text[:_REDIS_WORDS])
        self.code = text.split(" ", 1)[0][:32]


class HandshakeError(WsServiceError):
    """A handshake or request that is refused before it reaches a handler.

    `message` is the fixed text for the client, `str(error)` the reason for the log.
    """

    message: ClassVar[str] = "Bad request"
    http_status: ClassVar[int] = 400
    close_code: ClassVar[CloseCode] = CloseCode.POLICY_VIOLATION
    #: the word of a JSON error body, and the label of the counter
    word: ClassVar[str] = "bad_request"
    #: seconds, for the header Retry-After
    retry_after: ClassVar[int | None] = None
    #: more headers of its answer
    headers: ClassVar[list[tuple[str, str]]] = []


class BadHandshake(HandshakeError):
    """The request head is malformed: RFC 9112 section 5, or a control character in a header value."""


class HeadTooLarge(HandshakeError):
    """The request line and headers pass a bound of bytes or lines (RFC 6585 section 5)."""

    message = "The request line and headers are too large."
    http_status = 431
    word = "head_too_large"


class RequestTimeout(HandshakeError):
    """The request did not arrive in time (RFC 9110 section 15.5.9)."""

    message = "The request took too long to arrive."
    http_status = 408
    word = "timeout"


class TooManyConnections(HandshakeError):
    """The service has as many connections as it may have."""

    message = "Too many connections. Try again later."
    http_status = 503
    close_code = CloseCode.TRY_AGAIN_LATER
    word = "too_many_connections"
    retry_after = 5


class TooManyFromAddress(TooManyConnections):
    """One address has as many connections as it may have."""

    http_status = 429
    word = "too_many_from_address"


class TooMuchTraffic(HandshakeError):
    """The client sent more than its rate allows (RFC 6585 section 4): nothing of the request is taken."""

    message = "Too many messages. Connect again later."
    http_status = 429
    close_code = CloseCode.TOO_MANY
    word = "too_much_traffic"
    retry_after = 5


class Stopping(HandshakeError):
    """The service comes to its end: nobody new is let in."""

    message = "The service is stopping. Try again soon."
    http_status = 503
    close_code = CloseCode.GOING_AWAY
    word = "stopping"
    retry_after = 5


class OriginNotAllowed(HandshakeError):
    """A browser came from an origin that is not the service's own and not in `CORS_ORIGIN`."""

    message = "Origin not allowed"
    http_status = 403
    word = "origin_not_allowed"


class AuthenticationError(HandshakeError):
    """No principal could be made of the handshake; see the subclasses."""

    message = "Authentication failed"
    http_status = 401
    word = "unauthorized"

    def kept(self) -> Self:
        """Itself, to be kept with a session: without its traceback, whose frames hold the whole request."""
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


class MissingToken(AuthenticationError):
    """Neither the cookie nor an `Authorization: Bearer` header is there."""

    message = "Missing authentication token"
    word = "missing"


class InvalidToken(AuthenticationError):
    """A token that breaks a rule of AUTH.md; which one is for the log, never for the client."""

    message = "Invalid authentication token"
    word = "invalid"


class ExpiredToken(InvalidToken):
    """A token that was good until its `exp`: the one reason that a front end may learn over HTTP.

    Args:
        principal: whom it spoke for, where that is known; good for a refresh or a logout, and for nothing else.
    """

    word = "expired"

    def __init__(self, reason: str, principal: Principal | None = None) -> None:
        super().__init__(reason)
        self.principal = principal


class NotPermitted(AuthenticationError):
    """The token is good; the user is in none of the required groups, or has none of the scopes."""

    message = "Not permitted"
    http_status = 403
    word = "forbidden"


class KeysUnavailable(AuthenticationError):
    """The provider's keys could not be had: a try later may succeed."""

    message = "Authentication failed"
    http_status = 503
    close_code = CloseCode.TRY_AGAIN_LATER
    word = "unavailable"
    retry_after = 2


class ProviderError(WsServiceError):
    """The identity provider refused or failed; `word` and `http_status` are what the client learns."""

    http_status: ClassVar[int] = 503
    word: ClassVar[str] = "auth_unavailable"
    message: ClassVar[str] = "The identity provider cannot be reached. Try again later."
    #: seconds, for the header Retry-After
    retry_after: int | None = None


class InvalidCredentials(ProviderError):
    """Wrong user or wrong password: the two are never told apart."""

    http_status = 401
    word = "invalid_credentials"
    message = "Wrong user name or password."


class AccountNotReady(ProviderError):
    """The account is disabled, unconfirmed, or waits for a password reset."""

    http_status = 403
    word = "account_not_ready"
    message = "This account cannot log in."


class ChallengeFailed(ProviderError):
    """The answer to a challenge was wrong or came too late."""

    http_status = 401
    word = "challenge_failed"
    message = "The code or answer is wrong, or came too late."


class UnsupportedChallenge(ProviderError):
    """The provider asks for a step that this service does not know; `challenge` is its name."""

    http_status = 409
    word = "unsupported_challenge"
    message = "This account needs a login step that is not supported here."

    def __init__(self, challenge: str) -> None:
        super().__init__(f"unsupported challenge {challenge[:64]!r}")
        self.challenge = challenge


class PasswordPolicy(ProviderError):
    """The new password does not satisfy the pool's policy."""

    http_status = 422
    word = "password_policy"
    message = "The new password does not satisfy the password policy."


class SessionExpired(ProviderError):
    """The refresh token is spent, revoked or expired: the user must log in again."""

    http_status = 401
    word = "session_expired"
    message = "The session has ended. Log in again."


class RateLimited(ProviderError):
    """The provider throttles us; `retry_after` is in seconds."""

    http_status = 429
    word = "rate_limited"
    message = "Too many attempts. Try again later."

    def __init__(self, reason: str = "throttled", retry_after: int = 30) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class LoginNotSupported(ProviderError):
    """This provider only verifies tokens; people log in elsewhere."""

    http_status = 404
    word = "login_not_supported"
    message = "This service does not log in; use the identity provider's own page."


class TokenTooLarge(ProviderError):
    """The provider issued a token that no cookie can carry; the log says its size, the docs the remedies."""

    http_status = 500
    word = "token_too_large"
    message = "The token does not fit into a cookie."


class ProviderUnavailable(ProviderError):
    """The provider is away, slow, misconfigured, or answered nonsense."""

    retry_after = 5
