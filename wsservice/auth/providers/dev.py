"""An identity provider inside the process, for development: no account, no network, no file.

It does what a Cognito user pool does for this service: passwords, a challenge, access tokens with the same
claims, refresh tokens that rotate. Its key and passwords are made at start and die with the process. It
protects nothing that is reachable from outside; who serves it must listen on loopback only.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypeVar

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed

from wsservice.auth.keys import VerifyKey
from wsservice.auth.principal import Principal
from wsservice.auth.providers.base import Challenge, KeySource, Readiness, Tokens
from wsservice.auth.providers.oidc import OidcProvider
from wsservice.auth.tokens import Rules
from wsservice.errors import ChallengeFailed, InvalidCredentials, InvalidToken, PasswordPolicy, SessionExpired

ISSUER = "http://localhost/dev"
CLIENT_ID = "dev"
NEW_PASSWORD_REQUIRED = "NEW_PASSWORD_REQUIRED"  # noqa: S105
#: what Cognito puts into the access tokens of logins by its API
SCOPE = "aws.cognito.signin.user.admin"
#: characters of a new password; Cognito's own default policy
PASSWORD_LENGTH = 8
#: seconds in which a challenge must be answered; Cognito's default
CHALLENGE_LIFETIME = 180
#: seconds; Cognito's default of 30 days
REFRESH_LIFETIME = 30 * 86400
#: seconds in which a rotated refresh token still works, so that two tabs may refresh at once; Cognito allows 0 to 60
ROTATION_GRACE = 10
#: refresh tokens, and challenges, that are remembered; past it the oldest go
CAPACITY = 10_000

#: what a token of this provider must say
DEV_RULES = Rules(issuers=frozenset({ISSUER}), clients=frozenset({CLIENT_ID}))

_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # without what is mistaken for another
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class DevUser:
    """A user of the development provider."""

    username: str
    password: str = field(repr=False)
    groups: tuple[str, ...] = ()
    #: whether the first login is answered by the challenge `NEW_PASSWORD_REQUIRED`
    must_change: bool = False


def default_users() -> list[DevUser]:
    """alice (in the group `admin`), bob, carol, and newuser, who must set a password; each with a random one."""
    return [
        DevUser("alice", make_password(), groups=("admin",)),
        DevUser("bob", make_password()),
        DevUser("carol", make_password()),
        DevUser("newuser", make_password(), must_change=True),
    ]


def make_password() -> str:
    """A random password that is easy to type: three times four letters and digits (59 bits)."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(4)) for _ in range(3))


class FixedKeySet(KeySource):
    """Keys that are known from the start and never change."""

    def __init__(self, *keys: VerifyKey) -> None:
        self._keys = {key.kid: key for key in keys}

    def get(self, kid: str) -> Deferred[VerifyKey]:
        """Fire at once with the key; fails with `InvalidToken` if there is none of that id."""
        key = self.known(kid)
        return succeed(key) if key else fail(InvalidToken("unknown key id"))

    def known(self, kid: str) -> VerifyKey | None:
        """The key, if there is one of that id."""
        return self._keys.get(kid)

    def readiness(self) -> Readiness:
        """Always ready."""
        return Readiness(True, f"{len(self._keys)} keys, made in this process")


@dataclass(slots=True)
class _Session:
    """One sign-in: all its tokens carry its id as `origin_jti`."""

    username: str
    started: int
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    #: the refresh token in force
    refresh: str = field(default="", repr=False)
    ended: bool = False


class DevProvider(OidcProvider):
    """Logs its own few users in, and verifies the tokens that it issued.

    Args:
        now: POSIX seconds.
        users: `default_users()` by default.
        lifetime: of a token, in seconds; short ones show how a front end lives with expiry.
        rules: `DEV_RULES`, or the same with required groups or scopes.
    """

    can_login = True

    def __init__(
        self,
        *,
        now: Callable[[], float],
        users: Iterable[DevUser] | None = None,
        lifetime: int = 3600,
        rules: Rules = DEV_RULES,
    ) -> None:
        if lifetime < 1:
            raise ValueError("the lifetime of a token must be at least 1 second")
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._kid = f"dev-{secrets.token_hex(4)}"
        keys = FixedKeySet(VerifyKey.from_public_key(self._kid, self._key.public_key()))
        super().__init__(keys, rules, now=now)
        self._lifetime = lifetime
        self._users = {user.username: user for user in (default_users() if users is None else users)}
        self._nobodys_password = make_password()
        #: refresh token -> its session, and until when it works
        self._grants: dict[str, tuple[_Session, float]] = {}
        #: handle -> the user, and until when it can be answered
        self._challenges: dict[str, tuple[str, float]] = {}

    @property
    def credentials(self) -> list[tuple[str, str]]:
        """User names with their passwords, for the banner at start."""
        return [(user.username, user.password) for user in self._users.values()]

    def issue(self, username: str, lifetime: int | None = None) -> str:
        """A token for a user without a login, as of a new session.

        Args:
            lifetime: in seconds; the provider's own by default.

        Raises:
            ValueError: there is no such user; the text names those there are.
        """
        if username not in self._users:
            raise ValueError(f"no user {username!r}: there are {', '.join(self._users)}")
        return self._make_token(self._begin_session(username), lifetime)

    def login(self, username: str, password: str) -> Deferred[Tokens | Challenge]:
        """Exchange a password for tokens, or for the challenge to set a new one."""
        return maybeDeferred(self._log_in, username, password)

    def answer(self, challenge: Challenge, responses: dict[str, str]) -> Deferred[Tokens | Challenge]:
        """Set the new password (`NEW_PASSWORD`); the challenge can be answered again only after `PasswordPolicy`."""
        return maybeDeferred(self._set_password, challenge, responses)

    def refresh(self, refresh_token: str, username: str | None = None) -> Deferred[Tokens]:
        """Exchange a refresh token for a new token and a new refresh token; `username` is not needed."""
        return maybeDeferred(self._renew, refresh_token)

    def revoke(self, refresh_token: str) -> Deferred[None]:
        """End the session of a refresh token; an unknown one is as good as revoked."""
        grant = self._grants.get(refresh_token)
        if grant is not None:
            grant[0].ended = True
        return succeed(None)

    def sign_out(self, token: str, refresh_token: str | None = None, username: str | None = None) -> Deferred[None]:
        """Forget every refresh token of the user; the token says who that is."""
        return self.verify(token).addCallback(self._forget)

    def shorten(self, principal: Principal, seconds: int) -> str:
        """A new token of the same session that ends in so many seconds: at the next whole one, as tokens do."""
        session = _Session(principal.username, started=int(principal.claims["auth_time"]), id=principal.session)
        now = self._now()
        return self._make_token(session, ceil(now + seconds) - int(now))

    def _forget(self, principal: Principal) -> None:
        self._grants = {
            token: (session, until)
            for token, (session, until) in self._grants.items()
            if session.username != principal.username
        }

    def _log_in(self, username: str, password: str) -> Tokens | Challenge:
        user = self._users.get(username)
        # A user that does not exist takes the same way: a wrong password and a wrong name look alike.
        expected = user.password if user else self._nobodys_password
        if not hmac.compare_digest(_digest(expected), _digest(password)) or user is None:
            raise InvalidCredentials("wrong user or password")
        if user.must_change:
            handle = secrets.token_urlsafe(24)
            _remember(self._challenges, handle, (username, self._now() + CHALLENGE_LIFETIME))
            return Challenge(NEW_PASSWORD_REQUIRED, handle, username)
        return self._grant(self._begin_session(username))

    def _set_password(self, challenge: Challenge, responses: dict[str, str]) -> Tokens:
        username, until = self._challenges.get(challenge.session, ("", 0.0))
        password = responses.get("NEW_PASSWORD")
        if challenge.name != NEW_PASSWORD_REQUIRED or until <= self._now() or password is None:
            raise ChallengeFailed("no such challenge, or too late, or without NEW_PASSWORD")
        if len(password) < PASSWORD_LENGTH:
            raise PasswordPolicy(f"shorter than {PASSWORD_LENGTH} characters")
        del self._challenges[challenge.session]
        self._users[username] = replace(self._users[username], password=password, must_change=False)
        return self._grant(self._begin_session(username))

    def _renew(self, refresh_token: str) -> Tokens:
        session, until = self._grants.get(refresh_token, (None, 0.0))
        if session is None or session.ended or until <= self._now():
            raise SessionExpired("the refresh token is unknown, revoked, spent or too old")
        if refresh_token == session.refresh:
            self._grants[refresh_token] = (session, self._now() + ROTATION_GRACE)
            return self._grant(session)
        return Tokens(self._make_token(session), session.refresh)  # the other tab was first

    def _begin_session(self, username: str) -> _Session:
        return _Session(username, started=int(self._now()))

    def _grant(self, session: _Session) -> Tokens:
        """A token, and a refresh token that takes the place of the session's last one."""
        session.refresh = secrets.token_urlsafe(32)
        _remember(self._grants, session.refresh, (session, self._now() + REFRESH_LIFETIME))
        return Tokens(self._make_token(session), session.refresh)

    def _make_token(self, session: _Session, lifetime: int | None = None) -> str:
        """An access token with the claims of Cognito's."""
        now = int(self._now())
        groups = self._users[session.username].groups
        claims = {
            "sub": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{ISSUER}/{session.username}")),
            **({"cognito:groups": list(groups)} if groups else {}),
            "iss": ISSUER,
            "version": 2,
            "client_id": CLIENT_ID,
            "origin_jti": session.id,
            "event_id": str(uuid.uuid4()),
            "token_use": "access",
            "scope": SCOPE,
            "auth_time": session.started,
            "exp": now + (self._lifetime if lifetime is None else lifetime),
            "iat": now,
            "jti": str(uuid.uuid4()),
            "username": session.username,
        }
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": self._kid})


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).digest()


def _remember(memory: dict[str, _V], key: str, value: _V) -> None:
    """Add to a memory of bounded size; the oldest entry makes room."""
    if len(memory) >= CAPACITY:
        del memory[next(iter(memory))]
    memory[key] = value
