"""docs/cli.md: each command is run as it stands there, and prints what stands below it."""

from __future__ import annotations

import subprocess
import sys

from tests.docs.blocks import block
from tests.docs.running import Base, console, on_port, replaced
from tests.integration.service import PATIENCE
from wsservice.cli.client.lines import HELP

PAGE = "docs/cli.md"


class CommandLineTests(Base):
    def test_the_list_of_what_a_line_may_be(self) -> None:
        self.assertEqual([line.strip() for line in block(PAGE, "/event NAME").splitlines()], lines_of(HELP))

    def test_connect(self) -> None:
        service = self.start("--dev", "--recovery", "120")
        raw, socketio, refused = console(block(PAGE, "wsservice connect --socketio"))
        for (command, shown), status in ((raw, 0), (socketio, 0), (refused, 1)):
            secret = {"WSSERVICE_PASSWORD": service.users["alice"]}
            printed = self.shell(on_port(command, service), status=status, **secret)
            self.assert_printed(printed, on_port(shown, service))

    def test_config(self) -> None:
        lines = [
            "AWS_REGION=us-east-1",
            "AWS_COGNITO_USER_POOL_ID=us-east-1_AbCdEf123",
            "AWS_COGNITO_CLIENT_ID=1h57kf5cpq17m0eml12EXAMPLE",
            "AWS_COGNITO_CLIENT_SECRET=hush",
        ]
        (self.folder / ".env").write_text("\n".join(lines))
        ((command, shown),) = console(block(PAGE, "wsservice config"))
        self.assert_printed(self.shell(command), shown)

    def test_token(self) -> None:
        make, key, serve, start, connect = console(block(PAGE, "wsservice token --key"))
        self.shell(make[0])
        self.shell(key[0])
        self.serve_keys(serve[0])
        environ, _, arguments = start[0].partition("twistd -n wsservice --host 127.0.0.1 --port 3020")
        self.assertEqual(arguments, "")
        service = self.start("--host", "127.0.0.1", env=self.settings(environ))
        self.assert_printed(self.shell(on_port(connect[0], service)), on_port(connect[1], service))

    def test_check(self) -> None:
        """The same service of an issuer, a cookie of another app client."""
        _, key, serve, start, _ = console(block(PAGE, "wsservice token --key"))
        (self.folder / "pool").mkdir()
        self.shell(key[0])
        self.serve_keys(serve[0])
        settings = self.settings(start[0].partition("twistd")[0])
        service = self.start("--host", "127.0.0.1", env=settings)
        (self.folder / "service.env").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
        self.shell("""wsservice token --key key.pem --sub alice --claim 'aud="web"' --cookie > cookie.txt""")
        ((command, shown),) = console(block(PAGE, "$ wsservice check"))
        printed = self.shell(on_port(command, service), status=1)
        self.assert_printed(printed, replaced(on_port(shown, service), {"127.0.0.1:8020": self.keys}))

    def serve_keys(self, command: str) -> None:
        """The page's own web server, on a free port; `keys` is its address."""
        program = replaced(command.removesuffix(" &"), {"python3": sys.executable, "8020": "0"}).split()
        process = subprocess.Popen(
            [*program[:1], "-u", *program[1:]],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait, PATIENCE)
        self.addCleanup(process.kill)
        port = process.stdout.readline().partition(" port ")[2].split()[0]
        self.keys = f"127.0.0.1:{port}"

    def settings(self, text: str) -> dict[str, str]:
        """NAME=value before a command."""
        words = replaced(text, {"127.0.0.1:8020": self.keys}).replace("\\\n", " ").split()
        return dict(word.split("=", 1) for word in words)


def lines_of(text: str) -> list[str]:
    """The lines of a text, without white space around."""
    return [line.strip() for line in text.strip().splitlines()]
