"""The commands of a block for a shell, taken apart, and checked against the real command lines."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
from collections.abc import Iterator

from twisted.python.usage import UsageError
from twisted.scripts.twistd import ServerOptions

from tests.docs.blocks import ROOT, Block
from wsservice.cli.program import COMMANDS, make_parsers
from wsservice.config import Config
from wsservice.settings import declared
from wsservice.tap import make_parser

#: programs whose commands are not looked at, and why; what they do is not ours to promise
NOT_OURS = {
    ".": "a part of the shell",
    "apt-get": "installs on the reader's machine; .ci/run does it",
    "cd": "a part of the shell",
    "export": "a part of the shell; the names are checked",
    "git": "clones, tags: on the reader's machine",
    "mkdir": "makes a folder",
    "npm": "tests/client runs it",
    "openssl": "makes a random key",
    "pip": "tests/integration/test_packaging.py, make packages",
    "printf": "a part of the shell",
    "echo": "a part of the shell",
    "pyenv": "installs an old Python for the conformance suite",
    "systemctl": "needs a machine that systemd runs; deploy/ has its tests",
    "journalctl": "as systemctl",
    "systemd-analyze": "as systemctl",
    "sudo": "as systemctl",
    "install": "copies files on the reader's machine",
    "useradd": "as systemctl",
    "certbot": "needs a domain",
    "docker": "needs a container engine",
    "podman": "needs a container engine",
    "kubectl": "needs a cluster",
    "aws": "needs an account with AWS; tests/docs/test_cognito.py sends what it sends to an emulator",
    "curl": "run by the test that the block's claim names, where it is ours",
    "cat": "shows a file",
    "cp": "copies a file",
    "chmod": "changes rights",
    "rm": "removes a file",
    "tar": "unpacks what npm has packed",
    "grep": "reads what another program prints",
    "head": "as grep",
    "sed": "as grep",
    "tail": "as grep",
    "editor": "stands for the reader's own",
    "systemd-sysusers": "as systemctl; tests/systemd walks docs/deployment.md",
    "systemd-tmpfiles": "as systemctl",
}
_OPERATORS = {"|", "||", "&&", "&", ";", "(", ")", "{", "}", ";;"}
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=")
_HEREDOC = re.compile(r"<<-?'?(\w+)'?[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
#: names that look like a setting's, and are another program's
_FOREIGN_NAMES = {"WSSERVICE_PASSWORD", "WSSERVICE_COOKIE", "WSSERVICE_CLUSTER_FIGURES", "AWS_PROFILE"}
_OUR_NAME = re.compile(r"(WSSERVICE|AUTH|COOKIE|JWKS|TLS|TRUSTED)_|AWS_(COGNITO|REGION)|CORS_ORIGIN$")


class BadCommand(Exception):
    """What a program would refuse."""


def is_console(code: str) -> bool:
    """Whether a block shows commands with what they print: only lines that begin with `$ ` are commands then."""
    return code.startswith("$ ")


def commands(block: Block) -> Iterator[list[str]]:
    """The commands of a block, as words; redirections, comments and `...` are left out."""
    code = block.code
    if is_console(code):
        # a command goes on where a line ends with a backslash or a pipe
        found = re.findall(r"^\$ ((?:.*[\\|]\n)*.*)$", code, re.MULTILINE)
        code = "\n".join(found)
    code = re.sub(r"(\||\\)\n *", lambda found: f"{found[1].rstrip(chr(92))} ", _HEREDOC.sub("", code))
    for line in code.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        lexer.commenters = "#"
        words: list[str] = []
        skip = False
        for word in [*lexer, ";"]:
            if skip:
                skip = False
            elif word in _OPERATORS:
                if words:
                    yield words
                words = []
            elif set(word) <= {"<", ">", "&"}:
                skip = True
            elif word not in ("...", "do", "done", "then", "fi") and not re.fullmatch(r"\d", word):
                words.append(word)


def check(words: list[str]) -> None:
    """Refuse what the real program would refuse.

    Raises:
        BadCommand: an unknown option, command, target, name of a setting, or program.
    """
    words = list(words)
    names = []
    if words[:1] == ["export"]:
        words.pop(0)
    while words and (found := _ASSIGNMENT.match(words[0])):
        names.append(found[1])
        words.pop(0)
    for name in names:
        _check_name(name)
    if not words:
        return
    program, arguments = words[0].rsplit("/", 1)[-1], words[1:]
    if program in ("python", "python3"):
        _check_python(arguments)
    elif program == "twistd":
        _check_twistd(arguments)
    elif program == "wsservice":
        _check_wsservice(arguments)
    elif program == "make":
        _check_make(arguments)
    elif program not in NOT_OURS:
        raise BadCommand(f"{program}: nobody knows this program; mend the page, or name it in NOT_OURS of {__file__}")


def _check_name(name: str) -> None:
    known = {one for setting in declared(Config) for one in setting.env}
    known |= {f"{one}_FILE" for one in known}
    if _OUR_NAME.match(name) and name not in known | _FOREIGN_NAMES:
        raise BadCommand(f"{name} is no setting")


def _check_twistd(arguments: list[str]) -> None:
    if "wsservice" not in arguments:
        if "-y" in arguments or "--help" in arguments:
            return
        raise BadCommand("twistd without wsservice")
    place = arguments.index("wsservice")
    try:
        ServerOptions().parseOptions(arguments[:place])
    except UsageError as error:
        raise BadCommand(f"twistd: {error}") from error
    with _refusals():
        make_parser().parse_args([one for one in arguments[place + 1 :] if one != "--help"])


def _check_wsservice(arguments: list[str]) -> None:
    if arguments[:1] in ([], ["--help"], ["--version"]):
        return
    command = next((one for one in COMMANDS if one.name == arguments[0]), None)
    if command is None:
        raise BadCommand(f"wsservice {arguments[0]}: no such command")
    rest = arguments[1:]
    if "--help" in rest or rest in (["COMMAND"], ["URL"]):
        return
    parser = make_parsers()[1][command.name]
    with _refusals():
        (parser.parse_intermixed_args if command.intermixed else parser.parse_args)(rest)


def _check_make(arguments: list[str]) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for one in arguments:
        if "=" in one:
            name = one.partition("=")[0]
            if not re.search(rf"^{name} \?=", makefile, re.MULTILINE):
                raise BadCommand(f"make: no variable {name}")
        elif not re.search(rf"^{one}:", makefile, re.MULTILINE):
            raise BadCommand(f"make: no target {one}")


def _check_python(arguments: list[str]) -> None:
    """`python -m` a module of ours must be there."""
    if arguments[:1] == ["-m"] and arguments[1].split(".")[0] in ("tests", "tools", "benchmarks", "fuzz", "soak"):
        path = ROOT / arguments[1].replace(".", "/")
        if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists()):
            raise BadCommand(f"python -m {arguments[1]}: no such module")


@contextlib.contextmanager
def _refusals() -> Iterator[None]:
    """argparse writes to stderr and ends the process."""
    told = io.StringIO()
    with contextlib.redirect_stderr(told):
        try:
            yield
        except SystemExit as end:
            raise BadCommand(told.getvalue().strip()) from end
