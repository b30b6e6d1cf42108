"""A whole service in memory: the parts that `twistd -n wsservice` runs, on a clock, with clients that need no network.

What a client sends goes through the port, Autobahn, the authenticator, the registry and the app, and back the same
way, as bytes; there is no reactor, no thread and no waiting. So it works with trial's test cases, unittest's and
pytest alike.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import msgspec
from twisted.python.failure import Failure

from wsservice.app import App
from wsservice.connection import Connection
from wsservice.messages import ROOT
from wsservice.testing.client import MARK, Client
from wsservice.testing.clock import SteppingClock
from wsservice.testing.http import Exchange, Response, request_bytes
from wsservice.testing.line import Line, Peer
from wsservice.testing.parts import load_settings, make_parts
from wsservice.testing.provider import Session
from wsservice.testing.raw import RawClient
from wsservice.testing.results import result_of
from wsservice.testing.socketio import SocketIoClient
from wsservice.testing.tokens import Issuer

#: turns in which nothing comes to rest, before it is taken for granted that it never does
_ENDLESS = 10_000
#: the names of protocols, and the transports of Socket.IO that they mean
_TRANSPORTS = {"socketio": "websocket", "polling": "polling"}
#: of the clients; an address of documentation (RFC 5737), so no proxy's and not this machine's
ADDRESS = "192.0.2.7"


class ServiceInMemory:
    """Serves an app to clients in memory.

    After every call everything has happened that can without time passing; time passes by `advance`. What a handler
    raises, that is no `ClientError`, is raised here, by the call that led to it.

    Args:
        app: the application; it speaks to this service's clients from now on.
        raise_errors: False: log what handlers raise, as a running service does, and let clients see `internal_error`.
        clock: the one that your app has, too; by default a new one, which begins at the present second.
        settings: by the names in docs/configuration.md, such as `message_rate=5` or `recovery=120`.

    Attributes:
        clock: an `IReactorTime` for code of yours that waits.
        issuer: signs the tokens; `issuer.token("alice", exp=0)` makes any other.
        parts: the service's parts, for what nothing else here tells.

    Raises:
        TypeError: there is no such setting.
        ConfigurationError: a setting's value is wrong.
    """

    def __init__(
        self, app: App, *, raise_errors: bool = True, clock: SteppingClock | None = None, **settings: Any
    ) -> None:
        self.app = app
        self.clock = SteppingClock(int(time.time())) if clock is None else clock
        self.clock.settle = self._come_to_rest
        self.issuer = Issuer(now=self.clock.seconds)
        self._config = load_settings(settings)
        self._is_stopping = False
        self.parts, self._pool = make_parts(
            app, self._config, clock=self.clock, issuer=self.issuer, draining=lambda: self._is_stopping
        )
        self._lines: list[Line] = []
        self._clients = 0
        self._is_moving = False
        self._faults: list[BaseException] = []
        if raise_errors:
            self.parts.hub.takes_fault = self._take_fault

    # Clients

    def connect(
        self,
        user: str | None = "alice",
        *,
        protocol: str = "raw",
        roles: Iterable[str] | None = None,
        claims: Mapping[str, Any] | None = None,
        session: str | None = None,
        token: str | None = None,
        namespace: str = ROOT,
        auth: dict[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        address: str = ADDRESS,
    ) -> Client:
        """A client that has connected, with a token of the user in the cookie.

        A user who connects again does so in the same session, as another tab of the same browser, unless that has
        ended, or other roles, claims or another session are asked for.

        Args:
            user: `connection.user.id` and `.username`; None: without a token.
            protocol: `raw` (the WebSocket at `/ws`), `socketio` (Socket.IO by WebSocket) or `polling` (Socket.IO by
                long-polling).
            roles: the claim `cognito:groups`; None: as in the user's session.
            claims: more claims of the token, such as `{"email": "alice@example.com"}`.
            session: its id, `connection.user.session`.
            token: this one instead.
            namespace, auth: what a Socket.IO client asks for, and with what.
            query, headers: more of the request that opens the connection.
            address: the client's IP address.

        Raises:
            Refused: the service or the app does not let it in. (An `on_connect` that waits has not decided yet: look
                at `closed` later.)
            Exception: whatever `on_connect` raised, that is no `ClientError`.
            ValueError: there is no such protocol, or it has no namespaces.
        """
        if token is None and user is not None:
            token = self._pool.session(user, roles=roles, claims=claims, id=session).token
        sent = (*self._cookie(token), *(headers or {}).items())
        self._clients += 1
        client: Client
        if protocol == "raw":
            if namespace != ROOT or auth is not None:
                raise ValueError("a raw WebSocket has no namespaces and no auth: take protocol='socketio'")
            target = self._config.ws_path + (f"?{urlencode(query)}" if query else "")
            client = RawClient(self, self._clients, user, target=target, headers=sent, address=address)
        elif protocol in _TRANSPORTS:
            client = SocketIoClient(
                self,
                self._clients,
                user,
                transport=_TRANSPORTS[protocol],
                path=self._config.socketio_path,
                query=dict(query or {}),
                headers=sent,
                address=address,
                namespace=namespace,
                auth=auth,
            )
        else:
            raise ValueError(f"no protocol {protocol!r}: raw, socketio or polling")
        self.settle()
        client.raise_if_refused()
        return client

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        user: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Ask the service by HTTP, such as `POST /api/emit` or `GET /auth/me`.

        Args:
            body: sent as JSON; bytes as they are.
            user: whose cookie goes along.

        Raises:
            AssertionError: there is no answer yet, or the connection was closed without one.
        """
        session = None if user is None else self._pool.session(user)
        return self._request(method, path, body, session, headers or {})

    def renew(self, user: str) -> None:
        """The user's sessions are refreshed by `POST /auth/refresh`: their connections live an hour on from now.

        Raises:
            AssertionError: the user has no session, or it cannot be refreshed.
        """
        for session in self._sessions(user):
            response = self._request("POST", "/auth/refresh", {}, session, {})
            assert response.status == 200, response

    def sign_out(self, user: str, *, everywhere: bool = False) -> None:
        """The user signs out of all sessions by `POST /auth/logout`: their connections are closed.

        Args:
            everywhere: by one request with `{"everywhere": true}`; tokens that a test made itself are refused, too. Its
                answer may take a second (docs/login.md), which passes then.

        Raises:
            AssertionError: the user has no session.
        """
        if everywhere:
            response = self._request("POST", "/auth/logout", {"everywhere": True}, self._sessions(user)[-1], {}, 1.0)
            assert response.status == 204, response
            return
        for session in self._sessions(user):
            response = self._request("POST", "/auth/logout", {}, session, {})
            assert response.status == 204, response

    # Time

    def advance(self, seconds: float) -> None:
        """Let time pass: what is due meanwhile happens, each at its own time; clients answer pings.

        Raises:
            Exception: whatever handlers raised meanwhile.
        """
        self.clock.advance(seconds)
        self.settle()

    def settle(self) -> None:
        """Let everything happen that can without time passing; clients do this by themselves.

        Raises:
            Exception: what a handler raised; several as an `ExceptionGroup`.
            AssertionError: it does not come to rest, as where two answer each other for ever.
        """
        self._come_to_rest()
        if self._is_moving or not self._faults:
            return
        faults, self._faults = self._faults, []
        if len(faults) == 1:
            raise faults[0]
        raise BaseExceptionGroup("several handlers raised", faults)

    def result_of(self, awaitable: Awaitable[Any]) -> Any:
        """What a Deferred or a coroutine gives, such as `service.result_of(app.presence("lobby"))`.

        Raises:
            Exception: what it fails with.
            AssertionError: it has not come yet.
        """
        return result_of(awaitable, self.settle)

    def stop(self) -> None:
        """The service stops, as by SIGTERM: every client is closed, WebSockets with 1001, and nobody is let in."""
        self._is_stopping = self.parts.port.draining = self.parts.hub.draining = True
        self.parts.clients.drain()
        self.parts.raw.drain()
        self.settle()

    # For the clients

    def open_line(self, client: Peer, address: str) -> Line:
        """A new connection to the port."""
        line = Line(self.parts.port, client, address)
        self._lines.append(line)
        return line

    def connection_of(self, mark: str, namespace: str) -> Connection:
        """The connection of a client; raises LookupError if there is none."""
        audience = self.app.find(namespace)
        for connection in () if audience is None else audience.connections():
            if connection.namespace == namespace and connection.handshake.header(MARK) == mark:
                return connection
        raise LookupError("the client has no connection: it was refused or is closed")

    def _sessions(self, user: str) -> list[Session]:
        sessions = self._pool.sessions(user)
        assert sessions, f"{user} has no session: connect first"
        return sessions

    def _cookie(self, token: str | None, refresh: str | None = None) -> tuple[tuple[str, str], ...]:
        pairs = ((self._config.auth_cookie_name, token), (self._config.refresh_cookie_name, refresh))
        value = "; ".join(f"{name}={value}" for name, value in pairs if value)
        return (("Cookie", value),) if value else ()

    def _request(
        self,
        method: str,
        path: str,
        body: Any,
        session: Session | None,
        headers: Mapping[str, str],
        patience: float = 0.0,
    ) -> Response:
        data = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        kind = {} if body is None or isinstance(body, bytes) else {"Content-Type": "application/json"}
        cookie = () if session is None else self._cookie(session.token, session.refresh)
        answers: list[Response | None] = []
        line = self.open_line(Exchange(answers.append), ADDRESS)
        line.write(request_bytes(method, path, (*cookie, *{**kind, **headers}.items()), data))
        self.settle()
        if not answers and patience:
            self.advance(patience)
        assert answers, f"{method} {path} is not answered yet"
        assert answers[0] is not None, f"the connection ended before {method} {path} was answered"
        return answers[0]

    # Moving

    def _come_to_rest(self) -> None:
        if self._is_moving:  # called by a client's own handler: whoever moves goes on
            return
        self._is_moving = True
        try:
            for _ in range(_ENDLESS):
                if not self._turn():
                    return
            raise AssertionError("it does not come to rest: does somebody answer every answer?")
        finally:
            self._is_moving = False
            self._lines = [line for line in self._lines if not line.is_over]

    def _turn(self) -> bool:
        """One turn of the event loop; gives whether anything happened."""
        moved = [line.pump() for line in list(self._lines)]
        return self.clock.run_due() or any(moved)

    def _take_fault(self, failure: Failure) -> bool:
        assert failure.value is not None
        self._faults.append(failure.value)
        return True
