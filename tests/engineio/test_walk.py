"""Every cell of the table of `wsservice.engineio.states`, walked: what follows, or how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from tests.engineio.peer import Peer, peer_in
from tests.tables import by_row, rows
from wsservice.engineio.states import TABLE, Event, SessionError, SessionUnknown, State, TransportMismatch


def upgrade(peer: Peer) -> None:
    peer.session.receive_probe("2probe", peer.now)
    peer.session.receive_probe("5", peer.now)


#: how each event is brought about from outside, whatever the state
STEPS: dict[Event, Callable[[Peer], object]] = {
    Event.GET: lambda peer: peer.session.receive_poll(peer.now),
    Event.POST: lambda peer: peer.session.post_begins(peer.now),
    Event.PROBE: lambda peer: peer.session.begin_probe(peer.now),
    Event.PROBE_LOST: lambda peer: peer.session.probe_lost(peer.now),
    Event.UPGRADE: upgrade,
    Event.FRAME: lambda peer: peer.session.receive_frame("4", peer.now),
    Event.CLOSE: lambda peer: peer.close(),
    Event.FETCHED: lambda peer: peer.session.payload_to_send(),
    Event.END: lambda peer: peer.at(1000),
}
#: what refuses an event that is not in the table; other events are passed over
REFUSALS: dict[tuple[State, Event], type[SessionError]] = {
    (State.CLOSED, Event.GET): SessionUnknown,
    (State.CLOSED, Event.POST): SessionUnknown,
    (State.WEBSOCKET, Event.GET): TransportMismatch,
    (State.WEBSOCKET, Event.POST): TransportMismatch,
    (State.POLLING, Event.FRAME): TransportMismatch,
    (State.PROBING, Event.FRAME): TransportMismatch,
    (State.CLOSING, Event.FRAME): TransportMismatch,
}


@dataclass(frozen=True)
class Cell:
    state: State
    event: Event

    @property
    def name(self) -> str:
        return f"{self.state.name} {self.event.name}"


@by_row
class CellTests(SynchronousTestCase):
    @rows(Cell(state, event) for state in State for event in Event)
    def test_cell(self, cell: Cell) -> None:
        peer = peer_in(cell.state)
        if cell.event is Event.FETCHED and Event.GET in TABLE[cell.state]:
            peer.session.receive_poll(peer.now)
        refusal = REFUSALS.get((cell.state, cell.event))
        if refusal is None:
            STEPS[cell.event](peer)
        else:
            self.assertNotIn(cell.event, TABLE[cell.state])
            self.assertRaises(refusal, STEPS[cell.event], peer)
        self.assertIs(peer.state, TABLE[cell.state].get(cell.event, cell.state))

    def test_a_websocket_is_wanted_where_the_table_says_so(self) -> None:
        for state in State:
            self.assertEqual(peer_in(state).session.begin_probe(0.0), Event.PROBE in TABLE[state])
