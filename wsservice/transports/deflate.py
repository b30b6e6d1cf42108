"""permessage-deflate (RFC 7692) as we take part in it: without context takeover from our side.

A message of ours then depends on no message before it, so one compression serves every client that has the
same window.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateOfferAccept

from wsservice.envelope import RawWire
from wsservice.frames import PLAIN, Framing, deflate_framing

_PLAIN_WIRE = RawWire(PLAIN)


def decline(offers: list[Any]) -> None:
    """Accept no offer."""


def accept_deflate(offers: list[Any]) -> PerMessageDeflateOfferAccept | None:
    """Accept the first permessage-deflate offer, never with a context kept between our messages."""
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            return PerMessageDeflateOfferAccept(
                offer,
                request_no_context_takeover=offer.accept_no_context_takeover,
                no_context_takeover=True,
                window_bits=offer.request_max_window_bits or None,
            )
    return None


def framing_of(compression: Any) -> Framing:
    """How payloads become frames on a connection with this negotiated extension, or None."""
    return PLAIN if compression is None else deflate_framing(compression.server_max_window_bits)


def raw_wire(compression: Any) -> RawWire:
    """The wire of a connection, one object for all that share its format.

    Args:
        compression: Autobahn's negotiated extension, or None.
    """
    return _PLAIN_WIRE if compression is None else _deflate_wire(compression.server_max_window_bits)


@cache
def _deflate_wire(window_bits: int) -> RawWire:
    return RawWire(deflate_framing(window_bits))
