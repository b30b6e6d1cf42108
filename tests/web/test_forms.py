"""The bodies of login and challenge."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.providers.base import Challenge
from wsservice.web.answers import RequestRefused
from wsservice.web.forms import Credentials, read_challenge_answer, read_credentials

BAD_TEXTS = (None, "", 7, True, 1.5, [], {}, ["a"], {"a": "b"})


class CredentialsTests(SynchronousTestCase):
    def refuse(self, body: dict[str, Any], name: str) -> None:
        with self.assertRaises(RequestRefused) as caught:
            read_credentials(body)
        self.assertEqual(caught.exception.http_status, 400)
        self.assertTrue(caught.exception.message.startswith(f"{name} "), caught.exception.message)

    def test_a_user_name_and_a_password(self) -> None:
        self.assertEqual(read_credentials({"username": "alice", "password": "x"}), Credentials("alice", "x"))

    def test_an_email_address_does_as_well(self) -> None:
        self.assertEqual(read_credentials({"email": "a@b.example", "password": "x"}), Credentials("a@b.example", "x"))

    def test_the_user_name_counts_if_both_are_there(self) -> None:
        body = {"username": "alice", "email": "a@b.example", "password": "x"}
        self.assertEqual(read_credentials(body).username, "alice")

    def test_unknown_members_are_ignored(self) -> None:
        self.assertEqual(read_credentials({"username": "a", "password": "x", "admin": True}), Credentials("a", "x"))

    def test_texts_are_taken_as_they_are(self) -> None:
        self.assertEqual(read_credentials({"username": " ä ", "password": " \x00é "}), Credentials(" ä ", " \x00é "))

    def test_what_is_no_text_or_empty_is_refused(self) -> None:
        for value in BAD_TEXTS:
            with self.subTest(value=value):
                self.refuse({"username": value, "password": "x"}, "username")
                self.refuse({"email": value, "password": "x"}, "email")
                self.refuse({"username": "a", "password": value}, "password")

    def test_what_is_missing_is_refused(self) -> None:
        self.refuse({}, "username")
        self.refuse({"username": "a"}, "password")
        self.refuse({"password": "x"}, "username")

    def test_the_lengths_are_bounded(self) -> None:
        read_credentials({"username": "a" * 128, "password": "x" * 256})
        self.refuse({"username": "a" * 129, "password": "x"}, "username")
        self.refuse({"username": "a", "password": "x" * 257}, "password")

    def test_the_password_is_not_shown(self) -> None:
        self.assertNotIn("SECRET", repr(read_credentials({"username": "a", "password": "SECRET"})))


class ChallengeAnswerTests(SynchronousTestCase):
    body = {"challenge": "NEW_PASSWORD_REQUIRED", "session": "handle", "username": "alice"}

    def refuse(self, **changes: Any) -> None:
        with self.assertRaises(RequestRefused) as caught:
            read_challenge_answer({**self.body, "newPassword": "x", **changes})
        self.assertEqual(caught.exception.http_status, 400)

    def test_responses_by_the_providers_names(self) -> None:
        challenge, responses = read_challenge_answer({**self.body, "responses": {"NEW_PASSWORD": "x"}})
        self.assertEqual(challenge, Challenge("NEW_PASSWORD_REQUIRED", "handle", "alice"))
        self.assertEqual(responses, {"NEW_PASSWORD": "x"})

    def test_a_new_password(self) -> None:
        self.assertEqual(read_challenge_answer({**self.body, "newPassword": "x"})[1], {"NEW_PASSWORD": "x"})

    def test_a_code_goes_under_the_challenges_own_name(self) -> None:
        for name in ("SOFTWARE_TOKEN_MFA", "SMS_MFA", "EMAIL_OTP", "SMS_OTP"):
            body = {"challenge": name, "session": "handle", "code": "123456"}
            self.assertEqual(read_challenge_answer(body)[1], {f"{name}_CODE": "123456"})

    def test_responses_are_added_and_win(self) -> None:
        responses = {"NEW_PASSWORD": "second", "userAttributes.name": "Alice"}
        body = {**self.body, "newPassword": "first", "responses": responses}
        self.assertEqual(read_challenge_answer(body)[1], responses)

    def test_the_user_name_may_be_missing(self) -> None:
        body = {"challenge": "SMS_MFA", "session": "handle", "code": "1"}
        self.assertEqual(read_challenge_answer(body)[0].username, "")

    def test_an_answer_without_an_answer_is_refused(self) -> None:
        for responses in ({}, {"responses": {}}):
            with self.assertRaises(RequestRefused):
                read_challenge_answer({**self.body, **responses})

    def test_wrong_types_are_refused(self) -> None:
        for value in BAD_TEXTS:
            for name in ("challenge", "session", "username", "newPassword", "code"):
                with self.subTest(value=value, name=name):
                    self.refuse(**{name: value})
        for value in (None, "", 7, [], ["a"], {"a": 1}, {"a": None}, {"a": {"b": "c"}}):
            with self.subTest(value=value):
                self.refuse(responses=value)

    def test_the_lengths_are_bounded(self) -> None:
        for changes in (
            {"challenge": "A" * 65},
            {"session": "A" * 4097},
            {"username": "A" * 129},
            {"newPassword": "A" * 257},
            {"code": "A" * 2049},
            {"responses": {"A": "A" * 2049}},
            {"responses": {str(number): "A" for number in range(33)}},
        ):
            with self.subTest(changes=changes):
                self.refuse(**changes)
