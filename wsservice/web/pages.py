"""The files of a page, read once at start and served from memory: what is not in the table does not exist.

A page learns of settings by its HTML: `{{name}}` there is the value of that name, escaped for text and attributes.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from wsservice.web.answers import Answer
from wsservice.web.request import WsRequest
from wsservice.web.resource import JsonResource

#: the file that is served at `/`
INDEX = "index.html"
#: what is served, by the end of its name; other files are left alone
CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_PLACE = re.compile(r"\{\{([a-z_]+)\}\}")


@dataclass(frozen=True, slots=True)
class Page:
    """A file as it is served."""

    content: bytes = field(repr=False)
    content_type: str
    etag: str

    def answer(self, request: WsRequest) -> Answer:
        """The file, or 304 where the browser has it (RFC 9110 section 13.1.2)."""
        # A browser asks each time whether its copy is still good: a new version is seen at once.
        headers = ((b"ETag", self.etag.encode()), (b"Cache-Control", b"no-cache"))
        if _matches(request.handshake.header_values("if-none-match"), self.etag):
            return Answer(304, b"", headers)
        return Answer(200, self.content, ((b"Content-Type", self.content_type.encode()), *headers))


def load_pages(folder: Path, values: Mapping[str, str] | None = None) -> dict[str, Page]:
    """Read the files of a folder and of its subfolders, by their paths within it, with `/`.

    Args:
        values: for the places in HTML.

    Raises:
        OSError: it cannot be read.
        KeyError: a place has a name that is none of the values'.
    """
    pages = {}
    for path in _files(folder):
        content_type = CONTENT_TYPES.get(path.suffix)
        if content_type is not None:
            content = path.read_bytes()
            if path.suffix == ".html":
                content = _fill(content.decode(), values or {}).encode()
            pages[path.relative_to(folder).as_posix()] = Page(
                content, content_type, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            )
    return pages


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path


def page_resource(page: Page) -> JsonResource:
    """Serve a page by GET and HEAD."""
    return JsonResource({"GET": page.answer})


def _fill(text: str, values: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: html.escape(values[match[1]]), text)


def _matches(values: list[str], etag: str) -> bool:
    """Weak comparison (RFC 9110 section 8.8.3.2) with each of the listed tags."""
    tags = [tag.strip().removeprefix("W/") for value in values for tag in value.split(",")]
    return etag in tags or "*" in tags
