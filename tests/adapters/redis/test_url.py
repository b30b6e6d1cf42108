"""Tests of `adapters.redis.url`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis.url import RedisUrl, check_key

GOOD = {
    "redis://localhost": RedisUrl(host="localhost"),
    "redis://localhost:6380/5": RedisUrl(host="localhost", port=6380, database=5),
    "redis://Cache.Example.com/": RedisUrl(host="cache.example.com"),
    "redis://cache?db=3": RedisUrl(host="cache", database=3),
    "redis://[::1]:7000/1": RedisUrl(host="::1", port=7000, database=1),
    "redis://:geheim@cache": RedisUrl(host="cache", password="geheim"),
    "redis://ann:ge%3Ah%2Fei%40m%25@cache": RedisUrl(host="cache", username="ann", password="ge:h/ei@m%"),
    "redis://cache?key=chat:one": RedisUrl(host="cache", key="chat:one"),
    "rediss://cache": RedisUrl(host="cache", tls=True),
    "rediss://cache?ca=/etc/ca.pem": RedisUrl(host="cache", tls=True, ca="/etc/ca.pem"),
    "unix:///run/redis.sock": RedisUrl(path="/run/redis.sock"),
    "unix://:geheim@/run/redis.sock?db=2&key=x": RedisUrl(
        path="/run/redis.sock", password="geheim", database=2, key="x"
    ),
    "redis+unix:///run/redis%20one.sock": RedisUrl(path="/run/redis one.sock"),
}

BAD = {
    "": "is not the address of a Redis",
    "localhost:6379": "is not the address of a Redis",
    "http://cache": "is not the address of a Redis",
    "redis://a b": "percent-encode",
    "redis://cache\n": "percent-encode",
    "redis://": "names no host",
    "redis://cache:0": "names no host",
    "redis://cache:70000": "percent-encode a password's",
    "redis://:ge/heim@cache": "percent-encode a password's",
    "redis://[::1": "percent-encode a password's",
    "redis://ann@cache": "write user:password@",
    "redis://cache/one": "names no database",
    "redis://cache/-1": "names no database",
    "redis://cache/0/1": "names no database",
    "redis://cache?timeout=5": "options that nobody knows: ca, db, key",
    "redis://:ge#heim@cache": "percent-encode",
    "redis://cache#x": "options that nobody knows",
    "redis://cache?key": "name=value",
    "redis://cache?key=a&key=b": "twice",
    "redis://cache?key=a*": "has a key that is not a prefix",
    "redis://cache?key=": "has a key that is not a prefix",
    "redis://cache?ca=/x": "write rediss://",
    "unix://run/redis.sock": "three slashes",
    "unix:run/redis.sock": "three slashes",
    "unix:///run/redis.sock?ca=/x": "not encrypted",
    "unix:///run/redis.sock?db=x": "names no database",
    "unix:///run/%00": "three slashes",
}


class RedisUrlTests(SynchronousTestCase):
    def test_what_is_one(self) -> None:
        for text, url in GOOD.items():
            self.assertEqual(RedisUrl.parse(text), url, text)

    def test_what_is_none_says_the_fix_and_no_secret(self) -> None:
        for text, words in BAD.items():
            with self.assertRaises(ValueError, msg=text) as caught:
                RedisUrl.parse(text)
            self.assertIn(words, str(caught.exception), text)
            self.assertNotIn("heim", str(caught.exception))

    def test_no_text_of_it_has_the_password(self) -> None:
        for text in GOOD:
            url = RedisUrl.parse(text)
            self.assertNotIn("geheim", f"{url} {url!r}")
            self.assertNotIn("ge:h", f"{url} {url!r}")

    def test_its_text_is_one_again(self) -> None:
        for url in GOOD.values():
            again = RedisUrl.parse(str(url))
            self.assertEqual(
                (again.host, again.port, again.path, again.tls, again.database),
                (url.host, url.port, url.path, url.tls, url.database),
            )

    @given(st.text(max_size=60))
    def test_anything_is_one_or_a_value_error(self, text: str) -> None:
        for whole in (text, f"redis://{text}", f"unix:///{text}"):
            try:
                RedisUrl.parse(whole)
            except ValueError:
                pass


class CheckKeyTests(SynchronousTestCase):
    def test_a_prefix_is_no_pattern(self) -> None:
        self.assertEqual(check_key("socket.io"), "socket.io")
        for key in ("", "a*", "a?", "[a]", "a\\", "a b", "a\n", "a" * 101):
            self.assertRaises(ValueError, check_key, key)
