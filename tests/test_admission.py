"""Tests of wsservice.admission."""

from __future__ import annotations

from types import NoneType

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.admission import Admission
from wsservice.alarms import Alarms
from wsservice.counters import Counters
from wsservice.errors import TooManyConnections, TooManyFromAddress


def make(most: int = 100, per_address: int = 2, spare: int = 0) -> tuple[Admission, Counters]:
    counters = Counters()
    alarms = Alarms(counters, Clock().seconds)
    exempt = frozenset({"", "10.0.0.1"})
    admission = Admission(most=most, per_address=per_address, spare=spare, is_exempt=exempt.__contains__, alarms=alarms)
    return admission, counters


class AdmissionTests(SynchronousTestCase):
    def test_so_many_are_let_in_and_the_next_when_one_has_gone(self) -> None:
        admission, counters = make(most=2, per_address=0)
        self.assertEqual([admission.admit("192.0.2.1") for _ in range(2)], [None, None])
        self.assertEqual(type(admission.admit("192.0.2.1")), TooManyConnections)
        self.assertTrue(admission.is_full)
        self.assertEqual(counters.get("limits_hit", "connections"), 1)
        admission.release("192.0.2.1")
        self.assertIsNone(admission.admit("192.0.2.2"))

    def test_one_address_does_not_take_the_places_of_others(self) -> None:
        admission, counters = make()
        refusals = [admission.admit("192.0.2.1") for _ in range(3)]
        self.assertEqual([type(refusal) for refusal in refusals], [NoneType, NoneType, TooManyFromAddress])
        self.assertIsNone(admission.admit("192.0.2.2"))
        self.assertEqual(counters.get("limits_hit", "connections_per_address"), 1)
        admission.release("192.0.2.1")
        self.assertIsNone(admission.admit("192.0.2.1"))

    def test_an_ipv6_network_is_one_address(self) -> None:
        admission, _ = make(per_address=1)
        self.assertIsNone(admission.admit("2001:db8::1"))
        self.assertIsNotNone(admission.admit("2001:db8::2"))

    def test_proxies_and_unix_sockets_stand_for_many(self) -> None:
        admission, _ = make()
        for peer in ("", "10.0.0.1"):
            self.assertEqual([admission.admit(peer) for _ in range(10)], [None] * 10)

    def test_beyond_the_limit_there_are_spare_places(self) -> None:
        admission, counters = make(most=1, per_address=0, spare=2)
        admission.admit("192.0.2.1")
        self.assertEqual([admission.admit_spare("192.0.2.2") for _ in range(2)], [None, None])
        self.assertEqual(type(admission.admit_spare("192.0.2.2")), TooManyConnections)
        admission.release_spare("192.0.2.2")
        self.assertIsNone(admission.admit_spare("192.0.2.3"))
        self.assertEqual((len(admission), counters.get("limits_hit", "connections")), (3, 0))

    def test_who_waits_in_a_spare_place_takes_no_other(self) -> None:
        admission, _ = make(most=1, per_address=0, spare=2)
        admission.admit("192.0.2.1")
        admission.admit_spare("192.0.2.2")
        admission.release("192.0.2.1")
        self.assertFalse(admission.is_full)
        self.assertIsNone(admission.admit("192.0.2.3"))

    def test_who_is_served_from_a_spare_place_counts_like_all_others_until_it_has_gone(self) -> None:
        admission, _ = make(most=1, spare=1)
        admission.admit("192.0.2.1")
        admission.admit_spare("192.0.2.2")
        admission.keep_spare()
        self.assertIsNotNone(admission.admit_spare("192.0.2.3"))
        admission.release("192.0.2.1")
        self.assertTrue(admission.is_full)
        admission.release("192.0.2.2")
        self.assertEqual((len(admission), admission._by_address), (0, {}))

    def test_an_address_has_no_more_places_for_their_being_spare(self) -> None:
        admission, _ = make(most=2, per_address=2, spare=5)
        for _ in range(2):
            admission.admit("192.0.2.1")
        self.assertEqual(type(admission.admit_spare("192.0.2.1")), TooManyFromAddress)
        self.assertIsNone(admission.admit_spare("192.0.2.2"))

    @given(st.lists(st.tuples(st.booleans(), st.sampled_from(["192.0.2.1", "192.0.2.2", "10.0.0.1", ""]))))
    def test_nothing_is_left_when_everybody_has_gone(self, steps: list[tuple[bool, str]]) -> None:
        admission, _ = make(most=5)
        inside: list[str] = []
        for arrives, peer in steps:
            if arrives:
                if admission.admit(peer) is None:
                    inside.append(peer)
            elif inside:
                admission.release(inside.pop())
            self.assertEqual(len(admission), len(inside))
            self.assertLessEqual(len(inside), 5)
        for peer in inside:
            admission.release(peer)
        self.assertEqual((len(admission), admission._by_address), (0, {}))
