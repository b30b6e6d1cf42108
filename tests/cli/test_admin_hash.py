"""Tests of wsservice.cli.admin_hash: `wsservice admin-hash`."""

from __future__ import annotations

import getpass
import sys

from tests.cli.memory import Bench
from wsservice.admin.passwords import PasswordHash

PASSWORD = "correct horse battery staple"


class AdminHashTests(Bench):
    def test_the_password_is_the_first_line_of_the_input(self) -> None:
        for end in (b"", b"\n", b"\r\n", b"\nmore\n"):
            hash = self.done("admin-hash", input=PASSWORD.encode() + end)
            self.assertTrue(PasswordHash.parse(hash.strip()).verify(PASSWORD))

    def test_a_short_one_is_refused(self) -> None:
        self.assertEqual(self.refused("admin-hash", input=b"hunter2\n"), "the password must have 15 to 1024 characters")

    def test_at_a_terminal_it_is_asked_for_twice(self) -> None:
        answers = [PASSWORD, PASSWORD, PASSWORD, "another"]
        self.patch(getpass, "getpass", lambda prompt: answers.pop(0))

        def at_terminal() -> tuple[int, str, str]:
            real = self.patch

            def patch(owner: object, name: str, value: object) -> None:
                if owner is sys and name == "stdin":
                    value.isatty = lambda: True  # type: ignore[attr-defined]
                real(owner, name, value)

            self.patch = patch  # type: ignore[method-assign,assignment]
            try:
                return self.run_program("admin-hash")
            finally:
                self.patch = real  # type: ignore[method-assign]

        status, out, _ = at_terminal()
        self.assertEqual(status, 0)
        self.assertTrue(PasswordHash.parse(out.strip()).verify(PASSWORD))
        status, _, error = at_terminal()
        self.assertEqual((status, error), (2, "wsservice: the two passwords differ: try again\n"))
