"""What is measured of messages, from `Hub.measure` on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.fakes import BareFraming, Core, FakeLink
from wsservice.envelope import RawWire
from wsservice.messages import Broadcast, Event, Target


class Direct(FakeLink):
    """A link whose socket takes so many bytes at a time, or none."""

    def __init__(self, takes: int | None) -> None:
        super().__init__()
        self._takes = takes

    def direct(self) -> object:  # type: ignore[override]
        return self._send

    def _send(self, data: bytes) -> int:
        if self._takes is None:
            raise BlockingIOError
        return min(self._takes, len(data))


class MeasureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.core = Core()
        self.core.app.on("echo")(lambda connection, data: data)
        self.hub, self.counters = self.core.hub, self.core.counters

    def sent(self) -> tuple[int, int]:
        return self.counters.sent.messages, self.counters.sent.bytes

    def broadcast(self, text: str = "hello") -> int:
        """Send to all; gives the size of a frame."""
        self.hub.broadcast(Broadcast("message", (text,), Target()))
        return len(f'"{text}"')

    def test_nothing_is_measured_before_somebody_looks(self) -> None:
        client = self.core.connect()
        client.connection.receive(Event("echo", (1,), None), 5)
        self.broadcast()
        self.assertEqual((self.sent(), self.counters.received.messages), ((0, 0), 0))
        self.assertEqual(self.counters.histograms(), [])

    def test_each_delivery_of_a_broadcast_counts_once_however_it_leaves(self) -> None:
        for takes in (1000, 3, 0, None):
            self.core.connect(link=Direct(takes))
        self.core.connect()
        self.hub.measure()
        size = self.broadcast()
        self.assertEqual(self.sent(), (5, 5 * size))

    def test_clients_of_two_formats_count_by_their_own_sizes(self) -> None:
        class Long(RawWire):
            def event(self, *arguments: object) -> bytes:  # type: ignore[override]
                return b"x" * 100

        for wire in (None, Long(BareFraming())):
            for takes in (1000, 3):
                self.core.connect(link=Direct(takes), **({} if wire is None else {"wire": wire}))
        self.hub.measure()
        size = self.broadcast()
        self.assertEqual(self.sent(), (4, 2 * size + 200))

    def test_what_one_client_is_sent_and_sends_counts(self) -> None:
        self.hub.measure()
        client = self.core.connect()
        client.connection.receive(Event("echo", ("abc",), 7), 30)
        answer = client.link.writes[-1]
        self.assertEqual(self.sent(), (1, len(answer)))
        self.assertEqual((self.counters.received.messages, self.counters.received.bytes), (1, 30))

    def test_a_broadcast_to_nobody_is_timed_and_sends_nothing(self) -> None:
        self.hub.measure()
        self.broadcast()
        self.assertEqual(self.sent(), (0, 0))
        ((name, _, histogram),) = self.counters.histograms()
        self.assertEqual((name, histogram.cumulated()[-1]), ("fan_out", 1))
