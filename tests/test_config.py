"""Tests of `wsservice.config` and of what it makes of the whole."""

from __future__ import annotations

import dataclasses
import importlib.util
import ipaddress
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tools import make_docs
from wsservice.adapters.redis.url import RedisUrl
from wsservice.config import Config, load_config
from wsservice.errors import ConfigurationError
from wsservice.settings import declared

POOL = {
    "AWS_REGION": "us-east-1",
    "AWS_COGNITO_USER_POOL_ID": "us-east-1_AbCdEf123",
    "AWS_COGNITO_CLIENT_ID": "client",
}


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def load(self, flags: dict[str, Any] | None = None, env_file: Path | None = None, **environ: str) -> Config:
        return load_config(flags or {}, environ, env_file, directory=self.folder)

    def problems(self, flags: dict[str, Any] | None = None, env_file: Path | None = None, **environ: str) -> list[str]:
        with self.assertRaises(ConfigurationError) as caught:
            self.load(flags, env_file, **environ)
        return list(caught.exception.problems)


class LoadTests(Base):
    def test_a_user_pool_is_all_that_must_be_set(self) -> None:
        config = self.load(**POOL)
        self.assertEqual(
            (config.port, config.host, config.cognito_client_id, config.auth_cookie_name, config.log_level),
            (3020, "0.0.0.0", ("client",), "authToken", "info"),
        )
        self.assertEqual((config.jwks_cache_ttl, config.ws_path, config.provider), (86400, "/ws", "cognito"))

    def test_every_name_of_the_system_that_it_replaces(self) -> None:
        config = self.load(
            **POOL,
            PORT="8080",
            HOST="127.0.0.1",
            AWS_COGNITO_CLIENT_SECRET="s3cret",
            AWS_ACCESS_KEY_ID="AKIAEXAMPLE",
            AWS_SECRET_ACCESS_KEY="key",
            AUTH_COOKIE_NAME="token",
            JWKS_CACHE_TTL="3600",
            CORS_ORIGIN="https://a.example, https://b.example",
            LOG_LEVEL="trace",
            AWS_ENDPOINT_URL="http://127.0.0.1:5000",
            AUTH_ISSUER="https://issuer.example",
            AUTH_JWKS_URL="https://issuer.example/keys",
        )
        self.assertEqual((config.port, config.host, config.auth_cookie_name), (8080, "127.0.0.1", "token"))
        self.assertEqual((config.cognito_client_secret, config.aws_secret_access_key), ("s3cret", "key"))
        self.assertEqual((config.jwks_cache_ttl, config.log_level), (3600, "debug"))
        self.assertEqual(config.cors_origin, ("https://a.example", "https://b.example"))
        self.assertEqual(config.cognito_endpoint, "http://127.0.0.1:5000")
        self.assertEqual(
            (config.auth_issuer, config.auth_jwks_url[:14]), (("https://issuer.example",), "https://issuer")
        )

    def test_the_dotenv_file_of_the_working_directory_is_the_weakest(self) -> None:
        (self.folder / ".env").write_text("PORT=1\nHOST=127.0.0.1\nLOG_LEVEL=warn\nWSSERVICE_DEV=1\n")
        config = self.load({"port": "3"}, PORT="2", LOG_LEVEL="error")
        self.assertEqual((config.port, config.host, config.log_level, config.dev), (3, "127.0.0.1", "error", True))

    def test_a_dotenv_file_that_is_named_stands_instead(self) -> None:
        (self.folder / ".env").write_text("PORT=1\n")
        other = self.folder / "other"
        other.write_text("WSSERVICE_DEV=yes\n")
        self.assertEqual(self.load(env_file=other).port, 3020)
        problems = self.problems({"dev": "yes"}, env_file=self.folder / "missing")
        self.assertIn("missing: No such file or directory", problems[0])

    def test_no_folder_above_is_searched(self) -> None:
        (self.folder / ".env").write_text("PORT=1\n")
        below = self.folder / "below"
        below.mkdir()
        self.assertEqual(load_config({"dev": "yes"}, {}, directory=below).port, 3020)

    def test_the_working_directory_is_the_default(self) -> None:
        self.patch(Path, "cwd", lambda: self.folder)
        (self.folder / ".env").write_text("PORT=1\n")
        self.assertEqual(load_config({"dev": "yes"}, {}).port, 1)

    def test_all_problems_are_told_at_once(self) -> None:
        problems = self.problems(
            {"trusted_proxy": ["10.0.0.1/8", "10.0.0.0/8"]},
            **{**POOL, "AWS_REGION": "eu-west-1"},
            PORT="eighty",
            CORS_ORIGIN="*",
            AUTH_LEEWAY="61",
            TLS_KEY="key.pem",
        )
        for wanted in (
            "--trusted-proxy '10.0.0.1/8' is not a network",
            "PORT 'eighty' is not a port",
            "CORS_ORIGIN '*'",
        ):
            self.assertTrue(any(one.startswith(wanted) for one in problems), (wanted, problems))
        for wanted in ("AUTH_LEEWAY '61' is not a number of seconds from 0 to 60", "--tls-key without", "AWS_REGION"):
            self.assertTrue(any(wanted in one for one in problems), (wanted, problems))
        self.assertEqual(len(problems), 6)

    def test_without_a_provider_one_message_names_the_fix(self) -> None:
        self.assertEqual(
            self.problems(AWS_REGION="us-east-1"),
            [
                "No user pool: set AWS_REGION, AWS_COGNITO_USER_POOL_ID and AWS_COGNITO_CLIENT_ID "
                "(or AUTH_ISSUER, AUTH_JWKS_URL and AUTH_AUDIENCE of another issuer), or try --dev"
            ],
        )

    def test_a_proxy_is_a_network(self) -> None:
        config = self.load({"dev": "yes"}, TRUSTED_PROXIES="10.0.0.0/8,::1")
        self.assertEqual(config.trusted_proxy, (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1")))

    def test_the_certificates_file_may_hold_the_key(self) -> None:
        config = self.load(**POOL, TLS_CERT="/both.pem")
        self.assertEqual((config.tls_cert, config.tls_key), (Path("/both.pem"), Path("/both.pem")))
        self.assertEqual(self.load(**POOL, TLS_CERT="/cert.pem", TLS_KEY="/key.pem").tls_key, Path("/key.pem"))

    def test_the_environments_endpoint_can_be_switched_off(self) -> None:
        environ = {"AWS_ENDPOINT_URL": "http://localstack:4566", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}
        self.assertEqual(self.load(**POOL, **environ).cognito_endpoint, "")
        config = self.load({"cognito_endpoint": "https://proxy.example"}, **POOL, **environ)
        self.assertEqual(config.cognito_endpoint, "https://proxy.example")

    def test_cognitos_own_endpoint_variable_beats_the_general_one(self) -> None:
        environ = {
            "AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER": "https://a.example",
            "AWS_ENDPOINT_URL": "https://b.example",
        }
        self.assertEqual(self.load(**POOL, **environ).cognito_endpoint, "https://a.example")

    def test_development_listens_on_loopback_and_knows_no_pool(self) -> None:
        config = self.load({"dev": "yes"}, **POOL, AWS_ENDPOINT_URL="https://a.example", AUTH_FLOW="admin")
        self.assertEqual((config.host, config.provider), ("127.0.0.1", "dev"))
        self.assertEqual((config.cognito_user_pool_id, config.cognito_client_id, config.auth_flow), ("", (), "user"))

    def test_another_issuer_is_a_provider_of_its_own(self) -> None:
        config = self.load(
            AUTH_ISSUER="https://a.example,https://b.example",
            AUTH_JWKS_URL="https://a.example/keys",
            AUTH_AUDIENCE="one, two",
        )
        self.assertEqual((config.provider, config.auth_audience), ("oidc", ("one", "two")))


class DescriptionTests(Base):
    def test_only_what_is_not_the_default_is_described_and_no_secret(self) -> None:
        config = self.load({"log_format": "json"}, **POOL, AWS_COGNITO_CLIENT_SECRET="hush-hush", PORT="3020")
        self.assertEqual(
            config.describe(),
            "aws_region=us-east-1 cognito_user_pool_id=us-east-1_AbCdEf123 cognito_client_id=client "
            "cognito_client_secret=**** log_format=json",
        )
        self.assertNotIn("hush", repr(config))
        self.assertEqual(config.secrets, ("hush-hush",))

    def test_api_keys_are_secrets_of_which_there_may_be_several(self) -> None:
        first, second = "a" * 32, "b" * 40
        file = self.folder / "keys"
        file.write_text(f"{first}\n{second}\n")
        for flags, environ in (
            ({"api_key": [str(file)]}, {}),
            ({}, {"WSSERVICE_API_KEY": f"{first} {second}"}),
            ({}, {"WSSERVICE_API_KEY_FILE": str(file)}),
        ):
            config = self.load(flags, **POOL, **environ)
            self.assertEqual(config.api_key, (first, second))
            self.assertEqual(config.secrets, (first, second))
            self.assertNotIn(first, f"{config} {config.describe()}")
            self.assertIn("api_key=****", config.describe())
        self.assertEqual(self.load(**POOL).api_key, ())

    def test_a_key_that_can_be_guessed_is_refused_and_not_shown(self) -> None:
        for key in ("short", "k" * 31, "ü" * 32, "k" * 600):
            (problem,) = self.problems(**POOL, WSSERVICE_API_KEY=key)
            self.assertTrue(problem.startswith("WSSERVICE_API_KEY is not a key: at least 32"), problem)
            self.assertNotIn(key, problem)

    def test_what_is_rarely_meant_is_warned_of(self) -> None:
        self.assertEqual(self.load(**POOL).warnings(), [])
        warnings = self.load(
            **POOL,
            AWS_ENDPOINT_URL="https://a.example",
            AWS_SECRET_ACCESS_KEY="hush-hush",
            COOKIE_SECURE="never",
            CORS_ORIGIN="https://*.example.com,https://a.example",
        ).warnings()
        self.assertEqual(len(warnings), 4)
        self.assertIn("https://a.example, not AWS's own", warnings[0])
        self.assertTrue(warnings[3].endswith(": https://*.example.com"))
        self.assertNotIn("hush", "".join(warnings))

    def test_a_unix_socket_without_a_trusted_proxy_is_warned_of(self) -> None:
        for endpoint in ("unix:/run/a.sock", "systemd:domain=UNIX:index=0"):
            warnings = self.load({"listen": ["tcp:80", endpoint]}, **POOL).warnings()
            self.assertIn(f"--listen {endpoint}: no proxy is believed", warnings[0])
            self.assertEqual(self.load({"listen": [endpoint]}, **POOL, TRUSTED_PROXIES="127.0.0.1").warnings(), [])
        self.assertEqual(self.load({"listen": ["tcp:80"]}, **POOL).warnings(), [])

    def test_development_is_warned_of(self) -> None:
        self.assertIn("DEVELOPMENT ONLY", self.load({"dev": "yes"}).warnings()[0])

    def test_a_region_that_the_pools_id_contradicts_is_warned_of(self) -> None:
        proxied = {**POOL, "AWS_ENDPOINT_URL": "https://a.example"}
        warnings = self.load(**{**proxied, "AWS_REGION": "eu-central-1"}).warnings()
        self.assertIn("AWS_REGION is eu-central-1, and the pool's id names us-east-1", warnings[0])
        for pool in ("us-east-1_AbCdEf123", "local_abc", "pool"):
            self.assertEqual(len(self.load(**{**proxied, "AWS_COGNITO_USER_POOL_ID": pool}).warnings()), 1)


class DeclarationTests(SynchronousTestCase):
    def test_no_name_is_used_twice(self) -> None:
        settings = declared(Config)
        options = [one.option for one in settings]
        names = [name for one in settings for name in one.env]
        self.assertEqual(len(set(options)), len(options))
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(len(settings), len(dataclasses.fields(Config)))

    def test_every_default_is_one_that_could_be_set(self) -> None:
        for one in declared(Config):
            values = one.default if isinstance(one.default, tuple) else (one.default,)
            for value in values:
                if value not in ("", None) and not isinstance(value, bool):
                    self.assertEqual(one.kind.parse(f"{value:g}" if isinstance(value, float) else str(value)), value)

    def test_help_is_a_sentence_without_its_full_stop(self) -> None:
        for one in declared(Config):
            self.assertFalse(one.help.endswith("."), one.name)

    def test_the_page_of_documentation_is_current(self) -> None:
        page = Path(make_docs.PAGE).read_text()
        self.assertEqual(page, make_docs.make_page(), "run `make docs`")

    def test_the_table_of_states_in_the_documentation_is_current(self) -> None:
        page = make_docs.SOCKETIO_PAGE.read_text()
        self.assertEqual(page, make_docs.with_states(page), "run `make docs`")


class AdapterTests(Base):
    def test_a_process_is_alone_unless_it_is_told_of_a_redis(self) -> None:
        for flags, environ in (({}, {}), ({"adapter": "memory"}, {"REDIS_URL": "redis://cache"})):
            config = self.load(flags, **POOL, **environ)
            self.assertEqual((config.adapter, config.adapter_key), (None, "socket.io"))

    def test_a_redis_is_named_by_the_flag_or_the_environment(self) -> None:
        self.assertEqual(self.load(**POOL, REDIS_URL="redis://cache").adapter, RedisUrl(host="cache"))
        environ = {**POOL, "REDIS_URL": "redis://others", "WSSERVICE_ADAPTER": "redis://ours"}
        self.assertEqual(self.load(**environ).adapter, RedisUrl(host="ours"))
        self.assertEqual(self.load({"adapter": "redis://flag"}, **environ).adapter, RedisUrl(host="flag"))

    def test_the_key_is_the_flags_else_the_urls(self) -> None:
        url = {"adapter": "redis://cache?key=chat"}
        self.assertEqual(self.load(url, **POOL).adapter_key, "chat")
        self.assertEqual(self.load({**url, "adapter_key": "other"}, **POOL).adapter_key, "other")
        self.assertIn("--adapter-key 'a*' is not a prefix", self.problems({"adapter_key": "a*"}, **POOL)[0])

    def test_the_password_is_never_shown(self) -> None:
        config = self.load({"adapter": "redis://ann:geheim@cache"}, **POOL)
        self.assertNotIn("geheim", f"{config} {config.describe()} {config.warnings()}")
        self.assertIn("adapter=redis://ann:****@cache:6379/0", config.describe())
        self.assertIn("geheim", config.secrets)
        (problem,) = self.problems({"adapter": "redis://:ge/heim@cache"}, **POOL)
        self.assertEqual(problem, "--adapter names no such port or host: percent-encode a password's / ? # @ and :")

    def test_what_speaks_to_sentry_must_be_installed(self) -> None:
        self.patch(importlib.util, "find_spec", lambda name: None)
        (problem,) = self.problems(**POOL, SENTRY_DSN="https://geheim@sentry.example/42")
        self.assertEqual(problem, "SENTRY_DSN needs more than is installed: pip install wsservice[sentry], or unset it")

    def test_a_dsn_is_a_secret_and_must_be_one(self) -> None:
        config = self.load(**POOL, SENTRY_DSN="https://geheim@sentry.example/42")
        self.assertIn("sentry_dsn=****", config.describe())
        self.assertNotIn("geheim", repr(config))
        for wrong in (
            "https://sentry.example/42",
            "https://geheim@sentry.example",
            "http://geheim@sentry.example/1",
            "x",
        ):
            (problem,) = self.problems(**POOL, SENTRY_DSN=wrong)
            self.assertTrue(problem.startswith("SENTRY_DSN is not"), problem)
            self.assertNotIn("geheim", problem)

    def test_open_metrics_that_others_may_reach_are_warned_of(self) -> None:
        token = {"WSSERVICE_METRICS_TOKEN": "t" * 32}
        for endpoint, environ, count in (
            ("tcp:9100", {}, 1),
            ("tcp:9100:interface=127.0.0.1", {}, 0),
            ("unix:/run/metrics.sock", {}, 0),
            ("tcp:9100", token, 0),
        ):
            warnings = self.load({"metrics_listen": endpoint}, **POOL, **environ).warnings()
            self.assertEqual(len(warnings), count, warnings)

    def test_what_speaks_to_redis_must_be_installed(self) -> None:
        self.patch(importlib.util, "find_spec", lambda name: None)
        (problem,) = self.problems({"adapter": "redis://:geheim@cache"}, **POOL)
        self.assertEqual(
            problem, "--adapter redis://:****@cache:6379/0 needs more than is installed: pip install wsservice[redis]"
        )
        self.load(**POOL)
