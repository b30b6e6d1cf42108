"""Tests of wsservice.auth.api_keys."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.api_keys import ApiKeys

ONE, TWO = "1" * 32, "2" * 32


class ApiKeyTests(SynchronousTestCase):
    def test_a_key_is_found_by_its_place(self) -> None:
        keys = ApiKeys([ONE, TWO])
        self.assertEqual(len(keys), 2)
        self.assertEqual(keys.find(f"Bearer {ONE}"), 0)
        self.assertEqual(keys.find(f"bearer  {TWO} "), 1)

    def test_anything_else_is_none(self) -> None:
        keys = ApiKeys([ONE, TWO])
        for value in (
            "",
            "Bearer",
            "Bearer ",
            ONE,
            f"Basic {ONE}",
            f"Bearer {ONE[:-1]}",
            f"Bearer {ONE}1",
            "Bearer é\udcff",
        ):
            self.assertIsNone(keys.find(value), value)

    def test_without_keys_nothing_is_one(self) -> None:
        self.assertIsNone(ApiKeys([]).find("Bearer "))
