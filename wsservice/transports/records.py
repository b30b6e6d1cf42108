"""What goes into and out of OpenSSL, with as little as can be around each of its calls.

pyOpenSSL's own methods check their arguments, make a context manager and a new buffer for each call, and raise an
exception for the answer "nothing more", which ends every read: with messages of 128 bytes encrypting one costs 2.0 us
so, and decrypting one 4.3 us. Here it is 0.8 us, and 1.3 us with the question whether there is more.

Both Twisted's TLS and pyOpenSSL's connection have a `__getattr__`, which makes each look at one of their attributes
twice as dear: what is needed for each message is kept here, in slots.

The names with an underscore are pyOpenSSL's since 2013; every fault is still told by its own exceptions. All of it is
for one thread, the reactor's: the buffer is shared.
"""

from __future__ import annotations

from OpenSSL._util import ffi, lib
from OpenSSL.SSL import Connection

#: more than a record, which has 16 KiB and some bytes (RFC 8446 section 5.2)
_ROOM = 2**15
_buffer = ffi.new("char[]", _ROOM)
_view = ffi.buffer(_buffer)
_WANT_READ: int = lib.SSL_ERROR_WANT_READ
_ssl_read, _ssl_write, _ssl_error = lib.SSL_read, lib.SSL_write, lib.SSL_get_error
_bio_read, _bio_write = lib.BIO_read, lib.BIO_write


class Records:
    """The OpenSSL of one connection."""

    __slots__ = ("_connection", "_from_ssl", "_into_ssl", "_ssl")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._ssl = connection._ssl
        self._into_ssl = connection._into_ssl
        self._from_ssl = connection._from_ssl

    def encrypt(self, data: bytes) -> int:
        """Make records of the first bytes of `data`, for `take`; gives how many bytes. (`Connection.send`)

        Raises:
            OpenSSL.SSL.WantReadError: nothing was taken, since OpenSSL has to read first.
            OpenSSL.SSL.Error: the connection is over.
        """
        taken: int = _ssl_write(self._ssl, data, len(data))
        if taken <= 0:
            self._connection._raise_ssl_error(self._ssl, taken)
        return taken

    def take(self) -> bytes:
        """What OpenSSL has for the peer, or nothing. (`Connection.bio_read`)"""
        size = _bio_read(self._from_ssl, _buffer, _ROOM)
        return _view[:size] if size > 0 else b""

    def give(self, data: bytes) -> None:
        """What came from the peer. (`Connection.bio_write`)"""
        if _bio_write(self._into_ssl, data, len(data)) != len(data):
            raise MemoryError("OpenSSL has no room for what came")

    def decrypt(self) -> bytes:
        """What the peer's next record holds, or nothing if there is no whole one. (`Connection.recv`)

        Raises:
            OpenSSL.SSL.ZeroReturnError: the peer ended its TLS (close_notify).
            OpenSSL.SSL.Error: the connection is over.
        """
        size = _ssl_read(self._ssl, _buffer, _ROOM)
        if size > 0:
            data: bytes = _view[:size]
            return data
        if _ssl_error(self._ssl, size) != _WANT_READ:
            self._connection._raise_ssl_error(self._ssl, size)
        return b""
