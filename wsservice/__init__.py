"""wsservice: a realtime server for browsers that log in by cookie, on Twisted and Autobahn.

Write an `App`, and serve it by `twistd -n wsservice --app module:app`; README.md has the rest.
"""

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
