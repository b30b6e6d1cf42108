"""What others write into our channels, and is none of ours: refused, counted, and said once for each kind."""

from __future__ import annotations

from twisted.logger import Logger

from wsservice.counters import Counters

log = Logger()

#: kinds of which a line was written; past it they are only counted
_MOST = 50
_STRANGER = (
    "is another application, or another kind of adapter, on this Redis? Give each a prefix of its own (--adapter-key)"
)


class Refusals:
    """Refuses messages that cannot be read."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._said: set[tuple[bytes, str]] = set()

    def refuse(self, channel: bytes, word: str, hint: str = _STRANGER) -> None:
        """A message of that channel is refused for a fixed word; the first of its kind is told to the log.

        Args:
            hint: for the operator.
        """
        self._counters.add("cluster_refused", word)
        kind = (channel[:64], word)
        if kind in self._said or len(self._said) >= _MOST:
            return
        self._said.add(kind)
        log.warn(
            "a message on the channel {channel} was refused ({word}), and others like it will be: {hint}",
            channel=ascii(channel[:64].decode("utf-8", "replace")),
            word=word,
            hint=hint,
        )
