"""How a conversation ended, in words: what a close code means, and what to do next. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from wsservice import close_codes
from wsservice.close_codes import Advice, CloseCode

_MEANINGS = {
    1000: "closed on purpose",
    1001: "it goes away: the service stops, or a proxy does",
    1002: "the client broke the protocol",
    1003: "data that it does not take",
    1005: "a close without a code",
    1006: "the connection broke, without a close",
    1007: "text that is no UTF-8",
    1008: "refused, or the session is over",
    1009: "a message over --max-message-size",
    1011: "a fault of the service: its log knows more",
    1012: "the service restarts",
    1013: "the service cannot, for now",
    4408: "the client did not read what it was sent",
    4409: "the user opened more than --max-connections-per-user",
    4429: "too many connections or messages of this user",
}
_REASONS = {
    "Missing authentication token": "give --cookie or --login; `wsservice check` says whether the cookie arrives",
    "Invalid authentication token": "log in anew; `wsservice check` says what is wrong with the token",
    close_codes.EXPIRED: "refresh the session, or log in anew",
    close_codes.SIGNED_OUT: "log in anew: the session was ended",
    "Not permitted": "the user needs a group or scope: AUTH_REQUIRED_GROUPS, AUTH_REQUIRED_SCOPES",
    "Authentication failed": "try again: the service could not get the issuer's keys; /ready tells more",
}
_ADVICE = {
    Advice.STOP: "do not come back by itself",
    Advice.BACKOFF: "come back, with backoff",
    Advice.REFRESH: "refresh the session once, then come back; or log in anew",
}


@dataclass(frozen=True, slots=True)
class End:
    """The end of a connection.

    Attributes:
        code: None where no close frame came.
        reason: of the close frame, or why the connection broke.
        ours: the client closed first.
        told: a word of the protocol ended it, which was shown: there is nothing to come back to.
    """

    code: int | None
    reason: str = ""
    ours: bool = False
    told: bool = False

    @property
    def advice(self) -> Advice:
        """What a client should do (`close_codes`)."""
        if self.told or self.reason in close_codes.STOP_REASONS:
            return Advice.STOP
        try:
            return CloseCode(self.code or CloseCode.ABNORMAL).advice
        except ValueError:  # an application's own, or one that should not be on the wire
            own = self.code is not None and self.code >= 3000
            return Advice.STOP if own else Advice.BACKOFF

    @property
    def is_good(self) -> bool:
        """Whether it was meant to be."""
        return self.ours or self.code == CloseCode.NORMAL

    def describe(self) -> str:
        """One line for a person."""
        if self.ours or self.told:
            return "closed"
        code = self.code or 1006
        meaning = _MEANINGS.get(code, "a code of the application")
        reason = f" {self.reason!r}" if self.reason and self.code else f" ({self.reason})" if self.reason else ""
        advice = "" if self.is_good else f"; {_REASONS.get(self.reason, _ADVICE[self.advice])}"
        return f"closed by {code}{reason}: {meaning}{advice}"
