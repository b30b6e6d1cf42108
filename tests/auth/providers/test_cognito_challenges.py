"""Tests of `wsservice.auth.providers.cognito_challenges`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.providers.base import Challenge
from wsservice.auth.providers.cognito_challenges import ANSWER_FIELDS, answer_fields, read_challenge, sendable
from wsservice.errors import ChallengeFailed, UnsupportedChallenge

UNSUPPORTED = [
    "MFA_SETUP",
    "PASSWORD_VERIFIER",
    "CUSTOM_CHALLENGE",
    "DEVICE_SRP_AUTH",
    "DEVICE_PASSWORD_VERIFIER",
    "ADMIN_NO_SRP_AUTH",
    "PASSWORD",
    "PASSWORD_SRP",
    "WEB_AUTHN",
    "",
    "new_password_required",
]


def challenge(name: str, *, session: str = "s" * 20, username: str = "ann") -> Challenge:
    return Challenge(name, session, username)


def read(name: str = "SMS_MFA", *, available: list[Any] | None = None, **parameters: Any) -> Challenge:
    return read_challenge(name, "s" * 20, username="alias", parameters=parameters, available=available)


class ReadChallengeTests(SynchronousTestCase):
    """`read_challenge` keeps what an answer and a person need."""

    def test_every_supported_one_is_read(self) -> None:
        for name in ANSWER_FIELDS:
            self.assertEqual(read(name).name, name)

    def test_others_are_unsupported_by_name(self) -> None:
        for name in UNSUPPORTED:
            self.assertEqual(self.assertRaises(UnsupportedChallenge, read, name).challenge, name)

    def test_the_pools_own_name_of_the_user_counts(self) -> None:
        self.assertEqual(read(USER_ID_FOR_SRP="real", USERNAME="other").username, "real")
        self.assertEqual(read(USERNAME="other").username, "other")
        self.assertEqual(read().username, "alias")
        self.assertEqual(read(USER_ID_FOR_SRP=["real"]).username, "alias")
        self.assertEqual(read(USER_ID_FOR_SRP="").username, "alias")

    def test_only_what_a_person_may_see_is_shown(self) -> None:
        shown = {"CODE_DELIVERY_DESTINATION": "+***1", "MFAS_CAN_CHOOSE": '["SMS_MFA"]', "requiredAttributes": "[]"}
        hidden = {"SALT": "x", "SECRET_BLOCK": "y", "USER_ID_FOR_SRP": "z", "userAttributes": '{"email":"a@b"}'}
        self.assertEqual(read(**shown, **hidden, FRIENDLY_DEVICE_NAME=["no text"]).parameters, shown)

    def test_the_choices_are_shown(self) -> None:
        parameters = read("SELECT_CHALLENGE", available=["PASSWORD", "WEB_AUTHN"]).parameters
        self.assertEqual(parameters, {"AVAILABLE_CHALLENGES": '["PASSWORD","WEB_AUTHN"]'})


class AnswerFieldsTests(SynchronousTestCase):
    """`answer_fields` lets through what belongs to the challenge."""

    def test_the_fields_of_every_challenge(self) -> None:
        for name, fields in ANSWER_FIELDS.items():
            responses = dict.fromkeys(fields, "PASSWORD")
            self.assertEqual(answer_fields(challenge(name), responses), responses)

    def test_a_client_cannot_send_fields_of_the_protocols_own(self) -> None:
        responses = {
            "SMS_MFA_CODE": "1",
            "USERNAME": "bob",
            "SECRET_HASH": "x",
            "DEVICE_KEY": "y",
            "userAttributes.a": "z",
        }
        self.assertEqual(answer_fields(challenge("SMS_MFA"), responses), {"SMS_MFA_CODE": "1"})

    def test_attributes_come_with_a_new_password(self) -> None:
        responses = {"NEW_PASSWORD": "pw", "userAttributes.name": "Ann", "userattributes.x": "y"}
        fields = answer_fields(challenge("NEW_PASSWORD_REQUIRED"), responses)
        self.assertEqual(fields, {"NEW_PASSWORD": "pw", "userAttributes.name": "Ann"})

    def test_the_password_is_the_choice_where_none_is_made(self) -> None:
        fields = answer_fields(challenge("SELECT_CHALLENGE"), {"PASSWORD": "pw"})
        self.assertEqual(fields, {"ANSWER": "PASSWORD", "PASSWORD": "pw"})

    def test_another_choice_is_unsupported_by_its_name(self) -> None:
        responses = {"ANSWER": "WEB_AUTHN", "PASSWORD": "pw"}
        error = self.assertRaises(UnsupportedChallenge, answer_fields, challenge("SELECT_CHALLENGE"), responses)
        self.assertEqual(error.challenge, "WEB_AUTHN")

    def test_an_unsupported_challenge_cannot_be_answered(self) -> None:
        for name in UNSUPPORTED:
            self.assertRaises(UnsupportedChallenge, answer_fields, challenge(name), {"ANSWER": "x"})

    def test_a_field_that_is_missing_or_cannot_be_sent_fails_the_challenge(self) -> None:
        for responses in ({}, {"SMS_MFA_CODE": ""}, {"SMS_MFA_CODE": "1" * 2049}, {"SMS_MFA_CODE": "\ud800"}):
            self.assertRaises(ChallengeFailed, answer_fields, challenge("SMS_MFA"), responses)

    def test_a_session_or_name_that_cannot_be_sent_fails_the_challenge(self) -> None:
        for bad in (
            challenge("SMS_MFA", session=""),
            challenge("SMS_MFA", session="s" * 4097),
            challenge("SMS_MFA", username=""),
            challenge("SMS_MFA", username="a\udc00"),
        ):
            self.assertRaises(ChallengeFailed, answer_fields, bad, {"SMS_MFA_CODE": "1"})


class SendableTests(SynchronousTestCase):
    """`sendable` tells text that JSON in UTF-8 can carry."""

    def test_text_within_its_length(self) -> None:
        for text, most, expected in (("a", 1, True), ("😀é\0", 3, True), ("", 9, False), ("ab", 1, False)):
            self.assertEqual(sendable(text, most), expected)

    def test_halves_of_surrogate_pairs_are_not(self) -> None:
        for text in ("\ud800", "a\udfffb", "\ud83d\ude00"):
            self.assertFalse(sendable(text, 10))
