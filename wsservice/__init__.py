"""wsservice: a realtime server for browsers that log in by cookie, on Twisted and Autobahn.

Write an `App`, and serve it by `twistd -n wsservice --app module:app`; README.md has the rest.

The names are imported when they are asked for: a backend that has nothing but `wsservice.emitter` loads no Twisted.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsservice.app import App
    from wsservice.auth.principal import Principal
    from wsservice.close_codes import CloseCode
    from wsservice.connection import Connection
    from wsservice.errors import CallError, CallRefused, CallTimeout, ClientError, ConnectionClosed, WsServiceError
    from wsservice.handshake import Handshake
    from wsservice.messages import Event
    from wsservice.namespace import Namespace

__version__ = "0.1.0"

__all__ = [
    "App",
    "CallError",
    "CallRefused",
    "CallTimeout",
    "ClientError",
    "CloseCode",
    "Connection",
    "ConnectionClosed",
    "Event",
    "Handshake",
    "Namespace",
    "Principal",
    "WsServiceError",
    "__version__",
]

#: where the names are defined
_HOMES = {
    "App": "app",
    "CallError": "errors",
    "CallRefused": "errors",
    "CallTimeout": "errors",
    "ClientError": "errors",
    "CloseCode": "close_codes",
    "Connection": "connection",
    "ConnectionClosed": "errors",
    "Event": "messages",
    "Handshake": "handshake",
    "Namespace": "namespace",
    "Principal": "auth.principal",
    "WsServiceError": "errors",
}


def __getattr__(name: str) -> Any:
    """A public name, at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
