"""The fake's wire: AWS JSON 1.1 in and out, checked against botocore's model, with faults to order."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials
from botocore.model import ServiceModel, Shape
from botocore.session import Session
from botocore.validate import ParamValidator

from tests.fakecognito.pool import Pool, Refused

PREFIX = "AWSCognitoIdentityProviderService."
CONTENT_TYPE = "application/x-amz-json-1.1"
REQUEST_ID = "7a1c2b7e-0000-4000-8000-00000000cafe"
MAX_SKEW = 300


@dataclass(frozen=True)
class Canned:
    """A fault: this answer, whatever was asked."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Delay:
    """A fault: the right answer, seconds later."""

    seconds: float


@dataclass(frozen=True)
class Hang:
    """A fault: no answer, ever."""


@dataclass(frozen=True)
class Reset:
    """A fault: the connection ends instead of the answer; with `after`, inside the answer's body."""

    after: bytes = b""


Fault = Canned | Delay | Hang | Reset


@dataclass(frozen=True)
class Credentials:
    """The AWS key that signed calls must be signed with."""

    access_key: str = "AKIAFAKEFAKEFAKEFAKE"
    secret_key: str = "fake/secret+key"
    session_token: str | None = None


def error(kind: str, message: str = "", *, status: int = 400, headers: Mapping[str, str] | None = None) -> Canned:
    """An error as Cognito sends it."""
    body = json.dumps({"__type": kind, "message": message}).encode()
    return Canned(status, body, {"content-type": CONTENT_TYPE, **(headers or {})})


def html(status: int) -> Canned:
    """A page, as proxies and emulators send it."""
    return Canned(status, b"<!doctype html><title>Internal Server Error</title>", {"content-type": "text/html"})


@cache
def _model() -> ServiceModel:
    return Session().get_service_model("cognito-idp")


class FakeCognito:
    """Answers requests; keeps them in `calls`, and in `violations` what no AWS client would send."""

    def __init__(self, pool: Pool, *, now: Callable[[], float], credentials: Credentials | None = None) -> None:
        self.pool = pool
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.violations: list[str] = []
        self._now = now
        self._credentials = credentials or Credentials()
        self._faults: dict[str, list[Fault]] = {}
        self._lasting: dict[str, Fault] = {}

    def inject(self, operation: str, *faults: Fault) -> None:
        """Let the next calls of an operation fail, one for each fault; `jwks` is the key set."""
        self._faults.setdefault(operation, []).extend(faults)

    def always(self, operation: str, fault: Fault | None) -> None:
        """Let every call of an operation fail; None ends that."""
        if fault is None:
            del self._lasting[operation]
        else:
            self._lasting[operation] = fault

    def asked(self, operation: str) -> int:
        """How many calls of an operation came."""
        return sum(name == operation for name, _ in self.calls)

    def fault_for(self, method: str, path: str, headers: Mapping[str, str]) -> Fault | None:
        """The fault that is due for a request; to be taken once a request."""
        operation = self._operation(method, path, headers)
        waiting = self._faults.get(operation)
        return waiting.pop(0) if waiting else self._lasting.get(operation)

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes, *, path: str) -> Canned:
        """The right answer; `headers` by lower-case name."""
        operation = self._operation(method, path, headers)
        if operation == "jwks":
            return Canned(200, json.dumps(self.pool.tokens.jwks()).encode(), {"content-type": "application/json"})
        perform = self.pool.operations.get(operation)
        if perform is None:
            return error("UnknownOperationException")
        try:
            request = self._read(operation, headers, body)
            if _model().operation_model(operation).auth_type != "none":
                self._check_signature(url, headers, body)
            result = perform(request)
        except Refused as refused:
            return error(refused.kind, refused.message, status=refused.status, headers={"x-amzn-requestid": REQUEST_ID})
        self.violations += _problems(result, _model().operation_model(operation).output_shape, f"answer of {operation}")
        return Canned(200, json.dumps(result).encode(), {"content-type": CONTENT_TYPE, "x-amzn-requestid": REQUEST_ID})

    def _operation(self, method: str, path: str, headers: Mapping[str, str]) -> str:
        if method == "GET" and path == f"/{self.pool.pool_id}/.well-known/jwks.json":
            return "jwks"
        target = headers.get("x-amz-target", "")
        return target.removeprefix(PREFIX) if method == "POST" and path == "/" and target.startswith(PREFIX) else ""

    def _read(self, operation: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        request: dict[str, Any] = json.loads(body)
        self.calls.append((operation, request))
        problems = _problems(request, _model().operation_model(operation).input_shape, operation)
        if headers.get("content-type") != CONTENT_TYPE:
            problems.append(f"{operation}: Content-Type {headers.get('content-type')!r}")
        self.violations += problems
        if problems:
            raise Refused("InvalidParameterException", "; ".join(problems))
        return request

    def _check_signature(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        """Let botocore sign the same request, and compare."""
        given = headers.get("authorization", "")
        if not given:
            raise Refused("MissingAuthenticationTokenException", "Missing Authentication Token")
        key = self._credentials
        if f"Credential={key.access_key}/" not in given or headers.get("x-amz-security-token") != key.session_token:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        moment = headers["x-amz-date"]
        signed_at = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
        names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
        signed = {name: headers[name] for name in names}
        request = AWSRequest(method="POST", url=url, headers=signed, data=body)
        request.context["timestamp"] = moment
        signer = SigV4Auth(BotocoreCredentials(key.access_key, key.secret_key), "cognito-idp", self.pool.region)
        signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        required = {"host", "x-amz-date", "x-amz-target"}
        if not given.endswith(f"Signature={signature}") or not required <= set(names):
            raise Refused("InvalidSignatureException", "The request signature we calculated does not match.")
        if abs(signed_at - self._now()) > MAX_SKEW:
            raise Refused("InvalidSignatureException", "Signature expired.")


def _problems(value: dict[str, Any], shape: Shape, what: str) -> list[str]:
    """What a body has against botocore's model: missing, unknown or mistyped members, lengths."""
    report = ParamValidator().validate(value, shape)
    return [f"{what}: {report.generate_report()}"] if report.has_errors() else []
