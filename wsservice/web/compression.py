"""Compressing an answer, where the client says that it can take it (RFC 9110 section 12.5.3). Pure.

Long-polling only: an answer that holds a secret beside a text of an attacker's choice tells the secret by its length
(BREACH), so nothing of `/auth` is ever compressed, and it can be switched off.
"""

from __future__ import annotations

import zlib

#: shorter bodies are sent plain; precedent: httpCompression of engine.io
THRESHOLD = 1024
_GZIP = 16 + zlib.MAX_WBITS
_CODINGS = {"gzip": _GZIP, "deflate": zlib.MAX_WBITS}


def choose_coding(accept_encoding: list[str]) -> str | None:
    """The coding that the client accepts best, or None; `q=0` is a refusal, and `*` stands for the others."""
    weights: dict[str, float] = {}
    for item in ",".join(accept_encoding).split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weights[name] = _weight(parameters)
    others = weights.get("*", 0.0)
    best = max(_CODINGS, key=lambda coding: weights.get(coding, others))
    return best if weights.get(best, others) > 0 else None


def compress(body: bytes, coding: str) -> bytes:
    """The body in a coding that `choose_coding` gave."""
    compressor = zlib.compressobj(level=6, wbits=_CODINGS[coding])
    return compressor.compress(body) + compressor.flush()


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
