"""Who comes in, with which token, and who does not."""

from __future__ import annotations

import os

from tests.testing.bench import PROTOCOLS, Base
from wsservice import ClientError, Connection
from wsservice.errors import ConfigurationError
from wsservice.testing import OMIT, Refused


class ConnectingTests(Base):
    def test_the_token_says_who_it_is(self) -> None:
        service = self.serve()
        for protocol in PROTOCOLS:
            client = service.connect("ann", protocol=protocol, roles={"b", "a"}, session="phone")
            self.assertEqual(client.call("who"), ["ann", "ann", ["a", "b"], "phone"])
            self.assertEqual(client.connection.user.id, "ann")

    def test_another_tab_is_in_the_same_session_and_other_claims_make_another(self) -> None:
        service = self.serve()
        one, two = service.connect("ann"), service.connect("ann", protocol="socketio")
        other = service.connect("ann", claims={"email": "ann@example.com"})
        sessions = [client.connection.user.session for client in (one, two, other)]
        self.assertEqual((sessions[0] == sessions[1], sessions[0] == sessions[2]), (True, False))
        self.assertEqual(other.connection.user.claims["email"], "ann@example.com")
        self.assertEqual(service.connect("ann", session="phone").connection.user.session, "phone")

    def test_the_request_is_what_it_is_told_to_be(self) -> None:
        service = self.serve()
        for client in self.each(service, query={"room": "a b&c"}, headers={"X-Version": "7"}, address="198.51.100.9"):
            handshake = client.connection.handshake
            self.assertEqual((handshake.query["room"], handshake.header("x-version")), ("a b&c", "7"))
            self.assertEqual(handshake.peer, "198.51.100.9")

    def test_without_a_good_token_nobody_comes_in(self) -> None:
        service = self.serve()
        tokens = {
            "Missing authentication token": "",
            "Invalid authentication token": service.issuer.token("ann", exp=0),
        }
        for message, token in tokens.items():
            for protocol in PROTOCOLS:
                with self.assertRaises(Refused) as caught:
                    service.connect(None, protocol=protocol, token=token)
                self.assertEqual(caught.exception.message, message)
        self.assertRaises(Refused, service.connect, "ann", claims={"sub": OMIT})

    def test_the_app_and_the_settings_may_refuse(self) -> None:
        @self.app.on_connect
        def hello(connection: Connection) -> None:
            raise ClientError("full", "Come later.", {"minutes": 5})

        service = self.serve()
        found = []
        for protocol in PROTOCOLS:
            with self.assertRaises(Refused) as caught:
                service.connect("ann", protocol=protocol)
            found.append((caught.exception.code, caught.exception.message, caught.exception.data))
        with_data = (None, "Come later.", {"minutes": 5})
        self.assertEqual(found, [(1008, "Come later.", None), with_data, with_data])

    def test_a_foreign_page_is_answered_by_http(self) -> None:
        service = self.serve()
        for protocol in PROTOCOLS:
            with self.assertRaises(Refused) as caught:
                service.connect("ann", protocol=protocol, headers={"Origin": "https://evil.example"})
            self.assertEqual(caught.exception.code, 403)

    def test_settings_count_and_wrong_ones_are_told(self) -> None:
        service = self.serve(required_groups=["staff"], ws_path="/socket", page=False, max_message_size=100)
        self.assertRaises(Refused, service.connect, "ann")
        client = service.connect("ann", roles={"staff"})
        client.send("x" * 101)
        code, _ = client.closed or (None, "")
        self.assertEqual(code, 1009)
        self.assertIn("message_rte", str(self.assertRaises(TypeError, self.serve, message_rte=5)))
        self.assertRaises(ConfigurationError, self.serve, message_rate="fast")

    def test_the_environment_does_not_count(self) -> None:
        self.patch(os, "environ", {"WS_PATH": "/elsewhere", "AUTH_COOKIE_NAME": "other"})
        self.serve().connect("ann")

    def test_a_wrong_protocol_is_told(self) -> None:
        service = self.serve()
        self.assertRaises(ValueError, service.connect, protocol="wamp")
        self.assertRaises(ValueError, service.connect, namespace="/admin")

    def test_a_namespace_and_what_it_is_asked_for_with(self) -> None:
        admin = self.app.namespace("/admin")
        admin.on("sum")(lambda connection, a, b: a + b)
        service = self.serve()
        for protocol in PROTOCOLS[1:]:
            client = service.connect("ann", protocol=protocol, namespace="/admin", auth={"pin": 7})
            self.assertEqual(client.connection.handshake.auth, {"pin": 7})
            self.assertEqual(client.call("sum", 3, 4), 7)
            admin.emit("news", 1)
            self.assertEqual(client.received(), [("news", 1)])
            client.close()
        self.assertRaises(Refused, service.connect, protocol="socketio", namespace="/nowhere")
