"""The real parts that pip does not bring: a test without one skips and says how to get it; in CI it fails."""

from __future__ import annotations

import os
import shutil
from unittest import SkipTest

#: part -> the programs that it consists of, and how to get them
PARTS = {
    "node": (("node",), "apt-get install nodejs"),
    "chromium": (("chromium", "chromedriver"), "apt-get install chromium chromium-driver"),
}


def require(part: str) -> None:
    """Go on if every program of a part is installed.

    Raises:
        SkipTest: one is not.
        AssertionError: one is not, and `CI=true`: there a missing real part is a failure.
    """
    programs, how_to_get = PARTS[part]
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    text = f"{' and '.join(missing)} not installed: {how_to_get}"
    if os.environ.get("CI") == "true":
        raise AssertionError(text)
    raise SkipTest(text)
