"""Modules that must start quickly import no more than they need."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.untraced  # the tracer imports more
def test_importing_stays_lean() -> None:
    def loaded_by(module: str) -> set[str]:
        code = f"import sys, {module}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
        return set(done.stdout.split())

    assert not loaded_by("reaper.settings.load") & {"httpx", "anyio", "structlog", "prometheus_client", "sqlite3"}
    assert not loaded_by("reaper.settings.listen_address") & {
        "pydantic",
        "tomllib",
        "argparse",
        "urllib.parse",
        "dataclasses",
    }
