"""No link on the pages leads nowhere: files are there, and so are the headings that a link names."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.blocks import ROOT, pages, read, without_blocks

#: [text](target) and [text](target "title"), of pictures, too; src="..." of HTML
_LINK = re.compile(r"\]\((?P<target>[^)\s]+)(?: \"[^\"]*\")?\)|(?:src|href)=\"(?P<html>[^\"]+)\"")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_FENCED = re.compile(r"^ *```.*?^ *```$", re.MULTILINE | re.DOTALL)
_EXAMPLES = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "examples").rglob("README.md"))


def links(page: str) -> list[str]:
    """Where a page's links lead, but for those out of the repository."""
    found = [one["target"] or one["html"] for one in _LINK.finditer(without_blocks(read(page)))]
    return [target for target in found if not re.match(r"[a-z]+:", target)]


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{anchor}-{seen[anchor]}" if seen[anchor] else anchor)
        seen[anchor] += 1
    return found


class LinkTests(SynchronousTestCase):
    def test_every_link_leads_somewhere(self) -> None:
        dead, seen = [], 0
        for page in [*pages(), *_EXAMPLES]:
            for target in links(page):
                seen += 1
                path, _, anchor = target.partition("#")
                file = (ROOT / PurePosixPath(page).parent / path).resolve() if path else ROOT / page
                if not file.exists():
                    dead.append(f"{page}: {target}: no such file")
                elif anchor and anchor not in anchors(file.read_text()):
                    dead.append(f"{page}: {target}: no such heading")
        self.assertEqual(dead, [], "\n".join(dead))
        self.assertGreater(seen, 60)

    def test_every_page_of_docs_is_reached_from_the_readme(self) -> None:
        reached = {target.partition("#")[0] for target in links("README.md")}
        self.assertEqual({page for page in pages() if page.startswith("docs/")} - reached, set())

    def test_anchors_are_those_that_github_makes(self) -> None:
        text = "# One\n## Two `three`, four?\n## One\n```\n# none\n```\n### [Five](six.md): a-b\n"
        self.assertEqual(anchors(text), {"one", "two-three-four", "one-1", "five-a-b"})
