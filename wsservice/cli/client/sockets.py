"""TCP and TLS to a service, and what to tell a person when there is none."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from pathlib import Path

from wsservice.cli.client.address import Address
from wsservice.cli.command import Failed, refused

#: seconds for TCP, for TLS, and for an answer; precedent: curl waits 300 for the first, people do not
TIMEOUT = 10.0


def make_context(*, insecure: bool = False, ca: str | None = None) -> ssl.SSLContext:
    """How a service's certificate is checked.

    Args:
        insecure: not at all.
        ca: a PEM file with authorities, in place of the system's.

    Raises:
        Failed: the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca and str(Path(ca).expanduser()))
    except OSError as error:  # SSLError is one, too
        raise refused(f"--ca {ca}: {error.strerror or 'no certificate is in it'}; name a PEM file") from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def connect(address: Address, context: ssl.SSLContext, timeout: float = TIMEOUT) -> socket.socket:
    """A connection to the service, by TLS where the address says so.

    Raises:
        Failed: there is none; the text says why, and what to do.
    """
    sock = None
    try:
        sock = socket.create_connection((address.host, address.port), timeout)
        with suppress(OSError):  # not a TCP socket, in a test
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address.secure:
            return context.wrap_socket(sock, server_hostname=address.host)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise Failed(explain(error, address)) from None
    return sock


def explain(error: OSError, address: Address) -> str:
    """Why there is no connection, and what to do about it."""
    where = f"{address.host} port {address.port}"
    if isinstance(error, socket.gaierror):
        return f"{address.host}: no such host; check the name, and DNS"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"{where}: the certificate is not accepted: {error.verify_message}; {_certificate_fix(error, address)}"
    if isinstance(error, ssl.SSLError):
        reason = (error.reason or "unknown").replace("_", " ").lower()
        return f"{where}: no TLS: {reason}; {'is it ws:// there?' if 'wrong version' in reason else 'see its log'}"
    if isinstance(error, TimeoutError):
        return f"{where}: no answer in time; is a firewall in between?"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: nothing listens there; is the service running, and the port right?"
    if isinstance(error, ConnectionResetError):
        hint = "" if address.secure else "; is it wss:// there?"
        return f"{where}: the connection was closed without an answer{hint}"
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"{where}: there is no way to it from here ({error.strerror})"
    return f"{where}: {error.strerror or error}"


def _certificate_fix(error: ssl.SSLCertVerificationError, address: Address) -> str:
    text = error.verify_message.lower()
    if "mismatch" in text or "match" in text:
        return f"use a name that it is for, or get one for {address.host}"
    if "expired" in text:
        return "renew it, and send the service SIGHUP"
    if "not yet valid" in text:
        return "check this machine's clock"
    if "self-signed certificate in" in text or "unable to get" in text:
        return "give its authority by --ca FILE; a public one's chain must be whole in the service's --tls-cert"
    return "give it by --ca FILE, or --insecure for a test"
