"""The soak: a short one of the whole, and the parts that decide what was lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from soak.ledger import Ledger
from soak.plan import make_plan
from soak.report import Report
from soak.sessions import Session
from soak.tally import Tally
from soak.watcher import Sample
from soak.wires import Heard, RawWire, SocketIoWire
from tests.tables import by_row, rows

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20


class SoakTests(SynchronousTestCase):
    def test_fifty_clients_for_seconds_lose_nothing(self) -> None:
        file = Path(self.mktemp())
        done = subprocess.run(
            [sys.executable, "-m", "soak.run", "--minutes", "0.1", "--connections", "50", "--json", file.resolve()],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        found = json.loads(file.read_text())
        self.assertTrue(found["good"])
        self.assertEqual(set(found["load"]["heard"]), {"raw", "socketio", "polling"})
        for what in ("refreshed", "signed out", "never answer: cut off", "left by a reset"):
            self.assertGreater(found["load"]["done"].get(what, 0), 0, what)
        ours = found["census"]["afterwards"]["ours"]
        self.assertEqual(ours["wsservice.connection.Connection"], 1, "the watcher's")
        self.assertIn("| messages lost by healthy clients | 0 of ", done.stdout)


class LedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.ledger = Ledger()
        self.ledger.enter("room:1", 7)

    def counts(self) -> tuple[int, int, int, int]:
        return self.ledger.heard, self.ledger.lost, self.ledger.twice, self.ledger.stray

    def test_what_comes_in_order_is_good(self) -> None:
        for number in (8, 9, 10):
            self.ledger.hear("room:1", number)
        self.ledger.leave("room:1", 10)
        self.assertEqual(self.counts(), (3, 0, 0, 0))
        self.assertEqual(self.ledger.scopes, [])

    def test_a_gap_is_a_loss(self) -> None:
        self.ledger.hear("room:1", 10)
        self.assertEqual(self.counts(), (1, 2, 0, 0))

    def test_what_did_not_come_in_the_end_is_a_loss_once(self) -> None:
        self.ledger.check_all({"room:1": 9, "room:2": 4})
        self.ledger.check_all({"room:1": 9})
        self.assertEqual(self.counts(), (0, 2, 0, 0))

    def test_what_comes_again_is_not_good(self) -> None:
        for number in (8, 8, 7):
            self.ledger.hear("room:1", number)
        self.assertEqual(self.counts(), (1, 0, 2, 0))

    def test_what_comes_after_leaving_is_stray(self) -> None:
        self.ledger.leave("room:1", 7)
        self.ledger.hear("room:1", 8)
        self.assertEqual(self.counts(), (0, 0, 0, 1))


def report(seconds: float, *resident: float) -> Report:
    """What a run found whose memory was so many MiB, one sample every 10 seconds."""
    found = Report(make_plan(100, seconds / 60, 1), load=Tally().as_dict(), status=0, last_connections=1)
    found.load["heard"] = {"raw": 1}
    found.samples = [Sample(10.0 * n, int(one * MIB), 20, 0.5, 100, 0.01) for n, one in enumerate(resident)]
    return found


class ReportTests(SynchronousTestCase):
    def test_a_quiet_run_is_good(self) -> None:
        self.assertTrue(report(60, 50, 60).is_good)

    def test_memory_may_grow_by_a_twentieth_between_minute_2_and_the_end(self) -> None:
        steady = [50 + n for n in range(10)] + [100] * 10
        self.assertTrue(report(300, *steady, *[104] * 10).is_good)
        self.assertFalse(report(300, *steady, *[106] * 10).is_good)

    def test_a_short_run_says_nothing_of_memory(self) -> None:
        self.assertIsNone(report(60, 50, 100).memory)

    def test_whatever_went_wrong_is_not_good(self) -> None:
        for change in (
            {"load": {**Tally().as_dict(), "heard": {"raw": 1}, "lost": 1}},
            {"load": {**Tally().as_dict(), "heard": {"raw": 1}, "twice": 1}},
            {"load": {**Tally().as_dict(), "heard": {"raw": 1}, "unexpected": {"closed": 1}}},
            {"load": Tally().as_dict()},
            {"faults": {"ended and still known": 1}},
            {"last_files": 1},
            {"last_connections": 2},
            {"census": {"afterwards": {"ours": {"wsservice.connection.Connection": 2}}}},
            {"status": -15},
        ):
            found = report(60, 50)
            for name, value in change.items():
                setattr(found, name, value)
            self.assertFalse(found.is_good, change)
            self.assertIn("**no**", found.table())

    def test_the_log_is_searched_behind_the_greeting(self) -> None:
        found = report(60, 50)
        found.read_log(
            "  newuser  password x\n\n"
            '{"level": "info", "msg": "fine"}\n'
            '{"level": "warn", "event": "{concern}"}\n'
            '{"level": "critical", "event": "the handler of {handled_event} raised"}\n'
            "Unhandled error in Deferred:\n"
        )
        self.assertEqual(
            dict(found.log),
            {"the handler of {handled_event} raised": 1, "no JSON: Unhandled error in Deferred:": 1},
        )
        self.assertEqual(dict(found.warnings), {"{concern}": 1})


class Row(NamedTuple):
    """A session, how a connection of it was closed, and whether that is explained."""

    name: str
    session: Session
    code: int | None
    reason: str
    why: str | None


OVER = Session("alice", "10.0.0.1", is_over=True, expires_at=9e9)
LAPSED = Session("alice", "10.0.0.1", expires_at=1.0)
LIVING = Session("alice", "10.0.0.1", expires_at=9e9)


@by_row
class ExplanationTests(SynchronousTestCase):
    @rows(
        [
            Row("signed_out", OVER, 1008, "Signed out", "Signed out"),
            Row("signed_out_while_polling", OVER, 400, "Session ID unknown", "Signed out"),
            Row("refused_when_signed_out", OVER, 1008, "Invalid authentication token", "Signed out"),
            Row("expired", LAPSED, 1008, "Authentication expired", "Authentication expired"),
            Row("expired_though_refreshed", LIVING, 1008, "Authentication expired", None),
            Row("signed_out_for_no_reason", LIVING, 1008, "Signed out", None),
            Row("broken", LIVING, None, "no close frame", None),
            Row("a_fault_explains_nothing", OVER, 1011, "Internal error", None),
        ]
    )
    def test_a_close(self, row: Row) -> None:
        self.assertEqual(row.session.explains(row.code, row.reason), row.why)


class StaleCookieTests(SynchronousTestCase):
    def test_who_opened_behind_the_refresh_that_replaced_its_cookie_came_late(self) -> None:
        session = Session("alice", "10.0.0.1", cookie="new", replaced={"old": 100.0})
        self.assertTrue(session.came_late("old", 100.5))
        self.assertFalse(session.came_late("old", 99.5))
        self.assertFalse(session.came_late("new", 100.5))


class WireTests(SynchronousTestCase):
    def test_the_envelope(self) -> None:
        wire = RawWire()
        self.assertEqual(wire.emit("echo", 1, 2), '{"event": "echo", "data": 1, "id": 2}')
        self.assertEqual(wire.decode('{"ack": 2, "data": 1}'), Heard("answer", data=1, id=2))
        self.assertEqual(wire.decode('{"event": "q", "data": 1, "id": 5}'), Heard("event", "q", 1, 5))
        self.assertEqual(wire.decode(b"x"), Heard("blob", data=b"x"))

    def test_the_packets_of_socketio(self) -> None:
        wire = SocketIoWire()
        self.assertEqual(wire.emit("echo", 1, 2, aside=True), '2/side,2["echo", 1]')
        self.assertEqual(wire.decode('32[{"a,b": 1}]'), Heard("answer", data={"a,b": 1}, id=2))
        self.assertEqual(wire.decode('3/side,2["/x,"]'), Heard("answer", data="/x,", id=2))
        self.assertEqual(wire.decode('25["q",1]'), Heard("event", "q", 1, 5))
        self.assertEqual(wire.decode('0/side,{"sid":"x"}'), Heard("joined", "/side"))
        self.assertEqual(wire.decode('44{"message":"no"}'), Heard("refused", "/", "no"))
        self.assertIsNone(wire.decode('51-["message",{"_placeholder":true,"num":0}]'))
        self.assertEqual(wire.decode(b"x"), Heard("blob", data=b"x"))
        self.assertRaises(ValueError, wire.decode, b"y")
