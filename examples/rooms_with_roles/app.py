"""Rooms that not everybody may enter, and moderators who may put somebody out of one.

Whoever is in the group `admin` of the user pool (with --dev: alice) is a moderator.
"""

from wsservice import App, ClientError

#: room -> the groups that may enter it; an empty set: everybody
ROOMS = {"lobby": frozenset(), "staff": frozenset({"admin", "staff"})}
MODERATORS = {"admin", "moderator"}


def make_app():
    """New rooms, from which nobody is banned."""
    app = App()
    banned = set()

    def check_inside(connection, room):
        if not isinstance(room, str) or room not in connection.rooms:
            raise ClientError("not_inside", f"You are not in {room}.")

    @app.on("enter")
    def enter(connection, room):
        if not isinstance(room, str) or room not in ROOMS:
            raise ClientError("no_such_room", "There is no such room.")
        if not connection.user.has_any(ROOMS[room]) or (room, connection.user.username) in banned:
            raise ClientError("forbidden", f"You may not enter {room}.")
        connection.join(room)
        app.emit("entered", {"room": room, "user": connection.user.username}, room=room)
        return sorted({one.user.username for one in app.connections(room=room)})  # those of this node

    @app.on("leave")
    def leave(connection, room):
        check_inside(connection, room)
        app.emit("left", {"room": room, "user": connection.user.username}, room=room)
        connection.leave(room)

    @app.on("say")
    def say(connection, data):
        room, text = read(data, "room", "text")
        check_inside(connection, room)
        app.emit("said", {"room": room, "user": connection.user.username, "text": text}, room=room)

    @app.on("kick", roles=MODERATORS)
    def kick(connection, data):
        room, username = read(data, "room", "user")
        put_out(room, username, connection.user.username)
        app.server_emit("kicked", room, username, connection.user.username)  # the other nodes, where there are any

    @app.on_server("kicked")
    def put_out(room, username, moderator):
        """Put a user's connections to this node out of a room, for good."""
        banned.add((room, username))
        told = {"room": room, "user": username, "by": moderator}
        app.emit("kicked", told, room=room, local=True)
        for one in app.connections(room=room):
            if one.user.username == username:
                one.leave(room)

    @app.on("close", roles=MODERATORS)
    def close(connection, room):
        check_inside(connection, room)
        app.emit("closed", {"room": room, "by": connection.user.username}, room=room)
        app.leave(room, room=room)

    return app


def read(data, *names):
    """The texts of these names; what clients send may be anything at all."""
    texts = [data.get(name) for name in names] if isinstance(data, dict) else []
    if not texts or not all(isinstance(text, str) for text in texts):
        raise ClientError("malformed", f"Send an object with {' and '.join(names)}.")
    return texts


app = make_app()
