"""Which tests are run in one process: `tools/run_tests.py` runs several such groups at a time.

A module that starts programs and waits for them is a group of its own, so that it can wait beside others; of the rest
each folder is one group, for a process that starts costs a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

#: folders whose modules start programs
PROGRAMS = ("tests/integration", "tests/client", "tests/docs", "tests/examples")
#: modules of a folder in one group, at most
GROUP = 20


def groups(root: Path) -> list[list[str]]:
    """The names of all test modules below `root`, in groups; those that may take long come first."""
    alone: list[Path] = []
    together: dict[Path, list[Path]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        if any(path.is_relative_to(root / folder) for folder in PROGRAMS):
            alone.append(path)
        else:
            together.setdefault(path.parent, []).append(path)
    alone.sort(key=lambda path: path.stat().st_size, reverse=True)
    cut = (part for paths in together.values() for part in _cut(paths))
    return [[_name(root, path) for path in paths] for paths in [*([path] for path in alone), *cut]]


def _cut(paths: list[Path]) -> Iterator[list[Path]]:
    for start in range(0, len(paths), GROUP):
        yield paths[start : start + GROUP]


def _name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts)
