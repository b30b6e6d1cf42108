"""What an application asks about all processes."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import Core
from wsservice.adapters.base import Presence, Present, RemoteConnection
from wsservice.errors import CallTimeout
from wsservice.messages import Target

ELSEWHERE = RemoteConnection("far", "/", frozenset({"r"}), None, {}, "carol")


class FakeAdapter:
    """Another process, with one connection; or one that is late."""

    def __init__(self, *, late: bool = False, complete: bool = True) -> None:
        self.late = late
        self.complete = complete

    def answer(self, value: Any, *answers: Any) -> Deferred[Any]:
        return fail(CallTimeout("late", answers=answers)) if self.late else succeed(value)

    def fetch(self, target: Target, timeout: float) -> Deferred[Any]:
        return self.answer([ELSEWHERE], ELSEWHERE)

    def rooms(self, namespace: str, timeout: float) -> Deferred[Any]:
        return self.answer({"far", "r"})

    def presence(self, namespace: str, room: str | None) -> Deferred[Any]:
        return succeed(Presence((Present("far", "carol"),), self.complete))

    def server_call(self, namespace: str, event: str, args: tuple[Any, ...], timeout: float) -> Deferred[Any]:
        return self.answer([args], *args)


class QuestionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core()
        self.app = self.core.app
        self.alice, self.bob = self.core.connect("alice"), self.core.connect("bob")
        self.alice.connection.join("here")

    def elsewhere(self, **options: Any) -> None:
        self.core.hub.adapter = FakeAdapter(**options)  # type: ignore[assignment]

    def test_alone_it_knows_its_own(self) -> None:
        found = self.successResultOf(self.app.fetch(room="here"))
        self.assertEqual([(one.id, one.user) for one in found], [(self.alice.connection.id, "alice")])
        self.assertEqual(self.successResultOf(self.app.rooms()), {"here"})
        self.assertEqual(self.successResultOf(self.app.presence()).users, {"alice", "bob"})
        self.assertEqual(self.successResultOf(self.app.presence("here")).users, {"alice"})
        self.assertEqual(self.successResultOf(self.app.server_call("q")), [])
        self.app.server_emit("news")

    def test_in_a_cluster_all_are_there(self) -> None:
        self.elsewhere()
        found = self.successResultOf(self.app.fetch())
        self.assertEqual([one.user for one in found], ["alice", "bob", "carol"])
        self.assertEqual(self.successResultOf(self.app.rooms()), {"here", "far", "r"})
        self.assertEqual(self.successResultOf(self.app.server_call("q", 1, 2)), [(1, 2)])

    def test_whom_presence_knows_the_adapter_tells(self) -> None:
        self.elsewhere(complete=False)
        found = self.successResultOf(self.app.presence())
        self.assertEqual((found.users, found.complete), ({"carol"}, False))

    def test_what_is_late_is_told_with_what_came(self) -> None:
        self.elsewhere(late=True)
        error = self.failureResultOf(self.app.fetch(room="here"), CallTimeout).value
        self.assertEqual([one.user for one in error.answers], ["alice", "carol"])
        self.failureResultOf(self.app.rooms(), CallTimeout)
        self.assertEqual(self.failureResultOf(self.app.server_call("q", 1), CallTimeout).value.answers, (1,))

    def test_a_pattern_asks_about_all_its_namespaces(self) -> None:
        self.app.namespace("/admin")
        self.core.connect("ann", namespace="/admin")
        found = self.successResultOf(self.app.namespace("/admin").fetch())
        self.assertEqual([one.user for one in found], ["ann"])
        self.assertEqual(self.successResultOf(self.app.namespace("/admin").presence()).users, {"ann"})
