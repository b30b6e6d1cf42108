"""A login at a terminal: the user's password, and what a challenge asks for (docs/login.md)."""

from __future__ import annotations

from collections.abc import Callable

from wsservice.cli.client.http import Answer, Http
from wsservice.cli.command import Failed

#: what each challenge asks for: the name of the response, what a person reads, and whether it is shown as typed
_STEPS = {
    "NEW_PASSWORD_REQUIRED": ("NEW_PASSWORD", "New password", True),
    "SOFTWARE_TOKEN_MFA": ("SOFTWARE_TOKEN_MFA_CODE", "Code of the authenticator app", False),
    "SMS_MFA": ("SMS_MFA_CODE", "Code of the text message", False),
    "EMAIL_OTP": ("EMAIL_OTP_CODE", "Code of the e-mail", False),
}
#: challenges of one login; precedent: Cognito asks for a new password and then for a code
_MAX_STEPS = 5

#: asks a person: the prompt, and whether what is typed stays unseen
Ask = Callable[[str, bool], str]


class LoginRefused(Failed):
    """The service refuses a login.

    Attributes:
        word: of the error (docs/login.md); empty where it is not the service that answers.
    """

    def __init__(self, answer: Answer) -> None:
        super().__init__(_refusal(answer))
        self.word = answer.word


def log_in(http: Http, username: str, password: str, ask: Ask) -> Answer:
    """Log in; the cookies are in the jar of `http` then.

    Args:
        ask: for what challenges want.

    Returns:
        the last answer, of status 200.

    Raises:
        Failed: the service refuses, or wants what is not known here; the text says the fix.
    """
    answer = http.post("/auth/login", {"username": username, "password": password})
    for _ in range(_MAX_STEPS):
        if answer.status != 200:
            raise LoginRefused(answer)
        challenge = answer.json.get("challenge")
        if challenge is None:
            return answer
        if challenge not in _STEPS:
            raise Failed(f"the login asks for {challenge}, which is not known here: log in by a browser")
        response, prompt, is_hidden = _STEPS[challenge]
        body = {
            "challenge": challenge,
            "session": answer.json.get("session"),
            "username": answer.json.get("username", username),
            "responses": {response: ask(f"{prompt}: ", is_hidden)},
        }
        answer = http.post("/auth/challenge", body)
    raise Failed("the login asks for one step after another: log in by a browser")


def refresh(http: Http) -> bool:
    """Renew the session; whether it worked."""
    return http.post("/auth/refresh", {}).status == 200


def _refusal(answer: Answer) -> str:
    hints = {
        "login_not_supported": "give a token of its by --cookie",
        "origin_not_allowed": "leave --origin away, or set CORS_ORIGIN on the service",
    }
    if not answer.word:
        return f"the login was answered by {answer.status} {answer.reason}: is it wsservice that answers there?"
    hint = hints.get(answer.word)
    message = str(answer.json.get("message", answer.word))
    return f"the login was refused: {message}" + (f" ({hint})" if hint else "")
