"""A chat: one room, its last messages for who comes later, by raw WebSocket and Socket.IO alike."""

from collections import deque

from wsservice import App, ClientError

#: messages that a newcomer sees
REMEMBERED = 20
#: characters of a message
LONGEST = 500


def make_app() -> App:
    """A new chat."""
    app = App()
    last = deque(maxlen=REMEMBERED)

    @app.on_connect
    def hello(connection):
        connection.join("lobby")
        for message in last:
            connection.emit("message", message)

    @app.on("message")
    def message(connection, text):
        if not isinstance(text, str) or not text.strip():
            raise ClientError("empty", "Say something.")
        if len(text) > LONGEST:
            raise ClientError("too_long", f"At most {LONGEST} characters, please.")
        last.append({"user": connection.user.username, "message": text})
        app.emit("message", last[-1], room="lobby")
        return {"delivered": True}

    @app.on("typing")
    def typing(connection, data=None):
        connection.broadcast("typing", connection.user.username, room="lobby", volatile=True)

    return app


app = make_app()
