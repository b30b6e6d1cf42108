"""Tools for tests, the users' and ours: a whole service in memory, and tokens as a Cognito user pool issues them.

    service = ServiceInMemory(app)                              # the user's App
    alice = service.connect("alice", roles={"admin"})           # raw WebSocket; a real token in a real cookie
    bob = service.connect("bob", protocol="socketio")
    alice.send("hello")
    bob.received()                                              # [("message", {"user": "alice", "message": "hello"})]

docs/testing.md tells the rest. Each name is imported when it is asked for: who wants a token does not load a service.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsservice.testing.client import Client, Refused, Reply
    from wsservice.testing.clock import SteppingClock
    from wsservice.testing.http import Response
    from wsservice.testing.service import ServiceInMemory
    from wsservice.testing.tokens import (
        CLIENT_ID,
        ISSUER,
        LIFETIME,
        OMIT,
        REGION,
        USER_POOL,
        Issuer,
        base64url,
        compact,
        jwk,
        jwks_document,
        make_token,
        private_key,
    )

__all__ = [
    "CLIENT_ID",
    "ISSUER",
    "LIFETIME",
    "OMIT",
    "REGION",
    "USER_POOL",
    "Client",
    "Issuer",
    "Refused",
    "Reply",
    "Response",
    "ServiceInMemory",
    "SteppingClock",
    "base64url",
    "compact",
    "jwk",
    "jwks_document",
    "make_token",
    "private_key",
]

#: where the names are defined that `tokens` does not define
_HOMES = {
    "Client": "client",
    "Refused": "client",
    "Reply": "client",
    "Response": "http",
    "ServiceInMemory": "service",
    "SteppingClock": "clock",
}


def __getattr__(name: str) -> Any:
    """A public name, at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'tokens')}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
