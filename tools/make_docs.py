"""Write docs/configuration.md, which is made of the fields of `Config`: `make docs`."""

from __future__ import annotations

from pathlib import Path

from wsservice.config import Config
from wsservice.settings import declared, markdown_tables

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"

_HEAD = """\
# Configuration

<!-- Made by `make docs` from wsservice/config.py; change it there. -->

A setting is a flag, a name in the environment, or a line `NAME=value` of the file `.env`, in that order of precedence.
Only the `.env` of the working directory is read, or the file that `--env-file` names; nothing in it is interpolated.
An empty value is as good as none. Where a setting has several values, commas separate them (`WSSERVICE_LISTEN`: white
space), and the flag may be repeated.

A secret is never a flag: everybody on the machine can read a process's arguments. It stands in the environment, in
`.env`, or in a file of its own, which the flag or the name with `_FILE` behind it names, such as
`AWS_COGNITO_CLIENT_SECRET_FILE`.

If something is wrong, the service does not start: it exits with status 2 and names every problem at once. Exactly one
identity provider must be named: a Cognito user pool (`AWS_REGION`, `AWS_COGNITO_USER_POOL_ID`,
`AWS_COGNITO_CLIENT_ID`), another issuer (`AUTH_ISSUER`, `AUTH_JWKS_URL`, `AUTH_AUDIENCE`), or `--dev`. `--dev` wins
over a pool that is set in a weaker place (as a flag over the environment, in the environment over `.env`).

The options of twistd itself stand before the word `wsservice`: `-n` (stay in the foreground), `--logfile`,
`--pidfile`, `--reactor`.

"""

_TAIL = """
## Where the log goes

To stdout with `twistd -n`, to the file of `--logfile`, else (as a daemon) to `twistd.log`. When the file is renamed or
removed, the next line begins a new one, so that logrotate needs neither a signal nor `copytruncate` (which works, too);
SIGUSR1 does the same at once. Writing never stops the service: what nobody takes is kept, up to 1 MiB, then
dropped and counted. `--logger` and `--syslog` of twistd replace all of this.
"""


def make_page() -> str:
    """The whole page."""
    return f"{_HEAD}{markdown_tables(declared(Config))}{_TAIL}"


if __name__ == "__main__":
    PAGE.write_text(make_page())
