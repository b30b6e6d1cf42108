"""Requests of those who ask how the service is: load balancers and orchestrators, for whom there are spare places."""

from __future__ import annotations

import re

#: seconds for the whole head of a request in a spare place
SPARE_TIME = 1.0
_REQUEST = re.compile(rb"(?:GET|HEAD) (/[^ ?]*)[ ?]")
_BODY = re.compile(rb"\r\n(?:transfer-encoding:|content-length:(?![ \t]*0[ \t]*\r))", re.IGNORECASE)


def is_probe(head: bytes, paths: frozenset[bytes]) -> bool:
    """Whether a request is a GET or HEAD of one of these paths, as they are written, and has no body to wait for."""
    match = _REQUEST.match(head)
    return match is not None and match[1] in paths and not _BODY.search(head)
