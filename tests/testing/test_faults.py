"""What handlers raise, and what they refuse."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import fail

from tests.testing.bench import PROTOCOLS, Base
from wsservice import Connection
from wsservice.testing import Refused

INTERNAL = {"code": "internal_error", "message": "The server could not handle this."}


class FaultTests(Base):
    def test_what_a_handler_raises_is_raised_here(self) -> None:
        for client in self.each(self.serve()):
            self.assertRaises(ZeroDivisionError, client.emit, "broken")
            self.assertRaises(ZeroDivisionError, client.call, "broken")
            self.assertEqual(client.received()[-1:], [("error", {**INTERNAL, "event": "broken"})])
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_several_are_a_group(self) -> None:
        service = self.serve()

        @self.app.namespace("/other").on_disconnect
        def goodbye(connection: Connection, reason: str) -> Any:
            return fail(KeyError(connection.user.id))

        for user in ("ann", "bob"):
            service.connect(user, protocol="socketio", namespace="/other")
        with self.assertRaises(BaseExceptionGroup) as caught:
            service.stop()
        self.assertEqual([type(error) for error in caught.exception.exceptions], [KeyError, KeyError])

    def test_what_on_connect_raises_is_raised_here(self) -> None:
        @self.app.on_connect
        async def hello(connection: Connection) -> None:
            raise LookupError("in on_connect")

        service = self.serve()
        for protocol in PROTOCOLS:
            self.assertRaises(LookupError, service.connect, protocol=protocol)

    def test_or_logged_as_in_a_running_service(self) -> None:
        for client in self.each(self.serve(raise_errors=False)):
            with self.assertRaises(Refused) as caught:
                client.call("broken")
            self.assertEqual(caught.exception.code, "internal_error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_a_refusal_is_no_fault(self) -> None:
        for client in self.each(self.serve()):
            with self.assertRaises(Refused) as caught:
                client.call("refused", 7)
            refusal = caught.exception
            self.assertEqual((refusal.code, refusal.message), ("sold_out", "Nothing is left."))
            self.assertEqual(refusal.data, {"more": 7})
            with self.assertRaises(Refused) as caught:
                client.call("nothing")
            self.assertEqual(caught.exception.code, "unknown_event")

    def test_what_a_deferred_fails_with(self) -> None:
        async def wrong() -> None:
            raise LookupError("wrong")

        service = self.serve()
        self.assertRaises(LookupError, service.result_of, wrong())
