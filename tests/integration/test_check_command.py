"""`wsservice check` against the real service: well, and with each thing wrong that people get wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import make_certificate, write_pem
from tests.integration.cluster import free_port
from tests.integration.program import Done, run
from tests.integration.provider import BROKEN, Provider
from tests.integration.service import PATIENCE, RunningService
from tests.needs import find, require
from wsservice.testing import CLIENT_ID, REGION, USER_POOL, Issuer

_NGINX = """\
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; {user}
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} {tls};
        ssl_certificate {folder}/chain.pem; ssl_certificate_key {folder}/chain.pem;
        location / {{ proxy_pass http://127.0.0.1:{service}; {more} }}
    }}
}}
"""
_UPGRADE = 'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
_HOST = "proxy_set_header Host $http_host;"


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def check(self, *arguments: str, **env: str) -> tuple[Done, list[dict[str, Any]]]:
        """Run the doctor; gives what it finds."""
        done = run("check", "--json", *arguments, cwd=self.folder, **env)
        return done, json.loads(done.out)["findings"] if done.out else []

    def failures(self, *arguments: str, **env: str) -> dict[str, dict[str, str]]:
        """What fails, by the step."""
        done, findings = self.check(*arguments, **env)
        found = {one["step"]: one for one in findings if one["level"] == "fail"}
        self.assertEqual(done.status, 1 if found else 0, done)
        self.assertNotIn("eyJ", done.out + done.error)
        return found


class DevTests(Base):
    def setUp(self) -> None:
        super().setUp()
        self.service = self.enterContext(RunningService("--dev", cwd=self.folder))

    def test_all_is_well(self) -> None:
        done, findings = self.check(
            self.service.url, "--login", "alice", WSSERVICE_PASSWORD=self.service.users["alice"]
        )
        self.assertEqual((done.status, done.error), (0, ""), findings)
        levels = {(one["step"], one["level"]) for one in findings}
        steps = "dns tcp health ready clock login set-cookie upgrade socket.io origin token exp cookie websocket"
        self.assertLessEqual({(step, "ok") for step in steps.split()}, levels)
        told = run("check", self.service.url, cwd=self.folder)
        self.assertEqual(told.status, 0)
        self.assertIn("ok    upgrade      /ws: 101, a WebSocket\n", told.out)
        self.assertIn("all is well", told.out)

    def test_the_origin_that_is_asked_about(self) -> None:
        failed = self.failures(self.service.url, "--origin", "https://app.example.com")
        self.assertIn("CORS_ORIGIN=https://app.example.com", failed["origin"]["fix"])

    def test_another_cookies_name(self) -> None:
        cookie = self.service.log_in("alice").split(";")[0].replace("authToken", "token")
        failed = self.failures(self.service.url, "--cookie-name", "token", WSSERVICE_COOKIE=cookie)
        self.assertIn("AUTH_COOKIE_NAME", failed["cookie"]["fix"])
        failed = self.failures(self.service.url, WSSERVICE_COOKIE=cookie)
        self.assertIn("no cookie authToken is there, but token", failed["token"]["text"])

    def test_a_session_that_was_signed_out(self) -> None:
        cookie = self.service.log_in("alice")
        self.service.request("POST", "/auth/logout", {}, cookie=cookie)
        self.assertIn("cookie", self.failures(self.service.url, WSSERVICE_COOKIE=cookie))

    def test_a_wrong_password_and_a_wrong_path(self) -> None:
        failed = self.failures(self.service.url, "--login", "alice", WSSERVICE_PASSWORD="wrong")
        self.assertIn("Wrong user name or password", failed["login"]["text"])
        self.assertIn("--ws-path", self.failures(f"{self.service.origin}/nowhere")["upgrade"]["fix"])

    def test_a_login_that_was_not_tried_is_not_blamed_on_the_password(self) -> None:
        service = self.enterContext(RunningService("--dev", "--login-burst", "1", cwd=self.folder))
        arguments = (service.url, "--login", "alice")
        self.assertEqual(self.failures(*arguments, WSSERVICE_PASSWORD=service.users["alice"]), {})
        failed = self.failures(*arguments, WSSERVICE_PASSWORD=service.users["alice"])
        self.assertIn("--login-burst", failed["login"]["fix"])

    def test_nobody_is_there(self) -> None:
        kept, port = free_port()
        kept.close()
        self.assertIn("nothing listens there", self.failures(f"127.0.0.1:{port}")["tcp"]["text"])
        self.assertIn("no such host", self.failures("ws://nobody.invalid")["dns"]["text"])
        self.assertIn("no TLS", self.failures(self.service.url.replace("ws:", "wss:"))["tls"]["text"])
        with socket.create_server(("127.0.0.1", 0)) as silent:
            failed = self.failures(f"127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.3")
        self.assertIn("no answer in time", failed["http"]["text"])

    def test_what_makes_no_sense(self) -> None:
        for arguments in (
            ("ftp://x",),
            (self.service.url, "--env-file", "nowhere"),
            (self.service.url, "--cookie", ""),
        ):
            self.assertEqual(run("check", *arguments, cwd=self.folder).status, 2, arguments)


class PoolTests(Base):
    """A service of a pool on loopback, and tokens of it or of another."""

    def setUp(self) -> None:
        super().setUp()
        self.provider = self.enterContext(Provider())
        self.jwks = f"{self.provider.url}/{USER_POOL}/.well-known/jwks.json"

    def start(self, **env: str) -> RunningService:
        """The service."""
        settings = {**self.provider.environment, **env}
        return self.enterContext(RunningService(cwd=self.folder, env=settings))

    def cookie(self, **claims: Any) -> dict[str, str]:
        """The environment with a token."""
        return {"WSSERVICE_COOKIE": self.provider.cookie("alice", **claims)}

    def test_all_is_well_and_the_settings_here_agree(self) -> None:
        service = self.start()
        done, findings = self.check(service.url, **self.cookie(), **self.provider.environment)
        self.assertEqual(done.status, 0, findings)
        good = {one["step"] for one in findings if one["level"] == "ok"}
        self.assertLessEqual({"iss", "client_id", "kid", "exp", "cookie", "websocket"}, good)

    def test_a_wrong_client_id_of_the_service(self) -> None:
        service = self.start(AWS_COGNITO_CLIENT_ID="another")
        failed = self.failures(service.url, "--jwks-url", self.jwks, **self.cookie())
        self.assertEqual(failed.keys(), {"cookie", "websocket"})
        self.assertIn(f"AWS_COGNITO_CLIENT_ID must have {CLIENT_ID}", failed["cookie"]["fix"])
        self.assertIn("Invalid authentication token", failed["websocket"]["text"])
        # and where its settings are to be seen, that one is named
        settings = {**self.provider.environment, "AWS_COGNITO_CLIENT_ID": "another"}
        (self.folder / "settings").write_text("\n".join(f"{name}={value}" for name, value in settings.items()))
        failed = self.failures(service.url, "--env-file", "settings", **self.cookie())
        self.assertEqual(failed["client_id"]["fix"].split(":")[0], "AWS_COGNITO_CLIENT_ID")

    def test_another_pool(self) -> None:
        service = self.start()
        other = Issuer(f"https://cognito-idp.{REGION}.amazonaws.com/{REGION}_Other", kid="key-9", first_key=1)
        cookie = {"WSSERVICE_COOKIE": f"authToken={other.token('alice')}"}
        failed = self.failures(service.url, **cookie, **self.provider.environment)
        self.assertIn("AWS_COGNITO_USER_POOL_ID", failed["iss"]["fix"])
        self.assertIn("'key-9' is not among the keys", failed["kid"]["text"])
        self.assertIn("log in anew", failed["kid"]["fix"])

    def test_a_token_that_is_over_and_one_that_was_changed(self) -> None:
        service = self.start()
        failed = self.failures(service.url, **self.cookie(exp=int(time.time()) - 7200), **self.provider.environment)
        self.assertIn("it was over 2 h ago", failed["exp"]["text"])
        self.assertIn("has expired", failed["cookie"]["text"])
        token = self.provider.issuer.token("alice")
        changed = token[:-4] + ("AAAA" if token[-4:] != "AAAA" else "BBBB")
        failed = self.failures(service.url, WSSERVICE_COOKIE=changed, **self.provider.environment)
        self.assertTrue(failed.keys() & {"signature", "token"}, failed)

    def test_a_required_group_and_token_use(self) -> None:
        service = self.start(AUTH_REQUIRED_GROUPS="staff", AUTH_TOKEN_USE="access")
        self.assertIn("AUTH_REQUIRED_GROUPS", self.failures(service.url, **self.cookie())["cookie"]["fix"])
        here = {**self.provider.environment, "AUTH_REQUIRED_GROUPS": "staff", "AUTH_TOKEN_USE": "access"}
        self.assertIn(
            "AUTH_REQUIRED_GROUPS=staff", self.failures(service.url, **self.cookie(), **here)["groups"]["fix"]
        )
        token = {"WSSERVICE_COOKIE": self.provider.issuer.id_token("alice")}
        self.assertIn("AUTH_TOKEN_USE", self.failures(service.url, **token, **here)["token_use"]["fix"])

    def test_a_pool_that_is_away(self) -> None:
        self.provider.keys = BROKEN
        service = self.start()
        failed = self.failures(service.url, "--jwks-url", self.jwks, **self.cookie())
        self.assertIn("AUTH_JWKS_URL", failed["ready"]["fix"])
        self.assertIn("AUTH_JWKS_URL", failed["cookie"]["fix"])
        self.assertIn("jwks", failed)


class TlsTests(Base):
    def test_a_certificate_of_another_name_and_of_nobody(self) -> None:
        chain = write_pem(self.folder / "chain.pem", *make_certificate("localhost"))
        service = self.enterContext(RunningService("--dev", "--tls-cert", str(chain), cwd=self.folder, tls=True))
        failed = self.failures(service.url)["tls"]
        self.assertIn("self-signed certificate", failed["text"])
        self.assertIn("--ca FILE", failed["text"])
        self.assertEqual(self.failures(service.url, "--ca", str(chain)), {})
        failed = self.failures(service.url.replace("localhost", "127.0.0.1"), "--ca", str(chain))["tls"]
        self.assertIn("IP address mismatch", failed["text"])
        self.assertEqual(failed["fix"], "it is for localhost")
        # the certificate of the test lives for a day
        _, findings = self.check(service.url, "--insecure")
        self.assertEqual([one["level"] for one in findings if one["step"] == "certificate"], ["warn"])
        self.assertTrue(any("not checked" in one["text"] for one in findings if one["step"] == "tls"))


class ProxyTests(Base):
    def setUp(self) -> None:
        super().setUp()
        require("nginx")
        self.chain = write_pem(self.folder / "chain.pem", *make_certificate("localhost"))

    def proxy(self, service: RunningService, more: str, *, tls: bool = False) -> str:
        """nginx before the service; gives its address."""
        program = find("nginx")
        assert program is not None
        kept, port = free_port()
        kept.close()
        config = self.folder / "nginx.conf"
        user = "" if os.geteuid() else "user root;"
        config.write_text(
            _NGINX.format(
                folder=self.folder, user=user, port=port, service=service.port, more=more, tls="ssl" if tls else ""
            )
        )
        process = subprocess.Popen(
            [program, "-c", str(config), "-p", str(self.folder), "-e", str(self.folder / "error.log")],
            stderr=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.terminate)
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert process.poll() is None, process.stderr and process.stderr.read()
            try:
                socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
            except ConnectionRefusedError:
                os.sched_yield()
            else:
                return f"{'wss' if tls else 'ws'}://localhost:{port}/ws"
        raise AssertionError("nginx does not listen")

    def start(self, *arguments: str) -> RunningService:
        return self.enterContext(RunningService("--dev", *arguments, cwd=self.folder))

    def test_nginx_that_eats_the_upgrade_header(self) -> None:
        failed = self.failures(self.proxy(self.start(), _HOST))
        self.assertIn("Upgrade header did not arrive: nginx needs", failed["upgrade"]["fix"])
        self.assertIn("proxy_set_header Upgrade", failed["socket.io"]["fix"])

    def test_nginx_that_changes_the_host(self) -> None:
        failed = self.failures(self.proxy(self.start(), _UPGRADE))
        self.assertIn("proxy_set_header Host", failed["origin"]["fix"])

    def test_nginx_with_tls_that_the_service_does_not_trust(self) -> None:
        ca = ("--ca", str(self.chain))
        forwarded = f"{_UPGRADE} {_HOST} proxy_set_header X-Forwarded-Proto $scheme; "
        forwarded += "proxy_set_header X-Forwarded-For $remote_addr;"
        url = self.proxy(self.start(), forwarded, tls=True)
        self.assertIn("TRUSTED_PROXIES", self.failures(url, *ca)["origin"]["fix"])

    def test_nginx_as_it_should_be(self) -> None:
        forwarded = f"{_UPGRADE} {_HOST} proxy_set_header X-Forwarded-Proto $scheme; "
        forwarded += "proxy_set_header X-Forwarded-For $remote_addr;"
        service = self.start("--trusted-proxy", "127.0.0.1")
        url = self.proxy(service, forwarded, tls=True)
        arguments = (url, "--ca", str(self.chain), "--login", "alice")
        self.assertEqual(self.failures(*arguments, WSSERVICE_PASSWORD=service.users["alice"]), {})

    def test_nginx_that_leads_to_https(self) -> None:
        url = self.proxy(self.start(), "return 301 https://chat.example$request_uri;")
        self.assertIn("leads to: https://chat.example", self.failures(url)["health"]["fix"])

    def test_nginx_that_does_not_know_socketio(self) -> None:
        failed = self.failures(self.proxy(self.start(), f"{_UPGRADE} {_HOST} if ($uri ~ socket.io) {{ return 404; }}"))
        self.assertEqual(list(failed), ["socket.io"])
        self.assertIn("pass the path on", failed["socket.io"]["fix"])

    def test_nginx_without_a_service(self) -> None:
        service = self.start()
        url = self.proxy(service, f"{_UPGRADE} {_HOST}")
        service.stop()
        self.assertIn("502", self.failures(url)["health"]["text"])
