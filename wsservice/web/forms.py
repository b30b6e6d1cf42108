"""What the bodies of `/auth/login` and `/auth/challenge` must hold. Pure.

Unknown members are ignored. What is wrong is told by the member's name, never with its value.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wsservice.auth.providers.base import Challenge
from wsservice.web.answers import bad_request

#: characters; the bounds of Cognito's service model
MAX_USERNAME = 128
MAX_PASSWORD = 256
MAX_CHALLENGE = 64
MAX_SESSION = 4096
MAX_RESPONSE = 2048
#: fields of an answer; a pool may want some attributes along with a new password
MAX_RESPONSES = 32


@dataclass(frozen=True, slots=True)
class Credentials:
    """What somebody logs in with; `username` may be an e-mail address, as the provider allows it."""

    username: str
    password: str = field(repr=False)


def read_credentials(body: Mapping[str, Any]) -> Credentials:
    """`{"username" or "email", "password"}`.

    Raises:
        RequestRefused: 400.
    """
    name = "email" if "username" not in body and "email" in body else "username"
    return Credentials(_text(body, name, MAX_USERNAME), _text(body, "password", MAX_PASSWORD))


def read_challenge_answer(body: Mapping[str, Any]) -> tuple[Challenge, dict[str, str]]:
    """`{"challenge", "session", "username"?}` as the challenge was given, and what answers it.

    The answer stands in `responses`, by the provider's names, or in the members `newPassword` and `code`,
    which are put under the provider's names.

    Raises:
        RequestRefused: 400.
    """
    name = _text(body, "challenge", MAX_CHALLENGE)
    username = _text(body, "username", MAX_USERNAME) if "username" in body else ""
    challenge = Challenge(name, _text(body, "session", MAX_SESSION), username)
    responses = {}
    if "newPassword" in body:
        responses["NEW_PASSWORD"] = _text(body, "newPassword", MAX_PASSWORD)
    if "code" in body:
        responses[f"{name}_CODE"] = _text(body, "code", MAX_RESPONSE)
    responses |= _responses(body.get("responses", {}))
    if not responses:
        raise bad_request("responses, newPassword or code is missing.")
    return challenge, responses


def _responses(value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or len(value) > MAX_RESPONSES:
        raise bad_request(f"responses must be an object of at most {MAX_RESPONSES} members.")
    if not all(isinstance(text, str) and len(text) <= MAX_RESPONSE for text in value.values()):
        raise bad_request(f"Each of responses must be a text of at most {MAX_RESPONSE} characters.")
    return value


def _text(body: Mapping[str, Any], name: str, most: int) -> str:
    value = body.get(name)
    if not (isinstance(value, str) and 0 < len(value) <= most):
        raise bad_request(f"{name} must be a text of 1 to {most} characters.")
    return value
