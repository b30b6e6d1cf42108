"""Files that are shown on the pages are taken by those who read them: nginx, systemd, Redis, Node."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from configparser import ConfigParser
from pathlib import Path

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests import needs
from tests.docs.blocks import ROOT, Block, all_blocks, block
from tests.docs.commands import check, commands
from tests.integration.redis_server import RedisServer

#: the sections of systemd's units
_SECTIONS = {"Unit", "Service", "Socket", "Install", "Timer"}
_MAP = 'map $http_upgrade $connection_upgrade { default upgrade; "" close; }\n'


class FormatTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        # The name of a socket has 107 bytes at most.
        self.socket = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="nginx-"))) / "socket"

    def of(self, *languages: str) -> list[Block]:
        return [one for one in all_blocks() if one.language in languages]

    def test_json(self) -> None:
        for one in self.of("json"):
            json.loads(one.code)

    def test_yaml(self) -> None:
        for one in self.of("yaml"):
            self.assertTrue(list(yaml.safe_load_all(one.code)), one.where)

    def test_units_have_known_sections_and_start_the_service_with_options_that_exist(self) -> None:
        for one in self.of("ini"):
            parser = ConfigParser(strict=False, interpolation=None)
            parser.optionxform = str  # type: ignore[assignment,method-assign]
            parser.read_string(one.code)
            self.assertLessEqual(set(parser.sections()), _SECTIONS, one.where)
            for line in re.findall(r"^Exec\w+=[-+!@:]*(.*twistd .*)$", one.code, re.MULTILINE):
                for words in commands(Block("", 1, "sh", line)):
                    check(words)

    def test_nginx_takes_its_configuration(self) -> None:
        needs.require("nginx")
        for one in self.of("nginx"):
            code = re.sub(r"^( *)listen [^;]*;", rf"\1listen unix:{self.socket};", one.code, flags=re.MULTILINE)
            code = re.sub(r"^ *ssl_certificate.*;$", "", code, flags=re.MULTILINE)
            if not re.search(r"^\s*server \{", code, re.MULTILINE):
                code = f"{_MAP}server {{ listen unix:{self.socket};\n{code}\n}}\n"
            file = self.folder / "nginx.conf"
            places = "".join(
                f"{name}_temp_path {self.folder}/{name};\n"
                for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            )
            file.write_text(f"pid {self.folder}/nginx.pid;\nevents {{}}\nhttp {{\naccess_log off;\n{places}{code}}}\n")
            program = needs.find("nginx")
            assert program is not None
            done = subprocess.run(
                [program, "-t", "-q", "-e", "stderr", "-c", str(file)], capture_output=True, text=True, check=False
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), one.where)

    def test_javascript_is_parsed_by_node(self) -> None:
        needs.require("node")
        for number, one in enumerate(self.of("js")):
            module = re.search(r"^(import|export) |^(const .*= )?await ", one.code, re.MULTILINE)
            file = self.folder / f"block{number}.{'mjs' if module else 'js'}"
            file.write_text(one.code)
            done = subprocess.run(["node", "--check", str(file)], capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, f"{one.where}\n{done.stderr}")

    def test_what_is_imported_from_the_client_is_there(self) -> None:
        entries = {"@wsservice/client": "index.js", "@wsservice/client/react": "react/index.js"}
        seen = 0
        for one in self.of("js", "jsx"):
            for names, package in re.findall(r'^import \{ (.*?) \} from "(@wsservice/.*?)";', one.code, re.MULTILINE):
                seen += 1
                exported = re.findall(r"\w+", (ROOT / "client/src" / entries[package]).read_text())
                self.assertLessEqual(set(names.split(", ")), set(exported), one.where)
        self.assertGreaterEqual(seen, 3)

    def test_the_acl_of_redis(self) -> None:
        line = block("docs/scaling.md", "user wsservice on").split()
        self.assertEqual(line[:2], ["user", "wsservice"])
        redis = RedisServer(self.folder / "redis")
        self.addCleanup(redis.stop)
        self.assertEqual(redis.ask("ACL", "SETUSER", *line[1:]), "OK")
