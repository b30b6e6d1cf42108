"""The service: its parts put together, listening, and coming to an end in order.

Stopping (SIGTERM, SIGINT, or twistd's own):

    1. nothing new: readiness turns red, and who comes is told so (503 with Retry-After; the ports stay open for that)
    2. every client is closed (1001), in batches where there are many; HTTP requests under way may finish
    3. handlers that still run may finish, until the drain time is over
    4. the ports are closed; what is left, half-read heads too, is cut off; the provider's work ends; exit 0

Where other processes listen at the same address the ports are closed first, so that who comes is served by those.

A second signal skips to 4, as a drain time of 0 does; every close frame is sent all the same.
"""

from __future__ import annotations

import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from math import ceil
from typing import Any, TextIO

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ReactorNotRunning
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.assembly import Parts, assemble
from wsservice.config import Config
from wsservice.errors import ConfigurationError
from wsservice.metering import OPTION
from wsservice.peers.nodes import Nodes
from wsservice.reload import is_credential, reload
from wsservice.sd_notify import Notifier
from wsservice.transports.listen import describe, is_handed_over, listen_on, page_at, scheme_of, someone_waits
from wsservice.transports.reads import Reads
from wsservice.transports.tcp import serve_by
from wsservice.transports.tls_transport import encrypt_at_once
from wsservice.web.request import WsSite

log = Logger()

#: turns of the event loop in which a stop accepts who waits for it, at most: in a flood somebody always does
_ACCEPTING_TURNS = 100
#: how often (seconds) a stop looks whether everything has ended
_LOOK = 0.02
#: seconds between two batches of clients that are closed
BATCH_INTERVAL = 0.1
#: clients that are closed in a second, at least; precedent: a socket.io server greets about as many in one core
_FEWEST = 500
#: the part of the drain time that closing may take: the last clients must still answer, and handlers end
_SPREAD = 0.8
#: seconds that who came just before a shared port was left has for the rest of a TLS handshake and a head
_LAST_COMERS = 1.0
#: seconds that a stop may take behind its drain time: the last connections, Redis, the provider
_AFTER_DRAIN = 15.0


def batch_size(clients: int, drain_timeout: float) -> int:
    """How many clients are closed at a time."""
    spread = max(BATCH_INTERVAL, _SPREAD * drain_timeout)
    return max(ceil(_FEWEST * BATCH_INTERVAL), ceil(clients * BATCH_INTERVAL / spread))


def _leave(ports: list[IListeningPort]) -> None:
    for port in ports:  # not waited for: the caller must learn of it in this turn
        port.stopListening()


class Server(MultiService):
    """The whole service; `twistd` starts and stops it.

    Args:
        config: the settings, checked.
        reactor: everything runs on it.
        signals: whether SIGTERM, SIGINT and SIGHUP are this service's.
        terminal: for what only a person should read; closed after that. By default the process's own.
        nodes: the cluster that the service is part of; None: it is alone.
        environ: of the process; by it systemd says that it wants to be told how the service is.
        reread: finds the settings anew, for a reload; raises `ConfigurationError`.
        reloaded: is told the settings that hold after it.

    Raises:
        ConfigurationError: something the settings name cannot be used (an app, a certificate).
    """

    def __init__(
        self,
        config: Config,
        *,
        reactor: Any,
        signals: bool = True,
        terminal: TextIO | None = None,
        nodes: Nodes | None = None,
        environ: Mapping[str, str] | None = None,
        reread: Callable[[], Config] | None = None,
        reloaded: Callable[[Config], None] = lambda config: None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._config = config
        self._reactor = reactor
        self._signals = signals
        self._terminal = terminal
        self._ports: list[IListeningPort] = []
        #: where other nodes come
        self._peer_ports: list[IListeningPort] = []
        self._metrics_ports: list[IListeningPort] = []
        self._reads: Reads | None = None
        self._was_asked = False
        self._stopping = False
        self._hurry = False
        #: until when those are waited for who have come and not yet said what they want
        self._waits_until = 0.0
        if signals:  # the process is ours: Twisted's timers are kept by the wall clock, and stop when that is set back
            reactor.seconds = time.monotonic
        self.parts: Parts = assemble(config, reactor, draining=lambda: self._stopping, nodes=nodes)
        self._environ = environ or {}
        self._notifier = Notifier(self._environ, reactor, self._status)
        self._reread = reread or (lambda: config)
        self._reloaded = reloaded

    @property
    def addresses(self) -> list[Any]:
        """Where it listens: Twisted's addresses, with the real port numbers."""
        return [port.getHost() for port in self._ports]

    def privilegedStartService(self) -> None:
        """Listen, while twistd still has the rights to a port below 1024.

        Raises:
            ConfigurationError: an address cannot be had.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        if self._signals:
            self._handle_signals()
        failures: list[Failure] = []
        listening = Deferred.fromCoroutine(self._listen())
        listening.addErrback(failures.append)
        for failure in failures:  # endpoints on this machine answer at once
            failure.raiseException()

    def startService(self) -> None:
        """Begin the work in the background: keys, signals."""
        super().startService()  # type: ignore[no-untyped-call]
        self.parts.provider.start()
        if self.parts.hub.adapter is not None:
            self.parts.hub.adapter.start()
        if self.parts.metering is not None:
            self.parts.metering.lag.start()
        if self.parts.admin is not None:
            self.parts.admin.start()
        if self._signals:  # once more: the reactor sets its own when it starts
            self._reactor.callWhenRunning(self._handle_signals)
        self._reactor.callWhenRunning(self._notifier.ready)
        self._greet()

    def stopService(self) -> Deferred[None]:
        """End in order; see the module's docstring."""
        return Deferred.fromCoroutine(self._stop())

    def reload(self) -> None:
        """Read certificate and settings anew (SIGHUP); connections stay, and a bad file changes nothing."""
        if self._stopping:
            return
        self._notifier.reloading()
        try:
            self._reload()
        finally:  # else systemd would wait for it until it kills the service
            self._notifier.ready()

    def _reload(self) -> None:
        try:
            result = reload(self.parts, self._config, self._reread())
        except ConfigurationError as error:
            log.error("nothing was reloaded: {reason}", reason=str(error))
            return
        self._config = result.config
        self._reloaded(result.config)
        if self.parts.certificate is not None:
            log.info("the certificate was reloaded")
            if is_credential(result.config.tls_cert, self._environ):
                log.warn(
                    "the certificate is a credential, of which systemd makes a copy at the start: if it is a new one, "
                    "restart the service"
                )
        log.info("the settings were reloaded: {changed}", changed=", ".join(result.changed) or "none has changed")
        if result.needs_restart:
            log.warn(
                "restart the service for {options}: they cannot change while it runs",
                options=", ".join(result.needs_restart),
            )

    async def _listen(self) -> None:
        """For clients, and in the same turn for peers, before anybody can ask those for a client's session."""
        ports = await listen_on(self.parts.endpoints, self.parts.port)
        peering, metering = self.parts.peering, self.parts.metering
        try:
            if peering is not None:
                incoming = peering.incoming
                self._peer_ports = await listen_on([(incoming.name, incoming.endpoint)], incoming.port, "--peer-listen")
                address = incoming.address(self._peer_ports[0].getHost())
            if metering is not None and metering.address is not None:
                metrics = metering.address
                self._metrics_ports = await listen_on([(metrics.name, metrics.endpoint)], metrics.port, OPTION)
                log.info("metrics at {address}", address=describe(self._metrics_ports[0].getHost()))
        except ConfigurationError:
            _leave([*ports, *self._peer_ports])
            raise
        self._listening(ports)
        if peering is not None:
            log.info("listening for other nodes on {address}", address=describe(self._peer_ports[0].getHost()))
            peering.outgoing.nodes.listening(address)

    def _listening(self, ports: list[IListeningPort]) -> None:
        self._ports = ports
        if hasattr(select, "epoll"):
            self._reads = Reads(self._reactor, self.parts.hub.counters)
        every = [*ports, *self._peer_ports, *self._metrics_ports]
        serve_by(self._reads, every)
        encrypt_at_once(ports)
        self.parts.accepting.ports = [port for port in every if hasattr(port, "stopReading")]
        log.info(
            "{files} files may be open, and {most} connections",
            files=self.parts.open_files,
            most=self.parts.port.admission.most,
        )
        for address, scheme in zip(self.addresses, self._schemes(), strict=True):
            log.info("listening on {address} ({scheme})", address=describe(address), scheme=scheme)

    def _status(self) -> str:
        """One line for `systemctl status`."""
        clients = f"{len(self.parts.hub.registry)} connections"
        if self._stopping:
            return f"stopping: {clients}"
        return f"serving {clients} on {', '.join(describe(address) for address in self.addresses)}"

    def _schemes(self) -> list[str]:
        tls = self.parts.certificate is not None
        return [scheme_of(name, tls=tls) for name, _ in self.parts.endpoints]

    def _greet(self) -> None:
        """Tell a person at the terminal what only a person should read; the log never has it."""
        standard = sys.__stderr__ if self._config.log_format == "json" else sys.__stdout__
        terminal = self._terminal or standard
        with suppress(OSError):  # nobody reads any more: no reason not to serve
            if self.parts.greeting and terminal is not None:
                terminal.write("".join(f"{line}\n" for line in [*self._pages(), *self.parts.greeting]))
                terminal.flush()
            if self._terminal is not None:
                self._terminal.close()

    def _pages(self) -> list[str]:
        pages = [page_at(address, scheme) for address, scheme in zip(self.addresses, self._schemes(), strict=True)]
        return ["", *(f"Open {page}" for page in pages if page)]

    def _handle_signals(self) -> None:
        # twistd would exit by the signal; a service that has drained has succeeded.
        handlers: dict[int, Callable[[], None]] = {
            signal.SIGTERM: self._asked_to_stop,
            signal.SIGINT: self._asked_to_stop,
            signal.SIGHUP: self.reload,
        }
        for number, handler in handlers.items():
            signal.signal(number, lambda *_, handler=handler: self._reactor.callFromThread(handler))
        # What the reactor sets when it starts: else a signal that comes then ends the process by itself.
        self._reactor.sigTerm = self._reactor.sigInt = lambda *_: self._reactor.callFromThread(self._asked_to_stop)

    def _asked_to_stop(self) -> None:
        if self._was_asked or self._stopping:
            self._hurry = True
            return
        self._was_asked = True
        with suppress(ReactorNotRunning):  # somebody else has stopped it in this very turn
            self._reactor.stop()

    async def _stop(self) -> None:
        self._stopping = True
        parts = self.parts
        self._notifier.stopping(self._config.drain_timeout + _AFTER_DRAIN)
        log.info("stopping: {count} connections", count=len(parts.hub.registry))
        parts.port.draining = True
        if parts.peering is not None:
            parts.peering.incoming.port.draining = True
        parts.hub.draining = True
        await self._leave_shared_ports()
        for site in self._sites:
            site.finish_up()
        deadline = self._reactor.seconds() + self._config.drain_timeout
        await self._close_clients()
        looked = False  # once at least, whatever the hurry: in that turn the close frames leave
        while self._is_busy() and not (looked and (self._hurry or self._reactor.seconds() >= deadline)):
            await deferLater(self._reactor, _LOOK)
            looked = True
        if parts.hub.running:
            log.warn("{count} clients' handlers have not ended and are left alone", count=parts.hub.running)
        self._count_cut_off()
        await self._stop_listening(self._ports)
        await self._stop_listening(self._peer_ports)
        parts.port.close_waiting()
        for factory in self._factories:
            for protocol in list(factory.live):
                protocol.cut_off()
        for site in self._sites:
            site.close_all()
        if parts.peering is not None:
            parts.peering.incoming.port.close_waiting()
            parts.peering.outgoing.links.stop()
        await deferLater(self._reactor, 0)  # the connections that were cut off learn of it
        if self._reads is not None:
            self._reads.stop()
        parts.clients.stop()
        parts.hub.expirations.stop()
        if parts.admin is not None:
            parts.admin.stop()
        if parts.hub.adapter is not None:
            await parts.hub.adapter.stop()
        await parts.provider.stop()
        await self._stop_metering()
        await maybeDeferred(super().stopService)
        for line in parts.hub.counters.summary():
            log.info("counted: {counts}", counts=line)
        self._notifier.close()
        log.info("stopped")
        if self._signals:  # nothing is left to hurry; Python's own end would exit by a signal that comes now
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, signal.SIG_IGN)

    async def _stop_metering(self) -> None:
        """Last, so that the stop itself can be watched."""
        metering = self.parts.metering
        if metering is None:
            return
        metering.lag.stop()
        while self._metrics_ports:
            await maybeDeferred(self._metrics_ports.pop().stopListening)
        if metering.address is not None:
            metering.address.port.close_waiting()
            metering.address.web.close_all()

    async def _leave_shared_ports(self) -> None:
        """Leave new clients to the other processes that listen at the same address, or to the next one there."""
        if self._config.reuse_port:
            self._wait_for_last_comers()
            await self._stop_listening(self._ports)
        elif all(is_handed_over(name) for name, _ in self.parts.endpoints):
            # Who waits in the queue of the one socket waits for the others, too.
            self._wait_for_last_comers()
            self.parts.accepting.ports = []
            while self._ports:
                await maybeDeferred(self._ports.pop().stopListening)

    def _wait_for_last_comers(self) -> None:
        """They were about to be served, and the next process would serve them: tell them, rather than break off."""
        self._waits_until = self._reactor.seconds() + min(_LAST_COMERS, self._config.drain_timeout)

    async def _stop_listening(self, ports: list[IListeningPort]) -> None:
        """Close the ports, and answer those who came before; whom nobody accepts the system would reset.

        They are accepted in one turn of the event loop (some of them: Twisted takes a few more each time), read in the
        next, and told in the third.
        """
        turns = 0
        while turns == 0 or (turns < _ACCEPTING_TURNS and someone_waits(ports)):
            await deferLater(self._reactor, 0)
            turns += 1
        self.parts.accepting.ports = []
        while ports:
            await maybeDeferred(ports.pop().stopListening)
        for _ in range(2):
            await deferLater(self._reactor, 0)

    async def _close_clients(self) -> None:
        """Close every client, in batches spread over most of the drain time, so that not all return at once."""
        parts, clock = self.parts, self._reactor
        parts.clients.draining = True
        closing: list[Callable[[], None]] = [protocol.drain for protocol in parts.raw.stop_opening()]
        closing += [partial(parts.clients.end, client) for client in parts.clients]
        batch = batch_size(len(closing), self._config.drain_timeout)
        while closing:
            if self._hurry:
                batch = len(closing)
            for close in closing[:batch]:
                close()
            del closing[:batch]
            if closing:
                await deferLater(clock, BATCH_INTERVAL)
        for factory in self._factories[1:]:  # those that belong to no session, any more or yet, or to another node's
            for protocol in factory.stop_opening():
                protocol.drain()
        if parts.peering is not None:
            parts.peering.outgoing.passing.drain()

    def _count_cut_off(self) -> None:
        """Count what has not ended by the drain deadline."""
        parts = self.parts
        for reason, amount in (
            ("clients", sum(len(factory.live) for factory in self._factories)),
            ("handlers", parts.hub.running),
            ("requests", sum(site.busy for site in self._sites)),
        ):
            if amount:
                parts.hub.counters.add("drain_cut_off", reason, amount)

    def _is_busy(self) -> bool:
        if self.parts.hub.running or any(factory.live for factory in self._factories):
            return True
        if self.parts.port.waiting and self._reactor.seconds() < self._waits_until:
            return True
        return any(site.is_busy for site in self._sites)

    @property
    def _factories(self) -> list[Any]:
        """Of WebSockets, that of raw ones first."""
        parts = self.parts
        peering = [] if parts.peering is None else [parts.peering.incoming.socketio, parts.peering.outgoing.splices]
        return [parts.raw, parts.socketio, *peering]

    @property
    def _sites(self) -> list[WsSite]:
        """Of requests, also of those that peers pass on."""
        return [self.parts.web, *([] if self.parts.peering is None else [self.parts.peering.incoming.web])]
