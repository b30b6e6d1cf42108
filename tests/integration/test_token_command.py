"""`wsservice token`: the service takes its tokens when it is started as `--help` says."""

from __future__ import annotations

import functools
import http.server
import stat
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.program import Done, run
from tests.integration.service import RunningService
from wsservice.cli.token import CLIENT, ISSUER


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        (self.folder / "pool").mkdir(parents=True)

    def token(self, *arguments: str) -> Done:
        done = run("token", "--key", "key.pem", *arguments, cwd=self.folder)
        self.assertEqual((done.status, done.error), (0, ""))
        return done

    def serve(self) -> str:
        """What `python3 -m http.server --directory pool` does; gives the key set's address."""

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Keep quiet."""

        handler = functools.partial(Handler, directory=str(self.folder / "pool"))
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}/jwks.json"

    def test_a_service_of_an_issuer_takes_them(self) -> None:
        (self.folder / "pool" / "jwks.json").write_text(self.token("--new-key", "--jwks").out)
        self.assertEqual(stat.S_IMODE((self.folder / "key.pem").stat().st_mode), 0o600)
        env = {"AUTH_ISSUER": ISSUER, "AUTH_AUDIENCE": CLIENT, "AUTH_JWKS_URL": self.serve()}
        with RunningService("--host", "127.0.0.1", cwd=self.folder, env=env) as service:
            cookie = self.token("--sub", "ann", "--group", "admin", "--cookie").out
            done = run("connect", service.url, "--cookie", "-", cwd=self.folder, input=f"{cookie}hi\n/wait\n")
            self.assertEqual((done.status, done.error), (0, ""))
            self.assertIn('{"user":"ann","message":"hi"}', done.out)
            me = service.request("GET", "/auth/me", cookie=cookie.strip()).json
            self.assertEqual(me["user"]["roles"], ["admin"])
            over = self.token("--expires=-1m").out.strip()
            answer = service.request("GET", "/auth/me", cookie=f"authToken={over}")
            self.assertEqual(answer.json["error"], "expired")
            done = run("check", service.url, cwd=self.folder, WSSERVICE_COOKIE=cookie, **env)
            self.assertEqual(done.status, 0, done)

    def test_a_service_of_a_pool_takes_them(self) -> None:
        (self.folder / "pool" / "jwks.json").write_text(self.token("--new-key", "--jwks").out)
        issuer = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_AbCdEf123"
        env = {
            "AWS_REGION": "us-east-1",
            "AWS_COGNITO_USER_POOL_ID": "us-east-1_AbCdEf123",
            "AWS_COGNITO_CLIENT_ID": "web",
            "AUTH_JWKS_URL": self.serve(),
        }
        with RunningService("--host", "127.0.0.1", cwd=self.folder, env=env) as service:
            for use in ("access", "id"):
                cookie = self.token("--issuer", issuer, "--client", "web", "--use", use, "--cookie").out.strip()
                self.assertEqual(service.request("GET", "/auth/me", cookie=cookie).status, 200, use)
