"""Tests of the conformance driver's pure parts: selection, specification, judgement, tables and the page."""

from __future__ import annotations

import json
import stat
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.conformance import report, run, suite


def case(case_id: str, behavior: str = "OK", behavior_close: str = "OK") -> report.Case:
    return report.Case(case_id, behavior, behavior_close)


class JudgementTests(SynchronousTestCase):
    def test_the_index_is_read_in_the_order_of_the_numbers(self) -> None:
        path = Path(self.mktemp())
        entry = {"behavior": "OK", "behaviorClose": "INFORMATIONAL", "duration": 1, "remoteCloseCode": 1000}
        path.write_text(json.dumps({"wsservice": {"10.1.1": entry, "9.1.1": entry}}))
        cases = report.read_index(path, agent="wsservice")
        self.assertEqual(cases, [case("9.1.1", "OK", "INFORMATIONAL"), case("10.1.1", "OK", "INFORMATIONAL")])

    def test_a_missing_or_broken_or_foreign_index_is_an_error(self) -> None:
        path = Path(self.mktemp())
        self.assertRaises(report.ReportError, report.read_index, path, agent="wsservice")
        path.write_text("{")
        self.assertRaises(report.ReportError, report.read_index, path, agent="wsservice")
        path.write_text("{}")
        self.assertRaises(report.ReportError, report.read_index, path, agent="wsservice")

    def test_ok_and_informational_cases_pass(self) -> None:
        cases = [case("1.1.1"), case("7.1.6", "INFORMATIONAL", "INFORMATIONAL"), case("7.13.1", "OK", "INFORMATIONAL")]
        self.assertEqual(report.problems(cases, selected=["1.1.1", "7.1.6", "7.13.1"]), [])

    def test_every_other_behavior_is_a_problem_in_the_messages_and_in_the_close(self) -> None:
        for bad in ("FAILED", "NON-STRICT", "UNIMPLEMENTED", "UNCLEAN", "WRONG CODE", "FAILED BY CLIENT", ""):
            for found in (case("2.1", bad, "OK"), case("2.1", "OK", bad)):
                self.assertEqual(len(report.problems([found], selected=["2.1"])), 1, bad)

    def test_a_case_that_did_not_run_is_a_problem(self) -> None:
        found = report.problems([case("2.1")], selected=["10.1.1", "2.1", "9.1.1"])
        self.assertEqual(found, ["9.1.1: did not run", "10.1.1: did not run"])

    def test_the_verdict_is_the_worse_of_both_behaviors(self) -> None:
        pairs = {
            ("OK", "OK"): "OK",
            ("OK", "INFORMATIONAL"): "INFORMATIONAL",
            ("NON-STRICT", "INFORMATIONAL"): "NON-STRICT",
            ("NON-STRICT", "FAILED"): "FAILED",
            ("UNIMPLEMENTED", "OK"): "FAILED",
            ("OK", "UNCLEAN"): "FAILED",
        }
        for behaviors, verdict in pairs.items():
            self.assertEqual(case("1.1.1", *behaviors).verdict, verdict)


class TableTests(SynchronousTestCase):
    cases = [
        case("1.1.1"),
        case("1.1.2", "FAILED"),
        case("7.1.6", "INFORMATIONAL"),
        case("12.1.1", "NON-STRICT"),
        case("99.1"),
    ]

    def test_the_summary_counts_each_group_and_all(self) -> None:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in report.summary(self.cases).splitlines()]
        self.assertEqual(rows[0], ["group", "cases", "OK", "INFORMATIONAL", "NON-STRICT", "FAILED"])
        self.assertEqual(rows[2], ["1 Framing", "2", "1", "0", "0", "1"])
        self.assertEqual(rows[3], ["7 Close handling", "1", "0", "1", "0", "0"])
        self.assertEqual(rows[4], ["12 Compression, different payloads", "1", "0", "0", "1", "0"])
        self.assertEqual(rows[5], ["99", "1", "1", "0", "0", "0"])
        self.assertEqual(rows[6], ["all", "5", "2", "1", "1", "1"])

    def test_the_section_says_selection_time_open_cases_and_versions(self) -> None:
        text = report.section(self.cases, selection="all cases", minutes=39.96, versions={"Twisted": "26.10.0"})
        self.assertIn("Selection: all cases. Time: 40.0 minutes.", text)
        self.assertIn("INFORMATIONAL: 7.1.6.", text)
        self.assertIn("| Twisted | 26.10.0 |", text)
        self.assertIn("INFORMATIONAL: none.", report.section([], selection="", minutes=0, versions={}))

    def test_the_section_of_a_page_is_replaced_and_the_rest_is_kept(self) -> None:
        page = f"# Title\n\n{report.BEGIN}\nold\n{report.END}\n\nmore\n"
        once = report.replace_section(page, "new")
        self.assertEqual(once, f"# Title\n\n{report.BEGIN}\nnew\n{report.END}\n\nmore\n")
        self.assertEqual(report.replace_section(once, "new"), once)

    def test_a_page_without_both_marks_is_refused(self) -> None:
        for page in ("", report.BEGIN, report.END, f"{report.END}{report.BEGIN}"):
            self.assertRaises(report.ReportError, report.replace_section, page, "new")

    def test_the_project_page_has_a_place_for_the_results(self) -> None:
        page = (Path(run.__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
        self.assertIn("new", report.replace_section(page, "new"))


class SuiteTests(SynchronousTestCase):
    def test_the_specification_carries_the_cookie_as_a_second_header_behind_the_origin(self) -> None:
        spec = suite.build_spec(
            "ws://127.0.0.1:1/ws", origin="http://127.0.0.1:1", cookie="authToken=x", outdir=Path("out"), cases=("1.*",)
        )
        server = {
            "agent": "wsservice",
            "url": "ws://127.0.0.1:1/ws",
            "origin": "http://127.0.0.1:1\r\nCookie: authToken=x",
        }
        self.assertEqual(spec, {"outdir": "out", "servers": [server], "cases": ["1.*"], "exclude-cases": []})
        json.dumps(spec)

    def test_the_selected_cases_are_read_from_the_output_of_python_2(self) -> None:
        output = ["Ok, will run 2 test cases", "Cases = ['1.1.1', u'12.1.4']\n", "Servers = [u'ws://127.0.0.1']"]
        self.assertEqual(suite.selected_cases(output), ["1.1.1", "12.1.4"])
        self.assertEqual(suite.selected_cases(["nothing"]), [])

    def test_the_running_case_is_read_from_the_output(self) -> None:
        line = "Running test case ID 9.1.6 for agent wsservice from peer tcp4:127.0.0.1:1\n"
        self.assertEqual(suite.running_case(line), "9.1.6")
        self.assertIsNone(suite.running_case("Ok"))

    def test_every_pin_is_exact(self) -> None:
        lines = suite.REQUIREMENTS.read_text(encoding="utf-8").splitlines()
        pins = [line for line in lines if not line.startswith("#")]
        self.assertTrue(all(line.count("==") == 1 for line in pins))
        self.assertIn("autobahntestsuite==25.10.1", pins)

    def test_an_interpreter_that_does_not_run_is_not_taken(self) -> None:
        folder = Path(self.mktemp())
        shim = folder / "bin" / "python2.7"
        shim.parent.mkdir(parents=True)
        shim.write_text("#!/bin/sh\nexit 127\n")
        shim.chmod(stat.S_IRWXU)
        error = self.assertRaises(suite.NoPython27Error, suite.find_python27, str(shim.parent.resolve()), folder)
        self.assertIn("pyenv install 2.7.18", str(error))

    def test_an_interpreter_of_pyenv_is_taken(self) -> None:
        folder = Path(self.mktemp()).resolve()
        python = folder / "versions" / "2.7.18" / "bin" / "python2.7"
        python.parent.mkdir(parents=True)
        python.write_text("#!/bin/sh\nexit 0\n")
        python.chmod(stat.S_IRWXU)
        self.assertEqual(suite.find_python27("", folder), python)


class CommandLineTests(SynchronousTestCase):
    def test_everything_is_selected_by_default(self) -> None:
        options = run.parse([], {})
        self.assertEqual(options.cases, suite.FULL)
        self.assertIsNone(options.write)

    def test_quick_keeps_five_cases_of_the_long_groups(self) -> None:
        cases = run.parse(["--quick"], {}).cases
        self.assertEqual(
            [c for c in cases if c.startswith(("12", "13"))], [f"12.1.{n}" for n in (1, 2, 3, 4)] + ["13.1.1"]
        )
        groups = {int(c.split(".")[0]) for c in cases}
        self.assertEqual(groups, set(report.GROUPS))

    def test_cases_are_named_by_a_list(self) -> None:
        self.assertEqual(run.parse(["--cases", "1.*, 7.1.6"], {}).cases, ("1.*", "7.1.6"))

    def test_the_selection_is_described(self) -> None:
        self.assertEqual(run.describe(suite.FULL), "all cases")
        self.assertIn("quick", run.describe(suite.QUICK))
        self.assertEqual(run.describe(("1.*", "2.1")), "1.*, 2.1")

    def test_the_environment_of_the_suite_lives_in_the_cache_folder(self) -> None:
        self.assertEqual(run.parse([], {"XDG_CACHE_HOME": "/c"}).env, Path("/c/wsservice/wstest"))
        self.assertEqual(run.default_env({}), Path.home() / ".cache" / "wsservice" / "wstest")

    def test_each_group_is_announced_once(self) -> None:
        out = StringIO()
        with redirect_stdout(out):
            progress = run.group_printer()
            for case_id in ("1.1.1", "1.1.2", "2.1"):
                progress(case_id)
        self.assertEqual(out.getvalue().count("conformance: group"), 2)

    def test_a_machine_without_python_2_skips_but_fails_in_ci(self) -> None:
        environment = {"PATH": "", "PYENV_ROOT": self.mktemp()}
        for ci, code in (({}, 0), ({"CI": "true"}, 1)):
            out = StringIO()
            with redirect_stdout(out):
                self.assertEqual(run.main([], {**environment, **ci}), code)
            self.assertIn("pyenv install 2.7.18", out.getvalue())
