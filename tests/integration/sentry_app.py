"""An app whose handlers fail, with what a client sent in their exceptions, and in their local variables.

twistd -n wsservice --dev --app tests.integration.sentry_app:app
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import deferLater

from wsservice import App, Connection

app = App()


@app.on("fail")
def fail(connection: Connection, data: Any) -> None:
    """Fails at once."""
    cookie_of_a_client = f"authToken={data}"
    raise ValueError(f"cannot handle {data} of {cookie_of_a_client}")


@app.on("fail_later")
async def fail_later(connection: Connection, data: Any) -> None:
    """Fails in a later turn of the event loop, for another reason."""
    await deferLater(reactor, 0)
    try:
        int(data)
    except ValueError as error:
        raise RuntimeError("no number") from error


@app.on("echo")
def echo(connection: Connection, data: Any) -> Any:
    """Shows that the events before it were handled."""
    return data
