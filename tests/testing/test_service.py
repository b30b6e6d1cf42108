"""A whole service in memory: its clients see what real ones would."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase

from wsservice import App, CallTimeout, ClientError, Connection
from wsservice.errors import ConfigurationError
from wsservice.testing import OMIT, Client, Refused, ServiceInMemory

PROTOCOLS = ("raw", "socketio", "polling")


class Base(SynchronousTestCase):
    """An app that is called by name, served anew for each test."""

    def setUp(self) -> None:
        self.app = App()
        self.told: list[Any] = []
        app = self.app

        @app.on_disconnect
        def goodbye(connection: Connection, reason: str) -> None:
            self.told.append((connection.user.id, reason))

        @app.on("echo")
        def echo(connection: Connection, *data: Any) -> Any:
            return data if len(data) > 1 else data[0]

        @app.on("message")
        def message(connection: Connection, data: Any) -> None:
            app.emit("message", data)

        @app.on("who")
        def who(connection: Connection, data: Any = None) -> Any:
            user = connection.user
            return [user.id, user.username, sorted(user.roles), user.session]

        @app.on("broken")
        def broken(connection: Connection, data: Any = None) -> None:
            raise ZeroDivisionError("in a handler")

        @app.on("refused")
        async def refused(connection: Connection, data: Any) -> None:
            raise ClientError("sold_out", "Nothing is left.", {"more": data})

    def serve(self, **settings: Any) -> ServiceInMemory:
        return ServiceInMemory(self.app, **settings)

    def each(self, service: ServiceInMemory, **options: Any) -> list[Client]:
        """A client of each protocol."""
        return [service.connect(f"user-{protocol}", protocol=protocol, **options) for protocol in PROTOCOLS]


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


class TalkingTests(Base):
    def test_texts_bytes_and_whatever_json_holds(self) -> None:
        service = self.serve()
        clients = self.each(service)
        for client in clients:
            for sent in ("hello", "ü€😀", b"\x00\xff"):
                client.send(sent)
                for one in clients:
                    self.assertEqual(one.received(), [("message", sent)])
            for value in (None, True, [1, {"a": "b"}], {"event": "x"}):
                self.assertEqual(client.call("echo", value), value)

    def test_binary_data_at_any_depth(self) -> None:
        service = self.serve()
        for client in self.each(service)[1:]:
            value = {"a": [b"one", {"b": b"two"}], "c": 3}
            self.assertEqual(client.call("echo", value), value)
            self.assertEqual(client.call("echo", 1, 2), (1, 2))

    def test_events_stay_until_somebody_asks_for_them(self) -> None:
        service = self.serve()
        for client in self.each(service):
            self.app.emit("news", 1, user=client.user)
            self.app.emit("other", 2, user=client.user)
            self.app.emit("news", 3, user=client.user)
            self.assertEqual(client.received("news"), [("news", 1), ("news", 3)])
            self.assertEqual((client.received(), client.received()), ([("other", 2)], []))

    def test_a_raw_client_gets_one_argument_and_gives_one(self) -> None:
        raw, other, _ = self.each(self.serve())
        self.app.emit("both", 1, 2)
        self.app.emit("none")
        self.assertEqual(raw.received(), [("both", [1, 2]), ("none", None)])
        self.assertEqual(other.received(), [("both", 1, 2), ("none",)])
        self.assertRaises(TypeError, raw.emit, "echo", 1, 2)

    def test_frames_of_exactly_that_text(self) -> None:
        raw = self.serve().connect()
        raw.connection.send("no json")
        self.assertEqual(raw.received(), [("message", "no json")])

    def test_rooms_and_calls_of_the_service(self) -> None:
        service = self.serve()
        for client in self.each(service):
            client.connection.join("lobby")
            self.assertEqual(client.rooms, {"lobby"})
            client.on("ask", lambda number: {"twice": 2 * number})
            self.assertEqual(service.result_of(client.connection.call("ask", 21)), {"twice": 42})
        presence = service.result_of(self.app.presence("lobby"))
        self.assertEqual(presence.users, {f"user-{protocol}" for protocol in PROTOCOLS})

    def test_a_call_that_nobody_answers(self) -> None:
        service = self.serve()
        client = service.connect()
        answer = client.connection.call("ask", 1, timeout=5)
        self.assertRaises(AssertionError, service.result_of, answer)
        self.assertEqual(client.received(), [("ask", 1)])
        service.advance(5)
        self.assertRaises(CallTimeout, service.result_of, answer)

    def test_a_handler_that_waits(self) -> None:
        service = self.serve()
        for client in self.each(service):
            opened: Deferred[str] = Deferred()
            self.app.on(client.user or "")(lambda connection, data=None, opened=opened: opened)
            reply = client.ask(client.user or "")
            self.assertEqual((reply.has_come, client.closed), (False, None))
            self.assertIn("advance", str(self.assertRaises(AssertionError, reply.result)))
            opened.callback("open")
            service.settle()
            self.assertEqual(reply.result(), "open")

    def test_handlers_may_wait_on_the_clock(self) -> None:
        service = self.serve()

        @self.app.on("later")
        async def later(connection: Connection, data: Any) -> Any:
            await deferLater(service.clock, 10)
            return data

        replies = [client.ask("later", 7) for client in self.each(service)]
        service.advance(9.9)
        self.assertEqual([reply.has_come for reply in replies], [False] * 3)
        service.advance(0.1)
        self.assertEqual([reply.result() for reply in replies], [7] * 3)

    def test_two_who_answer_each_other_for_ever_are_told(self) -> None:
        service = self.serve(message_rate=0)
        client = service.connect()
        client.on("message", lambda text: client.send(text))
        self.assertIn("not come to rest", str(self.assertRaises(AssertionError, client.send, "hello")))


class FaultTests(Base):
    def test_what_a_handler_raises_is_raised_here(self) -> None:
        for client in self.each(self.serve()):
            self.assertRaises(ZeroDivisionError, client.emit, "broken")
            self.assertRaises(ZeroDivisionError, client.call, "broken")
            self.assertEqual(client.received()[-1:], [("error", {**INTERNAL, "event": "broken"})])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_several_are_a_group(self) -> None:
        service = self.serve()

        @self.app.namespace("/other").on_disconnect
        def goodbye(connection: Connection, reason: str) -> Any:
            return fail(KeyError(connection.user.id))

        for user in ("ann", "bob"):
            service.connect(user, protocol="socketio", namespace="/other")
        with self.assertRaises(BaseExceptionGroup) as caught:
            service.stop()
        self.assertEqual([type(error) for error in caught.exception.exceptions], [KeyError, KeyError])

    def test_what_on_connect_raises_is_raised_here(self) -> None:
        @self.app.on_connect
        async def hello(connection: Connection) -> None:
            raise LookupError("in on_connect")

        service = self.serve()
        for protocol in PROTOCOLS:
            self.assertRaises(LookupError, service.connect, protocol=protocol)

    def test_or_logged_as_in_a_running_service(self) -> None:
        for client in self.each(self.serve(raise_errors=False)):
            with self.assertRaises(Refused) as caught:
                client.call("broken")
            self.assertEqual(caught.exception.code, "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_a_refusal_is_no_fault(self) -> None:
        for client in self.each(self.serve()):
            with self.assertRaises(Refused) as caught:
                client.call("refused", 7)
            refusal = caught.exception
            self.assertEqual((refusal.code, refusal.message), ("sold_out", "Nothing is left."))
            self.assertEqual(refusal.data, {"more": 7})
            with self.assertRaises(Refused) as caught:
                client.call("nothing")
            self.assertEqual(caught.exception.code, "unknown_event")

    def test_what_a_deferred_fails_with(self) -> None:
        async def wrong() -> None:
            raise LookupError("wrong")

        service = self.serve()
        self.assertRaises(LookupError, service.result_of, wrong())


INTERNAL = {"code": "internal_error", "message": "The server could not handle this."}


class EndingTests(Base):
    def test_a_session_ends_at_its_time_unless_it_is_refreshed(self) -> None:
        service = self.serve()
        ann, bob = self.each(service), service.connect("bob")
        service.advance(3000)
        service.renew("bob")
        service.advance(599)
        self.assertEqual([client.closed for client in ann], [None] * 3)
        service.advance(1)
        expired = "Authentication expired"
        self.assertEqual([client.closed for client in ann], [(1008, expired), (1008, expired), (None, TRANSPORT_CLOSE)])
        self.assertIsNone(bob.closed)
        service.advance(3000)
        self.assertEqual(bob.closed, (1008, expired))
        self.assertIsNone(service.connect("bob").closed)  # logged in anew

    def test_a_user_who_signs_out(self) -> None:
        service = self.serve()
        tabs = [service.connect("ann", protocol=protocol) for protocol in PROTOCOLS]
        phone, bob = service.connect("ann", session="phone"), service.connect("bob")
        service.sign_out("ann")
        self.assertEqual([tab.closed for tab in tabs], [(1008, "Signed out")] * 2 + [(None, TRANSPORT_CLOSE)])
        self.assertEqual((phone.closed, bob.closed), ((1008, "Signed out"), None))
        self.assertNotEqual(service.connect("ann").connection.user.session, "phone")
        self.assertRaises(AssertionError, service.sign_out, "nobody")
        self.assertRaises(AssertionError, service.renew, "nobody")

    def test_a_client_leaves_or_is_cut_off(self) -> None:
        service = self.serve()
        for client in self.each(service):
            client.close()
            user, reason = self.told.pop()
            self.assertEqual(user, client.user)
            self.assertIn(reason, ("transport close", "client namespace disconnect"))
            self.assertRaises(AssertionError, client.send, "hello")
            self.assertRaises(LookupError, lambda client=client: client.connection)
        for client in self.each(service):
            client.cut()
            service.advance(60)  # long-polling is missed when its pong is
            self.assertEqual(self.told.pop()[0], client.user)
        self.assertEqual(len(self.app.connections()), 0)

    def test_the_app_disconnects_somebody(self) -> None:
        clients = self.each(self.serve())
        for client in clients:
            client.connection.disconnect(4000, "Enough")
        by_server = (None, "io server disconnect")
        self.assertEqual([client.closed for client in clients], [(4000, "Enough"), by_server, by_server])

    def test_the_service_stops(self) -> None:
        service = self.serve()
        clients = self.each(service)
        service.stop()
        stopping = "Server shutting down"
        ends = [(1001, stopping), (1001, stopping), (None, TRANSPORT_CLOSE)]
        self.assertEqual([client.closed for client in clients], ends)
        self.assertEqual(service.request("GET", "/ready").status, 503)
        for protocol in PROTOCOLS:
            with self.assertRaises(Refused) as caught:
                service.connect(protocol=protocol)
            self.assertEqual(caught.exception.code, 503)

    def test_everybody_stays_for_hours_who_answers_pings(self) -> None:
        service = self.serve()
        clients = self.each(service, claims={"exp": int(service.clock.seconds()) + 86400})
        service.advance(6 * 3600)
        self.assertEqual([client.closed for client in clients], [None] * 3)
        for client in clients:
            client.stop_reading()
        service.advance(60)
        for client in clients:
            client.read_on()
        self.assertNotIn(None, [client.closed for client in clients])

    def test_a_client_that_does_not_read_is_closed_and_others_are_not(self) -> None:
        service = self.serve(send_queue_bytes=200_000)
        *slow, other = [*self.each(service), service.connect("other")]
        for client in slow:
            client.stop_reading()
        for _ in range(20):
            self.app.emit("news", "x" * 20_000)
            self.assertEqual(len(other.received()), 1)
        for client in slow:
            client.read_on()
        self.assertEqual(slow[0].closed, (4408, "Client reads too slowly"))
        self.assertEqual(slow[1].closed, (4408, "Client reads too slowly"))
        self.assertIsNotNone(slow[2].closed)
        self.assertIsNone(other.closed)

    def test_a_client_that_comes_back_has_missed_nothing(self) -> None:
        service = self.serve(recovery=120)
        client = service.connect("ann", query={"recover": "1"})
        ((_, welcome),) = client.received()
        client.cut()
        self.app.emit("news", 1, user="ann")
        again = service.connect("ann", query={"recover": welcome["session"], "offset": welcome["offset"]})
        first, second = again.received()
        self.assertEqual((first[1]["recovered"], first[1]["id"]), (True, welcome["id"]))
        self.assertEqual(second, ("news", 1))


TRANSPORT_CLOSE = "transport close"


class HttpTests(Base):
    def test_any_request(self) -> None:
        service = self.serve(api_key="k" * 32)
        service.connect("ann", roles={"admin"})
        me = service.request("GET", "/auth/me", user="ann")
        self.assertEqual((me.status, me.json["user"]["roles"]), (200, ["admin"]))
        self.assertEqual(me.header("Content-Type"), "application/json; charset=utf-8")
        headers = {"Authorization": f"Bearer {'k' * 32}"}
        answer = service.request("POST", "/api/emit", {"event": "news", "user": "ann"}, headers=headers)
        self.assertEqual((answer.status, answer.json), (202, {"accepted": 1, "connections": 1}))
        self.assertEqual(service.request("POST", "/api/emit", b"{}", headers=headers).status, 415)
        self.assertEqual(service.request("GET", "/auth/me").status, 401)


class SurroundingsTests(SynchronousTestCase):
    def run_python(self, code: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def test_no_reactor_is_needed_and_none_is_installed(self) -> None:
        code = (
            "import sys\nfrom wsservice import App\nfrom wsservice.testing import ServiceInMemory\n"
            "service = ServiceInMemory(App())\n"
            "for protocol in ('raw', 'socketio', 'polling'):\n    service.connect(protocol=protocol).close()\n"
            "service.advance(60)\nprint('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(self.run_python(code), "False\n")

    def test_the_limit_of_open_files_is_left_alone(self) -> None:
        code = (
            "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))\n"
            "from wsservice import App\nfrom wsservice.testing import ServiceInMemory\n"
            "ServiceInMemory(App()).connect()\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
        )
        self.assertEqual(self.run_python(code), "200\n")

    def test_who_wants_a_token_loads_no_service_and_the_package_no_tools(self) -> None:
        code = (
            "import sys, wsservice.testing\nfrom wsservice.testing import Issuer\n"
            "print([name for name in sys.modules if name.startswith(('autobahn', 'wsservice.assembly'))])"
        )
        self.assertEqual(self.run_python(code), "[]\n")
        code = "import sys, wsservice.server\nprint([name for name in sys.modules if 'wsservice.testing' in name])"
        self.assertEqual(self.run_python(code), "[]\n")

    def test_it_works_within_a_loop_of_asyncio(self) -> None:
        app = App()

        @app.on("echo")
        async def echo(connection: Connection, data: Any) -> Any:
            return data

        async def test() -> Any:
            return ServiceInMemory(app).connect().call("echo", 7)

        self.assertEqual(asyncio.run(test()), 7)

    def test_every_name_is_there(self) -> None:
        import wsservice.testing as testing

        for name in testing.__all__:
            self.assertIsNotNone(getattr(testing, name), name)
            self.assertIn(name, dir(testing))
        self.assertRaises(AttributeError, getattr, testing, "MockService")
