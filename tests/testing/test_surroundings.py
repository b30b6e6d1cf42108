"""What the service in memory asks of the process that it runs in, and leaves alone."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from wsservice import App, Connection
from wsservice.testing import ServiceInMemory


class SurroundingsTests(SynchronousTestCase):
    def run_python(self, code: str) -> str:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout

    def test_no_reactor_is_needed_and_none_is_installed(self) -> None:
        code = (
            "import sys\nfrom wsservice import App\nfrom wsservice.testing import ServiceInMemory\n"
            "service = ServiceInMemory(App())\n"
            "for protocol in ('raw', 'socketio', 'polling'):\n    service.connect(protocol=protocol).close()\n"
            "service.advance(60)\nprint('twisted.internet.reactor' in sys.modules)"
        )
        self.assertEqual(self.run_python(code), "False\n")

    def test_the_limit_of_open_files_is_left_alone(self) -> None:
        code = (
            "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (200, 300))\n"
            "from wsservice import App\nfrom wsservice.testing import ServiceInMemory\n"
            "ServiceInMemory(App()).connect()\nprint(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
        )
        self.assertEqual(self.run_python(code), "200\n")

    def test_who_wants_a_token_loads_no_service_and_the_package_no_tools(self) -> None:
        code = (
            "import sys, wsservice.testing\nfrom wsservice.testing import Issuer\n"
            "print([name for name in sys.modules if name.startswith(('autobahn', 'wsservice.assembly'))])"
        )
        self.assertEqual(self.run_python(code), "[]\n")
        code = "import sys, wsservice.server\nprint([name for name in sys.modules if 'wsservice.testing' in name])"
        self.assertEqual(self.run_python(code), "[]\n")

    def test_it_works_within_a_loop_of_asyncio(self) -> None:
        app = App()

        @app.on("echo")
        async def echo(connection: Connection, data: Any) -> Any:
            return data

        async def test() -> Any:
            return ServiceInMemory(app).connect().call("echo", 7)

        self.assertEqual(asyncio.run(test()), 7)

    def test_every_name_is_there(self) -> None:
        import wsservice.testing as testing

        for name in testing.__all__:
            self.assertIsNotNone(getattr(testing, name), name)
            self.assertIn(name, dir(testing))
        self.assertRaises(AttributeError, getattr, testing, "MockService")
