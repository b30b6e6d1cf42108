"""What the doctor finds, printed as it goes, or as JSON at the end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from wsservice.terminal import escape


class Level(StrEnum):
    """How a step went."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    #: it cannot be tried, and why
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        step: its name, a word or two.
        text: what was found; never a token or a cookie's value.
        fix: what to do; empty where all is well.
    """

    step: str
    level: Level
    text: str
    fix: str = ""


class Report:
    """Collects findings.

    Args:
        quiet: print nothing meanwhile.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self.findings: list[Finding] = []

    def ok(self, step: str, text: str) -> None:
        """All is well."""
        self.add(Finding(step, Level.OK, text))

    def warn(self, step: str, text: str, fix: str) -> None:
        """It works, and is not as it should be."""
        self.add(Finding(step, Level.WARN, text, fix))

    def fail(self, step: str, text: str, fix: str) -> None:
        """It does not work."""
        self.add(Finding(step, Level.FAIL, text, fix))

    def skip(self, step: str, text: str) -> None:
        """It was not tried."""
        self.add(Finding(step, Level.SKIP, text))

    def add(self, finding: Finding) -> None:
        """Take a finding, and show it."""
        self.findings.append(finding)
        if not self._quiet:
            print(f"{finding.level:<4}  {finding.step:<12} {escape(finding.text)}", flush=True)
            if finding.fix:
                print(f"{'':<19}> {escape(finding.fix)}", flush=True)

    @property
    def failed(self) -> int:
        """How many steps failed."""
        return sum(one.level is Level.FAIL for one in self.findings)

    def summary(self) -> str:
        """The last line."""
        warned = sum(one.level is Level.WARN for one in self.findings)
        if not self.failed and not warned:
            return "all is well"
        return f"{self.failed} failed, {warned} warned of"

    def json(self) -> str:
        """The whole for machines."""
        return json.dumps({"ok": not self.failed, "findings": [asdict(one) for one in self.findings]}, indent=2)
