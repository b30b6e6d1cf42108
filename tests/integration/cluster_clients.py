"""Clients of a cluster under test: raw WebSockets, and socket.io-client in Node; all tell in the same way."""

from __future__ import annotations

import base64
import itertools
import json
import threading
from collections.abc import Callable
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.node_program import NodeProgram

#: seconds; for what arrives sooner or later, no figure that is expected
SOON = 30.0
#: what no test is interested in
FENCE = "fence"


class Board:
    """Where everything that happens is told, by whatever thread."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        #: what Node's programs told
        self.told: list[list[Any]] = []
        self.told_by: dict[str, Client] = {}

    def tell(self, what: list[Any]) -> None:
        """A Node program tells."""
        with self.changed:
            client = self.told_by.get(what[1])
            if what[0] == "heard" and client is not None:
                client.all_heard.append(normal(what[2], what[3:-1] if client.has_offsets else what[3:]))
            elif what[0] == "left" and client is not None:
                client.left = what[2]
            else:
                self.told.append(what)
            self.changed.notify_all()

    def wait(self, true: Callable[[], Any], what: str, seconds: float = SOON) -> None:
        """Wait until it is so; fails past the deadline."""
        with self.changed:
            assert self.changed.wait_for(true, seconds), f"not in {seconds:g} s: {what}"


def normal(event: str, args: list[Any]) -> list[Any]:
    """An event as raw clients see it."""
    return [event, args[0] if len(args) == 1 else args or None]


class Client:
    """What both kinds have.

    Attributes:
        all_heard: [event, data] of each event, with the fences.
        left: why it is not connected any more; None while it is.
        has_offsets: whether the last argument of what it hears is an offset, and not wanted.
    """

    def __init__(self, board: Board, name: str) -> None:
        self.board = board
        self.name = name
        self.all_heard: list[list[Any]] = []
        self.left: Any = None
        self.has_offsets = False

    @property
    def heard(self) -> list[list[Any]]:
        """[event, data] of each event."""
        return [one for one in self.all_heard if one[0] != FENCE]

    def wait(self, true: Callable[[], Any], what: str) -> None:
        """Wait until it is so; fails past the deadline."""
        self.board.wait(true, f"{self.name}: {what}; heard {self.all_heard[-5:]}, left: {self.left}")

    def wait_for(self, event: str, count: int = 1) -> None:
        """Wait until it has heard an event so often."""
        self.wait(lambda: sum(one[0] == event for one in self.heard) >= count, f"{count} of {event}")

    def wait_left(self) -> Any:
        """Wait until it is not connected any more; gives why."""
        self.wait(lambda: self.left is not None, "its end")
        return self.left

    def close(self) -> None:
        """Go."""
        raise NotImplementedError


class RawClient(Client):
    """A raw WebSocket; it answers what it is asked by `answer`, and nothing where that is None."""

    def __init__(self, board: Board, name: str, url: str, cookie: str) -> None:
        super().__init__(board, name)
        self.answer: Any = name
        self._ids = itertools.count(1)
        self._acks: dict[int, dict[str, Any]] = {}
        self._socket = connect(url, additional_headers={"Cookie": cookie}, proxy=None, open_timeout=SOON)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def send(self, event: str, data: Any = None) -> None:
        """Send an event."""
        self._socket.send(json.dumps({"event": event, "data": data}, default=_bytes))

    def ask(self, event: str, data: Any = None) -> Any:
        """Send an event and wait for its acknowledgement; gives what it has."""
        ack = self.try_ask(event, data)
        assert ack is not None, f"{self.name} was closed: {self.left}"
        assert "error" not in ack, ack
        return ack["data"]

    def try_ask(self, event: str, data: Any = None) -> dict[str, Any] | None:
        """The acknowledgement; None if it was closed instead."""
        number = next(self._ids)
        try:
            self._socket.send(json.dumps({"event": event, "data": data, "id": number}, default=_bytes))
        except ConnectionClosed:
            return None
        self.wait(lambda: number in self._acks or self.left is not None, f"the answer to {event} {data}")
        return self._acks.pop(number, None)

    def close(self) -> None:
        """Go."""
        self._socket.close()
        self._reader.join(SOON)

    def _read(self) -> None:
        try:
            for text in self._socket:
                self._received(text)
        except ConnectionClosed:
            pass
        finally:
            with self.board.changed:
                self.left = (self._socket.close_code, self._socket.close_reason)
                self.board.changed.notify_all()

    def _received(self, text: str | bytes) -> None:
        said = json.loads(text)
        with self.board.changed:
            if "ack" in said:
                self._acks[said["ack"]] = said
            else:
                self.all_heard.append([said["event"], said["data"]])
            self.board.changed.notify_all()
        if "id" in said and self.answer is not None:
            self._socket.send(json.dumps({"ack": said["id"], "data": self.answer}))


class NodeClient(Client):
    """A client of npm's socket.io-client."""

    def __init__(self, board: Board, name: str, program: NodeProgram, address: str, options: dict[str, Any]) -> None:
        super().__init__(board, name)
        self._program = program
        board.told_by[name] = self
        self.id: str = program.call("connect", name, address, options)
        self.left = None

    def answer_with(self, value: Any) -> None:
        """What it answers when it is asked; None is nothing, ever."""
        self._program.call("answerWith", self.name, value)

    def emit(self, event: str, *args: Any) -> None:
        """Send an event."""
        self._program.call("emit", self.name, event, *args)

    def close(self) -> None:
        """Go."""
        self._program.call("disconnect", self.name)


def _bytes(value: object) -> dict[str, str]:
    assert isinstance(value, bytes), value
    return {"$bytes": base64.b64encode(value).decode()}
