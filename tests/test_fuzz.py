"""The fuzz targets over their kept inputs and a few thousand mutations, and the tools around them."""

from __future__ import annotations

import io
import shlex
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from fuzz import run, strict_reference
from fuzz.mutate import Mutator
from fuzz.target import Reader, Target, outcome_of, text_of
from fuzz.targets import TARGETS
from tests.tables import by_row, rows

#: mutations in this test for each target's weight of one
MUTATIONS = 150
SEED = 4


class Row(NamedTuple):
    """A target."""

    name: str


@by_row
class TargetTests(SynchronousTestCase):
    @rows([Row(name) for name in TARGETS])
    def test_survives(self, row: Row) -> None:
        target = TARGETS[row.name]
        corpus = target.corpus()
        self.assertTrue(corpus)
        kept = {target.run(data) for data in corpus}
        self.assertGreater(len(kept), 2, "the kept inputs all go the same way")
        mutator = Mutator(target, SEED)
        for data in mutator.inputs(MUTATIONS * target.weight):
            mutator.learn(data, target.run(data))
        self.assertGreaterEqual(mutator.outcomes, len(kept))

    def test_every_folder_of_the_corpus_is_a_targets(self) -> None:
        folders = {path.name for path in next(iter(TARGETS.values())).folder.parent.iterdir()}
        self.assertEqual(folders, set(TARGETS))

    def test_an_input_goes_the_same_way_each_time(self) -> None:
        for target in TARGETS.values():
            data = target.corpus()[0]
            self.assertEqual(target.run(data), target.run(data), target.name)


def fragile(data: bytes) -> Hashable:
    """Breaks on a word that needs some luck, and two steps."""
    if b"<b>" in data and b"}{" in data:
        raise KeyError("planted")
    return b"<" in data, b"<b>" in data, b"}" in data


PLANTED = Target("planted", fragile, (b"<", b"b>", b"{", b"}"), (b",",))


class MutatorTests(SynchronousTestCase):
    def inputs(self, seed: int) -> list[bytes]:
        return list(Mutator(TARGETS["claims"], seed).inputs(200))

    def test_the_kept_inputs_come_first_and_the_same_seed_gives_the_same(self) -> None:
        corpus = TARGETS["claims"].corpus()
        self.assertEqual(self.inputs(1)[: len(corpus)], corpus)
        self.assertEqual(self.inputs(1), self.inputs(1))
        self.assertNotEqual(self.inputs(1), self.inputs(2))

    def test_inputs_vary_and_are_bounded(self) -> None:
        for name in ("origin", "websocket", "compression"):
            found = list(Mutator(TARGETS[name], 1).inputs(500))
            self.assertGreater(len(set(found)), 400)
            self.assertLessEqual(max(map(len, found[len(TARGETS[name].corpus()) :])), TARGETS[name].max_length)

    def test_what_is_learnt_is_counted_once(self) -> None:
        mutator = Mutator(PLANTED, 1)
        self.assertTrue(mutator.learn(b"<", "new"))
        self.assertFalse(mutator.learn(b"<<", "new"))
        self.assertEqual(mutator.outcomes, 1)


class RunTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.printed = io.StringIO()
        self.patch(sys, "stdout", self.printed)
        self.patch(sys, "stderr", io.StringIO())

    def test_a_planted_bug_is_found_kept_and_told_how_to_reproduce(self) -> None:
        findings, outcomes = run.fuzz_builtin(PLANTED, 20_000, 1, self.folder)
        self.assertEqual(findings, 1)
        self.assertGreater(outcomes, 3)
        (path,) = self.folder.iterdir()
        self.assertRaises(KeyError, fragile, path.read_bytes())
        command = next(line for line in self.printed.getvalue().splitlines() if line.startswith("FOUND.")).partition(
            ": "
        )[2]
        *_, option, file, name = shlex.split(command)
        self.assertEqual((option, name), ("--input", "planted"))
        self.assertEqual((run.ROOT / file).resolve(), path.resolve())

    def test_a_kept_input_is_run_by_that_command(self) -> None:
        file = TARGETS["origin"].folder / "own"
        self.patch(run, "_be_quiet", lambda: None)
        self.assertEqual(run.main(["--input", str(file), "origin"]), 0)
        self.assertIn("good", self.printed.getvalue())

    def test_an_input_that_takes_too_long_is_a_finding(self) -> None:
        self.patch(run, "TIMEOUT", 1)

        def spin(data: bytes) -> None:
            while True:
                pass

        self.assertRaises(TimeoutError, run.run_one, spin, b"")

    def test_the_inputs_are_shared_by_weight(self) -> None:
        shares = dict(run.shares(list(TARGETS), 1_000_000))
        self.assertEqual(set(shares), set(TARGETS))
        self.assertGreater(sum(shares.values()), 999_900)
        self.assertLessEqual(sum(shares.values()), 1_000_000)

    def test_a_target_that_is_none_is_refused(self) -> None:
        self.assertEqual(run.main(["nothing"]), 2)


class ReadingTests(SynchronousTestCase):
    def test_an_input_is_read_to_its_end_and_zeros_follow(self) -> None:
        reader = Reader(b"\x01\x02abcd")
        self.assertEqual((reader.byte(), reader.chunk(), reader.byte()), (1, b"ab", ord("c")))
        self.assertEqual((reader.rest(), reader.byte(), reader.chunk(), bool(reader)), (b"d", 0, b"", False))

    def test_any_bytes_are_text(self) -> None:
        self.assertEqual(text_of(b"\xc3\xa9"), "\u00e9")
        self.assertEqual(text_of(b"\xed\xa0\x80"), "\ud800")
        self.assertEqual(text_of(b"\xff"), "\ufffd")

    def test_outcomes_leave_out_what_the_input_said(self) -> None:
        self.assertEqual(outcome_of(ValueError("12 of 'x' and `y`")), outcome_of(ValueError("7 of 'z' and `a`")))

    def test_the_second_opinion_is_strict(self) -> None:
        for text in ('{"a":1,"a":2}', "NaN", "1e400", '"\\ud800"', "[", "\ufeff1"):
            self.assertRaises(strict_reference.Refused, strict_reference.loads, text)
        for text in ("1" * 5000, "[" * 100_000):
            self.assertRaises(strict_reference.Unsure, strict_reference.loads, text)
        self.assertEqual(strict_reference.loads('{"a":1,"a":2}', unique=False), {"a": 2})
        self.assertEqual(strict_reference.depth(strict_reference.loads('{"a":[[1]],"b":2}')), 3)
