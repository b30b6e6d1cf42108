"""An app whose handler blocks the event loop, and says so where the service tells systemd how it is."""

from __future__ import annotations

import os
import socket
import time
from typing import Any

from wsservice import App

app = App()


def tell(line: str) -> None:
    """One more datagram to the manager, behind those of the service."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(line.encode(), os.environ["NOTIFY_SOCKET"])


@app.on("block")
def block(connection: Any, seconds: float) -> None:
    """Let nothing else happen for so long."""
    tell("X_BLOCKED=1")
    time.sleep(seconds)
    tell("X_FREE=1")
