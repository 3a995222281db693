"""Read the schemas of the three queues as runs leave them: a SQLite file, a PostgreSQL and a Redis server."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from tools.public_runs import World, eventually, free_port, running


def sqlite_schema(at: World) -> list[str]:
    """Return the tables of the ledger, its marks, and the names of counters and notes in it."""
    connection = sqlite3.connect(at.home / "state" / "reaper" / "reaper.db")
    found = [
        f"pragma {name} = {connection.execute(f'PRAGMA {name}').fetchone()[0]}"
        for name in ("application_id", "user_version")
    ]
    for (statement,) in connection.execute(
        "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY type DESC, name"
    ):
        found.append(" ".join(re.sub(r"--[^\n]*", "", statement).split()))
    for table in ("counter", "setting"):
        found += [f"{table} {name}" for (name,) in connection.execute(f"SELECT name FROM {table} ORDER BY name")]
    connection.close()
    return found


def postgres_schema(at: World) -> list[str]:
    """Return what `queue init` makes in a PostgreSQL server of our own, as pg_dump writes it."""
    programs = [*sorted(Path("/usr/lib/postgresql").glob("*/bin")), Path(shutil.which("initdb") or "/none").parent]
    bin_, data, port = programs[0], at.home / "pg", free_port()
    if not (bin_ / "initdb").exists():
        return ["(PostgreSQL is not installed here)"]
    user = pwd.getpwnam("nobody").pw_uid if os.geteuid() == 0 else None  # the server refuses to run as root
    data.mkdir()
    os.chown(data, -1 if user is None else user, -1)
    made = [
        str(bin_ / "initdb"),
        "-D",
        str(data),
        "-U",
        "reaper",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    subprocess.run(made, user=user, cwd=data, capture_output=True, check=True)
    asked = ["-D", str(data), "-p", str(port), "-k", str(data), "-c", "listen_addresses=127.0.0.1"]
    url = f"postgresql://reaper@127.0.0.1:{port}/postgres"
    with running(str(bin_ / "postgres"), *asked, env=at.env, log=data.with_name("pg.out"), user=user) as server:
        eventually(
            lambda: subprocess.run([bin_ / "pg_isready", "-q", "-d", url], check=False).returncode == 0, "PostgreSQL"
        )
        at.run("queue", "init", "--json", REAPER_QUEUE__URL=url)
        dumped = subprocess.run([bin_ / "pg_dump", "-s", "-O", url], capture_output=True, text=True, check=True).stdout
        server.send_signal(signal.SIGINT)
    text = re.sub(r"^(--|SET |SELECT pg_catalog|\\).*\n", "", dumped, flags=re.M)
    return sorted(" ".join(part.split()) for part in re.split(r";\n\n", text) if part.strip())


def redis_schema(at: World) -> list[str]:
    """Return the keys, types and fields that a few runs leave in a Redis server of our own."""
    program, port = shutil.which("redis-server") or shutil.which("valkey-server"), free_port()
    if program is None:
        return ["(Redis is not installed here)"]
    import redis  # an extra of the package

    asked = ["--port", str(port), "--bind", "127.0.0.1", "--appendonly", "no", "--save", ""]
    queue = {"REAPER_QUEUE__URL": f"redis://127.0.0.1:{port}/0"}
    found: set[str] = set()
    with running(program, *asked, env=at.env, log=at.home / "redis.out"):
        eventually(lambda: "eady to accept" in (at.home / "redis.out").read_text(), "Redis")
        (at.home / "fresh").write_text("\n".join([*at.ids[20:23], "gone_1", "a/b"]))
        at.run("once", "--json", "fresh", **queue)
        at.run("add", "--json", "--after", "1h", at.ids[-7], **queue)
        at.run("add", "--json", "--again", at.ids[20], **queue)
        at.run("pause", "--json", "--reason", "interface", **queue)
        at.run("status", "--json", **queue)
        server: Any = redis.Redis(port=port, decode_responses=True)
        for key in server.scan_iter():
            kind = server.type(key)
            fields = server.hkeys(key) if kind == "hash" else []
            words = {re.sub(r"\b\d+\b", "N", "ID" if field in at.ids else field) for field in fields}
            of = re.sub(r"\b[0-9a-f]{16,}\b|(?<=[:{])\d+", "N", re.sub(r":id:.*", ":id:ID", key))
            found |= {f"{of} ({kind})", *(f"{of} ({kind}) {word}" for word in words)}
        server.close()
    return sorted(found)
