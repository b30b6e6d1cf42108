"""Autobahn on Twisted as in its manual, with PyJWT; nothing of wsservice. Prints its port."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from typing import Any
from urllib.request import urlopen

import jwt
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from twisted.internet import epollreactor

epollreactor.install()
with urlopen(os.environ["JWKS_URL"]) as answer:
    KEYS = {key.key_id: key for key in jwt.PyJWKSet.from_json(answer.read().decode()).keys}
CLIENTS: set[Protocol] = set()
HANDLERS = {"answer": lambda data: data}
ROOMS: defaultdict[bytes, set[Protocol]] = defaultdict(set)


class Protocol(WebSocketServerProtocol):  # type: ignore[misc]
    """Echoes, and tells everybody, or a room."""

    room = b""

    def onConnect(self, request: ConnectionRequest) -> None:
        """Check the cookie's token."""
        token = request.headers["cookie"].partition("authToken=")[2].partition(";")[0]
        key = KEYS[jwt.get_unverified_header(token)["kid"]]
        try:
            jwt.decode(token, key, algorithms=["RS256"], issuer=os.environ["ISSUER"])
        except jwt.InvalidTokenError:
            raise ConnectionDeny(403, "Invalid authentication token") from None

    def onOpen(self) -> None:
        """Belong to everybody."""
        CLIENTS.add(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """`b` goes to everybody and `r` to a room, framed once; `j` joins a room; that and all else is echoed."""
        if payload[:1] == b"b":
            self.tell(CLIENTS, payload)
        elif payload[:1] == b"r":
            self.tell(ROOMS[payload[1:4]], payload)
        elif payload[:1] == b"{":
            self.dispatch(payload)
        else:
            if payload[:1] == b"j":
                ROOMS[payload[1:4]].add(self)
                self.room = payload[1:4]
            self.sendMessage(payload)

    def dispatch(self, payload: bytes) -> None:
        """What an application does by hand, to have events that are answered."""
        try:
            message = json.loads(payload)
        except ValueError:
            return
        handler = HANDLERS.get(message.get("event"))
        if handler is not None and "id" in message:
            answer = {"ack": message["id"], "data": handler(message.get("data"))}
            self.sendMessage(json.dumps(answer).encode())

    def tell(self, members: set[Protocol], payload: bytes) -> None:
        """One frame for all of them."""
        prepared = self.factory.prepareMessage(payload)
        for client in members:
            client.sendPreparedMessage(prepared)

    def onClose(self, *reason: Any) -> None:
        """Belong to nobody."""
        CLIENTS.discard(self)
        ROOMS[self.room].discard(self)


def main() -> None:
    """Listen until a signal."""
    from twisted.internet import reactor

    factory = WebSocketServerFactory()
    factory.protocol = Protocol
    port = reactor.listenTCP(0, factory, backlog=4096, interface="127.0.0.1")  # type: ignore[attr-defined]
    sys.stdout.write(f"listening on {port.getHost().port}\n")
    sys.stdout.flush()
    reactor.run()  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
