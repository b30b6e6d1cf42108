"""HTTP requests to a service: one at a time, with the cookies of a jar, bounded in time and size."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass, field
from typing import Any

from wsservice.cli.client.address import Address
from wsservice.cli.client.cookies import Jar, SetCookie
from wsservice.cli.client.sockets import TIMEOUT, explain
from wsservice.cli.command import Failed

_MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer; header names as they came."""

    status: int
    reason: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str:
        """The first header of that name; empty if there is none."""
        return next((value for one, value in self.headers if one.lower() == name.lower()), "")

    @property
    def set_cookies(self) -> list[SetCookie]:
        """The cookies that it sets."""
        return [SetCookie.parse(value) for name, value in self.headers if name.lower() == "set-cookie"]

    @property
    def json(self) -> dict[str, Any]:
        """The object in its body; empty where that is something else."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def word(self) -> str:
        """The word of an error of the service; empty where it is not the service that answers."""
        return str(self.json.get("error", ""))


class Http:
    """Requests to one service.

    Args:
        headers: sent along with each.
        jar: its cookies are sent, and those of answers kept.
    """

    def __init__(
        self,
        address: Address,
        context: ssl.SSLContext,
        jar: Jar,
        headers: tuple[tuple[str, str], ...] = (),
        timeout: float = TIMEOUT,
    ) -> None:
        self.address = address
        self.jar = jar
        self._context = context
        self._headers = headers
        self._timeout = timeout

    def get(self, target: str, *headers: tuple[str, str], cookies: bool = True) -> Answer:
        """GET; see `request`."""
        return self.request("GET", target, None, headers, cookies)

    def post(self, target: str, body: Any) -> Answer:
        """POST of JSON; see `request`."""
        return self.request("POST", target, json.dumps(body).encode(), (("Content-Type", "application/json"),), True)

    def request(
        self, method: str, target: str, body: bytes | None, headers: tuple[tuple[str, str], ...], cookies: bool
    ) -> Answer:
        """One request on a connection of its own.

        Raises:
            Failed: there is no answer; the text says why.
        """
        address = self.address
        connection: http.client.HTTPConnection
        if address.secure:
            connection = http.client.HTTPSConnection(
                address.host, address.port, timeout=self._timeout, context=self._context
            )
        else:
            connection = http.client.HTTPConnection(address.host, address.port, timeout=self._timeout)
        # http.client would leave an IPv6 host's brackets to us, and name a port that is the scheme's
        sent = [("Host", address.netloc), ("Connection", "close"), *self._headers, *headers]
        cookie = self.jar.header(target.partition("?")[0]) if cookies else ""
        if cookie:
            sent.append(("Cookie", cookie))
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in sent:
                connection.putheader(name, value.encode("latin-1"))
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            found = Answer(answer.status, answer.reason, answer.getheaders(), answer.read(_MAX_BODY))
        except OSError as error:
            raise Failed(explain(error, address)) from None
        except http.client.HTTPException as error:
            raise Failed(
                f"{address.host} port {address.port}: no HTTP answer ({type(error).__name__}); what runs there?"
            ) from None
        finally:
            connection.close()
        if cookies:
            for one in found.set_cookies:
                self.jar.take(one)
        return found
