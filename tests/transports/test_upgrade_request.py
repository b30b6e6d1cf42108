"""The opening handshake: what an upgrade must say, and the 101."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from websockets.client import ClientProtocol
from websockets.http11 import Response
from websockets.uri import parse_uri

from wsservice.errors import BadHandshake
from wsservice.handshake import Handshake, parse_head
from wsservice.transports.upgrade_request import UnsupportedVersion, accept_of, read_key, switching

GOOD = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def handshake(method: str = "GET", **changes: str | None) -> Handshake:
    """An upgrade; a change of None leaves the header out, `\n` separates the values of several."""
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {one}" for name, value in headers.items() if value is not None for one in value.split("\n")]
    return parse_head("\r\n".join([f"{method} /ws HTTP/1.1", *lines, "", ""]).encode("ascii"), "192.0.2.1", False)


class ReadKeyTests(SynchronousTestCase):
    def test_a_good_upgrade_gives_its_key(self) -> None:
        for changes in (
            {},
            {"Upgrade": "foo, WebSocket"},
            {"Upgrade": "foo\nwebsocket"},
            {"Connection": "keep-alive, UPGRADE"},
            {"Connection": "keep-alive\nUpgrade"},
            {"Sec_WebSocket_Protocol": "chat, chat"},
        ):
            self.assertEqual(read_key(handshake(**changes)), GOOD["Sec-WebSocket-Key"])

    def test_whatever_is_not_as_it_should_be_is_refused(self) -> None:
        for changes in (
            {"Upgrade": None},
            {"Upgrade": "websockets"},
            {"Connection": None},
            {"Connection": "keep-alive"},
            {"Sec_WebSocket_Key": None},
            {"Sec_WebSocket_Key": ""},
            {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ="},
            {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==="},
            {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub2 jZQ=="},
            {"Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==\ndGhlIHNhbXBsZSBub25jZQ=="},
        ):
            with self.assertRaises(BadHandshake) as caught:
                read_key(handshake(**changes))
            self.assertEqual(caught.exception.http_status, 400, changes)
        self.assertRaises(BadHandshake, read_key, handshake("POST"))

    def test_another_version_is_told_which_one_is_spoken(self) -> None:
        for version in (None, "", "8", "013", "13, 8", "13\n13", "x"):
            with self.assertRaises(UnsupportedVersion) as caught:
                read_key(handshake(Sec_WebSocket_Version=version))
            self.assertEqual(caught.exception.http_status, 426)
            self.assertEqual(caught.exception.headers, [("Sec-WebSocket-Version", "13")])


class SwitchingTests(SynchronousTestCase):
    def test_the_example_of_the_specification(self) -> None:
        self.assertEqual(accept_of("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_the_websockets_library_takes_the_answer(self) -> None:
        client = ClientProtocol(parse_uri("ws://localhost/ws"))
        request = client.connect()
        client.send_request(request)
        client.receive_data(switching(request.headers["Sec-WebSocket-Key"], (("Set-Cookie", "io=x"),)))
        (response,) = client.events_received()
        assert isinstance(response, Response)
        self.assertIsNone(client.handshake_exc)
        self.assertEqual(response.headers["Set-Cookie"], "io=x")
