"""What a service finds around it, and tests bring along (`wsservice.testing`): clocks, keys, the process's limits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

from wsservice.app import App
from wsservice.auth.providers.base import IdentityProvider
from wsservice.open_files import raise_open_files


def _in_thread(reactor: Any, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    return deferToThreadPool(reactor, reactor.getThreadPool(), function, *args)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What `assemble` takes as it finds it.

    Attributes:
        now: the wall clock, POSIX seconds.
        monotonic: seconds that are never set back.
        app: the application; None for the one that the settings name.
        provider: who knows the users; None for the one that the settings name.
        in_thread: runs a function of its other arguments in a thread of a reactor, its first one.
        open_files: how many files may be open; by default the process's limit, raised as far as may be.
    """

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    app: App | None = None
    provider: IdentityProvider | None = None
    open_files: Callable[[], int] = raise_open_files
    in_thread: Callable[..., Deferred[Any]] = _in_thread
