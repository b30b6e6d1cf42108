"""Every limit that is a setting is told by an alarm that names it, or says here why not."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import modules
from wsservice.alarms import WATCHED
from wsservice.config import LIMITS, Config
from wsservice.settings import Setting, declared

#: what the flag of a limit looks like, wherever it stands
_LIMIT = re.compile(
    r"max-.*|.*-(timeout|rate|burst|interval|queue-\w+|bytes|messages)|inbox-.*|send-queue-.*|recovery-.*"
)
#: settings that look like limits, and that no alarm names
EXCEPTIONS = {
    "upgrade-timeout": "nobody is refused: the client stays on long-polling",
    "max-poll-packets": "nobody is refused: the rest comes with the next answer",
    "adapter-timeout": "/ready tells of a Redis that is silent, and who asks others is told, by CallTimeout",
    "call-timeout": "the handler that calls is told, by CallTimeout",
    "when-user-is-full": "says what happens at --max-connections-per-user, which has an alarm",
    "compression": "no limit, but what a connection costs",
}


def limits() -> list[Setting]:
    """The settings that bound something."""
    return [one for one in declared(Config) if one.group == LIMITS or _LIMIT.fullmatch(one.flag)]


def alarms() -> Iterator[str]:
    """What each alarm tells an operator to change: of those that watch counters, and of the calls in the code."""
    yield from (option for _, option in WATCHED.values())
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CALLS:
                yield from (one.value for one in node.args[1:2] if isinstance(one, ast.Constant))


_CALLS = ("hit", "alarm")


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.named = {name for option in alarms() for name in re.findall(r"--([a-z][a-z-]*)", option)}

    def test_every_limit_is_named_by_an_alarm_or_is_an_exception(self) -> None:
        silent = {one.flag for one in limits()} - self.named
        self.assertEqual(silent, set(EXCEPTIONS))

    def test_every_alarm_names_settings_that_there_are(self) -> None:
        self.assertEqual(self.named - {one.flag for one in declared(Config)}, set())

    def test_the_walk_finds_both_kinds_of_alarms_and_the_limits_of_every_group(self) -> None:
        self.assertLessEqual({"max-connections", "max-rooms", "max-message-size"}, self.named)
        self.assertLessEqual({"max-namespaces", "login-burst", "auth-timeout"}, {one.flag for one in limits()})
