"""`wsservice join`, `leave` and `disconnect`: what is done to the clients of every node."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from wsservice.cli.cluster import add_redis, add_whom, heard_by, open_emitter, whom
from wsservice.cli.command import Command, Status, refused
from wsservice.close_codes import CloseCode
from wsservice.emitter import Emitter


def _add_room(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", metavar="NAME", help="the room")
    add_whom(parser)
    add_redis(parser)


def _add_disconnect(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--everybody", action="store_true", help="that this is meant where no one is named")
    parser.add_argument(
        "--code",
        type=int,
        default=int(CloseCode.NORMAL),
        help="close code; the default 1000 tells clients to stay away",
    )
    parser.add_argument("--reason", default="Disconnected by the server", help="for the client: at most 123 bytes")
    add_whom(parser)
    add_redis(parser)


def _run(given: argparse.Namespace, act: Callable[[Emitter, dict[str, Any]], int]) -> Status:
    named = whom(given)
    with open_emitter(given) as emitter:
        try:
            heard = act(emitter.namespace(given.namespace), named)
        except ValueError as error:
            raise refused(str(error)) from None
    print(heard_by(heard))
    return Status.DONE


def _disconnect(given: argparse.Namespace) -> Status:
    if given.room is given.user is given.session is None and not given.everybody:
        raise refused("disconnect: say whom: --room, --user, --session, or --everybody")
    how = {"everybody": given.everybody, "code": given.code, "reason": given.reason}
    return _run(given, lambda emitter, named: emitter.disconnect(**named, **how))


JOIN = Command(
    name="join",
    help="let clients enter a room",
    about="Let clients of every node enter a room.",
    examples="example:\n  wsservice join lobby --user ann",
    add_arguments=_add_room,
    run=lambda given: _run(given, lambda emitter, named: emitter.join(given.to, **named)),
)
LEAVE = Command(
    name="leave",
    help="let clients leave a room",
    about="Let clients of every node leave a room.",
    examples="example:\n  wsservice leave lobby --user ann",
    add_arguments=_add_room,
    run=lambda given: _run(given, lambda emitter, named: emitter.leave(given.to, **named)),
)
DISCONNECT = Command(
    name="disconnect",
    help="close clients' connections",
    about="Close connections on every node. A Socket.IO client leaves the namespace; its others stay.",
    examples='example:\n  wsservice disconnect --user ann --reason "The account is closed"',
    add_arguments=_add_disconnect,
    run=_disconnect,
)
