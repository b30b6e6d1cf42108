"""CHANGELOG.md, from the fragments in changelog.d/ (see the README there).

python -m tools.make_changelog               prints what the next release would say
python -m tools.make_changelog 0.2.0         writes it into CHANGELOG.md, and deletes the fragments
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "changelog.d"
PAGE = ROOT / "CHANGELOG.md"
#: kind of a fragment -> its heading, in the order of a release
KINDS = {
    "feature": "New",
    "fix": "Mended",
    "deprecation": "Deprecated",
    "removal": "Removed",
    "security": "Security",
}
_NAME = re.compile(rf"(\d+)\.({'|'.join(KINDS)})(?:\.(\d+))?\.md")
_FIRST_RELEASE = "\n## "
_WIDTH = 120


@dataclass(frozen=True, slots=True, order=True)
class Fragment:
    """One change; in the order in which a release lists them."""

    issue: int
    number: int
    kind: str
    text: str


class BadFragment(ValueError):
    """A file in changelog.d/ that no release would take; the message says what is wrong."""


def read(path: Path) -> Fragment:
    """A fragment.

    Raises:
        BadFragment: its name is not one of changelog.d/README.md's, or nothing stands in it.
    """
    found = _NAME.fullmatch(path.name)
    if found is None:
        raise BadFragment(
            f"{path.name}: name it <issue>.<kind>.md or <issue>.<kind>.<number>.md; kinds: {', '.join(KINDS)}"
        )
    text = " ".join(path.read_text().split())
    if not text:
        raise BadFragment(f"{path.name}: it is empty")
    return Fragment(int(found[1]), int(found[3] or 0), found[2], text)


def paths(folder: Path = FOLDER) -> list[Path]:
    """The files of all fragments."""
    return sorted(path for path in folder.iterdir() if path.name != "README.md")


def section(version: str, day: date, fragments: Iterable[Fragment]) -> str:
    """What CHANGELOG.md says of a release."""
    ordered = sorted(fragments)
    parts = [f"## {version} ({day.isoformat()})"]
    for kind, heading in KINDS.items():
        items = [_item(one.text) for one in ordered if one.kind == kind]
        if items:
            parts.append(f"### {heading}\n\n" + "\n".join(items))
    return "\n\n".join(parts) + "\n"


def with_section(page: str, new: str) -> str:
    """The page with a new section above the older ones."""
    head, mark, older = page.partition(_FIRST_RELEASE)
    return f"{head.rstrip()}\n\n{new}{mark}{older}"


def _item(text: str) -> str:
    # Nothing may be broken within `code` or a link; a long word keeps its line.
    return textwrap.fill(
        text, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )


def main(arguments: list[str]) -> None:
    """Print the next release's section, or write it."""
    found = paths()
    fragments = [read(path) for path in found]
    if not arguments:
        print(section("Next", date.today(), fragments), end="")
        return
    PAGE.write_text(with_section(PAGE.read_text(), section(arguments[0], date.today(), fragments)))
    for path in found:
        path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
