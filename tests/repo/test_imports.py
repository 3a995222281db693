"""Modules that must start quickly import no more than they need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def loaded_by(module: str, **environ: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {module}; print(*sys.modules)"],
        env=os.environ | environ, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return set(done.stdout.split())


@pytest.mark.untraced  # the tracer imports more
def test_importing_stays_lean() -> None:
    assert not loaded_by("reaper.settings.load") & {"httpx", "anyio", "structlog", "prometheus_client", "sqlite3"}
    assert not loaded_by("reaper.settings.listen_address") & {
        "pydantic",
        "tomllib",
        "argparse",
        "urllib.parse",
        "dataclasses",
    }


@pytest.mark.parametrize("module", ["reaper.api.client", "reaper.telemetry.logs"])
def test_what_a_library_uses_where_it_is_installed_is_left_alone(module: str, tmp_path: Path) -> None:
    """httpx has a command line client, structlog a traceback: in an environment with click and rich they load both."""
    for name in ("click", "rich"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
    loaded = loaded_by(module, PYTHONPATH=str(tmp_path))
    assert not loaded & {"click", "rich", "pygments", "httpx._main"}
    assert loaded & {"httpx", "structlog"}
