"""Abuse by way of the identity provider: forged keys, and a provider that is down, slow or lying while logins flood."""

from __future__ import annotations

import json
import socket
from collections import Counter

from tests.integration.abuse import (
    AbuseCase,
    Victim,
    dial,
    open_socket,
    read_close,
    read_head,
    read_to_end,
    scaled,
    until,
    upgrade,
)
from tests.integration.provider import BROKEN, CLOSING, GOOD, LYING, SILENT
from wsservice.testing import make_token, private_key


def login(victim: Victim, number: int) -> socket.socket:
    """A login that is asked for; its answer is not yet read."""
    body = json.dumps({"username": f"user-{number}", "password": "secret"}).encode()
    sock = dial(victim.port)
    head = f"POST /auth/login HTTP/1.1\r\nHost: localhost:{victim.port}\r\nConnection: close\r\n"
    sock.sendall(f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return sock


def statuses(socks: list[socket.socket]) -> Counter[bytes]:
    """How many answers there are of each status."""
    found = Counter(read_to_end(sock)[9:12] for sock in socks)
    for sock in socks:
        sock.close()
    return found


class KeyTests(AbuseCase):
    def test_forged_key_ids_by_the_thousand_make_one_request(self) -> None:
        provider = self.provide()
        victim = self.start_with(provider)
        before, asked = self.holds(victim), provider.requests["keys"]
        count = scaled(2000)
        with self.unnoticed(victim):
            while count > 0:
                socks = []
                for number in range(min(count, 200)):
                    token = make_token({"sub": "x"}, header={"kid": f"forged-{count}-{number}"}, key=private_key(7))
                    socks.append(open_socket(victim.port, f"authToken={token}"))
                for sock in socks:
                    self.assertEqual(read_close(sock), (1008, "Invalid authentication token"))
                    sock.close()
                count -= len(socks)
        self.comes_back(victim, before)
        # One in ten seconds, if this takes so long on a machine that is busy.
        self.assertLessEqual(provider.requests["keys"] - asked, 1 + victim.cpu // 5)
        self.assertEqual(self.watcher.counter("auth invalid"), scaled(2000))

    def test_without_keys_a_handshake_waits_its_time_and_no_longer(self) -> None:
        provider = self.provide()
        provider.keys = SILENT
        victim = self.start("--auth-timeout", "1", env=provider.environment)
        socks = [open_later(victim, provider.cookie("bob")) for _ in range(200)]
        for sock in socks:
            self.assertIn(b" 101 ", read_head(sock))
            self.assertEqual(read_close(sock), (1013, "Authentication failed"))
            sock.close()
        self.assertFalse(victim.ready["checks"]["keys"]["ready"])
        provider.keys = GOOD
        provider.release()
        until(lambda: victim.ready["checks"]["keys"]["ready"])
        open_socket(victim.port, provider.cookie("bob")).close()


def open_later(victim: Victim, cookie: str) -> socket.socket:
    """A handshake that is not yet answered."""
    sock = dial(victim.port)
    sock.sendall(upgrade(victim.port, cookie))
    return sock


class LoginTests(AbuseCase):
    def test_logins_flood_while_the_provider_is_down_slow_and_lying(self) -> None:
        provider = self.provide()
        victim = self.start_with(provider)
        before = self.holds(victim)
        number = 0
        with self.unnoticed(victim):
            for how, expected in ((GOOD, b"401"), (BROKEN, b"503"), (CLOSING, b"503"), (LYING, b"503")):
                provider.api = how
                socks = [login(victim, number + one) for one in range(100)]
                number += 100
                self.assertEqual(statuses(socks), {expected: 100}, how)
            provider.api = SILENT
            socks = [login(victim, number + one) for one in range(200)]
            until(lambda: provider.requests["api"] >= 600)
            left, stayed = socks[:100], socks[100:]
            for sock in left:
                sock.close()
            provider.release()  # else the service gives up by itself, after 15 s
            self.assertEqual(statuses(stayed), {b"503": 100})
            provider.api = GOOD
            self.assertEqual(statuses([login(victim, 999)]), {b"401": 1})
        self.comes_back(victim, before)
        counters = self.watcher.ask("state")["counters"]
        counted = {name: count for name, count in counters.items() if name.startswith("logins ")}
        self.assertEqual(sum(counted.values()), 601, counted)

    def test_guesses_of_passwords_are_refused_before_they_reach_the_provider(self) -> None:
        provider = self.provide()
        victim = self.start_with(provider, "--login-burst", "5", "--login-interval", "300")
        with self.unnoticed(victim):
            found = statuses([login(victim, one) for one in range(300)])
        self.assertEqual(found, {b"401": 5, b"429": 295})
        self.assertEqual(provider.requests["api"], 5)
        self.assertEqual(self.watcher.counter("limits_hit logins"), 295)
