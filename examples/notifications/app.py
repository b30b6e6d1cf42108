"""Notifications: a backend has something to say to a user, and every page of that user shows it.

The backend is a program of its own: `shop_flask.py` or `shop_django.py`. All that happens here is that each connection
enters a room of its user, and that a notification which was read in one tab is taken off the others.
"""

from wsservice import App


def make_app():
    """A new app."""
    app = App()

    @app.on_connect
    def hello(connection):
        connection.join(room_of(connection))

    @app.on("seen")
    def seen(connection, number):
        connection.broadcast("seen", number, room=room_of(connection))

    return app


def room_of(connection):
    """By the name, since a backend with --dev knows no other; where users have an id there, `user=` needs no room."""
    return f"user:{connection.user.username}"


app = make_app()
