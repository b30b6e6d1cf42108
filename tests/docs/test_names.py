"""What the pages name of an app, a connection and a user exists."""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.docs.blocks import pages, read
from wsservice import App, Connection, Handshake, Principal
from wsservice.emitter import Emitter
from wsservice.testing import ServiceInMemory

_CODE = re.compile(r"`([^`\n]+)`")
_NAME = re.compile(
    r"(?<![\w./-])(app|connection|connection\.user|connection\.handshake|emitter|service)\.([a-z_]+)\b(?!\.py)"
)
_CLASSES = {
    "app": App,
    "connection": Connection,
    "connection.user": Principal,
    "connection.handshake": Handshake,
    "emitter": Emitter,
    "service": ServiceInMemory,
}
#: files, Node's names in the column beside, and what an instance has only
_OTHER = re.compile(r"\w+\.(py|js|env|tac|log)|app\.get|app\.example|service\.issuer")


class NameTests(SynchronousTestCase):
    def test_every_name_is_there(self) -> None:
        wrong, seen = [], 0
        for page in pages():
            for code in _CODE.findall(read(page)):
                for owner, name in _NAME.findall(code):
                    seen += 1
                    if not _OTHER.fullmatch(f"{owner}.{name}") and not hasattr(_CLASSES[owner], name):
                        wrong.append(f"{page}: {owner}.{name}")
        self.assertEqual(wrong, [], "\n".join(wrong))
        self.assertGreater(seen, 100)
