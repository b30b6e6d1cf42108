"""Tests of wsservice.engineio.query: every row of SOCKETIO.md 1.3, and the order in which faults are found."""

from __future__ import annotations

import itertools
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tests.tables import by_row, rows
from wsservice.engineio.query import (
    BadHandshakeMethod,
    BadRequest,
    Forbidden,
    Query,
    RequestError,
    TransportUnknown,
    UnknownSid,
    UnsupportedVersion,
    read_query,
)
from wsservice.engineio.settings import Settings

KNOWN = frozenset({"s1"})


class Refused(NamedTuple):
    name: str
    query: str
    error: type[RequestError]
    method: str = "GET"
    is_upgrade: bool = False
    settings: Settings = Settings()


REFUSED = [
    Refused("nothing at all", "", TransportUnknown),
    Refused("no transport", "EIO=4", TransportUnknown),
    Refused("an empty transport", "EIO=4&transport=", TransportUnknown),
    Refused("an invented transport", "EIO=4&transport=tube", TransportUnknown),
    Refused("a transport in capitals", "EIO=4&transport=Polling", TransportUnknown),
    Refused("webtransport over HTTP", "EIO=4&transport=webtransport", TransportUnknown),
    Refused("webtransport by an upgrade", "EIO=4&transport=webtransport", TransportUnknown, is_upgrade=True),
    Refused(
        "long-polling where it is off", "EIO=4&transport=polling", TransportUnknown, settings=Settings(polling=False)
    ),
    Refused(
        "a WebSocket where they are off",
        "EIO=4&transport=websocket",
        TransportUnknown,
        is_upgrade=True,
        settings=Settings(websocket=False),
    ),
    Refused("a transport's name in Object.prototype", "EIO=4&transport=constructor", TransportUnknown),
    Refused("an unknown sid", "EIO=4&transport=polling&sid=s2", UnknownSid),
    Refused("an unknown sid of an upgrade", "EIO=4&transport=websocket&sid=s2", UnknownSid, is_upgrade=True),
    Refused("an unknown sid of a POST", "EIO=4&transport=polling&sid=s2", UnknownSid, "POST"),
    Refused("a sid in capitals", "EIO=4&transport=polling&sid=S1", UnknownSid),
    Refused("a POST without a sid", "EIO=4&transport=polling", BadHandshakeMethod, "POST"),
    Refused("a POST with an empty sid", "EIO=4&transport=polling&sid=", BadHandshakeMethod, "POST"),
    Refused("a HEAD without a sid", "EIO=4&transport=polling", BadHandshakeMethod, "HEAD"),
    Refused("an upgrade that is no GET", "EIO=4&transport=websocket", BadHandshakeMethod, "PUT", True),
    Refused("a WebSocket without an upgrade", "EIO=4&transport=websocket", BadRequest),
    Refused("a WebSocket of a session without an upgrade", "EIO=4&transport=websocket&sid=s1", BadRequest),
    Refused("an upgrade to long-polling", "EIO=4&transport=polling", BadRequest, is_upgrade=True),
    Refused("an upgrade of a session to long-polling", "EIO=4&transport=polling&sid=s1", BadRequest, is_upgrade=True),
    Refused("JSONP", "EIO=4&transport=polling&j=0", BadRequest),
    Refused("JSONP of a session", "EIO=4&transport=polling&j=&sid=s1", BadRequest, "POST"),
    Refused("another EIO than that of the session", "EIO=3&transport=polling&sid=s1", BadRequest),
    Refused("a session without its EIO", "transport=polling&sid=s1", BadRequest, "POST"),
    Refused("no EIO", "transport=polling", UnsupportedVersion),
    Refused("the EIO of version 2", "EIO=3&transport=polling", UnsupportedVersion),
    Refused("an EIO to come", "EIO=5&transport=websocket", UnsupportedVersion, is_upgrade=True),
    Refused("an EIO that is nearly 4", "EIO=04&transport=polling", UnsupportedVersion),
    Refused("an EIO in another script", "EIO=٤&transport=polling", UnsupportedVersion),
]


class Code(NamedTuple):
    name: str
    error: type[RequestError]
    code: int
    message: str
    status: int = 400


CODES = [
    Code("transport unknown", TransportUnknown, 0, "Transport unknown"),
    Code("session ID unknown", UnknownSid, 1, "Session ID unknown"),
    Code("bad handshake method", BadHandshakeMethod, 2, "Bad handshake method"),
    Code("bad request", BadRequest, 3, "Bad request"),
    Code("forbidden", Forbidden, 4, "Forbidden", 403),
    Code("unsupported protocol version", UnsupportedVersion, 5, "Unsupported protocol version"),
]


def read(query: str, method: str = "GET", is_upgrade: bool = False, settings: Settings | None = None) -> Query:
    """Check a query that is written as in an address, of nothing but ASCII names."""
    parameters = dict(part.split("=") for part in query.split("&") if part)
    return read_query(parameters, settings or Settings(), method=method, is_upgrade=is_upgrade, knows=KNOWN)


@by_row
class QueryTests(SynchronousTestCase):
    @rows(REFUSED)
    def test_it_is_refused(self, row: Refused) -> None:
        error = self.assertRaises(RequestError, read, row.query, row.method, row.is_upgrade, row.settings)
        self.assertIs(type(error), row.error)

    @rows(CODES)
    def test_the_client_is_told(self, row: Code) -> None:
        error = row.error()
        self.assertEqual((error.code, error.message, error.http_status), (row.code, row.message, row.status))

    def test_a_session_begins_by_either_transport(self) -> None:
        for suffix in ("", "&sid=", "&t=x&b64=1&token=y"):
            self.assertEqual(read(f"EIO=4&transport=polling{suffix}"), Query("polling", ""))
            self.assertEqual(read(f"EIO=4&transport=websocket{suffix}", is_upgrade=True), Query("websocket", ""))

    def test_a_session_goes_on_by_either_transport(self) -> None:
        for method in ("GET", "POST"):
            self.assertEqual(read("EIO=4&transport=polling&sid=s1", method), Query("polling", "s1"))
        self.assertEqual(read("EIO=4&transport=websocket&sid=s1", is_upgrade=True), Query("websocket", "s1"))

    def test_one_transport_may_be_off(self) -> None:
        read("EIO=4&transport=polling", settings=Settings(websocket=False))
        read("EIO=4&transport=websocket", is_upgrade=True, settings=Settings(polling=False))

    def test_of_several_faults_the_one_that_the_reference_finds_first_is_told(self) -> None:
        """With a sid and without one, each request gets the fault of the lowest place that it has."""
        for known_sid, method, upgrade, version, transport in itertools.product(
            (None, False, True), ("GET", "POST"), (False, True), ("4", "3", ""), ("polling", "websocket", "tube")
        ):
            sid = {None: "", False: "s2", True: "s1"}[known_sid]
            in_order = [
                (TransportUnknown, transport == "tube"),
                (UnknownSid, known_sid is False),
                (BadHandshakeMethod, known_sid is None and method != "GET"),
                (BadRequest, (transport == "websocket") != upgrade),
                (BadRequest if known_sid else UnsupportedVersion, version != "4"),
            ]
            expected = next((error for error, is_so in in_order if is_so), None)
            query = f"EIO={version}&transport={transport}&sid={sid}"
            if expected is None:
                self.assertEqual(read(query, method, upgrade).sid, sid)
            else:
                error = self.assertRaises(RequestError, read, query, method, upgrade)
                self.assertIs(type(error), expected, (query, method, upgrade))
