"""The direction of imports: only downward, no circles (docs/architecture.md)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tools import make_layers

PACKAGE = Path(__file__).resolve().parents[1] / "wsservice"

#: every module stands here, by its layer; a name that ends with a dot stands for all below it
LAYERS = {
    0: [
        "messages errors close_codes handshake envelope frames config settings parsers checks redaction handlers",
        "targets terminal arguments emissions client_frames admin.passwords",
        "engineio. socketio. addresses open_files traffic connection_limits headers recorded",
        "auth.principal auth.cookies auth.tokens auth.verified auth.keys auth.origin auth.strict_json auth.sigv4",
        "auth.endpoints auth.api_keys auth.providers.cognito_errors web.answers web.limits web.compression",
        "adapters.redis.url adapters.redis.script adapters.redis.resp adapters.redis.keys",
        "adapters.redis.positions adapters.redis.serials",
        "adapters.redis.foreign adapters.redis.values adapters.redis.msgpack_values adapters.redis.channels",
        "adapters.redis.classic_target adapters.redis.classic_broadcast adapters.redis.classic_packets",
        "adapters.redis.classic_requests adapters.redis.classic_responses adapters.redis.python_packets",
        "peers.nodes peers.sids peers.proofs peers.heads",
        "histogram metrics.names",
    ],
    1: [
        "recovery client_calls server_events questions adapters.base adapters.local",
        "counters wire registry calls deadlines expiry history hub connection audience namespace app sessions loader",
        "log_context log_flood log_writer logs clients. admission alarms pings unsent surroundings sd_notify",
        "auth.authenticator auth.revocations auth.marks auth.providers.base web.rates admin.",
        "auth.providers.cognito_challenges web.forms web.session_cookies",
        "adapters.redis.outbox adapters.redis.subscriptions adapters.redis.refusals adapters.redis.held",
        "adapters.redis.own_events",
        "loop_lag metrics.",
    ],
    2: [
        "emitter auth.jwks auth.fetch auth.timed auth.strict_agent auth.providers.",
        "transports. web. adapters. peers.links reports",
    ],
    3: ["part_settings trust identity peering metering administering assembly reload server"],
    4: ["tap daemon testing. demo. cli cli. __main__"],
}
#: families of layer 2, which never import each other
FAMILIES = ("transports", "web", "auth", "adapters", "peers")
#: what the layer of a module forbids it by name
ONLY_FOR_CONFIG = {"config", "settings", "checks", "identity", "peering", "metering", "assembly", "server", "tap"}
ONLY_FOR_CONFIG |= {
    "reload",
    "part_settings",
    "trust",
    "administering",
    "cli.cluster",
    "testing.parts",
    "cli.config",
    "cli.doctor.local",
}
#: a package's public names, gathered: above everything that it names
PUBLIC = ""
#: arrows that go upward on purpose, each with its reason
EXCEPTIONS = {
    ("assembly", "demo.app"): "the app that runs where the user names none",
    ("assembly", PUBLIC): "the version",
    ("tap", PUBLIC): "the version",
    ("cli.program", PUBLIC): "the version",
}


def modules() -> dict[str, Path]:
    """Every module by its dotted name below the package."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path
    return found


def imported(path: Path, *, at_run_time: bool = False) -> Iterator[str]:
    """The full dotted names that a module imports; type checkers' imports only if not `at_run_time`."""
    tree = ast.parse(path.read_text())
    skipped: set[ast.AST] = set()
    if at_run_time:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                skipped.update(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def layer_of(name: str) -> int | None:
    """The layer of a module; exact names before those that stand for a folder."""
    tables = {layer: " ".join(lines).split() for layer, lines in LAYERS.items()}
    for layer, names in tables.items():
        if name in names:
            return layer
    for layer, names in tables.items():
        if any(one.endswith(".") and name.startswith(one) for one in names):
            return layer
    return None


class LayerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.modules = modules()

    def ours(self, path: Path, *, at_run_time: bool = False) -> set[str]:
        """The modules of ours that a module imports."""
        found = set()
        for full in imported(path, at_run_time=at_run_time):
            if full == "wsservice" or full.startswith("wsservice."):
                name = full.removeprefix("wsservice").lstrip(".")
                while name not in self.modules:
                    name = name.rpartition(".")[0]
                found.add(name)
        return found

    def is_package(self, name: str) -> bool:
        return self.modules[name].name == "__init__.py"

    def test_every_module_has_a_layer(self) -> None:
        self.assertEqual([name for name in self.modules if not self.is_package(name) and layer_of(name) is None], [])

    def test_no_arrow_goes_upward(self) -> None:
        wrong = []
        for name, path in self.modules.items():
            if self.is_package(name):
                continue
            for other in self.ours(path):
                if (name, other) in EXCEPTIONS:
                    continue
                mine, theirs = layer_of(name), layer_of(other)
                if mine is None or theirs is None or theirs > mine:
                    wrong.append(f"{name} (layer {mine}) imports {other or 'wsservice'} (layer {theirs})")
        self.assertEqual(wrong, [])

    def test_there_is_no_circle(self) -> None:
        graph = {name: self.ours(path, at_run_time=True) - {name} for name, path in self.modules.items()}
        for names in graph.values():
            names.discard(PUBLIC)
        while graph:
            free = [name for name, needs in graph.items() if not needs & graph.keys()]
            self.assertTrue(free, f"a circle among {sorted(graph)}")
            for name in free:
                del graph[name]

    def test_the_families_of_input_and_output_do_not_know_each_other(self) -> None:
        wrong = []
        for name, path in self.modules.items():
            family = name.partition(".")[0]
            for other in self.ours(path):
                theirs = other.partition(".")[0]
                if family in FAMILIES and theirs in FAMILIES and family != theirs and layer_of(other) == 2:
                    wrong.append(f"{name} imports {other}")
        self.assertEqual(wrong, [])

    def test_the_pure_modules_know_no_twisted(self) -> None:
        for name, path in self.modules.items():
            if layer_of(name) == 0:
                for full in imported(path):
                    self.assertFalse(full.startswith(("twisted", "autobahn", "treq")), f"{name} imports {full}")

    def test_autobahn_is_imported_in_one_folder(self) -> None:
        for name, path in self.modules.items():
            if any(full.startswith("autobahn") for full in imported(path)):
                self.assertTrue(name.startswith("transports."), name)

    def test_nobody_imports_the_reactor_at_module_level(self) -> None:
        for name, path in self.modules.items():
            for node in ast.parse(path.read_text()).body:
                self.assertNotIn("twisted.internet import reactor", ast.unparse(node).splitlines()[0], name)

    def test_the_settings_are_seen_by_few(self) -> None:
        for name, path in self.modules.items():
            if "config" in self.ours(path):
                self.assertIn(name, ONLY_FOR_CONFIG)

    def test_the_exceptions_are_still_needed(self) -> None:
        for name, other in EXCEPTIONS:
            self.assertIn(other, self.ours(self.modules[name]))

    def test_the_page_draws_the_same_layers(self) -> None:
        page = make_layers.PAGE.read_text()
        self.assertEqual(page, make_layers.with_table(page, LAYERS), "run `make docs`")
