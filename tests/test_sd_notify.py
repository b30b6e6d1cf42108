"""Tests of `wsservice.sd_notify`: a manager's socket of the test's own, and a clock."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from wsservice.sd_notify import STATUS_INTERVAL, Notifier


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.status = "serving"
        self.environ: dict[str, str] = {}
        # a path of a Unix socket has a hundred bytes at most
        self.manager = self.bind(f"/tmp/wsservice-notify-{os.getpid()}.sock")

    def bind(self, name: str) -> socket.socket:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.addCleanup(manager.close)
        manager.bind("\0" + name[1:] if name.startswith("@") else name)
        if name.startswith("/"):
            self.addCleanup(Path(name).unlink, missing_ok=True)
        self.environ["NOTIFY_SOCKET"] = name
        return manager

    def notifier(self, **environ: str) -> Notifier:
        return Notifier({**self.environ, **environ}, self.clock, lambda: self.status)

    def heard(self) -> list[list[str]]:
        """The lines of each datagram since the last time."""
        found = []
        while True:
            try:
                found.append(self.manager.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return found


class NotifierTests(Base):
    def test_ready_with_the_status(self) -> None:
        self.notifier().ready()
        self.assertEqual(self.heard(), [["READY=1", "STATUS=serving"]])

    def test_a_name_that_is_in_no_file_system(self) -> None:
        self.manager = self.bind(f"@wsservice-notify-{os.getpid()}")
        self.notifier().ready()
        self.assertEqual(self.heard()[0][0], "READY=1")

    def test_a_reload_says_since_when(self) -> None:
        before = time.monotonic_ns() // 1000
        notifier = self.notifier()
        notifier.reloading()
        notifier.ready()
        reloading, ready = self.heard()
        self.assertEqual((reloading[0], ready[0]), ("RELOADING=1", "READY=1"))
        name, _, since = reloading[1].partition("=")
        self.assertEqual(name, "MONOTONIC_USEC")
        self.assertTrue(before <= int(since) <= time.monotonic_ns() // 1000)

    def test_a_stop_asks_for_the_time_that_it_may_take(self) -> None:
        self.status = "stopping"
        self.notifier().stopping(45.0)
        self.assertEqual(self.heard(), [["STOPPING=1", "EXTEND_TIMEOUT_USEC=45000000", "STATUS=stopping"]])

    def test_the_status_is_told_when_it_has_changed(self) -> None:
        self.notifier().ready()
        self.clock.advance(STATUS_INTERVAL)
        self.status = "serving more"
        self.clock.advance(STATUS_INTERVAL)
        self.clock.advance(STATUS_INTERVAL)
        self.assertEqual(self.heard()[1:], [["STATUS=serving more"]])

    def test_nothing_is_told_any_more_after_the_end(self) -> None:
        notifier = self.notifier(WATCHDOG_USEC="2000000")
        notifier.ready()
        self.heard()
        notifier.close()
        notifier.close()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_manager_that_is_gone_is_told_of_once_in_the_log(self) -> None:
        told: list[str] = []
        globalLogPublisher.addObserver(note := lambda event: told.append(event.get("log_namespace", "")))
        self.addCleanup(globalLogPublisher.removeObserver, note)
        os.unlink(self.environ["NOTIFY_SOCKET"])
        notifier = self.notifier(WATCHDOG_USEC="2000000")
        notifier.ready()
        self.clock.pump([1.0] * 5)
        self.assertEqual(told.count("wsservice.sd_notify"), 1)


class WatchdogTests(Base):
    def pings(self) -> int:
        return sum("WATCHDOG=1" in lines for lines in self.heard())

    def test_two_pings_in_each_interval_from_the_clock(self) -> None:
        self.notifier(WATCHDOG_USEC="4000000", WATCHDOG_PID=str(os.getpid())).ready()
        self.assertEqual(self.pings(), 1)
        for _ in range(3):
            self.clock.advance(1.9)
            self.assertEqual(self.pings(), 0)
            self.clock.advance(0.1)
            self.assertEqual(self.pings(), 1)

    def test_a_reload_makes_no_second_row_of_pings(self) -> None:
        notifier = self.notifier(WATCHDOG_USEC="4000000")
        notifier.ready()
        notifier.ready()
        self.heard()
        self.clock.advance(2.0)
        self.assertEqual(self.pings(), 1)

    def test_it_is_another_process_that_is_watched(self) -> None:
        for environ in ({"WATCHDOG_USEC": "4000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}, {}):
            self.notifier(**environ).ready()
        self.clock.advance(2.0)
        self.assertEqual(self.pings(), 0)


class NobodyAsksTests(SynchronousTestCase):
    def test_without_a_socket_nothing_happens(self) -> None:
        for environ in ({}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}):
            clock = Clock()
            notifier = Notifier({**environ, "WATCHDOG_USEC": "1000000"}, clock)
            notifier.ready()
            notifier.reloading()
            notifier.stopping(1.0)
            notifier.close()
            self.assertEqual(clock.getDelayedCalls(), [])
