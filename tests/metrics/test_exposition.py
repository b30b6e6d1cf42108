"""What a scrape gives, read by Prometheus's own parsers, and held to its conventions."""

from __future__ import annotations

import re
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import BARE_WIRE, FakeLink, make_handshake, make_principal
from tests.metrics.scrape import NOT_BASE, OPENMETRICS, get, label_names, make_parts, samples, scrape
from wsservice.connection import Connection
from wsservice.messages import Broadcast, Event, Target
from wsservice.metrics.names import COUNTS, TIMINGS

#: what libraries of Prometheus call their own
FOREIGN = ("process_", "python_")
#: labels with values from a fixed few; a user, a room, an address or a path must never become one
LABELS = {
    *("check", "code", "connection", "generation", "kind", "le", "limit", "reason", "request", "result", "table"),
    *("transport", "what", "when"),
    *("autobahn", "python", "twisted", "version", "implementation", "major", "minor", "patchlevel"),
}


class ExpositionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parts = make_parts(self.mktemp())
        self.counters = self.parts.hub.counters

    def connect(self, user: str = "alice", link: Any = None) -> Connection:
        connection = Connection(self.parts.hub, link or FakeLink(), BARE_WIRE, make_principal(user), make_handshake())
        connection.open()
        return connection

    def value(self, name: str, *labels: str) -> float:
        return samples(scrape(self.parts).values())[name, labels]

    def test_both_formats_say_the_same(self) -> None:
        self.counters.add("handshakes", "ok")
        text, openmetrics = scrape(self.parts), scrape(self.parts, accept=OPENMETRICS)
        self.assertEqual(text.keys() - openmetrics.keys(), {"wsservice_build_info"})
        steady = [
            {key: value for key, value in samples(one.values()).items() if key[0].startswith("wsservice_")}
            for one in (text, openmetrics)
        ]
        self.assertEqual(*steady)

    def test_all_that_is_counted_is_there_from_the_start(self) -> None:
        families = scrape(self.parts)
        names = {*(f"wsservice_{one.name}" for one in (*COUNTS.values(), *TIMINGS.values()))}
        self.assertEqual(names - families.keys(), set())
        self.assertEqual(self.value("wsservice_handshakes_total", "ok"), 0)

    def test_names_follow_the_conventions(self) -> None:
        for name, family in scrape(self.parts, accept=OPENMETRICS).items():
            self.assertTrue(family.documentation, name)
            if name.startswith(FOREIGN):
                continue
            self.assertTrue(re.fullmatch("wsservice_[a-z][a-z0-9_]*[a-z0-9]", name), name)
            self.assertIsNone(NOT_BASE.search(name), name)
            self.assertNotIn(family.type, ("unknown", "untyped", "summary"), name)
            self.assertFalse(name.endswith(("_count", "_sum", "_bucket", "_total")), name)
            self.assertNotRegex(name, "gauge|counter|histogram")
            if family.type == "histogram":
                self.assertTrue(name.endswith("_seconds"), name)
            for sample in family.samples:
                if family.type == "counter":
                    self.assertTrue(sample.name.endswith("_total"), sample)
                self.assertFalse(any(value == "" for value in sample.labels.values()), sample)

    def test_labels_are_of_few_kinds_and_the_whole_is_small(self) -> None:
        families = scrape(self.parts)
        used = set().union(*label_names(families.values()).values())
        self.assertEqual(used - LABELS, set())
        self.assertLess(len(samples(families.values())), 600)

    def test_no_client_gets_into_it(self) -> None:
        connection = self.connect("mallory")
        connection.join("a-room-of-theirs")
        connection.receive(Event("an-event", ("a-text",), None), 10)
        self.parts.hub.broadcast(Broadcast("b", ("a-text",), Target(rooms=frozenset({"a-room-of-theirs"}))))
        assert self.parts.metering is not None
        assert self.parts.metering.address is not None
        _, body = get(self.parts.metering.address.port)
        for secret in ("mallory", "a-room-of-theirs", "an-event", "a-text", connection.id, "192.0.2.7"):
            self.assertNotIn(secret, body)

    def test_what_clients_send_and_get_is_counted(self) -> None:
        first, _ = self.connect("alice"), self.connect("bob")
        first.receive(Event("unknown", (), None), 10)
        first.receive(Event("unknown", (), None), 20)
        self.assertEqual(self.value("wsservice_received_messages_total"), 2)
        self.assertEqual(self.value("wsservice_received_bytes_total"), 30)
        before = self.value("wsservice_sent_messages_total")
        first.send("12345")
        self.assertEqual(self.value("wsservice_sent_messages_total") - before, 1)

    def test_connections_members_and_users_are_told(self) -> None:
        for user in ("alice", "alice", "bob"):
            self.connect(user)
        found = samples(scrape(self.parts).values())
        self.assertEqual((found["wsservice_members", ()], found["wsservice_users", ()]), (3, 2))
        self.assertEqual(found["wsservice_connections", ("raw",)], 0)  # none of them came by a socket

    def test_a_broadcast_is_timed(self) -> None:
        self.connect()
        self.parts.hub.broadcast(Broadcast("b", (), Target()))
        found = samples(scrape(self.parts).values())
        self.assertEqual(found["wsservice_fan_out_seconds_count", ()], 1)
        self.assertEqual(found["wsservice_fan_out_seconds_bucket", ("+Inf",)], 1)
        self.assertEqual(found["wsservice_deliveries_total", ()], 1)

    def test_a_process_alone_has_no_adapter(self) -> None:
        families = scrape(self.parts)
        self.assertEqual(families["wsservice_adapter_up"].samples, [])

    def test_the_process_is_told_of(self) -> None:
        found = samples(scrape(self.parts).values())
        for name in ("process_resident_memory_bytes", "process_cpu_seconds_total", "process_open_fds"):
            self.assertGreater(found[name, ()], 0)
        self.assertIn(("python_gc_collections_total", ("0",)), found)

    def test_a_count_without_a_reason_among_others_has_a_word(self) -> None:
        self.counters.add("slow_consumers")
        self.counters.add("slow_consumers", "on_connect", 2)
        self.assertEqual(self.value("wsservice_slow_consumers_total", "open"), 1)
        self.assertEqual(self.value("wsservice_slow_consumers_total", "on_connect"), 2)
