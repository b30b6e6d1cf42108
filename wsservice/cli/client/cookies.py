"""The cookies of a client, in memory only; and what a `Set-Cookie` says, for who judges it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SetCookie:
    """A `Set-Cookie` header.

    Attributes:
        value: never to be printed.
        attributes: by lower-case name; empty text for those without a value.
    """

    name: str
    value: str = field(repr=False)
    attributes: dict[str, str]

    @classmethod
    def parse(cls, header: str) -> SetCookie:
        """Take a header apart (RFC 6265 section 5.2)."""
        pair, *rest = header.split(";")
        name, _, value = pair.partition("=")
        attributes = {}
        for part in rest:
            key, _, content = part.partition("=")
            attributes[key.strip().lower()] = content.strip()
        return cls(name.strip(), value.strip(), attributes)

    @property
    def path(self) -> str:
        """Where it is sent to."""
        return self.attributes.get("path") or "/"

    @property
    def clears(self) -> bool:
        """Whether it takes a cookie away."""
        return not self.value or self.attributes.get("max-age") == "0"


class Jar:
    """Cookies of one service."""

    def __init__(self) -> None:
        self._cookies: dict[tuple[str, str], str] = {}

    def add_header(self, header: str) -> None:
        """Take the cookies of a `Cookie` header: `name=value; other=value`."""
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name and value:
                self._cookies[name, "/"] = value

    def take(self, cookie: SetCookie) -> None:
        """Do what a `Set-Cookie` says."""
        if cookie.clears:
            self._cookies.pop((cookie.name, cookie.path), None)
        else:
            self._cookies[cookie.name, cookie.path] = cookie.value

    def header(self, path: str) -> str:
        """The `Cookie` header for a request to a path; empty if there is none."""
        return "; ".join(f"{name}={value}" for (name, place), value in self._cookies.items() if _is_below(path, place))


def _is_below(path: str, place: str) -> bool:
    """RFC 6265 section 5.1.4."""
    return path == place or path.startswith(place if place.endswith("/") else f"{place}/")
