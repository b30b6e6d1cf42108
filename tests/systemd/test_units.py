"""The units of deploy/systemd, as systemd's own tools read them; machine.py runs them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.service import ROOT
from tests.needs import require
from tests.systemd.walk import PAGE, blocks
from wsservice.config import load_config
from wsservice.settings import read_dotenv

UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("wsservice.service", "wsservice@.service")
#: the exposure that issue 8 allows, times ten
MOST_EXPOSURE = 15


def run(*command: str) -> tuple[int, str]:
    """The status and the output."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


class UnitTests(SynchronousTestCase):
    def setUp(self) -> None:
        require("systemd")
        # Programs that are not installed are complaints: here everything is.
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        for unit in UNITS.iterdir():
            shutil.copy(unit, self.folder)
        for name in SERVICES:
            path = self.folder / name
            path.write_text(path.read_text().replace("/opt/wsservice/venv/bin/twistd", "/bin/true"))

    def test_each_is_without_a_fault(self) -> None:
        for name in ("wsservice.service", "wsservice.socket", "wsservice.target", "wsservice@3021.service"):
            status, output = run("systemd-analyze", "verify", "--man=no", str(self.folder / name))
            self.assertEqual((status, output), (0, ""), name)

    def test_little_is_exposed(self) -> None:
        for name in SERVICES:
            status, output = run(
                "systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(self.folder / name)
            )
            self.assertEqual(status, 0, output[-400:])
            self.assertRegex(output, "Overall exposure level")

    def test_tls_may_make_the_memory_that_it_needs(self) -> None:
        for name in SERVICES:
            self.assertIsNone(re.search("^MemoryDenyWriteExecute", (UNITS / name).read_text(), re.MULTILINE))

    def test_the_template_is_the_service_but_for_what_makes_several(self) -> None:
        one, several = ((UNITS / name).read_text().splitlines() for name in SERVICES)
        differing = {line.partition("=")[0] for line in set(one) ^ set(several) if "=" in line and line[0] != "#"}
        units = {"Description", "Documentation", "Requires", "After", "PartOf", "WantedBy", "Also"}
        self.assertEqual(differing - units, {"ExecStart", "RuntimeDirectoryPreserve"})

    def test_the_example_of_settings_starts_a_service(self) -> None:
        problems: list[str] = []
        values = read_dotenv(UNITS / "wsservice.env", problems, required=True)
        self.assertEqual(problems, [])
        load_config({}, values, directory=self.folder)
        examples = re.findall(r"^#([A-Z_]+=\S+)$", (UNITS / "wsservice.env").read_text(), re.MULTILINE)
        self.assertGreater(len(examples), 3)
        load_config({}, {**values, **dict(one.split("=", 1) for one in examples)}, directory=self.folder)

    def test_the_page_installs_them_by_commands_that_a_shell_reads(self) -> None:
        found = "".join(blocks())
        self.assertEqual(run("bash", "-n", "-c", found), (0, ""))
        for unit in UNITS.iterdir():
            self.assertIn(f" {unit.name}", found)

    def test_the_page_links_to_what_is_there(self) -> None:
        for link in re.findall(r"\]\(([^)#]+)", PAGE.read_text()):
            self.assertTrue((PAGE.parent / link).exists(), link)

    def test_sysusers_and_tmpfiles_are_understood(self) -> None:
        root = f"--root={self.folder}"
        (self.folder / "etc").mkdir()
        status, output = run("systemd-sysusers", root, str(UNITS / "wsservice.sysusers.conf"))
        self.assertEqual(status, 0, output)
        self.assertIn("wsservice:", (self.folder / "etc" / "passwd").read_text())
        status, output = run("systemd-tmpfiles", root, "--create", str(UNITS / "wsservice.tmpfiles.conf"))
        self.assertEqual(status, 0, output)
        self.assertEqual((self.folder / "etc/wsservice/credentials").stat().st_mode & 0o777, 0o700)
