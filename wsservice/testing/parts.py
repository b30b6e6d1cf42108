"""The service's real parts, put together by `assembly` from real settings; only clocks and keys are the test's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import maybeDeferred

from wsservice.app import App
from wsservice.assembly import Parts, assemble
from wsservice.config import Config, load_config
from wsservice.settings import declared
from wsservice.surroundings import Surroundings
from wsservice.testing.clock import SteppingClock
from wsservice.testing.provider import UserPool
from wsservice.testing.tokens import CLIENT_ID, REGION, USER_POOL, Issuer

#: connections that a test may open
_OPEN_FILES = 100_000
#: no `.env` is there
_FOLDER = Path(__file__).parent


def load_settings(given: dict[str, Any]) -> Config:
    """The settings of a service with a user pool; nothing of the process's environment or its `.env` counts.

    Args:
        given: by the names of `Config`, such as `message_rate=5`.

    Raises:
        TypeError: there is no such setting.
        ConfigurationError: a value is wrong.
    """
    environ = {
        "AWS_REGION": REGION,
        "AWS_COGNITO_USER_POOL_ID": USER_POOL,
        "AWS_COGNITO_CLIENT_ID": CLIENT_ID,
    }
    known = {one.name: one for one in declared(Config)}
    for name, value in given.items():
        if name not in known:
            raise TypeError(f"no setting {name!r}: docs/configuration.md has all of them, such as message_rate=5")
        environ[known[name].env[0]] = _text(value, known[name].separator)
    return load_config({}, environ, directory=_FOLDER)


def make_parts(
    app: App, config: Config, *, clock: SteppingClock, issuer: Issuer, draining: Callable[[], bool]
) -> tuple[Parts, UserPool]:
    """All that runs, on a clock, with a pool that knows whoever a test names."""
    pool = UserPool(
        issuer,
        now=clock.seconds,
        leeway=config.auth_leeway,
        required_groups=frozenset(config.required_groups),
        required_scopes=frozenset(config.required_scopes),
    )
    around = Surroundings(
        now=clock.seconds,
        monotonic=clock.seconds,
        app=app,
        provider=pool,
        open_files=lambda: _OPEN_FILES,
        in_thread=lambda reactor, function, *args: maybeDeferred(function, *args),
    )
    return assemble(config, clock, draining, around=around), pool


def _text(value: Any, separator: str | None) -> str:
    """A value as it would stand in the environment."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple | set | frozenset):
        return (separator or ",").join(str(one) for one in value)
    return str(value)
