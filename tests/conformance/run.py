"""Run Autobahn's test suite against the real service: `python -m tests.conformance.run [--quick]`.

Needs Python 2.7 for the suite (see docs/conformance.md). The exit code is 0 when every case is OK or
INFORMATIONAL, 1 otherwise; without Python 2.7 it is 0 with a message, and 1 where `CI=true`.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.conformance import report, service, suite


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run what the arguments ask for and return the exit code."""
    options = parse(arguments, environment)
    try:
        python27 = options.python27 or suite.find_python27(environment.get("PATH", ""), pyenv_root(environment))
    except suite.NoPython27Error as error:
        print(f"conformance: skipped. {error}" if not is_ci(environment) else f"conformance: {error}")
        return int(is_ci(environment))
    try:
        return conform(options, python27)
    except (suite.SuiteError, service.ServiceError, report.ReportError) as error:
        print(f"conformance: {error}")
        return 1


def conform(options: argparse.Namespace, python27: Path) -> int:
    """Install the suite, start the service, run the cases, print and judge the results."""
    outdir: Path = options.outdir.resolve()
    outdir.mkdir(parents=True, exist_ok=True)
    index = outdir / "index.json"
    index.unlink(missing_ok=True)
    print(f"conformance: preparing the suite in {options.env}", flush=True)
    suite.build_environment(options.env, python27)
    started = time.monotonic()
    with service.running(outdir / "service.log") as target:
        service.prove(target)
        spec = suite.build_spec(
            target.url, origin=target.origin, cookie=target.cookie, outdir=outdir, cases=options.cases
        )
        selected = suite.run(options.env, spec, timeout=options.timeout, progress=group_printer())
    minutes = (time.monotonic() - started) / 60
    cases = report.read_index(index, agent=suite.AGENT)
    failures = report.problems(cases, selected=selected)
    print(f"\n{report.summary(cases)}\n")
    print("\n".join(failures) or "Every case is OK or INFORMATIONAL.")
    print(f"Reports: {outdir / 'index.html'}")
    if options.write:
        versions = {**service.versions(), **suite.versions(options.env)}
        text = report.section(cases, selection=describe(options.cases), minutes=minutes, versions=versions)
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(report.replace_section(page, text), encoding="utf-8")
    return int(bool(failures))


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> argparse.Namespace:
    """The command line as a namespace."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.conformance.run", description="Autobahn's WebSocket test suite against the real service."
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--quick", action="store_const", dest="cases", const=suite.QUICK, help="a minute instead of 40")
    which.add_argument("--cases", type=split, help="comma separated, as 1.*,7.1.6 (default: all)")
    parser.set_defaults(cases=suite.FULL)
    parser.add_argument("--env", type=Path, default=default_env(environment), help="folder of the suite's environment")
    parser.add_argument("--python27", type=Path, help="an interpreter (default: of pyenv, or on the path)")
    parser.add_argument(
        "--outdir", type=Path, default=service.ROOT / "conformance-report", help="folder of the reports"
    )
    parser.add_argument(
        "--timeout", type=float, default=3 * 3600, help="seconds for the whole suite (default: %(default)s)"
    )
    parser.add_argument("--write", type=Path, metavar="PAGE", help="write the results into this Markdown page, too")
    return parser.parse_args(arguments)


def split(text: str) -> tuple[str, ...]:
    """`"1.*, 7.1.6"` as its parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def describe(cases: Sequence[str]) -> str:
    """The selection in words."""
    named = {suite.FULL: "all cases", suite.QUICK: "quick (groups 12 and 13 by a sample)"}
    return named.get(tuple(cases), ", ".join(cases))


def default_env(environment: Mapping[str, str]) -> Path:
    """Where the suite's environment is kept between runs: the user's cache folder."""
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "wsservice" / "wstest"


def pyenv_root(environment: Mapping[str, str]) -> Path:
    """The folder of pyenv."""
    return Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")


def is_ci(environment: Mapping[str, str]) -> bool:
    """Whether a missing prerequisite is a failure."""
    return environment.get("CI", "").lower() == "true"


def group_printer() -> Callable[[str], None]:
    """A `progress` that prints each group's name when its first case starts."""
    seen: set[int] = set()

    def progress(case_id: str) -> None:
        group = report.case_key(case_id)[0]
        if group not in seen:
            seen.add(group)
            print(f"conformance: group {group} {report.GROUPS.get(group, '')}", flush=True)

    return progress


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
