"""What each part is told of the settings: one function for each kind of part. Nothing is made here that runs."""

from __future__ import annotations

from collections.abc import Callable

from wsservice.clients.settings import Settings as ClientSettings
from wsservice.config import Config
from wsservice.connection_limits import ConnectionLimits
from wsservice.engineio.settings import Settings as EngineSettings
from wsservice.traffic import TrafficLimits
from wsservice.transports.websocket import Settings as RawSettings
from wsservice.web.limits import Limits
from wsservice.web.polling import PollingSettings
from wsservice.web.rates import Rate
from wsservice.web.services import AuthSettings
from wsservice.web.session_cookies import SessionCookies


def connection_limits(config: Config) -> ConnectionLimits:
    """What one user and one connection may have."""
    return ConnectionLimits(
        per_user=config.max_connections_per_user,
        when_full=config.when_user_is_full,
        rooms=config.max_rooms,
        calls=config.max_calls,
        traffic=TrafficLimits(config.message_rate, config.byte_rate),
    )


def raw_settings(config: Config) -> RawSettings:
    """Of raw WebSockets."""
    return RawSettings(
        max_message_size=config.max_message_size,
        max_fragments=config.max_fragments,
        send_queue_bytes=config.send_queue_bytes,
        send_queue_messages=config.send_queue_messages,
        ping_interval=config.ping_interval / 1000,
        ping_timeout=config.ping_timeout / 1000,
        unread_timeout=config.unread_timeout,
        compression=config.compression,
        reject_by_http=config.reject == "http",
        trusted_proxies=config.trusted_proxy,
    )


def client_settings(config: Config) -> ClientSettings:
    """Of Socket.IO clients."""
    return ClientSettings(
        engine=EngineSettings(
            ping_interval=config.ping_interval / 1000,
            ping_timeout=config.ping_timeout / 1000,
            upgrade_timeout=config.upgrade_timeout / 1000,
            max_payload=config.max_http_buffer_size,
            max_packets=config.max_poll_packets,
            websocket="websocket" in config.transports,
            polling="polling" in config.transports,
            allow_upgrades=config.allow_upgrades,
        ),
        connect_timeout=config.connect_timeout / 1000,
        max_queue=config.send_queue_bytes,
        max_queue_messages=config.send_queue_messages,
        max_attachments=config.max_attachments,
        max_attachment_bytes=config.max_attachment_bytes,
        max_namespaces=config.max_namespaces,
        max_open_namespaces=config.max_open_namespaces,
    )


def auth_settings(config: Config, cookies: SessionCookies) -> AuthSettings:
    """Of `/auth`."""
    return AuthSettings(
        cookies=cookies,
        login_rate=Rate(config.login_burst, config.login_interval),
        refresh_rate=Rate(config.refresh_burst, config.refresh_interval),
        session_rate=Rate(config.session_burst, config.session_interval),
    )


def site_limits(config: Config) -> Limits:
    """Of requests."""
    return Limits(
        head_bytes=config.max_head_size,
        headers=config.max_headers,
        head_timeout=config.handshake_timeout,
        body_timeout=min(Limits().body_timeout, config.body_timeout),
        write_timeout=config.unread_timeout,
    )


def polling_settings(config: Config) -> PollingSettings:
    """Of long-polling."""
    return PollingSettings(config.http_compression, sticky_cookie(config), config.body_timeout)


def sticky_cookie(config: Config) -> Callable[[str], str] | None:
    """The line of the cookie by which a load balancer keeps a client on one process; nobody here reads it."""
    if not config.sticky_cookie:
        return None
    attributes = "Path=/; HttpOnly; SameSite=Lax"
    if config.cookie_same_site == "None":
        attributes = "Path=/; HttpOnly; SameSite=None; Secure"
    return lambda sid: f"{config.sticky_cookie}={sid}; {attributes}"
