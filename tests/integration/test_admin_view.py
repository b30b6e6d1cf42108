"""The admin view of the real service, by npm's socket.io-client (node/admin.js), alone and in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.integration.mixed_cluster import Cluster
from tests.integration.nodejs import run_scenario
from tests.integration.test_socketio_node import Base
from wsservice.admin.passwords import make_hash

PASSWORD = "correct horse battery staple"
HASH = make_hash(PASSWORD, (14, 8, 1))
#: the tests' apps have a namespace /admin of their own
OPTIONS = ("--admin-user", "ann", "--admin-namespace", "/board")
LOGIN: dict[str, Any] = {"username": "ann", "password": PASSWORD, "namespace": "/board"}


class AdminViewTests(Base):
    file = "admin.js"

    def test_the_login_is_the_views_own(self) -> None:
        service = self.start(*OPTIONS, env={"ADMIN_PASSWORD_HASH": HASH})
        self.run_scenarios(service, "login", **LOGIN)
        self.assertNotIn(PASSWORD, service.log)

    def test_sockets_rooms_and_events_are_seen_and_one_is_disconnected(self) -> None:
        for transport in ("websocket", "polling"):
            service = self.start(*OPTIONS, env={"ADMIN_PASSWORD_HASH": HASH})
            self.run_scenarios(service, "development", transports=[transport], **LOGIN)
            self.assertIn("ann used the admin view: disconnect", service.log)

    def test_with_recovery_too(self) -> None:
        service = self.start(*OPTIONS, "--recovery", "60", env={"ADMIN_PASSWORD_HASH": HASH})
        self.run_scenarios(service, "login", **LOGIN)

    def test_the_processes_of_a_cluster_are_seen_on_any_of_them(self) -> None:
        path = Path(self.mktemp()).absolute()
        path.write_text(HASH)
        with Cluster(*OPTIONS, "--admin-password-hash-file", str(path), with_node=False) as cluster:
            settings = {
                "url": cluster.one.url,
                "other": cluster.two.url,
                "cookies": {user: cluster.provider.cookie(user) for user in ("alice", "bob", "carol")},
                **LOGIN,
            }
            run_scenario("admin.js", "twoNodes", {**settings, "cookie": settings["cookies"]["alice"]})
            for node in (cluster.one, cluster.two):
                self.assertNotIn("Traceback", node.service.log)
