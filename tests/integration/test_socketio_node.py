"""npm's socket.io-client against the service as a user runs it, with the cookie of a login.

What the clients do is written in JavaScript, in node/socketio_*.js; here the service is started for it, stopped and
killed. Without Node these tests skip and say how to get it; see nodejs.py.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.integration.nodejs import run_scenario
from tests.integration.service import RunningService
from wsservice.testing import CLIENT_ID, REGION, USER_POOL, Issuer

APP = "tests.integration.socketio_app:app"
USERS = ("alice", "bob", "carol")
POLL = "/socket.io/?EIO=4&transport=polling"
#: for what arrives sooner or later; no figure that is expected
SOON = 30.0


class Base(SynchronousTestCase):
    #: the scenarios of a class are in one file
    file = ""

    def start(self, *arguments: str, dev: bool = True, **options: Any) -> RunningService:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        service = RunningService(*(("--dev",) if dev else ()), "--app", APP, *arguments, cwd=folder, **options)
        self.addCleanup(service.__exit__, None, None, None)
        self.addCleanup(self.check_log, service)
        return service.__enter__()

    def check_log(self, service: RunningService) -> None:
        """Whatever clients do, nothing breaks inside."""
        for word in ("Traceback", "Unhandled"):
            self.assertNotIn(word, service.log)

    def settings(self, service: RunningService) -> dict[str, Any]:
        """What a scenario needs to connect: the cookies of a login of each user, `cookie` is alice's."""
        cookies = {user: service.log_in(user) for user in USERS}
        return {"url": f"http://127.0.0.1:{service.port}", "cookies": cookies, "cookie": cookies["alice"]}

    def run_scenarios(
        self,
        service: RunningService,
        *names: str,
        answers: Mapping[str, Callable[..., Any]] | None = None,
        **settings: Any,
    ) -> None:
        every = self.settings(service)
        for name in names:
            run_scenario(self.file, name, every | settings, answers)

    def each_transport(self, service: RunningService, *names: str) -> None:
        every = self.settings(service)
        for transport in ("websocket", "polling"):
            for name in names:
                run_scenario(self.file, name, {**every, "transports": [transport]})


class ConnectingTests(Base):
    file = "socketio_connecting.js"

    def test_websocket_only(self) -> None:
        self.run_scenarios(self.start(), "oneTransport", transports=["websocket"])

    def test_polling_only(self) -> None:
        self.run_scenarios(self.start(), "oneTransport", transports=["polling"])

    def test_a_service_with_one_transport_serves_clients_of_that_one(self) -> None:
        for transport in ("websocket", "polling"):
            service = self.start("--transports", transport)
            self.run_scenarios(service, "oneTransport", transports=[transport])

    def test_what_both_sides_say_during_the_upgrade_arrives_once_and_in_order(self) -> None:
        self.run_scenarios(self.start(), "upgrade", "manyUpgrades")

    def test_without_upgrades_a_client_stays_on_polling(self) -> None:
        self.run_scenarios(self.start("--no-allow-upgrades"), "noUpgrade")

    def test_the_default_options_work_unchanged_also_beside_a_sticky_cookie(self) -> None:
        self.run_scenarios(self.start(), "defaults")
        self.run_scenarios(self.start("--sticky-cookie", "io"), "defaults")

    def test_compression_of_both_transports(self) -> None:
        self.run_scenarios(self.start("--compression"), "compression")

    def test_many_namespaces_over_one_connection_and_some_made_on_demand(self) -> None:
        self.each_transport(self.start(), "namespaces")

    def test_stock_clients_answer_pings(self) -> None:
        self.each_transport(self.start("--ping-interval", "50"), "pings")

    def test_another_path(self) -> None:
        service = self.start("--socketio-path", "/chat/live")
        self.run_scenarios(service, "otherPath", path="/chat/live/")


class MessageTests(Base):
    file = "socketio_messages.js"

    def test_every_event_of_a_client_that_asks_is_acknowledged(self) -> None:
        self.each_transport(self.start(), "acks")

    def test_the_service_asks_one_client_or_many(self) -> None:
        self.each_transport(self.start(), "calls")

    def test_bytes_at_any_depth_both_ways(self) -> None:
        self.each_transport(self.start(), "binary")

    def test_a_volatile_message_is_dropped_for_who_does_not_take_it(self) -> None:
        self.each_transport(self.start(), "volatile")

    def test_rooms_exceptions_and_everybody_else(self) -> None:
        self.each_transport(self.start(), "rooms")

    def test_raw_clients_and_socketio_clients_hear_each_other(self) -> None:
        self.run_scenarios(self.start(), "raw")

    def test_the_queue_of_a_client_with_retries_survives_a_break(self) -> None:
        self.each_transport(self.start(), "retries")


class RefusalTests(Base):
    file = "socketio_sessions.js"

    def test_a_middleware_refuses_with_words_and_data_and_takes_the_next_try(self) -> None:
        self.run_scenarios(self.start(), "middleware")

    def test_without_a_good_token_the_reason_is_told_and_the_session_stays(self) -> None:
        self.run_scenarios(self.start(), "tokens", "sameSession")

    def test_without_the_keys_of_the_issuer_it_fails_until_they_are_there(self) -> None:
        with Pool() as pool:
            pool.keys_are_there = False
            service = self.start("--auth-timeout", "0.5", dev=False, env=pool.env)

            def let_the_keys_be_there() -> None:
                pool.keys_are_there = True
                service.wait_for_line(lambda line: "signing keys loaded" in line)

            run_scenario(
                self.file,
                "unavailable",
                {"url": f"http://127.0.0.1:{service.port}", "cookie": pool.cookie("alice")},
                {"let the keys be there": let_the_keys_be_there},
            )


class EndTests(Base):
    file = "socketio_sessions.js"

    def test_an_expired_client_comes_back_by_itself_with_a_fresh_cookie(self) -> None:
        self.run_scenarios(self.start("--dev-token-lifetime", "8"), "expiry")

    def test_who_ended_it_decides_whether_the_client_comes_back(self) -> None:
        self.run_scenarios(self.start(), "ends")

    def test_a_client_comes_back_from_a_message_that_is_too_large(self) -> None:
        self.each_transport(self.start("--max-http-buffer-size", "1000"), "tooLarge")

    def test_a_logout_ends_the_session_for_good(self) -> None:
        for transport in ("websocket", "polling"):
            service = self.start("--recovery", "120")
            cookie = service.log_in("alice")

            def log_out(service: RunningService = service, cookie: str = cookie) -> int:
                return service.request("POST", "/auth/logout", {}, cookie=cookie).status

            answers = {"log out": log_out}
            self.run_scenarios(service, "logout", answers=answers, cookie=cookie, transports=[transport])

    def test_so_does_a_logout_everywhere_from_another_session(self) -> None:
        for transport in ("websocket", "polling"):
            service = self.start("--recovery", "120")
            cookie, other = service.log_in("alice"), service.log_in("alice")

            def log_out(service: RunningService = service, other: str = other) -> int:
                return service.request("POST", "/auth/logout", {"everywhere": True}, cookie=other).status

            answers = {"log out": log_out}
            self.run_scenarios(service, "logout", answers=answers, cookie=cookie, transports=[transport])

    def test_a_stop_tells_nobody_to_stay_away(self) -> None:
        service = self.start()
        self.run_scenarios(service, "stop", answers={"stop": lambda: service.stop(signal.SIGTERM)})

    def test_clients_come_back_to_a_service_that_was_killed_and_started_again(self) -> None:
        with Pool() as pool:
            options = {"dev": False, "env": pool.env}
            service = self.start("--recovery", "120", **options)

            def kill() -> None:
                service.process.kill()
                service.wait()

            def start_again() -> None:
                self.start("--recovery", "120", "--port", str(service.port), **options)

            run_scenario(
                self.file,
                "restart",
                {"url": f"http://127.0.0.1:{service.port}", "cookie": pool.cookie("alice")},
                {"kill": kill, "start again": start_again},
            )


class RecoveryTests(Base):
    file = "socketio_recovery.js"

    def recover(self, *names: str) -> None:
        self.each_transport(self.start("--recovery", "120"), *names)

    def test_what_was_missed_comes_before_the_client_is_connected_again(self) -> None:
        self.recover("missed")

    def test_a_client_that_received_nothing_yet_recovers_too(self) -> None:
        self.recover("nothingReceived")

    def test_a_stream_of_events_has_no_gap_and_no_echo_through_breaks(self) -> None:
        self.recover("breaks")

    def test_a_private_id_serves_one_client_at_a_time_and_its_owner_only(self) -> None:
        self.recover("oneAtATime", "race", "foreign")

    def test_a_connection_that_only_looks_alive_is_taken_over(self) -> None:
        self.recover("halfOpen")

    def test_what_was_ended_on_purpose_is_not_recovered(self) -> None:
        self.recover("onPurpose")

    def test_it_is_off_by_default(self) -> None:
        self.each_transport(self.start(), "off")


class BrowserTests(Base):
    """What browsers look at: origins, preflights, cookies."""

    file = "socketio_sessions.js"

    def setUp(self) -> None:
        self.service = self.start("--allowed-origin", "https://app.example.com", "--sticky-cookie", "io")
        self.cookie = self.service.log_in("alice")

    def request(self, method: str, path: str, origin: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
        sent = {"Origin": origin, **{name.replace("_", "-"): value for name, value in headers.items()}}
        answer = self.service.request(method, path, cookie=self.cookie, headers=sent)
        return answer.status, {name.lower(): value for name, value in answer.headers}, answer.body

    def test_clients_of_an_allowed_origin_connect_and_others_do_not(self) -> None:
        self.run_scenarios(self.service, "origins")

    def test_an_allowed_origin_gets_its_headers_on_every_answer(self) -> None:
        for path, status in ((POLL, 200), (f"{POLL}&sid=nobody", 400)):
            got, headers, _ = self.request("GET", path, "https://app.example.com")
            self.assertEqual(got, status)
            self.assertEqual(headers["access-control-allow-origin"], "https://app.example.com")
            self.assertEqual(headers["access-control-allow-credentials"], "true")
            self.assertIn("Origin", headers["vary"])

    def test_a_preflight_is_answered_with_or_without_a_session(self) -> None:
        for path in (POLL, f"{POLL}&sid=nobody"):
            status, headers, body = self.request(
                "OPTIONS",
                path,
                "https://app.example.com",
                Access_Control_Request_Method="POST",
                Access_Control_Request_Headers="content-type",
            )
            self.assertEqual((status, body), (204, b""))
            self.assertEqual(headers["access-control-allow-origin"], "https://app.example.com")
            self.assertEqual(headers["access-control-allow-credentials"], "true")
            self.assertIn("POST", headers["access-control-allow-methods"])
            self.assertIn("content-type", headers["access-control-allow-headers"].lower())

    def test_a_foreign_origin_gets_403_and_code_4_on_both_transports_and_no_session(self) -> None:
        refusal = {"code": 4, "message": "Forbidden"}
        status, headers, body = self.request("GET", POLL, "https://evil.example")
        self.assertEqual((status, json.loads(body)), (403, refusal))
        self.assertNotIn("access-control-allow-origin", headers)
        self.assertNotIn("set-cookie", headers)
        self.assertNotIn("access-control-allow-origin", self.request("OPTIONS", POLL, "https://evil.example")[1])
        with self.assertRaises(InvalidStatus) as caught:
            self.open_websocket("https://evil.example")
        answer = caught.exception.response
        self.assertEqual((answer.status_code, json.loads(answer.body or b"null")), (403, refusal))

    def test_the_sticky_cookie_is_set_by_the_handshake_and_by_nothing_else(self) -> None:
        status, headers, body = self.request("GET", POLL, "https://app.example.com")
        sid = json.loads(body[1:])["sid"]
        self.assertEqual((status, headers["set-cookie"]), (200, f"io={sid}; Path=/; HttpOnly; SameSite=Lax"))
        posted = self.service.request("POST", f"{POLL}&sid={sid}", cookie=self.cookie)
        self.assertNotIn("set-cookie", dict(posted.headers))
        with self.open_websocket("https://app.example.com") as socket:
            sid = json.loads(str(socket.recv(timeout=SOON))[1:])["sid"]
            assert socket.response is not None
            self.assertEqual(socket.response.headers["Set-Cookie"], f"io={sid}; Path=/; HttpOnly; SameSite=Lax")

    def open_websocket(self, origin: str) -> Any:
        url = f"ws://localhost:{self.service.port}/socket.io/?EIO=4&transport=websocket"
        headers = {"Cookie": self.cookie}
        return connect(url, additional_headers=headers, origin=origin, proxy=None, open_timeout=SOON)  # type: ignore[arg-type]


class Pool:
    """A user pool outside of the service, which its tokens outlive; its keys can be away."""

    def __init__(self) -> None:
        self.keys_are_there = True
        issuer = self._issuer = Issuer()
        pool = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = issuer.jwks() if pool.keys_are_there else b""
                self.send_response(200 if body else 503)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if body:
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Pool:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def env(self) -> dict[str, str]:
        """The settings of a service that trusts it."""
        return {
            "AWS_REGION": REGION,
            "AWS_COGNITO_USER_POOL_ID": USER_POOL,
            "AWS_COGNITO_CLIENT_ID": CLIENT_ID,
            "AUTH_JWKS_URL": f"http://127.0.0.1:{self._server.server_port}/jwks.json",
        }

    def cookie(self, user: str) -> str:
        """A session of that user."""
        return f"authToken={self._issuer.token(user)}"
