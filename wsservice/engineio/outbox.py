"""What waits for a client's next GET."""

from __future__ import annotations

from wsservice.engineio.packet import count_packets

_SEPARATOR = b"\x1e"


class Outbox:
    """Finished pieces of polling payloads, in order.

    Attributes:
        size: bytes, without the separators that will join the pieces.
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self.size = 0

    def __len__(self) -> int:
        """How many pieces wait."""
        return len(self._pieces)

    def append(self, piece: bytes) -> None:
        """Put a piece behind the others."""
        self._pieces.append(piece)
        self.size += len(piece)

    def take(self, limit: int, max_packets: int = 0) -> bytes:
        """The first pieces, joined to at most `limit` bytes, but at least one piece; there must be one.

        Args:
            max_packets: in the pieces, at most; 0 is no limit.
        """
        count, size = 1, len(self._pieces[0])
        packets = count_packets(self._pieces[0]) if max_packets else 0
        for piece in self._pieces[1:]:
            if size + 1 + len(piece) > limit:
                break
            if max_packets:
                packets += count_packets(piece)
                if packets > max_packets:
                    break
            count += 1
            size += 1 + len(piece)
        self.size -= size - (count - 1)
        taken = self._pieces[:count]
        del self._pieces[:count]
        return _SEPARATOR.join(taken)

    def drain(self) -> list[bytes]:
        """All pieces; none is left."""
        pieces, self._pieces = self._pieces, []
        self.size = 0
        return pieces
