"""The app of a cluster under test: whatever `App` can do, a client can ask for; in `/`, `/admin`, every `/room-N` and
every `/open-...`.

    twistd -n wsservice --app tests.integration.cluster_app:app --adapter redis://...

The event `run` gets {"do": "emit", "namespace": "/", "args": [...], "options": {...}}; see mixed_cluster.py. Bytes
in it are {"$bytes": base64}.
"""

from __future__ import annotations

import base64
import os
import re
from dataclasses import asdict, is_dataclass
from typing import Any

from twisted.internet.defer import Deferred

from wsservice import App, CallTimeout, ClientError, Connection

NAME = os.environ.get("CLUSTER_NODE", "")
NAMESPACES = ("/", "/admin")

app = App()
#: the events of other servers: [namespace, event, args...]
served: list[list[Any]] = []


def revive(value: Any) -> Any:
    """What came as JSON, with its bytes."""
    if isinstance(value, list):
        return [revive(one) for one in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {name: revive(one) for name, one in value.items()}
    return value


def plain(value: Any) -> Any:
    """What can go as JSON."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


@app.on("run")
async def run(connection: Connection, order: dict[str, Any]) -> Any:
    """Do it; gives its result, or {"late": the answers} of a CallTimeout."""
    if order["do"] == "served":
        return served
    if order["do"] == "expiries":
        return {one.id: one.expires_at for one in app.connections()}
    namespace = app.namespace(order["namespace"])
    try:
        result = getattr(namespace, order["do"])(*revive(order["args"]), **order["options"])
        if isinstance(result, Deferred):
            result = await result
    except CallTimeout as late:
        return {"late": plain(late.answers), "why": str(late)}
    except (TypeError, ValueError) as error:
        raise ClientError("not_done", str(error)) from None
    return plain(result)


def place(connection: Connection) -> None:
    connection.data["place"] = NAME


def listen(name: str) -> None:
    """Handle the events of other servers in a namespace."""

    @app.namespace(name).on_server("asked")
    def asked(*args: Any) -> dict[str, Any]:
        served.append([name, "asked", *args])
        return {"node": NAME, "args": list(args)}


for one in NAMESPACES:
    app.namespace(one).on_connect(place)
    listen(one)
for pattern in (r"/room-[0-9]+", r"/open-.+"):
    app.namespace(re.compile(pattern)).on_connect(place)
