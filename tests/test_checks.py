"""Tests of `wsservice.checks`."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_config import POOL, Base
from wsservice.checks import Problems
from wsservice.errors import ConfigurationError


class ProblemsTests(SynchronousTestCase):
    def test_what_several_steps_refuse_is_told_at_once(self) -> None:
        def refuse(*problems: str) -> None:
            raise ConfigurationError(*problems)

        problems = Problems()
        self.assertEqual(problems.during(lambda: 3), 3)
        problems.check()
        problems.during(lambda: refuse("a", "b"))
        problems.during(lambda: refuse("c"))
        error = self.assertRaises(ConfigurationError, problems.check)
        self.assertEqual(error.problems, ("a", "b", "c"))


class ProviderTests(Base):
    def test_a_pool_that_is_named_by_half(self) -> None:
        half = {"AWS_COGNITO_USER_POOL_ID": "us-east-1_AbCdEf123"}
        expected = "The user pool is named by half: set AWS_REGION and AWS_COGNITO_CLIENT_ID, too"
        self.assertEqual(self.problems(**half), [expected])
        self.assertEqual(
            self.problems(**half, AWS_REGION="us-east-1"),
            ["The user pool is named by half: set AWS_COGNITO_CLIENT_ID, too"],
        )

    def test_a_pool_of_another_region_is_refused_but_for_an_emulators(self) -> None:
        environ = {**POOL, "AWS_REGION": "eu-central-1"}
        self.assertIn("is not in AWS_REGION 'eu-central-1'", self.problems(**environ)[0])
        environ = {**environ, "AWS_COGNITO_USER_POOL_ID": "local_abc", "AWS_ENDPOINT_URL": "http://localhost:9229"}
        self.assertEqual(self.load(**environ).cognito_user_pool_id, "local_abc")

    def test_an_audience_beside_a_pool_is_refused(self) -> None:
        self.assertIn("AWS_COGNITO_CLIENT_ID", self.problems(**POOL, AUTH_AUDIENCE="other")[0])

    def test_the_admin_flow_needs_a_key(self) -> None:
        expected = ["--auth-flow admin needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]
        self.assertEqual(self.problems({"auth_flow": "admin"}, **POOL, AWS_ACCESS_KEY_ID="AKIA"), expected)
        config = self.load(**POOL, AUTH_FLOW="admin", AWS_ACCESS_KEY_ID="AKIA", AWS_SECRET_ACCESS_KEY="x")
        self.assertEqual(config.auth_flow, "admin")

    def test_a_login_must_give_a_token_that_is_accepted(self) -> None:
        problems = self.problems(**POOL, AUTH_TOKEN_USE="id")
        self.assertEqual(problems, ["AUTH_LOGIN_TOKEN access is not among AUTH_TOKEN_USE id: nobody could log in"])
        self.assertEqual(self.load(**POOL, AUTH_TOKEN_USE="id", AUTH_LOGIN_TOKEN="id").auth_token_use, ("id",))

    def test_an_issuer_that_is_named_by_half(self) -> None:
        self.assertIn("set AUTH_JWKS_URL and AUTH_AUDIENCE, too", self.problems(AUTH_ISSUER="https://a.example")[0])
        problems = self.problems(AUTH_JWKS_URL="https://a.example/keys", AUTH_AUDIENCE="one")
        self.assertIn("set AUTH_ISSUER, too", problems[0])

    def test_the_clients_of_cognito_serve_as_audience(self) -> None:
        environ = {"AUTH_ISSUER": "https://a.example", "AUTH_JWKS_URL": "https://a.example/keys"}
        self.assertEqual(self.load(**environ, AWS_COGNITO_CLIENT_ID="one").provider, "oidc")

    def test_what_does_not_parse_is_not_called_missing_as_well(self) -> None:
        problems = self.problems(AUTH_ISSUER="nothing", AUTH_JWKS_URL="http://a.example/keys", AUTH_AUDIENCE="one")
        self.assertEqual(len(problems), 2)
        self.assertFalse([one for one in problems if "named by half" in one])

    def test_development_beats_a_pool_that_is_set_in_a_weaker_place(self) -> None:
        self.assertTrue(self.load({"dev": "yes"}, **POOL).dev)
        (self.folder / ".env").write_text("AUTH_ISSUER=https://a.example\n")
        self.assertTrue(self.load(WSSERVICE_DEV="1").dev)

    def test_development_and_a_pool_of_one_place_exclude_each_other(self) -> None:
        expected = "--dev and AWS_COGNITO_USER_POOL_ID are both set, and only one can be meant: unset the other"
        self.assertEqual(self.problems(**POOL, WSSERVICE_DEV="1"), [expected])
        (self.folder / ".env").write_text("WSSERVICE_DEV=1\n")
        self.assertEqual(self.problems(**POOL), [expected])
        self.assertIn("AUTH_ISSUER", self.problems(AUTH_ISSUER="https://a.example")[0])


class ListeningTests(Base):
    def test_a_key_needs_its_certificate(self) -> None:
        self.assertEqual(
            self.problems({"dev": "yes", "tls_key": "key.pem"}),
            ["--tls-key without --tls-cert: name the certificate's file, too"],
        )

    def test_development_is_for_this_machine_only(self) -> None:
        for host in ("0.0.0.0", "::", "10.0.0.1", "example.com"):
            self.assertIn(f"--host {host} may be reached", self.problems({"dev": "yes"}, HOST=host)[0])
        for host in ("127.0.0.1", "127.0.0.2", "::1", "localhost"):
            self.assertEqual(self.load({"dev": "yes"}, HOST=host).host, host)

    def test_development_on_endpoints_of_this_machine(self) -> None:
        good = ["tcp:80:interface=127.0.0.1", r"tcp6:80:interface=\:\:1", "unix:/run/ws.sock:mode=660"]
        good += ["ssl:443:interface=localhost:privateKey=k.pem"]
        good += ["haproxy:tcp:80:interface=127.0.0.1", "haproxy:unix:/run/ws.sock"]
        self.assertEqual(self.load({"dev": "yes", "listen": good}, HOST="0.0.0.0").listen, tuple(good))
        wrong = [
            "tcp:80",
            "tcp:80:interface=0.0.0.0",
            "systemd:domain=INET:index=0",
            "haproxy:tcp:80",
            "haproxy:tcp:80:interface=0.0.0.0",
            "haproxy:systemd:domain=INET:index=0",
            "haproxy",
            "tcp:1:interface=",
        ]
        problems = self.problems({"dev": "yes", "listen": [*good, *wrong]})
        self.assertEqual(len(problems), 1)
        self.assertIn(", ".join(f"--listen {one}" for one in wrong), problems[0])

    def test_development_on_an_endpoint_of_no_known_type_says_so(self) -> None:
        problems = self.problems({"dev": "yes", "listen": ["foo:1", "nonsense", "tcp:80"]})
        self.assertEqual(len(problems), 3)
        self.assertIn("--listen foo:1: unknown endpoint type 'foo'; give for example tcp:3020", problems[0])
        self.assertIn("--listen nonsense: unknown endpoint type 'nonsense'", problems[1])
        self.assertIn("--dev is for this machine only, and --listen tcp:80 may", problems[2])

    def test_no_path_is_another_or_below_it(self) -> None:
        for ws_path, socketio_path in (("/a", "/a"), ("/a", "/a/b"), ("/a/b", "/a")):
            problems = self.problems({"dev": "yes", "ws_path": ws_path, "socketio_path": socketio_path})
            self.assertIn("neither may be the other or below it", problems[0])
        self.assertEqual(self.load({"dev": "yes", "ws_path": "/ab", "socketio_path": "/a"}).ws_path, "/ab")
        self.assertIn("is taken", self.problems({"dev": "yes", "ws_path": "/static"})[0])

    def test_a_stream_is_no_endpoint_for_clients(self) -> None:
        for flags, environ in (({"dev": "yes", "listen": ["stdio:"]}, {}), ({"listen": ["stdio:"]}, POOL)):
            problems = self.problems(flags, **environ)
            self.assertEqual([one[:28] for one in problems], ["--listen stdio: is one stream"[:28]])

    def test_a_port_is_shared_at_host_and_port_only(self) -> None:
        flags = {"dev": "yes", "reuse_port": "yes"}
        self.assertTrue(self.load(flags).reuse_port)
        self.assertIn("--reuse-port is for --host and --port", self.problems({**flags, "listen": ["unix:/x"]})[0])

    def test_a_pool_may_be_served_anywhere(self) -> None:
        self.assertEqual(self.load({"listen": ["systemd:domain=INET:index=0"]}, **POOL).host, "0.0.0.0")


class CookieTests(Base):
    def test_two_cookies_need_two_names(self) -> None:
        self.assertIn("choose two names", self.problems({"dev": "yes"}, REFRESH_COOKIE_NAME="authToken")[0])

    def test_a_host_cookie_is_for_the_whole_host(self) -> None:
        self.assertIn("/auth", self.problems({"dev": "yes"}, REFRESH_COOKIE_NAME="__host-refresh")[0])
        self.assertEqual(self.load({"dev": "yes"}, AUTH_COOKIE_NAME="__Host-a").auth_cookie_name, "__Host-a")

    def test_what_browsers_drop_without_secure_is_refused(self) -> None:
        problems = self.problems(
            {"dev": "yes", "cookie_secure": "never"},
            COOKIE_SAME_SITE="none",
            AUTH_COOKIE_NAME="__Secure-a",
            REFRESH_COOKIE_NAME="plain",
        )
        self.assertEqual(
            problems,
            [
                "--cookie-same-site None needs --cookie-secure auto or always: browsers drop it otherwise",
                "the cookie __Secure-a needs --cookie-secure auto or always: browsers drop it otherwise",
            ],
        )
        self.assertEqual(self.load({"dev": "yes", "cookie_secure": "never"}).cookie_secure, "never")

    def test_a_relative_key_file_survives_a_change_of_folder(self) -> None:
        self.assertEqual(self.load({"dev": "yes", "tls_cert": "a.pem"}).tls_cert, Path.cwd() / "a.pem")


class AdminTests(Base):
    def test_the_admin_view_is_named_wholly_or_not_at_all(self) -> None:
        hash = "scrypt:14:8:1:AAAAAAAAAAAAAAAAAAAAAA:" + "A" * 43
        self.assertIn("wsservice admin-hash makes it", self.problems({"admin_user": "ann"}, **POOL)[0])
        self.assertEqual(
            self.problems(**POOL, ADMIN_PASSWORD_HASH=hash, WSSERVICE_ADMIN_READ_ONLY="yes"),
            [
                "--admin-password-hash and --admin-read-only without --admin-user: name who may log in to the admin "
                "view, or leave it away"
            ],
        )
        self.load({"admin_user": "ann"}, **POOL, ADMIN_PASSWORD_HASH=hash)

    def test_a_hash_that_is_none_is_refused_and_not_shown(self) -> None:
        (problem,) = self.problems({"admin_user": "ann"}, **POOL, ADMIN_PASSWORD_HASH="hunter2")
        self.assertIn("is not a hash that `wsservice admin-hash` prints", problem)
        self.assertNotIn("hunter2", problem)

    def test_the_main_namespace_is_the_applications(self) -> None:
        for name, part in (("/", "the main namespace"), ("admin", "begins with a slash"), ("/a,b", "no comma")):
            found = self.problems({"admin_user": "ann", "admin_namespace": name}, **POOL, ADMIN_PASSWORD_HASH="")
            self.assertTrue(any(part in one for one in found), found)
