"""The archives that `python -m build` makes: what they hold, and what they install and leave behind.

They are built from a copy of the sources, and installed into an environment that has only the dependencies of this one.
Nothing is downloaded; `make packages` does the same with the registry, on each Python that is there.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path
from unittest import SkipTest

import wsservice
from tests.integration.test_start import PATIENCE, ROOT, TWISTD, Base

#: of what git has, an sdist has no use for these
NOT_PACKED = {".gitignore"}
NAME = f"wsservice-{wsservice.__version__}"


def sources() -> list[str]:
    """What git has of the repository, or would take."""
    if not (ROOT / ".git").exists():
        raise SkipTest("not a checkout: nobody knows which files belong to the sources")
    command = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in names if (ROOT / name).exists()]


class PackageBase(Base):
    """A copy of the sources in `source`, and a clean environment whose Python is `python`."""

    def setUp(self) -> None:
        super().setUp()
        self.source = self.folder / "source"
        for name in sources():
            (self.source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, self.source / name, follow_symlinks=False)
        self.python = self.folder / "clean" / "bin" / "python"
        self.call(sys.executable, "-m", "venv", "--without-pip", str(self.folder / "clean"))
        self.site = next((self.folder / "clean").glob("lib/python*/site-packages"))
        # A path in a .pth file is searched, but the .pth files in there are not read: no editable install comes along.
        (self.site / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")

    def call(self, *command: str) -> str:
        environ = self.environment(PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1", PYTHONPATH="")
        done = subprocess.run(
            command, cwd=self.folder, env=environ, capture_output=True, text=True, timeout=5 * PATIENCE
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def build(self) -> tuple[Path, Path]:
        """The sdist, and the wheel that is built from it, as `python -m build` makes them."""
        self.call(sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist", str(self.source))
        return self.folder / "dist" / f"{NAME}.tar.gz", self.folder / "dist" / f"{NAME}-py3-none-any.whl"

    def pip(self, *arguments: str) -> None:
        # pip is among the dependencies.
        self.call(str(self.python), "-m", "pip", *arguments, "--quiet")

    def install(self, *arguments: str) -> None:
        self.pip("install", "--no-deps", "--no-index", *arguments)

    def twistd(self, *arguments: str) -> str:
        return self.call(str(self.python), "-c", TWISTD, *arguments)

    def assert_installed(self, home: Path) -> None:
        """The plugin is found, and everything comes from there."""
        where = self.call(str(self.python), "-c", "import wsservice; print(wsservice.__file__)")
        self.assertEqual(Path(where.strip()).parent, home / "wsservice")
        plugin = "from twisted.plugins import wsservice_plugin as plugin; print(plugin.__file__)"
        self.assertEqual(Path(self.call(str(self.python), "-c", plugin).strip()).parent, home / "twisted" / "plugins")
        listed = [line for line in self.twistd("--help").splitlines() if line.split()[:1] == ["wsservice"]]
        self.assertEqual(len(listed), 1)
        self.assertTrue(listed[0].endswith("Realtime server: WebSocket, Socket.IO, login by cookie"), listed)
        self.assertIn("--cognito-user-pool-id", self.twistd("wsservice", "--help"))
        self.assertIn("--adapter URL", self.call(str(self.python.parent / "wsservice"), "emit", "--help"))


class ArchiveTests(PackageBase):
    def test_what_the_archives_hold_and_what_is_left_of_an_install(self) -> None:
        sdist, wheel = self.build()
        self.check_sdist(sdist)
        self.check_wheel(wheel)
        before = set(self.site.rglob("*"))
        self.install(str(wheel))
        self.assert_installed(self.site)
        self.check_uninstall(before)

    def check_sdist(self, sdist: Path) -> None:
        """All that git has is in it: a build, the tests and the docs need nothing else."""
        with tarfile.open(sdist) as archive:
            names = {name.removeprefix(f"{NAME}/") for name in archive.getnames()}
        # The link to the client's sources becomes a folder of files.
        links = {name for name in sources() if (ROOT / name).is_symlink()}
        self.assertEqual(links, {"wsservice/demo/static/client"})
        self.assertEqual(set(sources()) - NOT_PACKED - links - names, set())
        self.assertIn("wsservice/demo/static/client/client.js", names)
        junk = [name for name in names if "__pycache__" in name or "node_modules" in name or "dropin.cache" in name]
        self.assertEqual(junk, [])

    def check_wheel(self, wheel: Path) -> None:
        """The package, the page with the client's files, the plugin, and no tests."""
        with zipfile.ZipFile(wheel) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
            metadata = Parser().parsestr(archive.read(f"{NAME}.dist-info/METADATA").decode())
            licence = archive.read(f"{NAME}.dist-info/licenses/LICENSE")
        expected = {name for name in sources() if name.startswith("wsservice/") and (ROOT / name).is_file()}
        client = ROOT / "wsservice" / "demo" / "static" / "client"
        expected.update(f"wsservice/demo/static/client/{path.name}" for path in client.glob("*.js"))
        self.assertEqual(names, {*expected, "twisted/plugins/wsservice_plugin.py"})
        self.assertIn("wsservice/py.typed", names)
        self.assertEqual(licence, (ROOT / "LICENSE").read_bytes())
        found = [metadata[name] for name in ("Version", "License", "License-File", "Requires-Python")]
        self.assertEqual(found, [wsservice.__version__, "MIT", "LICENSE", ">=3.11"])

    def check_uninstall(self, before: set[Path]) -> None:
        """twistd's own list of plugins, which it makes in each folder that has any, is all that may be left."""
        self.pip("uninstall", "--yes", "wsservice")
        left = {path for path in set(self.site.rglob("*")) - before if path.is_file()}
        self.assertEqual(left - {self.site / "twisted" / "plugins" / "dropin.cache"}, set())
        self.assertFalse((self.python.parent / "wsservice").exists())
        # The list is made anew when a plugin is gone.
        self.assertNotIn("wsservice", self.twistd("--help"))


class EditableTests(PackageBase):
    def test_an_editable_install_shows_the_plugin(self) -> None:
        self.install("--no-build-isolation", "--editable", str(self.source))
        self.assert_installed(self.source)


class VersionTests(Base):
    def test_the_client_has_the_version_of_the_service(self) -> None:
        manifest = (ROOT / "client" / "package.json").read_text()
        self.assertIn(f'"version": "{wsservice.__version__}"', manifest)
