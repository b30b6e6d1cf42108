"""What a fuzz target is, and how one reads its input."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"

#: what differs in a message from input to input
_VARYING = re.compile(r"[0-9]+|'[^']*'|\"[^\"]*\"|`[^`]*`")


@dataclass(frozen=True, slots=True)
class Target:
    """A function that takes any bytes and raises nothing, unless there is a bug.

    Attributes:
        name: also of the folder below `fuzz/corpus/`.
        run: takes the input and gives its outcome: equal for inputs that went the same way, as far as can be seen from
            outside. What it raises is a finding.
        tokens: words of the input's language, for the mutator.
        separators: between its parts, for the mutator.
        weight: its share of a run.
        max_length: bytes of an input.
    """

    name: str
    run: Callable[[bytes], Hashable]
    tokens: tuple[bytes, ...]
    separators: tuple[bytes, ...] = ()
    weight: int = 1
    max_length: int = 2048

    @property
    def folder(self) -> Path:
        """Where its kept inputs are."""
        return CORPUS / self.name

    def corpus(self) -> list[bytes]:
        """The kept inputs, in the order of their names."""
        return [path.read_bytes() for path in sorted(self.folder.iterdir())] if self.folder.is_dir() else []


class Reader:
    """An input taken apart from the front; past its end come zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        """Whether there is more."""
        return self._at < len(self._data)

    def byte(self) -> int:
        """The next byte."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def chunk(self) -> bytes:
        """A byte that is a length, and so many bytes."""
        length = self.byte()
        self._at += length
        return self._data[self._at - length : self._at]

    def rest(self) -> bytes:
        """All that is left."""
        rest, self._at = self._data[self._at :], len(self._data)
        return rest


def outcome_of(error: Exception) -> str:
    """The kind of a refusal: its class and its words, without what the input put into them."""
    return f"{type(error).__name__}: {_VARYING.sub('#', str(error))[:60]}"


def text_of(data: bytes) -> str:
    """Text of an input: UTF-8 with lone surrogates, so that these are tried, too."""
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "replace")
