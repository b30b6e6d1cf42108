"""What a test needs and a machine may lack: a browser, another interpreter."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import FailTest, SkipTest


def require(found: object, how_to_get: str) -> None:
    """Skip the running test where something is missing; where `CI=true` nothing may be missing, and it fails.

    Args:
        found: the name of a program, or whether the thing is there.
        how_to_get: a sentence for whoever reads the skip.
    """
    if shutil.which(found) if isinstance(found, str) else found:
        return
    if os.environ.get("CI", "").lower() == "true":
        raise FailTest(f"missing, though CI=true: {how_to_get}")
    raise SkipTest(how_to_get)
