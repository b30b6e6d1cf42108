"""README.md: the app is served, and both clients hear what the page says."""

from __future__ import annotations

from tests.docs.blocks import block
from tests.docs.running import Base
from tests.examples.readme import run_javascript

PAGE = "README.md"


class ReadmeTests(Base):
    def test_the_app_and_its_clients(self) -> None:
        (self.folder / "chat.py").write_text(block(PAGE, "# chat.py"))
        block(PAGE, "twistd -n wsservice --port 3020 --app chat:app")
        service = self.start("--dev", "--app", "chat:app")
        raw = run_javascript(block(PAGE, "new WebSocket("), service, "alice")
        self.addCleanup(raw.stop)
        raw.wait_for(r'^{"user":"alice","message":"hello"}$')
        stock = run_javascript(block(PAGE, "= io("), service, "alice")
        self.addCleanup(stock.stop)
        stock.wait_for(r"^{ delivered: true }$")
        raw.wait_for(r'^{"user":"alice","message":"hello"}$')
        self.assertNotIn("Traceback", service.log)
