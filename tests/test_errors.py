"""Tests of wsservice.errors."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from wsservice import errors
from wsservice.close_codes import CloseCode, check_code
from wsservice.errors import (
    CallRefused,
    ClientError,
    ConfigurationError,
    HandshakeError,
    ProviderError,
    RateLimited,
    UnsupportedChallenge,
    WsServiceError,
)


def below(root: type[Exception]) -> Iterator[type[Exception]]:
    """The classes of a tree, the root first."""
    yield root
    for child in root.__subclasses__():
        yield from below(child)


def drawn(root: type[Exception], margin: str = "    ") -> list[str]:
    """The tree as the module's docstring draws it, without its comments."""
    children = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    lines = []
    for child in children:
        lines.append(f"{margin} +-- {child.__name__}")
        lines += drawn(child, margin + ("  " if child is children[-1] else " |") + "   ")
    return lines


class TreeTests(SynchronousTestCase):
    def test_the_docstring_draws_the_tree_as_it_is(self) -> None:
        assert errors.__doc__ is not None
        lines = [line for line in errors.__doc__.splitlines() if "+--" in line]
        names = [line[: line.index("+--") + 4] + line.split("+--")[1].split()[0] for line in lines]
        self.assertEqual(names, drawn(WsServiceError))

    def test_every_error_says_in_a_line_what_it_is(self) -> None:
        for error in below(WsServiceError):
            self.assertTrue(error.__doc__, error)

    def test_every_refused_handshake_has_its_close_its_status_and_its_text(self) -> None:
        for error in below(HandshakeError):
            assert issubclass(error, HandshakeError)
            check_code(error.close_code)
            self.assertIn(error.http_status, (400, 401, 403, 408, 426, 429, 431, 503))
            self.assertTrue(error.message)
            self.assertRegex(error.word, r"\A[a-z_]+\Z")

    def test_every_refused_login_has_its_status_and_its_text(self) -> None:
        words = []
        for error in below(ProviderError):
            assert issubclass(error, ProviderError)
            self.assertIn(error.http_status, range(400, 600))
            self.assertTrue(error.message)
            self.assertRegex(error.word, r"\A[a-z_]+\Z")
            if error.__module__ == errors.__name__:  # others refine one of these, for their own module
                words.append(error.word)
        self.assertEqual(len(words), len(set(words)) + 1, "only the base and ProviderUnavailable share a word")

    def test_a_missing_key_is_no_fault_of_the_client(self) -> None:
        self.assertEqual(errors.KeysUnavailable.close_code, CloseCode.TRY_AGAIN_LATER)
        self.assertEqual(errors.InvalidToken.close_code, CloseCode.POLICY_VIOLATION)

    def test_why_a_token_is_bad_is_not_for_the_client(self) -> None:
        self.assertEqual(errors.ExpiredToken.message, errors.InvalidToken.message)


class MessageTests(SynchronousTestCase):
    def test_a_configuration_error_has_a_line_for_each_problem(self) -> None:
        error = ConfigurationError("no pool", "no port")
        self.assertEqual(str(error), "no pool\nno port")
        self.assertEqual(error.problems, ("no pool", "no port"))

    def test_a_client_error_without_a_message_says_its_code(self) -> None:
        error = ClientError("not_found")
        self.assertEqual(
            (error.code, error.message, error.data, str(error)), ("not_found", "not_found", None, "not_found")
        )

    def test_a_client_error_carries_a_message_and_data(self) -> None:
        error = ClientError("not_found", "There is no such room.", {"room": 5})
        self.assertEqual((error.message, error.data), ("There is no such room.", {"room": 5}))
        self.assertEqual(str(error), "There is no such room.")

    def test_a_refused_call_keeps_what_the_client_said(self) -> None:
        self.assertEqual(CallRefused({"code": "busy"}).error, {"code": "busy"})
        self.assertNotIn("busy", str(CallRefused("busy")))

    def test_the_name_of_an_unsupported_challenge_is_kept_and_cut_for_the_log(self) -> None:
        error = UnsupportedChallenge("X" * 100)
        self.assertEqual(error.challenge, "X" * 100)
        self.assertNotIn("X" * 65, str(error))

    def test_a_throttled_login_says_when_to_come_back(self) -> None:
        self.assertEqual((RateLimited().retry_after, str(RateLimited())), (30, "throttled"))
        self.assertEqual(RateLimited("ours", 5).retry_after, 5)
