"""`twistd` for a node whose cluster is a folder.

    python -m tests.integration.cluster_node FOLDER ID [twistd's arguments]

In the folder each node that lives has a file of its name, with its address in it, and `secret` is the cluster's.
A test kills a node for the others by removing its file.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from twisted.scripts.twistd import run

import wsservice.server
from wsservice.peers.nodes import NODE_ID

SECRET = "secret"


class FolderNodes:
    """See the module's docstring."""

    def __init__(self, folder: Path, id: str) -> None:
        self._folder = folder
        self.id = id

    @property
    def secret(self) -> bytes | None:
        return (self._folder / SECRET).read_bytes()

    def address_of(self, node: str) -> str | None:
        assert NODE_ID.fullmatch(node)
        try:
            return (self._folder / f"{node}.node").read_text()
        except FileNotFoundError:
            return None

    def listening(self, address: str) -> None:
        (self._folder / f"{self.id}.node").write_text(address)


if __name__ == "__main__":
    nodes = FolderNodes(Path(sys.argv[1]), sys.argv[2])
    wsservice.server.Server = partial(wsservice.server.Server, nodes=nodes)  # type: ignore[misc, assignment]
    sys.argv[:3] = ["twistd"]
    run()
