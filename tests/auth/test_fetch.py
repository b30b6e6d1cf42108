"""Tests of wsservice.auth.fetch, through the real treq, on a connection in memory."""

from __future__ import annotations

import gzip
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.auth.memory import Net, Peer
from wsservice.auth.fetch import BoundedFetcher, FetchError, Response, check_url

URL = "http://localhost:8080/pool/.well-known/jwks.json"


def head(status: str = "200 OK", **headers: object) -> bytes:
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def answer(body: bytes, status: str = "200 OK", **headers: object) -> bytes:
    return head(status, Content_Length=len(body), **headers) + body


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.net = Net()
        self.fetcher = BoundedFetcher(self.net, timeout=5, max_bytes=1000)

    def get(self, closes: bool = True) -> tuple[Deferred[bytes], Peer]:
        got = self.fetcher.get(URL)
        return got, self.net.accept(closes)

    def assert_fails(self, got: Deferred[Any], word: str) -> FetchError:
        """It failed with that word, and left nothing behind."""
        self.net.settle()
        error = self.failureResultOf(got, FetchError).value
        self.assertEqual(error.word, word)
        self.assertEqual(self.net.left_behind(), [])
        return error


class GetTests(Case):
    def test_the_body_of_a_200_is_the_result(self) -> None:
        got, peer = self.get()
        peer.send(answer(b"keys"))
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"keys")
        self.assertEqual(self.net.left_behind(), [])

    def test_the_request_asks_for_the_path_and_for_no_encoding_and_no_second_request(self) -> None:
        _, peer = self.get()
        lines = peer.value().decode().split("\r\n")
        self.assertEqual(lines[0], "GET /pool/.well-known/jwks.json HTTP/1.1")
        lines = [line.lower() for line in lines]
        self.assertIn("host: localhost:8080", lines)
        self.assertIn("accept-encoding: identity", lines)
        self.assertIn("connection: close", lines)
        self.assertEqual(sum(line.startswith("accept-encoding") for line in lines), 1)

    def test_a_body_in_chunks_and_in_pieces_is_put_together(self) -> None:
        got, peer = self.get()
        for byte in head(Transfer_Encoding="chunked") + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n":
            peer.send(bytes([byte]))
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"abcde")

    def test_a_body_that_ends_with_the_connection_is_taken(self) -> None:
        got, peer = self.get()
        peer.send(head() + b"abc")
        peer.close()
        self.assertEqual(self.successResultOf(got), b"abc")

    def test_an_empty_body_is_taken(self) -> None:
        got, peer = self.get()
        peer.send(answer(b""))
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"")

    def test_a_body_of_just_the_bound_is_taken_and_of_one_byte_more_is_not(self) -> None:
        got, peer = self.get()
        peer.send(answer(b"x" * 1000))
        self.net.settle()
        self.assertEqual(len(self.successResultOf(got)), 1000)
        got, peer = self.get()
        peer.send(answer(b"x" * 1001))
        self.assert_fails(got, "too_large")

    def test_an_announced_length_over_the_bound_is_refused_by_the_head_alone(self) -> None:
        got, peer = self.get()
        peer.send(head(Content_Length=1 << 30))
        self.assert_fails(got, "too_large")
        self.assertTrue(peer.aborted)

    def test_an_endless_body_is_cut_at_the_bound(self) -> None:
        for how in (head(Transfer_Encoding="chunked") + b"fffffff\r\n", head()):
            got, peer = self.get()
            peer.send(how)
            for _ in range(11):
                peer.send(b"x" * 100)
            self.assert_fails(got, "too_large")
            self.assertTrue(peer.aborted)

    def test_a_body_without_length_that_is_cut_by_the_bound_of_the_wire_is_not_taken_for_whole(self) -> None:
        got, peer = self.get()
        peer.send(head() + b"abc")
        peer.send(b"x" * 50_000)
        self.assert_fails(got, "too_large")

    def test_endless_tiny_chunks_are_cut_by_what_they_take_on_the_wire(self) -> None:
        got, peer = self.get()
        peer.send(head(Transfer_Encoding="chunked"))
        for _ in range(2000):
            peer.send(b"000000001\r\nx\r\n")
        self.assert_fails(got, "too_large")

    def test_an_endless_head_is_cut(self) -> None:
        got, peer = self.get()
        peer.send(b"HTTP/1.1 200 OK\r\n")
        for _ in range(2000):
            peer.send(b"X-More: and more\r\n")
        self.assert_fails(got, "too_large")
        self.assertTrue(peer.aborted)

    def test_bytes_that_come_after_the_cut_are_dropped(self) -> None:
        got, peer = self.get()
        peer.send(b"x" * 20000)
        peer.protocol.dataReceived(b"more")
        self.assert_fails(got, "too_large")

    def test_every_content_encoding_is_refused_before_it_is_decoded(self) -> None:
        for encoding in ("gzip", "GZIP", "br", "deflate", "identity, gzip", "x"):
            got, peer = self.get()
            peer.send(answer(gzip.compress(b"x" * 500), Content_Encoding=encoding))
            self.assert_fails(got, "encoding")

    def test_the_encoding_identity_is_none(self) -> None:
        got, peer = self.get()
        peer.send(answer(b"abc", Content_Encoding="identity"))
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"abc")

    def test_a_redirect_is_not_followed(self) -> None:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent", "304 Not Modified"):
            got, peer = self.get()
            peer.send(answer(b"", status, Location="http://localhost:8080/elsewhere"))
            self.assert_fails(got, "redirect")
            self.assertEqual(self.net.tcpClients, [])

    def test_any_status_but_200_is_refused_and_the_connection_dropped(self) -> None:
        for status in ("201 Created", "204 No Content", "206 Partial", "403 Forbidden", "404 Not Found", "500 Oops"):
            got, peer = self.get()
            peer.send(answer(b"{}", status) if "204" not in status else head(status))
            self.assertIn(status[:3], str(self.assert_fails(got, "status")))

    def test_a_failure_is_told_when_the_connection_is_gone(self) -> None:
        got, peer = self.get()
        peer.send(answer(b"", "500 Oops"))
        self.assertNoResult(got)
        self.net.settle()
        self.failureResultOf(got, FetchError)

    def test_a_peer_that_never_answers_costs_the_timeout(self) -> None:
        got, peer = self.get()
        self.net.advance(4.9)
        self.assertNoResult(got)
        self.net.advance(0.2)
        self.assert_fails(got, "timeout")
        self.assertTrue(peer.aborted)

    def test_a_connection_that_is_never_made_costs_the_timeout(self) -> None:
        got = self.fetcher.get(URL)
        self.net.advance(5)
        self.assert_fails(got, "timeout")

    def test_a_body_that_dribbles_costs_the_timeout_in_all(self) -> None:
        got, peer = self.get()
        peer.send(head(Content_Length=100))
        for _ in range(9):
            self.net.advance(0.5)
            peer.send(b"x")
        self.assertNoResult(got)
        self.net.advance(0.5)
        self.assert_fails(got, "timeout")
        self.assertTrue(peer.aborted)

    def test_a_refused_connection_is_reported(self) -> None:
        got = self.fetcher.get(URL)
        self.net.refuse()
        self.net.advance(0.3)  # the pause between addresses
        self.assert_fails(got, "refused")

    def test_a_name_without_address_is_reported_as_refused(self) -> None:
        class Nowhere:
            def resolveHostName(self, receiver: Any, *_: Any, **__: Any) -> None:
                receiver.resolutionComplete()

        self.net.nameResolver = Nowhere()  # type: ignore[assignment]
        self.assert_fails(self.fetcher.get(URL), "refused")

    def test_a_connection_that_ends_before_or_inside_the_answer_is_lost(self) -> None:
        for sent in (b"", b"HTT", head()[:-2], head(Content_Length=10) + b"123"):
            for end in (Peer.close, Peer.reset):
                got, peer = self.get()
                peer.send(sent)
                end(peer)
                self.assert_fails(got, "lost")

    def test_an_answer_cut_inside_its_chunks_is_lost(self) -> None:
        got, peer = self.get()
        peer.send(head(Transfer_Encoding="chunked") + b"10\r\nabc")
        peer.close()
        self.assert_fails(got, "lost")

    def test_what_is_not_http_is_malformed(self) -> None:
        for sent in (
            b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
            b"HTTP/1.1 abc OK\r\n\r\n",
            b"\x15\x03\x01\x00\x02\x02\x46\r\n",
            head(Content_Length="minus one") + b"x",
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
            head(Transfer_Encoding="chunked") + b"zz\r\nabc\r\n",
        ):
            got, peer = self.get()
            peer.send(sent)
            self.assert_fails(got, "malformed")

    def test_a_peer_that_does_not_close_after_a_whole_answer_is_cut_off_soon(self) -> None:
        got, peer = self.get(closes=False)
        peer.send(answer(b"abc"))
        self.assertNoResult(got)
        self.net.advance(0.5)
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"abc")
        self.assertTrue(peer.aborted)
        self.assertEqual(self.net.left_behind(), [])

    def test_cancelling_aborts_the_connection_wherever_the_exchange_stands(self) -> None:
        for sent in (b"", b"HTTP/1.1 200", head(Content_Length=10) + b"123"):
            got, peer = self.get()
            peer.send(sent)
            got.cancel()
            self.net.settle()
            self.failureResultOf(got, CancelledError)
            self.assertTrue(peer.aborted)
            self.assertEqual(self.net.left_behind(), [])

    def test_cancelling_while_the_peer_is_slow_to_close_aborts_at_once(self) -> None:
        got, peer = self.get(closes=False)
        peer.send(answer(b"abc"))
        got.cancel()
        self.net.settle()
        self.assertEqual(self.successResultOf(got), b"abc")
        self.assertTrue(peer.aborted)
        self.assertEqual(self.net.left_behind(), [])

    def test_cancelling_before_the_connection_is_made_stops_connecting(self) -> None:
        got = self.fetcher.get(URL)
        got.cancel()
        self.failureResultOf(got)
        self.assertEqual(self.net.left_behind(), [])
        self.assertTrue(self.net.connectors[0].stoppedConnecting)

    def test_a_cookie_that_was_set_is_not_sent_back(self) -> None:
        got, peer = self.get()
        peer.send(answer(b"abc", Set_Cookie="a=b"))
        self.net.settle()
        self.successResultOf(got)
        _, peer = self.get()
        self.assertNotIn(b"cookie", peer.value().lower())

    def test_a_failed_tls_handshake_has_its_own_word(self) -> None:
        got, peer = self.get()
        peer.lose(SSL.Error([("SSL routines", "", "certificate verify failed")]))
        self.assertIn("verify failed", str(self.assert_fails(got, "tls")))

    def test_a_bug_is_not_passed_off_as_the_providers_fault(self) -> None:
        fetcher = BoundedFetcher(self.net, tls_policy=object())  # type: ignore[arg-type]
        self.failureResultOf(fetcher.get("https://localhost/"), AttributeError)


class PostTests(Case):
    def post(self) -> tuple[Deferred[Response], Peer]:
        got = self.fetcher.post(URL, b'{"a":1}', {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "T"})
        return got, self.net.accept()

    def test_body_and_headers_are_sent(self) -> None:
        _, peer = self.post()
        sent_head, _, body = peer.value().partition(b"\r\n\r\n")
        lines = sent_head.decode().lower().split("\r\n")
        self.assertEqual(lines[0], "post /pool/.well-known/jwks.json http/1.1")
        for line in ("content-length: 7", "content-type: application/x-amz-json-1.1", "x-amz-target: t"):
            self.assertIn(line, lines)
        self.assertEqual(body, b'{"a":1}')

    def test_every_status_is_a_result_with_headers_and_body(self) -> None:
        for status in (200, 302, 400, 500):
            got, peer = self.post()
            peer.send(answer(b"abc", f"{status} Some", X_Amzn_ErrorType="E:x", Location="/x"))
            self.net.settle()
            response = self.successResultOf(got)
            self.assertEqual((response.status, response.body), (status, b"abc"))
            self.assertEqual(response.headers["x-amzn-errortype"], "E:x")
            self.assertNotIn("abc", repr(response))
            self.assertEqual(self.net.left_behind(), [])

    def test_repeated_headers_are_joined(self) -> None:
        got, peer = self.post()
        peer.send(b"HTTP/1.1 200 OK\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 0\r\n\r\n")
        self.net.settle()
        self.assertEqual(self.successResultOf(got).headers["x-a"], "1, 2")

    def test_an_answer_that_comes_before_the_request_was_sent_whole_is_taken(self) -> None:
        got, peer = self.post()
        peer.send(answer(b"early", "400 Bad Request"))
        self.net.settle()
        self.assertEqual(self.successResultOf(got).status, 400)

    def test_the_bounds_of_get_hold(self) -> None:
        for sent, word in ((head(Content_Length=1 << 30), "too_large"), (head(Content_Encoding="gzip"), "encoding")):
            got, peer = self.post()
            peer.send(sent)
            self.assert_fails(got, word)
        got, peer = self.post()
        self.net.advance(5)
        self.assert_fails(got, "timeout")

    def test_an_empty_body_is_sent_as_one(self) -> None:
        self.fetcher.post(URL, b"", {})
        self.assertIn(b"content-length: 0\r\n", self.net.accept().value().lower())


class UrlTests(SynchronousTestCase):
    def test_https_and_http_to_loopback_are_accepted(self) -> None:
        for url in (
            "https://cognito-idp.eu-west-1.amazonaws.com/p/.well-known/jwks.json",
            "http://localhost/",
            "http://app.localhost:1/",
            "http://127.0.0.1:8080/x",
            "http://127.9.9.9/",
            "http://[::1]:80/",
        ):
            check_url(url)

    def test_other_urls_are_refused(self) -> None:
        for url in (
            "http://example.com/jwks.json",
            "http://localhost.example.com/",
            "http://10.0.0.1/",
            "http://[::2]/",
            "http://0.0.0.0/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "/jwks.json",
            "",
            "https:///x",
            "https://host/a b",
            "https://host/a\x00b",
            "https://h\xf6st/",
            "https://host:port/",
            "https://[::1/",
        ):
            with self.assertRaises(ValueError, msg=url):
                check_url(url)

    def test_a_password_in_a_url_is_refused_and_not_repeated(self) -> None:
        with self.assertRaises(ValueError) as caught:
            check_url("https://user:hunter2@host/")
        self.assertNotIn("hunter2", str(caught.exception))

    def test_plain_http_can_be_allowed(self) -> None:
        check_url("http://example.com/", allow_http=True)
        BoundedFetcher(Net(), allow_http=True).check("http://example.com/")

    def test_the_refusal_names_the_fix(self) -> None:
        with self.assertRaisesRegex(ValueError, "use an https URL"):
            BoundedFetcher(Net()).check("http://example.com/")

    def test_a_url_that_must_not_be_fetched_is_not(self) -> None:
        net = Net()
        self.failureResultOf(BoundedFetcher(net).get("http://example.com/"), ValueError)
        self.assertEqual(net.tcpClients, [])


class TlsTests(SynchronousTestCase):
    def test_https_speaks_tls_first(self) -> None:
        net = Net()
        got = BoundedFetcher(net, timeout=5).get("https://localhost/keys")
        peer = net.accept()
        self.assertEqual(peer.value()[:2], b"\x16\x03")  # a TLS handshake record
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        net.settle()
        self.assertEqual(self.failureResultOf(got, FetchError).value.word, "tls")
        self.assertEqual(net.left_behind(), [])
