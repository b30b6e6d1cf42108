"""Tests of wsservice.engineio.outbox."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio.outbox import Outbox


def filled(*pieces: bytes) -> Outbox:
    outbox = Outbox()
    for piece in pieces:
        outbox.append(piece)
    return outbox


class OutboxTests(SynchronousTestCase):
    def test_the_pieces_are_joined_in_order(self) -> None:
        outbox = filled(b"4a", b"2", b"4b\x1ebAQID")
        self.assertEqual((len(outbox), outbox.size), (3, 11))
        self.assertEqual(outbox.take(1000), b"4a\x1e2\x1e4b\x1ebAQID")
        self.assertEqual((len(outbox), outbox.size), (0, 0))

    def test_an_answer_is_bounded_with_its_separators(self) -> None:
        self.assertEqual(filled(b"4a", b"4b", b"4c").take(5), b"4a\x1e4b")
        self.assertEqual(filled(b"4a", b"4b", b"4c").take(4), b"4a")

    def test_a_large_piece_goes_alone(self) -> None:
        outbox = filled(b"4large", b"4b")
        self.assertEqual(outbox.take(3), b"4large")
        self.assertEqual(outbox.take(3), b"4b")

    def test_draining_leaves_nothing(self) -> None:
        outbox = filled(b"4a", b"4b")
        self.assertEqual(outbox.drain(), [b"4a", b"4b"])
        self.assertEqual((len(outbox), outbox.size), (0, 0))

    @given(st.lists(st.binary(min_size=1).filter(lambda piece: b"\x1e" not in piece)), st.integers(1, 50))
    def test_nothing_is_lost_and_the_size_is_true(self, pieces: list[bytes], limit: int) -> None:
        outbox = filled(*pieces)
        taken: list[bytes] = []
        while outbox:
            self.assertEqual(outbox.size, sum(map(len, pieces[len(taken) :])))
            body = outbox.take(limit)
            self.assertTrue(len(body) <= limit or b"\x1e" not in body)
            taken += body.split(b"\x1e")
        self.assertEqual(taken, pieces)
        self.assertEqual(outbox.size, 0)
