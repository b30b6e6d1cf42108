"""The tree of addresses, and the site that serves it."""

# mypy: allow-untyped-calls
# (twisted.web has few annotations)

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from twisted.web.resource import IResource

from wsservice.handshake import Network
from wsservice.web.auth import auth_resource
from wsservice.web.health import HEALTH, READY, Checks, health_resource, ready_resource
from wsservice.web.limits import Limits
from wsservice.web.pages import INDEX, Page, load_pages, page_resource
from wsservice.web.request import WsSite
from wsservice.web.resource import Branch
from wsservice.web.services import AuthServices, AuthSettings
from wsservice.web.short_way import Polls
from wsservice.web.uploads import Uploads


def make_site(
    services: AuthServices,
    *,
    settings: AuthSettings | None = None,
    checks: Checks,
    pages: Path | None = None,
    page_values: Mapping[str, str] | None = None,
    mount: Mapping[bytes, IResource] | None = None,
    limits: Limits | None = None,
    trusted: tuple[Network, ...] = (),
    uploads: Uploads | None = None,
    polls: Mapping[str, Polls] | None = None,
    logs_quiet: bool = True,
) -> WsSite:
    """Make the site: `/`, `/static/`, `/health`, `/ready`, `/auth/`, and what is mounted.

    Args:
        checks: what `/ready` asks.
        pages: a folder; its `index.html` is served at `/`, its other files at `/static/<path>`.
        page_values: for the places in the HTML of the pages.
        mount: path, such as `b"/ws"` -> resource.
        trusted: the proxies whose forwarded addresses count.
        uploads: paths that bound the bodies of their POSTs by themselves.
        polls, logs_quiet: see `WsSite`.

    Raises:
        OSError: the pages cannot be read.
        ValueError: two resources for one path.
    """
    root = Branch()
    if pages is not None:
        _add_pages(root, load_pages(pages, page_values))
    for path, resource in (
        (HEALTH, health_resource()),
        (READY, ready_resource(checks)),
        (b"/auth", auth_resource(services, settings or AuthSettings())),
        *(mount or {}).items(),
    ):
        put(root, path, resource)
    return WsSite(
        root,
        clock=services.clock,
        counters=services.counters,
        limits=limits,
        trusted=trusted,
        uploads=uploads,
        polls=polls,
        logs_quiet=logs_quiet,
    )


def _add_pages(root: Branch, pages: Mapping[str, Page]) -> None:
    static = Branch()
    for name, page in pages.items():
        if name == INDEX:
            root.putChild(b"", page_resource(page))
        else:
            put(static, name.encode(), page_resource(page))
    root.putChild(b"static", static)


def put(root: Branch, path: bytes, resource: IResource) -> None:
    """Mount a resource at a path, which may be below folders that are not there yet.

    Raises:
        ValueError: there is one already.
    """
    *folders, name = path.strip(b"/").split(b"/")
    branch = root
    for folder in folders:
        branch = branch.children.setdefault(folder, Branch())
    if name in branch.children:
        raise ValueError(f"two resources for the path {path.decode()}")
    branch.putChild(name, resource)
