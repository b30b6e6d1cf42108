"""The start of a daemon, told to the process that waits for it.

twistd forks, and the process that the user has started waits. Of a daemon that could not start it prints the first
hundred bytes of an exception, and exits with 1. What a user must do stands in a message that is longer, and that we
have written by then; so that process ends here, without another word and with the status of every other refusal.
"""

from __future__ import annotations

import os

#: as argparse and twistd's own options have it for what was asked in a wrong way
REFUSED = 2


class Start:
    """Made before the fork; the daemon must call `fail` or `succeed`, or end, for the other process to go on."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        self._forked = False
        os.register_at_fork(after_in_parent=self._wait, after_in_child=self._go_on)

    def fail(self) -> None:
        """The daemon cannot start, and has said why."""
        os.write(self._writer, b"!")
        os.close(self._writer)

    def succeed(self) -> None:
        """The daemon has got what it needs; from here on twistd's own way of telling is good enough."""
        os.close(self._writer)

    def close(self) -> None:
        """There was no fork, and there will be none."""
        self._forked = True
        os.close(self._reader)
        os.close(self._writer)

    def _wait(self) -> None:
        if self._forked:  # the daemon forks once more, and perhaps an application later
            return
        self._forked = True
        os.close(self._writer)
        failed = os.read(self._reader, 1)
        os.close(self._reader)
        if failed:
            os._exit(REFUSED)

    def _go_on(self) -> None:
        if not self._forked:
            self._forked = True
            os.close(self._reader)
