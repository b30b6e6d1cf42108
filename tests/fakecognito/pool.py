"""The fake pool itself: users, app clients, challenges and refresh tokens, and the operations on them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import jwt

from tests.fakecognito.tokens import TokenMaker

#: challenge -> the name of its answer's field
CODE_FIELDS = {
    "SOFTWARE_TOKEN_MFA": "SOFTWARE_TOKEN_MFA_CODE",
    "SMS_MFA": "SMS_MFA_CODE",
    "EMAIL_OTP": "EMAIL_OTP_CODE",
    "SMS_OTP": "SMS_OTP_CODE",
}


class Refused(Exception):
    """An operation answers with an error of Cognito's."""

    def __init__(self, kind: str, message: str = "", status: int = 400) -> None:
        super().__init__(kind, message)
        self.kind = kind
        self.message = message
        self.status = status


@dataclass
class User:
    """A user. `username` is the pool's own name of them; the e-mail address works as an alias at login."""

    username: str
    password: str
    email: str = ""
    status: str = "CONFIRMED"
    enabled: bool = True
    groups: tuple[str, ...] = ()
    #: challenges after the password; with several MFA methods the user selects one
    mfa: tuple[str, ...] = ()
    #: what every challenge's code is
    code: str = "123456"
    required_attributes: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    sub: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class AppClientRecord:
    """An app client; `lifetime` is of access and ID tokens, in seconds."""

    client_id: str = "2example3client4id5"
    secret: str | None = None
    flows: tuple[str, ...] = ("USER_PASSWORD_AUTH", "ADMIN_USER_PASSWORD_AUTH", "REFRESH_TOKEN_AUTH")
    rotation: bool = False
    grace: int = 0
    revocation: bool = True
    hide_unknown_users: bool = False
    lifetime: int = 3600


@dataclass
class _Session:
    user: User
    client: AppClientRecord
    challenge: str
    expires_at: float


@dataclass
class _Refresh:
    user: User
    client: AppClientRecord
    origin: str
    auth_time: int
    replaced_at: float | None = None


class Pool:
    """One user pool. The operations take and give the bodies of the API's requests."""

    def __init__(self, pool_id: str = "us-east-1_FakePool1", *, now: Callable[[], float]) -> None:
        self.pool_id = pool_id
        self.region = pool_id.partition("_")[0]
        self.tokens = TokenMaker(f"https://cognito-idp.{self.region}.amazonaws.com/{pool_id}")
        self.users: list[User] = []
        self.clients: dict[str, AppClientRecord] = {}
        self.session_lifetime = 180
        self._now = now
        self._sessions: dict[str, _Session] = {}
        self._refresh: dict[str, _Refresh] = {}
        self.operations: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "InitiateAuth": self._initiate_auth,
            "AdminInitiateAuth": self._admin_initiate_auth,
            "RespondToAuthChallenge": self._respond,
            "AdminRespondToAuthChallenge": self._admin_respond,
            "GetTokensFromRefreshToken": self._get_tokens_from_refresh_token,
            "RevokeToken": self._revoke,
            "GlobalSignOut": self._global_sign_out,
        }

    def add(self, *things: User | AppClientRecord) -> None:
        """Put users and app clients into the pool."""
        for thing in things:
            if isinstance(thing, User):
                self.users.append(thing)
            else:
                self.clients[thing.client_id] = thing

    # -- the operations

    def _initiate_auth(self, request: dict[str, Any], *, password_flow: str = "USER_PASSWORD_AUTH") -> dict[str, Any]:
        client = self._client(request)
        flow, parameters = request["AuthFlow"], request.get("AuthParameters", {})
        if flow not in (password_flow, "REFRESH_TOKEN_AUTH"):
            raise Refused("InvalidParameterException", "Initiate Auth method not supported.")
        if flow not in client.flows:
            raise Refused("InvalidParameterException", f"{flow} flow not enabled for this client")
        if flow == "REFRESH_TOKEN_AUTH":
            return self._refresh_token_auth(client, parameters)
        for name in ("USERNAME", "PASSWORD"):
            if not parameters.get(name):
                raise Refused("InvalidParameterException", f"Missing required parameter {name}")
        self._check_hash(client, parameters, parameters["USERNAME"])
        user = self._find(parameters["USERNAME"])
        wrong = Refused("NotAuthorizedException", "Incorrect username or password.")
        if user is None:
            raise wrong if client.hide_unknown_users else Refused("UserNotFoundException", "User does not exist.")
        if not user.enabled:
            raise Refused("NotAuthorizedException", "User is disabled.")
        if parameters["PASSWORD"] != user.password:
            raise wrong
        return self._after_password(user, client)

    def _admin_initiate_auth(self, request: dict[str, Any]) -> dict[str, Any]:
        self._check_pool(request)
        return self._initiate_auth(request, password_flow="ADMIN_USER_PASSWORD_AUTH")

    def _respond(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._client(request)
        responses = request.get("ChallengeResponses", {})
        self._check_hash(client, responses, responses.get("USERNAME", ""))
        session = self._sessions.pop(request.get("Session", ""), None)
        name = request["ChallengeName"]
        if session is None or session.challenge != name or session.expires_at <= self._now():
            raise Refused("NotAuthorizedException", "Invalid session for the user, session is expired.")
        user = session.user
        if session.client is not client or responses.get("USERNAME") != user.username:
            raise Refused("NotAuthorizedException", "Invalid session for the user.")
        if name == "NEW_PASSWORD_REQUIRED":
            self._set_password(user, responses)
            return self._after_password(user, client)
        if name == "SELECT_MFA_TYPE":
            if responses.get("ANSWER") not in user.mfa:
                raise Refused("InvalidParameterException", "Invalid MFA type.")
            return self._challenge(user, client, responses["ANSWER"])
        if name == "SELECT_CHALLENGE":
            if (responses.get("ANSWER"), responses.get("PASSWORD")) != ("PASSWORD", user.password):
                raise Refused("NotAuthorizedException", "Incorrect username or password.")
            return self._new_session(user, client)
        if responses.get(CODE_FIELDS[name]) != user.code:
            raise Refused("CodeMismatchException", "Invalid code received for user")
        return self._new_session(user, client)

    def _admin_respond(self, request: dict[str, Any]) -> dict[str, Any]:
        self._check_pool(request)
        return self._respond(request)

    def _get_tokens_from_refresh_token(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._client(request)
        self._check_secret(client, request)
        token = request["RefreshToken"]
        record = self._live(token, client)
        if not client.rotation:
            return self._tokens(record)
        if record.replaced_at is None:
            record.replaced_at = self._now()
        elif self._now() - record.replaced_at > client.grace:
            self._end_family(record.origin)
            raise Refused("RefreshTokenReuseException", "Refresh token has been invalidated by rotation.")
        return self._tokens(record, refresh_token=self._issue_refresh(record.user, client, record.origin))

    def _refresh_token_auth(self, client: AppClientRecord, parameters: dict[str, str]) -> dict[str, Any]:
        if client.rotation:
            raise Refused("NotAuthorizedException", "Refresh token rotation is enabled for this client.")
        record = self._live(parameters.get("REFRESH_TOKEN", ""), client)
        self._check_hash(client, parameters, record.user.username)
        return self._tokens(record)

    def _revoke(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._client(request)
        self._check_secret(client, request)
        if not client.revocation:
            raise Refused("UnsupportedOperationException", "Token revocation is not enabled for this client.")
        if request["Token"].startswith("eyJ"):
            raise Refused("UnsupportedTokenTypeException", "Unsupported token type")
        record = self._refresh.get(request["Token"])
        if record is not None:
            self._end_family(record.origin)
        return {}

    def _global_sign_out(self, request: dict[str, Any]) -> dict[str, Any]:
        """What the token says is believed: the fake has no need to verify what it signed itself."""
        try:
            claims = jwt.decode(request["AccessToken"], options={"verify_signature": False})
        except jwt.InvalidTokenError:
            raise Refused("NotAuthorizedException", "Invalid Access Token") from None
        if claims["token_use"] != "access":
            raise Refused("NotAuthorizedException", "Invalid Access Token")
        if claims["exp"] <= self._now():
            raise Refused("NotAuthorizedException", "Access Token has expired")
        if claims["origin_jti"] not in {record.origin for record in self._refresh.values()}:
            raise Refused("NotAuthorizedException", "Access Token has been revoked")
        self._refresh = {token: record for token, record in self._refresh.items() if record.user.sub != claims["sub"]}
        return {}

    # -- what they share

    def _client(self, request: dict[str, Any]) -> AppClientRecord:
        client = self.clients.get(request["ClientId"])
        if client is None:
            raise Refused("ResourceNotFoundException", f"User pool client {request['ClientId']} does not exist.")
        return client

    def _check_pool(self, request: dict[str, Any]) -> None:
        if request["UserPoolId"] != self.pool_id:
            raise Refused("ResourceNotFoundException", f"User pool {request['UserPoolId']} does not exist.")

    def _check_hash(self, client: AppClientRecord, parameters: dict[str, str], username: str) -> None:
        if client.secret is None:
            return
        given = parameters.get("SECRET_HASH")
        if given is None:
            message = f"Client {client.client_id} is configured with secret but SECRET_HASH was not received"
            raise Refused("NotAuthorizedException", message)
        digest = hmac.digest(client.secret.encode(), f"{username}{client.client_id}".encode(), hashlib.sha256)
        if given != base64.b64encode(digest).decode():
            raise Refused("NotAuthorizedException", f"SecretHash does not match for the client: {client.client_id}")

    def _check_secret(self, client: AppClientRecord, request: dict[str, Any]) -> None:
        if request.get("ClientSecret") != client.secret:
            raise Refused("NotAuthorizedException", f"Unable to verify client secret for client {client.client_id}")

    def _find(self, name: str) -> User | None:
        return next((user for user in self.users if name in (user.username, user.email)), None)

    def _after_password(self, user: User, client: AppClientRecord) -> dict[str, Any]:
        if user.status == "UNCONFIRMED":
            raise Refused("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise Refused("PasswordResetRequiredException", "Password reset required for the user")
        if user.status == "FORCE_CHANGE_PASSWORD":
            return self._challenge(user, client, "NEW_PASSWORD_REQUIRED")
        if len(user.mfa) > 1:
            return self._challenge(user, client, "SELECT_MFA_TYPE")
        if user.mfa:
            return self._challenge(user, client, user.mfa[0])
        return self._new_session(user, client)

    def _challenge(self, user: User, client: AppClientRecord, name: str) -> dict[str, Any]:
        session = secrets.token_urlsafe(400)
        self._sessions[session] = _Session(user, client, name, self._now() + self.session_lifetime)
        parameters = {"USER_ID_FOR_SRP": user.username, **dict(self._parameters(user, name))}
        return {"ChallengeName": name, "Session": session, "ChallengeParameters": parameters}

    def _parameters(self, user: User, name: str) -> Iterator[tuple[str, str]]:
        if name == "NEW_PASSWORD_REQUIRED":
            yield "userAttributes", f'{{"email":"{user.email}"}}'
            attributes = ",".join(f'"userAttributes.{attribute}"' for attribute in user.required_attributes)
            yield "requiredAttributes", f"[{attributes}]"
        elif name == "SELECT_MFA_TYPE":
            yield "MFAS_CAN_CHOOSE", "[" + ",".join(f'"{method}"' for method in user.mfa) + "]"
        elif name != "SOFTWARE_TOKEN_MFA":
            yield "CODE_DELIVERY_DESTINATION", "+*******1234"
            yield "CODE_DELIVERY_DELIVERY_MEDIUM", "EMAIL" if name == "EMAIL_OTP" else "SMS"

    def _set_password(self, user: User, responses: dict[str, str]) -> None:
        password = responses.get("NEW_PASSWORD", "")
        if len(password) < 8:
            raise Refused("InvalidPasswordException", "Password did not conform with policy: Password not long enough")
        for attribute in user.required_attributes:
            if f"userAttributes.{attribute}" not in responses:
                raise Refused("InvalidParameterException", f"Invalid attributes given, {attribute} is missing")
            user.attributes[attribute] = responses[f"userAttributes.{attribute}"]
        user.password, user.status = password, "CONFIRMED"

    def _new_session(self, user: User, client: AppClientRecord) -> dict[str, Any]:
        token = self._issue_refresh(user, client, str(uuid.uuid4()))
        return self._tokens(self._refresh[token], refresh_token=token)

    def _issue_refresh(self, user: User, client: AppClientRecord, origin: str) -> str:
        token = secrets.token_urlsafe(1300)
        self._refresh[token] = _Refresh(user, client, origin, int(self._now()))
        return token

    def _live(self, token: str, client: AppClientRecord) -> _Refresh:
        record = self._refresh.get(token)
        if record is None or record.client is not client:
            raise Refused("NotAuthorizedException", "Invalid Refresh Token")
        if not record.user.enabled:
            raise Refused("NotAuthorizedException", "User is disabled.")
        return record

    def _end_family(self, origin: str) -> None:
        self._refresh = {token: record for token, record in self._refresh.items() if record.origin != origin}

    def _tokens(self, record: _Refresh, refresh_token: str | None = None) -> dict[str, Any]:
        moments = {"now": int(self._now()), "origin": record.origin, "auth_time": record.auth_time}
        result = {
            "AccessToken": self.tokens.access(record.user, record.client, **moments),
            "IdToken": self.tokens.id(record.user, record.client, **moments),
            "ExpiresIn": record.client.lifetime,
            "TokenType": "Bearer",
        }
        if refresh_token is not None:
            result["RefreshToken"] = refresh_token
        return {"AuthenticationResult": result}
