"""One handler, as it was declared: what it takes and who may call it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Parameter, isasyncgenfunction, isgeneratorfunction, signature
from typing import Any

from wsservice.errors import ClientError

_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True, slots=True)
class Entry:
    """A handler of an event.

    Attributes:
        least, most: how many arguments it takes behind the connection.
    """

    function: Callable[..., Any]
    roles: frozenset[str]
    least: int = 0
    most: float = float("inf")

    def fit(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of an event as this handler takes them.

        What a client left out is None, and a None too many is left away: a raw client always gives one argument,
        a Socket.IO client as many as it likes, and one handler serves both.

        Raises:
            ClientError: the client gave more than the handler takes.
        """
        if len(args) < self.least:
            return args + (None,) * (self.least - len(args))
        while len(args) > self.most and args[-1] is None:
            args = args[:-1]
        if len(args) > self.most:
            plural = "" if self.most == 1 else "s"
            raise ClientError("bad_arguments", f"This event takes {self.most} argument{plural}, and {len(args)} came.")
        return args


def make_entry(function: Callable[..., Any], roles: frozenset[str], *, leading: int = 1) -> Entry:
    """The entry of a function.

    Args:
        leading: arguments that come before the client's.

    Raises:
        TypeError: it would never run, or cannot be called with the leading arguments.
    """
    check_handler(function, leading, alone=False)
    parameters = _parameters(function)
    if parameters is None:
        return Entry(function, roles)
    positional = [one for one in parameters if one.kind in _POSITIONAL]
    least = sum(one.default is Parameter.empty for one in positional) - leading
    takes_any = any(one.kind is Parameter.VAR_POSITIONAL for one in parameters)
    return Entry(function, roles, max(0, least), float("inf") if takes_any else len(positional) - leading)


def check_handler(function: Callable[..., Any], leading: int, *, alone: bool = True) -> None:
    """Raise TypeError for a function that can be no handler.

    Args:
        leading: how many arguments it is called with.
        alone: whether no others follow.
    """
    if isgeneratorfunction(function) or isasyncgenfunction(function):
        raise TypeError(f"{function!r} only makes a generator when it is called: await, or decorate by inlineCallbacks")
    parameters = _parameters(function)
    if parameters is None:
        return
    call = ", ".join(("connection", "reason or event")[:leading]) + ("" if alone else ", ...")
    required = [one for one in parameters if one.default is Parameter.empty]
    if any(one.kind is Parameter.KEYWORD_ONLY for one in required):
        raise TypeError(f"{function!r} wants an argument by its name: it is called with ({call})")
    if alone and sum(one.kind in _POSITIONAL for one in required) > leading:
        raise TypeError(f"{function!r} takes too many arguments: it is called with ({call})")
    if any(one.kind is Parameter.VAR_POSITIONAL for one in parameters):
        return
    if sum(one.kind in _POSITIONAL for one in parameters) < leading:
        raise TypeError(f"{function!r} takes too few arguments: it is called with ({call})")


def _parameters(function: Callable[..., Any]) -> list[Parameter] | None:
    """What it takes; None of a builtin that does not tell."""
    try:
        return list(signature(function).parameters.values())
    except (TypeError, ValueError):
        return None
