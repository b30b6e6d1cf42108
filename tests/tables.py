"""One test method for each row of a table: trial then runs, reports and selects rows by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeVar

C = TypeVar("C", bound=type)


class Row(Protocol):
    """A row of a table."""

    @property
    def name(self) -> str: ...


def rows(table: Iterable[Row]) -> Callable[[Callable[[Any, Any], None]], Callable[[Any, Any], None]]:
    """Mark a test method that takes a row as its argument; the class needs `by_row`."""

    def mark(method: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
        method.__dict__["rows"] = list(table)
        return method

    return mark


def by_row(case: C) -> C:
    """Replace each marked method of a test case by one for each of its rows."""
    for name, method in list(vars(case).items()):
        table = getattr(method, "rows", None)
        if table is None:
            continue
        delattr(case, name)
        for row in table:
            row_name = f"{name}_{re.sub(r'[^A-Za-z0-9]+', '_', row.name).strip('_')}"
            if hasattr(case, row_name):
                raise ValueError(f"two rows are named {row_name}")
            setattr(case, row_name, _bind(method, row, row_name))
    return case


def _bind(method: Callable[[Any, Any], None], row: Row, name: str) -> Callable[[Any], None]:
    def test(self: Any) -> None:
        method(self, row)

    test.__name__ = name
    test.__doc__ = row.name
    return test
