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
#: choices, which have no number
NO_NUMBERS = {"when-user-is-full", "compression"}


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

#: counts that no limit of ours makes grow, by name, or by name and reason
NO_LIMIT = {
    "admin_commands": "what an administrator did",
    "admin_logins": "ok, or refused; the rate is the logins' own, and the log tells of each refusal",
    "acks_ignored": "a client answers what nobody asked",
    "auth": "who a token speaks for; refusals are the client's",
    "cluster_connections_lost": "Redis was away, and /ready says so",
    "cluster_dropped refused": "by Redis",
    "cluster_dropped stopped": "the service stops",
    "cluster_dropped uncertain": "Redis was away",
    "cluster_faults": "what Redis, or no node, did",
    "cluster_gaps": "Redis has forgotten",
    "cluster_lost": "dropped by its sender, or Redis has forgotten",
    "connections_closed": "by whoever; each limit that closes has a count of its own",
    "connections_expired": "the token's end",
    "connections_refused": "by the application; the limit of a user has an alarm in the code",
    "deliveries": "what went well",
    "engine_sessions": "what went well",
    "engine_sessions_ended": "by whoever, but for the ping timeout",
    "events_dropped": "what comes behind an end, or behind a pause that has an alarm",
    "events_refused": "by the application, or for what there is not",
    "handler_errors": "the application's own",
    "handshakes": "refusals are the client's",
    "heads_refused stopping": "the service stops",
    "internal_errors": "a fault of ours",
    "jwks_fetch": "the provider's",
    "jwks_unknown_kid": "a token's",
    "limits_hit": "what an alarm counts itself",
    "logins": "ok, a challenge, or refused by the provider",
    "logouts": "ok, or refused",
    "messages_dropped": "each limit that drops has a count of its own; volatile ones may be dropped",
    "namespaces_refused origin": "a page that may use the admin view only",
    "namespaces_refused unknown": "there is no such namespace",
    "passed_on": "what went well, or a client that left",
    "passed_on_failed broken": "another node's",
    "passed_on_failed timeout": "another node's",
    "passed_on_failed unreachable": "another node's",
    "polls_refused": "by Engine.IO's rules",
    "recoveries": "how they went",
    "refreshes": "ok, or refused by the provider",
}


def counts() -> Iterator[tuple[str, str | None]]:
    """Every name and reason by which something in the code is counted; None for a reason that is not written there."""
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("counters.add"):
                continue
            name, *others = node.args
            if isinstance(name, ast.Constant):
                yield from ((str(name.value), reason) for reason in (_texts(others[0]) if others else [""]))


def _texts(node: ast.expr) -> list[str | None]:
    """What an expression may be, as far as it is written there."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.IfExp):
        return [*_texts(node.body), *_texts(node.orelse)]
    return [None]


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.named = {name for option in alarms() for name in re.findall(r"--([a-z][a-z-]*)", option)}

    def test_every_limit_is_named_by_an_alarm_or_is_an_exception(self) -> None:
        silent = {one.flag for one in limits()} - self.named
        self.assertEqual(silent, set(EXCEPTIONS))

    def test_every_alarm_names_settings_that_there_are(self) -> None:
        self.assertEqual(self.named - {one.flag for one in declared(Config)}, set())

    def test_every_limit_has_a_precedent_or_says_why_none(self) -> None:
        unexplained = {one.flag for one in limits() if not one.precedent} - NO_NUMBERS
        self.assertEqual(unexplained, set())
        for one in limits():
            self.assertNotEqual(one.precedent.strip("., "), "none", one.flag)

    def test_every_count_is_watched_or_is_no_limit(self) -> None:
        found = {(name, reason) for name, reason in counts() if reason is not None}
        unknown = {
            (name, reason)
            for name, reason in found - set(WATCHED)
            if name not in NO_LIMIT and f"{name} {reason}" not in NO_LIMIT
        }
        self.assertEqual(unknown, set())
        names = {name for name, _ in counts()}
        self.assertEqual({name.partition(" ")[0] for name in NO_LIMIT} - names, set())
        self.assertLessEqual({("slow_consumers", "on_connect"), ("history_dropped", "sessions")}, found)

    def test_the_walk_finds_both_kinds_of_alarms_and_the_limits_of_every_group(self) -> None:
        self.assertLessEqual({"max-connections", "max-rooms", "max-message-size"}, self.named)
        self.assertLessEqual({"max-namespaces", "login-burst", "auth-timeout"}, {one.flag for one in limits()})
