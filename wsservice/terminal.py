"""What a person at a terminal is told: texts that cannot command it, and what is wrong with what was asked. Pure."""

from __future__ import annotations

import re

# C0 and C1 controls, line and paragraph separators, and what turns the direction of writing (CVE-2021-42574).
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ufeff]")


def escape(text: str) -> str:
    """The text without what commands a terminal, begins a line or turns the direction of writing."""
    return _UNSAFE.sub(lambda match: ascii(match[0])[1:-1], text)


def complaint(*problems: str) -> str:
    """One message of all that is wrong, on a line each; some repeat what a module's exception or a file's name says."""
    problems = tuple(map(escape, problems))
    if len(problems) == 1:
        return f"wsservice: {problems[0]}\n"
    return "".join([f"wsservice: {len(problems)} problems with the settings\n", *(f"  {one}\n" for one in problems)])
