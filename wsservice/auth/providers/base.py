"""What an identity provider must be able to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred, fail, succeed

from wsservice.errors import LoginNotSupported

if TYPE_CHECKING:
    from wsservice.auth.keys import VerifyKey
    from wsservice.auth.principal import Principal


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session as the provider issued it; `refresh` is None when the old one stays in force."""

    token: str = field(repr=False)
    refresh: str | None = field(repr=False, default=None)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The provider wants one more step; answer it by `IdentityProvider.answer`.

    Attributes:
        name: such as `NEW_PASSWORD_REQUIRED` or `SOFTWARE_TOKEN_MFA`.
        session: the provider's handle of this login; opaque, single use, minutes of life.
        username: the provider's own name of the user, which the answer must repeat.
        parameters: what a person may see (where a code was sent, which attributes are wanted).
    """

    name: str
    session: str = field(repr=False)
    username: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a part works; `detail` is for people, without secrets."""

    ready: bool
    detail: str


class KeySource(ABC):
    """Where a provider's public keys come from."""

    @abstractmethod
    def get(self, kid: str) -> Deferred[VerifyKey]:
        """Fire with the key of that id, at once where it is known.

        Fails with `InvalidToken` (no such key) or `KeysUnavailable` (the keys could not be had in time).
        """

    def known(self, kid: str) -> VerifyKey | None:
        """The key of that id, if `get` would fire with it at once; None, too, where nobody can tell."""
        return None

    @abstractmethod
    def readiness(self) -> Readiness:
        """Whether at least one key is at hand."""

    def start(self) -> None:
        """Begin fetching; called once. Nothing to do where the keys are at hand."""

    def stop(self) -> Deferred[None]:
        """End fetching; fires when no connection and no timer is left."""
        return succeed(None)


class IdentityProvider(ABC):
    """Turns tokens into principals and, if it can, passwords into tokens.

    Every method that talks to the provider returns a Deferred and never blocks. `verify` fails with
    `wsservice.errors.AuthenticationError`, the others with `wsservice.errors.ProviderError`.
    """

    #: whether `login`, `answer`, `refresh`, `revoke` and `sign_out` work
    can_login: bool = False

    @abstractmethod
    def verify(self, token: str) -> Deferred[Principal]:
        """Check a token whole (AUTH.md, "The token"); fires with its principal.

        Fails with `InvalidToken`, `ExpiredToken`, `NotPermitted` or `KeysUnavailable`.
        """

    def recall(self, token: str) -> Principal | None:
        """The principal of a token that was verified before, if `verify` would accept it again now; None: verify it."""
        return None

    @abstractmethod
    def readiness(self) -> Readiness:
        """Whether tokens can be verified now; answered from memory."""

    def start(self) -> None:
        """Begin background work (fetching keys); called once, before the first `verify`."""

    def stop(self) -> Deferred[None]:
        """End background work; fires when nothing is left behind."""
        return succeed(None)

    def login(self, username: str, password: str) -> Deferred[Tokens | Challenge]:
        """Exchange a password for tokens, or for a challenge."""
        return fail(LoginNotSupported())

    def answer(self, challenge: Challenge, responses: dict[str, str]) -> Deferred[Tokens | Challenge]:
        """Answer a challenge; `responses` are its fields by the provider's names."""
        return fail(LoginNotSupported())

    def refresh(self, refresh_token: str, username: str | None) -> Deferred[Tokens]:
        """Exchange a refresh token for a new token.

        Args:
            username: the provider's own name of the user, where it is known; only some providers need it.
        """
        return fail(LoginNotSupported())

    def revoke(self, refresh_token: str) -> Deferred[None]:
        """Revoke a refresh token. Tokens already issued stay valid: the caller closes the sockets."""
        return fail(LoginNotSupported())

    def sign_out(self, token: str, refresh_token: str | None, username: str | None) -> Deferred[None]:
        """Revoke every refresh token of a user. Tokens already issued stay valid: the caller refuses them.

        Args:
            token: the user's; `verify` accepted it.
            refresh_token: of the same session, where there is one; it may be spent by this.
            username: the provider's own name of the user, where it is known.
        """
        return fail(LoginNotSupported())
