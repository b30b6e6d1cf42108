"""Tests of `wsservice.auth.endpoints`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.auth.endpoints import cognito_endpoints, dns_suffix
from wsservice.errors import ConfigurationError

POOL = "us-east-1_AbCdEf123"

PARTITIONS = [
    ("us-east-1", "amazonaws.com"),
    ("ap-southeast-2", "amazonaws.com"),
    ("us-gov-west-1", "amazonaws.com"),
    ("cn-north-1", "amazonaws.com.cn"),
    ("eusc-de-east-1", "amazonaws.eu"),
    ("us-iso-east-1", "c2s.ic.gov"),
    ("us-isob-east-1", "sc2s.sgov.gov"),
    ("eu-isoe-west-1", "cloud.adc-e.uk"),
    ("us-isof-south-1", "csp.hci.ic.gov"),
]


class AtAwsTests(SynchronousTestCase):
    """Without an override the addresses are AWS's own."""

    def test_a_pool_has_its_api_issuer_and_keys_below_one_host(self) -> None:
        endpoints = cognito_endpoints("us-east-1", POOL)
        self.assertEqual(endpoints.api, "https://cognito-idp.us-east-1.amazonaws.com/")
        self.assertEqual(endpoints.issuers, (f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}",))
        self.assertEqual(
            endpoints.jwks_url, f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}/.well-known/jwks.json"
        )
        self.assertFalse(endpoints.custom)

    def test_each_partition_has_its_own_suffix(self) -> None:
        for region, suffix in PARTITIONS:
            with self.subTest(region=region):
                host = f"https://cognito-idp.{region}.{suffix}"
                endpoints = cognito_endpoints(region, f"{region}_Ab1")
                self.assertEqual(endpoints.api, f"{host}/")
                self.assertEqual(endpoints.issuers, (f"{host}/{region}_Ab1",))
                self.assertEqual(endpoints.jwks_url, f"{host}/{region}_Ab1/.well-known/jwks.json")

    def test_the_suffixes_are_botocores(self) -> None:
        from botocore.session import Session

        session = Session()
        for partition in session.get_available_partitions():
            for region in session.get_available_regions("cognito-idp", partition):
                with self.subTest(region=region):
                    data = session.get_component("endpoint_resolver").construct_endpoint("cognito-idp", region)
                    self.assertEqual(data["dnsSuffix"], dns_suffix(region))

    def test_configured_issuers_replace_the_computed_one(self) -> None:
        issuers = ["https://issuer-cognito-idp.us-east-1.amazonaws.com/us-east-1_x", "https://other.example/"]
        self.assertEqual(cognito_endpoints("us-east-1", POOL, issuers=issuers).issuers, tuple(issuers))

    def test_a_configured_key_set_replaces_the_computed_one(self) -> None:
        url = "https://keys.example/jwks?v=1"
        self.assertEqual(cognito_endpoints("us-east-1", POOL, jwks_url=url).jwks_url, url)


class WithOverrideTests(SynchronousTestCase):
    """With an endpoint set by hand, as for an emulator."""

    def test_api_and_keys_move_and_the_issuer_stays_in_awss_form(self) -> None:
        endpoints = cognito_endpoints("us-east-1", POOL, endpoint_override="http://127.0.0.1:5000")
        self.assertEqual(endpoints.api, "http://127.0.0.1:5000/")
        self.assertEqual(endpoints.jwks_url, f"http://127.0.0.1:5000/{POOL}/.well-known/jwks.json")
        self.assertEqual(endpoints.issuers, (f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}",))
        self.assertTrue(endpoints.custom)

    def test_the_address_is_kept_in_the_form_that_is_sent_and_signed(self) -> None:
        for override in ("HTTP://LocalHost:5000/Base", "http://localhost:5000/Base/", "http://localhost:5000/Base//"):
            endpoints = cognito_endpoints("us-east-1", POOL, endpoint_override=override)
            self.assertEqual(endpoints.api, "http://localhost:5000/Base/")

    def test_a_pool_id_of_an_emulator_is_taken(self) -> None:
        endpoints = cognito_endpoints("local", "local_6Rx0EZ5w", endpoint_override="http://127.0.0.1:9229")
        self.assertEqual(endpoints.jwks_url, "http://127.0.0.1:9229/local_6Rx0EZ5w/.well-known/jwks.json")

    def test_an_empty_override_is_none(self) -> None:
        self.assertFalse(cognito_endpoints("us-east-1", POOL, endpoint_override="").custom)


class RefusedTests(SynchronousTestCase):
    """What cannot be used is refused with the name of the option."""

    def problems(self, region: str, pool_id: str, **options: object) -> tuple[str, ...]:
        return self.assertRaises(ConfigurationError, cognito_endpoints, region, pool_id, **options).problems

    def test_every_problem_is_told_at_once(self) -> None:
        problems = self.problems("", "", endpoint_override="x", issuers=["y"], jwks_url="z")
        names = ["AWS_REGION", "AWS_COGNITO_USER_POOL_ID", "AWS_ENDPOINT_URL", "AUTH_JWKS_URL", "AUTH_ISSUER"]
        self.assertEqual(len(problems), len(names))
        for problem, name in zip(problems, names, strict=True):
            self.assertIn(name, problem)

    def test_missing_settings_name_the_way_without_aws(self) -> None:
        for problem in self.problems("", ""):
            self.assertIn("--dev", problem)

    def test_a_region_that_is_none_is_refused(self) -> None:
        for region in ("us-east", "US-EAST-1", "us_east_1", "us-east-1.evil.example", "us-east-1\n", "1-2-3"):
            with self.subTest(region=region):
                self.assertIn("AWS_REGION", self.problems(region, "us-east-1_Ab1")[0])

    def test_a_pool_id_that_is_none_is_refused(self) -> None:
        long = "us-east-1_" + "a" * 46
        for pool in ("us-east-1", "us-east-1_", "us-east-1_a b", "us-east-1_a/../b", "us-east-1_é", f"{POOL}\n", long):
            with self.subTest(pool=pool):
                self.assertIn("AWS_COGNITO_USER_POOL_ID", self.problems("us-east-1", pool)[0])

    def test_a_pool_of_another_region_is_refused(self) -> None:
        for pool in ("eu-west-1_AbCdEf123", "us-east-11_AbCdEf123"):
            with self.subTest(pool=pool):
                (problem,) = self.problems("us-east-1", pool)
                self.assertIn("AWS_REGION 'us-east-1'", problem)

    def test_an_override_relaxes_the_form_but_not_into_other_paths_and_hosts(self) -> None:
        options = {"endpoint_override": "http://127.0.0.1:9229"}
        for region, pool in (("a.b", "p_1"), ("local", "../p_1"), ("local", "p?x"), ("local", "a" * 56)):
            with self.subTest(region=region, pool=pool):
                self.assertEqual(len(self.problems(region, pool, **options)), 1)

    def test_an_address_that_is_no_plain_url_is_refused(self) -> None:
        for url in (
            "cognito.example",
            "ftp://cognito.example",
            "https://",
            "https://user@cognito.example",
            "https://cognito.example:99999",
            "https://cognito.example:0",
            "https://cognito.example/?a=b",
            "https://cognito.example/#a",
            "https://cognito.example/a b",
            "https://cognito.example/\n",
            "https://cögnito.example/",
            "http://[::1",
        ):
            with self.subTest(url=url):
                (problem,) = self.problems("us-east-1", POOL, endpoint_override=url)
                self.assertIn("AWS_ENDPOINT_URL_COGNITO_IDENTITY_PROVIDER", problem)
