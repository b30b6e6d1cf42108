"""deploy/container and deploy/kubernetes: no container runs here; what they name is looked up, and run without one."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from twisted.trial.unittest import SynchronousTestCase

from tests.integration.service import _TWISTD, PATIENCE, ROOT, RunningService
from wsservice.config import Config, load_config
from wsservice.settings import declared

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"
KUBERNETES = ROOT / "deploy" / "kubernetes" / "wsservice.yaml"
UID = 10001


def instructions() -> list[tuple[str, str]]:
    """The name and the rest of each, with continued lines joined and comments left out."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE)
    lines = [line for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


class ContainerfileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def of(self, name: str) -> list[str]:
        return [rest for one, rest in instructions() if one == name]

    def test_what_is_copied_is_there_and_not_ignored(self) -> None:
        ignored = (ROOT / ".dockerignore").read_text().splitlines()
        self.assertEqual(ignored[0], "*")
        for line in self.of("COPY"):
            if not line.startswith("--from"):
                for source in shlex.split(line)[:-1]:
                    self.assertTrue((ROOT / source).exists(), source)
                    self.assertIn(f"!{source}", ignored)

    def test_nobody_is_root(self) -> None:
        self.assertEqual(self.of("USER"), [f"{UID}:{UID}"])

    def test_its_command_starts_the_service_and_its_health_check_judges_it(self) -> None:
        entry = json.loads(self.of("ENTRYPOINT")[0])
        self.assertEqual(entry, ["twistd", "--nodaemon", "--pidfile=", "wsservice"])
        program, *arguments = json.loads(self.of("HEALTHCHECK")[0].partition("CMD ")[2])
        self.assertEqual(program, "python")
        with RunningService("--dev", cwd=self.folder) as service:
            command, environ = [sys.executable, *arguments], {**os.environ, "PORT": str(service.port)}
            healthy = subprocess.run(command, env=environ, capture_output=True, timeout=PATIENCE)
            self.assertEqual(healthy.returncode, 0, healthy.stderr)
            service.stop()
            self.assertNotEqual(subprocess.run(command, env=environ, capture_output=True).returncode, 0)

    def test_the_settings_are_known(self) -> None:
        known = {name for one in declared(Config) for name in one.env}
        names = {part.partition("=")[0] for part in shlex.split(self.of("ENV")[0])}
        self.assertEqual(names - known, {"PATH", "PYTHONDONTWRITEBYTECODE"})

    def test_it_runs_where_nothing_can_be_written_and_as_nobody(self) -> None:
        if os.geteuid():
            self.skipTest("to run as another user needs root")
        # A file system that is read-only but for /tmp, in a mount namespace of this process's own.
        # What is in /tmp stays there: the repository may be.
        script = (
            "mount --make-rprivate / && mount --bind /tmp /tmp && mount -o remount,ro,bind / && "
            f'! touch /written 2>/dev/null && cd / && exec setpriv --reuid {UID} --regid {UID} --clear-groups "$@"'
        )
        program = ("unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", _TWISTD)
        if subprocess.run(["setpriv", "--reuid", str(UID), sys.executable, "-c", ""], capture_output=True).returncode:
            self.skipTest("this Python is not for other users")
        with RunningService("--dev", cwd=self.folder, program=program) as service:
            self.assertEqual(service.request("GET", "/health").status, 200)
            self.assertEqual(service.stop(), 0, service.log)


class KubernetesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.parts: dict[str, Any] = {one["kind"]: one for one in yaml.safe_load_all(KUBERNETES.read_text())}
        self.pod = self.parts["Deployment"]["spec"]["template"]["spec"]
        (self.container,) = self.pod["containers"]
        self.settings = dict(self.parts["ConfigMap"]["data"])

    def test_the_settings_start_a_service(self) -> None:
        values = {one["name"]: one["value"].replace("$(POD_IP)", "10.1.2.3") for one in self.container["env"][1:]}
        credentials = Path(self.mktemp()).absolute()
        credentials.mkdir()
        (credentials / "WSSERVICE_ADAPTER").write_text("redis://:hush@redis:6379/0")
        environ = {**self.settings, **values, "CREDENTIALS_DIRECTORY": str(credentials)}
        config = load_config({}, environ, directory=credentials)
        self.assertEqual(config.adapter and config.adapter.password, "hush")
        known = {name for one in declared(Config) for name in one.env}
        self.assertEqual({*self.settings, *values} - known, {"CREDENTIALS_DIRECTORY"})

    def test_it_may_take_the_time_that_it_needs_to_stop(self) -> None:
        before = int(self.container["lifecycle"]["preStop"]["exec"]["command"][1])
        self.assertGreater(
            self.pod["terminationGracePeriodSeconds"], before + int(self.settings["WSSERVICE_DRAIN_TIMEOUT"]) + 15
        )

    def test_the_probes_ask_what_there_is(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        ports = {one["name"]: one["containerPort"] for one in self.container["ports"]}
        self.assertEqual(ports, {"http": 3020, "peers": 4020})
        with RunningService("--dev", cwd=folder) as service:
            for name in ("livenessProbe", "readinessProbe", "startupProbe"):
                probe = self.container[name]["httpGet"]
                self.assertEqual((probe["port"], service.request("GET", probe["path"]).status), ("http", 200), name)

    def test_all_mean_the_same_pods(self) -> None:
        labels = self.parts["Deployment"]["spec"]["template"]["metadata"]["labels"]
        for selector in (
            self.parts["Deployment"]["spec"]["selector"]["matchLabels"],
            self.parts["Service"]["spec"]["selector"],
            self.parts["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
            self.parts["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        ):
            self.assertEqual(selector, labels)

    def test_it_is_nobody_and_can_write_nothing(self) -> None:
        self.assertEqual(
            (self.pod["securityContext"]["runAsNonRoot"], self.pod["securityContext"]["runAsUser"]), (True, UID)
        )
        own = self.container["securityContext"]
        self.assertEqual((own["readOnlyRootFilesystem"], own["allowPrivilegeEscalation"]), (True, False))
        self.assertEqual(own["capabilities"], {"drop": ["ALL"]})
