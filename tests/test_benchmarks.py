"""The benchmark's own parts: what is gathered into a run, what a ratio and the bar say, and the load at the service."""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from benchmarks import servers
from benchmarks.compare import possible
from benchmarks.load import Figure, Load
from benchmarks.rows import OWN, PEERS, ROWS, STEPS, Row, Run, runs
from benchmarks.table import Figures, as_json, markdown, ratios
from tests.integration.provider import Provider

ECHO = "echo/s, 64 clients"
NEW, SEEN = "handshakes/s, new tokens", "handshakes/s, tokens seen before"


def rated(*rates: float, busy: float = 1.0) -> list[Figure]:
    """The figures of some rounds."""
    return [{"rate": rate, "load_busy": 0.5, "server_busy": busy} for rate in rates]


class RowTests(SynchronousTestCase):
    def test_every_row_is_of_a_protocol_and_a_step_that_there_are(self) -> None:
        for name, row in ROWS.items():
            self.assertIn(row.protocol, PEERS, name)
            self.assertIn(row.step, STEPS, name)

    def test_a_bar_names_a_peer_that_the_row_is_measured_at(self) -> None:
        for name, row in ROWS.items():
            self.assertLessEqual(set(row.bars), set(row.peers), name)

    def test_rows_of_the_same_clients_are_one_run(self) -> None:
        names = ["echo/s, 1,000 clients", "deliveries/s, 1,000 clients", "echo round trip, 1,000 clients, p99, us"]
        (run,) = runs(names)
        self.assertEqual(run.steps, ["echo", "broadcast"])
        self.assertEqual(list(run.rows), names)

    def test_tokens_were_seen_before_since_the_run_has_shown_them(self) -> None:
        (run,) = runs([SEEN])
        self.assertEqual(run.steps, ["handshakes", "handshakes-again"])

    def test_memory_is_a_run_of_its_own(self) -> None:
        self.assertEqual([run.is_idle for run in runs(["KiB per idle connection", NEW])], [True, False])

    def test_a_slow_peer_is_left_out_where_there_are_many_clients(self) -> None:
        self.assertIn("python-socketio", ROWS["Socket.IO: echo/s, 5,000 clients"].peers)
        self.assertNotIn("python-socketio", ROWS["Socket.IO: echo/s, 10,000 clients"].peers)

    def test_rows_that_cannot_be_measured_here_are_left_out(self) -> None:
        names = [ECHO, "echo/s, 5,000 clients", "TLS: echo/s, 1,000 clients"]
        self.assertEqual(possible(names, has_tls=False, open_files=4096), [ECHO])
        self.assertEqual(possible(names, has_tls=True, open_files=20000), names)


class TableTests(SynchronousTestCase):
    def test_more_of_a_rate_is_better(self) -> None:
        found = ratios(Row("raw", "echo", 64), {OWN: rated(100, 300, 200), "fastify": rated(50, 100, 400)})
        self.assertEqual(found["fastify"].value, 2.0)

    def test_less_of_a_time_or_of_memory_is_better(self) -> None:
        found = ratios(Row("raw", "idle", 10, "kib"), {OWN: [{"kib": 5.0}], "fastify": [{"kib": 10.0}]})
        self.assertEqual(found["fastify"].value, 2.0)

    def test_the_bar_is_shown_and_whether_it_is_met(self) -> None:
        row = Row("raw", "broadcast", 1000, bars={"fastify": 1.8, "floor": 0.82})
        found = ratios(row, {OWN: rated(180), "fastify": rated(100), "floor": rated(222), "other": rated(90)})
        self.assertEqual(
            {peer: str(ratio) for peer, ratio in found.items()},
            {"fastify": "1.80 ≥ 1.8", "floor": "**0.81 < 0.82**", "other": "2.00"},
        )

    def test_a_peer_that_has_no_such_figure_has_no_ratio(self) -> None:
        row = Row("raw", "broadcast", 10, "p50_us")
        self.assertEqual(ratios(row, {OWN: [{"rate": 1.0, "p50_us": 9}], "fastify": [{"rate": 1.0}]}), {})

    def test_the_table_has_a_column_for_each_peer_that_was_measured(self) -> None:
        figures: Figures = {ECHO: {OWN: rated(1234), "fastify": rated(1000), "floor": rated(5000)}}
        lines = markdown(figures).splitlines()
        self.assertEqual(lines[0], "| | wsservice | against fastify | against floor |")
        self.assertEqual(lines[2], f"| {ECHO} | 1,234 | 1.23 ≥ 1.15 | 0.25 |")

    def test_the_remarks_tell_of_the_bar_the_rounds_the_load_and_other_work(self) -> None:
        figures: Figures = {ECHO: {OWN: rated(100), "fastify": rated(50, busy=0.5), "floor": rated(300)}}
        self.assertEqual(
            markdown(figures).splitlines()[4:],
            [
                "Of 1 bars 1 are reached.",
                "Preliminary: the bars are for the medians of 5 rounds, and these are of 1.",
                f"The load was busy for at most 50% of its core ({ECHO}, wsservice), the floor aside.",
                f"With the floor it did at least 3.00 times as much as with any other server ({ECHO}).",
                "In 1 of 2 measurements a server (not the floor) had less than 90% of its core.",
            ],
        )

    def test_the_json_tells_what_a_ratio_would_be_without_other_work(self) -> None:
        figures: Figures = {ECHO: {OWN: rated(100), "fastify": rated(50, busy=0.5)}}
        self.assertEqual(
            as_json(figures),
            {ECHO: {"fastify": {"ratio": 2.0, "bar": 1.15, "met": True, "by_processor_time": 1.0}}},
        )


class LoadTests(SynchronousTestCase):
    """Some clients for a moment, at the real service: every step, whatever the clients speak."""

    def measure(self, server: servers.Server, protocol: str, *steps: str) -> dict[str, Figure]:
        with tempfile.TemporaryDirectory() as name, Provider() as provider:
            folder = Path(name)
            load = self.load(folder)
            if protocol == "tls" and not load.has_tls:
                raise SkipTest("OpenSSL's headers are not installed: apt-get install libssl-dev")
            cookies = folder / "cookies"
            cookies.write_text(f"{provider.cookie('alice')}\n{provider.cookie('bob')}\n")
            run = Run(protocol, 500, {step: Row(protocol, step, 500) for step in steps})
            with server(servers.Pool.in_folder(provider, folder), []) as running:
                return load.run(running, run, cookies)

    def load(self, folder: Path) -> Load:
        try:
            return Load(folder, 0.2)
        except RuntimeError as error:
            raise SkipTest(str(error)) from error

    def assert_measured(self, figures: dict[str, Figure], *steps: str) -> None:
        self.assertEqual(list(figures), list(steps))
        for step, figure in figures.items():
            self.assertGreater(figure["rate"], 0, step)

    def test_raw_websockets(self) -> None:
        steps = ("handshakes", "handshakes-again", "open", "echo", "events", "broadcast", "rooms")
        self.assert_measured(self.measure(servers.wsservice, "raw", *steps), *steps)

    def test_socketio(self) -> None:
        steps = ("handshakes", "open", "echo", "broadcast", "rooms")
        self.assert_measured(self.measure(servers.wsservice, "socketio", *steps), *steps)

    def test_long_polling(self) -> None:
        self.assert_measured(self.measure(servers.wsservice, "polling", "echo", "broadcast"), "echo", "broadcast")

    def test_tls(self) -> None:
        self.assert_measured(self.measure(servers.wsservice_tls, "tls", "echo", "broadcast"), "echo", "broadcast")

    def test_the_floor(self) -> None:
        for protocol in ("raw", "socketio"):
            steps = ("handshakes", "echo", "broadcast", "rooms")
            self.assert_measured(self.measure(servers.floor, protocol, *steps), *steps)
