"""Tests of wsservice.admin.view, watch, publisher and describing: what is shown."""

from __future__ import annotations

from typing import Any

from tests.admin.bench import AdminCase
from wsservice.admin.describing import MAX_SHOWN, bounded_list, describe_event
from wsservice.admin.publisher import BATCH_INTERVAL
from wsservice.app import App
from wsservice.connection import Connection
from wsservice.errors import ClientError, ConfigurationError
from wsservice.registry import Registry
from wsservice.testing.client import Refused


def make_app() -> App:
    """An app that talks, with rooms."""
    app = App()

    @app.on_connect
    def hello(connection: Connection) -> None:
        if connection.user.id == "mallory":
            raise ClientError("no", "Not you.")
        connection.join("lobby")

    @app.on("say")
    def say(connection: Connection, text: Any) -> None:
        app.emit("said", text)
        connection.emit("thanks")

    @app.on("away")
    def away(connection: Connection) -> None:
        connection.leave("lobby")

    @app.on("note")
    def note(connection: Connection, value: Any) -> None:
        connection.data.update(value)

    @app.on("keep")
    def keep(connection: Connection) -> None:
        connection.data["service"] = app

    return app


class ConfigTests(AdminCase):
    def test_what_the_ui_may_do_follows_the_settings(self) -> None:
        change = ["EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"]
        for settings, expected in (
            ({}, [*change, "AGGREGATED_EVENTS", "ALL_EVENTS"]),
            ({"admin_read_only": True}, ["AGGREGATED_EVENTS", "ALL_EVENTS"]),
            ({"admin_mode": "production"}, [*change, "AGGREGATED_EVENTS"]),
            ({"admin_mode": "production", "admin_read_only": True}, ["AGGREGATED_EVENTS"]),
        ):
            self.start(**settings)
            self.assertEqual(self.look().received("config"), [("config", {"supportedFeatures": expected})])

    def test_an_app_cannot_have_the_namespace(self) -> None:
        app = App()
        app.namespace("/admin")
        error = self.assertRaises(ConfigurationError, self.start, app)
        self.assertIn("--admin-namespace /admin: the application has", str(error))
        self.start(app, admin_namespace="/board")
        self.look(namespace="/board")
        self.assertRaisesRegex(ValueError, "--admin-namespace", app.namespace, "/board")


class ListTests(AdminCase):
    def sockets(self, viewer: Any) -> dict[str, dict[str, Any]]:
        (*_, (_, sockets)) = self.heard(viewer, "all_sockets")
        return {one["data"]["user"]["username"]: one for one in sockets}

    def test_everybody_is_listed_by_user_transport_and_rooms_and_no_secret_is(self) -> None:
        self.start(make_app())
        alice = self.service.connect("alice", headers={"authorization": "Basic c2VjcmV0"}, query={"page": "7"})
        bob = self.service.connect("bob", protocol="polling", auth={"secret": "hidden"})
        sockets = self.sockets(self.look())
        self.assertEqual(sorted(sockets), ["alice", "ann", "bob"])
        self.assertEqual([sockets[one]["transport"] for one in ("alice", "bob")], ["websocket", "polling"])
        self.assertEqual(sockets["alice"]["rooms"], [alice.connection.id, "lobby"])
        self.assertEqual(sockets["alice"]["handshake"]["query"], {"page": "7"})
        self.assertEqual(sockets["bob"]["id"], bob.connection.id)
        self.assertEqual(sockets["ann"]["nsp"], "/admin")
        told = str(sockets)
        for secret in ("authToken", "c2VjcmV0", "hidden", "password", *self.service.parts.clients._by_sid):
            self.assertNotIn(secret, told)

    def test_the_applications_notes_are_shown_and_never_in_place_of_the_user(self) -> None:
        self.start(make_app())
        alice, bob = self.service.connect("alice"), self.service.connect("bob")
        alice.emit("note", {"page": "home", "user": "somebody else"})
        bob.emit("keep")
        sockets = self.sockets(self.look())
        self.assertEqual(sockets["alice"]["data"]["page"], "home")
        self.assertEqual(sockets["alice"]["data"]["user"]["id"], "alice")
        self.assertEqual(sockets["bob"]["data"]["service"], "<App>")

    def test_a_list_that_would_not_fit_is_cut(self) -> None:
        self.start(make_app(), send_queue_bytes=16384)
        for _ in range(40):
            self.service.connect("alice")
        viewer = self.look()
        (*_, (_, sockets)) = self.heard(viewer, "all_sockets")
        self.assertTrue(5 < len(sockets) < 40, len(sockets))
        self.assertIsNone(viewer.closed)
        self.assertEqual(bounded_list([{"a": 1}] * 3, 15), [{"a": 1}] * 2)


class EventTests(AdminCase):
    def test_who_comes_moves_and_goes_is_told(self) -> None:
        self.start(make_app())
        viewer = self.look()
        self.heard(viewer)
        alice = self.service.connect("alice")
        id = alice.connection.id
        (_, socket, _), (_, *joined, at) = self.heard(viewer)
        self.assertEqual((socket["id"], socket["rooms"]), (id, [id]))
        self.assertEqual(joined, ["/", "lobby", id])
        self.assertRegex(at, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        alice.emit("away")
        self.assertEqual([one[:-1] for one in self.heard(viewer, "room_left")], [("room_left", "/", "lobby", id)])
        alice.close()
        heard = [one[:-1] for one in self.heard(viewer, "socket_disconnected", "room_left")]
        self.assertEqual(heard, [("socket_disconnected", "/", id, "transport close"), ("room_left", "/", id, id)])

    def test_events_are_told_in_both_directions_and_those_of_the_view_are_not(self) -> None:
        for settings in ({}, {"recovery": 60}):
            self.start(make_app(), **settings)
            alice, bob = self.service.connect("alice"), self.service.connect("bob", protocol="socketio")
            viewer = self.look()
            self.heard(viewer)
            alice.emit("say", {"text": "hi"})
            names = {alice.connection.id: "alice", bob.connection.id: "bob"}
            heard = [(kind, nsp, names[id], args) for kind, nsp, id, args, _ in self.heard(viewer)]
            self.assertEqual(heard[0], ("event_received", "/", "alice", ["say", {"text": "hi"}]))
            sent = ["said", {"text": "hi"}]
            self.assertCountEqual(
                heard[1:],
                [
                    ("event_sent", "/", "alice", sent),
                    ("event_sent", "/", "bob", sent),
                    ("event_sent", "/", "alice", ["thanks"]),
                ],
            )
            viewer.emit("nothing")
            self.assertEqual(self.heard(viewer, "event_received", "event_sent"), [])

    def test_a_client_that_moves_to_a_websocket_is_told_of(self) -> None:
        self.start(make_app())
        client = self.service.connect("bob", protocol="polling")
        viewer = self.look()
        self.heard(viewer)
        connection = client.connection
        connection.reframe(connection.wire, lambda data: data)
        ((_, told),) = self.heard(viewer, "socket_updated")
        self.assertEqual(told, {"id": connection.id, "nsp": "/", "transport": "polling"})

    def test_arguments_are_bounded(self) -> None:
        self.assertEqual(describe_event("e", ()), ["e"])
        self.assertEqual(describe_event("e", (b"abc", 1)), ["e", "<3 bytes>", 1])
        self.assertEqual(describe_event("e", ("x" * MAX_SHOWN,)), ["e", f"<{MAX_SHOWN + 4} bytes of JSON>"])
        self.assertEqual(describe_event("e", ({"a": object()},)), ["e", {"a": "<object>"}])

    def test_a_refused_connection_is_told_as_come_and_gone(self) -> None:
        self.start(make_app())
        viewer = self.look()
        self.heard(viewer)
        self.assertRaises(Refused, self.service.connect, "mallory")
        (came, gone, _) = self.heard(viewer)
        self.assertEqual((came[0], gone[0], gone[3]), ("socket_connected", "socket_disconnected", "refused"))

    def test_production_tells_of_figures_only(self) -> None:
        self.start(make_app(), admin_mode="production")
        viewer = self.look()
        self.service.connect("alice").emit("say", "hi")
        self.service.advance(5)
        self.assertEqual({one[0] for one in viewer.received()}, {"session", "config", "server_stats"})
        self.assertIs(type(self.service.parts.hub.registry), Registry)


class FloodTests(AdminCase):
    def test_a_storm_is_cut_off_and_the_list_comes_anew_afterwards(self) -> None:
        self.start(make_app(), admin_event_rate=10)
        viewer = self.look()
        self.service.advance(3)
        viewer.received()
        crowd = [self.service.connect("alice") for _ in range(50)]
        heard = self.heard(viewer)
        self.assertEqual(len(heard), 10)
        self.assertEqual(self.counted("admin_dropped"), 90)  # each comes, and joins the lobby
        self.service.advance(3)
        (*_, (_, sockets)) = viewer.received("all_sockets")
        self.assertEqual(len(sockets), len(crowd) + 1)

    def test_a_broadcast_to_many_is_told_of_some(self) -> None:
        self.start(make_app(), admin_event_rate=10)
        for _ in range(50):
            self.service.connect("alice")
        viewer = self.look()
        self.service.advance(3)
        viewer.received()
        self.service.app.emit("news")
        self.assertEqual(len(self.heard(viewer, "event_sent")), 10)
        self.assertEqual(self.counted("admin_dropped"), 40)

    def test_where_nobody_looks_nothing_is_made(self) -> None:
        self.start(make_app())
        for _ in range(3):
            self.service.connect("alice").emit("say", "hi")
        self.service.advance(BATCH_INTERVAL)
        self.assertEqual(self.service.parts.admin._publisher._waiting, [])
        self.assertEqual(self.service.parts.admin._watch.take_counts(), [])


class FigureTests(AdminCase):
    def test_they_come_every_two_seconds(self) -> None:
        for mode in ("development", "production"):
            self.start(make_app(), admin_mode=mode)
            self.service.connect("alice")
            self.service.connect("bob", protocol="polling")
            viewer = self.look()
            self.service.advance(0.1)
            viewer.received()
            self.service.connect("carol")
            self.service.advance(6)
            stats = [one[1] for one in viewer.received("server_stats")]
            self.assertEqual(len(stats), 3)
            self.assertEqual(
                {name: stats[0][name] for name in ("clientsCount", "pollingClientsCount", "namespaces")},
                {
                    "clientsCount": 4,
                    "pollingClientsCount": 1,
                    "namespaces": [{"name": "/", "socketsCount": 3}, {"name": "/admin", "socketsCount": 1}],
                },
            )
            counts = [one["type"] for each in stats for one in each["aggregatedEvents"]]
            self.assertIn("rawConnection", counts)
            self.assertEqual("bytesOut" in counts, mode == "development")
