"""Tests of wsservice.close_codes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Close

from wsservice import close_codes
from wsservice.close_codes import Advice, CloseCode, check_code, fit_reason, is_farewell


class AdviceTests(SynchronousTestCase):
    def test_a_client_stays_away_after_a_normal_close_and_after_its_own_faults(self) -> None:
        for code in (CloseCode.NORMAL, CloseCode.PROTOCOL_ERROR, CloseCode.UNSUPPORTED_DATA):
            self.assertIs(code.advice, Advice.STOP)
        for code in (CloseCode.INVALID_PAYLOAD, CloseCode.MESSAGE_TOO_BIG):
            self.assertIs(code.advice, Advice.STOP)

    def test_a_client_refreshes_its_session_after_a_1008(self) -> None:
        self.assertIs(CloseCode.POLICY_VIOLATION.advice, Advice.REFRESH)

    def test_after_every_other_code_a_client_comes_back_slowly(self) -> None:
        backoff = {code for code in CloseCode if code.advice is Advice.BACKOFF}
        self.assertEqual(backoff, {1001, 1006, 1011, 1012, 1013, 4408, 4429})


class FrontEndTests(SynchronousTestCase):
    """The front end, the docs and the operators know these numbers and words."""

    def test_the_numbers_are_those_of_the_rfc_and_of_the_docs(self) -> None:
        self.assertEqual(
            {code.name: int(code) for code in CloseCode},
            {
                "NORMAL": 1000,
                "GOING_AWAY": 1001,
                "PROTOCOL_ERROR": 1002,
                "UNSUPPORTED_DATA": 1003,
                "ABNORMAL": 1006,
                "INVALID_PAYLOAD": 1007,
                "POLICY_VIOLATION": 1008,
                "MESSAGE_TOO_BIG": 1009,
                "INTERNAL_ERROR": 1011,
                "SERVICE_RESTART": 1012,
                "TRY_AGAIN_LATER": 1013,
                "SLOW_CONSUMER": 4408,
                "REPLACED": 4409,
                "TOO_MANY": 4429,
            },
        )

    def test_the_words_of_the_advice(self) -> None:
        self.assertEqual(list(Advice), ["stop", "backoff", "refresh"])

    def test_the_fixed_reasons(self) -> None:
        self.assertEqual(close_codes.EXPIRED, "Authentication expired")
        self.assertEqual(close_codes.SIGNED_OUT, "Signed out")
        self.assertEqual(close_codes.SHUTTING_DOWN, "Server shutting down")
        self.assertEqual(close_codes.SLOW, "Client reads too slowly")
        self.assertEqual(close_codes.INTERNAL, "Internal error")


class ReasonTests(SynchronousTestCase):
    def test_every_fixed_reason_fits_into_a_close_frame(self) -> None:
        reasons = [value for name, value in vars(close_codes).items() if name.isupper() and isinstance(value, str)]
        self.assertEqual(len(reasons), 10)
        for reason in reasons:
            self.assertEqual(fit_reason(reason), reason)

    def test_the_reasons_that_stop_a_client_are_reasons_of_ours(self) -> None:
        self.assertEqual(close_codes.STOP_REASONS, {close_codes.SIGNED_OUT, close_codes.TAKEN_OVER})

    def test_a_long_reason_is_cut_between_characters(self) -> None:
        self.assertEqual(fit_reason("x" * 124), "x" * 123)
        self.assertEqual(fit_reason("é" * 100), "é" * 61)
        self.assertEqual(fit_reason("x" + "\N{PILE OF POO}" * 40), "x" + "\N{PILE OF POO}" * 30)

    def test_a_lone_surrogate_becomes_a_question_mark(self) -> None:
        self.assertEqual(fit_reason("a\ud800b"), "a?b")

    @settings(deadline=None)
    @given(st.text(st.characters()))
    def test_any_reason_becomes_one_that_a_close_frame_can_carry(self, reason: str) -> None:
        Close(1000, fit_reason(reason)).serialize()
        self.assertLessEqual(len(fit_reason(reason).encode()), 123)


class CodeTests(SynchronousTestCase):
    def test_the_codes_of_ours_and_of_applications_can_be_sent(self) -> None:
        for code in (1000, 1001, 1008, 1011, 1013, 3000, 4408, 4999):
            check_code(code)

    def test_a_server_says_farewell_by_1000_and_by_an_applications_codes(self) -> None:
        for code in (1000, 3000, 4000, 4409, 4429, 4999):
            self.assertTrue(is_farewell(code), code)
        for code in (1001, 1008, 1011, 1013, 4408):
            self.assertFalse(is_farewell(code), code)

    def test_other_codes_cannot_be_sent(self) -> None:
        for code in (-1, 0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000):
            error = self.assertRaises(ValueError, check_code, code)
            self.assertIn(f"close code {code} ", str(error))

    @settings(deadline=None)
    @given(st.integers(-1, 70000))
    def test_every_code_that_can_be_sent_is_accepted_by_the_websockets_library(self, code: int) -> None:
        try:
            check_code(code)
        except ValueError:
            return
        Close(code, "").check()
