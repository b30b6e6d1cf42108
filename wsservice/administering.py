"""The admin view's parts, made of the settings. Off unless `--admin-user` is given."""

from __future__ import annotations

from functools import partial
from typing import Any

from wsservice.admin.passwords import PasswordHash
from wsservice.admin.settings import AdminSettings
from wsservice.admin.view import AdminView
from wsservice.app import App
from wsservice.auth.origin import OriginPolicy
from wsservice.clients.table import Clients
from wsservice.config import Config
from wsservice.errors import ConfigurationError
from wsservice.hub import Hub
from wsservice.namespace import Namespace
from wsservice.surroundings import Surroundings
from wsservice.transports.websocket import RawFactory
from wsservice.web.rates import Buckets, Rate


def reserve_admin(config: Config, app: App) -> Namespace | None:
    """The namespace of the admin view; None where it is off.

    Raises:
        ConfigurationError: the application has one of that name.
    """
    if not config.admin_user:
        return None
    board = Namespace(config.admin_namespace)
    try:
        app.reserve(board)
    except ValueError as error:
        raise ConfigurationError(f"--admin-namespace {config.admin_namespace}: {error}; choose another one") from None
    return board


def make_admin(
    config: Config,
    reactor: Any,
    hub: Hub,
    app: App,
    board: Namespace,
    *,
    clients: Clients,
    raw: RawFactory,
    own_origins: OriginPolicy,
    around: Surroundings,
) -> AdminView:
    """The admin view, behind the door of its namespace."""
    forgot = partial(hub.counters.add, "tables_full", "rates")
    view = AdminView(
        hub,
        app,
        board,
        AdminSettings(
            user=config.admin_user,
            password=PasswordHash.parse(config.admin_password_hash),
            namespace=config.admin_namespace,
            shows_events=config.admin_mode == "development",
            read_only=config.admin_read_only,
            session_seconds=config.admin_session_lifetime,
            event_rate=config.admin_event_rate,
            list_bytes=config.send_queue_bytes // 2,
        ),
        count_clients=lambda: (len(raw.live) + len(clients), clients.polling_count),
        attempts=Buckets(Rate(config.login_burst, config.login_interval), reactor.seconds, forgot=forgot),
        own_origins=own_origins,
        in_thread=partial(around.in_thread, reactor),
        now=around.now,
    )
    clients.door = view.door
    return view
