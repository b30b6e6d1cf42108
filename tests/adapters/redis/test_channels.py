"""Tests of wsservice.adapters.redis.channels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.channels import NOBODY, Channels


class ChannelsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.channels = Channels("socket.io", "/admin")

    def test_the_names_are_nodes(self) -> None:
        self.assertEqual(self.channels.broadcast, b"socket.io#/admin#")
        self.assertEqual(self.channels.pattern, b"socket.io#/admin#*")
        self.assertEqual(self.channels.request, b"socket.io-request#/admin#")
        self.assertEqual(self.channels.response, b"socket.io-response#/admin#")
        self.assertEqual(self.channels.response_to("abcdef"), b"socket.io-response#/admin#abcdef#")
        self.assertEqual(self.channels.room("r"), b"socket.io#/admin#r#")
        self.assertEqual(self.channels.room(None), b"socket.io#/admin#")
        self.assertEqual(self.channels.namespace, "/admin")

    def test_a_pattern_holds_no_glob_of_the_name(self) -> None:
        self.assertEqual(Channels("so*", "/a?[b]\\^-").pattern, b"so\\*#/a\\?\\[b\\]\\\\^-#*")

    def test_a_lone_surrogate_is_written_as_node_does(self) -> None:
        self.assertEqual(self.channels.room("\ud83dx"), b"socket.io#/admin#\xef\xbf\xbdx#")

    @given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
    def test_a_room_is_found_again(self, room: str) -> None:
        channels = Channels("socket.io", "/admin")
        asked: list[str] = []
        channels.is_wanted(channels.room(room), lambda name: bool(asked.append(name)))
        self.assertEqual(asked, [room])

    def test_the_channel_of_all_names_no_room(self) -> None:
        for channel in (b"socket.io#/admin#", b"socket.io#/admin##"):
            self.assertTrue(self.channels.is_wanted(channel, lambda room: False))

    def test_other_channels_are_not_its_own(self) -> None:
        for channel in (b"socket.io#/#", b"socket.io-request#/admin#", b"x", b""):
            self.assertFalse(self.channels.is_wanted(channel, lambda room: True))
        for channel in (b"socket.io-request#/#", b"socket.io#/", b"other#/#", b"socket.io#x#"):
            self.assertFalse(self.channels.is_wanted(channel, lambda room: True))

    def test_a_message_for_a_room_that_nobody_is_in_is_not_wanted(self) -> None:
        asked: list[str] = []

        def has_room(room: str) -> bool:
            asked.append(room)
            return room == "r"

        self.assertTrue(self.channels.is_wanted(self.channels.room("r"), has_room))
        self.assertFalse(self.channels.is_wanted(self.channels.room("s"), has_room))
        self.assertEqual(asked, ["r", "s"])
        for room in (None, "", NOBODY):
            self.assertTrue(self.channels.is_wanted(self.channels.room(room), has_room))
        self.assertEqual(asked, ["r", "s"])
