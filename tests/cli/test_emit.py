"""Tests of wsservice.cli.emit: `wsservice emit`."""

from __future__ import annotations

import io
from typing import Any

from tests.cli.memory import Bench
from wsservice.cli import emit
from wsservice.errors import RedisUnavailable
from wsservice.messages import Broadcast, Target


class ArgumentTests(Bench):
    def test_arguments_are_json(self) -> None:
        out = self.done("emit", "news", '{"a": [1]}', "-5", '"text"', "null")
        self.assertEqual(out, "1 event, heard by 3 nodes\n")
        self.assertEqual(self.broadcasts, [Broadcast("news", ({"a": [1]}, -5, "text", None), Target())])

    def test_an_event_needs_none(self) -> None:
        self.done("emit", "news")
        self.assertEqual(self.broadcasts, [Broadcast("news", (), Target())])

    def test_options_may_stand_anywhere(self) -> None:
        self.done("emit", "-r", "a", "news", "--room", "b", "1", "--volatile", "2", "-n", "/admin")
        target = Target("/admin", frozenset({"a", "b"}))
        self.assertEqual(self.broadcasts, [Broadcast("news", (1, 2), target, volatile=True)])

    def test_users_sessions_and_exceptions(self) -> None:
        self.done("emit", "news", "-u", "ann", "--user", "bob", "-s", "s1", "--except-room", "muted")
        target = Target(users=frozenset({"ann", "bob"}), sessions=frozenset({"s1"}), except_rooms=frozenset({"muted"}))
        self.assertEqual(self.broadcasts, [Broadcast("news", (), target)])

    def test_texts_are_taken_as_they_stand(self) -> None:
        self.done("emit", "--text", "news", "Hello", "5")
        self.assertEqual(self.broadcasts[0].args, ("Hello", "5"))

    def test_what_is_no_json_is_told_with_the_remedy(self) -> None:
        error = self.refused("emit", "news", "Hello")
        self.assertIn("the argument 'Hello' is no JSON", error)
        self.assertIn("--text", error)
        self.assertEqual(self.redis.published, [])

    def test_a_wrong_name_is_told(self) -> None:
        self.assertEqual(
            self.refused("emit", "connect"), "event is a name that Socket.IO keeps for itself: choose another"
        )
        self.assertIn("namespace must be a text", self.refused("emit", "news", "-n", "admin"))

    def test_an_empty_option_is_not_everybody(self) -> None:
        for option in ("--room", "--user", "--session", "--except-room"):
            self.assertIn(f"{option} is empty", self.refused("emit", "news", option, ""))

    def test_who_heard_it(self) -> None:
        for heard, told in ((0, "heard by no node: does one run"), (1, "heard by 1 node\n"), (2, "heard by 2 nodes\n")):
            self.redis.heard = heard
            self.assertIn(told, self.done("emit", "news"))


class LineTests(Bench):
    def test_a_line_is_an_argument(self) -> None:
        out = self.done("emit", "line", "-", "-r", "ops", input=b'{"a": 1}\n\n2\n')
        self.assertEqual(out, "2 events, heard by 3 nodes\n")
        target = Target(rooms=frozenset({"ops"}))
        self.assertEqual(self.broadcasts, [Broadcast("line", ({"a": 1},), target), Broadcast("line", (2,), target)])

    def test_a_line_is_a_text(self) -> None:
        self.done("emit", "--text", "line", "-", input=b" one \r\n\xff")
        self.assertEqual([broadcast.args for broadcast in self.broadcasts], [(" one ",), ("\ufffd",)])

    def test_a_line_is_a_whole_message(self) -> None:
        lines = (
            b'{"event": "a", "data": 1}\n{"event": "b", "room": ["x"], "namespace": "/n"}\n{"event": "c", "room": []}'
        )
        self.done("emit", "-", "--room", "lobby", "--volatile", input=lines)
        self.assertEqual(
            self.broadcasts,
            [
                Broadcast("a", (1,), Target(rooms=frozenset({"lobby"})), volatile=True),
                Broadcast("b", (), Target("/n", frozenset({"x"})), volatile=True),
            ],
        )

    def test_nothing_is_no_event(self) -> None:
        self.assertEqual(self.done("emit", "-"), "no events\n")

    def test_a_wrong_line_ends_it_and_those_before_are_told(self) -> None:
        for line, told in (
            (b"nonsense\n", "line 2: it is no JSON"),
            (b"[]\n", "line 2: a message must be a JSON object"),
            (b'{"event": ""}\n', "line 2: event must be a text"),
            (b'{"event": "a", "args": ["\\ud800"]}\n', "line 2: "),
        ):
            status, out, error = self.run_program("emit", "-", input=b'{"event": "a"}\n' + line + b'{"event": "b"}')
            self.assertEqual((status, out), (2, ""))
            self.assertIn("1 event sent before that\n", error)
            self.assertIn(told, error)
        self.assertEqual({broadcast.event for broadcast in self.broadcasts}, {"a"})

    def test_a_line_that_is_too_long(self) -> None:
        self.patch(emit, "MAX_LINE", 10)
        self.assertIn("line 1: it is longer than 10 bytes", self.refused("emit", "x", "-", input=b'"' + b"x" * 20))

    def test_arguments_beside_whole_messages_are_refused(self) -> None:
        for more in (["1"], ["--text"]):
            self.assertIn("leave the arguments and --text out", self.refused("emit", "-", *more))

    def test_a_closed_input_is_told(self) -> None:
        self.assertIn("no input", self.refused("emit", "-", input=None))

    def test_an_event_is_sent_when_its_line_is_there(self) -> None:
        seen: list[int] = []
        redis = self.redis

        class Slow(io.BytesIO):
            def readline(self, *args: Any) -> bytes:
                seen.append(len(redis.published))
                return super().readline(*args)

        self.done("emit", "line", "-", input=Slow(b"1\n2\n"))
        self.assertEqual(seen, [0, 1, 2])

    def test_nodes_come_and_go(self) -> None:
        counts = iter([2, 0])
        self.redis.publish = lambda channel, message: next(counts)  # type: ignore[method-assign]
        self.assertEqual(self.done("emit", "x", "-", input=b"1\n2\n"), "2 events, heard by 0 to 2 nodes each\n")

    def test_redis_goes_away(self) -> None:
        self.error = RedisUnavailable("redis://there cannot be reached")
        self.assertEqual(self.refused("emit", "x", "-", input=b"1\n", status=1), "redis://there cannot be reached")
