"""What the suite found: reading its index, judging it, and drawing the tables. Pure but for `read_index`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# The suite's own names of its groups (there is no group 8 or 11).
GROUPS = {
    1: "Framing",
    2: "Pings and pongs",
    3: "Reserved bits",
    4: "Opcodes",
    5: "Fragmentation",
    6: "UTF-8 handling",
    7: "Close handling",
    9: "Limits and performance",
    10: "Automatic fragmentation",
    12: "Compression, different payloads",
    13: "Compression, different parameters",
}
GOOD = frozenset({"OK", "INFORMATIONAL"})
VERDICTS = ("OK", "INFORMATIONAL", "NON-STRICT", "FAILED")
BEGIN = "<!-- results: written by tests.conformance.run --write -->"
END = "<!-- end of results -->"


class ReportError(Exception):
    """The suite left no report, or a page has no place for the results."""


@dataclass(frozen=True, slots=True)
class Case:
    """One case of the suite: `behavior` is about its messages, `behavior_close` about the closing handshake."""

    id: str
    behavior: str
    behavior_close: str

    @property
    def key(self) -> tuple[int, ...]:
        """The id as numbers, for sorting."""
        return case_key(self.id)

    @property
    def group(self) -> int:
        """The first number of the id."""
        return self.key[0]

    @property
    def passed(self) -> bool:
        """Both behaviors are OK or INFORMATIONAL."""
        return self.behavior in GOOD and self.behavior_close in GOOD

    @property
    def verdict(self) -> str:
        """The worse of the two behaviors, one of VERDICTS; what the suite calls by another name is FAILED.

        UNIMPLEMENTED is among those: it means that compression was not negotiated.
        """
        ranks = [
            VERDICTS.index(b) if b in VERDICTS else len(VERDICTS) - 1 for b in (self.behavior, self.behavior_close)
        ]
        return VERDICTS[max(ranks)]


def case_key(case_id: str) -> tuple[int, ...]:
    """`"12.1.4"` as `(12, 1, 4)`."""
    return tuple(int(number) for number in case_id.split("."))


def read_index(path: Path, *, agent: str) -> list[Case]:
    """Read the suite's `index.json`.

    Raises:
        ReportError: the file is missing or does not hold the agent.
    """
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReportError(f"the suite wrote no report: {error}") from error
    if agent not in index:
        raise ReportError(f"the suite's report does not hold the agent {agent!r}")
    return parse_cases(index[agent])


def parse_cases(entries: Mapping[str, Mapping[str, object]]) -> list[Case]:
    """One agent's part of the index as cases, in the order of their numbers."""
    cases = [Case(name, str(entry["behavior"]), str(entry["behaviorClose"])) for name, entry in entries.items()]
    return sorted(cases, key=lambda case: case.key)


def problems(cases: Sequence[Case], *, selected: Iterable[str]) -> list[str]:
    """Everything that keeps the run from passing, one line each: cases that are not good, and cases that did not run.

    The suite stops early, and still ends well, when it cannot connect any more: hence the second kind.
    """
    found = [
        f"{case.id}: {case.behavior}, closing {case.behavior_close} (expected OK or INFORMATIONAL)"
        for case in cases
        if not case.passed
    ]
    missing = sorted(set(selected) - {case.id for case in cases}, key=case_key)
    return found + [f"{case_id}: did not run" for case_id in missing]


def summary(cases: Sequence[Case]) -> str:
    """A Markdown table: a row per group, the number of cases of each verdict, a row of totals."""
    rows = [["group", "cases", *VERDICTS]]
    for group in sorted({case.group for case in cases}):
        members = [case for case in cases if case.group == group]
        rows.append([f"{group} {GROUPS.get(group, '')}".strip(), *_counts(members)])
    rows.append(["all", *_counts(cases)])
    return _aligned(rows)


def informational(cases: Sequence[Case]) -> list[str]:
    """The ids of the cases whose outcome the specification leaves open."""
    return [case.id for case in cases if case.verdict == "INFORMATIONAL"]


def section(cases: Sequence[Case], *, selection: str, minutes: float, versions: Mapping[str, str]) -> str:
    """The results as the page shows them, without the marks around them."""
    lines = [
        f"Selection: {selection}. Time: {minutes:.1f} minutes.",
        "",
        summary(cases),
        "",
        f"INFORMATIONAL: {', '.join(informational(cases)) or 'none'}.",
        "",
        _aligned([["part", "version"], *([name, version] for name, version in versions.items())]),
    ]
    return "\n".join(lines)


def replace_section(page: str, text: str) -> str:
    """Put `text` between the two marks of a page.

    Raises:
        ReportError: a mark is missing.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReportError(f"the page needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


def _counts(cases: Sequence[Case]) -> list[str]:
    verdicts = [case.verdict for case in cases]
    return [str(len(cases)), *(str(verdicts.count(verdict)) for verdict in VERDICTS)]


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    numeric = [all(row[column].isdigit() for row in rows[1:]) for column in range(len(widths))]

    def line(row: Sequence[str]) -> str:
        cells = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(row, widths, numeric, strict=True))
        return f"| {' | '.join(cells)} |"

    rule = "|".join("-" * (w + 1) + (":" if n else "-") for w, n in zip(widths, numeric, strict=True))
    return "\n".join([line(rows[0]), f"|{rule}|", *(line(row) for row in rows[1:])])
