"""Tests of `wsservice.tap`: the command line, and the service that it makes."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Application, IService, Service, ServiceMaker
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.python.usage import Options as TwistedOptions
from twisted.trial.unittest import SynchronousTestCase

import wsservice
from twisted.plugins import wsservice_plugin
from wsservice import server, tap
from wsservice.config import Config
from wsservice.errors import ConfigurationError
from wsservice.settings import declared


class FakeServer(Service):
    """Stands for the real server; `error` is raised where it says."""

    made: list[Any] = []
    error_at = ""
    errors: tuple[str, ...] = ("cannot listen on tcp:80: taken", "and more")

    def __init__(self, config: Config, *, reactor: Any, terminal: Any, **others: Any) -> None:
        FakeServer.made.append(self)
        self.config = config
        self.terminal = terminal
        self.fail_at("init")

    def privilegedStartService(self) -> None:
        self.fail_at("listen")

    def fail_at(self, place: str) -> None:
        if self.error_at == place:
            raise ConfigurationError(*self.errors)


class FakeReactor:
    """Keeps what is to be called from the reactor's own turn."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], None]] = []

    def callFromThread(self, call: Callable[[], None], *args: Any) -> None:
        self.calls.append(call)

    def callLater(self, seconds: float, call: Callable[[], None]) -> None:
        """Nothing is late here."""


class Base(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        before = Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)
        self.patch(os, "environ", {"PATH": os.environ["PATH"]})
        self.patch(sys, "path", list(sys.path))
        self.patch(sys, "argv", ["twistd"])
        self.patch(FakeServer, "made", [])
        self.patch(FakeServer, "error_at", "")
        self.patch(server, "Server", FakeServer)
        self.patch(sys, "stderr", io.StringIO())
        self.stderr = sys.stderr
        self.addCleanup(signal.signal, signal.SIGUSR1, signal.getsignal(signal.SIGUSR1))

    def refusal(self, function: Any, *arguments: Any) -> str:
        """The message of a refusal."""
        with self.assertRaises(SystemExit) as caught:
            function(*arguments)
        self.assertEqual(caught.exception.code, 2)
        assert isinstance(self.stderr, io.StringIO)
        return self.stderr.getvalue()


class OptionsTests(Base):
    def parse(self, *arguments: str) -> tap.Options:
        options = tap.Options()
        options.parseOptions(list(arguments))
        return options

    def printed(self, *arguments: str) -> str:
        output = io.StringIO()
        self.patch(sys, "stdout", output)
        os.environ["COLUMNS"] = "200"
        with self.assertRaises(SystemExit) as caught:
            self.parse(*arguments)
        self.assertEqual(caught.exception.code, 0)
        return output.getvalue()

    def test_help_is_grouped_with_defaults_names_and_three_examples(self) -> None:
        text = self.printed("--help")
        for group in ("Listening:", "Identity:", "Cookies:", "Browsers:", "Application:", "Limits:", "Logs:"):
            self.assertIn(f"\n{group}\n", text)
        for one in declared(Config):
            self.assertIn(f"  {one.usage}", text)
            for name in one.env:
                self.assertIn(name, text)
        self.assertIn("TCP port; 0 lets the system choose (default 3020; env PORT)", text)
        self.assertIn("do not serve the page at / to log in and chat (env WSSERVICE_PAGE=no)", text)
        self.assertEqual(text.split("examples:")[1].count("twistd -n"), 3)
        self.assertNotIn("`", text)

    def test_the_version_can_be_asked_for(self) -> None:
        self.assertEqual(self.printed("--version"), f"wsservice {wsservice.__version__}\n")

    def test_values_are_kept_as_they_were_written(self) -> None:
        options = self.parse("--port", "eighty", "--listen", "a", "--listen=b", "--dev", "--no-page", "--env-file", "x")
        given = {name: value for name, value in options.items() if value is not None}
        expected = {"port": "eighty", "listen": ["a", "b"], "dev": "yes", "page": "no", "env_file": "x"}
        self.assertEqual(given, expected)

    def test_every_switch_has_its_opposite(self) -> None:
        options = self.parse("--dev", "--no-dev", "--no-page", "--page")
        self.assertEqual((options["dev"], options["page"]), ("no", "yes"))

    def test_what_is_no_option_is_refused(self) -> None:
        message = self.refusal(self.parse, "--prot", "80")
        self.assertIn("wsservice: unrecognized arguments: --prot 80; see twistd wsservice --help", message)
        self.assertEqual(message.count("\n"), 1)
        self.assertIn("--port: expected one argument", self.refusal(self.parse, "--port"))

    def test_an_option_is_not_guessed_from_its_beginning(self) -> None:
        self.refusal(self.parse, "--trusted", "10.0.0.0/8")

    def test_twistd_finds_the_plugin_which_imports_nothing_of_ours(self) -> None:
        self.assertIsInstance(wsservice_plugin.wsservice, ServiceMaker)
        self.assertEqual(
            (wsservice_plugin.wsservice.tapname, wsservice_plugin.wsservice.module[:9]), ("wsservice",) * 2
        )
        self.assertIs(wsservice_plugin.wsservice.options, tap.Options)
        source = Path(wsservice_plugin.__file__).read_text()
        self.assertNotIn("import wsservice", source)
        self.assertNotIn("from wsservice", source)


class Parent(TwistedOptions):
    """Stands for twistd's own options."""


class MakeServiceTests(Base):
    def options(self, *arguments: str, **twistd: Any) -> tap.Options:
        options = tap.Options()
        options.parseOptions(list(arguments))
        options.parent = Parent()
        options.parent.update({"nodaemon": 1, "logfile": None, "logger": None, "syslog": 0, "pidfile": "", **twistd})
        return options

    def make(self, *arguments: str, **twistd: Any) -> Any:
        service = tap.makeService(self.options(*arguments, **twistd))
        self.addCleanup(self.close, service)
        return service

    def close(self, service: Any) -> None:
        for close in (lambda: os.close(service._stderr), lambda: service._start and service._start.close()):
            try:
                close()
            except OSError:
                pass
        terminal = FakeServer.made[-1].terminal
        if terminal is not None:
            terminal.close()

    def observer(self, *arguments: str, **twistd: Any) -> Any:
        application = Application("wsservice")
        self.make("--dev", *arguments, **twistd).setServiceParent(application)
        return application.getComponent(ILogObserver, None)

    def test_the_server_gets_the_settings(self) -> None:
        os.environ["WSSERVICE_DEV"] = "1"
        (self.folder / ".env").write_text("LOG_LEVEL=warn\n")
        self.make("--port", "0")
        config = FakeServer.made[0].config
        self.assertEqual((config.port, config.dev, config.log_level), (0, True, "warn"))

    def test_a_file_of_settings_can_be_named(self) -> None:
        (self.folder / "other").write_text("WSSERVICE_DEV=1\nPORT=1\n")
        self.make("--env-file", "other")
        self.assertEqual(FakeServer.made[0].config.port, 1)

    def test_the_working_directory_is_searched_for_the_app(self) -> None:
        self.make("--dev", "--app", "chat:app")
        self.make("--dev", "--app", "chat:app")
        self.assertEqual(sys.path[0], str(self.folder))
        self.assertEqual(sys.path.count(str(self.folder)), 1)

    def test_the_working_directory_is_not_searched_for_anything_else(self) -> None:
        self.make("--dev")
        self.assertNotIn(str(self.folder), sys.path)

    def test_one_problem_is_one_line(self) -> None:
        message = self.refusal(tap.makeService, self.options())
        self.assertTrue(message.startswith("wsservice: No user pool: set AWS_REGION"), message)
        self.assertTrue(message.endswith(", or try --dev\n"), message)
        self.assertEqual(message.count("\n"), 1)

    def test_several_problems_are_a_list(self) -> None:
        message = self.refusal(tap.makeService, self.options("--dev", "--port", "x", "--host", "0.0.0.0"))
        first, *rest = message.splitlines()
        self.assertEqual(first, "wsservice: 2 problems with the settings")
        self.assertEqual([line[:9] for line in rest], ["  --port ", "  --dev i"])

    def test_what_the_server_cannot_use_is_told_the_same_way(self) -> None:
        FakeServer.error_at = "init"
        self.assertIn("  cannot listen on tcp:80: taken\n", self.refusal(tap.makeService, self.options("--dev")))

    def test_everything_that_cannot_be_used_is_told_at_once(self) -> None:
        FakeServer.error_at = "init"
        options = self.options("--dev", logfile="/nonexistent/a.log", pidfile="/nonexistent/a.pid")
        message = self.refusal(tap.makeService, options)
        self.assertEqual(
            message,
            "wsservice: 4 problems with the settings\n  cannot listen on tcp:80: taken\n  and more\n"
            "  --logfile /nonexistent/a.log: No such file or directory; name a file that this user may write\n"
            "  --pidfile /nonexistent/a.pid: No such file or directory; name a file that this user may write\n",
        )

    def test_a_pipe_that_nobody_reads_is_no_file_for_the_log(self) -> None:
        os.mkfifo(self.folder / "pipe")
        self.assertIn(
            "--logfile pipe: No such device", self.refusal(tap.makeService, self.options("--dev", logfile="pipe"))
        )

    def test_a_refusal_leaves_no_file_behind(self) -> None:
        FakeServer.error_at = "init"
        self.refusal(tap.makeService, self.options("--dev", nodaemon=0, pidfile=str(self.folder / "a.pid")))
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_refusal_cannot_command_the_terminal(self) -> None:
        message = self.refusal(tap.makeService, self.options("--dev", logfile="\x1b[2J/\nwsservice: b"))
        self.assertTrue(message.startswith("wsservice: --logfile \\x1b[2J/\\nwsservice: b: No such"), message)

    def test_a_refusal_without_a_terminal_is_one_all_the_same(self) -> None:
        self.patch(sys, "stderr", None)
        self.refusal(tap.makeService, self.options())

    def test_a_closed_stdout_is_a_log_that_nobody_reads(self) -> None:
        self.patch(sys, "stdout", None)
        observer = self.observer()
        observer({"log_format": "told", "log_time": 0.0})
        os.close(observer._writer._fd)

    def test_a_daemon_has_the_terminal_for_as_long_as_it_needs_it(self) -> None:
        self.make("--dev")
        self.assertIsNone(FakeServer.made[-1].terminal)
        reader, writer = os.pipe()
        before = os.dup(1)
        os.dup2(writer, 1)
        try:
            service = self.make("--dev", nodaemon=0)
        finally:
            os.dup2(before, 1)
            os.close(before)
        FakeServer.made[-1].terminal.write("told")
        self.close(service)
        os.close(writer)
        self.assertEqual(os.read(reader, 100), b"told")
        self.assertEqual(os.read(reader, 100), b"")
        os.close(reader)

    def test_descriptors_that_are_closed_do_not_matter(self) -> None:
        closed = os.dup(1)
        os.close(closed)
        fd = tap._duplicate(closed)
        self.assertEqual(os.write(fd, b"told"), 4)
        os.close(fd)

    def start(self, service: Any) -> tuple[str, list[Any]]:
        """Start a service that fails; gives what it says, and what it logs."""
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.dup2(writer, service._stderr)
        os.close(writer)
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        error = self.assertRaises(SystemExit, service.privilegedStartService)
        self.assertEqual(error.code, 2)
        return os.read(reader, 10_000).decode(), [event for event in events if "cannot start" in str(event)]

    def test_a_port_that_is_taken_ends_the_process_and_leaves_no_pidfile(self) -> None:
        FakeServer.error_at = "listen"
        pidfile = self.folder / "twistd.pid"
        pidfile.write_text("1")
        said, logged = self.start(self.make("--dev", pidfile=str(pidfile)))
        self.assertEqual(
            said, "wsservice: 2 problems with the settings\n  cannot listen on tcp:80: taken\n  and more\n"
        )
        self.assertEqual((pidfile.exists(), logged), (False, []))
        said, _ = self.start(self.make("--dev", pidfile=str(pidfile)))
        self.assertIn("cannot listen", said)

    def test_a_file_of_the_log_gets_it_as_well(self) -> None:
        FakeServer.error_at = "listen"
        said, logged = self.start(self.make("--dev", logfile="a.log"))
        self.assertIn("cannot listen", said)
        self.assertEqual([event["reason"] for event in logged], ["cannot listen on tcp:80: taken\nand more"])

    def test_a_daemon_tells_the_process_that_waits_for_it(self) -> None:
        FakeServer.error_at = "listen"
        service = self.make("--dev", nodaemon=0)
        reader = service._start._reader
        said, logged = self.start(service)
        self.assertEqual((said.count("\n"), len(logged)), (3, 1))
        self.assertEqual((os.read(reader, 10), os.read(reader, 10)), (b"!", b""))
        os.close(reader)

    def test_a_daemon_that_listens_tells_nothing(self) -> None:
        service = self.make("--dev", nodaemon=0)
        reader = service._start._reader
        service.privilegedStartService()
        self.assertEqual(os.read(reader, 10), b"")
        os.close(reader)

    def test_a_message_that_nobody_can_read_does_not_matter(self) -> None:
        FakeServer.error_at = "listen"
        service = self.make("--dev")
        reader, writer = os.pipe()
        os.close(reader)
        os.dup2(writer, service._stderr)
        os.close(writer)
        self.assertRaises(SystemExit, service.privilegedStartService)

    def test_a_message_of_bytes_that_are_no_text_is_written(self) -> None:
        FakeServer.error_at = "listen"
        self.patch(FakeServer, "errors", ("unix:\udcff",))
        said, _ = self.start(self.make("--dev"))
        self.assertEqual(said, "wsservice: unix:\\udcff\n")

    def test_a_start_says_what_was_started(self) -> None:
        service = self.make("--dev", "--cookie-secure", "never")
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        service.privilegedStartService()
        service.startService()
        self.assertTrue(FakeServer.made[0].running)
        told = [event for event in events if event["log_namespace"] == "wsservice.tap"]
        self.assertEqual(told[1]["settings"], "host=127.0.0.1 dev=yes cookie_secure=never")
        self.assertIn("DEVELOPMENT ONLY", told[2]["concern"])
        self.assertIn("plain http", told[3]["concern"])

    def test_lines_that_were_held_back_are_told_at_the_stop(self) -> None:
        self.patch(sys.modules["twisted.internet"], "reactor", FakeReactor())
        service = self.make("--dev", logfile="a.log")
        application = Application("wsservice")
        service.setServiceParent(application)
        service.privilegedStartService()
        service.startService()
        for _ in range(100):
            application.getComponent(ILogObserver)({"log_format": "refused", "log_flood": "refused", "log_time": 0.0})
        self.assertEqual(len((self.folder / "a.log").read_text().splitlines()), 5)
        self.successResultOf(service.stopService())
        self.assertIn(": 95 more in 0 s: refused", (self.folder / "a.log").read_text().splitlines()[-1])

    def test_the_log_goes_to_stdout_in_the_foreground(self) -> None:
        for logfile in (None, "", "-"):
            observer = self.observer(logfile=logfile)
            self.assertTrue(ILogObserver.providedBy(observer))
        self.assertEqual(os.listdir(self.folder), [])

    def test_a_daemon_logs_to_twistds_file(self) -> None:
        observer = self.observer("--log-format", "json", "--log-level", "error", nodaemon=0)
        observer({"log_format": "told", "log_time": 0.0})
        self.assertEqual((self.folder / "twistd.log").read_text(), "")

    def test_a_log_file_is_named_by_twistds_option(self) -> None:
        observer = self.observer(logfile="a.log")
        observer({"log_format": "told {x}", "x": "password=hush", "log_time": 0.0})
        self.assertIn("told password=[redacted]", (self.folder / "a.log").read_text())

    def test_sigusr1_begins_a_new_file(self) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        reactor = FakeReactor()
        self.patch(sys.modules["twisted.internet"], "reactor", reactor)
        self.observer(logfile="a.log")
        (self.folder / "a.log").unlink()
        signal.raise_signal(signal.SIGUSR1)
        self.assertEqual(os.listdir(self.folder), [])
        for call in reactor.calls:
            call()
        self.assertTrue((self.folder / "a.log").exists())

    def test_a_handler_of_sigusr1_is_left_alone(self) -> None:
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        self.observer(logfile="a.log")
        self.assertEqual(signal.getsignal(signal.SIGUSR1), signal.SIG_IGN)

    def test_twistds_own_loggers_are_left_alone(self) -> None:
        self.assertIsNone(self.observer(logger="some.factory"))
        self.assertIsNone(self.observer(syslog=1))
        self.assertIsNone(self.observer(logfile="-", nodaemon=0))

    def test_a_log_file_that_cannot_be_opened_is_told(self) -> None:
        message = self.refusal(tap.makeService, self.options("--dev", logfile="/nonexistent/a.log"))
        self.assertIn("--logfile /nonexistent/a.log: No such file or directory; name a file", message)

    def test_the_service_can_be_put_under_another(self) -> None:
        parent = Application("other")
        IService(parent)
        service = self.make("--dev")
        service.setServiceParent(IService(parent))
        self.assertIs(service.parent, IService(parent))


class TacTests(MakeServiceTests):
    """A service in a .tac file has no options of twistd; it reads twistd's command line."""

    def options(self, *arguments: str, **twistd: Any) -> tap.Options:
        options = tap.Options()
        options.parseOptions(list(arguments))
        line = ["twistd", "-y", "service.tac", *(["-n"] if twistd.get("nodaemon", 1) else [])]
        for name in ("logfile", "logger", "pidfile"):
            if twistd.get(name) is not None:
                line.append(f"--{name}={twistd[name]}")
        self.patch(sys, "argv", [*line, *(["--syslog"] if twistd.get("syslog") else [])])
        return options

    def test_short_options_are_understood(self) -> None:
        self.assertEqual(
            tap._read_twistd_options(["-nl", "a.log", "-y", "x.tac"]),
            {"nodaemon": True, "logfile": "a.log", "python": "x.tac", "pidfile": str(self.folder / "twistd.pid")},
        )
        self.assertEqual(tap._read_twistd_options(["-y", "x.tac", "--pidfile="])["pidfile"], "")

    def test_any_other_program_is_in_the_foreground(self) -> None:
        self.assertEqual(tap._read_twistd_options(["--unknown"]), {"nodaemon": True})
        self.assertEqual(tap._read_twistd_options(["tests.test_tap"]), {"nodaemon": True})
