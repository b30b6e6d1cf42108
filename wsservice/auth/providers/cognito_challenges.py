"""Cognito's challenges: which are supported, what an answer must hold, what a person may see. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wsservice.auth.providers.base import Challenge
from wsservice.errors import ChallengeFailed, UnsupportedChallenge

#: challenge -> the fields that an answer must have; what is not here is an `UnsupportedChallenge`
ANSWER_FIELDS: Mapping[str, tuple[str, ...]] = {
    "NEW_PASSWORD_REQUIRED": ("NEW_PASSWORD",),
    "SOFTWARE_TOKEN_MFA": ("SOFTWARE_TOKEN_MFA_CODE",),
    "SMS_MFA": ("SMS_MFA_CODE",),
    "EMAIL_OTP": ("EMAIL_OTP_CODE",),
    "SMS_OTP": ("SMS_OTP_CODE",),
    "SELECT_MFA_TYPE": ("ANSWER",),
    "SELECT_CHALLENGE": ("ANSWER", "PASSWORD"),
}
#: with NEW_PASSWORD_REQUIRED come attributes that the pool wants and the account lacks
ATTRIBUTE_PREFIX = "userAttributes."
#: of SELECT_CHALLENGE's choices the supported one, chosen where the answer names none
SELECTED = "PASSWORD"

#: challenge parameters that a person may see; the others are the protocol's own, or personal data
SHOWN_PARAMETERS = (
    "CODE_DELIVERY_DESTINATION",
    "CODE_DELIVERY_DELIVERY_MEDIUM",
    "FRIENDLY_DEVICE_NAME",
    "MFAS_CAN_CHOOSE",
    "requiredAttributes",
)

#: characters; the service model's bounds for an attribute's value and for a session
MAX_FIELD = 2048
MAX_SESSION = 4096


def sendable(text: str, most: int) -> bool:
    """Whether there is something, not too much, and no half of a surrogate pair, which JSON can smuggle in."""
    return 0 < len(text) <= most and not any("\ud800" <= character <= "\udfff" for character in text)


def read_challenge(
    name: str, session: str, *, username: str, parameters: Mapping[str, Any], available: list[Any] | None
) -> Challenge:
    """Make a challenge of what Cognito sent.

    Args:
        username: of the step before; Cognito's own name of the user takes its place, for the answer's SECRET_HASH
            is wanted of that one, even where the user came with an alias such as an e-mail address.
        available: the choices of SELECT_CHALLENGE.

    Raises:
        UnsupportedChallenge: there is no way to answer it here.
    """
    if name not in ANSWER_FIELDS:
        raise UnsupportedChallenge(name)
    shown = {key: parameters[key] for key in SHOWN_PARAMETERS if isinstance(parameters.get(key), str)}
    if available:
        shown["AVAILABLE_CHALLENGES"] = msgspec.json.encode(available).decode()
    own_name = parameters.get("USER_ID_FOR_SRP") or parameters.get("USERNAME")
    return Challenge(name, session, own_name if isinstance(own_name, str) else username, shown)


def answer_fields(challenge: Challenge, responses: Mapping[str, str]) -> dict[str, str]:
    """The fields of an answer that may be sent: so a client cannot name another user or device.

    Raises:
        UnsupportedChallenge: the challenge, or the choice made of it.
        ChallengeFailed: a field is missing, too long, or no text.
    """
    names = ANSWER_FIELDS.get(challenge.name)
    if names is None:
        raise UnsupportedChallenge(challenge.name)
    fields = {name: responses.get(name, "") for name in names}
    if challenge.name == "SELECT_CHALLENGE":
        fields["ANSWER"] = choice = fields["ANSWER"] or SELECTED
        if choice != SELECTED:
            raise UnsupportedChallenge(choice)
    if challenge.name == "NEW_PASSWORD_REQUIRED":
        fields |= {name: value for name, value in responses.items() if name.startswith(ATTRIBUTE_PREFIX)}
    texts = [*fields.keys(), *fields.values(), challenge.username]
    if not all(sendable(text, MAX_FIELD) for text in texts) or not sendable(challenge.session, MAX_SESSION):
        raise ChallengeFailed("a field of the answer is missing, too long or no text")
    return fields
