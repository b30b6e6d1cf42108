"""Tests of wsservice.engineio.states; each cell of the table is walked in test_walk."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from wsservice.engineio.states import TABLE, Conflict, Event, SessionUnknown, State, TransportMismatch, render_table


class TableTests(SynchronousTestCase):
    def test_every_state_has_a_row(self) -> None:
        self.assertEqual(set(TABLE), set(State))

    def test_every_event_happens_somewhere(self) -> None:
        self.assertEqual({event for row in TABLE.values() for event in row}, set(Event))

    def test_whatever_lives_can_end_and_nothing_comes_after(self) -> None:
        for state, row in TABLE.items():
            self.assertEqual(Event.END in row, state is not State.CLOSED)
        self.assertEqual(TABLE[State.CLOSED], {})

    def test_there_is_no_way_back_from_a_websocket(self) -> None:
        self.assertLessEqual(set(TABLE[State.WEBSOCKET].values()), {State.WEBSOCKET, State.CLOSED})

    def test_the_documentation_shows_each_cell(self) -> None:
        header, _, *lines = render_table().splitlines()
        self.assertEqual(header, "| | POLLING | PROBING | WEBSOCKET | CLOSING | CLOSED |")
        self.assertEqual(len(lines), len(Event))
        for event, line in zip(Event, lines, strict=True):
            first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            self.assertEqual(first, event.value)
            expected = [TABLE[state].get(event) for state in State]
            self.assertEqual(cells, [state.name if state else "" for state in expected])


class ErrorTests(SynchronousTestCase):
    def test_clients_are_told_the_codes_of_the_protocol(self) -> None:
        self.assertEqual((SessionUnknown.code, SessionUnknown.message), (1, "Session ID unknown"))
        self.assertEqual((TransportMismatch.code, TransportMismatch.message), (3, "Bad request"))
        self.assertEqual((Conflict.code, Conflict.message), (3, "Bad request"))
