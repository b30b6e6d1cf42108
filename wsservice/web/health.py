"""`/health`: the process answers; `/ready`: it can do its work, and if not, which part cannot."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wsservice.auth.providers.base import Readiness
from wsservice.web.answers import Answer, json_answer
from wsservice.web.request import WsRequest
from wsservice.web.resource import JsonResource

#: name of a part -> how it is; answered from memory
Checks = Mapping[str, Callable[[], Readiness]]

HEALTH, READY = b"/health", b"/ready"


def health_resource() -> JsonResource:
    """200 whenever the reactor turns: an orchestrator restarts what does not answer here."""

    def health(request: WsRequest) -> Answer:
        return json_answer(200, {"status": "ok"})

    return JsonResource({"GET": health})


def ready_resource(checks: Checks) -> JsonResource:
    """200 while every check is ready, else 503: a load balancer then sends new clients elsewhere."""

    def ready(request: WsRequest) -> Answer:
        found = {name: check() for name, check in checks.items()}
        good = all(readiness.ready for readiness in found.values())
        parts = {name: {"ready": part.ready, "detail": part.detail} for name, part in found.items()}
        return json_answer(200 if good else 503, {"status": "ok" if good else "unavailable", "checks": parts})

    return JsonResource({"GET": ready})
