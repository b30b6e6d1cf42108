"""Tests of wsservice.engineio.session; its table is walked in test_walk, random lives are lived in test_lives."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.engineio.peer import Peer, peer_in, text
from wsservice.engineio.packet import ParseError
from wsservice.engineio.session import Session
from wsservice.engineio.settings import Settings
from wsservice.engineio.states import Conflict, SessionUnknown, State, TransportMismatch, UnexpectedPacket

#: those of the official test suite
SUITE = Settings(ping_interval=0.3, ping_timeout=0.2)


class OpenTests(SynchronousTestCase):
    def test_the_first_get_is_answered_by_the_open_packet(self) -> None:
        body = Peer(SUITE, handshake=False).get()
        assert body is not None
        self.assertEqual(body[:1], b"0")
        self.assertEqual(
            json.loads(body[1:]),
            {"sid": "S", "upgrades": ["websocket"], "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1000000},
        )

    def test_the_first_frame_is_the_open_packet(self) -> None:
        (frame,) = Peer(websocket=True, handshake=False).session.frames_to_send()
        assert isinstance(frame, str)
        self.assertTrue(frame.startswith('0{"sid":"S","upgrades":[],'))

    def test_messages_sent_at_once_come_behind_it(self) -> None:
        polling, websocket = (Peer(websocket=websocket, handshake=False) for websocket in (False, True))
        for peer in (polling, websocket):
            self.assertTrue(peer.session.send(b"4a\x1ebAQID"))
        body = polling.get()
        assert body is not None
        self.assertEqual(body.split(b"\x1e")[1:], [b"4a", b"bAQID"])
        self.assertEqual(websocket.session.frames_to_send()[1:], ["4a", b"\1\2\3"])

    def test_it_does_not_show_its_sid(self) -> None:
        session = Session("secret", Settings(), websocket=False, now=0)
        self.assertEqual((repr(session), session.sid), ("<Session polling>", "secret"))


class PollTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = Peer()
        self.session = self.peer.session

    def test_an_answer_that_was_not_taken_ends_the_session(self) -> None:
        self.session.answer_lost(2, 1)
        self.assertEqual((self.session.state, self.session.end_reason), (State.CLOSED, "transport error"))
        self.assertEqual(self.session.take_dropped(), (2, 0))
        self.session.answer_lost(1, 2)
        self.assertEqual(self.session.take_dropped(), (1, 0))

    def test_on_a_websocket_it_does_if_there_were_messages_in_it(self) -> None:
        for messages in (0, 1):
            session = peer_in(State.WEBSOCKET).session
            session.answer_lost(messages, 1)
            self.assertEqual(session.has_ended, bool(messages))

    def test_a_get_waits_until_there_is_something(self) -> None:
        self.assertIsNone(self.peer.get())
        self.assertTrue(self.session.is_poll_open)
        self.session.send(text("a"))
        self.assertEqual(self.session.payload_to_send(), b"4a")
        self.assertFalse(self.session.is_poll_open)
        self.assertIsNone(self.session.payload_to_send())

    def test_a_get_takes_all_that_is_queued(self) -> None:
        for piece in (text("a"), b"451-[1]\x1ebAQID"):
            self.session.send(piece)
        self.assertEqual(self.session.queued_bytes, 15)
        self.assertIsNone(self.session.payload_to_send(), "no GET is open")
        self.assertEqual(self.peer.get(), b"4a\x1e451-[1]\x1ebAQID")
        self.assertEqual(self.session.queued_bytes, 0)

    def test_a_long_queue_is_fetched_in_parts(self) -> None:
        self.peer = Peer(Settings(max_payload=8), handshake=False)
        self.peer.get()
        for number in range(5):
            self.peer.session.send(text(f"n{number}"))
        self.peer.session.send(text("larger than that"))
        bodies = [self.peer.get() for _ in range(4)]
        self.assertEqual(bodies, [b"4n0\x1e4n1", b"4n2\x1e4n3", b"4n4", b"4larger than that"])

    def test_a_second_get_ends_the_session_and_the_first_is_told(self) -> None:
        self.peer.get()
        self.assertRaises(Conflict, self.peer.get)
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))
        self.assertEqual(self.session.payload_to_send(), b"1")
        self.assertIsNone(self.session.payload_to_send())
        self.assertRaises(SessionUnknown, self.peer.get)

    def test_an_aborted_get_ends_the_session(self) -> None:
        self.peer.get()
        self.session.poll_lost(1)
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))
        self.assertIsNone(self.session.payload_to_send())
        self.assertRaises(SessionUnknown, self.peer.get)

    def test_the_end_of_an_answered_get_is_nothing(self) -> None:
        self.session.poll_lost(1)
        self.assertIs(self.peer.state, State.POLLING)


class PostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = Peer()
        self.session = self.peer.session

    def test_messages_come_in_order_and_once(self) -> None:
        self.assertEqual(self.peer.post(b"4a\x1ebAQID\x1e4\x1e3\x1e4b"), ["a", b"\1\2\3", "", "b"])
        self.assertEqual(self.session.messages_received(), [])

    def test_posts_and_gets_do_not_mind_each_other(self) -> None:
        self.peer.get()
        self.assertEqual(self.peer.post(b"4a"), ["a"])
        self.assertTrue(self.session.is_poll_open)

    def test_a_second_post_ends_the_session(self) -> None:
        self.peer.get()
        self.session.post_begins(0)
        self.assertRaises(Conflict, self.session.post_begins, 0)
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))
        self.assertEqual(self.session.payload_to_send(), b"1")
        self.assertRaises(SessionUnknown, self.session.receive_payload, b"4a", 0)
        self.assertEqual(self.session.messages_received(), [])

    def test_an_aborted_post_ends_the_session(self) -> None:
        self.session.post_begins(0)
        self.session.post_lost(0)
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))

    def test_a_post_that_is_too_large_may_be_called_so(self) -> None:
        self.session.post_begins(0)
        self.session.post_lost(0, "payload too large")
        self.assertEqual(self.session.end_reason, "payload too large")

    def test_a_post_that_is_not_under_way_cannot_be_lost(self) -> None:
        self.session.post_lost(0)
        self.assertIs(self.peer.state, State.POLLING)

    def test_a_broken_payload_ends_the_session_and_none_of_it_is_taken(self) -> None:
        for body in (b"", b"4a\x1e", b"4a\x1e9", b"4a\x1eb!", b"4\xff"):
            peer = Peer()
            peer.get()
            self.assertRaises(ParseError, peer.post, body)
            self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "parse error"))
            self.assertEqual(peer.session.messages_received(), [])
            self.assertEqual(peer.session.payload_to_send(), b"1")

    def test_a_ping_ends_the_session(self) -> None:
        self.assertRaises(UnexpectedPacket, self.peer.post, b"4a\x1e2\x1e4b")
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))
        self.assertEqual(self.session.messages_received(), ["a"])

    def test_packets_without_a_meaning_are_ignored(self) -> None:
        self.assertEqual(self.peer.post(b"0{}\x1e5\x1e6\x1e4a"), ["a"])
        self.assertIs(self.peer.state, State.POLLING)

    def test_a_close_releases_the_get_and_what_follows_is_ignored(self) -> None:
        self.peer.get()
        self.assertEqual(self.peer.post(b"4a\x1e1\x1e4b\x1e2"), ["a"])
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport close"))
        self.assertEqual(self.session.payload_to_send(), b"6")
        self.assertRaises(SessionUnknown, self.peer.get)
        self.assertRaises(SessionUnknown, self.session.post_begins, 0)


class ProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = Peer()
        self.session = self.peer.session

    def test_each_probe_is_answered_once(self) -> None:
        self.assertEqual(self.peer.probe("2probe", "2probe"), ["3probe", "3probe"])
        self.assertEqual(self.session.probe_to_send(), [])
        self.assertIs(self.peer.state, State.PROBING)

    def test_an_open_get_is_released_by_the_probe_at_once(self) -> None:
        self.peer.get()
        self.session.begin_probe(0)
        self.assertIsNone(self.session.payload_to_send(), "nothing was probed")
        self.session.receive_probe("2probe", 0)
        self.assertEqual(self.session.payload_to_send(), b"6")
        self.assertIsNone(self.session.payload_to_send())

    def test_every_get_behind_the_probe_is_answered_at_once(self) -> None:
        self.peer.probe("2probe")
        self.assertEqual([self.peer.get(), self.peer.get()], [b"6", b"6"])
        self.session.send(text("a"))
        self.assertEqual(self.peer.get(), b"4a")

    def test_a_websocket_that_says_nothing_does_not_make_the_client_spin(self) -> None:
        self.peer.probe()
        self.assertIsNone(self.peer.get())

    def test_posts_go_on(self) -> None:
        self.peer.probe("2probe")
        self.assertEqual(self.peer.post(b"4a"), ["a"])

    def test_anything_else_on_it_fails_it_and_polling_goes_on(self) -> None:
        for payload in ("5", "4a", "2", "2probe ", "3probe", "1", "", "9", b"2probe", b"5", b""):
            peer = Peer()
            self.assertEqual(peer.probe(payload), [], payload)
            self.assertIs(peer.state, State.POLLING)
            self.assertIsNone(peer.get())
            self.assertIsNone(peer.session.end_reason)

    def test_anything_else_behind_the_probe_fails_it_too(self) -> None:
        for payload in ("4a", "5x", b"5", "1"):
            peer = Peer()
            peer.probe("2probe", payload)
            self.assertIs(peer.state, State.POLLING)

    def test_a_probe_of_an_earlier_websocket_does_not_count(self) -> None:
        self.peer.probe("2probe", "4a")
        self.peer.probe("5")
        self.assertIs(self.peer.state, State.POLLING)

    def test_a_failed_websocket_is_told_nothing_later(self) -> None:
        self.session.begin_probe(0)
        self.session.receive_probe("2probe", 0)
        self.session.probe_lost(0)
        self.assertEqual(self.peer.probe(), [])

    def test_what_it_still_says_after_that_is_nothing(self) -> None:
        self.peer.probe("x")
        self.session.receive_probe("2probe", 0)
        self.session.probe_lost(0)
        self.assertEqual(self.session.probe_to_send(), [])
        self.assertIs(self.peer.state, State.POLLING)

    def test_a_lost_websocket_leaves_the_session_on_polling(self) -> None:
        self.peer.probe("2probe")
        self.session.probe_lost(1)
        self.assertIs(self.peer.state, State.POLLING)
        self.assertIsNone(self.peer.get())

    def test_it_takes_too_long(self) -> None:
        self.peer.probe("2probe")
        self.assertEqual(self.session.get_timer(), 10)
        self.assertIs(self.peer.at(9.9).state, State.PROBING)
        self.assertIs(self.peer.at(10).state, State.POLLING)
        self.assertEqual(self.session.get_timer(), 25)

    def test_a_5_that_comes_too_late_is_no_upgrade(self) -> None:
        self.peer.probe("2probe")
        self.session.receive_probe("5", 10)
        self.assertIs(self.peer.state, State.POLLING)

    def test_it_may_be_tried_again(self) -> None:
        self.peer.probe("2probe")
        self.session.probe_lost(0)
        self.assertEqual(self.peer.upgrade(), [])
        self.assertIs(self.peer.state, State.WEBSOCKET)

    def test_only_one_is_tried_at_a_time(self) -> None:
        self.peer.probe("2probe")
        self.assertFalse(self.session.begin_probe(5))
        self.assertEqual(self.session.get_timer(), 10, "the first one's")
        self.session.receive_probe("5", 6)
        self.assertIs(self.peer.state, State.WEBSOCKET)

    def test_a_session_on_a_websocket_takes_no_other(self) -> None:
        self.peer.upgrade()
        for session in (self.session, Peer(websocket=True).session):
            self.assertFalse(session.begin_probe(0))
            self.assertIs(session.state, State.WEBSOCKET)

    def test_it_must_be_allowed(self) -> None:
        for settings in (Settings(allow_upgrades=False), Settings(websocket=False)):
            session = Peer(settings).session
            self.assertFalse(session.begin_probe(0))
            self.assertIs(session.state, State.POLLING)

    def test_the_end_of_the_session_is_the_end_of_the_probe(self) -> None:
        self.session.begin_probe(0)
        self.session.receive_probe("2probe", 0)
        self.session.post_begins(0)
        self.session.post_lost(0)
        self.assertEqual(self.session.probe_to_send(), [])


class UpgradeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = Peer()
        self.session = self.peer.session

    def test_what_is_queued_goes_first_and_once(self) -> None:
        for piece in (text("a"), b"451-[1]\x1ebAQID"):
            self.session.send(piece)
        self.assertEqual(self.peer.upgrade(), ["4a", "451-[1]", b"\1\2\3"])
        self.assertEqual(self.session.frames_to_send(), [])
        self.assertEqual(self.session.queued_bytes, 0)

    def test_a_get_that_is_open_is_answered_by_a_noop(self) -> None:
        self.peer.get()
        self.session.send(text("a"))
        self.assertEqual(self.peer.upgrade(), ["4a"])
        self.assertEqual(self.session.payload_to_send(), b"6")

    def test_to_lose_that_get_does_no_harm(self) -> None:
        self.peer.get()
        self.peer.upgrade()
        self.session.poll_lost(0)
        self.assertIs(self.peer.state, State.WEBSOCKET)

    def test_polling_is_over_and_that_does_no_harm(self) -> None:
        self.peer.upgrade()
        self.assertRaises(TransportMismatch, self.peer.get)
        self.assertRaises(TransportMismatch, self.peer.post, b"4a")
        self.assertEqual(self.peer.frame("4a"), ["a"])

    def test_what_is_sent_later_comes_as_frames(self) -> None:
        self.peer.upgrade()
        self.assertTrue(self.session.send(b"4a\x1ebAQID"))
        self.assertEqual(self.session.frames_to_send(), ["4a", b"\1\2\3"])

    def test_a_ping_that_nobody_fetched_goes_along_and_must_be_answered(self) -> None:
        self.peer.at(25)
        self.assertEqual(self.peer.upgrade(), ["2"])
        self.assertEqual(self.session.get_timer(), 45)
        self.assertIs(self.peer.at(45).state, State.CLOSED)
        self.assertEqual(self.session.end_reason, "ping timeout")

    def test_a_ping_that_was_fetched_must_be_answered_after_the_upgrade(self) -> None:
        self.assertEqual(self.peer.at(25).get(), b"2")
        self.peer.upgrade()
        self.peer.now = 30
        self.peer.frame("3")
        self.assertEqual(self.session.get_timer(), 55)

    def test_the_upgrades_own_deadline_is_over(self) -> None:
        self.peer.upgrade()
        self.assertIs(self.peer.at(11).state, State.WEBSOCKET)
        self.assertEqual(self.session.get_timer(), 25)


class HoldingTests(SynchronousTestCase):
    """A POST is under way when `5` arrives."""

    def setUp(self) -> None:
        self.begin(Settings())

    def begin(self, settings: Settings) -> None:
        self.peer = Peer(settings)
        self.session = self.peer.session
        self.session.post_begins(0)
        self.peer.upgrade()

    def test_what_comes_on_the_websocket_waits_for_the_post(self) -> None:
        self.assertEqual(self.peer.frame("4c"), [])
        self.assertEqual(self.peer.frame(b"\1"), [])
        self.session.receive_payload(b"4a\x1e4b", 0)
        self.assertEqual(self.session.messages_received(), ["a", "b", "c", b"\1"])
        self.assertEqual(self.peer.frame("4d"), ["d"])

    def test_the_short_way_is_closed_until_all_of_it_is_handled(self) -> None:
        self.assertFalse(self.session.is_at_rest())
        self.session.receive_payload(b"4a", 0)
        self.assertFalse(self.session.is_at_rest())
        self.session.messages_received()
        self.assertTrue(self.session.is_at_rest())

    def test_a_pong_does_not_wait(self) -> None:
        self.peer.at(25)
        self.peer.now = 30
        self.peer.frame("3")
        self.assertEqual(self.session.get_timer(), 55)

    def test_a_close_waits(self) -> None:
        for payload in ("4b", "1", "4c"):
            self.peer.frame(payload)
        self.assertIs(self.peer.state, State.WEBSOCKET)
        self.session.receive_payload(b"4a", 0)
        self.assertEqual(self.session.messages_received(), ["a", "b"])
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport close"))

    def test_a_close_by_the_post_comes_first(self) -> None:
        self.peer.frame("4b")
        self.session.receive_payload(b"4a\x1e1", 0)
        self.assertEqual(self.session.messages_received(), ["a"])
        self.assertEqual(self.session.end_reason, "transport close")

    def test_a_broken_frame_does_not_wait(self) -> None:
        self.peer.frame("9")
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "parse error"))

    def test_a_lost_post_ends_it_without_a_gap(self) -> None:
        self.peer.frame("4b")
        self.session.post_lost(0)
        self.assertEqual(self.session.messages_received(), [])
        self.assertEqual(self.session.end_reason, "transport error")

    def test_a_lost_websocket_ends_it_without_a_gap(self) -> None:
        self.peer.frame("4b")
        self.session.transport_lost(0)
        self.assertEqual(self.session.messages_received(), [])
        self.assertRaises(SessionUnknown, self.session.receive_payload, b"4a", 0)

    def test_only_so_much_is_held(self) -> None:
        for payload in ("4" + "x" * 100, "4" + "\u00e9" * 50, b"x" * 100, "4", b""):
            self.begin(Settings(max_payload=1000))
            for _ in range(1000 // (64 + (100 if len(payload) > 1 else 0))):
                self.peer.frame(payload)
            self.assertIs(self.peer.state, State.WEBSOCKET)
            self.peer.frame(payload)
            self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport error"))

    def test_any_str_can_be_held(self) -> None:
        self.peer.frame("4\ud800")
        self.session.receive_payload(b"4a", 0)
        self.assertEqual(self.session.messages_received(), ["a", "\ud800"])

    def test_a_close_by_the_server_drops_it(self) -> None:
        self.peer.frame("4b")
        self.peer.close()
        self.assertRaises(SessionUnknown, self.session.receive_payload, b"4a", 0)
        self.assertEqual(self.session.messages_received(), [])


class WebSocketTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = Peer(websocket=True)
        self.session = self.peer.session

    def test_a_frame_is_a_message(self) -> None:
        self.assertEqual(self.peer.frame("4a"), ["a"])
        self.assertEqual(self.peer.frame("4"), [""])
        self.assertEqual(self.peer.frame(b""), [b""])
        self.assertEqual(self.peer.frame("bAQID"), [b"\1\2\3"])

    def test_a_close_is_a_close_at_once(self) -> None:
        self.peer.frame("1")
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport close"))

    def test_a_ping_ends_the_session(self) -> None:
        for payload in ("2", "2probe"):
            peer = Peer(websocket=True)
            peer.frame(payload)
            self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "transport error"))

    def test_packets_without_a_meaning_are_ignored(self) -> None:
        for payload in ("0", "0{}", "5", "6"):
            self.assertEqual(self.peer.frame(payload), [])
        self.assertIs(self.peer.state, State.WEBSOCKET)

    def test_a_broken_frame_ends_the_session(self) -> None:
        for payload in ("", "7", "abc", "b!", "\u0664a"):
            peer = Peer(websocket=True)
            peer.frame(payload)
            self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "parse error"))

    def test_frames_behind_the_end_are_dropped(self) -> None:
        self.session.receive_frame("4a", 0)
        self.session.receive_frame("1", 0)
        self.session.receive_frame("4b", 0)
        self.session.receive_frame("9", 0)
        self.assertEqual(self.session.messages_received(), ["a"])
        self.assertEqual(self.session.end_reason, "transport close")

    def test_a_lost_websocket_is_the_end(self) -> None:
        self.session.transport_lost(1)
        self.assertEqual((self.peer.state, self.session.end_reason), (State.CLOSED, "transport close"))
        peer = Peer(websocket=True)
        peer.session.transport_lost(1, "transport error")
        self.assertEqual(peer.session.end_reason, "transport error")

    def test_only_its_own_websocket_can_be_lost(self) -> None:
        for state in (State.POLLING, State.PROBING, State.CLOSING, State.CLOSED):
            peer = peer_in(state)
            peer.session.transport_lost(0)
            self.assertIs(peer.state, state)

    def test_the_short_way_is_for_an_established_websocket(self) -> None:
        self.assertTrue(self.session.is_at_rest())
        for state in set(State) - {State.WEBSOCKET}:
            self.assertFalse(peer_in(state).session.is_at_rest())

    def test_the_short_way_is_closed_while_a_pong_is_awaited(self) -> None:
        self.peer.at(25)
        self.assertFalse(self.session.is_at_rest())
        self.peer.now = 40
        self.assertEqual(self.peer.frame("4a"), ["a"])
        self.assertEqual(self.session.get_timer(), 60)  # what came gives the pong more time
        self.peer.frame("3")
        self.assertTrue(self.session.is_at_rest())


class CloseTests(SynchronousTestCase):
    def test_an_open_get_is_told_at_once(self) -> None:
        peer = Peer()
        peer.get()
        peer.close()
        self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSING, "server shutdown"))
        self.assertEqual(peer.session.payload_to_send(), b"1")
        self.assertIs(peer.state, State.CLOSED)
        self.assertRaises(SessionUnknown, peer.get)

    def test_the_next_get_is_told_behind_what_is_queued(self) -> None:
        peer = Peer()
        peer.session.send(text("a"))
        peer.close()
        self.assertTrue(peer.session.has_ended)
        self.assertEqual(peer.get(), b"4a\x1e1")
        self.assertEqual((peer.state, peer.session.queued_bytes), (State.CLOSED, 0))

    def test_what_is_discarded_is_not_sent(self) -> None:
        peer = Peer()
        peer.session.send(text("a"))
        peer.close(discard=True)
        self.assertEqual(peer.get(), b"1")

    def test_a_long_queue_is_fetched_in_parts_before_the_close(self) -> None:
        peer = Peer(Settings(max_payload=4), handshake=False)
        peer.get()
        peer.session.send(text("abc"))
        peer.session.send(text("def"))
        peer.close()
        self.assertEqual([peer.get(), peer.get()], [b"4abc", b"4def"])
        self.assertIs(peer.state, State.CLOSING)
        self.assertEqual(peer.get(), b"1")
        self.assertIs(peer.state, State.CLOSED)

    def test_nobody_waits_for_a_client_that_does_not_come(self) -> None:
        peer = Peer()
        peer.session.send(text("a"))
        peer.now = 5
        peer.close()
        self.assertEqual(peer.session.get_timer(), 35)
        self.assertIs(peer.at(34.9).state, State.CLOSING, "there is no ping any more")
        self.assertIs(peer.at(35).state, State.CLOSED)
        self.assertEqual((peer.session.end_reason, peer.session.queued_bytes), ("server shutdown", 0))
        self.assertIsNone(peer.session.get_timer())

    def test_a_get_that_comes_too_late_is_unknown(self) -> None:
        peer = Peer()
        peer.close()
        peer.now = 30
        self.assertRaises(SessionUnknown, peer.get)

    def test_a_post_meanwhile_is_fine_and_ignored(self) -> None:
        peer = Peer()
        peer.session.post_begins(0)
        peer.close()
        peer.session.receive_payload(b"4a", 0)
        self.assertEqual(peer.session.messages_received(), [])
        self.assertEqual(peer.post(b"not even a payload"), [])
        self.assertIs(peer.state, State.CLOSING)

    def test_a_post_may_be_later_than_the_last_get(self) -> None:
        for body in (b"4a", b"1"):
            peer = Peer()
            peer.session.post_begins(0)
            peer.close()
            peer.get()
            peer.session.receive_payload(body, 0)
            self.assertEqual(peer.session.messages_received(), [])

    def test_a_post_that_is_lost_later_than_the_last_get_is_nothing(self) -> None:
        peer = Peer()
        peer.session.post_begins(0)
        peer.close()
        peer.get()
        peer.session.post_lost(0)
        self.assertEqual(peer.session.end_reason, "server shutdown")

    def test_conflicts_cut_it_short_and_its_reason_stays(self) -> None:
        peer = peer_in(State.CLOSING)
        peer.session.receive_poll(0)
        self.assertRaises(Conflict, peer.session.receive_poll, 0)
        self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "server shutdown"))
        self.assertEqual(peer.session.payload_to_send(), b"1")
        peer = peer_in(State.CLOSING)
        peer.session.post_begins(0)
        self.assertRaises(Conflict, peer.session.post_begins, 0)
        self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "server shutdown"))

    def test_an_aborted_get_cuts_it_short(self) -> None:
        peer = peer_in(State.CLOSING)
        peer.session.receive_poll(0)
        peer.session.poll_lost(0)
        self.assertIs(peer.state, State.CLOSED)

    def test_a_probe_is_over(self) -> None:
        peer = Peer()
        peer.probe("2probe")
        peer.session.send(text("a"))
        peer.close()
        self.assertIs(peer.state, State.CLOSING)
        peer.session.receive_probe("5", 0)
        self.assertEqual(peer.session.frames_to_send(), [])
        self.assertEqual(peer.get(), b"4a\x1e1")

    def test_on_a_websocket_what_was_queued_can_still_be_flushed(self) -> None:
        for discard, frames in ((False, ["4a"]), (True, [])):
            peer = Peer(websocket=True)
            peer.session.send(text("a"))
            peer.close(discard=discard)
            self.assertEqual((peer.state, peer.session.end_reason), (State.CLOSED, "server shutdown"))
            self.assertEqual(peer.session.frames_to_send(), frames)

    def test_messages_from_before_the_end_are_still_given(self) -> None:
        peer = Peer()
        peer.session.post_begins(0)
        peer.session.receive_payload(b"4a", 0)
        peer.close()
        self.assertEqual(peer.session.messages_received(), ["a"])

    def test_nothing_is_sent_after_the_end(self) -> None:
        for state in (State.CLOSING, State.CLOSED):
            peer = peer_in(state)
            before = peer.session.queued_bytes
            self.assertFalse(peer.session.send(text("a")))
            self.assertEqual(peer.session.queued_bytes, before)

    def test_the_first_reason_stays(self) -> None:
        peer = Peer()
        peer.close()
        peer.session.close(10, "another")
        self.assertEqual(peer.session.end_reason, "server shutdown")
        self.assertEqual(peer.session.get_timer(), 30, "the first one's grace")
        for state in (State.POLLING, State.WEBSOCKET):
            peer = peer_in(state).at(45)
            peer.close()
            self.assertEqual(peer.session.end_reason, "ping timeout")


class HeartbeatTests(SynchronousTestCase):
    def test_a_session_that_does_not_poll_is_dead_to_the_millisecond(self) -> None:
        for steps in ([], [0.3], [0.31], [0.1, 0.2, 0.3, 0.4]):
            peer = Peer(SUITE)
            for now in steps:
                peer.at(now)
            peer.now = 0.5
            self.assertRaises(SessionUnknown, peer.get)
            self.assertEqual(peer.session.end_reason, "ping timeout")

    def test_it_lives_until_then(self) -> None:
        peer = Peer(SUITE)
        peer.now = 0.499
        self.assertEqual(peer.get(), b"2")

    def test_every_call_sees_a_deadline_that_has_passed(self) -> None:
        def begin_and(peer: Peer) -> Session:
            peer.session.post_begins(0)
            return peer.session

        self.assertRaises(SessionUnknown, Peer().session.receive_poll, 45)
        self.assertRaises(SessionUnknown, Peer().session.post_begins, 45)
        self.assertRaises(SessionUnknown, begin_and(Peer()).receive_payload, b"4a", 45)
        self.assertFalse(Peer().session.begin_probe(45))
        for session in (Peer().session, Peer(websocket=True).session):
            session.transport_lost(45)
            session.probe_lost(45)
            session.receive_frame("3", 45)
            self.assertEqual((session.state, session.end_reason), (State.CLOSED, "ping timeout"))
        session = begin_and(Peer())
        session.post_lost(45)
        self.assertEqual(session.end_reason, "ping timeout")
        session = Peer().session
        session.receive_poll(0)
        session.poll_lost(45)
        self.assertEqual(session.end_reason, "ping timeout")
        session = peer_in(State.PROBING, Settings(upgrade_timeout=100)).session
        session.receive_probe("2probe", 45)
        self.assertEqual((session.end_reason, session.probe_to_send()), ("ping timeout", []))

    def test_three_rounds_on_polling(self) -> None:
        peer = Peer(SUITE)
        for number in range(3):
            due = 0.3 + number * 0.35
            self.assertIsNone(peer.get())
            self.assertAlmostEqual(peer.session.get_timer() or 0, due)
            peer.at(due)
            self.assertEqual(peer.session.payload_to_send(), b"2")
            peer.now += 0.05
            peer.post(b"3")

    def test_three_rounds_on_a_websocket(self) -> None:
        peer = Peer(SUITE, websocket=True)
        for number in range(3):
            due = 0.3 + number * 0.35
            self.assertEqual(peer.at(due - 0.01).session.frames_to_send(), [])
            self.assertEqual(peer.at(due).session.frames_to_send(), ["2"])
            peer.now += 0.05
            peer.frame("3")

    def test_a_ping_waits_for_a_get_and_so_does_death_not(self) -> None:
        peer = Peer().at(25)
        self.assertEqual(peer.session.queued_bytes, 1)
        self.assertEqual(peer.session.get_timer(), 45)
        self.assertIs(peer.at(45).state, State.CLOSED)

    def test_an_open_get_is_told_of_the_death(self) -> None:
        peer = Peer()
        peer.get()
        self.assertEqual(peer.at(25).session.payload_to_send(), b"2")
        peer.get()
        self.assertEqual(peer.at(45).session.payload_to_send(), b"1")

    def test_200_pongs_are_no_more_than_one(self) -> None:
        peer = Peer(SUITE, websocket=True)
        for _ in range(200):
            peer.frame("3")
        self.assertEqual(peer.at(0.3).session.frames_to_send(), ["2"])
        self.assertEqual(peer.at(0.45).session.frames_to_send(), [])

    def test_traffic_without_a_pong_still_dies(self) -> None:
        polling, websocket = Peer(SUITE), Peer(SUITE, websocket=True)
        for step in range(50):
            polling.at(step / 100).post(b"4a")
            websocket.at(step / 100).frame("4a")
        for peer in (polling, websocket):
            self.assertAlmostEqual(peer.session.get_timer() or 0, 0.5, places=1)
            peer.at(0.52)
            self.assertEqual(peer.session.end_reason, "ping timeout")

    def test_a_long_message_puts_the_deadline_off_on_a_websocket(self) -> None:
        peer = Peer(websocket=True).at(25)
        peer.at(44).frame("4a")
        self.assertEqual(peer.session.get_timer(), 64)
        peer.at(50).frame("4a")
        self.assertEqual(peer.session.get_timer(), 64)

    def test_a_pong_behind_a_long_message_is_not_too_late(self) -> None:
        peer = Peer().at(25)
        peer.at(44).post(b"4a")
        peer.at(60).post(b"3")
        self.assertEqual(peer.session.get_timer(), 85)

    def test_the_earlier_deadline_is_the_timer(self) -> None:
        peer = Peer().at(20)
        peer.probe()
        self.assertEqual(peer.session.get_timer(), 25)
        peer.at(25)
        self.assertEqual(peer.session.get_timer(), 30)

    def test_a_timer_that_is_not_due_does_nothing(self) -> None:
        for state in State:
            peer = peer_in(state)
            timer = peer.session.get_timer()
            peer.at(1)
            self.assertEqual((peer.state, peer.session.get_timer()), (state, timer))
            self.assertEqual(timer is None, state is State.CLOSED)
