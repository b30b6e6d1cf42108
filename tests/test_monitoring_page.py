"""docs/monitoring.md, the dashboard and the alerts speak of metrics that there are, by labels that they have."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tools import make_docs
from tools.metrics_table import collect

ROOT = Path(__file__).resolve().parents[1]
DASHBOARD = ROOT / "deploy/grafana/wsservice.json"
ALERTS = ROOT / "deploy/prometheus/alerts.yml"

_METRIC = re.compile(r"\b(?:wsservice|process|python)_\w+")
_SELECTOR = re.compile(r"\b((?:wsservice|process|python)_\w+)\{([^}]*)\}")
_MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
#: what Prometheus itself gives every sample
_TARGET = {"job", "instance"}
#: by type, what samples are called behind a family's name
_SUFFIXES = {"counter": ("_total",), "info": ("_info",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}


def exported() -> dict[str, set[str]]:
    """The labels of every sample that there can be, by its name."""
    found = {}
    for family in collect():
        labels = {*getattr(family, "_labelnames", ())}.union(*(sample.labels for sample in family.samples))
        for suffix in _SUFFIXES[family.type]:
            found[f"{family.name}{suffix}"] = labels | ({"le"} if suffix == "_bucket" else set())
    return found


def dashboard_expressions(node: Any) -> Iterator[str]:
    """Every query in the dashboard, those of its variables too."""
    if isinstance(node, dict):
        for name, value in node.items():
            if name in ("expr", "definition") and isinstance(value, str):
                yield value
            else:
                yield from dashboard_expressions(value)
    elif isinstance(node, list):
        for item in node:
            yield from dashboard_expressions(item)


def alert_expressions(text: str) -> Iterator[str]:
    """Every `expr` of the rules: on the line, or below it, further in."""
    lines = iter(text.splitlines())
    for line in lines:
        match = re.match(r"^( +)expr: (.*)$", line)
        if match is None:
            continue
        expression = match[2]
        if expression == "|":
            expression = ""
            for more in lines:
                if not more.startswith(f"{match[1]}  "):
                    break
                expression += f"{more.strip()} "
        yield expression


class MonitoringPageTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.exported = exported()

    def check(self, expressions: list[str], *, others: set[str]) -> set[str]:
        """Whether expressions use only what there is; gives the metrics that they use."""
        used = set()
        for expression in expressions:
            names = set(_METRIC.findall(expression))
            self.assertTrue(names or others & set(re.findall(r"\w+", expression)), expression)
            self.assertEqual(names - self.exported.keys(), set(), expression)
            labels = set().union(*(self.exported[name] for name in names)) | _TARGET
            for name, matchers in _SELECTOR.findall(expression):
                for label, _ in _MATCHER.findall(matchers):
                    self.assertIn(label, self.exported[name] | _TARGET, expression)
            for grouping in _GROUPING.findall(expression):
                self.assertEqual(set(re.findall(r"\w+", grouping)) - labels, set(), expression)
            used |= names
        return used

    def test_the_table_is_current(self) -> None:
        page = make_docs.MONITORING_PAGE.read_text()
        self.assertEqual(page, make_docs.with_metrics(page), "run `make docs`")

    def test_every_metric_that_the_page_names_is_there(self) -> None:
        page = make_docs.MONITORING_PAGE.read_text()
        known = {*self.exported, *(name.rpartition("_")[0] for name in self.exported)}
        named = set(re.findall(r"`(wsservice_\w+|process_\w+|python_\w+)`", page))
        self.assertEqual(named - known, set())

    def test_the_dashboard_asks_for_what_there_is(self) -> None:
        dashboard = json.loads(DASHBOARD.read_text())
        expressions = list(dashboard_expressions(dashboard))
        self.assertGreater(len(expressions), 40)
        used = self.check(expressions, others=set())
        self.assertGreater(len(used), 30)

    def test_the_dashboards_legends_name_labels_of_their_queries(self) -> None:
        for panel in json.loads(DASHBOARD.read_text())["panels"]:
            for target in panel.get("targets", ()):
                kept = set(re.findall(r"\w+", " ".join(_GROUPING.findall(target["expr"]))))
                kept |= set() if _GROUPING.search(target["expr"]) else _TARGET | {"connection"}
                for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
                    self.assertIn(label, kept, target)

    def test_the_dashboard_can_be_imported(self) -> None:
        dashboard = json.loads(DASHBOARD.read_text())
        self.assertEqual((dashboard["uid"], dashboard["title"]), ("wsservice", "wsservice"))
        ids = [panel["id"] for panel in dashboard["panels"]]
        self.assertEqual(len(ids), len(set(ids)))
        self.assertNotIn("id", dashboard)  # that of the Grafana that it came from
        for panel in dashboard["panels"]:
            place = panel["gridPos"]
            self.assertLessEqual(place["x"] + place["w"], 24, panel["title"])
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                self.assertTrue(panel["targets"])

    def test_the_alerts_ask_for_what_there_is(self) -> None:
        text = ALERTS.read_text()
        expressions = list(alert_expressions(text))
        self.assertEqual(len(expressions), text.count("- alert: "))
        used = self.check(expressions, others={"up"})
        self.assertGreater(len(used), 10)

    def test_the_alerts_texts_name_labels_of_their_expressions(self) -> None:
        for rule in ALERTS.read_text().split("- alert: ")[1:]:
            (expression,) = alert_expressions(f"      - alert: {rule}")
            groupings = _GROUPING.findall(expression)
            kept = set(re.findall(r"\w+", " ".join(groupings))) | _TARGET
            if not groupings:
                kept |= set().union(*(self.exported[name] for name in _METRIC.findall(expression)))
            for label in re.findall(r"\$labels\.(\w+)", rule):
                self.assertIn(label, kept, rule)
