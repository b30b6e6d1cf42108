"""What the input waits for: an answer, or messages. Pure."""

from __future__ import annotations


class Waits:
    """One thing at a time is waited for, for so many seconds.

    An answer can be faster than the line `/wait` is read, so messages count from the first line on that was sent
    behind the last `/wait`.

    Attributes:
        deadline: when the input has waited long enough; by the clock of `begin`.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._awaited: int | str | None = None
        self._came = 0
        self._has_sent = False
        self.deadline = 0.0

    @property
    def is_waiting(self) -> bool:
        """Whether no line may be read."""
        return self._awaited is not None

    def begin(self, what: int | str, now: float) -> None:
        """Wait for so many messages, or for an answer of that name."""
        self._awaited, self.deadline = what, now + self._seconds
        if isinstance(what, int):
            self._has_sent = False
            self.count(0)

    def end(self, what: str | None = None) -> None:
        """That answer has come; None: wait no longer, for whatever it is."""
        if what is None or self._awaited == what:
            self._awaited = None

    def sent(self) -> None:
        """A line was sent to which messages may come."""
        if not self._has_sent:
            self._has_sent, self._came = True, 0

    def count(self, more: int) -> None:
        """So many messages more have come."""
        self._came += more
        if isinstance(self._awaited, int) and self._came >= self._awaited:
            self._awaited, self._came = None, 0
