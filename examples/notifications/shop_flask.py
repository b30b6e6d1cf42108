"""A shop in Flask, which tells customers of their orders over Redis (docs/emitting.md)."""

import os

from flask import Flask

from wsservice.emitter import Emitter
from wsservice.errors import ClusterError

app = Flask(__name__)
#: connects when it is first used; every worker has its own
emitter = Emitter(os.environ.get("REDIS_URL", "redis://localhost:6379/0"), timeout=1.0)


@app.post("/orders/<int:number>/ship/<customer>")
def ship(number, customer):
    """The order leaves the house; its customer learns of it if he is there."""
    # ... what the shop does, and its database, come first
    try:
        emitter.emit("notification", {"order": number, "text": "Your order is on its way."}, room=f"user:{customer}")
    except ClusterError:
        app.logger.exception("the customer of order %s was not told", number)
    return {"shipped": number}
