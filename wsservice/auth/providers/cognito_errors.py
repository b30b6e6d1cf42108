"""What Cognito's errors mean to the one who logs in: one table, pure.

A provider's message may hold a secret (an emulator put a whole access token into one) and may tell whether
an account exists. So `read_fault` looks at it, keeps at most one of three fixed words, and drops it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

import msgspec

from wsservice.errors import (
    AccountNotReady,
    ChallengeFailed,
    InvalidCredentials,
    PasswordPolicy,
    ProviderError,
    ProviderUnavailable,
    RateLimited,
    SessionExpired,
    WsServiceError,
)


class Stage(Enum):
    """What was asked of Cognito; the same error means different things at each."""

    LOGIN = "login"
    CHALLENGE = "challenge"
    REFRESH = "refresh"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class Fault:
    """A call that brought no answer of use, in words that may be logged.

    Attributes:
        kind: Cognito's name of the error, such as `NotAuthorizedException`, or one that the table adds for a
            cause that the name hides; or, in lower case, what went wrong on the way (`timeout`, `malformed`, ...).
        status: of HTTP; 0 where there was no answer.
        request_id: AWS's own, for its support; empty where there was none.
    """

    kind: str
    status: int = 0
    request_id: str = ""


class CallFailed(WsServiceError):
    """A call to Cognito failed; `fault` says how. Never leaves the provider: see `provider_error`."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.kind} (status {fault.status})")
        self.fault = fault


#: an answer that is not in the form of Cognito's: HTML, no JSON, members missing or of another type
MALFORMED = "malformed"

_Outcome = Callable[[str], ProviderError]


@dataclass(frozen=True, slots=True)
class Row:
    """What one error means at each stage; `advice`, for the log, where the fault is in our own settings."""

    login: _Outcome = ProviderUnavailable
    challenge: _Outcome = ProviderUnavailable
    refresh: _Outcome = ProviderUnavailable
    revoke: _Outcome = ProviderUnavailable
    advice: str = ""


def _everywhere(outcome: _Outcome, advice: str = "") -> Row:
    return Row(outcome, outcome, outcome, outcome, advice)


def _ours(advice: str) -> Row:
    return _everywhere(ProviderUnavailable, advice)


_REFUSED = Row(InvalidCredentials, ChallengeFailed, SessionExpired, SessionExpired)
_ACCOUNT = Row(AccountNotReady, AccountNotReady, SessionExpired, SessionExpired)
_WRONG_ANSWER = Row(InvalidCredentials, ChallengeFailed, ProviderUnavailable, ProviderUnavailable)
_WEAK_PASSWORD = Row(InvalidCredentials, PasswordPolicy, ProviderUnavailable, ProviderUnavailable)
_SPENT = Row(ProviderUnavailable, ProviderUnavailable, SessionExpired, SessionExpired)
_THROTTLED = _everywhere(RateLimited)
_AWAY = _everywhere(ProviderUnavailable)
_POOL = _ours("check AWS_REGION, AWS_COGNITO_USER_POOL_ID and AWS_COGNITO_CLIENT_ID, and the settings of the pool")
_NOT_ENABLED = _ours("enable it on the app client: its authentication flow or, for RevokeToken, token revocation")
_SECRET = _ours("AWS_COGNITO_CLIENT_SECRET does not fit the app client: set its secret, or none if it has none")
_KEYS = _ours("check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, what they are permitted, and this machine's clock")
_ROLES = _ours("the pool may not send messages: check its SMS and e-mail roles")

#: ONE table: every error of the operations in use (botocore's model), AWS's common ones, and ours.
#: What is not in it is answered as `ProviderUnavailable`.
TABLE: Mapping[str, Row] = {
    # who logs in
    "NotAuthorizedException": _REFUSED,
    "UserNotFoundException": _REFUSED,
    "UserLambdaValidationException": _REFUSED,
    "UserNotConfirmedException": _ACCOUNT,
    "PasswordResetRequiredException": _ACCOUNT,
    "UserDisabled": _ACCOUNT,
    # what they answered
    "InvalidPasswordException": _WEAK_PASSWORD,  # at login it is cognito-local's "wrong password"
    "PasswordHistoryPolicyViolationException": _WEAK_PASSWORD,
    "CodeMismatchException": _WRONG_ANSWER,
    "ExpiredCodeException": _WRONG_ANSWER,
    "SoftwareTokenMFANotFoundException": _WRONG_ANSWER,
    "MFAMethodNotFoundException": _WRONG_ANSWER,
    "AliasExistsException": _WRONG_ANSWER,
    # A challenge's answer is a person's; at the other stages only the settings are left ("flow not enabled").
    "InvalidParameterException": Row(
        challenge=ChallengeFailed,
        advice="check AWS_COGNITO_CLIENT_ID, and that the app client has the authentication flow enabled",
    ),
    # the refresh token
    "RefreshTokenReuseException": _SPENT,
    "UnsupportedTokenTypeException": _SPENT,
    "UnauthorizedException": _SPENT,
    # too often
    "TooManyRequestsException": _THROTTLED,
    "LimitExceededException": _THROTTLED,
    "TooManyFailedAttemptsException": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "Throttling": _THROTTLED,
    "throttled": _THROTTLED,
    # our settings
    "SecretRefused": _SECRET,
    "ResourceNotFoundException": _POOL,
    "InvalidUserPoolConfigurationException": _POOL,
    "OperationNotEnabledException": _NOT_ENABLED,
    "UnsupportedOperationException": _NOT_ENABLED,
    "FeatureUnavailableInTierException": _ours("the pool's tier lacks a feature that the app client asks for"),
    "InvalidSmsRoleAccessPolicyException": _ROLES,
    "InvalidSmsRoleTrustRelationshipException": _ROLES,
    "InvalidEmailRoleAccessPolicyException": _ROLES,
    "AccessDeniedException": _KEYS,
    "ExpiredTokenException": _KEYS,
    "IncompleteSignatureException": _KEYS,
    "InvalidSignatureException": _KEYS,
    "MissingAuthenticationTokenException": _KEYS,
    "UnrecognizedClientException": _KEYS,
    # the provider's own trouble, or that of the way to it
    "UnexpectedLambdaException": _AWAY,
    "InvalidLambdaResponseException": _AWAY,
    "InternalErrorException": _AWAY,
    "CodeDeliveryFailureException": _AWAY,
    "ForbiddenException": _AWAY,  # a web application firewall in front of the pool
    MALFORMED: _AWAY,
}

#: kinds by which a provider says that it does not know an operation (AWS, LocalStack, cognito-local)
_UNKNOWN_OPERATION = {"UnknownOperationException", "UnknownOperation", "NotImplemented", "Unsupported"}

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
# Every message about a secret or its hash is about our setting: `SECRET_HASH was not received`,
# `Unable to verify secret hash for client`, `SecretHash does not match`, `client is not configured for secret`.
_SECRET_MESSAGE = re.compile(r"secret[ _]?hash|(for|with|client) secret", re.IGNORECASE)

#: what decoding raises on a body that is not what its type says
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _ErrorBody(msgspec.Struct):
    """An error's body; the members are untyped because a strange one must not hide the others."""

    type: object = msgspec.field(name="__type", default=None)
    message: object = None
    # restJson's spelling, seen from proxies and emulators
    code: object = None
    capital_message: object = msgspec.field(name="Message", default=None)


def request_id_of(headers: Mapping[str, str]) -> str:
    """AWS's id of a request, if it looks like one; `headers` by lower-case name."""
    value = headers.get("x-amzn-requestid", "")
    return value if _REQUEST_ID.fullmatch(value) else ""


def read_fault(status: int, headers: Mapping[str, str], body: bytes) -> Fault:
    """Name the fault of an answer that is no success, without keeping any of its text.

    Args:
        headers: by lower-case name.
    """
    try:
        error = msgspec.json.decode(body, type=_ErrorBody)
    except UNREADABLE:
        error = _ErrorBody()
    name = _name(error.type) or _name(headers.get("x-amzn-errortype")) or _name(error.code)
    message = error.message or error.capital_message
    if name == "NotAuthorizedException" and isinstance(message, str):
        name = _hidden_cause(message) or name
    if status == 429 and name not in TABLE:
        name = "throttled"
    return Fault(name or MALFORMED, status, request_id_of(headers))


def _name(spelled: object) -> str:
    """The bare name out of `namespace#Name:http://...`; empty where there is none."""
    if not isinstance(spelled, str):
        return ""
    name = spelled.partition(":")[0].rpartition("#")[2].strip()
    if not _NAME.fullmatch(name):
        return ""
    return f"{name}Exception" if name not in TABLE and f"{name}Exception" in TABLE else name


def _hidden_cause(message: str) -> str:
    """The table's own name for what Cognito reports as NotAuthorizedException like a wrong password."""
    if _SECRET_MESSAGE.search(message):
        return "SecretRefused"
    if message.strip(". ").lower() == "user is disabled":
        return "UserDisabled"
    return ""


def provider_error(fault: Fault, stage: Stage) -> ProviderError:
    """The error that the caller gets for a fault."""
    outcome: _Outcome = getattr(TABLE.get(fault.kind, _AWAY), stage.value)
    return outcome(f"{fault.kind} (status {fault.status})")


def advice(fault: Fault) -> str:
    """What the operator should change, where the fault is in the settings; else empty."""
    return TABLE.get(fault.kind, _AWAY).advice


def operation_unknown(fault: Fault, *, custom_endpoint: bool) -> bool:
    """Whether the answer shows that the provider does not know the operation.

    AWS says so by name. Emulators also answer 404, 501 or a page of HTML with 500: at AWS's own address
    these are outages, so they count at an address set by hand only.
    """
    if fault.kind in _UNKNOWN_OPERATION:
        return True
    nameless = fault.kind == MALFORMED and fault.status in (404, 405, 500)
    return custom_endpoint and (nameless or fault.status == 501)
