"""What this node asks the others, and when all have answered.

How many will answer Redis tells: each node of a namespace is subscribed to its channel of requests. Ours are known by
name, too, from the channel that only one of them hears: so nobody waits for one that is silent (`nodes.DEAD_AFTER`),
though Redis still counts it. Answers of Node's nodes bear no name, and are counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from wsservice.adapters.base import RemoteConnection
from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis import classic_responses as responses
from wsservice.adapters.redis.channels import uid_of
from wsservice.adapters.redis.classic import Classic
from wsservice.adapters.redis.classic_packets import decode_response, head_of
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.nodes import Nodes
from wsservice.adapters.redis.refusals import Refusals
from wsservice.errors import CallTimeout, ClusterError
from wsservice.messages import Broadcast, Target

log = Logger()

Response = responses.Response


class _Tally:
    """What one node has to say, or all of Node's together."""

    __slots__ = ("answers", "asked", "settled")

    def __init__(self) -> None:
        self.answers = 0
        self.asked = 0
        self.settled = 0


class Question:
    """One question, until all have answered it.

    Args:
        ours: the nodes of our kind that will answer.
        others: how many more will: Node's, and ours that are so new that they are not known yet.
        answered: gets each response.
        silent: the nodes of our kind that are known and not waited for.
    """

    def __init__(
        self,
        ours: set[str],
        others: int,
        answered: Callable[[Response], None],
        silent: frozenset[str] = frozenset(),
    ) -> None:
        self.done: Deferred[None] = Deferred()
        self._others = others
        self._silent = silent
        self._answered = answered
        self._tallies: dict[str | None, _Tally] = {name: _Tally() for name in (*ours, None)}
        self._look()

    def received(self, response: Response, node: str | None) -> None:
        """A node has answered; None is one of Node's."""
        if self.done.called:
            return
        tally = self._tallies.get(node)
        if tally is None:
            tally = self._tallies[node] = _Tally()
            if node not in self._silent:  # a new one, which was counted with Node's
                self._others -= 1
        if isinstance(response, responses.ClientCount):
            tally.answers += 1
            tally.asked += response.count
        elif isinstance(response, responses.ClientAck | responses.ClientLost):
            tally.settled += 1
        else:
            tally.answers += 1
        self._answered(response)
        self._look()

    def forget(self, nodes: frozenset[str]) -> None:
        """These will answer no more."""
        self._silent |= nodes
        for node in nodes:
            self._tallies.pop(node, None)
        self._look()

    def _look(self) -> None:
        for node, tally in self._tallies.items():
            if tally.answers < (1 if node is not None else self._others) or tally.settled < tally.asked:
                return
        if not self.done.called:
            self.done.callback(None)


class Questions:
    """Asks, and gives each answer to its question.

    Args:
        node: this node's id.
    """

    def __init__(self, link: RedisLink, nodes: Nodes, refusals: Refusals, clock: IReactorTime) -> None:
        self.classic: Classic
        self._link = link
        self._nodes = nodes
        self._uid = uid_of(nodes.id)
        self._refusals = refusals
        self._clock = clock
        self._open: dict[str, Question] = {}
        nodes.on_died.append(self._died)

    def __len__(self) -> int:
        return len(self._open)

    def received(self, channel: bytes, payload: bytes) -> None:
        """An answer to somebody's question."""
        head = head_of(payload)
        if head is None:
            self._refusals.refuse(channel, "malformed")
            return
        question = self._open.get(head.request_id)
        if question is None or head.node == self._nodes.id:
            return
        try:
            question.received(decode_response(payload), head.node)
        except ForeignMessage as error:
            self._refusals.refuse(channel, error.word)

    async def fetch(self, target: Target, seconds: float) -> list[RemoteConnection]:
        """The connections of all other nodes that a target means."""
        found: list[RemoteConnection] = []

        def answered(response: Response) -> None:
            if isinstance(response, responses.FetchAnswer):
                found.extend(_connection(target.namespace, socket) for socket in response.sockets)

        await self._ask(target.namespace, lambda id_: requests.Fetch(self._uid, id_, target), seconds, answered, found)
        return found

    async def rooms(self, namespace: str, seconds: float) -> set[str]:
        """The rooms of all other nodes."""
        found: list[str] = []

        def answered(response: Response) -> None:
            if isinstance(response, responses.RoomsAnswer):
                found.extend(response.rooms)

        await self._ask(namespace, lambda id_: requests.AllRooms(self._uid, id_), seconds, answered, found)
        return set(found)

    async def call(self, broadcast: Broadcast, seconds: float, answered: Callable[[Any], None]) -> None:
        """The acknowledgements of the clients of all other nodes."""

        def ask(request_id: str) -> requests.Request:
            return requests.CallClients(self._uid, request_id, broadcast, seconds * 1000)

        def received(response: Response) -> None:
            if isinstance(response, responses.ClientAck):
                answered(response.value)

        await self._ask(broadcast.target.namespace, ask, seconds, received, [])

    async def server_call(self, namespace: str, event: str, args: tuple[Any, ...], seconds: float) -> list[Any]:
        """What the applications of all other nodes answer."""
        found: list[Any] = []

        def answered(response: Response) -> None:
            if isinstance(response, responses.ServerSideAnswer):
                found.append(response.data)

        def ask(request_id: str) -> requests.Request:
            return requests.ServerSideEmit(self._uid, event, args, request_id)

        await self._ask(namespace, ask, seconds, answered, found)
        return found

    async def _ask(
        self,
        namespace: str,
        make: Callable[[str], requests.Request],
        seconds: float,
        answered: Callable[[Response], None],
        found: list[Any],
    ) -> None:
        request_id = secrets.token_urlsafe(12)
        self.classic.begin_asking(namespace)
        try:
            ours, others, silent = await self._count(namespace)
            question = self._open[request_id] = Question(ours, others, answered, silent)
            if not question.done.called:
                self.classic.ask(namespace, make(request_id))
                await question.done.addTimeout(seconds, self._clock, _too_late)
        except ClusterError as error:
            raise CallTimeout(f"the other processes cannot be asked: {error}", answers=tuple(found)) from error
        except CallTimeout as error:
            raise CallTimeout(str(error), answers=tuple(found)) from None
        finally:
            self._open.pop(request_id, None)
            self.classic.end_asking(namespace)

    async def _count(self, namespace: str) -> tuple[set[str], int, frozenset[str]]:
        """Who will answer: those of our kind by name, and the number of the others; and who is known and will not."""
        known = self._nodes.others
        counted = await self._count_known(namespace, known)
        if counted[1]:  # Node's, or so new that they are not known here, and may be silent by now
            await self._nodes.look()
            if self._nodes.others != known:
                counted = await self._count_known(namespace, self._nodes.others)
        return counted

    async def _count_known(self, namespace: str, nodes: frozenset[str]) -> tuple[set[str], int, frozenset[str]]:
        channels, known = self.classic.channels(namespace), sorted(nodes)
        answers_to = [channels.response_to(uid_of(node)) for node in (*known, self._nodes.id)]
        counts = await self._subscribers(channels.request, *answers_to)
        if not counts[-1]:  # this node has just begun to take part: who answers at once would not be heard
            await self._link.in_force()
            counts = await self._subscribers(channels.request, *answers_to)
        subscribed = {node for node, count in zip(known, counts[1:-1], strict=True) if count}
        others = counts[0] - len(subscribed) - counts[-1]
        ours = {node for node in subscribed if node in self._nodes.live}
        return ours, max(0, others), nodes - ours

    async def _subscribers(self, *channels: bytes) -> list[int]:
        """How many are subscribed to each."""
        found = await self._link.command(b"PUBSUB", b"NUMSUB", *channels)
        return [int(number) for number in found[1::2]]

    def _died(self, nodes: frozenset[str]) -> None:
        for question in list(self._open.values()):
            question.forget(nodes)


def _connection(namespace: str, socket: responses.RemoteSocket) -> RemoteConnection:
    handshake = dict(socket.handshake)
    user = handshake.pop("user", None)
    return RemoteConnection(
        socket.id,
        namespace,
        socket.rooms - {socket.id},
        socket.data,
        handshake,
        user if isinstance(user, str) else None,
    )


def _too_late(_: object, timeout: float) -> Failure:
    return Failure(CallTimeout(f"not every process answered within {timeout:g} s"))
