"""Tests of wsservice.adapters.redis.blocking, with a peer on a socket that answers by a script."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice.adapters.redis import blocking
from wsservice.adapters.redis.blocking import BlockingRedis
from wsservice.adapters.redis.resp import Reader
from wsservice.adapters.redis.url import RedisUrl
from wsservice.errors import RedisRefused, RedisUnavailable

#: in a script: close the connection instead of an answer; or behind one
CLOSE = b""
#: never answer
SILENCE = b"silence"


class Peer:
    """Takes one connection after the other; each has a list of answers, one for each command.

    Attributes:
        commands: what was said, by connection.
    """

    def __init__(self, *script: list[bytes]) -> None:
        self.commands: list[list[Any]] = []
        self.closed = threading.Semaphore(0)
        self._done = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, args=(script,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._done.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread, which closing does not
        self._listener.close()
        self._thread.join()

    def _serve(self, script: tuple[list[bytes], ...]) -> None:
        for answers in script:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._answer(connection, answers)
            self.closed.release()

    def _answer(self, connection: socket.socket, answers: list[bytes]) -> None:
        self.commands.append([])
        reader = Reader(1 << 20)
        for answer in answers:
            if answer == CLOSE:
                return
            commands: list[Any] = []
            while not commands:
                data = connection.recv(65536)
                if not data:
                    return
                commands = reader.feed(data)
            self.commands[-1] += commands
            if answer == SILENCE:
                self._done.wait()
            else:
                connection.sendall(answer)
        while connection.recv(65536):  # until the other side leaves
            pass


class BlockingTests(SynchronousTestCase):
    def setUp(self) -> None:
        # a test that waits for the peer must not wait for ever
        self.patience = 30.0

    def start(self, *script: list[bytes], timeout: float = 30.0, **url: Any) -> tuple[BlockingRedis, Peer]:
        peer = Peer(*script)
        redis = BlockingRedis(RedisUrl("127.0.0.1", peer.port, **url), timeout=timeout)
        self.addCleanup(peer.stop)
        self.addCleanup(redis.close)
        return redis, peer

    def test_one_connection_serves_all(self) -> None:
        redis, peer = self.start([b":2\r\n", b":0\r\n"])
        self.assertEqual(redis.publish(b"channel", b"one"), 2)
        self.assertEqual(redis.publish(b"channel", b"\x00two\r\n"), 0)
        self.assertEqual(peer.commands, [[[b"PUBLISH", b"channel", b"one"], [b"PUBLISH", b"channel", b"\x00two\r\n"]]])

    def test_it_says_who_it_is(self) -> None:
        redis, peer = self.start([b"+OK\r\n", b":1\r\n"], username="ann", password="secret")
        self.assertEqual(redis.publish(b"c", b"m"), 1)
        self.assertEqual(peer.commands[0][0], [b"AUTH", b"ann", b"secret"])

    def test_a_wrong_password_is_redis_refusal(self) -> None:
        redis, peer = self.start([b"-WRONGPASS no\r\n"], [b"+OK\r\n", b":1\r\n"], password="secret")
        error = self.assertRaises(RedisRefused, redis.publish, b"c", b"m")
        self.assertEqual(error.code, "WRONGPASS")
        self.assertEqual(redis.publish(b"c", b"m"), 1)  # by then the password is right
        self.assertEqual(peer.commands[1][0], [b"AUTH", b"secret"])

    def test_an_error_is_raised_and_the_connection_goes_on(self) -> None:
        redis, peer = self.start([b"-NOPERM no\r\n", b":1\r\n"])
        self.assertEqual(self.assertRaises(RedisRefused, redis.publish, b"c", b"m").code, "NOPERM")
        self.assertEqual(redis.publish(b"c", b"m"), 1)
        self.assertEqual(len(peer.commands), 1)

    def test_a_connection_that_was_closed_while_idle_is_made_anew(self) -> None:
        redis, peer = self.start([b":1\r\n", CLOSE], [b":3\r\n"])
        self.assertEqual(redis.publish(b"c", b"one"), 1)
        self.assertTrue(peer.closed.acquire(timeout=self.patience))
        select.select([redis._socket], [], [], self.patience)
        self.assertEqual(redis.publish(b"c", b"two"), 3)
        self.assertEqual(peer.commands, [[[b"PUBLISH", b"c", b"one"]], [[b"PUBLISH", b"c", b"two"]]])

    def test_what_was_not_sent_to_its_end_is_sent_again(self) -> None:
        redis, peer = self.start([b":1\r\n"], [b":3\r\n"])
        redis.publish(b"c", b"one")
        assert redis._socket is not None
        redis._socket.shutdown(socket.SHUT_WR)
        # nothing has come from the other side yet when it looks; then sending fails
        self.patch(blocking, "_is_quiet", lambda connection: True)
        self.assertEqual(redis.publish(b"c", b"two"), 3)
        self.assertEqual(peer.commands[1], [[b"PUBLISH", b"c", b"two"]])

    def test_what_may_have_arrived_is_not_sent_again(self) -> None:
        redis, peer = self.start([b":1\r\n", CLOSE], [b":1\r\n"])
        redis.publish(b"c", b"one")
        self.patch(blocking, "_is_quiet", lambda connection: True)
        self.assertTrue(peer.closed.acquire(timeout=self.patience))
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"two")
        self.assertIn("may have arrived or not", str(error))
        self.assertEqual(redis.publish(b"c", b"three"), 1)
        self.assertEqual(peer.commands[1], [[b"PUBLISH", b"c", b"three"]])

    def test_a_redis_that_does_not_answer_costs_the_timeout(self) -> None:
        redis, _ = self.start([SILENCE], timeout=0.05)
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
        self.assertIn("does not answer", str(error))
        self.assertIsNone(redis._socket)

    def test_nobody_listens(self) -> None:
        redis, peer = self.start()
        peer.stop()
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
        self.assertIn(f"redis://127.0.0.1:{peer.port}/0 cannot be reached", str(error))

    def test_a_socket_that_is_not_there(self) -> None:
        redis = BlockingRedis(RedisUrl(path="/nowhere/redis.sock"))
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
        self.assertIn("No such file", str(error))

    def test_something_else_listens(self) -> None:
        redis, _ = self.start([b"HTTP/1.1 400 Bad Request\r\n"], [b"+OK\r\n"])
        for _ in range(2):
            error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
            self.assertIn("something else", str(error))
            redis.close()

    def test_no_error_has_the_password(self) -> None:
        redis = BlockingRedis(RedisUrl("127.0.0.1", 1, password="SECRET-1"))
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
        self.assertNotIn("SECRET-1", repr(error) + repr(error.__cause__))

    def test_a_redis_without_tls_is_not_taken_for_one_with_it(self) -> None:
        redis, _ = self.start([CLOSE], tls=True)
        error = self.assertRaises(RedisUnavailable, redis.publish, b"c", b"m")
        self.assertIn("rediss://", str(error))

    def test_threads_take_turns(self) -> None:
        redis, peer = self.start([b":%d\r\n" % number for number in range(100)])
        heard: list[int] = []
        threads = [
            threading.Thread(target=lambda: heard.extend(redis.publish(b"c", b"m") for _ in range(25)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(heard), list(range(100)))
        self.assertEqual(len(peer.commands), 1)

    def test_a_process_that_was_forked_has_a_connection_of_its_own(self) -> None:
        redis, peer = self.start([b":1\r\n", b":2\r\n"])
        redis.publish(b"c", b"parent")
        redis._lock.acquire()  # held by a thread that the child does not have
        child = os.fork()
        if not child:  # pragma: no cover - another process
            os._exit(0 if redis._socket is None and redis._lock.acquire(blocking=False) else 1)
        redis._lock.release()
        self.assertEqual(os.waitpid(child, 0)[1], 0)
        self.assertEqual(redis.publish(b"c", b"parent"), 2)
        self.assertEqual(len(peer.commands), 1)
