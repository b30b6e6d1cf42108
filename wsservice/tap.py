"""`twistd wsservice`: its command line, made of the fields of `Config`, and the service that it starts.

Whatever is wrong with the settings ends the process with status 2 and one message, before it becomes a daemon.
"""

from __future__ import annotations

import argparse
import getopt
import os
import signal
import sys
import textwrap
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import ILogObserver, Logger, globalLogPublisher
from twisted.python.components import Componentized
from twisted.python.usage import Options as TwistedOptions

import wsservice
from wsservice.arguments import add_setting
from wsservice.checks import Problems
from wsservice.config import Config, load_config
from wsservice.daemon import REFUSED, Start
from wsservice.errors import ConfigurationError
from wsservice.log_flood import LogFlood
from wsservice.log_writer import LineWriter
from wsservice.logs import Observer, is_journal, make_observer
from wsservice.redaction import Redactor
from wsservice.reports import Reports
from wsservice.settings import declared
from wsservice.terminal import complaint

log = Logger()

#: where twistd logs to as a daemon
_LOGFILE = "twistd.log"
#: and its process id
_PIDFILE = "twistd.pid"

_DESCRIPTION = """\
A realtime server for browsers that log in by cookie.

A setting is a flag, a name in the environment, or a line of .env in the working directory, in that order of
precedence. A secret is never a flag: put it into the environment or into a file, which NAME_FILE or the flag names.
"""
_EXAMPLES = """\
examples:
  Try it, with users that it makes up, on http://localhost:3020/
    twistd -n wsservice --dev
  Your own App, your Cognito user pool
    AWS_REGION=us-east-1 AWS_COGNITO_USER_POOL_ID=us-east-1_AbCdEf123 AWS_COGNITO_CLIENT_ID=1h57kf5cpq17m0 \\
      twistd -n wsservice --port 3020 --app chat:app
  TLS, and a log for machines; the options of twistd itself (-n, --logfile, --pidfile) stand before the service
    twistd -n --logfile=ws.log wsservice --tls-cert chain.pem --tls-key key.pem --log-format json
"""


class Options(TwistedOptions):
    """The options of `twistd wsservice`: a dict of what was given, by the names of the attributes of `Config`."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Parse a command line; `makeService` reads and checks the values.

        Raises:
            SystemExit: 0 after `--help` and `--version`, 2 after an option that there is none.
        """
        self.update(vars(make_parser().parse_args(options)))


def makeService(options: Options) -> IService:
    """The service that twistd runs, and that puts its log observer on the application.

    Raises:
        SystemExit: with status 2, after one message on stderr, if the settings cannot be used.
    """
    from twisted.internet import reactor  # by now twistd has installed the one that the user wants

    from wsservice.server import Server

    twistd = options.parent if options.parent is not None else _read_twistd_options(sys.argv[1:])

    def read() -> Config:
        """The settings, at the start and for a reload."""
        return load_config(options, os.environ, Path(options["env_file"]) if options.get("env_file") else None)

    observer: Observer | None = None

    def reloaded(config: Config) -> None:
        if observer is not None:
            observer.set_level(config.log_level)

    try:
        config = read()
        if config.app:
            _add_working_directory()
        problems = Problems()
        terminal = None if _in_foreground(twistd) else _own_terminal()
        server = problems.during(
            lambda: Server(
                config, reactor=reactor, terminal=terminal, environ=os.environ, reread=read, reloaded=reloaded
            )
        )
        _check_files(twistd, problems)
        problems.check()
    except ConfigurationError as error:
        _refuse(*error.problems)
    observer, reports = _make_observer(config, twistd, reactor), _make_reports(config, reactor)
    return Service(config, server, observer=observer, reports=reports, twistd=twistd)


class Service(MultiService):
    """What twistd starts: the server, with what surrounds it.

    Args:
        server: may raise `ConfigurationError` from `privilegedStartService`.
        observer: for the application that this service is added to; None leaves twistd's own.
        twistd: the options of twistd.
        reports: where errors are reported to, too.
    """

    def __init__(
        self,
        config: Config,
        server: IService,
        *,
        observer: Observer | None,
        twistd: Mapping[str, Any],
        reports: Reports | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._config = config
        self._observer = observer
        self._reports = reports
        self._twistd = twistd
        # A daemon has no stderr by the time that it listens.
        self._stderr = _duplicate(2)
        self._start = None if _in_foreground(twistd) else Start()
        server.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        """Become the application's; twistd takes the log observer from it."""
        if self._observer is not None and isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)  # type: ignore[no-untyped-call]
        super().setServiceParent(parent)  # type: ignore[no-untyped-call]

    def privilegedStartService(self) -> None:
        """Listen.

        Raises:
            SystemExit: with status 2, after one message on stderr, if an address cannot be had.
        """
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except ConfigurationError as error:
            with suppress(OSError):  # nobody listens to it
                os.write(self._stderr, complaint(*error.problems).encode("utf-8", "backslashreplace"))
            if not _logs_to_stdout(self._twistd):
                log.critical("cannot start: {reason}", reason=str(error))
            self._remove_pidfile()
            if self._start is not None:
                self._start.fail()
            raise SystemExit(REFUSED) from None
        finally:
            os.close(self._stderr)
        if self._start is not None:
            self._start.succeed()

    def _remove_pidfile(self) -> None:
        if self._twistd.get("pidfile"):
            with suppress(OSError):
                os.unlink(self._twistd["pidfile"])

    def startService(self) -> None:
        """Say what was started, and start it."""
        log.info("wsservice {version}", version=wsservice.__version__)
        for line in textwrap.wrap(self._config.describe(), 200, break_long_words=False, break_on_hyphens=False):
            log.info("settings: {settings}", settings=line)
        for warning in self._config.warnings():
            log.warn("{concern}", concern=warning)
        if self._reports is not None:
            self._reports.start()
            globalLogPublisher.addObserver(self._reports)
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Stop it; at the end the log tells what it has not yet told."""
        stopped: Deferred[None] = maybeDeferred(super().stopService)
        return stopped.addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        if self._observer is not None:
            self._observer.tell_all()
        if self._reports is None:
            return result
        globalLogPublisher.removeObserver(self._reports)
        return self._reports.stop().addBoth(lambda _: result)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _refuse(f"{message}; see twistd wsservice --help (twistd's own options stand before the word wsservice)")


def make_parser() -> argparse.ArgumentParser:
    """The parser of the service's own options, which ends the process with status 2 after one that there is none."""
    parser = _Parser(
        prog="twistd wsservice",
        usage="twistd [options of twistd] wsservice [options]",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=lambda prog: argparse.RawDescriptionHelpFormatter(prog, max_help_position=32),
        allow_abbrev=False,
        add_help=False,
    )
    general = parser.add_argument_group("General")
    general.add_argument("-h", "--help", action="help", help="show this, and exit")
    general.add_argument("--version", action="version", version=f"wsservice {wsservice.__version__}", help="show it")
    general.add_argument("--env-file", metavar="FILE", help="instead of .env in the working directory")
    groups: dict[str, Any] = {}
    for setting in declared(Config):
        if setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        add_setting(groups[setting.group], setting)
    return parser


def _make_observer(config: Config, twistd: Mapping[str, Any], reactor: Any) -> Observer | None:
    """The observer for where twistd's options send the log; None where they ask for another."""
    if twistd.get("logger") or twistd.get("syslog"):
        return None
    journal = False
    if _logs_to_stdout(twistd):
        stdout = _stdout()
        writer, journal = LineWriter(stdout), is_journal(stdout, os.environ)
    elif twistd.get("logfile") == "-":  # a daemon, which twistd refuses
        return None
    else:
        writer = LineWriter.to_file(_logfile(twistd))
    observer = make_observer(
        writer,
        level=config.log_level,
        format=config.log_format,
        redact=_make_redactor(config),
        flood=_make_flood(reactor),
        journal=journal,
    )
    if not signal.getsignal(signal.SIGUSR1):  # twistd's own observer takes it, too, to begin a new file
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(observer.reopen))
    return observer


def _make_reports(config: Config, reactor: Any) -> Reports | None:
    if not config.sentry_dsn:
        return None
    return Reports(
        config.sentry_dsn,
        environment=config.sentry_environment,
        release=config.sentry_release or f"wsservice@{wsservice.__version__}",
        redact=_make_redactor(config),
        flood=_make_flood(reactor),
        with_text=config.sentry_text,
    )


def _make_redactor(config: Config) -> Redactor:
    return Redactor(secrets=config.secrets, cookies=(config.auth_cookie_name, config.refresh_cookie_name))


def _make_flood(reactor: Any) -> LogFlood:
    # By way of the reactor's own thread, since handlers in others may log, too.
    return LogFlood(time.monotonic, lambda *call: reactor.callFromThread(reactor.callLater, *call))


def _logfile(twistd: Mapping[str, Any]) -> Path:
    return Path(twistd.get("logfile") or _LOGFILE)


def _check_files(twistd: Mapping[str, Any], problems: Problems) -> None:
    """Try the files that twistd could not write, and would find out with a traceback."""
    ours = not (_logs_to_stdout(twistd) or twistd.get("logger") or twistd.get("syslog"))
    if ours and twistd.get("logfile") != "-":
        problems.during(lambda: _check_file("--logfile", _logfile(twistd)))
    if twistd.get("pidfile") and not twistd.get("chroot"):
        problems.during(lambda: _check_file("--pidfile", Path(twistd["pidfile"])))


def _check_file(option: str, path: Path) -> None:
    is_new = not path.exists()
    try:
        # A pipe without a reader is an error rather than a wait.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600))
        if is_new:
            path.unlink()
    except OSError as error:
        raise ConfigurationError(f"{option} {path}: {error.strerror}; name a file that this user may write") from None


def _stdout() -> int:
    if sys.stdout is None:  # closed by who started us, as by `>&-`
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    sys.stdout.flush()
    return sys.stdout.fileno()


def _duplicate(fd: int) -> int:
    """A descriptor of the same file, or of none where it is closed."""
    try:
        return os.dup(fd)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)


def _own_terminal() -> TextIO:
    """The terminal at which a daemon is started, for the time when the daemon has none."""
    return os.fdopen(_duplicate(1), "w", errors="backslashreplace")


def _in_foreground(twistd: Mapping[str, Any]) -> bool:
    return bool(twistd.get("nodaemon") or twistd.get("debug"))


def _logs_to_stdout(twistd: Mapping[str, Any]) -> bool:
    return _in_foreground(twistd) and twistd.get("logfile") in (None, "", "-")


def _read_twistd_options(arguments: Sequence[str]) -> dict[str, Any]:
    """What a service in a .tac file needs of twistd's command line, and has no other way to learn."""
    from twisted.scripts.twistd import ServerOptions  # type: ignore[attr-defined]

    known: Any = ServerOptions()
    try:
        pairs, _ = getopt.getopt(list(arguments), known.shortOpt, known.longOpt)
    except getopt.GetoptError:
        pairs = []
    given = {known.synonyms.get(name.lstrip("-"), name.lstrip("-")): value for name, value in pairs}
    if "python" not in given:  # another program, or a test
        return {"nodaemon": True}
    found = {name: value if f"{name}=" in known.longOpt else True for name, value in given.items()}
    pidfile = str(found.get("pidfile", _PIDFILE))
    return {**found, "pidfile": os.path.abspath(pidfile) if pidfile else ""}


def _add_working_directory() -> None:
    """Let `--app chat:app` find chat.py beside the user: the script `twistd` does not look there by itself."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())


def _refuse(*problems: str) -> NoReturn:
    if sys.stderr is not None:
        sys.stderr.write(complaint(*problems))
    raise SystemExit(REFUSED)
