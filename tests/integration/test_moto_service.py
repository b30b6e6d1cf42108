"""The whole way at a user pool that nobody here wrote: login at moto, the cookie, an open WebSocket, logout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.integration.moto import CREDENTIALS, missing, shared
from tests.integration.service import Answer, RunningService
from tests.integration.test_service import SOON, Base

PASSWORD = "Correct-horse-1!"
USERNAME = "ann"


class PoolTests(Base):
    skip = missing()

    def setUp(self) -> None:
        self.moto = shared()
        self.moto.reset()
        self.pool = self.moto.boto3.create_user_pool(PoolName="people")["UserPool"]["Id"]
        client = self.moto.boto3.create_user_pool_client(
            UserPoolId=self.pool,
            ClientName="app",
            GenerateSecret=True,
            ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
        )["UserPoolClient"]
        user = {"UserPoolId": self.pool, "Username": USERNAME}
        self.moto.boto3.admin_create_user(**user, TemporaryPassword=PASSWORD, MessageAction="SUPPRESS")
        self.settings = {
            "AWS_REGION": CREDENTIALS["AWS_DEFAULT_REGION"],
            "AWS_COGNITO_USER_POOL_ID": self.pool,
            "AWS_COGNITO_CLIENT_ID": client["ClientId"],
            "AWS_COGNITO_CLIENT_SECRET": client["ClientSecret"],
            "AWS_ENDPOINT_URL": self.moto.url,
        }

    def make_permanent(self) -> None:
        self.moto.boto3.admin_set_user_password(
            UserPoolId=self.pool, Username=USERNAME, Password=PASSWORD, Permanent=True
        )

    def service(self, *arguments: str) -> RunningService:
        return self.start("--host", "127.0.0.1", *arguments, env=self.settings)

    def post(self, service: RunningService, path: str, body: Any, cookie: str = "") -> Answer:
        return service.request("POST", path, body, cookie=cookie)

    def test_from_login_to_an_authenticated_websocket_and_out_again(self) -> None:
        self.make_permanent()
        service = self.service()
        answer = self.post(service, "/auth/login", {"username": USERNAME, "password": PASSWORD})
        self.assertEqual(answer.status, 200, answer)
        cookie = "; ".join(answer.cookies)
        self.assertIn("authToken=", cookie)
        client = self.connect(service, cookie)
        client.send("hello from the pool")
        said = json.loads(client.recv(timeout=SOON))
        self.assertEqual(said, {"user": answer.json["user"]["id"], "message": "hello from the pool"})
        self.assertEqual(service.request("GET", "/auth/me", cookie=cookie).json["user"]["username"], USERNAME)
        refreshed = self.post(service, "/auth/refresh", {}, cookie)
        self.assertEqual(refreshed.status, 200, refreshed)
        client.send("still here")
        self.assertEqual(json.loads(client.recv(timeout=SOON))["message"], "still here")
        self.assertEqual(self.post(service, "/auth/dev/shorten", {"seconds": 10}, cookie).status, 404)
        self.assertEqual(self.post(service, "/auth/logout", {}, cookie).status, 204)
        self.assertEqual(self.closed(client), (1008, "Signed out"))
        self.assertEqual(self.closed(self.connect(service, cookie)), (1008, "Invalid authentication token"))
        for secret in (PASSWORD, self.settings["AWS_COGNITO_CLIENT_SECRET"], cookie.split(";")[0].split("=")[1]):
            self.assertNotIn(secret, service.log)

    def test_a_first_login_asks_for_a_new_password(self) -> None:
        service = self.service()
        asked = self.post(service, "/auth/login", {"username": USERNAME, "password": PASSWORD}).json
        self.assertEqual(asked["challenge"], "NEW_PASSWORD_REQUIRED")
        given = {name: asked[name] for name in ("challenge", "session", "username")}
        answer = self.post(service, "/auth/challenge", {**given, "newPassword": "Another-horse-2!"})
        self.assertEqual(answer.status, 200, answer)
        self.connect(service, "; ".join(answer.cookies)).ping()

    def test_a_wrong_user_and_a_wrong_password_are_told_apart_by_nothing(self) -> None:
        self.make_permanent()
        service = self.service()
        answers = [
            self.post(service, "/auth/login", {"username": name, "password": "Wrong-horse-9!"})
            for name in (USERNAME, "nobody")
        ]
        told = [
            (answer.status, {**answer.json, "requestId": ""}, [name for name, _ in answer.headers])
            for answer in answers
        ]
        self.assertEqual(told[0], told[1])
        self.assertEqual(answers[0].status, 401)

    def test_it_serves_before_the_keys_are_there_and_says_so(self) -> None:
        self.settings["AUTH_JWKS_URL"] = "http://127.0.0.1:9/keys"
        service = self.service()
        ready = service.request("GET", "/ready")
        self.assertEqual(ready.status, 503)
        self.assertFalse(ready.json["checks"]["keys"]["ready"])
        self.assertTrue(ready.json["checks"]["service"]["ready"])
        self.assertEqual(service.request("GET", "/health").status, 200)
        token = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImR1bW15In0.e30.AAAA"
        self.assertEqual(self.closed(self.connect(service, f"authToken={token}")), (1013, "Authentication failed"))

    def test_settings_may_stand_in_a_dotenv_file(self) -> None:
        self.make_permanent()
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in self.settings.items()))
        with RunningService("--host", "127.0.0.1", cwd=folder) as service:
            service.log_in(USERNAME, PASSWORD)
