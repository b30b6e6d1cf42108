"""`/metrics`: the parts for it, made of the settings. Off unless an address of its own or a token is given.

--metrics-listen ENDPOINT                 at that address, and nowhere else
--metrics-token-file FILE                 without an address: on the service's own ports; who asks must have it
both                                      at that address, for who has the token
"""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.web.resource import IResource

from wsservice.auth.api_keys import ApiKeys
from wsservice.config import Config
from wsservice.counters import Counters
from wsservice.loop_lag import LoopLag
from wsservice.metrics.exposition import Exposition
from wsservice.metrics.names import LOOP_LAG
from wsservice.metrics.state import State
from wsservice.transports.accepting import Accepting
from wsservice.transports.listen import parse_endpoint
from wsservice.transports.port import PortFactory
from wsservice.web.limits import Limits
from wsservice.web.metrics import METRICS, metrics_resource
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch
from wsservice.web.root import put

OPTION = "--metrics-listen"


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """Where metrics have an address of their own."""

    name: str
    endpoint: IStreamServerEndpoint
    web: WsSite
    port: PortFactory


@dataclass(frozen=True, slots=True)
class Metering:
    """What measures, and where it can be asked.

    Attributes:
        exposition: writes all that is measured.
        resources: for the service's own ports, by path.
        address: where it has one of its own.
    """

    lag: LoopLag
    exposition: Exposition
    resources: Mapping[bytes, IResource]
    address: MetricsAddress | None


def parse_address(config: Config, reactor: Any) -> IStreamServerEndpoint | None:
    """The endpoint of `--metrics-listen`, if there is one.

    Raises:
        ConfigurationError: it cannot be used.
    """
    if not config.metrics_listen:
        return None
    return parse_endpoint(reactor, config.metrics_listen, config.backlog, option=OPTION)


def make_metering(
    config: Config,
    reactor: Any,
    endpoint: IStreamServerEndpoint | None,
    counters: Counters,
    state: State,
    *,
    limits: Limits,
    accepting: Accepting,
) -> Metering | None:
    """What measures from now on; None where nobody is to see it."""
    tokens = ApiKeys(config.metrics_token)
    if endpoint is None and not len(tokens):
        return None
    lag = LoopLag(reactor, counters.histogram(LOOP_LAG))
    exposition = Exposition(counters, state)
    resource = metrics_resource(exposition.write, tokens)
    if endpoint is None:
        return Metering(lag, exposition, {METRICS: resource}, None)
    root = Branch()
    put(root, METRICS, resource)
    web = WsSite(root, clock=reactor, counters=counters, limits=limits, logs_quiet=config.log_level == "debug")
    port = PortFactory(
        {},
        web,
        clock=reactor,
        counters=counters,
        head_timeout=limits.head_timeout,
        max_head=limits.head_bytes,
        max_headers=limits.headers,
        accepting=accepting,
    )
    return Metering(lag, exposition, {}, MetricsAddress(config.metrics_listen, endpoint, web, port))
