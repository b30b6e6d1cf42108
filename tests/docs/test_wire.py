"""docs/protocol.md, docs/socketio.md, docs/login.md: what is shown on the wire is what goes over it."""

from __future__ import annotations

import json
import re
import shutil
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.docs.blocks import block
from tests.docs.running import Base, on_port, replaced
from tests.examples.readme import Program, run_javascript
from tests.integration.service import PATIENCE, RunningService
from tests.needs import missing

_APP = """\
from wsservice import App

app = App()


@app.on("message")
def message(connection, text):
    app.emit("message", {"user": connection.user.username, "message": text})


@app.on("news")
def news(connection, data):
    app.emit("news", data)


@app.on("report", roles={"admin"})
def report(connection, data):
    return {"rows": 12}
"""
#: what a client of the page's has, and what shows that it comes back to what it missed
_COMEBACK = """
const handle = (message) => { console.log(JSON.stringify(message)); if (message.data === 1) sockets[0].terminate(); };
const sockets = [];
WebSocket = class extends WebSocket {
  constructor(url) {
    super(url);
    sockets.push(this);
    if (sockets.length === 1) {
      this.once("message", () => emit(1));
      this.once("close", () => emit(2).then(connect));
    }
  }
};
const emit = (data) => new Promise((done) => {
  const other = new (require("ws"))(`ws://localhost:${PORT}/ws`, { headers: { Cookie: COOKIE } });
  other.on("open", () => other.send(JSON.stringify({ event: "news", data })));
  other.on("message", () => { other.close(); done(); });
});
connect();
"""


def frames(code: str, arrow: str) -> list[Any]:
    """The JSON behind the arrows of a direction; what is left out is an empty member."""
    found = re.findall(rf"^{re.escape(arrow)} (\{{.*?\}})(?:  .*)?$", re.sub(r"\n {10,}", " ", code), re.MULTILINE)
    return [json.loads(text.replace("..., ", "").replace(", ...}", "}")) for text in found]


class WireTests(Base):
    def serve(self, *arguments: str) -> RunningService:
        (self.folder / "app.py").write_text(_APP)
        return self.start("--dev", "--app", "app:app", *arguments)

    def socket(self, service: RunningService, user: str, query: str = "") -> ClientConnection:
        headers = {"Cookie": service.log_in(user)}
        return self.enterContext(connect(service.url + query, additional_headers=headers, proxy=None))

    def javascript(self, code: str, service: RunningService) -> Program:
        program = run_javascript(code, service, "alice")
        self.addCleanup(program.stop)
        return program

    def test_a_browsers_socket(self) -> None:
        code = block("docs/protocol.md", 'new WebSocket("ws')
        more = "socket.onopen = () => socket.send('hello'); socket.onmessage = ({ data }) => console.log(data);"
        self.javascript(code + more, self.serve()).wait_for(r'^{"user":"alice","message":"hello"}$')

    def test_an_event_and_its_answers(self) -> None:
        code = block("docs/protocol.md", '{"event": "report"')
        service = self.serve()
        roles = {
            user: service.request("GET", "/auth/me", cookie=service.log_in(user)).json["user"]["roles"]
            for user in ("alice", "bob")
        }
        self.assertEqual(["admin" in roles[user] for user in ("alice", "bob")], [True, False])
        (sent,) = re.findall("^-> (.*)$", code, re.MULTILINE)
        answers = []
        for user in ("alice", "bob"):
            client = self.socket(service, user)
            client.send(sent)
            answers.append(json.loads(client.recv(PATIENCE)))
        self.assertEqual(answers, frames(code, "<-"))

    def test_a_client_that_comes_back(self) -> None:
        welcome, said, first, again, missed = frames(block("docs/protocol.md", "recover=1"), "<-")
        service = self.serve("--recovery", "120")
        client = self.socket(service, "alice", "?recover=1")
        got = json.loads(client.recv(PATIENCE))
        self.assertEqual(members(got), members(welcome))
        self.assertEqual(picked(got, welcome, "recovered", "reason"), picked(welcome, welcome, "recovered", "reason"))
        bob = self.socket(service, "bob")
        bob.send("Hello")
        bob.send('{"event": "news", "data": 1}')
        heard = [json.loads(client.recv(PATIENCE)) for _ in range(2)]
        self.assertEqual([without_offset(one) for one in heard], [without_offset(one) for one in (said, first)])
        client.socket.close()
        bob.send('{"event": "news", "data": 2}')
        for _ in range(3):
            bob.recv(PATIENCE)
        where = f"?recover={got['data']['session']}&offset={heard[1]['offset']}"
        client = self.socket(service, "alice", where)
        back, event = (json.loads(client.recv(PATIENCE)) for _ in range(2))
        self.assertEqual(picked(back, again, "recovered"), {"recovered": True})
        self.assertEqual(
            (back["data"]["session"], back["data"]["offset"]), (got["data"]["session"], heard[1]["offset"])
        )
        self.assertEqual(again["data"]["session"], welcome["data"]["session"])
        self.assertEqual(without_offset(event), without_offset(missed))

    def test_the_client_of_two_texts(self) -> None:
        program = self.javascript(block("docs/protocol.md", "let session") + _COMEBACK, self.serve("--recovery", "120"))
        program.wait_for('^{"event":"news","data":1,')
        program.wait_for('^{"event":"news","data":2,')
        self.assertEqual(len([line for line in program.lines if '"news"' in line]), 2)

    def test_a_stock_client(self) -> None:
        code = block("docs/socketio.md", 'from "socket.io-client"')
        code = replaced(code, {'import { io } from "socket.io-client";\n': ""})  # the console's own brings the cookie
        self.javascript(code, self.serve()).wait_for(r"^{ user: 'alice', message: 'hello' }$")

    def test_a_login_by_curl(self) -> None:
        if shutil.which("curl") is None:
            raise missing("curl is not installed: apt-get install curl")
        service = self.start("--dev")
        command = replaced(on_port(block("docs/login.md", "curl -i"), service), {"...": service.users["alice"]})
        printed = self.shell(command)
        self.assertIn("HTTP/1.1 200 OK", printed)
        self.assertIn('"username":"alice"', printed)
        self.assertIn("#HttpOnly_localhost", (self.folder / "jar").read_text())


def members(frame: Any) -> list[str]:
    """The names in a welcome, in their order."""
    return [*frame, *frame["data"]]


def picked(frame: Any, shown: Any, *names: str) -> dict[str, Any]:
    """Some members of a welcome."""
    return {name: frame["data"][name] for name in names if name in shown["data"]}


def without_offset(frame: Any) -> Any:
    """An event but for its offset, which must be there."""
    return {name: value for name, value in frame.items() if name != "offset" or not value}
