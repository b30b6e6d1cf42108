"""What Socket.IO clients are served by."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsservice.engineio.settings import Settings as EngineSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """Limits of Socket.IO clients; times in seconds.

    Attributes:
        engine: of the transport sessions.
        connect_timeout: until a client must have joined a namespace.
        max_queue, max_queue_messages: bytes and messages that may wait for a client that does not read or poll; past
            it the client is closed.
        max_attachments: of one packet; precedent: socket.io-parser 4.2.6.
        max_attachment_bytes: of one packet with all its attachments.
        max_namespaces: that one client may join.
        max_open_namespaces: of patterns, that all clients together may have open; 0 is no limit.
        max_unknown: bytes of a message or a body while it is not known whom a client speaks for: enough to ask for a
            namespace; precedent: a request head.
    """

    engine: EngineSettings = field(default_factory=EngineSettings)
    connect_timeout: float = 45.0
    max_queue: int = 1024 * 1024
    max_queue_messages: int = 10_000
    max_attachments: int = 10
    max_attachment_bytes: int = 5_000_000
    max_namespaces: int = 100
    max_open_namespaces: int = 10_000
    max_unknown: int = 16384
