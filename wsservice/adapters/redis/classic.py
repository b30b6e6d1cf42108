"""A full member of a cluster of @socket.io/redis-adapter: broadcasts in and out, and every request answered.

Node's nodes wait for as many answers as the channel of requests has subscribers. So a namespace is subscribed to when
it can be served, and whatever is asked is answered, whoever asks. SOCKETIO.md section 2.1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from twisted.logger import Logger

from wsservice import messages
from wsservice.adapters.base import RemoteConnection
from wsservice.adapters.local import Local
from wsservice.adapters.redis import classic_requests as requests
from wsservice.adapters.redis import classic_responses as responses
from wsservice.adapters.redis.channels import Channels, uid_of
from wsservice.adapters.redis.classic_packets import decode_request, encode_request, encode_response
from wsservice.adapters.redis.foreign import ForeignMessage
from wsservice.adapters.redis.link import RedisLink
from wsservice.adapters.redis.refusals import Refusals
from wsservice.close_codes import CloseCode
from wsservice.connection import Connection
from wsservice.messages import Target

log = Logger()

#: seconds for which clients may be asked on another's behalf, at most
_LONGEST_CALL = 60.0
#: what clients are told of a disconnection that Node asks for
_REASON = "Disconnected by the server"


class Classic:
    """The namespaces of this node in the cluster.

    Args:
        prefix: `--adapter-key`.
        node: this node's id; its uid in all namespaces is made of it.
        broadcast: gets each payload of a namespace's channels of broadcasts, unread; None: they are read elsewhere.
        answer: gets each payload of its channels of responses.
        call_timeout: seconds that clients have to acknowledge where the asker does not say.
    """

    def __init__(
        self,
        link: RedisLink,
        prefix: str,
        node: str,
        local: Local,
        refusals: Refusals,
        *,
        broadcast: Callable[[Channels, bytes, bytes], None] | None,
        answer: Callable[[bytes, bytes], None],
        call_timeout: float,
    ) -> None:
        self._link = link
        self._prefix = prefix
        self._node, self._uid = node, uid_of(node)
        self._local = local
        self._refusals = refusals
        self._broadcast = broadcast
        self._answer = answer
        self._call_timeout = call_timeout
        self._open: dict[str, Channels] = {}
        #: how many questions are asked in a namespace
        self._asking: Counter[str] = Counter()

    def channels(self, namespace: str) -> Channels:
        """The channels of a namespace, whether it is open here or not."""
        return self._open.get(namespace) or Channels(self._prefix, namespace)

    def open(self, namespace: str) -> None:
        """Take part in a namespace from now on; twice is once.

        Raises:
            ValueError: one of its channels is somebody else's; then it is not open.
        """
        if namespace in self._open:
            return
        channels = Channels(self._prefix, namespace)
        link, broadcast = self._link, self._broadcast

        def requested(channel: bytes, payload: bytes) -> None:
            self._requested(channels, payload)

        receivers = dict.fromkeys(self._answers(channels), self._answer) | {channels.request: requested}
        with ExitStack() as undo:
            for channel, received in receivers.items():
                link.subscribe(channel, received)
                undo.callback(link.unsubscribe, channel)
            if broadcast is not None:
                link.psubscribe(channels.pattern, lambda channel, payload: broadcast(channels, channel, payload))
            undo.pop_all()
        self._open[namespace] = channels

    def close(self, namespace: str) -> None:
        """Take part no more."""
        channels = self._open.pop(namespace, None)
        if channels is None:
            return
        self._link.punsubscribe(channels.pattern)  # nothing where it is not subscribed
        for channel in (channels.request, *self._answers(channels)):
            self._link.unsubscribe(channel)

    def _answers(self, channels: Channels) -> tuple[bytes, bytes]:
        return channels.response, channels.response_to(self._uid)

    def begin_asking(self, namespace: str) -> None:
        """Take part in a namespace for as long as a question is asked, whether it has clients here or not.

        Answers come to those who are subscribed. `end_asking` must follow.
        """
        self._asking[namespace] += 1
        self.open(namespace)

    def end_asking(self, namespace: str) -> None:
        """That question is over."""
        self._asking[namespace] -= 1
        if not self._asking[namespace]:
            del self._asking[namespace]
            self._close_if_unused(namespace)

    def _close_if_unused(self, namespace: str) -> None:
        if namespace not in self._asking and not self._local.has_namespace(namespace):
            self.close(namespace)

    def send(self, namespace: str, request: requests.Request) -> None:
        """Ask all nodes to do something."""
        self._link.publish(self.channels(namespace).request, encode_request(request))

    def ask(self, namespace: str, question: requests.Request) -> None:
        """Ask all nodes something, whose answer nobody wants later."""
        self._link.say(self.channels(namespace).request, encode_request(question))

    # Requests of others

    def _requested(self, channels: Channels, payload: bytes) -> None:
        try:
            request = decode_request(payload, channels.namespace)
        except ForeignMessage as error:
            self._refusals.refuse(channels.request, error.word)
            return
        if request.uid != self._uid:  # what this node wants done has been done here
            self._handle(channels, request)

    def _handle(self, channels: Channels, request: requests.Request) -> None:
        local, namespace = self._local, channels.namespace
        match request:
            case requests.Join(target=target, rooms=rooms):
                local.join(messages.Join(target, rooms))
            case requests.Leave(target=target, rooms=rooms):
                local.leave(messages.Leave(target, rooms))
            case requests.DisconnectSockets(target=target, code=code, reason=reason, close=close):
                self._disconnect(target, code, reason, close=close)
            case requests.Fetch(request_id=request_id, target=target):
                self._describe(channels, request_id, local.fetch(target))
            case requests.CallClients():
                self._call(channels, request)
            case requests.ServerSideEmit():
                self._server_event(channels, request)
            case requests.AllRooms(request_id=request_id):
                self._respond(channels, responses.RoomsAnswer(request_id, tuple(local.rooms(namespace))))
            case requests.Sockets(request_id=request_id, rooms=rooms):
                ids = tuple(one.id for one in local.fetch(Target(namespace, rooms)))
                self._respond(channels, responses.SocketsAnswer(request_id, ids))
            case requests.OldJoin() | requests.OldLeave() | requests.OldDisconnect():
                self._handle_old(channels, request)

    def _disconnect(self, target: Target, code: int | None, reason: str, *, close: bool) -> None:
        number = CloseCode.NORMAL if code is None else code
        for connection in self._local.hub.registry.select(target):
            connection.disconnect(number, reason if code is not None else _REASON, close=close)

    def _handle_old(
        self, channels: Channels, request: requests.OldJoin | requests.OldLeave | requests.OldDisconnect
    ) -> None:
        """Of one connection; only who has it answers."""
        connection = self._local.hub.registry.get(request.sid)
        if connection is None or connection.namespace != channels.namespace:
            return
        target = Target(channels.namespace, frozenset({request.sid}))
        match request:
            case requests.OldJoin(room=room):
                self._local.join(messages.Join(target, frozenset({room})))
            case requests.OldLeave(room=room):
                self._local.leave(messages.Leave(target, frozenset({room})))
            case requests.OldDisconnect(close=close):
                self._disconnect(target, None, "", close=close)
        if request.request_id is not None:
            self._respond(channels, responses.OldDone(request.request_id))

    def _describe(self, channels: Channels, request_id: str, found: list[RemoteConnection]) -> None:
        sockets = tuple(
            responses.RemoteSocket(one.id, one.rooms | {one.id}, {**one.handshake, "user": one.user}, one.data)
            for one in found
        )
        try:
            self._respond(channels, responses.FetchAnswer(request_id, sockets))
        except TypeError:  # the application's notes are no JSON
            plain = tuple(responses.RemoteSocket(one.id, one.rooms, one.handshake) for one in sockets)
            self._respond(channels, responses.FetchAnswer(request_id, plain))

    def _call(self, channels: Channels, request: requests.CallClients) -> None:
        timeout = self._call_timeout if request.timeout is None else request.timeout / 1000
        request_id = request.request_id

        def answered(value: Any) -> None:
            try:
                self._respond(channels, responses.ClientAck(request_id, _first(value)))
            except TypeError:
                lost()

        def lost() -> None:
            self._respond(channels, responses.ClientLost(request_id))

        count = 0
        try:
            count = self._local.ask(request.broadcast, min(max(timeout, 0.0), _LONGEST_CALL), answered, lost)
        except (TypeError, ValueError):  # what no client of ours could be sent
            self._refusals.refuse(channels.request, "unsendable")
        self._respond(channels, responses.ClientCount(request_id, count))

    def _server_event(self, channels: Channels, request: requests.ServerSideEmit) -> None:
        running = self._local.server_event(channels.namespace, request.event, request.args)
        request_id = request.request_id
        if request_id is None:
            return

        def respond(answer: Any) -> None:
            try:
                self._respond(channels, responses.ServerSideAnswer(request_id, _first(answer)))
            except TypeError:
                log.error(
                    "what the handler of the server event {server_event} returned cannot be sent",
                    server_event=request.event[:64],
                )
                self._respond(channels, responses.ServerSideAnswer(request_id))

        if running is None:  # nobody handles it here: the asker must not wait for that
            respond(None)
        else:
            running.addCallback(respond)

    def _respond(self, channels: Channels, response: responses.Response) -> None:
        self._link.say(channels.response, encode_response(response, self._node))

    # Who is here

    def added(self, connection: Connection) -> None:
        """A connection of a namespace that may be new here: of a pattern, or made while the service runs."""
        self.open(connection.namespace)

    def removed(self, connection: Connection) -> None:
        """The last one of a namespace that only clients name has ended."""
        self._close_if_unused(connection.namespace)


def _first(value: Any) -> Any:
    """Of several arguments the one that Node takes."""
    return value[0] if isinstance(value, tuple) and value else value
