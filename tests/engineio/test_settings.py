"""Tests of wsservice.engineio.settings."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio.packet import PacketType
from wsservice.engineio.settings import Settings, open_packet


def handshake(settings: Settings, *, websocket: bool = False) -> dict[str, object]:
    packet = open_packet("S", settings, websocket=websocket)
    assert packet.type is PacketType.OPEN
    return dict(json.loads(packet.data))


class OpenPacketTests(SynchronousTestCase):
    def test_the_defaults_are_those_of_the_reference(self) -> None:
        packet = open_packet("S", Settings(), websocket=False)
        self.assertEqual(
            packet.data,
            '{"sid":"S","upgrades":["websocket"],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}',
        )
        self.assertEqual((Settings().upgrade_timeout, Settings().close_grace, Settings().polling), (10.0, 30.0, True))

    def test_there_is_an_upgrade_from_polling_only_and_if_it_is_allowed(self) -> None:
        self.assertEqual(handshake(Settings())["upgrades"], ["websocket"])
        self.assertEqual(handshake(Settings(), websocket=True)["upgrades"], [])
        self.assertEqual(handshake(Settings(allow_upgrades=False))["upgrades"], [])
        self.assertEqual(handshake(Settings(websocket=False))["upgrades"], [])

    def test_times_are_whole_milliseconds_and_never_0(self) -> None:
        told = handshake(Settings(ping_interval=0.3, ping_timeout=0.0001))
        self.assertEqual((told["pingInterval"], told["pingTimeout"]), (300, 1))
        self.assertIsInstance(told["pingInterval"], int)
