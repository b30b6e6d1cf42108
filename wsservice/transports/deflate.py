"""permessage-deflate (RFC 7692) as we take part in it: without context takeover from our side.

A message of ours then depends on no message before it, so one compression serves every client that has the
same window.
"""

from __future__ import annotations

from contextlib import suppress
from functools import cache
from typing import Any

from autobahn.websocket.compress import PerMessageDeflate, PerMessageDeflateOffer, PerMessageDeflateOfferAccept
from autobahn.websocket.protocol import WebSocketProtocol

from wsservice.envelope import EnvelopeWire, RawWire
from wsservice.frames import PLAIN, Framing, deflate_framing

_PLAIN_WIRE = RawWire(PLAIN)
_PLAIN_ENVELOPES = EnvelopeWire(PLAIN)


def negotiate(offered: list[str]) -> tuple[PerMessageDeflate | None, tuple[tuple[str, str], ...]]:
    """Accept the first good offer of permessage-deflate, never with a context kept between our messages.

    Args:
        offered: the values of `Sec-WebSocket-Extensions`; an offer that cannot be met is no reason to refuse the client
            (RFC 7692 section 7.1).

    Returns:
        Autobahn's end of the extension, and the header that tells the client; None and no header without one.
    """
    parse: Any = WebSocketProtocol._parseExtensionsHeader
    for extension, parameters in parse(None, ",".join(offered)):
        if extension != PerMessageDeflateOffer.EXTENSION_NAME:
            continue
        offer = None
        with suppress(Exception):  # Autobahn's parser raises nothing narrower
            offer = PerMessageDeflateOffer.parse(parameters)
        if offer is None:
            continue
        accept = PerMessageDeflateOfferAccept(
            offer,
            request_no_context_takeover=offer.accept_no_context_takeover,
            no_context_takeover=True,
            window_bits=offer.request_max_window_bits or None,
        )
        agreed = PerMessageDeflate.create_from_offer_accept(True, accept)
        return agreed, (("Sec-WebSocket-Extensions", accept.get_extension_string()),)
    return None, ()


def framing_of(compression: Any) -> Framing:
    """How payloads become frames on a connection with this negotiated extension, or None."""
    return PLAIN if compression is None else deflate_framing(compression.server_max_window_bits)


def raw_wire(compression: Any) -> RawWire:
    """The wire of a connection, one object for all that share its format.

    Args:
        compression: Autobahn's negotiated extension, or None.
    """
    return _PLAIN_WIRE if compression is None else _deflate_wire(compression.server_max_window_bits)


def envelope_wire(compression: Any) -> EnvelopeWire:
    """The same of a connection whose client asked to recover."""
    return _PLAIN_ENVELOPES if compression is None else _deflate_envelopes(compression.server_max_window_bits)


@cache
def _deflate_wire(window_bits: int) -> RawWire:
    return RawWire(deflate_framing(window_bits))


@cache
def _deflate_envelopes(window_bits: int) -> EnvelopeWire:
    return EnvelopeWire(deflate_framing(window_bits))
