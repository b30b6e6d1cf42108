"""Tests of wsservice.testing.provider: what the service's own tests do not reach."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.errors import InvalidToken, SessionExpired
from wsservice.testing.provider import UserPool
from wsservice.testing.tokens import Issuer

NOW = 1_800_000_000.0


class SignOutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.pool = UserPool(Issuer(now=lambda: NOW), now=lambda: NOW)

    def test_every_session_of_the_user_ends_and_no_other(self) -> None:
        one, other = self.pool.session("ann"), self.pool.session("ann", id="phone")
        bob = self.pool.session("bob")
        self.successResultOf(self.pool.sign_out(one.token, one.refresh, "ann"))
        for session in (one, other):
            self.failureResultOf(self.pool.refresh(session.refresh), SessionExpired)
        self.successResultOf(self.pool.refresh(bob.refresh))
        self.assertNotIn(self.pool.session("ann").id, (one.id, other.id))

    def test_a_token_that_is_not_its_own_ends_nothing(self) -> None:
        ann = self.pool.session("ann")
        foreign = Issuer(now=lambda: NOW, first_key=5).token("ann")
        self.failureResultOf(self.pool.sign_out(foreign), InvalidToken)
        self.successResultOf(self.pool.refresh(ann.refresh))
