"""client/example, as somebody gets it by `npm install`."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.integration.example_site import copy_example, run_script


class ExampleTests(SynchronousTestCase):
    """On a copy, in which the packages of the example are installed and no others."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        self.example = copy_example(folder)

    def test_it_builds_with_the_client_as_its_sources_are(self) -> None:
        run_script(self.example, "build")
        built = self.example / "dist"
        self.assertIn('<meta name="service" content="http://localhost:3020">', (built / "index.html").read_text())
        scripts = list((built / "assets").glob("*.js"))
        self.assertEqual(len(scripts), 2, "the app, and Socket.IO, which is loaded when it is needed")
        self.assertEqual([file.name for file in scripts if "localStorage.setItem" in file.read_text()], [])

    def test_its_type_check_is_clean(self) -> None:
        run_script(self.example, "types")
