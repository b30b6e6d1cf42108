"""Sids that name their owner: made, read, forged."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.peers.nodes import MemoryNodes
from wsservice.peers.sids import Owner, Sids

SECRET = b"s" * 32
ADDRESSES = {"one": "unix:/run/one.sock", "two": "unix:/run/two.sock"}


def sids(id: str = "two", secret: bytes | None = SECRET) -> Sids:
    return Sids(MemoryNodes(id, secret, dict(ADDRESSES)))


class SidTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sid = sids("one").make()

    def test_it_names_the_node_and_may_stand_in_a_url(self) -> None:
        self.assertRegex(self.sid, r"^one\.[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{22}$")
        self.assertNotEqual(self.sid, sids("one").make())

    def test_others_know_the_owner_by_it_and_the_owner_has_no_need_to(self) -> None:
        self.assertEqual(sids("two").owner(self.sid), Owner("one", ADDRESSES["one"]))
        self.assertIsNone(sids("one").owner(self.sid))

    def test_a_node_that_is_dead_or_unknown_is_nobodys_owner(self) -> None:
        self.assertIsNone(Sids(MemoryNodes("two", SECRET, {})).owner(self.sid))
        self.assertIsNone(sids("two").owner(sids("three").make()))

    def test_without_the_secret_it_names_nobody_and_nobody_is_named_by_it(self) -> None:
        self.assertRegex(sids(secret=None).make(), r"^[A-Za-z0-9_-]{20}$")
        self.assertIsNone(sids(secret=None).owner(self.sid))
        self.assertIsNone(sids(secret=b"t" * 32).owner(self.sid))

    def test_a_part_of_another_one_is_a_forgery(self) -> None:
        node, random, mac = self.sid.split(".")
        other = sids("one").make().split(".")
        for forged in (
            f"{node}.{other[1]}.{mac}",
            f"{node}.{random}.{other[2]}",
            f"three.{random}.{mac}",
            f"{node}.{random}.{mac}.",
            f"{node}.{random}",
            f"{node}.{random}.{mac[:-1]}",
            f" {self.sid}",
            f"{self.sid}\n",
            "",
            "..",
        ):
            self.assertIsNone(sids("two").owner(forged), forged)

    @given(st.text(max_size=80))
    def test_whatever_it_is_nothing_breaks(self, text: str) -> None:
        self.assertIsNone(sids("two").owner(text))

    def test_an_id_that_cannot_stand_in_a_sid_is_refused(self) -> None:
        for id in ("", "a.b", "x" * 33, "a/b", "é"):
            self.assertRaises(ValueError, sids, id)


class HeadTests(SynchronousTestCase):
    def owner(self, head: str) -> Owner | None:
        return sids("two").owner_of_head(head.encode("latin-1"))

    def test_the_sid_of_the_request_line_counts_and_of_several_the_last(self) -> None:
        sid = sids("one").make()
        for query in (f"sid={sid}", f"EIO=4&sid={sid}&t=1", f"sid=other&sid={sid}", f"sid=&sid={sid}"):
            self.assertIsNotNone(self.owner(f"GET /socket.io/?{query} HTTP/1.1\r\nHost: a\r\n\r\n"), query)
        for line in (
            f"GET /socket.io/?sid={sid}&sid=other HTTP/1.1\r\nHost: a",
            f"GET /socket.io/?xsid={sid} HTTP/1.1\r\nHost: a",
            f"GET /socket.io/ HTTP/1.1\r\nReferer: /?sid={sid} x",
            "GET /socket.io/ HTTP/1.1\r\nHost: a",
        ):
            self.assertIsNone(self.owner(f"{line}\r\n\r\n"), line)
