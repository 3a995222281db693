"""Tools outside Python that some tests need: found, or the test is skipped, or fails where CI demands the tool."""

from __future__ import annotations

import os
import shutil
import sys
from typing import NoReturn

import pytest


def need(tool: str) -> str:
    """Return the path of a tool; skip the test without it, fail it where TEST_REQUIRE_TOOLS names the tool."""
    beside_python = os.path.dirname(sys.executable)
    path = shutil.which(tool, path=os.pathsep.join((os.environ.get("PATH", ""), beside_python, "/usr/sbin", "/sbin")))
    if path is None:
        missing(tool, "is not installed")
    return path


def missing(tool: str, why: str) -> NoReturn:
    """Skip the test for what this machine lacks, or fail it where TEST_REQUIRE_TOOLS names it."""
    if tool in os.environ.get("TEST_REQUIRE_TOOLS", "").split(","):
        pytest.fail(f"{tool} {why}, and TEST_REQUIRE_TOOLS names it")
    pytest.skip(f"{tool} {why}")
