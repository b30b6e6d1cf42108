"""docs/cognito.md: its commands make a pool at an emulator, whose user logs in; a token like Keycloak's is taken."""

from __future__ import annotations

import sys
from importlib import import_module
from unittest import SkipTest

from tests.docs.blocks import ROOT, block
from tests.docs.running import Base, replaced
from tests.integration import moto
from tests.integration.provider import Provider
from wsservice.testing import Issuer
from wsservice.testing.tokens import OMIT

PAGE = "docs/cognito.md"
_PASSWORD = "Correct-horse-1!"


class CognitoTests(Base):
    def test_from_nothing_to_a_user_who_is_logged_in(self) -> None:
        if reason := moto.missing():
            raise SkipTest(reason)
        server = moto.shared()
        server.reset()
        self.write_program("aws", f'exec "{sys.executable}" "{ROOT}/tests/docs/fake_aws.py" "$@"')
        making, permanent = block(PAGE, "create-user-pool"), block(PAGE, "admin-set-user-password")
        settings, _, start = block(PAGE, "cat > .env").partition("END\ntwistd")
        self.assertEqual(start, " -n wsservice --port 3020 --app chat:app\n")
        script = f"set -eu\n{making}\n{permanent}\n{settings}END\n"
        self.assertEqual(self.shell(script, AWS_ENDPOINT_URL=server.url, **moto.CREDENTIALS), "")
        (self.folder / "chat.py").write_text(block("docs/tutorial.md", "# chat.py"))
        service = self.start("--app", "chat:app", "--host", "127.0.0.1", env={"AWS_ENDPOINT_URL": server.url})
        me = service.request("GET", "/auth/me", cookie=service.log_in("alice", _PASSWORD)).json["user"]
        self.assertEqual((me["username"], me["roles"]), ("alice", ["admin"]))

    def test_a_token_of_keycloak(self) -> None:
        lines = block(PAGE, "AUTH_ISSUER").splitlines()
        settings = dict(line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
        self.assertEqual(lines[-1], "twistd -n wsservice --port 3020 --app chat:app")
        claims = {
            "aud": ["wsservice", "account"],
            "azp": "front-end",
            "typ": "Bearer",
            "preferred_username": "alice",
            "cognito:groups": ["admin"],
            "token_use": OMIT,
            "client_id": OMIT,
            "username": OMIT,
        }
        with Provider() as provider:
            token = provider.issuer.token("0b1c", iss=settings["AUTH_ISSUER"], **claims)
            keys = settings["AUTH_JWKS_URL"]
            self.assertTrue(keys.startswith(settings["AUTH_ISSUER"]))
            settings = {**settings, "AUTH_JWKS_URL": replaced(keys, {"https://id.example.com": provider.url})}
            service = self.start("--host", "127.0.0.1", env=settings)
            answer = service.request("GET", "/auth/me", cookie=f"authToken={token}")
            self.assertEqual(answer.status, 200, answer)
            user = answer.json["user"]
            self.assertEqual((user["id"], user["username"], user["roles"]), ("0b1c", "alice", ["admin"]))
            login = service.request("POST", "/auth/login", {"username": "alice", "password": "x"})
            self.assertGreaterEqual(login.status, 400)

    def test_the_cookie_of_ones_own_login(self) -> None:
        (self.folder / "finish_login.py").write_text(block(PAGE, "# finish_login.py"))
        sys.path.insert(0, str(self.folder))
        self.addCleanup(sys.path.remove, str(self.folder))
        self.addCleanup(sys.modules.pop, "finish_login", None)
        flask = import_module("flask")
        finish = import_module("finish_login").finish_login
        token = Issuer().token("alice")
        with flask.Flask("test").test_request_context():
            cookie = finish(token, 3600).headers["Set-Cookie"]
        for part in (f"authToken={token};", "HttpOnly", "Secure", "SameSite=Lax", "Max-Age=3600", "Path=/"):
            self.assertIn(part, cookie)
