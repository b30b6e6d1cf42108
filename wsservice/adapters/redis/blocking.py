"""A Redis for programs without an event loop: one connection that publishes, and waits for the answer.

What is known not to have reached Redis is sent once more, on a new connection: where the old one was closed while
nothing was sent (Redis's `timeout`, a proxy, a restart), or broke before the command was whole. Where an answer does
not come, nobody knows whether the message was published: then it is not repeated, and `RedisUnavailable` is raised.
"""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import threading
from weakref import WeakSet

from wsservice.adapters.redis.resp import Reader, Reply, encode, encode_publish
from wsservice.adapters.redis.url import RedisUrl
from wsservice.errors import RedisRefused, RedisUnavailable

#: bytes of one string in an answer; those to PUBLISH and AUTH are a line
_MOST = 65536
_READ = 65536


class BlockingRedis:
    """Publishes; threads may share it, and take turns. It connects when it is first used, and again when it must.

    A process that was forked with it has a connection of its own.

    Args:
        timeout: seconds for a connection, and for an answer.
    """

    def __init__(self, url: RedisUrl, *, timeout: float = 5.0) -> None:
        self.url = url
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        _ALIVE.add(self)

    def publish(self, channel: bytes, message: bytes) -> int:
        """Publish a message; gives how many connections have heard it.

        Raises:
            RedisUnavailable: Redis cannot be reached, or did not answer; the text says which.
            RedisRefused: it answered with an error.
        """
        with self._lock:
            reply = self._ask(encode_publish(channel, message))
        if isinstance(reply, RedisRefused):
            raise reply
        if type(reply) is not int:
            raise RedisUnavailable(f"{self.url} answers what no Redis does: is something else listening there?")
        return reply

    def close(self) -> None:
        """End the connection; the next use makes a new one."""
        with self._lock:
            self._drop()

    def forget(self) -> None:
        """Begin anew in a process that was forked: the connection is the parent's."""
        self._lock = threading.Lock()
        self._drop()

    def _ask(self, command: bytes) -> Reply:
        if self._socket is not None and not _is_quiet(self._socket):
            self._drop()
        if self._socket is not None:
            try:
                self._socket.sendall(command)
            except TimeoutError as error:
                raise self._lost("takes nothing", error) from error
            except OSError:  # it was not sent to its end, so Redis has not carried it out
                self._drop()
            else:
                return self._read(self._socket)
        connection = self._connect()
        self._send(connection, command)
        return self._read(connection)

    def _connect(self) -> socket.socket:
        url = self.url
        try:
            self._socket = connection = _open(url, self._timeout)
        except OSError as error:
            raise self._lost("cannot be reached: is it running, and is the URL right?", error) from error
        if url.password:
            who = (url.username,) if url.username else ()
            self._send(connection, encode("AUTH", *who, url.password))
            reply = self._read(connection)
            if isinstance(reply, RedisRefused):
                self._drop()
                raise reply
        return connection

    def _send(self, connection: socket.socket, command: bytes) -> None:
        try:
            connection.sendall(command)
        except OSError as error:
            raise self._lost("takes nothing", error) from error

    def _read(self, connection: socket.socket) -> Reply:
        reader = Reader(_MOST)
        try:
            while True:
                data = connection.recv(_READ)
                if not data:
                    raise ConnectionResetError("it closed the connection")
                replies = reader.feed(data)
                if replies:
                    return replies[0]
        except OSError as error:
            raise self._lost("does not answer: what was sent last may have arrived or not", error) from error
        except BaseException:  # KeyboardInterrupt, too: the answer would be taken for that of the next command
            self._drop()
            raise

    def _lost(self, what: str, error: OSError) -> RedisUnavailable:
        self._drop()
        return RedisUnavailable(f"{self.url} {what} ({error.strerror or error})")

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


#: those whose connection a forked process must leave alone
_ALIVE: WeakSet[BlockingRedis] = WeakSet()


def _forget_all() -> None:
    for one in list(_ALIVE):
        one.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _open(url: RedisUrl, timeout: float) -> socket.socket:
    if url.path:
        local = socket.socket(socket.AF_UNIX)
        try:
            local.settimeout(timeout)
            local.connect(url.path)
        except OSError:
            local.close()
            raise
        return local
    plain = socket.create_connection((url.host, url.port), timeout)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if not url.tls:
        return plain
    try:
        context = ssl.create_default_context(cafile=url.ca or None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context.wrap_socket(plain, server_hostname=url.host)
    except OSError:  # ssl's own errors are of it
        plain.close()
        raise


def _is_quiet(connection: socket.socket) -> bool:
    """Whether nothing has come that was not asked for: the end of the connection, above all."""
    # poll() where there is one: select() knows no descriptor from 1,024 on
    with getattr(selectors, "PollSelector", selectors.SelectSelector)() as selector:
        selector.register(connection, selectors.EVENT_READ)
        return not selector.select(0)
