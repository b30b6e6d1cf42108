"""The pages, and the blocks of code on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: beside docs/; the pages of examples/ have tests of their own (tests/examples)
_OTHERS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "changelog.d/README.md", "client/README.md")
_OTHERS += ("benchmarks/README.md", "fuzz/README.md")
_FENCE = re.compile(r"^ *```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"(?:\A|(?<=\n\n))((?:    .*\n|\n(?=    ))+)")
#: the language of a block that is indented instead of fenced: commands, on these pages
INDENTED = "indented"


@dataclass(frozen=True, slots=True)
class Block:
    """A block of code: the page by its path below ROOT, and the line on which the block begins."""

    page: str
    line: int
    language: str
    code: str

    @property
    def where(self) -> str:
        """For a message: where it stands, and how it begins."""
        return f"{self.page}:{self.line} ({self.language or 'no language'}): {self.code.strip().splitlines()[0]}"


def pages() -> list[str]:
    """All pages whose blocks and links are looked at."""
    return [*_OTHERS, *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md"))]


def read(page: str) -> str:
    """The text of a page."""
    return (ROOT / page).read_text()


def blocks(page: str) -> list[Block]:
    """The blocks of a page, fenced or indented, in their order."""
    return sorted(_blocks(page, read(page)), key=lambda block: block.line)


def all_blocks() -> list[Block]:
    """The blocks of all pages."""
    return [block for page in pages() for block in blocks(page)]


def block(page: str, holds: str, language: str = "") -> str:
    """The code of the one block of a page that holds a text.

    Raises:
        AssertionError: there is none, or another one holds it, too.
    """
    found = [one.code for one in blocks(page) if holds in one.code and language in ("", one.language)]
    assert len(found) == 1, f"{page}: {len(found)} blocks with {holds!r}"
    return found[0]


def without_blocks(text: str) -> str:
    """A page's text without its fenced blocks and without `code`."""
    return re.sub(r"`[^`\n]*`", "", _FENCE.sub("", text))


def _blocks(page: str, text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found["language"], found["code"])
    # Fences make way for as many empty lines, so that line numbers hold.
    rest = _FENCE.sub(lambda found: "x" + "\n" * found[0].count("\n"), text)
    for found in _INDENTED.finditer(rest):
        line = rest.count("\n", 0, found.start()) + 1
        yield Block(page, line, INDENTED, "".join(part[4:] + "\n" for part in found[1].splitlines()))
