"""Tests of wsservice.cli.members and .server_emit."""

from __future__ import annotations

from tests.cli.memory import Bench
from wsservice.adapters.redis import classic_requests as requests
from wsservice.messages import Target

ANN = Target(users=frozenset({"ann"}))


class MemberTests(Bench):
    def test_join(self) -> None:
        self.assertEqual(self.done("join", "lobby", "--user", "ann"), "heard by 3 nodes\n")
        self.assertEqual(self.request(), requests.Join(None, ANN, frozenset({"lobby"})))

    def test_leave(self) -> None:
        self.done("leave", "--namespace", "/admin", "lobby")
        self.assertEqual(self.request("/admin"), requests.Leave(None, Target("/admin"), frozenset({"lobby"})))

    def test_disconnect(self) -> None:
        self.done("disconnect", "--user", "ann", "--code", "4001", "--reason", "Gone")
        self.assertEqual(self.request(), requests.DisconnectSockets(None, ANN, code=4001, reason="Gone"))

    def test_everybody_must_be_meant(self) -> None:
        self.assertIn("say whom", self.refused("disconnect"))
        self.assertIn("say whom", self.refused("disconnect", "--except-room", "staff"))
        self.done("disconnect", "--everybody")
        self.assertEqual(self.request().target, Target())

    def test_what_is_wrong_is_told(self) -> None:
        self.assertIn("close code 1006", self.refused("disconnect", "--everybody", "--code", "1006"))
        self.assertIn("--user is empty", self.refused("join", "lobby", "--user", ""))
        self.assertIn("the name of a namespace", self.refused("join", "lobby", "-n", "admin"))


class ServerEmitTests(Bench):
    def test_an_event_for_the_applications(self) -> None:
        self.done("server-emit", "reload", '{"what": "prices"}', "-n", "/admin")
        expected = requests.ServerSideEmit("emitter", "reload", ({"what": "prices"},))
        self.assertEqual(self.request("/admin"), expected)

    def test_what_is_wrong_is_told(self) -> None:
        self.assertIn("cannot be emitted", self.refused("server-emit", ""))
        self.assertIn("--text", self.refused("server-emit", "reload", "prices"))
