"""`wsservice server-emit`: send an event to the applications of the nodes, not to clients."""

from __future__ import annotations

import argparse

from wsservice.cli.cluster import add_redis, heard_by, open_emitter
from wsservice.cli.command import Command, Status, refused
from wsservice.cli.emit import parse_arguments
from wsservice.messages import ROOT


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("event", metavar="EVENT", help="its name")
    parser.add_argument("args", nargs="*", metavar="JSON", help="its arguments")
    parser.add_argument("-t", "--text", action="store_true", help="the arguments are texts as they stand, not JSON")
    parser.add_argument("-n", "--namespace", default=ROOT, metavar="NAME", help="such as /admin; default /")
    add_redis(parser)


def _run(given: argparse.Namespace) -> Status:
    args = parse_arguments(given)
    with open_emitter(given) as emitter:
        try:
            heard = emitter.namespace(given.namespace).server_emit(given.event, *args)
        except ValueError as error:
            raise refused(str(error)) from None
    print(heard_by(heard))
    return Status.DONE


SERVER_EMIT = Command(
    name="server-emit",
    help="send an event to the applications of the nodes",
    about="Send an event to the application of every node: to its @app.on_server handlers, or Node's io.on().",
    examples='example:\n  wsservice server-emit reload \'{"what": "prices"}\'',
    add_arguments=_add_arguments,
    run=_run,
)
