"""Tests of wsservice.adapters.redis.shared_history: who comes back, to which node."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.test_history import make_saved
from wsservice.adapters.redis.shared_history import SharedHistory
from wsservice.counters import Counters
from wsservice.history import Saved


class FakeElsewhere:
    """Redis, as a dict; what it is told is written down."""

    def __init__(self) -> None:
        self.saved: dict[str, Saved] = {}
        self.told: list[Any] = []

    def opened(self, pid: str, connection: Any, position: int) -> None:
        self.told.append(("opened", pid))

    def marked(self, pid: str, position: int) -> None:
        self.told.append(("marked", pid, position))

    def closed(self, pid: str) -> None:
        self.told.append(("closed", pid))
        self.saved.pop(pid, None)

    def save(self, saved: Saved) -> None:
        self.told.append(("save", saved.pid))
        self.saved[saved.pid] = saved

    def seek(self, pid: str, user: str, namespace: str) -> Deferred[Saved | None]:
        saved = self.saved.get(pid)
        return succeed(self.saved.pop(pid) if saved is not None and saved.user == user else None)


class ComingBackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.history = SharedHistory(Clock().seconds, Counters())
        self.history.node = "here"
        self.elsewhere = self.history.elsewhere = FakeElsewhere()

    def seek(self, pid: str, user: str = "alice") -> None:
        seeking = self.history.seek(pid, user, "/")
        assert seeking is not None
        self.successResultOf(seeking)

    def test_what_is_saved_elsewhere_is_taken_once(self) -> None:
        self.elsewhere.saved["P"] = make_saved(node="there")
        self.seek("P")
        taken = self.history.take("P")
        assert taken is not None
        self.assertEqual((taken.pid, taken.node, self.elsewhere.saved), ("P", "there", {}))
        self.seek("P")
        self.assertIsNone(self.history.take("P"))

    def test_who_is_somebody_else_leaves_it_where_it_is(self) -> None:
        self.elsewhere.saved["P"] = make_saved(node="there")
        self.seek("P", "mallory")
        self.assertIsNone(self.history.take("P"))
        self.assertEqual((list(self.elsewhere.saved), self.elsewhere.told), (["P"], []))

    def test_how_far_a_client_has_come_is_passed_on(self) -> None:
        self.history.marked("P", 7)
        self.assertEqual(self.elsewhere.told, [("marked", "P", 7)])

    def test_what_is_given_back_is_found_by_all_and_is_still_of_its_node(self) -> None:
        self.elsewhere.saved["P"] = make_saved(node="there")
        self.seek("P")
        taken = self.history.take("P")
        assert taken is not None
        self.history.give_back(taken)
        self.assertEqual(self.elsewhere.saved["P"].node, "there")
        self.assertIsNone(self.history.taken("P"))  # another node has it now
        self.assertIsNone(self.history.take("P"))
