"""What another process published, and cannot be taken: whoever reaches the Redis can publish anything."""

from __future__ import annotations

#: bytes of a broadcast or a request; precedent: a client's packet with its attachments (socketio.decoder)
MAX_BYTES = 5_000_000
#: bytes of an answer, which may describe every connection of a node: what the link takes at most
MAX_ANSWER_BYTES = 8 * 1024 * 1024
#: arrays and objects within each other; precedent: socketio.decoder
MAX_DEPTH = 200


class ForeignMessage(Exception):
    """A message is dropped: it is not of the format, or passes a bound.

    Attributes:
        word: the reason, of a fixed few: fit for a log, and the label of a counter.
    """

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


def check_size(payload: bytes, most: int = MAX_BYTES) -> None:
    """Raise ForeignMessage for a payload over the bound."""
    if len(payload) > most:
        raise ForeignMessage("too large")
