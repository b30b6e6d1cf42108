"""Tests of wsservice.admin.door: who gets in."""

from __future__ import annotations

import json

from tests.admin.bench import PASSWORD, RIGHT, AdminCase
from wsservice.app import App
from wsservice.socketio.packet import Encoded
from wsservice.testing.client import Refused
from wsservice.testing.socketio import SocketIoClient

UI = {"origin": "https://ui.example"}


class LoginTests(AdminCase):
    def test_the_right_name_and_password_get_in_without_a_cookie_and_nobody_else_does(self) -> None:
        self.start(login_burst=100)
        self.assertEqual(self.look().connection.user.username, "ann")
        for auth in (
            {},
            {"username": "ann"},
            {"username": "ann", "password": ""},
            {"username": "ann", "password": PASSWORD + "x"},
            {"username": "bob", "password": PASSWORD},
            {"username": "ann", "password": [PASSWORD]},
            {"username": None, "password": PASSWORD},
            {"username": "ann", "password": "x" * 2000},
            {"sessionId": "x"},
            {"sessionId": True},
            {"sessionId": None, "username": "", "password": ""},
        ):
            refused = self.assertRaises(Refused, self.look, auth)
            self.assertEqual((refused.message, refused.data), ("invalid credentials", None), auth)

    def test_a_users_cookie_does_not_get_in(self) -> None:
        self.start()
        self.assertRaises(Refused, self.look, {}, user="alice", roles=["admin"])

    def test_who_got_in_has_no_other_namespace(self) -> None:
        self.start()
        viewer = self.look()
        self.assertEqual(viewer.connection.user.id, "admin-view:ann")
        self.assertEqual(viewer.connection.handshake.auth, {})
        refused = self.assertRaises(Refused, self.service.connect, None, protocol="socketio")
        self.assertEqual(refused.message, "Missing authentication token")

    def test_the_session_brings_one_back_until_it_ends(self) -> None:
        self.start(admin_session_lifetime=600)
        viewer = self.look()
        ((_, session_id),) = viewer.received("session")
        again = self.look({"sessionId": session_id})
        self.assertEqual(again.received("session"), [])
        self.service.advance(601)
        self.assertIsNotNone(viewer.closed)
        self.assertIsNotNone(again.closed)
        self.assertRaises(Refused, self.look, {"sessionId": session_id})

    def test_attempts_are_limited_by_address_and_a_session_is_none(self) -> None:
        self.start(login_burst=2)
        ((_, session_id),) = self.look().received("session")
        self.assertRaises(Refused, self.look, {"username": "ann", "password": "wrong"})
        refused = self.assertRaises(Refused, self.look)
        self.assertEqual(refused.message, "too many attempts, try again later")
        self.look({"sessionId": session_id})
        self.look(address="192.0.2.99")
        self.service.advance(60)
        self.look()
        self.assertEqual(self.counted("admin_logins", "refused_rate"), 1)

    def test_a_login_lives_on_whatever_becomes_of_a_users_session(self) -> None:
        self.start()
        viewer = self.look(user="alice")
        self.service.sign_out("alice")
        self.assertIsNone(viewer.closed)

    def test_a_users_token_does_not_live_on_by_it(self) -> None:
        self.start()
        client = self.service.connect("alice", protocol="socketio")
        assert isinstance(client, SocketIoClient)
        client._write(Encoded(b"0/admin," + json.dumps(RIGHT).encode(), ()))
        client._write(Encoded(b"1", ()))
        self.service.settle()
        self.service.advance(2 * 3600)
        self.assertEqual(self.service.parts.hub.registry.namespaces(), ["/admin"])
        client._write(Encoded(b"0", ()))
        self.service.settle()
        self.assertEqual(client.closed, (None, "Invalid authentication token"))


class OriginTests(AdminCase):
    def test_the_uis_page_may_use_the_admin_view_and_nothing_else(self) -> None:
        self.start(admin_origin=["https://ui.example"])
        for protocol in ("socketio", "polling"):
            self.look(headers=UI, protocol=protocol)
            refused = self.assertRaises(Refused, self.service.connect, "alice", protocol=protocol, headers=UI)
            self.assertEqual(refused.message, "Invalid namespace")
        self.assertRaises(Refused, self.service.connect, "alice", headers=UI)
        self.assertEqual(self.service.request("GET", "/auth/me", user="alice", headers=UI).status, 403)

    def test_a_page_from_elsewhere_may_not(self) -> None:
        self.start(admin_origin=["https://ui.example"])
        self.assertRaises(Refused, self.look, headers={"origin": "https://evil.example"})

    def test_without_the_setting_the_uis_page_may_nothing(self) -> None:
        self.start()
        self.assertRaises(Refused, self.look, headers=UI)


class OffTests(AdminCase):
    def test_off_there_is_nothing(self) -> None:
        service = self.start(admin_user="", admin_password_hash="")
        self.assertIsNone(service.parts.admin)
        self.assertIsNone(service.parts.hub.registry.observer)
        self.assertIsNone(service.parts.hub.make_connection)
        for user in (None, "alice"):
            self.assertRaises(Refused, self.look, RIGHT, user=user)

    def test_off_the_name_is_the_applications(self) -> None:
        app = App()
        app.namespace("/admin")
        self.start(app, admin_user="", admin_password_hash="")
        self.look(RIGHT, user="alice")
        self.assertRaises(Refused, self.look, RIGHT)

    def test_one_app_served_again_without_the_view_lets_nobody_see_it(self) -> None:
        app = App()
        self.start(app)
        self.start(app, admin_user="", admin_password_hash="")
        self.assertRaises(Refused, self.look, RIGHT, user="alice")
