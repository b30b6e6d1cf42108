"""Tests of wsservice.addresses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.addresses import address_key


class AddressKeyTests(SynchronousTestCase):
    def test_each_ipv4_address_counts_for_itself(self) -> None:
        self.assertEqual(address_key("192.0.2.1"), "192.0.2.1")

    def test_ipv6_addresses_of_one_64_count_together(self) -> None:
        self.assertEqual(address_key("2001:db8:1:2:3:4:5:6"), address_key("2001:db8:1:2::1"))
        self.assertNotEqual(address_key("2001:db8:1:2::1"), address_key("2001:db8:1:3::1"))
        self.assertEqual(address_key("fe80::1%eth0"), address_key("fe80::2"))

    def test_a_mapped_address_is_an_ipv4_one(self) -> None:
        self.assertEqual(address_key("::ffff:192.0.2.1"), "192.0.2.1")

    def test_what_is_no_address_counts_as_it_is(self) -> None:
        self.assertEqual(address_key(""), "")
