"""Where peers are served: the private directory and socket, the address that others are told, and the parts."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from wsservice.assembly import Parts, assemble
from wsservice.config import load_config
from wsservice.errors import ConfigurationError
from wsservice.peering import _address, _remove_stale, private_folder
from wsservice.peers.nodes import MemoryNodes


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        # Short, as the path of a Unix socket must be.
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.folder = Path(made.name)

    def assemble(self, *, cluster: bool = True, **flags: Any) -> Parts:
        self.patch(os, "environ", {"RUNTIME_DIRECTORY": str(self.folder)})
        config = load_config({"dev": "yes", **flags}, {}, directory=self.folder)
        nodes = MemoryNodes("one", b"s" * 32, {}) if cluster else None
        return assemble(config, MemoryReactorClock(), lambda: False, nodes)


class PartsTests(Base):
    def test_alone_there_is_nothing_of_it(self) -> None:
        parts = self.assemble(cluster=False)
        self.assertEqual((parts.peering, parts.port.splices), (None, None))
        self.assertRegex(parts.clients.make_sid(), r"^[A-Za-z0-9_-]{20}$")
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_in_a_cluster_sids_name_the_node_and_peers_have_a_socket(self) -> None:
        parts = self.assemble()
        assert parts.peering is not None
        self.assertRegex(parts.clients.make_sid(), r"^one\.")
        self.assertEqual(parts.peering.incoming.name, f"unix:{self.folder}/wsservice-peers/one.sock:mode=600")
        self.assertIsNone(parts.peering.incoming.port.splices)

    def test_another_address_is_named(self) -> None:
        parts = self.assemble(peer_listen="tcp:4020:interface=10.0.0.5", peer_address="tcp:node5:4020")
        assert parts.peering is not None
        self.assertEqual(parts.peering.incoming.name, "tcp:4020:interface=10.0.0.5")
        self.assertEqual(parts.peering.incoming.address(IPv4Address("TCP", "10.0.0.5", 4020)), "tcp:node5:4020")
        with self.assertRaises(ConfigurationError) as caught:
            self.assemble(peer_listen="nonsense:1")
        self.assertIn("--peer-listen nonsense:1", str(caught.exception))


class AddressTests(Base):
    def test_it_is_that_of_the_socket_unless_it_is_told(self) -> None:
        self.assertEqual(_address("", IPv4Address("TCP", "10.0.0.5", 4020)), "tcp:10.0.0.5:4020")
        self.assertEqual(_address("", IPv6Address("TCP", "fd00::5", 4020)), r"tcp:fd00\:\:5:4020")
        self.assertEqual(_address("", UNIXAddress(b"/run/a:b.sock")), r"unix:/run/a\:b.sock")
        self.assertEqual(_address("tcp:node5:4020", IPv4Address("TCP", "0.0.0.0", 1)), "tcp:node5:4020")

    def test_every_address_is_none(self) -> None:
        for host in (IPv4Address("TCP", "0.0.0.0", 4020), IPv6Address("TCP", "::", 4020)):
            with self.assertRaises(ConfigurationError) as caught:
                _address("", host)
            self.assertIn("--peer-address", str(caught.exception))


class FolderTests(Base):
    def test_only_this_user_can_enter_it(self) -> None:
        for environ in ({"RUNTIME_DIRECTORY": f"{self.folder}:/run/other"}, {"XDG_RUNTIME_DIR": str(self.folder)}):
            for _ in range(2):
                folder = private_folder(environ)
                self.assertEqual((folder.parent, folder.stat().st_mode & 0o777), (self.folder, 0o700))
        self.patch(tempfile, "tempdir", str(self.folder))
        self.assertEqual(private_folder({}), self.folder / f"wsservice-{os.getuid()}")

    def test_what_others_can_enter_or_have_made_is_refused(self) -> None:
        environ = {"RUNTIME_DIRECTORY": str(self.folder)}
        private_folder(environ).chmod(0o750)
        self.assertRaises(ConfigurationError, private_folder, environ)
        (self.folder / "wsservice-peers").rmdir()
        (self.folder / "elsewhere").mkdir(mode=0o700)
        (self.folder / "wsservice-peers").symlink_to(self.folder / "elsewhere")
        self.assertRaises(ConfigurationError, private_folder, environ)
        with self.assertRaises(ConfigurationError) as caught:
            private_folder({"RUNTIME_DIRECTORY": str(self.folder / "missing")})
        self.assertIn("--peer-listen", str(caught.exception))

    def test_a_path_that_is_too_long_is_refused(self) -> None:
        long = self.folder / ("x" * 100)
        long.mkdir()
        self.folder = long
        self.assertRaises(ConfigurationError, self.assemble)

    def test_sockets_of_nodes_that_were_killed_are_taken_away(self) -> None:
        for name in ("dead", "new", "alive"):
            made = socket.socket(socket.AF_UNIX)
            self.addCleanup(made.close)
            made.bind(str(self.folder / f"{name}.sock"))
            if name == "alive":
                made.listen()
            if name != "new":
                os.utime(self.folder / f"{name}.sock", (0, 0))
        (self.folder / "dead.sock.lock").symlink_to("1")
        _remove_stale(self.folder)
        self.assertEqual(sorted(one.name for one in self.folder.iterdir()), ["alive.sock", "new.sock"])
