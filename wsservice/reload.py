"""Settings that are read anew while the service runs (SIGHUP).

    every file of settings is read -> everything that may fail is tried -> nothing, or all of it, is changed

Flags and the environment stay what they were at the start; the files that they name, `.env` and the credentials may
say something else by now. What is built into parts that run (`CHANGEABLE` is what is not) needs a new process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wsservice.assembly import Parts, most_allowed
from wsservice.config import Config
from wsservice.part_settings import connection_limits
from wsservice.settings import Setting, declared, show


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a reload has come to.

    Attributes:
        config: what holds from now on.
        changed: `name=value` of each setting that has changed.
        needs_restart: the options of those that stand differently in the files, and cannot change now.
    """

    config: Config
    changed: list[str]
    needs_restart: list[str]


def reload(parts: Parts, old: Config, new: Config) -> Reloaded:
    """Let what can change be as `new` says, the certificate's files in any case.

    Raises:
        ConfigurationError: something cannot be used; nothing has changed.
    """
    different = [one for one in declared(Config) if getattr(old, one.name) != getattr(new, one.name)]
    changing = [one for one in different if _can_change(one, parts, new)]
    config = replace(old, **{one.name: getattr(new, one.name) for one in changing})
    if parts.certificate is not None:  # the last that can fail: origins are checked where they are parsed
        parts.certificate.reload(_path(config.tls_cert), _path(config.tls_key))
    for change in dict.fromkeys(_CHANGES[one.name] for one in changing):
        change(parts, config)
    return Reloaded(
        config,
        [f"{one.name}={show(getattr(config, one.name))}" for one in changing],
        [one.option for one in different if one not in changing],
    )


def is_credential(path: Path | None, environ: Mapping[str, str]) -> bool:
    """Whether a file is a credential of systemd's: a copy made at the start, which no reload makes anew."""
    directory = environ.get("CREDENTIALS_DIRECTORY")
    return bool(directory and path and Path(directory) in path.parents)


def _can_change(one: Setting, parts: Parts, new: Config) -> bool:
    if one.name in ("tls_cert", "tls_key"):  # to begin with TLS or to end it is another way to listen
        return parts.certificate is not None and new.tls_cert is not None
    if one.name in ("message_rate", "byte_rate"):  # connections without limits do not count at all
        return parts.hub.traffics is not None
    return one.name in CHANGEABLE


def _path(path: Path | None) -> Path | None:
    return None if path is None else Path(path)


def _set_origins(parts: Parts, config: Config) -> None:
    parts.origins.set(config.cors_origin, config.require_origin)


def _set_admission(parts: Parts, config: Config) -> None:
    most = most_allowed(config, parts.open_files)
    for admission in (parts.port.admission, parts.clients.admission):
        if admission is not None:
            admission.set(most=most, per_address=config.max_connections_per_address)


def _set_connections(parts: Parts, config: Config) -> None:
    parts.hub.limits = connection_limits(config)
    if parts.hub.traffics is not None:
        parts.hub.traffics.set(parts.hub.limits.traffic)


def _set_inbox(parts: Parts, config: Config) -> None:
    parts.hub.inbox_limit = config.inbox_messages
    parts.hub.inbox_bytes = config.inbox_bytes
    parts.hub.call_timeout = config.call_timeout


def _set_rates(parts: Parts, config: Config) -> None:
    parts.auth.login_rate.set(config.login_burst, config.login_interval)
    parts.auth.refresh_rate.set(config.refresh_burst, config.refresh_interval)
    parts.auth.session_rate.set(config.session_burst, config.session_interval)


def _set_log_level(parts: Parts, config: Config) -> None:
    parts.hub.logs_debug = parts.web.logs_quiet = config.log_level == "debug"


def _set_nothing(parts: Parts, config: Config) -> None:
    """Whoever needs it looks into the settings, or has done so already (the certificate)."""


_Change = Callable[[Parts, Config], None]
_CHANGES: Mapping[str, _Change] = {
    "tls_cert": _set_nothing,
    "tls_key": _set_nothing,
    "cors_origin": _set_origins,
    "require_origin": _set_origins,
    "max_connections": _set_admission,
    "max_connections_per_address": _set_admission,
    "max_connections_per_user": _set_connections,
    "when_user_is_full": _set_connections,
    "max_rooms": _set_connections,
    "max_calls": _set_connections,
    "message_rate": _set_connections,
    "byte_rate": _set_connections,
    "inbox_messages": _set_inbox,
    "inbox_bytes": _set_inbox,
    "call_timeout": _set_inbox,
    "login_burst": _set_rates,
    "login_interval": _set_rates,
    "refresh_burst": _set_rates,
    "refresh_interval": _set_rates,
    "session_burst": _set_rates,
    "session_interval": _set_rates,
    "drain_timeout": _set_nothing,
    "log_level": _set_log_level,
}
#: the settings that can change while the service runs
CHANGEABLE = frozenset(_CHANGES)


#: for whom a change counts, by what makes it
_FOR_WHOM: tuple[tuple[_Change, str], ...] = (
    (_set_origins, "handshakes, polls and requests from then on; connections that are open stay"),
    (_set_admission, "connections that come; nobody is closed for a limit that is lower now"),
    (_set_connections, "everybody, with the next connection, room, call or message"),
    (_set_inbox, "everybody, with the next message or call"),
    (_set_rates, "the next attempt, of those who have tried before, too"),
    (_set_log_level, "the next line"),
)


def describe() -> str:
    """The settings that can change, as a Markdown table for the documentation."""
    rows = [("certificate and key: files, and their names", "TLS handshakes from then on")]
    for change, whom in _FOR_WHOM:
        names = [f"`{one.env[0]}`" for one in declared(Config) if _CHANGES.get(one.name) is change]
        rows.append((", ".join(names), whom))
    rows.append(("`WSSERVICE_DRAIN_TIMEOUT`", "the stop"))
    return "| setting | counts for |\n|---|---|\n" + "".join(f"| {names} | {whom} |\n" for names, whom in rows)
