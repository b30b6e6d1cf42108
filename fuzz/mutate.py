"""A mutator that knows the words and the separators of a language: seeded, so that a run can be repeated.

It stands in for coverage guidance where `atheris` is not installed. Its only feedback is the target's outcome: an input
with a new one becomes a parent of others.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator
from random import Random

from fuzz.target import Target

#: inputs that were found, beside the kept ones
MAX_FOUND = 1000
#: changes to one input at most
MAX_CHANGES = 6
_DIGITS = re.compile(rb"[0-9]+")
_NUMBERS = (b"0", b"-1", b"1", b"00", b"127", b"255", b"65536", b"2147483648", b"9007199254740992", b"1" * 25, b"1e400")
_BYTES = b'\x00\x01\x1d\x1e\t\n\r "%,-./0:;=@[\\]_{}\x7f\x80\xc2\xe2\xff'


class Mutator:
    """Inputs of a target, one after the other; tell `learn` what each led to."""

    def __init__(self, target: Target, seed: int) -> None:
        self._target = target
        self._random = Random(f"{target.name} {seed}")
        self._kept = target.corpus() or [b""]
        self._found: list[bytes] = []
        self._outcomes: set[Hashable] = set()

    @property
    def outcomes(self) -> int:
        """How many different ones there were."""
        return len(self._outcomes)

    def inputs(self, count: int) -> Iterator[bytes]:
        """The kept inputs, then `count` mutations."""
        yield from self._kept
        for _ in range(count):
            yield self._mutation()

    def learn(self, data: bytes, outcome: Hashable) -> bool:
        """Whether the outcome is new."""
        if outcome in self._outcomes:
            return False
        self._outcomes.add(outcome)
        if len(self._found) < MAX_FOUND:
            self._found.append(data)
        return True

    def _mutation(self) -> bytes:
        random = self._random
        data = self._parent()
        for _ in range(random.randint(1, MAX_CHANGES)):
            data = random.choice(_CHANGES)(self, data)
        return data[: self._target.max_length]

    def _parent(self) -> bytes:
        pool = self._found if self._found and self._random.random() < 0.5 else self._kept
        return self._random.choice(pool)

    def _range(self, data: bytes) -> tuple[int, int]:
        start = self._random.randint(0, len(data))
        return start, min(len(data), start + self._random.choice((1, 1, 2, 4, 16, 64, 256)))

    # -- the changes

    def _flip(self, data: bytes) -> bytes:
        if not data:
            return data
        at = self._random.randrange(len(data))
        return data[:at] + bytes([data[at] ^ (1 << self._random.randrange(8))]) + data[at + 1 :]

    def _set(self, data: bytes) -> bytes:
        at = self._random.randint(0, len(data))
        byte = self._random.choice(_BYTES) if self._random.random() < 0.7 else self._random.randrange(256)
        return data[:at] + bytes([byte]) + data[at + self._random.randint(0, 1) :]

    def _word(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + self._random.choice(self._target.tokens) + data[self._random.choice((start, end)) :]

    def _delete(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:start] + data[end:]

    def _repeat(self, data: bytes) -> bytes:
        start, end = self._range(data)
        return data[:end] + data[start:end] * self._random.choice((1, 1, 2, 8, 40)) + data[end:]

    def _truncate(self, data: bytes) -> bytes:
        return data[: self._random.randint(0, len(data))]

    def _splice(self, data: bytes) -> bytes:
        other = self._parent()
        return data[: self._random.randint(0, len(data))] + other[self._random.randint(0, len(other)) :]

    def _number(self, data: bytes) -> bytes:
        found = list(_DIGITS.finditer(data))
        if not found:
            return self._set(data)
        match = self._random.choice(found)
        return data[: match.start()] + self._random.choice(_NUMBERS) + data[match.end() :]

    def _parts(self, data: bytes) -> bytes:
        """Drop, double, move or borrow a part between separators."""
        if not self._target.separators:
            return self._word(data)
        separator = self._random.choice(self._target.separators)
        parts, others = data.split(separator), self._parent().split(separator)
        kind, at = self._random.randrange(4), self._random.randrange(len(parts))
        if kind == 0 and len(parts) > 1:
            del parts[at]
        elif kind == 1:
            parts.insert(at, parts[at])
        elif kind == 2:
            parts.insert(self._random.randint(0, len(parts)), parts.pop(at))
        else:
            parts.insert(at, self._random.choice(others))
        return separator.join(parts)


_CHANGES = (
    *(Mutator._flip, Mutator._set, Mutator._set, Mutator._word, Mutator._word, Mutator._word),
    *(Mutator._delete, Mutator._repeat, Mutator._truncate, Mutator._splice, Mutator._number),
    *(Mutator._parts, Mutator._parts),
)
