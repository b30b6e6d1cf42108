"""Questions to the other nodes: who must answer, and when all have."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.adapters.redis.node import KEYS, Process
from wsservice.adapters.redis import classic_responses as responses
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_packets import encode_response
from wsservice.adapters.redis.nodes import Node, Nodes
from wsservice.adapters.redis.questions import Questions
from wsservice.errors import CallTimeout, RedisUnavailable
from wsservice.messages import Broadcast, Target

RESPONSE = b"socket.io-response#/#"


class QuestionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.process = Process()
        self.link, self.clock = self.process.link, self.process.core.clock
        self.nodes = Nodes(self.link, KEYS, self.clock)
        self.questions = Questions(self.link, self.nodes, self.process.refusals, self.clock)
        self.questions.classic = Classic(
            self.link,
            "socket.io",
            self.nodes.id,
            self.process.local,
            self.process.refusals,
            broadcast=lambda channels, channel, payload: None,
            answer=self.questions.received,
            call_timeout=5.0,
        )
        self.questions.classic.open("/")
        #: nodes that are not known, and silent
        self.stopped: list[str] = []

    def ours(self, *names: str, silent: tuple[str, ...] = ()) -> None:
        """These nodes of our kind are known."""
        self.nodes._live = {name: Node(name, 1) for name in names}
        self.nodes._silent = frozenset(silent)

    def ask(self, question: Coroutine[Any, Any, Any], requests: int, **subscribed: int) -> Deferred[Any]:
        """Begin to ask where so many hear requests, and those of our kind hear their own channels."""
        asking = Deferred.fromCoroutine(question)
        self.answer_count(requests, **subscribed)
        return asking

    def answer_count(self, requests: int, me: int = 1, **subscribed: int) -> None:
        words = self.link.asked[0][0]
        self.assertEqual(words[:2], (b"PUBSUB", b"NUMSUB"))
        counts = [
            requests,
            *(subscribed.get(name.split(b"#")[-2].decode().removesuffix(","), 0) for name in words[3:-1]),
            me,
        ]
        self.link.answer([part for name, count in zip(words[2:], counts, strict=True) for part in (name, count)])
        if self.link.asked:  # there are others: who lives is looked up before they are counted
            self.link.answer(self.lives())
            if self.link.asked:
                self.answer_count(requests, me, **subscribed)

    def lives(self) -> list[bytes]:
        """What Redis says of who lives."""
        found = [b"secret", b"1"]
        for node in self.nodes._live.values():
            found += [b"1", msgspec.json.encode(node)]
        for name in (*self.nodes._silent, *self.stopped):
            found += [b"0", msgspec.json.encode(Node(name, 1))]
        return found

    def respond(self, response: type, *args: Any, node: str = "") -> None:
        """A node answers the latest question; without a name it is one of Node's."""
        request_id = next(reversed(self.questions._open))
        payload = encode_response(response(request_id, *args), node)
        if not node:
            payload = (
                payload.replace(b'"node":"",', b"").replace(b',"node":""', b"").replace(b"\xa4node\xa0", b"\xa1n\xa0")
            )
        self.link.receive(RESPONSE, payload)

    def test_alone_nobody_is_asked(self) -> None:
        asking = self.ask(self.questions.rooms("/", 5), 1)
        self.assertEqual(self.successResultOf(asking), set())
        self.assertEqual(self.link.published, [])
        self.assertEqual(len(self.questions), 0)

    def test_all_of_node_and_of_ours_are_waited_for(self) -> None:
        self.ours("a")
        asking = self.ask(self.questions.rooms("/", 5), 3, a=1)
        self.assertEqual(len(self.link.published), 1)
        self.respond(responses.RoomsAnswer, ("r1",), node="a")
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("r2",))
        self.assertEqual(self.successResultOf(asking), {"r1", "r2"})
        self.assertEqual((len(self.questions), self.clock.getDelayedCalls()), (0, []))

    def test_one_of_ours_that_answers_twice_does_not_stand_for_another(self) -> None:
        self.ours("a", "b")
        asking = self.ask(self.questions.rooms("/", 5), 3, a=1, b=1)
        for _ in range(2):
            self.respond(responses.RoomsAnswer, ("r1",), node="a")
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("r2",), node="b")
        self.assertEqual(self.successResultOf(asking), {"r1", "r2"})

    def test_a_silent_one_is_not_waited_for_and_heard_if_it_answers(self) -> None:
        self.ours("a", silent=("s",))
        asking = self.ask(self.questions.rooms("/", 5), 3, a=1, s=1)
        self.respond(responses.RoomsAnswer, ("late",), node="s")
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("r",), node="a")
        self.assertEqual(self.successResultOf(asking), {"r", "late"})

    def test_one_of_ours_that_is_too_new_to_be_known_is_counted_with_nodes(self) -> None:
        self.ours("a")
        asking = self.ask(self.questions.rooms("/", 5), 4, a=1)
        self.respond(responses.RoomsAnswer, ("r",), node="a")
        self.respond(responses.RoomsAnswer, ("n",), node="new")
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("node's",))
        self.assertEqual(self.successResultOf(asking), {"r", "n", "node's"})

    def test_one_that_stopped_before_it_was_known_is_not_waited_for(self) -> None:
        self.ours("a")
        self.stopped.append("new")
        asking = self.ask(self.questions.rooms("/", 5), 4, a=1, new=1)
        self.respond(responses.RoomsAnswer, ("r",), node="a")
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("node's",))
        self.assertEqual(self.successResultOf(asking), {"r", "node's"})

    def test_one_that_dies_meanwhile_is_waited_for_no_more(self) -> None:
        self.ours("a", "b")
        asking = self.ask(self.questions.rooms("/", 5), 3, a=1, b=1)
        self.respond(responses.RoomsAnswer, ("r",), node="a")
        for told in self.nodes.on_died:
            told(frozenset({"b"}))
        self.assertEqual(self.successResultOf(asking), {"r"})

    def test_where_this_node_is_not_heard_yet_it_asks_later(self) -> None:
        asking = Deferred.fromCoroutine(self.questions.rooms("/room-1", 5))
        self.assertIn(b"socket.io-response#/room-1#", self.link.channels)
        self.answer_count(1, me=0)
        self.assertEqual((self.link.asked, self.link.published), ([], []))
        self.link.forced.pop().callback(None)
        self.answer_count(2)
        self.assertEqual(len(self.link.published), 1)
        request_id = next(iter(self.questions._open))
        payload = encode_response(responses.RoomsAnswer(request_id, ("r",)), "")
        self.link.receive(b"socket.io-response#/room-1#", payload.replace(b'"node":""', b'"x":1'))
        self.assertEqual(self.successResultOf(asking), {"r"})
        self.assertNotIn(b"socket.io-response#/room-1#", self.link.channels)

    def test_who_is_late_is_told_with_what_came(self) -> None:
        self.ours("a")
        asking = self.ask(self.questions.fetch(Target(), 5), 3, a=1)
        self.respond(
            responses.FetchAnswer, (responses.RemoteSocket("id", frozenset({"id", "r"}), {"user": "ann"}),), node="a"
        )
        self.clock.advance(5)
        error = self.failureResultOf(asking, CallTimeout).value
        ((found),) = error.answers
        self.assertEqual((found.id, found.rooms, found.user), ("id", frozenset({"r"}), "ann"))
        self.assertEqual((len(self.questions), self.link.channels.keys() >= {RESPONSE}), (0, True))

    def test_without_redis_it_fails_at_once(self) -> None:
        self.link.up = False
        self.failureResultOf(Deferred.fromCoroutine(self.questions.rooms("/", 5)), CallTimeout)
        self.link.up = True
        asking = Deferred.fromCoroutine(self.questions.rooms("/", 5))
        self.link.answer(RedisUnavailable("gone"))
        self.failureResultOf(asking, CallTimeout)

    def test_the_acknowledgements_of_clients_are_counted_for_each_node(self) -> None:
        self.ours("a")
        got: list[Any] = []
        asking = self.ask(self.questions.call(Broadcast("q", (), Target()), 5, got.append), 3, a=1)
        self.respond(responses.ClientCount, 2, node="a")
        self.respond(responses.ClientCount, 1)
        self.respond(responses.ClientAck, "one", node="a")
        self.respond(responses.ClientAck, "node's")
        self.assertNoResult(asking)
        self.respond(responses.ClientLost, node="a")
        self.successResultOf(asking)
        self.assertEqual(got, ["one", "node's"])

    def test_an_acknowledgement_may_come_before_the_count_of_another_node(self) -> None:
        self.ours("a", "b")
        got: list[Any] = []
        asking = self.ask(self.questions.call(Broadcast("q", (), Target()), 5, got.append), 3, a=1, b=1)
        self.respond(responses.ClientCount, 1, node="a")
        self.respond(responses.ClientAck, 1, node="a")
        self.assertNoResult(asking)
        self.respond(responses.ClientCount, 0, node="b")
        self.successResultOf(asking)

    def test_servers_answer(self) -> None:
        asking = self.ask(self.questions.server_call("/", "add", (1, 2), 5), 3)
        self.respond(responses.ServerSideAnswer, 3)
        self.respond(responses.ServerSideAnswer, None)
        self.assertEqual(self.successResultOf(asking), [3, None])

    def test_what_cannot_be_sent_is_told_to_who_asks(self) -> None:
        asking = self.ask(self.questions.server_call("/", "add", (object(),), 5), 2)
        self.failureResultOf(asking, TypeError)
        self.assertEqual(len(self.questions), 0)

    def test_answers_to_others_and_foreign_ones_are_left_alone(self) -> None:
        asking = self.ask(self.questions.rooms("/", 5), 2)
        request_id = next(iter(self.questions._open))
        self.link.receive(RESPONSE, b'{"requestId":"another","rooms":[]}')
        self.link.receive(RESPONSE, b'{"requestId":"%s","rooms":5}' % request_id.encode())
        self.link.receive(RESPONSE, b"\xff\xff")
        self.assertNoResult(asking)
        self.assertEqual(self.process.refused(), {"ill-typed": 1, "malformed": 1})
        self.respond(responses.RoomsAnswer, ("r",), node=self.nodes.id)  # its own comes back
        self.assertNoResult(asking)
        self.respond(responses.RoomsAnswer, ("r",))
        self.successResultOf(asking)
