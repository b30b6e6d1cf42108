"""The defaults of the routes of `/auth`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.web.rates import Rate
from wsservice.web.services import AuthSettings


class AuthSettingsTests(SynchronousTestCase):
    def test_the_defaults(self) -> None:
        settings = AuthSettings()
        self.assertEqual(settings.login_rate, Rate(5, 30.0))
        self.assertEqual((settings.cookies.token_name, settings.cookies.refresh_name), ("authToken", "refreshToken"))
        self.assertEqual(settings.cookies.refresh_lifetime, 30 * 86400)
        self.assertEqual((settings.revoke_timeout, settings.refresh_keep), (2.0, 10.0))
