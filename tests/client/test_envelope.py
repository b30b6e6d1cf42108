"""`envelope.js` in Node, and `wsservice/envelope.py`: what somebody writes arrives as it was written."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass

from twisted.trial.unittest import SynchronousTestCase

from tests.client.package import CLIENT
from tests.needs import require
from wsservice.envelope import decode_text
from wsservice.messages import Event

SOURCE = CLIENT / "src"


@dataclass(frozen=True)
class Said:
    """A text that somebody writes, and whether it goes in an envelope."""

    text: str
    enveloped: bool = False


SAID = [
    Said("Hello, Bob"),
    Said('"quoted"'),
    Said("[1, 2]"),
    Said("123"),
    Said("{", True),
    Said('{"event": "ping", "data": 1}', True),
    Said(' \t{"event": "message", "data": "x"}', True),
    Said('{"ack": 1, "data": 2}', True),
    Said('\ufeff{"event": "ping"}', True),
]


class MessageTests(SynchronousTestCase):
    """`envelope.js` in Node: what somebody writes arrives as it was written."""

    def test_every_text_is_said_verbatim(self) -> None:
        script = """
            const { encodeMessage, messageOf } = await import("./envelope.js");
            let input = "";
            for await (const chunk of process.stdin) input += chunk;
            const frames = JSON.parse(input).map(encodeMessage);
            console.log(JSON.stringify(frames.map((frame) => [frame, messageOf(frame)])));
        """
        require("node")
        done = subprocess.run(
            ["node", "--input-type=module", "--eval", script],
            input=json.dumps([one.text for one in SAID]),
            cwd=SOURCE,
            capture_output=True,
            text=True,
            check=True,
        )
        for one, (frame, message) in zip(SAID, json.loads(done.stdout), strict=True):
            self.assertEqual(decode_text(frame), Event("message", (one.text,)))
            self.assertEqual(message, one.text)
            self.assertEqual(frame != one.text, one.enveloped, one.text)
