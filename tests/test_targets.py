"""Tests of wsservice.targets: whom names mean."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.messages import Target
from wsservice.targets import make_targets, names_of


class NamesTests(SynchronousTestCase):
    def test_one_name_several_or_none(self) -> None:
        self.assertEqual(names_of(None), frozenset())
        self.assertEqual(names_of("red"), {"red"})
        self.assertEqual(names_of(iter(["red", "blue", "red"])), {"red", "blue"})


class TargetTests(SynchronousTestCase):
    def test_no_name_means_everybody(self) -> None:
        self.assertEqual(make_targets(["/", "/admin"]), [Target("/"), Target("/admin")])

    def test_an_empty_list_means_nobody(self) -> None:
        for names in ({"room": []}, {"user": ()}, {"session": iter([])}, {"room": [], "user": []}):
            self.assertEqual(make_targets(["/"], **names), [], names)

    def test_names_add_up_beside_an_empty_list(self) -> None:
        self.assertEqual(make_targets(["/"], room=[], user="ann"), [Target("/", users=frozenset({"ann"}))])

    def test_everybody_but_some(self) -> None:
        (target,) = make_targets(["/"], except_room="muted", skip=frozenset({"id"}))
        self.assertEqual(target, Target("/", skip=frozenset({"id"}), except_rooms=frozenset({"muted"})))

    def test_names_that_can_be_read_once_count_for_every_namespace(self) -> None:
        first, second = make_targets(["/a", "/b"], room=iter(["red"]), except_room=iter(["blue"]))
        self.assertEqual((first.rooms, first.except_rooms), (second.rooms, second.except_rooms))
        self.assertEqual(second.rooms, {"red"})
