"""How connections end: by time, by the user, by the app, by the service, by the line."""

from __future__ import annotations

from tests.testing.bench import PROTOCOLS, Base
from wsservice.testing import Refused

TRANSPORT_CLOSE = "transport close"


class EndingTests(Base):
    def test_a_session_ends_at_its_time_unless_it_is_refreshed(self) -> None:
        service = self.serve()
        ann, bob = self.each(service), service.connect("bob")
        service.advance(3000)
        service.renew("bob")
        service.advance(599)
        self.assertEqual([client.closed for client in ann], [None] * 3)
        service.advance(1)
        expired = "Authentication expired"
        self.assertEqual([client.closed for client in ann], [(1008, expired), (1008, expired), (None, TRANSPORT_CLOSE)])
        self.assertIsNone(bob.closed)
        service.advance(3000)
        self.assertEqual(bob.closed, (1008, expired))
        self.assertIsNone(service.connect("bob").closed)  # logged in anew

    def test_a_user_who_signs_out(self) -> None:
        service = self.serve()
        tabs = [service.connect("ann", protocol=protocol) for protocol in PROTOCOLS]
        phone, bob = service.connect("ann", session="phone"), service.connect("bob")
        service.sign_out("ann")
        self.assertEqual([tab.closed for tab in tabs], [(1008, "Signed out")] * 2 + [(None, TRANSPORT_CLOSE)])
        self.assertEqual((phone.closed, bob.closed), ((1008, "Signed out"), None))
        self.assertNotEqual(service.connect("ann").connection.user.session, "phone")
        self.assertRaises(AssertionError, service.sign_out, "nobody")
        self.assertRaises(AssertionError, service.renew, "nobody")

    def test_a_user_signs_out_everywhere(self) -> None:
        service = self.serve()
        old = service.issuer.token("ann", auth_time=int(service.clock.seconds()))
        tabs = [service.connect("ann", protocol=protocol) for protocol in PROTOCOLS]
        other, bob = service.connect(token=old), service.connect("bob")
        service.sign_out("ann", everywhere=True)
        self.assertEqual([tab.closed for tab in tabs], [(1008, "Signed out")] * 2 + [(None, TRANSPORT_CLOSE)])
        self.assertEqual((other.closed, bob.closed), ((1008, "Signed out"), None))
        self.assertRaises(Refused, service.connect, token=old)
        self.assertIsNone(service.connect("ann").closed)
        self.assertRaises(AssertionError, service.sign_out, "nobody", everywhere=True)

    def test_a_client_leaves_or_is_cut_off(self) -> None:
        service = self.serve()
        for client in self.each(service):
            client.close()
            user, reason = self.told.pop()
            self.assertEqual(user, client.user)
            self.assertIn(reason, ("transport close", "client namespace disconnect"))
            self.assertRaises(AssertionError, client.send, "hello")
            self.assertRaises(LookupError, lambda client=client: client.connection)
        for client in self.each(service):
            client.cut()
            service.advance(60)  # long-polling is missed when its pong is
            self.assertEqual(self.told.pop()[0], client.user)
        self.assertEqual(len(self.app.connections()), 0)

    def test_the_app_disconnects_somebody(self) -> None:
        clients = self.each(self.serve())
        for client in clients:
            client.connection.disconnect(4000, "Enough")
        by_server = (None, "io server disconnect")
        self.assertEqual([client.closed for client in clients], [(4000, "Enough"), by_server, by_server])

    def test_the_service_stops(self) -> None:
        service = self.serve()
        clients = self.each(service)
        service.stop()
        stopping = "Server shutting down"
        ends = [(1001, stopping), (1001, stopping), (None, TRANSPORT_CLOSE)]
        self.assertEqual([client.closed for client in clients], ends)
        self.assertEqual(service.request("GET", "/ready").status, 503)
        for protocol in PROTOCOLS:
            with self.assertRaises(Refused) as caught:
                service.connect(protocol=protocol)
            self.assertEqual(caught.exception.code, 503)

    def test_everybody_stays_for_hours_who_answers_pings(self) -> None:
        service = self.serve()
        clients = self.each(service, claims={"exp": int(service.clock.seconds()) + 86400})
        service.advance(6 * 3600)
        self.assertEqual([client.closed for client in clients], [None] * 3)
        for client in clients:
            client.stop_reading()
        service.advance(60)
        for client in clients:
            client.read_on()
        self.assertNotIn(None, [client.closed for client in clients])

    def test_a_client_that_does_not_read_is_closed_and_others_are_not(self) -> None:
        service = self.serve(send_queue_bytes=200_000)
        *slow, other = [*self.each(service), service.connect("other")]
        for client in slow:
            client.stop_reading()
        for _ in range(20):
            self.app.emit("news", "x" * 20_000)
            self.assertEqual(len(other.received()), 1)
        for client in slow:
            client.read_on()
        self.assertEqual(slow[0].closed, (4408, "Client reads too slowly"))
        self.assertEqual(slow[1].closed, (4408, "Client reads too slowly"))
        self.assertIsNotNone(slow[2].closed)
        self.assertIsNone(other.closed)

    def test_a_client_that_comes_back_has_missed_nothing(self) -> None:
        service = self.serve(recovery=120)
        client = service.connect("ann", query={"recover": "1"})
        ((_, welcome),) = client.received()
        client.cut()
        self.app.emit("news", 1, user="ann")
        again = service.connect("ann", query={"recover": welcome["session"], "offset": welcome["offset"]})
        first, second = again.received()
        self.assertEqual((first[1]["recovered"], first[1]["id"]), (True, welcome["id"]))
        self.assertEqual(second, ("news", 1))
