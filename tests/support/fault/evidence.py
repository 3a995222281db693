"""Collects what the checker needs: from the command itself, from the stand-in's log, from the files that are left."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from reaper.sandbox.recorder import Delete
from tests.support.fault.checker import Bounds, Evidence, Gauge, prove
from tests.support.processes.command import TOKEN, Command
from tests.support.sandbox import RunningSandbox

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def settle_up(
    command: Command,
    deletes: Iterable[Delete],
    accepted: Collection[str],
    bounds: Bounds,
    *,
    run: Run | None = None,
    logs: Iterable[Path] = (),
    texts: Mapping[str, str] | None = None,
    secrets: Iterable[str] = (TOKEN,),
    **more: Any,
) -> Evidence:
    """Ask the ledger for everything, prove that all agrees, and return what was read.

    `run` runs a command (the command itself if not given); `logs` are files of log events; `texts` were said.
    """
    run = run or command.run
    answers = {verb: asked(run, verb) for verb in ("outcomes", "status", "audit")}
    said = dict(texts or {}) | {verb: json.dumps(rows) for verb, rows in answers.items()}
    read = {str(path): path.read_bytes() for path in (*logs, *written(command))}
    found = Evidence(
        accepted=accepted,
        deletes=list(deletes),
        rows=answers["outcomes"],
        status=answers["status"][0],
        audit=answers["audit"][0],
        events=[event for path in logs for event in events(path)],
        texts={name: text.encode() for name, text in said.items()} | read,
        secrets=[secret.encode() for secret in secrets],
        **more,
    )
    prove(found, bounds)
    return found


def asked(run: Run, verb: str) -> list[dict[str, Any]]:
    """Return what a reading verb says; a faulty audit is said too, it is for the checker to judge."""
    done = run(verb, "--json")
    assert done.returncode == 0 or (verb == "audit" and done.stdout), done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def peak(sandbox: RunningSandbox) -> int:
    return sandbox.counters.peak_in_flight


def written(command: Command) -> list[Path]:
    """Return the files that the reaper keeps."""
    return [path for path in (command.home / "state").rglob("*") if path.is_file()]


def events(log: Path) -> list[dict[str, Any]]:
    """Return the log events in a file; a line cut by a kill is none."""
    lines = log.read_text(errors="replace").splitlines()
    return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]


def from_file(log: Path) -> list[Delete]:
    """Return the DELETEs that a stand-in wrote down as JSON lines."""
    return [Delete(**json.loads(line)) for line in log.read_text().splitlines()]


def gauge(pid: int) -> Gauge:
    """Return what a process holds now."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    rss_bytes = int(status["VmRSS"].split()[0]) * 1024
    return Gauge(len(list(Path(f"/proc/{pid}/fd").iterdir())), rss_bytes, int(status["Threads"]))
