"""Who is online: each user once, however many tabs, on however many nodes.

Every node keeps the set of users that its own clients know of, and compares it with the cluster's (`app.presence`)
whenever somebody may have come or gone: here, on another node (which says so by a server event), or in silence, with a
node that died. What differs is told. So each client hears of each change exactly once, whoever saw it first.
"""

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from wsservice import App

log = Logger()

#: seconds that a user may be away, as while a page is loaded anew
GRACE = 2.0
#: seconds between two looks for those who went with their node
LOOK = 5.0


def make_app(clock=reactor):
    """A new presence; a test brings its own clock."""
    app = App()
    known = set()
    one_after_the_other = DeferredLock()

    async def compare():
        present = await app.presence("online")
        users = (
            present.users if present.complete else present.users | known
        )  # with Redis away, nobody has gone for that
        for user in sorted(users ^ known):
            app.emit("presence", {"user": user, "online": user in users}, room="watching", local=True)
        known.clear()
        known.update(users)

    @app.on_server("look")
    def look():
        looked = one_after_the_other.run(lambda: Deferred.fromCoroutine(compare()))
        return looked.addErrback(lambda failure: log.failure("the presence could not be compared", failure))

    def look_everywhere():
        look()
        app.server_emit("look")

    looking = LoopingCall(look)
    looking.clock = clock

    @app.on_connect
    async def hello(connection):
        if not looking.running:
            looking.start(LOOK, now=False)
        connection.join("online")  # from here on it counts
        await look()
        connection.emit("online", sorted(known))
        connection.join("watching")  # from here on it is told of changes
        app.server_emit("look")

    @app.on_disconnect
    def goodbye(connection, reason):
        clock.callLater(GRACE, look_everywhere)

    return app


app = make_app()
