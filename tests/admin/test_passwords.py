"""Tests of wsservice.admin.passwords."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.admin.passwords import LEAST, MOST, PasswordHash, make_hash

CHEAP = (14, 8, 1)
#: RFC 7914 section 12, for N=16384, r=8, p=1: the first 32 bytes
OF_RFC = bytes.fromhex("7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2")


class PasswordTests(SynchronousTestCase):
    def test_a_password_is_right_and_no_other(self) -> None:
        hash = PasswordHash.parse(make_hash("correct horse battery", CHEAP))
        self.assertTrue(hash.verify("correct horse battery"))
        for wrong in ("", "correct horse batter", "correct horse battery ", "\udc80" * 20):
            self.assertFalse(hash.verify(wrong), ascii(wrong))

    def test_each_hash_has_a_salt_of_its_own_and_nothing_that_a_shell_reads(self) -> None:
        first, second = (make_hash("correct horse battery", CHEAP) for _ in range(2))
        self.assertNotEqual(first, second)
        self.assertRegex(first, r"^[A-Za-z0-9:_-]+$")
        self.assertNotIn(first.rpartition(":")[2], repr(PasswordHash.parse(first)))

    def test_the_default_is_what_is_recommended(self) -> None:
        self.assertTrue(make_hash("correct horse battery").startswith("scrypt:15:8:3:"))

    def test_the_length_is_bounded(self) -> None:
        for password in ("x" * (LEAST - 1), "x" * (MOST + 1)):
            self.assertRaisesRegex(ValueError, f"{LEAST} to {MOST}", make_hash, password)

    def test_it_is_the_scrypt_of_rfc_7914(self) -> None:
        hash = PasswordHash(14, 8, 1, b"SodiumChloride", OF_RFC)
        self.assertTrue(hash.verify("pleaseletmein"))

    def test_what_is_no_hash_is_refused(self) -> None:
        good = make_hash("correct horse battery", CHEAP)
        for wrong in (
            "",
            "hunter2",
            "$2b$10$abcdefghijklmnopqrstuv",
            good[:-1],
            f"{good}A",
            good.replace("scrypt", "x"),
        ):
            self.assertRaisesRegex(ValueError, "admin-hash", PasswordHash.parse, wrong)
        for costs in ("13:8:1", "21:8:1", "15:0:1", "15:33:1", "15:8:0", "15:8:17"):
            text = good.replace("14:8:1", costs)
            self.assertRaisesRegex(ValueError, "too little or too much", PasswordHash.parse, text)
