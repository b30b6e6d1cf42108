"""The client's side of a WebSocket, against that of the library `websockets`, which no one here wrote."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, SERVER, Protocol
from websockets.utils import accept_key

from wsservice.client_frames import (
    FrameError,
    FrameReader,
    Message,
    accept_value,
    decode_close,
    encode_close,
    encode_frame,
    make_key,
)
from wsservice.client_frames import Opcode as Ours


def server_bytes(opcode: Opcode, payload: bytes, *, fin: bool = True) -> bytes:
    """A frame as a server sends it."""
    return Frame(opcode, payload, fin).serialize(mask=False)


class FrameTests(SynchronousTestCase):
    def test_a_server_reads_what_it_sends_at_every_size(self) -> None:
        for size in (0, 1, 125, 126, 65535, 65536):
            payload = bytes(at % 251 for at in range(size))
            server = Protocol(SERVER, state=OPEN, max_size=None)
            server.receive_data(encode_frame(Ours.BINARY, payload))
            self.assertEqual(server.events_received(), [Frame(Opcode.BINARY, payload)])
            self.assertEqual(
                list(FrameReader().feed(server_bytes(Opcode.BINARY, payload))), [Message(Ours.BINARY, payload)]
            )

    def test_masked_bytes_are_unmasked_by_the_key_that_stands_before_them(self) -> None:
        data = encode_frame(Ours.TEXT, b"hello")
        self.assertEqual(data[:2], b"\x81\x85")
        self.assertEqual(bytes(byte ^ data[2 + at % 4] for at, byte in enumerate(data[6:])), b"hello")

    def test_bytes_may_come_one_by_one_and_a_message_in_pieces(self) -> None:
        data = b"".join(
            (
                server_bytes(Opcode.TEXT, b"hel", fin=False),
                server_bytes(Opcode.PING, b"?"),
                server_bytes(Opcode.CONT, b"lo"),
            )
        )
        reader = FrameReader()
        found = [frame for at in range(len(data)) for frame in reader.feed(data[at : at + 1])]
        self.assertEqual(found, [Message(Ours.PING, b"?"), Message(Ours.TEXT, b"hello")])

    def test_a_close_frame_and_its_reader(self) -> None:
        self.assertEqual(decode_close(b"\x03\xf0Signed out"), (1008, "Signed out"))
        self.assertEqual(decode_close(b""), (None, ""))
        self.assertEqual(encode_close(1000, "Done"), b"\x03\xe8Done")

    def test_the_key_and_its_answer(self) -> None:
        key = make_key()
        self.assertEqual(accept_value(key), accept_key(key))

    def test_a_server_that_breaks_the_protocol(self) -> None:
        for data in (b"\xc1\x00", b"\x81\x80\0\0\0\0", server_bytes(Opcode.CONT, b"")):
            self.assertRaises(FrameError, FrameReader().feed, data)
