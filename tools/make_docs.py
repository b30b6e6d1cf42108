"""`make docs`: docs/configuration.md, from the fields of `Config`, and what else is made from the code."""

from __future__ import annotations

from pathlib import Path

from tests.test_layers import LAYERS
from tools import make_close_codes, make_layers
from tools.metrics_table import metrics_table
from wsservice import reload
from wsservice.config import Config
from wsservice.engineio.states import render_table
from wsservice.settings import declared, markdown_tables

_DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = _DOCS / "configuration.md"
SOCKETIO_PAGE = _DOCS / "socketio.md"
MONITORING_PAGE = _DOCS / "monitoring.md"

_STATES_BEGIN = "<!-- Made by `make docs` from wsservice/engineio/states.py; change it there. -->\n"
_STATES_END = "<!-- The end of what is made. -->\n"

_METRICS_BEGIN = "<!-- Made by `make docs` from wsservice/metrics/; change it there. -->\n"

_HEAD = """\
# Configuration

<!-- Made by `make docs` from wsservice/config.py; change it there. -->

A setting is a flag, a name in the environment, or a line `NAME=value` of the file `.env`, in that order of precedence.
Only the `.env` of the working directory is read, or the file that `--env-file` names; nothing in it is interpolated.
In the environment and in `.env` an empty value is as good as none; a flag must have one. Where a setting has several
values, commas separate them (`WSSERVICE_LISTEN`: white space), and the flag may be repeated. Everything is UTF-8.

A secret is never a flag: everybody on the machine can read a process's arguments. It stands in the environment, in
`.env`, or in a file of its own, which the flag or the name with `_FILE` behind it names, such as
`AWS_COGNITO_CLIENT_SECRET_FILE`.

Any setting may be a credential of systemd, too: a file in `$CREDENTIALS_DIRECTORY` that is called like the setting in
the environment (`LoadCredential=AWS_COGNITO_CLIENT_SECRET:/etc/...`), or that with `wsservice_` before it, as
`LoadCredential=wsservice:/etc/wsservice/credentials` makes of all files of a folder. It holds the value; `TLS_CERT`
and `TLS_KEY` are the files themselves. A credential is weaker than the environment and stronger than `.env`. It suits
a password in the address of a Redis (`WSSERVICE_ADAPTER`), too.

If something is wrong, the service does not start: it exits with status 2, as a daemon too, after one message. First
come all problems of the settings themselves; if there are none, all of what they name and cannot be used (files, the
app, endpoints); and last an address that cannot be had.

Exactly one identity provider must be named: a Cognito user pool (`AWS_REGION`, `AWS_COGNITO_USER_POOL_ID`,
`AWS_COGNITO_CLIENT_ID`), another issuer (`AUTH_ISSUER`, `AUTH_JWKS_URL`, `AUTH_AUDIENCE`), or `--dev`. `--dev` wins
over a pool that is set in a weaker place (as a flag over the environment, in the environment over `.env`).

`--dev` makes users up, and says their passwords at the terminal where it is started: with `twistd -n`, and as a daemon
before it leaves the terminal. The log never has them. It listens on this machine only.

The options of twistd itself stand before the word `wsservice`: `-n` (stay in the foreground), `--logfile`,
`--pidfile`, `--reactor`.

"""

_TAIL = """
## Reloading

SIGHUP reads the settings anew: `.env` or the file of `--env-file`, the files that hold secrets, the certificate.
Flags and the environment of a running process cannot change. Connections stay. If anything is wrong, nothing changes,
and the log says what it is; else it names each setting that has changed, and each that stands differently in the
files now and needs a restart. These can change while the service runs:

{reloadable}
A message rate cannot be had where there was none before. **Credentials of systemd are copies**, made when the service
starts: a reload reads the old ones again, and says so where the certificate is one. After a new one: `systemctl
restart`.

## Behind a proxy

A proxy must hand over who the client is and what it speaks, and must overwrite what the client said of that itself. In
nginx, with `map $http_upgrade $connection_upgrade { default upgrade; "" close; }` beside the server:

```nginx
location / {
    proxy_pass http://unix:/run/wsservice/ws.sock;   # or http://127.0.0.1:3020
    proxy_http_version 1.1;
    proxy_set_header Upgrade $http_upgrade;
    proxy_set_header Connection $connection_upgrade;
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Host $http_host;
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_read_timeout 75s;                          # longer than the pings of clients are apart
    proxy_buffer_size 16k;                           # a login sets cookies of some KiB
    proxy_buffers 8 16k;
}
```

The service believes it only if it is named: by the networks of `--trusted-proxy`, for a proxy that comes by TCP. Peers
on a Unix socket have no address; they are believed as soon as `--trusted-proxy` names any network, so

    twistd -n wsservice --listen unix:/run/wsservice/ws.sock:mode=660 --trusted-proxy 127.0.0.1

Without it every client is one address over plain http: one limit of logins for all of them together, and pages of
https are refused as foreign. (The service warns of it.) It is not the default since whatever may open the socket can
then claim any address and any host: let only the proxy's group open it, by `mode` and by the folder's rights, and put
nothing before it that forwards bytes without a look at them (socat, a TCP proxy). With `--tls-cert` a Unix socket stays
plain. A proxy that speaks the PROXY protocol is served by `--listen haproxy:tcp:3020:interface=127.0.0.1`.

## Limits that are fixed

Those that somebody could want to change are settings. These are not, and the log says so when one bites:

"""

#: limits that are no settings, and why
_FIXED = (
    (
        "a body of `/auth`: 8 KiB in 5 s",
        "it holds a name and a password, or a token",
    ),
    (
        "a message or body of a Socket.IO client that is not known: 16 KiB",
        "it holds a request for a namespace; more would cost memory without a token",
    ),
    (
        "bytes behind an upgrade while its token is checked: 64 KiB, then reading pauses",
        "a client must wait for the answer anyway",
    ),
    (
        "events of a namespace before it is joined: 100",
        "as many as wait for handlers by default; stock clients send none",
    ),
    (
        "nesting of JSON: 200 levels",
        "what a parser recurses into must be bounded; applications use a few",
    ),
    (
        "refreshes of a user name: 300 at once, then ten a second",
        "a name may have a thousand connections",
    ),
    (
        "fetches of keys for an unknown `kid`: one in 10 s",
        "whoever forges tokens must not drive requests to the provider",
    ),
    (
        "all that was sent before a close: 60 s, at any pace",
        "who takes a byte now and then must not hold a connection for ever",
    ),
    (
        "places for probes when all are taken: 32, of 1 s each",
        "they are for `/health` and `/ready`",
    ),
    (
        "sessions that are remembered as signed out: 100,000, and as many users",
        "20 MiB each; one that is forgotten is counted (`tables_full revocations`)",
    ),
    (
        "addresses and user names whose rates are remembered: 10,000 each; results of refreshes that are shared: 1,000",
        "memory; one that is forgotten is counted (`tables_full rates`, `refreshes`)",
    ),
    (
        "`--recovery`: 20,000 events, 10,000 clients that are away",
        "small events cost more than their bytes",
    ),
)

_LOG = """
## Where the log goes

To stdout with `twistd -n`, to the file of `--logfile`, else (as a daemon) to `twistd.log`. When the file is renamed or
removed, the next line begins a new one, so that logrotate needs neither a signal nor `copytruncate` (which works, too);
SIGUSR1 does the same at once. Writing never stops the service: what nobody takes is kept, up to 1 MiB, then
dropped and counted. Of refusals of one kind, of answers from 400 on, and of faults at the same place, the first five
are written as they are; then one line in ten seconds says how many more there were. `--logger` and `--syslog`
of twistd replace all of this.

Whatever is logged while a client is served has its `connection_id` and `request_id`, also what a handler logs by a
`twisted.logger.Logger` of its own or prints. What is printed has a line's head before it, so that nobody can forge
lines. Lines, and tracebacks as a whole, are bounded.

Where stdout is the journal of systemd (`JOURNAL_STREAM`), each line has its priority before it, which the journal
takes off: `journalctl -u wsservice -p warning` shows what matters. With `--log-format json` the message is one JSON
object.
"""


def make_page() -> str:
    """The whole page."""
    tail = _TAIL.replace("{reloadable}", reload.describe())
    return f"{_HEAD}{markdown_tables(declared(Config))}{tail}{_fixed_table()}{_LOG}"


def _fixed_table() -> str:
    rows = "".join(f"| {limit} | {why} |\n" for limit, why in _FIXED)
    return f"| limit | why |\n|---|---|\n{rows}"


def with_states(page: str) -> str:
    """The page with the table of states between its two marks made anew."""
    before, _, rest = page.partition(_STATES_BEGIN)
    _, _, after = rest.partition(_STATES_END)
    return f"{before}{_STATES_BEGIN}\n{render_table()}\n{_STATES_END}{after}"


def with_metrics(page: str) -> str:
    """The page with the table of metrics between its two marks made anew."""
    before, _, rest = page.partition(_METRICS_BEGIN)
    _, _, after = rest.partition(_STATES_END)
    return f"{before}{_METRICS_BEGIN}\n{metrics_table()}\n{_STATES_END}{after}"


if __name__ == "__main__":
    PAGE.write_text(make_page())
    SOCKETIO_PAGE.write_text(with_states(SOCKETIO_PAGE.read_text()))
    make_close_codes.MODULE.write_text(make_close_codes.make_module())
    MONITORING_PAGE.write_text(with_metrics(MONITORING_PAGE.read_text()))
    make_layers.PAGE.write_text(make_layers.with_table(make_layers.PAGE.read_text(), LAYERS))
