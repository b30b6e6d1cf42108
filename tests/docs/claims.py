"""Who runs which block. A block that nobody claims fails `test_claims.py`, which says what to do.

Commands (`sh`, indented, `$ `) are all checked by `test_commands.py`, `nginx`, `ini`, `json` and `yaml` parsed by
`test_formats.py`, JavaScript by `node --check` there. A claim says who runs a block beyond that, or why nobody can.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: languages whose blocks say nothing more than what they are parsed for
PARSED = {"nginx", "ini", "json", "yaml"}


@dataclass(frozen=True, slots=True)
class Claim:
    """Blocks of a page, and what is done with them.

    Attributes:
        holds: a text that the block has; empty means all blocks of the page.
        run: the tests that run it, as dotted names.
        shown: why it is shown only.
    """

    page: str
    holds: str
    run: tuple[str, ...] = ()
    shown: str = field(default="", kw_only=True)


_README = "tests.docs.test_readme.ReadmeTests"
_WIRE = "tests.docs.test_wire.WireTests"
_TUTORIAL = "tests.docs.test_tutorial.TutorialTests"
_COGNITO = "tests.docs.test_cognito.CognitoTests"
_CLI = "tests.docs.test_cli.CommandLineTests"

CLAIMS = (
    Claim("README.md", "# chat.py", (f"{_README}.test_the_app_and_its_clients",)),
    Claim("README.md", "new WebSocket(", (f"{_README}.test_the_app_and_its_clients",)),
    Claim("README.md", "= io(", (f"{_README}.test_the_app_and_its_clients",)),
    Claim("README.md", "wsservice, one process or many", shown="a picture"),
    Claim(
        "client/README.md", "followPage", shown="an excerpt for a page; tests/client/test_real_service.py runs the same"
    ),
    Claim("client/README.md", "SocketIoClient(", shown="an excerpt; tests/client/test_real_service.py runs the same"),
    Claim(
        "client/README.md", "AuthProvider", shown="an excerpt for React; client/tests/react has the same hooks at work"
    ),
    Claim(
        "docs/tutorial.md",
        "# chat.py",
        (f"{_TUTORIAL}.test_the_apps_own_tests", f"{_TUTORIAL}.test_by_the_command_line"),
    ),
    Claim("docs/tutorial.md", "# test_chat.py", (f"{_TUTORIAL}.test_the_apps_own_tests",)),
    Claim("docs/tutorial.md", "$ export WSSERVICE_PASSWORD", (f"{_TUTORIAL}.test_by_the_command_line",)),
    Claim("docs/tutorial.md", "<!doctype html>", (f"{_TUTORIAL}.test_the_page",)),
    Claim("docs/architecture.md", "", shown="a picture"),
    Claim("docs/cli.md", "/event NAME", (f"{_CLI}.test_the_list_of_what_a_line_may_be",)),
    Claim("docs/cli.md", "wsservice connect --socketio", (f"{_CLI}.test_connect",)),
    Claim("docs/cli.md", "$ wsservice check", (f"{_CLI}.test_check",)),
    Claim("docs/cli.md", "wsservice config", (f"{_CLI}.test_config",)),
    Claim("docs/cli.md", "wsservice token --key", (f"{_CLI}.test_token",)),
    Claim("docs/cognito.md", "# finish_login.py", (f"{_COGNITO}.test_the_cookie_of_ones_own_login",)),
    Claim("docs/emitting.md", "", ("tests.integration.test_emitting.PageTests.test_every_block_does_what_it_says",)),
    Claim("docs/login.md", "curl -i", (f"{_WIRE}.test_a_login_by_curl",)),
    Claim("docs/migrating.md", "", ("tests.docs.test_migrating.MigratingTests.test_both_do_the_same",)),
    Claim("docs/protocol.md", 'new WebSocket("ws', (f"{_WIRE}.test_a_browsers_socket",)),
    Claim("docs/protocol.md", '{"event": "report"', (f"{_WIRE}.test_an_event_and_its_answers",)),
    Claim("docs/protocol.md", "recover=1", (f"{_WIRE}.test_a_client_that_comes_back",)),
    Claim("docs/protocol.md", "let session", (f"{_WIRE}.test_the_client_of_two_texts",)),
    Claim("docs/scaling.md", "user wsservice on", ("tests.docs.test_formats.FormatTests.test_the_acl_of_redis",)),
    Claim("docs/socketio.md", 'from "socket.io-client"', (f"{_WIRE}.test_a_stock_client",)),
    Claim("docs/testing.md", "", ("tests.testing.test_page.PageTests.test_the_blocks_are_files_whose_tests_pass",)),
    Claim("changelog.d/README.md", "<issue>.<kind>.md", ("tests.test_changelog.ChangelogTests",)),
)
