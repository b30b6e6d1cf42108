"""The way to the service: its name, its port, its certificate."""

from __future__ import annotations

import socket
import ssl
import time
from datetime import UTC, datetime

from cryptography import x509

from wsservice.cli.client.address import Address
from wsservice.cli.client.sockets import explain
from wsservice.cli.doctor.report import Report

#: days before a certificate's end from which on it is warned of; precedent: Let's Encrypt renews 30 days before
RENEWAL = 21
_NAMES = 4


def check_dns(report: Report, address: Address) -> list[str]:
    """All addresses of the host; none if it cannot be found."""
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        report.fail("dns", explain(error, address), "correct the name, or create its A and AAAA records")
        return []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not address.is_address:
        v4 = [one for one in addresses if ":" not in one]
        v6 = [one for one in addresses if ":" in one]
        report.ok("dns", f"{address.host}: IPv4 {', '.join(v4) or 'none'}; IPv6 {', '.join(v6) or 'none'}")
    return addresses


def check_tcp(report: Report, address: Address, addresses: list[str], timeout: float) -> bool:
    """Whether one of the addresses answers. Those that do not are told: some clients try them first."""
    good, problems = [], []
    for one in addresses:
        begin = time.monotonic()
        try:
            socket.create_connection((one, address.port), timeout).close()
            good.append(f"{one} in {(time.monotonic() - begin) * 1000:.0f} ms")
        except OSError as error:
            problems.append((one, explain(error, Address(address.secure, one, address.port))))
    if good:
        report.ok("tcp", f"port {address.port} answers at {', '.join(good)}")
    for one, problem in problems:
        if not good:
            report.fail("tcp", problem, f"start the service, or open port {address.port} in the firewall")
        elif one == "::1":
            report.skip("tcp", f"::1 port {address.port} does not answer; clients go on to the next address")
        else:
            report.warn("tcp", problem, "listen there, too, or take the address out of DNS: clients lose time with it")
    return bool(good)


def check_tls(report: Report, address: Address, context: ssl.SSLContext, timeout: float, now: float) -> bool:
    """Whether TLS stands, and what is to be said of the certificate."""
    context.set_alpn_protocols(["http/1.1"])
    try:
        with (
            socket.create_connection((address.host, address.port), timeout) as sock,
            context.wrap_socket(sock, server_hostname=address.host) as tls,
        ):
            der, version, alpn = tls.getpeercert(binary_form=True), tls.version(), tls.selected_alpn_protocol()
    except ssl.SSLCertVerificationError as error:
        names = _names_of(_presented(address, timeout))
        report.fail("tls", explain(error, address), f"it is for {', '.join(names) or 'no name at all'}")
        return False
    except OSError as error:
        report.fail("tls", explain(error, address), "give ws:// if the service has no --tls-cert, or set it")
        return False
    assert der is not None
    certificate = x509.load_der_x509_certificate(der)
    unchecked = ", not checked (--insecure)" if context.verify_mode is ssl.CERT_NONE else ", chain and name are good"
    report.ok("tls", f"{version}, ALPN {alpn or 'none'}{unchecked}")
    days = (certificate.not_valid_after_utc - datetime.fromtimestamp(now, UTC)).days
    if days < RENEWAL:
        report.warn("certificate", f"it ends in {days} days", "renew it; SIGHUP has the service read it anew")
    else:
        report.ok("certificate", f"it ends in {days} days")
    return True


def _presented(address: Address, timeout: float) -> x509.Certificate | None:
    """The certificate that is there, good or not."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((address.host, address.port), timeout) as sock,
            context.wrap_socket(sock, server_hostname=address.host) as tls,
        ):
            der = tls.getpeercert(binary_form=True)
            return x509.load_der_x509_certificate(der) if der else None
    except (OSError, ValueError):
        return None


def _names_of(certificate: x509.Certificate | None) -> list[str]:
    if certificate is None:
        return []
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    found = [str(one.value) for one in names if isinstance(one, x509.DNSName | x509.IPAddress)]
    return found[:_NAMES]
