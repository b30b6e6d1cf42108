"""Real proxies before the service: nginx around an example's configuration, and waiting until one listens."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.integration.cluster import PATIENCE
from tests.needs import find

_NGINX = """
daemon off;
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {example}
}}
"""


def nginx(folder: Path, example: str) -> list[str]:
    """The command that runs nginx in the foreground, its files in a folder.

    Args:
        example: what stands in its `http`.
    """
    config = folder / "nginx.conf"
    # Started by root, it would become somebody who cannot write into the folder.
    user = "" if os.geteuid() else "user root;"
    config.write_text(_NGINX.format(folder=folder, example=example, user=user))
    return [str(find("nginx")), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")]


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int, told: Callable[[], object]) -> None:
    """Wait for a proxy on this machine.

    Args:
        told: gives what it said, should it end.

    Raises:
        AssertionError: it ended, or does not listen.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, told()
        assert time.monotonic() < deadline, "the proxy does not listen"
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
