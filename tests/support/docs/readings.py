"""How each page of README.md and docs/ is read: what its reader has, does and writes in the place of its examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psycopg

from tests.support.processes.command import TOKEN
from tests.support.processes.daemon import free_port
from tests.support.queues.postgres_server import session_server
from tests.support.queues.redis_server import RedisServer
from tests.support.sandbox import RunningSandbox

LANGUAGES = {"console", "sh", "python", "toml", "sql", "redis", "yaml"}
"""Of the blocks that are run where a page is read."""
HOLDS = ("7f3a01", "a9135c")
"""Holds of the examples; their reader takes the one that `reaper holds` shows."""
IDS = [f"env_{number}" for number in range(1, 9)]


@dataclass(slots=True)
class World:
    """One page's: its reader, and what they fill in while they read."""

    page: str
    home: Path
    sandbox: RunningSandbox
    environ: dict[str, str]
    fills: dict[str, str]
    exits: dict[str, list[int]]
    used: set[str] = field(default_factory=set)
    typed: dict[str, Callable[[str, str], object]] = field(default_factory=dict)
    """Who carries out blocks of another language than a shell's: called with the block's name and a statement."""

    def filled(self, text: str) -> str:
        for shown, meant in self.fills.items():
            if shown in text:
                self.used.add(shown)
                text = text.replace(shown, meant)
        return text

    def script(self, name: str, text: str) -> None:
        (self.home / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.home / name).chmod(0o755)


@dataclass(frozen=True, slots=True)
class Reading:
    """How a page is read."""

    fills: Mapping[str, str] = field(default_factory=dict)
    """What the page shows, and what its reader writes instead."""
    exits: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Commands, and the exit code that the page announces each time; without one it is 0."""
    environ: Mapping[str, str] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    """Commands that the text asks for before the first block."""
    between: Mapping[str, str] = field(default_factory=dict)
    """Commands, and what comes before them where each example is one by itself."""
    stopped: frozenset[str] = frozenset()
    """Sessions that are stopped at the end, maybe besides others."""
    engine: Callable[[World], AbstractContextManager[None]] = lambda world: nullcontext()
    """The page's server, while it is read."""


# --- the servers of a page --------------------------------------------------------------------------------------------


@contextmanager
def own_sandbox(world: World) -> Iterator[None]:
    """The page starts a stand-in by itself."""
    world.fills["8787"] = str(free_port())
    yield


@contextmanager
def postgres(world: World) -> Iterator[None]:
    server = session_server()
    owner = partial(server.url, "reaper", "reaper_owner", "change-me-1")
    producer = partial(server.url, "reaper", "reaper_producer", "change-me-3")

    def carry_out(name: str, statement: str) -> None:
        if name == "roles":
            server.sql(statement)
        else:
            with psycopg.connect((producer if name == "insert" else owner)(), autocommit=True) as connection:
                connection.execute(statement)

    world.typed["sql"] = carry_out
    world.fills["db.example"] = f"127.0.0.1:{server.port}"
    try:
        yield
    finally:
        server.terminate("reaper")
        server.sql("DROP DATABASE IF EXISTS reaper")
        for role in ("reaper", "reaper_owner", "reaper_producer", "reaper_reader"):
            server.sql(f"DROP ROLE IF EXISTS {role}")


@contextmanager
def redis(world: World) -> Iterator[None]:
    (world.home / "redis").mkdir()
    server = RedisServer(world.home / "redis")
    server.start()

    def carry_out(name: str, line: str) -> None:
        assert server.ask(*line.split()) == "+OK\r\n"

    world.typed["redis"] = carry_out
    world.fills["rediss://reaper:PASSWORD@redis.internal:6379"] = f"redis://reaper:PASSWORD@127.0.0.1:{server.port}"
    world.fills["redis-cli"] = f"redis-cli -p {server.port}"
    try:
        yield
    finally:
        server.kill()


# --- the pages --------------------------------------------------------------------------------------------------------

SPOOL = ("export SPOOL=$HOME/spool session=env_1 REAPER_INTAKE__SPOOL_DIR=$HOME/spool", "reaper run")
PG_RESTORE = """pg_restore --clean --if-exists --single-transaction \\
    --dbname='postgresql://reaper_owner:change-me-1@db.example/reaper' reaper.dump"""
CAREFUL = {"reaper once --limit 5 ids.txt": (75,)}

READINGS: dict[str, Reading] = {
    "README.md": Reading(fills={"archal_ws_…": TOKEN}, exits=CAREFUL, stopped=frozenset(IDS)),
    "docs/commands.md": Reading(
        fills={"/backup/": ""},
        environ={"REAPER_DISCOVERY__ENFORCE": "true", "REAPER_GUARD__MAX_PER_SWEEP": "1"},
        before=(
            "mkdir -p ~/.local/share/bash-completion/completions ~/.config/fish/completions",
            'fpath=(- "$HOME")',  # zsh counts from 1
        ),
        exits={
            "reaper holds": (4,),
            "reaper holds 7f3a01": (4,),
            "reaper discard 7f3a01 --reason 'wrong owners file'": (3,),  # approved before
            "reaper dead purge env_12345": (3,),  # stopped before
        },
        between={
            "reaper exec --after 2h env_12345 -- sh -c 'make && make test'": "reaper add env_12345 --again --after 1h",
            "reaper add env_12345 --after 30m --or-postpone": "reaper add env_12345 --again --after 1h",
            "reaper show env_12345 env_67890 --json": "reaper add env_67890 --after 1h",
            "reaper outcomes env_12345 env_67890": "reaper postpone env_12345 env_67890 --after 0 && reaper once",
            "reaper holds": "reaper once --discover || [ $? = 4 ]",
            "reaper postpone env_12345 --after 30m": "reaper add env_12345 --again --after 1h",
            # First the daemon stops what was due at once.
            "reaper cancel env_12345 --reason 'still in use'": "reaper once && reaper add env_12345 --again --after 1h",
            "reaper cancel --from ids.txt --reason 'wrong file'": "reaper add --from ids.txt --again --after 1h",
            "reaper queue restore /backup/reaper.db": "^C",
        },
    ),
    "docs/discovery.md": Reading(
        exits={"reaper --quiet once --discover": (4,), "reaper holds": (4, 0)},
        environ={"REAPER_TELEMETRY__LOG_LEVEL": "error"},
        engine=own_sandbox,
    ),
    "docs/files.md": Reading(before=SPOOL, stopped=frozenset(["env_1"])),
    "docs/index.md": Reading(fills={"archal_ws_…": TOKEN}, exits=CAREFUL, stopped=frozenset(IDS)),
    "docs/input.md": Reading(
        before=("cp ids.txt wrong.ids", "reaper add --from wrong.ids", 'reaper pause --reason "wrong file"'),
    ),
    "docs/kubernetes.md": Reading(before=SPOOL, stopped=frozenset(["env_1"])),
    # Its reader comes from README.md, whose IDs are in the ledger already.
    "docs/library.md": Reading(
        before=("reaper once ids.txt",), stopped=frozenset(["env_12345", "env_67890", "env_1", "env_2", "env_3"])
    ),
    "docs/notifications.md": Reading(),
    "docs/pytest.md": Reading(stopped=frozenset(["env_1"])),
    "docs/queues.md": Reading(before=("reaper add --from ids.txt",)),
    "docs/queues-postgres.md": Reading(engine=postgres, between={PG_RESTORE: "^C"}),
    "docs/queues-redis.md": Reading(engine=redis, stopped=frozenset(["ses_4711"])),
    "docs/two-accounts.md": Reading(),
    "docs/uninstall.md": Reading(before=("reaper add env_1",), stopped=frozenset(["env_1"])),
    # The second upgrade: a copy of the first is there.
    "docs/upgrade.md": Reading(before=("reaper add --from ids.txt", "reaper queue backup before-20260101T120000.db")),
    "docs/recipes.md": Reading(before=("reaper run",), stopped=frozenset(["env_1", "env_2", "env_12345", "env_67890"])),
}
